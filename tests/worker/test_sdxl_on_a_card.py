"""The whole way to a picture on a card that is not there.

FakeTensorMode lets tensors say that they lie on CUDA and in half precision, and refuses what CUDA
would: tensors on different devices, halves that meet floats. They hold no numbers, so where
pictures leave the card they are made up here.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any
from unittest.mock import Mock, patch

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.worker.sdxl_tiny import FULL_RECIPE, RECIPE, letter, looks, shelf
from worker.engines import Order, Picture, sdxl_denoise, sdxl_pipeline
from worker.engines.sdxl_full import SdxlFullEngine
from worker.engines.sdxl_inpaint import SdxlInpaintEngine
from worker.engines.sdxl_pipeline import load
from worker.engines.sdxl_recipe import Recipe

CARD = torch.device("cuda")
LAST = torch.channels_last
CUTS = ("recto", "cruzado")
INPAINT = replace(RECIPE, unet="sdxl-inpaint-9ch", steps=2, guided=(0, 0.5), controlled=(0, 0.5))
FULL = replace(FULL_RECIPE, steps=2, refiner_from=0.5)


def from_disk(read: Callable[..., Any]) -> Callable[..., Any]:
    """Files are read as ever, into this machine's memory."""

    def reading(*args: Any, **kwargs: Any) -> Any:
        with unset_fake_temporarily():
            return read(*args, **kwargs)

    return reading


def leaving(pictures: torch.Tensor) -> list[NDArray[np.float32]]:
    assert (pictures.device.type, pictures.dtype) == ("cuda", torch.float32)
    return [np.full((*pictures.shape[2:], 3), 0.5, np.float32) for _ in pictures]


def rows_leaving(latents: torch.Tensor) -> NDArray[np.float64]:
    assert (latents.device.type, latents.dtype) == ("cuda", torch.float32)
    return np.ones((latents[0].numel(), len(latents) + 1))


@contextmanager
def a_card() -> Iterator[None]:
    shelf(), looks()  # made of numbers, before there are none
    reading = sdxl_pipeline._Loader
    with ExitStack() as within:
        for name in ("unet", "control", "stock"):
            within.enter_context(patch.object(reading, name, from_disk(getattr(reading, name))))
        for place, other in (
            ("sdxl_pipeline._add_swatch_sight", from_disk(sdxl_pipeline._add_swatch_sight)),
            ("sdxl_inpaint.load", partial(load, device=CARD)),
            ("sdxl_inpaint._off_the_card", leaving),
            ("sdxl_glimpse._rows", rows_leaving),
        ):
            within.enter_context(patch(f"worker.engines.{place}", other))
        within.enter_context(patch("torch.cuda.Event"))
        within.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        yield


class Crossings(TorchDispatchMode):  # type: ignore[misc]
    """Operations that have a tensor on the card and another off it, or ask it for a number: each
    waits for all that the card has yet to do."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        answer = func(*args, **(kwargs or {}))
        tensors = [t for t in tree_leaves((args, kwargs, answer)) if isinstance(t, torch.Tensor)]
        if len({tensor.device.type for tensor in tensors}) > 1 or "_local_scalar" in str(func):
            self.seen.append(str(func))
        return answer


def within(mode: Crossings, ask: Callable[..., Any]) -> Callable[..., Any]:
    def asking(*args: Any) -> Any:
        with mode:
            return ask(*args)

    return asking


@pytest.mark.parametrize(("kind", "recipe"), [(SdxlInpaintEngine, INPAINT), (SdxlFullEngine, FULL)])
@patch.object(SdxlInpaintEngine, "_warm_up", Mock())  # paints what is painted here
@patch("worker.engines.sdxl_inpaint.STEPS_BETWEEN_PREVIEWS", 1)
def test_both_cuts_with_previews(kind: type[SdxlInpaintEngine], recipe: Recipe) -> None:
    """And while the card paints, nothing is copied to it or from it."""
    shown: list[Picture] = []
    orders = [Order(letter(cut), None, lambda make: shown.append(make())) for cut in CUTS]
    crossings = Crossings()
    asking = within(crossings, sdxl_denoise.predicted_noise)
    with a_card(), patch("worker.engines.sdxl_denoise.predicted_noise", asking):
        engine = kind(looks(), shelf(), recipe, ())
        engine.setup()
        painted = engine.render_batch(orders, lambda _: None)
        layouts = {weight.is_contiguous(memory_format=LAST) for weight in convolutions(engine)}
    assert [rendering.picture.shape for rendering in painted] == [(384, 256, 3)] * 2
    assert len(shown) == 2
    assert crossings.seen == []
    assert layouts == {True}


def convolutions(engine: SdxlInpaintEngine) -> Iterator[torch.Tensor]:
    pipeline = engine.pipeline
    networks: tuple[Any, ...] = (pipeline.base.unet, pipeline.control, pipeline.vae)
    for network in networks:
        yield from (weight for weight in network.parameters() if weight.dim() == 4)


def test_what_stays_behind_is_noticed() -> None:
    """What such a card is good for: it refuses what CUDA refuses."""
    with a_card():
        known = torch.zeros(1, 4, 8, 8, device=CARD)
        with pytest.raises(RuntimeError, match="same device"):
            known + torch.zeros(1, 4, 8, 8)
        with pytest.raises(RuntimeError, match="expected scalar type"):
            torch.bmm(known[0], known[0].half())
