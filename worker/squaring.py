"""Squaring: the homography that shows cloth in a photo as if seen from straight above.

Either from the four corners of a rectangular swatch, or from the cloth itself: by the phase of its
pattern's wave, or else by its weave: once the tilt is undone, patches all over the photo show the
same spectrum and the whole photo shows a sharp one.
The camera is taken for a phone's: the middle of the picture is its axis, the focal length known.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.thread_direction import thread_direction
from worker.wave_front import tilt_by_wave

FOCAL = 26 / 36  # of the long side: the 26 mm equivalent of a phone's main camera
COARSE_PX, FINE_PX, FINEST_PX = 200, 400, 800  # long sides: checks, most cloth, fine weaves
PATCH_PX = 128
PATCHES = (4, 5)  # down and across
BINS = 64  # of the common spectrum, each way: waves longer than four pixels
TILTS = np.tan(np.radians(40)) * np.linspace(-1, 1, 11)
PATCHES_WEIGH = 3.0  # against the whole photo: fewer waves, but no favour for any tilt
TILT_COSTS = 2.0  # of log sharpness: noise and slubs, too, look sharper the more they are tilted
FINE_TILT_COSTS = 1.0  # near what was found
SURE = 0.03  # of log sharpness, beyond the costs, that a tilt must gain to be believed
FINEST_STEP = 0.005
FINE_REACH = 0.1
ASIDE = 0.2  # a tilt is seen when others so far away are worse
LEVEL = 0.035  # two degrees: not worth resampling the photo

Matrix = NDArray[np.float64]  # (3, 3)
Grey = NDArray[np.float32]
Tilt = tuple[float, float]  # the cloth's normal over its third component, in the camera's frame


def from_corners(corners: NDArray[np.float64], size: tuple[int, int]) -> tuple[Matrix, float]:
    """Photo px to a unit-wide rectangle, and its height over its width.

    The columns of K⁻¹H are the rectangle's sides in space, so their lengths give its proportions
    (Zhang, He: Whiteboard scanning and image enhancement, Digital Signal Processing 17, 2007).
    """
    unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    seen = cv2.getPerspectiveTransform(unit, corners.astype(np.float32))
    sides = np.linalg.inv(_lens(size)) @ seen
    aspect = float(np.linalg.norm(sides[:, 1]) / np.linalg.norm(sides[:, 0]))
    return np.diag([1.0, aspect, 1.0]) @ np.linalg.inv(seen), aspect


def _lens(size: tuple[int, int]) -> Matrix:
    width, height = size
    focal = FOCAL * max(size)
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])


@dataclass(frozen=True)
class Upright:
    """A homography from photo px, of scale 1 at the middle; and whether the weave showed it."""

    matrix: Matrix
    sure: bool


def from_weave(grey: Grey, mask: NDArray[np.uint8]) -> Upright:
    """Undo tilt and turn by the cloth's own spectrum; only what lies within the mask counts."""
    coarse, fine, finest = (_whole(grey, mask, px) for px in (COARSE_PX, FINE_PX, FINEST_PX))
    by_wave = tilt_by_wave(coarse.log, coarse.cover, FOCAL * COARSE_PX)
    if by_wave is None:
        tilt, seen = _sharpest(_sight(fine.log, mask), coarse, fine)
    else:
        tilt, seen = by_wave if math.hypot(*by_wave) > LEVEL else (0.0, 0.0), True
    roll_deg = thread_direction([whole.seen_along(tilt) for whole in (fine, finest)])
    size = (grey.shape[1], grey.shape[0])
    turn = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), roll_deg, 1.0)
    return Upright(np.vstack([turn, [0, 0, 1]]) @ _untilted(tilt, size), seen)


@dataclass(frozen=True)
class _Whole:
    """The photo at one size: its log light, where there is cloth, and the light without shading
    in a soft window."""

    log: Grey
    cover: Grey
    detail: Grey
    window: Grey

    @property
    def size(self) -> tuple[int, int]:
        return self.log.shape[1], self.log.shape[0]

    def seen_along(self, tilt: Tilt) -> Grey:
        flat = cv2.warpPerspective(self.detail, _untilted(tilt, self.size), self.size)
        return np.asarray(flat, np.float32)

    def sharpness(self, tilt: Tilt) -> float:
        """How few waves make up the picture, for the area that is seen."""
        both = cv2.warpPerspective(
            np.dstack([self.detail, self.window]), _untilted(tilt, self.size), self.size
        )
        detail, window = cv2.split(both)
        power = _power(np.asarray(detail, np.float32))
        area = window * window
        seen = float(area.sum()) ** 2 / float(np.vdot(area, area))
        return float(np.vdot(power, power)) / float(power.sum()) ** 2 * seen


def _whole(grey: Grey, mask: NDArray[np.uint8], long_side_px: int) -> _Whole:
    scale = long_side_px / max(grey.shape)
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    height, width = small.shape
    cover = np.asarray(
        cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA), np.float32
    ) / np.float32(255)
    log = np.log(np.maximum(small, 1e-3)).astype(np.float32)
    shading = _low(log * cover) / np.maximum(_low(cover), 1e-3)
    window = cover * np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)
    return _Whole(log, cover, (log - shading) * window, window)


def _low(picture: Grey) -> Grey:
    """What changes only over an eighth of the picture."""
    coarse = cv2.resize(picture, (16, 12), interpolation=cv2.INTER_AREA)
    coarse = cv2.GaussianBlur(coarse, (0, 0), 1.5)
    return np.asarray(cv2.resize(coarse, picture.shape[::-1]), np.float32)


def _power(picture: Grey) -> Grey:
    """Of each wave, but for the longest."""
    sides = [cv2.getOptimalDFTSize(side) for side in picture.shape]
    padded = np.zeros(sides, np.float32)
    padded[: picture.shape[0], : picture.shape[1]] = picture
    real, imaginary = cv2.split(cv2.dft(padded, flags=cv2.DFT_COMPLEX_OUTPUT))
    power = np.asarray(real * real + imaginary * imaginary, np.float32)
    for rows in (slice(0, 2), slice(-1, None)):
        power[rows, :2] = power[rows, -1:] = 0
    return power


@dataclass(frozen=True)
class _Sight:
    """Middles (patches, 2) and amplitude spectra of patches of cloth."""

    size: tuple[int, int]
    middles: NDArray[np.float64]
    spectra: list[Grey]

    def common(self, tilt: Tilt) -> Grey:
        """The mean of the patches' spectra, each as it would be seen from straight above."""
        bends = _jacobians(_untilted(tilt, self.size), self.middles)
        # a wave k becomes J⁻ᵀ k, so Jᵀ k' is looked up
        bends = bends.swapaxes(1, 2)
        shifts = PATCH_PX / 2 - bends @ np.array([BINS / 2, BINS / 2])
        total = np.zeros((BINS, BINS), np.float32)
        for spectrum, bend in zip(self.spectra, np.dstack([bends, shifts]), strict=True):
            cv2.add(total, cv2.warpAffine(spectrum, bend, (BINS, BINS), flags=_BACK), total)
        return np.asarray(total / len(self.spectra), np.float32)

    def sharpness(self, tilt: Tilt) -> float:
        return float((self.common(tilt) ** 2).sum())


_BACK = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


def _sight(log: Grey, mask: NDArray[np.uint8]) -> _Sight:
    height, width = log.shape
    cover = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
    middles, spectra = [], []
    for y in np.linspace(0, height - PATCH_PX, PATCHES[0]).astype(int):
        for x in np.linspace(0, width - PATCH_PX, PATCHES[1]).astype(int):
            part = slice(y, y + PATCH_PX), slice(x, x + PATCH_PX)
            if cover[part].mean() > 0.97 * 255:
                middles.append((x + PATCH_PX / 2, y + PATCH_PX / 2))
                spectra.append(_spectrum(log[part]))
    return _Sight((width, height), np.array(middles), spectra)


def _spectrum(patch: Grey) -> Grey:
    """Amplitudes, zero frequency in the middle, of norm 1."""
    real, imaginary = cv2.split(
        cv2.dft((patch - patch.mean()) * _WINDOW, flags=cv2.DFT_COMPLEX_OUTPUT)
    )
    spectrum = np.fft.fftshift(cv2.magnitude(real, imaginary)) * _NO_SHADING
    spectrum = np.asarray(cv2.GaussianBlur(spectrum, (0, 0), 0.8), np.float32)
    return np.asarray(spectrum / max(1e-9, float(np.linalg.norm(spectrum))), np.float32)


_WINDOW = np.outer(np.hanning(PATCH_PX), np.hanning(PATCH_PX)).astype(np.float32)
_HALF = np.arange(PATCH_PX) - PATCH_PX // 2
_NO_SHADING = (np.hypot(_HALF[:, None], _HALF[None, :]) >= 3).astype(np.float32)


def _sharpest(sight: _Sight, coarse: _Whole, fine: _Whole) -> tuple[Tilt, bool]:
    """The tilt under which the cloth is most regular, and whether it is less so under others."""
    level: Tilt = (0.0, 0.0)
    parts: list[tuple[_Sight | _Whole, float]] = [(coarse, 1.0)]
    if sight.spectra:
        parts.append((sight, PATCHES_WEIGH))
    search = _gain(parts, level, TILT_COSTS)
    trials = [(x, y) for x in TILTS for y in TILTS if math.hypot(x, y) <= TILTS[-1] + 1e-6]
    step = float(TILTS[1] - TILTS[0]) / 2
    best = _climbed(search, max(trials, key=search), step, 0.02)
    start = best if search(best) > SURE else level
    refine = _gain([(fine, 1.0)], start, FINE_TILT_COSTS)
    best = _climbed(refine, start, 0.03, FINEST_STEP)
    if math.dist(best, start) > FINE_REACH:
        return level, False
    best = best if math.hypot(*best) > LEVEL else level
    aside = ((best[0] + x, best[1] + y) for x, y in _around(ASIDE))
    seen = max(map(refine, aside)) < refine(best) - SURE
    return (best, True) if seen else (level, False)


def _gain(
    parts: list[tuple[_Sight | _Whole, float]], start: Tilt, costs: float
) -> Callable[[Tilt], float]:
    """What a tilt gains over another in log sharpness, less its costs."""
    known: dict[Tilt, float] = {}
    before = [part.sharpness(start) for part, _ in parts]

    def gain(tilt: Tilt) -> float:
        if tilt not in known:
            known[tilt] = sum(
                weight * math.log(part.sharpness(tilt) / was)
                for (part, weight), was in zip(parts, before, strict=True)
            ) - costs * (math.hypot(*tilt) ** 2 - math.hypot(*start) ** 2)
        return known[tilt]

    return gain


def _climbed(gain: Callable[[Tilt], float], best: Tilt, step: float, finest: float) -> Tilt:
    while step > finest:
        around = [(best[0] + x, best[1] + y) for x, y in _around(step)]
        higher = max(best, *around, key=gain)
        if higher == best:
            step /= 2
        best = higher
    return best


def _around(step: float) -> list[Tilt]:
    steps = (-step, 0.0, step)
    return [(x, y) for x in steps for y in steps if x or y]


def _untilted(tilt: Tilt, size: tuple[int, int]) -> Matrix:
    """The homography that turns a plane of normal (tilt, 1) to the camera, of scale 1 midway."""
    steep = math.hypot(*tilt)
    turn = np.eye(3)
    if steep > 1e-9:
        axis = np.array([tilt[1], -tilt[0], 0.0]) / steep
        turn = np.asarray(cv2.Rodrigues(axis * math.atan(steep))[0])
    lens = _lens(size)
    flat = lens @ turn @ np.linalg.inv(lens)
    axis_px = np.array([size[0] / 2, size[1] / 2])
    zoom = 1 / math.sqrt(abs(float(np.linalg.det(_jacobians(flat, axis_px[None])[0]))))
    seen = flat @ [*axis_px, 1]
    shift = np.array(
        [
            [zoom, 0, axis_px[0] - zoom * seen[0] / seen[2]],
            [0, zoom, axis_px[1] - zoom * seen[1] / seen[2]],
            [0, 0, 1],
        ]
    )
    return shift @ flat


def _jacobians(matrix: Matrix, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """(places, 2, 2): what a homography does to small steps at places (places, 2)."""
    seen = at @ matrix[:, :2].T + matrix[:, 2]
    there, w = seen[:, :2] / seen[:, 2:], seen[:, 2, None, None]
    return np.asarray((matrix[:2, :2] - there[:, :, None] * matrix[2, :2]) / w)
