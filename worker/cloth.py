"""Cloth: a tile of fabric in linear light that repeats in both directions, at a known scale.

It comes from a woven tile of the catalogue, from a flat photo of a swatch, or from a colour alone.
Whatever the way in, the tile's mean light is that of what came in.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import SwatchUnreadable
from worker.colour import LINEAR_OF_LEVEL, bgr_of_hex

MAX_PIXELS = 40_000_000
MIN_SIDE_PX = 32  # less shows no weave and no pattern
WORK_SIDE_PX = 1600  # of a photo; more than 120 px per cm in a hand-wide swatch
ASSUMED_WIDTH_MM = 100.0  # of a photo that does not say: a swatch-book cutting
WIDTH_RANGE_MM = (1.0, 5000.0)
TWILL_PX_PER_CM = 40.0
LONGEST_REPEAT = 0.75  # of the photo: beyond that too little of it is seen twice

Light = NDArray[np.float32]  # (height, width, 3): linear light, BGR


@dataclass(frozen=True, eq=False)
class Cloth:
    """A tile, row 0 at the top, warp upright; `px_per_cm` holds in both directions."""

    tile: Light
    px_per_cm: float
    kind: Literal["tile", "photo", "plain"]
    degraded: tuple[str, ...] = ()

    @property
    def size_cm(self) -> tuple[float, float]:
        """Width and height after which the tile repeats."""
        return self.tile.shape[1] / self.px_per_cm, self.tile.shape[0] / self.px_per_cm


def from_tile(data: bytes, width_mm: float) -> Cloth:
    """A seamless tile of known width. Raises SwatchUnreadable."""
    tile = LINEAR_OF_LEVEL[_levels(data)]
    return Cloth(tile, tile.shape[1] * 10 / _checked(width_mm), "tile")


def from_photo(data: bytes, width_mm: float | None) -> Cloth:
    """A flat, upright photo of cloth; `width_mm` is how much cloth it shows across.

    Uneven light is evened out, the picture cropped to whole repeats where the pattern is periodic,
    and its borders blended into each other. Raises SwatchUnreadable.
    """
    levels = _levels(data)
    if min(levels.shape[:2]) < MIN_SIDE_PX:
        raise SwatchUnreadable(f"La foto es demasiado pequeña: mínimo {MIN_SIDE_PX} píxeles.")
    photo = _worked_size(levels)
    even = _evened(photo)
    tile = even
    for axis in (0, 1):
        tile = _wrapped(tile, repeat_px(even, axis), axis)
    tile = (tile * (_mean(photo) / np.maximum(_mean(tile), 1e-6))).astype(np.float32)
    width = ASSUMED_WIDTH_MM if width_mm is None else _checked(width_mm)
    degraded = ("scale-assumed",) if width_mm is None else ()
    return Cloth(tile, photo.shape[1] * 10 / width, "photo", degraded)


def from_hex(colour: str) -> Cloth:
    """A plain fine twill of one colour, for an order without a swatch. Raises InvalidInput."""
    tile = bgr_of_hex(colour) * _twill()[..., None]
    return Cloth(tile.astype(np.float32), TWILL_PX_PER_CM, "plain", ("no-swatch",))


def resampled(cloth: Cloth, px_per_cm: float, blur_cm: float) -> Light:
    """The tile low-passed by a Gaussian of sigma `blur_cm`, at no more than `px_per_cm`.

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
    spectrum *= np.exp(-2 * (math.pi * blur_cm) ** 2 * per_cm)[..., None]
    tile = np.fft.irfft2(spectrum, (new_h, new_w), axes=(0, 1)) * (new_w * new_h / width / height)
    return np.asarray(np.maximum(tile, 0), np.float32)


def repeat_px(photo: Light, axis: int) -> float | None:
    """Period of the pattern along an axis in pixels, by autocorrelation; None when there is none.

    The correlation of lines with themselves is averaged over the lines and the three channels, and
    made unbiased by the overlap. The pattern's repeat is the shortest lag that is nearly as good as
    the best one, and is refined at its last multiple.
    """
    lines = np.moveaxis(photo, axis, -1).reshape(-1, photo.shape[axis])
    lines = lines[:: max(1, len(lines) // 768)]
    lines = lines - lines.mean(axis=1, keepdims=True)
    size = lines.shape[1]
    power = np.abs(np.fft.rfft(lines, 2 * size, axis=1)) ** 2
    overlap = size - np.arange(size)
    correlation = np.fft.irfft(power.mean(axis=0))[:size] / overlap
    if correlation[0] <= 1e-9:
        return None
    correlation = correlation[: int(size * LONGEST_REPEAT)] / correlation[0]
    peaks = _peaks(correlation)
    if not peaks:
        return None
    best = max(correlation[lag] for lag in peaks)
    first = next(lag for lag in peaks if correlation[lag] >= 0.95 * best)
    return _refined(correlation, first)


def _peaks(correlation: NDArray[np.float64]) -> list[int]:
    """Lags of clear local maxima: well above both nothing and the valley before them."""
    inner = correlation[1:-1]
    local = np.flatnonzero((inner > correlation[:-2]) & (inner >= correlation[2:])) + 1
    valley = np.minimum.accumulate(correlation)
    return [int(lag) for lag in local if correlation[lag] > max(0.3, valley[lag] + 0.25)]


def _refined(correlation: NDArray[np.float64], lag: int) -> float:
    period = _vertex(correlation, lag)
    for multiple in range(2, int((len(correlation) - 2) / period) + 1):
        reach = max(1, round(0.1 * period))
        near = round(multiple * period)
        if near + reach + 2 > len(correlation):
            break
        top = near - reach + int(correlation[near - reach : near + reach + 1].argmax())
        period = _vertex(correlation, top) / multiple
    return period


def _vertex(values: NDArray[np.float64], at: int) -> float:
    """Position of the maximum of the parabola through three neighbours."""
    before, here, after = values[at - 1 : at + 2]
    bend = before - 2 * here + after
    if bend >= 0 or here < max(before, after):
        return float(at)
    return float(at + 0.5 * (before - after) / bend)


def _wrapped(photo: Light, period: float | None, axis: int) -> Light:
    """Crop along an axis and blend the cut-off end into the beginning, so that the tile repeats.

    The blend is scaled by how alike both ends are: averaging two unlike pieces of cloth would
    otherwise show as a dull band.
    """
    lines = np.moveaxis(photo, axis, 0)
    blend = len(lines) // 8
    kept = len(lines) - blend
    if period is not None and period <= len(lines) * 7 / 8:
        kept = round(int(kept / period + 1e-6) * period) or round(period)
        blend = min(blend, len(lines) - kept)
    if blend < 1:
        return photo[: len(lines)]
    mean = _mean(photo)
    end, start = lines[kept : kept + blend] - mean, lines[:blend] - mean
    alike = float((end * start).mean() / max(1e-9, end.std() * start.std()))
    fade = (np.arange(blend, dtype=np.float32) + 0.5).reshape(-1, 1, 1) / blend
    spread = fade**2 + (1 - fade) ** 2 + 2 * fade * (1 - fade) * min(1.0, max(0.0, alike))
    mixed = (end * (1 - fade) + start * fade) / np.sqrt(spread) + mean
    tile = np.concatenate([np.maximum(mixed, 0), lines[blend:kept]])
    return np.moveaxis(tile, 0, axis)


def _evened(photo: Light) -> Light:
    """Divide by the light's own field: a quadratic surface through the log luminance.

    A surface of six terms follows a window, a lamp and most of a vignette, but no stripe or check.
    """
    small = cv2.resize(photo.mean(axis=2), (64, 64), interpolation=cv2.INTER_AREA)
    field = np.log(np.maximum(small, 1e-4)).ravel()
    weights, *_ = np.linalg.lstsq(_quadratic(64, 64), field, rcond=None)
    surface = _quadratic(*photo.shape[:2]) @ weights
    uneven = np.exp(surface - surface.mean()).reshape(*photo.shape[:2], 1)
    return np.asarray(photo / uneven, np.float32)


def _quadratic(height: int, width: int) -> NDArray[np.float32]:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = ((x.ravel() + 0.5) / width - 0.5), ((y.ravel() + 0.5) / height - 0.5)
    return np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=1)


def _mean(light: Light) -> NDArray[np.float64]:
    return np.asarray(light.mean(axis=(0, 1), dtype=np.float64))


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


def _worked_size(levels: NDArray[np.uint8]) -> Light:
    """To linear light, then averaged down to WORK_SIDE_PX: light averages, levels do not."""
    scale = WORK_SIDE_PX / max(levels.shape[:2])
    if scale >= 1:
        return LINEAR_OF_LEVEL[levels]
    linear = cv2.LUT(levels, np.round(LINEAR_OF_LEVEL * 65535).astype(np.uint16))
    size = (max(1, round(levels.shape[1] * scale)), max(1, round(levels.shape[0] * scale)))
    small = cv2.resize(linear, size, interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) * np.float32(1 / 65535)


def _levels(data: bytes) -> NDArray[np.uint8]:
    """Decode to 8-bit BGR, with bounded memory: the size is read before anything is decoded."""
    size = _declared_size(data)
    if size is None:
        raise SwatchUnreadable("La muestra no es una imagen JPEG, PNG o WebP.")
    if size[0] * size[1] > MAX_PIXELS:
        raise SwatchUnreadable("La muestra es demasiado grande: el máximo son 40 megapíxeles.")
    try:
        levels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        levels = None
    if levels is None:
        raise SwatchUnreadable("La imagen de la muestra está dañada y no se puede leer.")
    return np.asarray(levels, np.uint8)


def _declared_size(data: bytes) -> tuple[int, int] | None:
    """Width and height that a PNG, JPEG or WebP header names; None for anything else."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            width, height = struct.unpack_from(">II", data, 16)
            return width, height
        if data.startswith(b"\xff\xd8"):
            return next(_jpeg_frames(data), None)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp_size(data)
    except (struct.error, IndexError):
        return None  # the header is cut off
    return None


def _jpeg_frames(data: bytes) -> Iterator[tuple[int, int]]:
    """Sizes in the frame headers (SOF) of a JPEG; ITU-T T.81, B.2.2."""
    at = 2
    while True:
        while data[at + 1] == 0xFF:  # fill bytes
            at += 1
        marker, length = data[at + 1], struct.unpack_from(">H", data, at + 2)[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            yield width, height
        if marker == 0xDA:  # the picture itself begins: no frame header before it
            return
        at += 2 + length


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """Size from the first chunk: lossy, lossless or extended (RFC 9649)."""
    match data[12:16]:
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", data, 26)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            bits = struct.unpack_from("<I", data, 21)[0]
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            low, high = data[24:27], data[27:30]
            return int.from_bytes(low, "little") + 1, int.from_bytes(high, "little") + 1
    return None
