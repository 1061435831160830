"""Cloth: three ways in, and the colour, scale and repeat of what came in survive all of them."""

import struct
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import InvalidInput, SwatchUnreadable
from worker.cloth import Light, from_hex, from_photo, from_tile, resampled
from worker.colour import LINEAR_OF_LEVEL, encoded
from worker.repeat import repeats_px, wrapped

NAVY, CHALK = (64, 36, 27), (216, 206, 201)  # BGR levels


def encoded_as(extension: str, picture: NDArray[Any], *settings: int) -> bytes:
    done, data = cv2.imencode(extension, picture, settings)
    assert done
    return data.tobytes()


def striped(width: int, height: int, pitch: int, bar: int = 20) -> NDArray[np.uint8]:
    """Upright chalk stripes on navy with a little noise, as a camera sees them."""
    picture = np.full((height, width, 3), NAVY, np.float64)
    picture[:, np.arange(width) % pitch < bar] = CHALK
    noise = np.random.default_rng(3).normal(0, 3, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def threaded(width: int, height: int) -> NDArray[np.uint8]:
    """Cloth of uneven yarns without any repeat."""
    random = np.random.default_rng(5)
    warp = cv2.GaussianBlur(random.normal(0, 1, (height, width, 3)), (0, 0), 1.2, sigmaY=25)
    weft = cv2.GaussianBlur(random.normal(0, 1, (height, width, 3)), (0, 0), 25, sigmaY=1.2)
    yarns = warp / warp.std() + weft / weft.std() + random.normal(0, 0.3, warp.shape)
    return np.asarray(np.clip(110 + 14 * yarns, 0, 255), np.uint8)


def mean_light(levels: NDArray[np.uint8]) -> NDArray[Any]:
    return np.asarray(LINEAR_OF_LEVEL[levels].mean(axis=(0, 1), dtype=np.float64))


def seam_and_steepest(tile: Light, axis: int) -> tuple[float, float]:
    """Mean step between neighbours across the seam, and at the steepest place within the tile."""
    lines = np.moveaxis(tile, axis, 0)
    steps = np.abs(np.diff(lines, axis=0)).mean(axis=(1, 2))
    return float(np.abs(lines[0] - lines[-1]).mean()), float(steps.max())


@pytest.mark.parametrize("colour", ["#1B2440", "#F4F2EC", "#000000", "#FF0000", "#7a2f34"])
def test_a_plain_twill_has_exactly_the_colour_that_was_asked_for(colour: str) -> None:
    cloth = from_hex(colour)
    levels = np.round(encoded(cloth.tile.mean(axis=(0, 1), dtype=np.float64)) * 255).astype(int)
    assert "#{2:02X}{1:02X}{0:02X}".format(*levels) == colour.upper()
    assert cloth.degraded == ("no-swatch",)


@pytest.mark.parametrize("colour", ["", "1B2440", "#1B244", "#1B24401", "navy", "#GG0000"])
def test_a_colour_in_another_form_is_refused(colour: str) -> None:
    with pytest.raises(InvalidInput, match="#RRGGBB"):
        from_hex(colour)


def test_a_tile_keeps_its_scale_and_its_pixels() -> None:
    picture = striped(320, 160, 64)
    cloth = from_tile(encoded_as(".png", picture), width_mm=80)
    assert cloth.px_per_cm == pytest.approx(40)
    assert cloth.size_cm == pytest.approx((8, 4))
    assert np.array_equal(cloth.tile, LINEAR_OF_LEVEL[picture])
    assert cloth.degraded == ()


@pytest.mark.parametrize("width_mm", [0, -5, 0.5, 1e6, float("nan"), float("inf")])
def test_a_width_that_no_cloth_has_is_refused(width_mm: float) -> None:
    with pytest.raises(SwatchUnreadable, match="ancho"):
        from_tile(encoded_as(".png", striped(64, 64, 16)), width_mm)


def test_resampling_keeps_the_mean_and_wraps() -> None:
    cloth = from_tile(encoded_as(".png", striped(320, 160, 64)), width_mm=80)
    small = resampled(cloth, px_per_cm=20, blur_cm=0.03)
    assert small.shape == (80, 160, 3)
    assert np.allclose(small.mean(axis=(0, 1)), cloth.tile.mean(axis=(0, 1)), rtol=1e-4)
    twice = np.tile(cloth.tile, (2, 2, 1))
    doubled = resampled(type(cloth)(twice, cloth.px_per_cm, "tile"), 20, 0.03)
    assert np.allclose(doubled, np.tile(small, (2, 2, 1)), atol=1e-3)


def test_resampling_never_invents_resolution() -> None:
    cloth = from_tile(encoded_as(".png", striped(64, 64, 16)), width_mm=80)
    assert resampled(cloth, px_per_cm=30, blur_cm=0).shape == (64, 64, 3)
    assert np.allclose(resampled(cloth, 30, 0), cloth.tile, atol=1e-5)


@pytest.mark.parametrize("extension", [".jpg", ".png", ".webp"])
def test_a_striped_photo_becomes_a_whole_number_of_stripes(extension: str) -> None:
    cloth = from_photo(encoded_as(extension, striped(1000, 700, 100)), width_mm=100)
    stripes = cloth.size_cm[0] / 1.0  # every 10 mm
    assert round(stripes) in (7, 8, 9)
    assert stripes == pytest.approx(round(stripes), abs=0.02)
    assert cloth.px_per_cm == pytest.approx(100)
    assert cloth.repeat_cm[0] == pytest.approx(1, rel=0.005)
    assert "white-balance-unverified" in cloth.degraded


@pytest.mark.parametrize("pitch", [37.4, 61.7, 142.9])
def test_the_repeat_is_found_to_half_a_percent(pitch: float) -> None:
    x = np.arange(900)
    wave = 0.3 + 0.1 * np.cos(2 * np.pi * x / pitch) + 0.05 * np.cos(4 * np.pi * x / pitch)
    noise = np.random.default_rng(1).normal(0, 0.03, (400, 900, 3))
    photo = (wave[None, :, None] + noise).astype(np.float32)
    across, down = repeats_px(photo)
    assert across == pytest.approx(pitch, rel=0.005)
    assert down is None


def test_cloth_without_a_pattern_has_no_repeat() -> None:
    photo = LINEAR_OF_LEVEL[threaded(600, 400)]
    assert repeats_px(photo) == (None, None)
    assert repeats_px(np.full((64, 64, 3), 0.2, np.float32)) == (None, None)


def test_a_second_colour_doubles_the_repeat_although_lightness_says_otherwise() -> None:
    x = np.arange(700)
    stripes = 0.08 * (np.sin(2 * np.pi * x / 40) > 0.6)
    rust = np.where(np.sin(2 * np.pi * (x + 10) / 80) > 0, 1.0, 0.0) * (stripes > 0)
    photo = np.full((500, 700, 3), 0.2) + stripes[None, :, None]
    photo += rust[None, :, None] * np.array([-0.03, -0.0045, 0.028])  # of one luminance
    photo += np.random.default_rng(4).normal(0, 0.01, photo.shape)
    across, down = repeats_px(photo.astype(np.float32))
    assert across == pytest.approx(80, rel=0.01)
    assert down is None


def test_thin_panes_far_apart_are_the_repeat_and_not_the_weave_between_them() -> None:
    y, x = np.mgrid[:700, :900]
    weave = 0.02 * np.sin(2 * np.pi * (x + y) / 12)
    panes = 0.1 * ((x % 300 < 6) | (y % 240 < 6))
    light = 0.2 + weave + panes + np.random.default_rng(6).normal(0, 0.01, x.shape)
    photo = np.repeat(light[..., None], 3, axis=2).astype(np.float32)
    assert repeats_px(photo)[0] == pytest.approx(300, rel=0.01)
    assert repeats_px(photo)[1] == pytest.approx(240, rel=0.01)


@pytest.mark.parametrize("picture", [striped(900, 600, 90), threaded(700, 500)])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_photo_becomes_a_tile_without_a_seam(picture: NDArray[np.uint8], axis: int) -> None:
    cloth = from_photo(encoded_as(".png", picture), width_mm=90)
    seam, steepest = seam_and_steepest(cloth.tile, axis)
    assert 0 < seam < 1.2 * steepest


def test_blending_the_borders_leaves_no_dull_band() -> None:
    cloth = from_photo(encoded_as(".png", threaded(800, 800)), width_mm=90)
    band, rest = cloth.tile[:, :80].std(), cloth.tile[:, 300:].std()
    assert band == pytest.approx(rest, rel=0.12)


@pytest.mark.parametrize("picture", [striped(1000, 700, 100), threaded(600, 600)])
def test_a_photos_mean_colour_survives(picture: NDArray[np.uint8]) -> None:
    cloth = from_photo(encoded_as(".png", picture), width_mm=100)
    assert np.allclose(cloth.tile.mean(axis=(0, 1)), mean_light(picture), rtol=0.02)


def test_uneven_light_is_evened_out() -> None:
    x = np.linspace(-1, 1, 900)[None, :, None]
    y = np.linspace(-1, 1, 600)[:, None, None]
    lamp = 1 + 0.3 * x - 0.15 * y - 0.1 * (x * x + y * y)
    linear = LINEAR_OF_LEVEL[threaded(900, 600)] * lamp
    uneven = np.round(encoded(np.clip(linear, 0, 1)) * 255).astype(np.uint8)
    assert spread(LINEAR_OF_LEVEL[uneven]) > 0.3
    cloth = from_photo(encoded_as(".png", uneven), width_mm=90)
    assert spread(cloth.tile) < 0.08
    assert np.allclose(cloth.tile.mean(axis=(0, 1)), mean_light(uneven), rtol=0.03)


def spread(light: Light) -> float:
    """How far apart the means of 16 parts of a picture lie, relative to the mean."""
    parts = cv2.resize(light.mean(axis=2), (4, 4), interpolation=cv2.INTER_AREA)
    return float(np.ptp(parts) / parts.mean())


def test_a_photo_of_unknown_scale_says_so() -> None:
    cloth = from_photo(encoded_as(".jpg", threaded(600, 400)), width_mm=None)
    assert cloth.degraded == ("scale-assumed", "white-balance-unverified", "shape-assumed")
    assert cloth.px_per_cm == pytest.approx(60)  # 600 px over the assumed 100 mm


def test_a_large_photo_is_reduced_without_changing_scale_or_colour() -> None:
    picture = np.tile(threaded(800, 600), (4, 4, 1))
    cloth = from_photo(encoded_as(".jpg", picture, cv2.IMWRITE_JPEG_QUALITY, 95), width_mm=320)
    assert max(cloth.tile.shape) <= 1600
    assert cloth.px_per_cm == pytest.approx(50)
    assert np.allclose(cloth.tile.mean(axis=(0, 1)), mean_light(picture), rtol=0.01)


def png_header(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + bytes(32)


BROKEN = {
    "nothing": b"",
    "text": b"hello, cloth",
    "gif": b"GIF89a" + bytes(64),
    "cut png": encoded_as(".png", striped(64, 64, 16))[:60],
    "cut jpeg header": encoded_as(".jpg", striped(64, 64, 16))[:40],
    "jpeg of two bytes": b"\xff\xd8",
    "webp header": b"RIFF\x00\x00\x00\x00WEBPVP8 ",
    "a header of 10 gigapixels": png_header(100_000, 100_000),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_bytes_that_are_no_picture_are_refused(data: bytes) -> None:
    with pytest.raises(SwatchUnreadable):
        from_photo(data, 100)
    with pytest.raises(SwatchUnreadable):
        from_tile(data, 100)


def test_a_picture_that_is_too_large_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(SwatchUnreadable, match="40 megapíxeles"):
        from_photo(png_header(100_000, 100_000), 100)


def test_a_photo_too_small_to_show_cloth_is_refused() -> None:
    with pytest.raises(SwatchUnreadable, match="pequeña"):
        from_photo(encoded_as(".png", striped(20, 400, 5, 2)), 100)


@pytest.mark.parametrize("seed", range(12))
def test_any_small_photo_becomes_some_tile(seed: int) -> None:
    """Short, coarse and half-periodic pictures, where a peak may lie at the end of the photo."""
    random = np.random.default_rng(seed)
    width, height = random.integers(32, 160, 2)
    coarse = random.uniform(0, 255, (int(height) // 9 + 1, int(width) // 7 + 1, 3))
    size = (int(width), int(height))
    picture = LINEAR_OF_LEVEL[
        cv2.resize(coarse, size, interpolation=cv2.INTER_NEAREST).astype(np.uint8)
    ]
    tile = picture
    for axis, period in zip((1, 0), repeats_px(picture), strict=True):
        tile = wrapped(tile, period, axis)
    assert tile.shape[0] <= height
    assert tile.shape[1] <= width
    assert tile.min() >= 0
    assert np.isfinite(tile).all()
