"""Squaring: corners behind a hand, the turn of the threads, a tilt that only the weave shows."""

import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from worker.corners import quadrilateral_along
from worker.squaring import from_weave
from worker.thread_direction import thread_direction

Grey = NDArray[np.float32]
SWATCH = np.array([[62, 40], [190, 52], [198, 160], [50, 150]], np.float64)
WHOLE = np.full((192, 256), 255, np.uint8)


def filled(*shapes: NDArray[np.float64]) -> NDArray[np.uint8]:
    mask = np.zeros((192, 256), np.uint8)
    for shape in shapes:
        cv2.fillConvexPoly(mask, np.rint(shape).astype(np.int32), 255)
    return mask


def turned(degrees: float, size: tuple[int, int] = (600, 400)) -> Grey:
    """Checks with a little noise, in a soft window, turned clockwise as seen."""
    y, x = np.mgrid[: size[1], : size[0]].astype(np.float64)
    way = np.radians(degrees)
    across, down = x * np.cos(way) + y * np.sin(way), -x * np.sin(way) + y * np.cos(way)
    checks = np.sign(np.sin(across / 4)) + np.sign(np.sin(down / 5))
    checks += np.random.default_rng(1).normal(0, 0.5, checks.shape)
    window = np.outer(np.hanning(size[1]), np.hanning(size[0]))
    return np.asarray((checks - checks.mean()) * window, np.float32)


def test_a_hand_over_the_border_does_not_move_the_corners() -> None:
    hand = np.array([[0, 80], [90, 85], [90, 118], [0, 120]], np.float64)
    found = quadrilateral_along(filled(SWATCH, hand))
    assert found is not None
    assert np.abs(found[0] - SWATCH).max() < 2.5
    assert found[1] > 0.97


def test_a_corner_beyond_the_frame_is_found_by_its_sides() -> None:
    swatch = SWATCH + np.array([58, 0])  # the lower right corner lies beyond the border
    found = quadrilateral_along(filled(swatch))
    assert found is not None
    assert np.abs(found[0] - swatch).max() < 4


@pytest.mark.parametrize("cut", [True, False])
def test_what_is_no_quadrilateral_has_no_corners(cut: bool) -> None:
    if cut:  # only two sides show
        assert quadrilateral_along(filled(SWATCH + np.array([130, 90]))) is None
    else:
        circle = cv2.circle(np.zeros((192, 256), np.uint8), (128, 96), 60, 255, -1)
        assert quadrilateral_along(np.asarray(circle, np.uint8)) is None


@pytest.mark.parametrize("degrees", [-11.3, -4.0, 0.0, 2.7, 16.0])
def test_threads_tell_how_far_the_cloth_is_turned(degrees: float) -> None:
    assert thread_direction([turned(degrees)]) == pytest.approx(degrees, abs=0.2)


def test_noise_has_no_threads() -> None:
    noise = np.random.default_rng(3).normal(0, 1, (400, 600)).astype(np.float32)
    assert thread_direction([noise]) == 0.0


@pytest.mark.parametrize("tilt", [0.0, 0.35])
def test_a_tilt_is_undone_by_what_the_weave_shows(tilt: float) -> None:
    """Checks of 24 px, seen from aside: squared, every check has the same size again."""
    width, height, focal, slope = 800, 600, 800 * 26 / 36, math.hypot(1, tilt)
    lens = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    camera = lens @ np.array([[1 / slope, 0, 0], [0, 1, 0], [-tilt / slope, 0, focal]])
    back = np.linalg.inv(camera)
    y, x = np.mgrid[:height, :width]
    u, v, w = (row[0] * x + row[1] * y + row[2] for row in back)
    light = 0.3 + 0.1 * np.sign(np.sin(np.pi * u / w / 12)) * np.sign(np.sin(np.pi * v / w / 12))
    light += np.random.default_rng(5).normal(0, 0.01, light.shape)
    upright = from_weave(cv2.GaussianBlur(light, (0, 0), 0.8).astype(np.float32), WHOLE)
    assert upright.sure
    flat = upright.matrix @ camera
    sides = [side_px(flat, at) for at in ((-250.0, 0.0), (0.0, 0.0), (250.0, 0.0), (0.0, 180.0))]
    assert np.ptp(sides) / np.mean(sides) < 0.04


def side_px(flat: NDArray[np.float64], at: tuple[float, float]) -> tuple[float, float]:
    """How large a millimetre of cloth is at a place, across and down, once squared."""

    def seen(u: float, v: float) -> NDArray[np.float64]:
        point = flat @ [u, v, 1.0]
        return np.asarray(point[:2] / point[2])

    here = seen(*at)
    right, below = seen(at[0] + 1, at[1]), seen(at[0], at[1] + 1)
    return float(np.linalg.norm(right - here)), float(np.linalg.norm(below - here))
