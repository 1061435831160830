"""Phone photos of swatches, as the synthetic photographer takes them: read truly, or refused."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from bench.phone_photos import CLOTHS, PALE, Reading, Shot, read, shaken, shots, taken
from bench.rulers import INCHES, PLASTIC
from models.errors import SwatchUnreadable
from worker.cloth import from_photo
from worker.cloth_area import cloth_area, roughness

BY_NAME = {path.stem: path for path in CLOTHS}
SLOPE_OF_FIBRES = (4 * np.pi) ** -0.5 / 3.25  # rms, of white noise blurred by sqrt(1.5² + 1.0²)
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


@pytest.mark.parametrize("printed", [False, True])
def test_a_card_of_known_size_tells_the_scale(printed: bool) -> None:
    photo = taken(shot_of("worsted-pinstripe-navy", close=False, card=True, bank=printed))
    told, found = from_photo(photo.data, photo.width_mm), from_photo(photo.data, None)
    assert "scale-by-card" in found.degraded
    assert "scale-assumed" not in found.degraded
    assert found.px_per_cm == pytest.approx(told.px_per_cm, rel=0.05)


def test_a_ruler_beside_the_swatch_tells_the_scale() -> None:
    photo = taken(shot_of("worsted-pinstripe-navy", close=False, ruler=PLASTIC))
    told, found = from_photo(photo.data, photo.width_mm), from_photo(photo.data, None)
    assert "scale-by-ruler" in found.degraded
    assert "scale-assumed" not in found.degraded
    assert found.px_per_cm == pytest.approx(told.px_per_cm, rel=0.05)


def test_an_inch_ruler_leaves_the_scale_assumed() -> None:
    photo = taken(shot_of("worsted-pinstripe-navy", close=False, ruler=INCHES))
    assert "scale-assumed" in from_photo(photo.data, None).degraded


def test_a_told_width_counts_more_than_a_card() -> None:
    photo = taken(shot_of("worsted-pinstripe-navy", close=False, card=True, bank=True))
    told, half = from_photo(photo.data, photo.width_mm), from_photo(photo.data, photo.width_mm / 2)
    assert half.px_per_cm == pytest.approx(2 * told.px_per_cm)
    assert not {"scale-by-card", "scale-assumed"} & {*told.degraded, *half.degraded}


PALE_CLOTHS = ["linen-plain-ivory", "cotton-pique-white", "silk-sharkskin-moon"]


def test_table_and_card_in_the_middle_of_the_photo_are_not_taken_for_cloth() -> None:
    """Between swatch and card, in the middle of the picture, there lies a strip of table."""
    shot = shots(217)[216]
    photo = taken(shot)
    levels = np.asarray(cv2.imdecode(np.frombuffer(photo.data, np.uint8), 1), np.uint8)
    assert shot.card
    assert cloth_area(levels).mean() / 255 == pytest.approx(photo.share, rel=0.1)


@pytest.mark.parametrize("stem", PALE_CLOTHS)
def test_pale_cloth_on_a_pale_table_is_never_taken_for_larger_in_silence(stem: str) -> None:
    reading = read(shot_of(stem, close=False, table=PALE))
    assert reading.refused is not None or not reading.lies


def test_pale_cloth_is_told_from_a_pale_table_by_its_yarns() -> None:
    photo = taken(shot_of("linen-plain-ivory", close=False, table=PALE))
    levels = np.asarray(cv2.imdecode(np.frombuffer(photo.data, np.uint8), 1), np.uint8)
    assert cloth_area(levels).mean() / 255 == pytest.approx(photo.share, rel=0.08)
    assert "scale-assumed" not in from_photo(photo.data, photo.width_mm).degraded


def test_where_no_border_can_be_seen_the_scale_is_told_to_be_assumed() -> None:
    """Felt under linen: as pale and as rough, but without yarns."""
    photo = taken(shot_of("linen-plain-ivory", close=True))
    levels = np.asarray(cv2.imdecode(np.frombuffer(photo.data, np.uint8), 1), np.uint8)
    assert not {"scale-assumed", "fill-assumed"} & {*from_photo(photo.data, 100.0).degraded}
    y, x = np.mgrid[:1200, :1600]
    inside = (np.abs(x - 800) < 640) & (np.abs(y - 600) < 440)
    smooth = cv2.GaussianBlur(levels, (0, 0), 40).astype(np.float32)
    fibres = cv2.GaussianBlur(
        np.random.default_rng(8).normal(0, 1, levels.shape[:2]).astype(np.float32), (0, 0), 1.5
    )
    wanted = roughness(levels, (256, 192))[..., 0].astype(np.float64).mean() / 16
    felt = smooth + (fibres / SLOPE_OF_FIBRES * 2 ** (wanted / 2))[..., None]
    vague = np.where(inside[..., None], levels, np.clip(felt, 0, 255)).astype(np.uint8)
    assert {"scale-assumed", "fill-assumed"} <= {*from_photo(jpeg(vague), 100.0).degraded}


@pytest.mark.parametrize(
    "stem", ["worsted-pinstripe-navy", "tweed-donegal-peat", "linen-plain-sand"]
)
def test_cloth_that_fills_the_frame_is_believed_to(stem: str) -> None:
    photo = taken(shot_of(stem, close=True))
    assert "scale-assumed" not in from_photo(photo.data, photo.width_mm).degraded


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


@pytest.mark.parametrize("stem", ["worsted-pinstripe-navy", "linen-hopsack-terracotta"])
def test_a_swatch_by_a_moving_hand_is_refused(stem: str) -> None:
    """Its border tells, whatever the yarns do."""
    refused = read(shaken(shot_of(stem, close=False))).refused
    assert refused is not None
    assert "desenfocada" in refused


@pytest.mark.parametrize("stem", ["linen-herringbone-sage", "jacketing-gun-club-moss"])
def test_a_close_up_by_a_moving_hand_is_refused(stem: str) -> None:
    """It has no border, but neither has it any fibres along the way the hand went."""
    shot = shot_of(stem, close=True)
    assert read(shot).refused is None
    assert "desenfocada" in (read(shaken(shot)).refused or "")


def test_of_faint_cloth_it_is_told_that_a_moved_hand_would_not_show() -> None:
    photo = taken(shot_of("flannel-chalk-stripe-oxford", close=True))
    assert "sharpness-unverified" in from_photo(photo.data, photo.width_mm).degraded


def test_of_stripes_alone_it_is_told_that_a_moved_hand_would_not_show() -> None:
    """A mill's clean picture of a stripe has no fibres that a movement could take."""
    picture = np.full((1600, 1600, 3), (64, 36, 27), np.uint8)
    picture[:, np.arange(1600) % 160 < 40] = (225, 220, 215)
    grainy = picture + np.random.default_rng(1).normal(0, 3, picture.shape)
    for levels in (picture, np.clip(grainy, 0, 255).astype(np.uint8)):
        data = cv2.imencode(".png", levels)[1].tobytes()
        assert "sharpness-unverified" in from_photo(data, 100.0).degraded


def test_a_blank_wall_is_no_cloth() -> None:
    with pytest.raises(SwatchUnreadable):
        from_photo(jpeg(np.full((600, 800, 3), 180, np.uint8)), 100.0)


def test_a_picture_of_two_things_is_no_cloth() -> None:
    noise = np.random.default_rng(2).normal(0, 4, (600, 800, 3))
    halves = np.where(np.arange(800)[None, :, None] < 400, 30, 220) + noise
    with pytest.raises(SwatchUnreadable):
        from_photo(jpeg(np.clip(halves, 0, 255).astype(np.uint8)), 100.0)
