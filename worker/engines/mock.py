"""The mock engine: a flat placeholder in the cloth's colour, for load and crash tests."""

import time

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import SwatchUnreadable
from models.letter import Letter
from worker.colour import bgr_of_hex, encoded
from worker.engines import Rendering, Tick

WIDTH_PX, HEIGHT_PX = 256, 384
TICK_SECONDS = 0.02


class MockEngine:
    """Answers at once, or after `render_seconds` spent in small ticks; see Engine."""

    name = "mock"
    version = "1"

    def __init__(self, render_seconds: float = 0.0) -> None:
        self._render_seconds = render_seconds

    def setup(self) -> None:
        """Nothing to load."""

    def render(self, letter: Letter, swatch: bytes | None, tick: Tick) -> Rendering:
        levels = _swatch_levels(swatch) if swatch is not None else _hex_levels(letter.fabric_hex)
        self._spend(tick)
        picture = np.empty((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
        picture[...] = levels
        recipe = {"engine": self.name, "engine_version": self.version, "look": letter.look}
        return Rendering(picture, recipe, ("placeholder",))

    def _spend(self, tick: Tick) -> None:
        """Pass the time, telling of it; raises whatever `tick` raises."""
        start = time.monotonic()
        tick(0.0)
        while (spent := time.monotonic() - start) < self._render_seconds:
            tick(spent / self._render_seconds)
            time.sleep(min(TICK_SECONDS, self._render_seconds - spent))
        tick(1.0)


def _hex_levels(colour: str) -> NDArray[np.uint8]:
    return np.asarray(np.round(encoded(bgr_of_hex(colour)) * 255), np.uint8)


def _swatch_levels(swatch: bytes) -> NDArray[np.uint8]:
    data = np.frombuffer(swatch, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_REDUCED_COLOR_8) if data.size else None
    if image is None:
        raise SwatchUnreadable("La imagen de la muestra está dañada y no se puede leer.")
    return np.asarray(np.round(image.mean(axis=(0, 1))), np.uint8)
