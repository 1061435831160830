"""How a cloth is shown to the image encoder."""

import numpy as np
import pytest
import torch

from worker.cloth import Cloth, from_hex
from worker.colour import LINEAR_OF_LEVEL
from worker.engines.sdxl_swatch import pixels_of, view

SIDE = 224


def stripes(pitch_cm: float, px_per_cm: float = 40.0) -> Cloth:
    """Upright stripes, one repeat wide."""
    width = round(pitch_cm * px_per_cm)
    tile = np.full((width, width, 3), LINEAR_OF_LEVEL[60], np.float32)
    tile[:, : width // 2] = LINEAR_OF_LEVEL[200]
    return Cloth(tile, px_per_cm, "tile")


@pytest.mark.parametrize(("width_cm", "stripes_seen"), [(16.0, 16), (8.0, 8), (4.0, 4)])
def test_a_view_shows_as_much_cloth_as_it_says(width_cm: float, stripes_seen: int) -> None:
    row = view(stripes(1.0), width_cm, SIDE)[SIDE // 2, :, 0].astype(float)
    strength = np.abs(np.fft.rfft(row - row.mean()))
    assert abs(int(strength.argmax()) - stripes_seen) <= 1


def test_a_view_from_far_averages_light_and_not_levels() -> None:
    seen = view(stripes(0.05, px_per_cm=400.0), 16.0, SIDE)
    light = (LINEAR_OF_LEVEL[200] + LINEAR_OF_LEVEL[60]) / 2
    level = int(np.abs(LINEAR_OF_LEVEL - light).argmin())
    assert np.abs(seen.astype(int) - level).max() <= 2


def test_a_view_from_near_is_not_empty() -> None:
    seen = view(stripes(1.0), 0.5, SIDE)
    assert seen.shape == (SIDE, SIDE, 3)
    assert {*np.unique(seen[..., 0])} & {60, 200}


def test_colours_arrive_as_red_green_blue() -> None:
    red, green, blue = view(from_hex("#C04020"), 8.0, SIDE).reshape(-1, 3).mean(axis=0)
    assert red > 1.8 * green > 1.8 * blue


def test_pixels_are_as_the_encoder_was_trained() -> None:
    levels = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    pixels = pixels_of([levels, levels])
    assert pixels.shape == (2, 3, SIDE, SIDE)
    wanted = (levels[5, 7] / 255 - [0.48145466, 0.4578275, 0.40821073]) / [
        0.26862954,
        0.26130258,
        0.27577711,
    ]
    torch.testing.assert_close(pixels[0, :, 5, 7], torch.tensor(wanted, dtype=torch.float32))
