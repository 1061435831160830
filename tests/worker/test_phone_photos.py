"""Phone photos of swatches, as the synthetic photographer takes them: read truly, or refused."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from bench.phone_photos import CLOTHS, Reading, Shot, read, shots, taken
from models.errors import SwatchUnreadable
from worker.cloth import from_photo

BY_NAME = {path.stem: path for path in CLOTHS}
PINSTRIPE = BY_NAME["worsted-pinstripe-navy"]


def shot_of(stem: str, close: bool, **how: object) -> Shot:
    base = Shot(BY_NAME[stem], 4, close, card=False, hand=False, tilt=20, azimuth=70, roll=5)
    return replace(base, **how)  # type: ignore[arg-type]


@cache
def carded() -> Reading:
    return read(shot_of("worsted-pinstripe-navy", close=False, card=True))


def jpeg(levels: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".jpg", levels)[1].tobytes()


@pytest.mark.parametrize(
    ("stem", "close"),
    [
        ("worsted-pinstripe-navy", False),
        ("linen-houndstooth-rose", True),
        ("linen-stripe-riviera", False),
    ],
)
def test_a_tilted_photo_tells_the_patterns_repeat_within_5_percent(stem: str, close: bool) -> None:
    reading = read(shot_of(stem, close))
    assert reading.refused is None
    assert reading.repeat_errors
    assert max(map(abs, reading.repeat_errors)) <= 0.05


def test_a_grey_card_makes_the_colour_true() -> None:
    assert carded().refused is None
    assert carded().delta_e <= 2


def test_without_a_card_the_white_balance_is_told_to_be_unverified() -> None:
    plain, with_card = (
        taken(shot_of("worsted-pinstripe-navy", close=False, card=card)) for card in (False, True)
    )
    assert "white-balance-unverified" in from_photo(plain.data, plain.width_mm).degraded
    assert "white-balance-unverified" not in from_photo(with_card.data, with_card.width_mm).degraded


def test_a_card_of_known_size_tells_the_scale() -> None:
    photo = taken(shot_of("worsted-pinstripe-navy", close=False, card=True))
    told, found = from_photo(photo.data, photo.width_mm), from_photo(photo.data, None)
    assert "scale-assumed" not in found.degraded
    assert found.px_per_cm == pytest.approx(told.px_per_cm, rel=0.05)


def test_corners_that_are_told_are_used() -> None:
    photo = taken(shot_of("worsted-pinstripe-navy", close=True, tilt=0, roll=0))
    square = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))
    cloth = from_photo(photo.data, photo.width_mm / 2, square)
    assert cloth.repeat_cm[0] == pytest.approx(1.333, rel=0.03)


def test_corners_that_cross_are_refused() -> None:
    photo = taken(shot_of("worsted-pinstripe-navy", close=True))
    with pytest.raises(SwatchUnreadable, match="esquinas"):
        from_photo(photo.data, 100.0, ((0.1, 0.1), (0.9, 0.9), (0.9, 0.1), (0.1, 0.9)))


@pytest.mark.parametrize("shot", shots(5, CLOTHS[::11]), ids=lambda shot: Path(shot.cloth).stem)
def test_a_photo_out_of_focus_is_refused(shot: Shot) -> None:
    refused = read(replace(shot, blur_px=16.0)).refused
    assert refused is not None
    assert "desenfocada" in refused


def test_a_blank_wall_is_no_cloth() -> None:
    with pytest.raises(SwatchUnreadable):
        from_photo(jpeg(np.full((600, 800, 3), 180, np.uint8)), 100.0)


def test_a_picture_of_two_things_is_no_cloth() -> None:
    noise = np.random.default_rng(2).normal(0, 4, (600, 800, 3))
    halves = np.where(np.arange(800)[None, :, None] < 400, 30, 220) + noise
    with pytest.raises(SwatchUnreadable):
        from_photo(jpeg(np.clip(halves, 0, 255).astype(np.uint8)), 100.0)
