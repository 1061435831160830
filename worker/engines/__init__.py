"""Engines: ways to make the picture of a letter. Each is set up once and renders many.

drape         the cloth laid over a look pack, on the CPU, in milliseconds (the default)
mock          a flat placeholder, at once: for load tests
sdxl_inpaint  the draped picture painted over by SDXL inside the garment, on a GPU
sdxl_full     the whole picture painted by SDXL, on a GPU
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidInput
from models.letter import Letter
from models.settings import settings

Picture = NDArray[np.uint8]  # (height, width, 3), sRGB levels, BGR order as OpenCV has it
Tick = Callable[[float], None]  # told the share done, 0..1; raises when the render must stop


@dataclass(frozen=True)
class Rendering:
    """A finished picture and what went into it."""

    picture: Picture
    recipe: dict[str, Any]  # every value that shaped the picture; stored with the image
    degraded: tuple[str, ...] = field(default=())  # what was assumed, as stable codes


def nobody_looks(make: Callable[[], Picture]) -> None:
    """The `show` of an order whose picture nobody wants to see before it is done."""


@dataclass(frozen=True, eq=False)
class Order:
    """A letter with the bytes of its swatch, as the worker verified them. A slow engine offers
    `show` how far the picture is; it is only made if `show` asks for it."""

    letter: Letter
    swatch: bytes | None
    show: Callable[[Callable[[], Picture]], None] = nobody_looks


def trial_letter(
    look: str, look_version: str, size_px: tuple[int, int], fabric_hex: str = "#808080"
) -> Letter:
    """A letter that nobody ordered, to try an engine with: the look in one plain colour."""
    return Letter(
        cut=look,
        look=look,
        look_version=look_version,
        width_px=size_px[0],
        height_px=size_px[1],
        stage="final",
        fabric_hex=fabric_hex,
        noise_seed=0,
    )


class Engine(Protocol):
    name: str
    version: str  # part of the fingerprint: raise it when the same letter gives other pixels

    def setup(self) -> None:
        """Load everything heavy; runs before the first claim."""

    def render(self, letter: Letter, swatch: bytes | None, tick: Tick) -> Rendering:
        """Make the picture; `swatch` holds the verified bytes of `letter.swatch_key`, if any.

        Raises SwatchUnreadable, LookUnavailable or EngineFailed, and whatever `tick` raises.
        """


@runtime_checkable
class BatchEngine(Protocol):
    """An engine that renders several orders of one size in one go, cheaper than one by one."""

    batch_max: int

    def render_batch(self, orders: Sequence[Order], tick: Tick) -> list[Rendering]:
        """One rendering an order, in their order; raises what `Engine.render` raises."""


@runtime_checkable
class ShowingEngine(Protocol):
    """A slow engine, which offers to show how far a picture is."""

    device: str  # the card that it works on, or "cpu"

    def render_shown(self, order: Order, tick: Tick) -> Rendering:
        """As `Engine.render`, with `order.show`."""


def engine_named(name: str, looks_dir: Path, mock_render_seconds: float = 0.0) -> Engine:
    """The engine of that name, not yet set up. Raises InvalidInput for a name unknown here.

    Each engine is imported when it is asked for: none pays for another's libraries.
    """
    match name:
        case "drape":
            from worker.engines.drape import DrapeEngine

            return DrapeEngine(looks_dir)
        case "mock":
            from worker.engines.mock import MockEngine

            return MockEngine(mock_render_seconds)
        case "sdxl_inpaint" | "sdxl_full":
            return _photoreal(name, looks_dir)
    raise InvalidInput(
        f"No hay un motor «{name}»: use drape, mock, sdxl_inpaint o sdxl_full.", "engine"
    )


def _photoreal(name: str, looks_dir: Path) -> Engine:
    """A photoreal engine, by the settings. Raises WeightsMissing before torch is imported."""
    from worker.weights import needed, shelf

    weights, chosen = shelf(), settings()
    needs = needed(name, chosen, weights)
    weights.require(needs, name)
    if name == "sdxl_full":
        from worker.engines.sdxl_full import SdxlFullEngine
        from worker.engines.sdxl_recipe import full_recipe

        return SdxlFullEngine(looks_dir, weights, full_recipe(chosen), needs)
    from worker.engines.sdxl_inpaint import SdxlInpaintEngine
    from worker.engines.sdxl_recipe import inpaint_recipe

    return SdxlInpaintEngine(looks_dir, weights, inpaint_recipe(chosen), needs)
