"""Border: its width is what the lens has made of it, if cloth and table can be told apart."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from worker.border import border_width_px

CORNERS = np.array([[200, 150], [600, 150], [600, 450], [200, 450]], np.float64)


def swatch(outside: float, sigma_x: float, sigma_y: float) -> NDArray[np.float32]:
    light = np.full((600, 800), outside, np.float32)
    light[150:451, 200:601] = 0.1
    noise = np.random.default_rng(1).normal(0, 0.002, light.shape)
    soft = cv2.GaussianBlur(light, (0, 0), sigmaX=sigma_x, sigmaY=sigma_y)
    return np.asarray(soft + noise, np.float32)


@pytest.mark.parametrize("sigma", [1.5, 8.0])
def test_a_border_is_as_wide_as_the_lens_has_spread_it(sigma: float) -> None:
    """A step that a Gaussian has spread is at its steepest as steep as a ramp of 2.5 sigma."""
    width = border_width_px(swatch(0.3, sigma, sigma), CORNERS)
    assert width is not None
    assert 1.5 * sigma < width < 3.5 * sigma


def test_a_movement_along_two_sides_shows_at_the_others() -> None:
    width = border_width_px(swatch(0.3, 1.0, 8.0), CORNERS)
    assert width is not None
    assert width > 12


def test_cloth_like_its_table_has_no_border_to_measure() -> None:
    assert border_width_px(swatch(0.11, 1.0, 1.0), CORNERS) is None
