"""After decoding, the painted cloth has the drape's colour and threads, and folds of its own."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from worker.engines.colour_lock import flatness, locked, rewoven

PX_PER_CM = 12.0
Floats = NDArray[np.float32]


def plain(bgr: tuple[float, float, float], shape: tuple[int, int] = (240, 180)) -> Floats:
    return np.full((*shape, 3), bgr, np.float32)


def lab(picture: Floats) -> Floats:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2Lab), np.float32)


def test_a_colour_cast_is_taken_off() -> None:
    drape, painted = plain((0.45, 0.35, 0.30)), plain((0.35, 0.42, 0.40))
    cover = np.ones(drape.shape[:2], np.float32)
    held = locked(painted, drape, cover, PX_PER_CM, 1.0)
    assert np.abs(lab(held) - lab(drape)).max() < 0.5


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_part_of_the_lock_moves_a_part_of_the_way(share: float) -> None:
    drape, painted = plain((0.45, 0.35, 0.30)), plain((0.35, 0.42, 0.40))
    cover = np.ones(drape.shape[:2], np.float32)
    held = lab(locked(painted, drape, cover, PX_PER_CM, share))
    wanted = lab(painted) + share * (lab(drape) - lab(painted))
    assert np.abs(held - wanted).max() < 0.5


def test_folds_stay_as_painted() -> None:
    """A fold is a change of lightness within a centimetre."""
    x = np.arange(180, dtype=np.float32)
    fold = 0.05 * np.sin(2 * np.pi * x / (1.5 * PX_PER_CM))[None, :, None]
    drape = plain((0.4, 0.4, 0.4))
    cover = np.ones(drape.shape[:2], np.float32)
    held = locked((drape + fold).astype(np.float32), drape, cover, PX_PER_CM, 1.0)
    contrast = held[..., 0].std() / (drape + fold)[..., 0].std()
    assert contrast > 0.9


def test_what_is_not_cloth_has_no_say() -> None:
    drape, painted = plain((0.45, 0.35, 0.30)), plain((0.35, 0.42, 0.40))
    drape[:, 90:], painted[:, 90:] = 1.0, 0.0  # a white wall that the painter made black
    cover = np.zeros(drape.shape[:2], np.float32)
    cover[:, :90] = 1
    held = locked(painted, drape, cover, PX_PER_CM, 1.0)
    assert np.abs(lab(held)[:, :90] - lab(drape)[:, :90]).max() < 0.5


def test_threads_come_back_where_the_cloth_is_flat_and_only_there() -> None:
    checks = (np.indices((240, 180)).sum(axis=0) // 2 % 2).astype(np.float32)
    drape = 0.4 + 0.1 * np.repeat(checks[..., None], 3, axis=2) - 0.05
    painted = plain((0.4, 0.4, 0.4))
    flat = np.ones(checks.shape, np.float32)
    flat[120:] = 0
    woven = rewoven(painted, drape.astype(np.float32), flat, PX_PER_CM, 1.0)
    assert woven[:100].std() > 0.6 * drape[:100].std()
    assert np.array_equal(woven[120:], painted[120:])


def test_a_seam_is_not_flat() -> None:
    light = np.ones((240, 180), np.float32)
    light[:, 90:] = 0.3
    flat = flatness(light, PX_PER_CM)
    assert flat[:, :70].min() > 0.95
    assert flat[:, 89:91].max() < 0.2
