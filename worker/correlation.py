"""Correlation: how alike cloth is to itself a lag away, at each scale, in lightness and in colour.

Scales are told apart because they disagree: threads are like their neighbours, checks are not, and
a gun club's second colour shows only in the colours.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

LONG_SIDE_PX = 800  # of the finest scale that sees the whole photo
CROP_PX = 600  # of the photo's own pixels, where that is finer still
SMALLEST_PX = 24
LONGEST_LAG = 0.72  # of a side: beyond that too little is seen twice
FINE, COARSE = 1.0, 2.4  # px: a scale is what a Gaussian of the one sigma passes and the other not
CONTRAST_MIN = 0.35  # CIELAB units: less is not seen
SHARE_MIN = 0.08  # of all scales' contrast: less is no pattern beside the others

Light = NDArray[np.float32]  # (height, width, 3): linear light, BGR
Lab = NDArray[np.float32]  # (height, width, 3): CIE L*a*b*
Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Band:
    """One scale of lightness or of colour along one axis; `alike[lag]` is 1 for lag 0."""

    side_px: int  # of the whole photo at this scale
    contrast: float  # CIELAB units
    alike: Doubles


def bands_of(photo: Light) -> tuple[list[Band], list[Band]]:
    """Bands across and down the photo, the finest first."""
    across: list[Band] = []
    down: list[Band] = []
    for lab, (width, height) in _scales(photo):
        for right, below in _correlations(lab):
            across.append(_band(right, width))
            down.append(_band(below, height))
    return _seen(across), _seen(down)


def _band(energy: Doubles, side_px: int) -> Band:
    """Of energy by lag; what was taken off it may leave nothing."""
    own = max(float(energy[0]), 1e-12)
    return Band(side_px, float(np.sqrt(own)), energy / own)


def _seen(bands: list[Band]) -> list[Band]:
    total = float(np.sqrt(sum(band.contrast**2 for band in bands if band.contrast > CONTRAST_MIN)))
    return [band for band in bands if band.contrast > max(CONTRAST_MIN, SHARE_MIN * total)]


def _scales(photo: Light) -> Iterator[tuple[Lab, tuple[int, int]]]:
    """Pictures from fine to coarse, and how large the whole photo is at each scale."""
    height, width = photo.shape[:2]
    zoom = min(1.0, LONG_SIDE_PX / max(height, width))
    if zoom < 0.9:
        top, left = max(0, height - CROP_PX) // 2, max(0, width - CROP_PX) // 2
        crop = photo[top : top + CROP_PX, left : left + CROP_PX]
        yield _lab(crop), (width, height)
    small = cv2.resize(photo, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
    lab = _lab(np.asarray(small, np.float32))
    while min(lab.shape[:2]) >= SMALLEST_PX:
        yield lab, (lab.shape[1], lab.shape[0])
        soft = cv2.GaussianBlur(lab, (0, 0), 1.0)
        lab = np.asarray(
            cv2.resize(soft, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.float32
        )


def _lab(light: Light) -> Lab:
    """By OpenCV, which takes light up to 1: a card's gain may have lifted white cloth above it."""
    within = np.clip(light / max(1.0, float(light.max())), 0, 1)
    return np.asarray(cv2.cvtColor(within.astype(np.float32), cv2.COLOR_LBGR2Lab), np.float32)


def _correlations(lab: Lab) -> Iterator[tuple[Doubles, Doubles]]:
    """Energy by lag across and down, of lightness and then of colour, for one scale.

    The transform of the power spectrum, without wrapping, over the overlap; what does not change
    along an axis at all is taken off, as it is like itself at any lag.
    """
    height, width = lab.shape[:2]
    sides = (_padded(height), _padded(width))
    f_x, f_y = np.fft.rfftfreq(sides[1]), np.fft.fftfreq(sides[0])
    gain = (_passed(f_x[None, :] ** 2 + f_y[:, None] ** 2) ** 2).astype(np.float32)
    lab = lab - np.array(cv2.mean(lab)[:3], np.float32)  # many times as fast as numpy's mean
    lags_x, lags_y = (np.arange(int(side * LONGEST_LAG)) for side in (width, height))
    for group in (lab[..., :1], lab[..., 1:]):
        power = gain * sum(_power(plane, sides) for plane in np.moveaxis(group, 2, 0))
        right, below = _beside_the_axes(power, sides)
        right = right[: len(lags_x)] / height / (width - lags_x)
        below = below[: len(lags_y)] / width / (height - lags_y)
        yield right - _still(group, 1), below - _still(group, 0)


def _padded(side: int) -> int:
    return int(cv2.getOptimalDFTSize(round((1 + LONGEST_LAG) * side) + 1))


def _power(plane: Lab, sides: tuple[int, int]) -> NDArray[np.float32]:
    waves = np.fft.rfft2(plane, sides)
    return np.asarray(waves.real**2 + waves.imag**2, np.float32)


def _beside_the_axes(power: NDArray[np.float32], sides: tuple[int, int]) -> tuple[Doubles, Doubles]:
    """The power spectrum's transform along the lags (x, 0) and (0, y): the largest of the line and
    its two neighbours, as half a degree of turn must not matter. The other lags are not needed.
    """
    height, width = sides
    turn_y, turn_x = 2 * np.pi * np.fft.fftfreq(height), 2 * np.pi * np.fft.rfftfreq(width)
    twice = np.full(len(turn_x), 2.0)  # half the spectrum is stored
    twice[0] = 1
    if width % 2 == 0:
        twice[-1] = 1
    rows = _product(_harmonics(turn_y), power)
    columns = _product(_harmonics(turn_x) * twice.astype(np.float32), np.ascontiguousarray(power.T))
    right = [np.fft.irfft(line, width) / height for line in _lines(rows)]
    below = [np.fft.ifft(line).real / width for line in _lines(columns)]
    return np.max(right, axis=0), np.max(below, axis=0)


def _product(few: NDArray[np.float32], many: NDArray[np.float32]) -> NDArray[np.float32]:
    """By OpenCV: of so few rows numpy's takes ten times the processor's time, on two threads."""
    nothing = np.zeros((0, 0), np.float32)
    return np.asarray(cv2.gemm(few, many, 1.0, nothing, 0.0), np.float32)


def _harmonics(turn: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    return np.stack([np.ones_like(turn), np.cos(turn), np.sin(turn)]).astype(np.float32)


def _lines(sums: NDArray[np.float32]) -> list[NDArray[np.complex128]]:
    """Spectra of the line itself and of the neighbours on both sides."""
    whole, even, odd = sums.astype(np.float64)
    return [whole + 0j, even + 1j * odd, even - 1j * odd]


def _still(group: Lab, axis: int) -> float:
    """Energy of what does not change along an axis."""
    lines = cv2.reduce(np.ascontiguousarray(group), axis, cv2.REDUCE_AVG)
    lines = np.asarray(lines).reshape(group.shape[1 - axis], -1)
    size = len(lines)
    spectrum = np.fft.rfft(lines, 2 * size, axis=0)
    spectrum *= _passed(np.fft.rfftfreq(2 * size) ** 2)[:, None]
    return float((np.fft.irfft(spectrum, 2 * size, axis=0) ** 2).sum() / size)


def _passed(f_squared: NDArray[np.floating[Any]]) -> Doubles:
    """A scale's share of each wave, by its frequency in cycles per pixel, squared."""
    fine, coarse = (np.exp(-2 * (np.pi * sigma) ** 2 * f_squared) for sigma in (FINE, COARSE))
    return np.asarray(fine - coarse)
