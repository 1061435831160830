"""Ruler: millimetres that count five and ten tell the scale, whatever else is striped does not."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from bench.rulers import INCHES, PLASTIC, RULERS, STEEL, TAPE, Ruler, lay
from worker.ruler import px_per_cm_by_ruler

PX_PER_MM = 7.3
SIZE = (640, 1000)  # height, width
SIDE_PX = 400
ALL_FREE = np.full(SIZE, 255, np.uint8)


def table_with(ruler: Ruler | None, turn_deg: float = 0.0) -> NDArray[np.float32]:
    """Dark wood seen from straight above, a ruler on it, through a lens and a sensor."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    x_mm, y_mm = (x - 500) / np.float32(PX_PER_MM), (320 - y) / np.float32(PX_PER_MM)
    light = np.zeros((*SIZE, 3), np.float32)
    light += (0.2 + 0.02 * np.sin(x_mm / 3.7))[..., None]
    cos, sin = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    if ruler is not None:
        turned = np.float32(cos) * x_mm + np.float32(sin) * y_mm
        lay(light, ruler, turned, np.float32(cos) * y_mm - np.float32(sin) * x_mm, 1 / PX_PER_MM)
    light += np.random.default_rng(3).normal(0, 0.01, light.shape).astype(np.float32)
    return np.ascontiguousarray(np.asarray(cv2.GaussianBlur(light, (0, 0), 0.8))[..., 1])


@pytest.mark.parametrize(
    ("ruler", "turn_deg"), [(PLASTIC, 3.0), (TAPE, 90.0), (STEEL, 137.0)], ids=lambda v: str(v)[:9]
)
def test_a_ruler_tells_the_scale_however_it_lies(ruler: Ruler, turn_deg: float) -> None:
    found = px_per_cm_by_ruler(table_with(ruler, turn_deg), ALL_FREE)
    assert found == pytest.approx(10 * PX_PER_MM, rel=0.01)


@pytest.mark.parametrize(
    "ruler",
    [
        INCHES,
        replace(PLASTIC, lengths=(4.0, 4.0, 4.0)),
        replace(PLASTIC, every=(1, 4, 8)),
        replace(PLASTIC, every=(1, 6, 12)),
    ],
    ids=["inches", "marks all alike", "eights", "dozens"],
)
def test_marks_that_do_not_count_five_and_ten_tell_nothing(ruler: Ruler) -> None:
    assert px_per_cm_by_ruler(table_with(ruler), ALL_FREE) is None


def test_a_striped_table_is_no_ruler() -> None:
    stripes = table_with(None) * (1 + 0.5 * np.sign(np.sin(np.arange(SIZE[1]) * 0.8)))
    assert px_per_cm_by_ruler(stripes.astype(np.float32), ALL_FREE) is None


@pytest.mark.parametrize("seed", range(4))
def test_a_rough_table_is_no_ruler(seed: int) -> None:
    """Whatever waves there are in it, of whatever length."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    way, length_px = random.uniform(0, np.pi), random.uniform(4, 30)
    wave = np.sign(np.sin((x * np.cos(way) + y * np.sin(way)) * 2 * np.pi / length_px))
    light = 0.3 + 0.1 * wave * (y > SIDE_PX / 2) + random.normal(0, 0.05, wave.shape)
    free = np.full(light.shape, 255, np.uint8)
    assert px_per_cm_by_ruler(light.astype(np.float32), free) is None


def test_what_lies_on_the_cloth_is_not_looked_at() -> None:
    assert px_per_cm_by_ruler(table_with(RULERS[0]), np.zeros_like(ALL_FREE)) is None


@pytest.mark.parametrize("size", [(40, 300), (300, 40), (32, 32)])
def test_a_scrap_of_a_photo_is_no_ruler(size: tuple[int, int]) -> None:
    light = np.random.default_rng(9).uniform(0.1, 0.9, size).astype(np.float32)
    assert px_per_cm_by_ruler(light, np.full(size, 255, np.uint8)) is None
