"""Shake: a movement takes fine waves along its path; stripes of cloth that lies still do not."""

from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from worker.shake import shake_of
from worker.swatch_photo import SHAKE_DOUBTED, SHAKE_MAX

SIDE = 660
MOVED_PX = 40


@cache
def linen() -> NDArray[np.float32]:
    """Uneven yarns both ways, and fibres."""
    random = np.random.default_rng(5)
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    thick = [np.repeat(random.normal(1, 0.15, SIDE // 12 + 1), 12)[:SIDE] for _ in "xy"]
    warp, weft = (
        np.sin(x * np.pi / 6) ** 2 * thick[0],
        np.sin(y * np.pi / 6) ** 2 * thick[1][:, None],
    )
    over = (x // 12 + y // 12) % 2
    fibres = cv2.GaussianBlur(random.normal(0, 1, (SIDE, SIDE)).astype(np.float32), (0, 0), 1.5)
    return np.asarray(0.2 + 0.1 * np.where(over, warp, weft) + 0.1 * fibres, np.float32)


def photographed(cloth: NDArray[np.float32], way_deg: float | None) -> NDArray[np.float32]:
    """Through a lens, by a hand that moves or does not, onto a sensor."""
    seen = np.asarray(cv2.GaussianBlur(cloth, (0, 0), 0.8))
    if way_deg is not None:
        turn = cv2.getRotationMatrix2D((MOVED_PX, MOVED_PX), way_deg, 1.0)
        path = np.zeros((2 * MOVED_PX + 1,) * 2, np.float32)
        path[MOVED_PX, MOVED_PX // 2 : -MOVED_PX // 2] = 1
        path = np.asarray(cv2.warpAffine(path, turn, path.shape), np.float32)
        seen = np.asarray(cv2.filter2D(seen, -1, path / path.sum()))
    noise = np.random.default_rng(6).normal(0, 0.004, seen.shape)
    return np.asarray(seen + noise, np.float32)


@pytest.mark.parametrize("way_deg", [0, 37, 90, 135])
def test_a_moved_hand_shows_whatever_its_way(way_deg: float) -> None:
    assert shake_of(photographed(linen(), way_deg)) > SHAKE_MAX


def test_a_hand_at_rest_is_believed() -> None:
    assert shake_of(photographed(linen(), None)) < SHAKE_DOUBTED


def test_pronounced_stripes_are_not_taken_for_a_movement() -> None:
    stripes = 1 + 0.5 * (np.arange(SIDE) % 60 < 6)
    striped = np.asarray(linen() * stripes, np.float32)
    assert shake_of(photographed(striped, None)) < SHAKE_MAX < shake_of(photographed(striped, 90))


def test_a_scrap_of_cloth_tells_nothing() -> None:
    assert shake_of(photographed(linen(), 0)[:300]) == float("-inf")
