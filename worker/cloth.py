"""Cloth: a tile of fabric in linear light that repeats in both directions, at a known scale.

It comes from a woven tile of the catalogue, from a phone photo of a swatch, or from a colour alone.
Whatever the way in, the tile's mean light is that of what came in.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import SwatchUnreadable
from worker.colour import LINEAR_OF_LEVEL, bgr_of_hex
from worker.repeat import repeats_px, wrapped
from worker.surface import ASSUMED, Surface, surface_of
from worker.swatch_file import levels_of
from worker.swatch_photo import flattened

WIDTH_RANGE_MM = (1.0, 5000.0)
TWILL_PX_PER_CM = 40.0
ROLL_OFF = 0.3  # of the finest waves that are kept: over which they fade out

Light = NDArray[np.float32]  # (height, width, 3): linear light, BGR


@dataclass(frozen=True, eq=False)
class Cloth:
    """A tile, row 0 at the top, warp upright; `px_per_cm` holds in both directions."""

    tile: Light
    px_per_cm: float
    kind: Literal["tile", "photo", "plain"]
    degraded: tuple[str, ...] = ()
    repeat_cm: tuple[float | None, float | None] = (None, None)  # of a photo: across, down
    surface: Surface = ASSUMED

    @property
    def size_cm(self) -> tuple[float, float]:
        """Width and height after which the tile repeats."""
        return self.tile.shape[1] / self.px_per_cm, self.tile.shape[0] / self.px_per_cm


def from_tile(data: bytes, width_mm: float) -> Cloth:
    """A seamless tile of known width. Raises SwatchUnreadable."""
    tile = LINEAR_OF_LEVEL[levels_of(data)]
    px_per_cm = tile.shape[1] * 10 / _checked(width_mm)
    return Cloth(tile, px_per_cm, "tile", surface=surface_of(data))


@lru_cache(maxsize=2)
def from_photo(
    data: bytes, width_mm: float | None, corners: tuple[tuple[float, float], ...] | None = None
) -> Cloth:
    """A phone photo of cloth: a swatch on a table, or a close-up.

    `width_mm` is how wide the swatch is, or how much cloth a close-up shows across; `corners` may
    tell where the swatch lies (see swatch_photo). It is squared, evened out, cropped to whole
    repeats where the pattern is periodic, and its borders blended. Raises SwatchUnreadable.
    """
    width = None if width_mm is None else _checked(width_mm)
    photo = flattened(levels_of(data), width, corners)
    tile, repeats = photo.light, repeats_px(photo.light)
    for axis, period in ((1, repeats[0]), (0, repeats[1])):
        tile = wrapped(tile, period, axis)
    tile = (tile * (_mean(photo.light) / np.maximum(_mean(tile), 1e-6))).astype(np.float32)
    tile.flags.writeable = False
    across, down = (None if px is None else px / photo.px_per_cm for px in repeats)
    return Cloth(tile, photo.px_per_cm, "photo", photo.degraded, (across, down))


def from_hex(colour: str) -> Cloth:
    """A plain fine twill of one colour, for an order without a swatch. Raises InvalidInput."""
    tile = bgr_of_hex(colour) * _twill()[..., None]
    return Cloth(tile.astype(np.float32), TWILL_PX_PER_CM, "plain", ("no-swatch",))


def resampled(
    cloth: Cloth, px_per_cm: float, blur_cm: float, finest_per_cm: float = math.inf
) -> Light:
    """The tile low-passed by a Gaussian of sigma `blur_cm`, at no more than `px_per_cm`.

    Of waves about `finest_per_cm` half is left (raised cosine), of much finer ones nothing.
    Done in the tile's Fourier series, so it wraps exactly and keeps the mean exactly. The new size
    is rounded to whole pixels; the tile's extent in centimetres stays `cloth.size_cm`.
    """
    height, width = cloth.tile.shape[:2]
    new_w, new_h = (
        min(size, max(4, round(cm * px_per_cm)))
        for size, cm in zip((width, height), cloth.size_cm, strict=True)
    )
    waves_x, waves_y = np.fft.rfftfreq(new_w, 1 / new_w), np.fft.fftfreq(new_h, 1 / new_h)
    spectrum = np.fft.rfft2(cloth.tile, axes=(0, 1))[:, : new_w // 2 + 1]
    spectrum = spectrum[waves_y.astype(np.intp)]
    wide_cm, high_cm = cloth.size_cm
    per_cm = (waves_x / wide_cm) ** 2 + ((waves_y / high_cm) ** 2)[:, None]
    beyond = np.clip((np.sqrt(per_cm) / finest_per_cm - 1) / ROLL_OFF + 0.5, 0, 1)
    gain = np.exp(-2 * (math.pi * blur_cm) ** 2 * per_cm) * (1 + np.cos(math.pi * beyond)) / 2
    spectrum *= gain[..., None]
    tile = np.fft.irfft2(spectrum, (new_h, new_w), axes=(0, 1)) * (new_w * new_h / width / height)
    return np.asarray(np.maximum(tile, 0), np.float32)


def _mean(light: Light) -> NDArray[np.float64]:
    return np.array(cv2.mean(light)[:3])  # many times as fast as numpy's


def _twill() -> NDArray[np.float64]:
    """2/2 twill of 20 yarns per cm with a little life in the yarns; mean 1, 256 px each way."""
    size, yarn = 256, 2
    random = np.random.default_rng(7)
    y, x = np.mgrid[:size, :size]
    warp_up = ((x // yarn) + (y // yarn)) % 4 < 2
    warp, weft = 1 + 0.03 * random.standard_normal((2, size // yarn))
    pattern = np.where(warp_up, warp[x // yarn], 0.86 * weft[y // yarn])
    pattern *= 1 + 0.05 * random.standard_normal((size, size))
    return np.asarray(pattern / pattern.mean())


def _checked(width_mm: float) -> float:
    low, high = WIDTH_RANGE_MM
    if not low <= width_mm <= high:
        raise SwatchUnreadable(f"El ancho de la muestra debe estar entre {low:g} y {high:g} mm.")
    return width_mm
