"""Squaring: the homography that shows cloth in a photo as if seen from straight above.

Either from the four corners of a rectangular swatch, or from the weave itself: patches all over
the photo must show the same spectrum once the tilt is undone, and threads run level and upright.
The camera is taken for a phone's: the middle of the picture is its axis, the focal length known.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

FOCAL = 26 / 36  # of the long side: the 26 mm equivalent of a phone's main camera
LONG_SIDES_PX = (800, 400)  # fine weaves show at the one, checks at the other
PATCH_PX = 128
PATCHES = (4, 5)  # down and across
BINS = 64  # of the common spectrum, each way: waves longer than four pixels
TILTS = np.tan(np.radians(40)) * np.linspace(-1, 1, 11)
SURE = 1.02  # a tilt must sharpen the spectra this much to be believed
ROLL_MAX_DEG = 18.0
STEP_DEG = 0.25
RIDGE_DEG = 6.0  # threads stand out among directions this near
RIDGE_MIN = 0.15

Matrix = NDArray[np.float64]  # (3, 3)
Grey = NDArray[np.float32]


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
    """Undo tilt and turn by the cloth's own spectrum; only patches within the mask count."""
    sights = [_sight(grey, mask, long_side) for long_side in LONG_SIDES_PX]
    sights = [sight for sight in sights if sight.patches]
    if not sights:
        return Upright(np.eye(3), False)
    tilt, tilted = _sharpest(sights)
    roll_deg, directed = _thread_direction([sight.common(tilt) for sight in sights])
    size = (grey.shape[1], grey.shape[0])
    turn = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), roll_deg, 1.0)
    return Upright(np.vstack([turn, [0, 0, 1]]) @ _untilted(tilt, size), directed or tilted)


@dataclass(frozen=True)
class _Sight:
    """The photo at one size: middles and amplitude spectra of patches of cloth."""

    size: tuple[int, int]
    patches: list[tuple[NDArray[np.float64], Grey]]

    def common(self, tilt: tuple[float, float]) -> Grey:
        """The mean of the patches' spectra, each as it would be seen from straight above."""
        flat = _untilted(tilt, self.size)
        total = np.zeros((BINS, BINS), np.float32)
        for middle, spectrum in self.patches:
            bend = _jacobian(flat, middle).T  # a wave k becomes J⁻ᵀ k, so Jᵀ k' is looked up
            shift = PATCH_PX / 2 - bend @ [BINS / 2, BINS / 2]
            total += np.asarray(
                cv2.warpAffine(spectrum, np.column_stack([bend, shift]), (BINS, BINS), flags=_BACK)
            )
        return np.asarray(total / len(self.patches), np.float32)

    def sharpness(self, tilt: tuple[float, float]) -> float:
        return float((self.common(tilt) ** 2).sum())


_BACK = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


def _sight(grey: Grey, mask: NDArray[np.uint8], long_side_px: int) -> _Sight:
    scale = long_side_px / max(grey.shape)
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    height, width = small.shape
    cover = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
    log = np.log(np.maximum(small, 1e-3)).astype(np.float32)
    patches = []
    for y in np.linspace(0, height - PATCH_PX, PATCHES[0]).astype(int):
        for x in np.linspace(0, width - PATCH_PX, PATCHES[1]).astype(int):
            part = slice(y, y + PATCH_PX), slice(x, x + PATCH_PX)
            if cover[part].mean() > 0.97 * 255:
                patches.append((np.array([x, y]) + PATCH_PX / 2, _spectrum(log[part])))
    return _Sight((width, height), patches)


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


def _sharpest(sights: list[_Sight]) -> tuple[tuple[float, float], bool]:
    """The tilt under which the patches agree best, and whether it is better than none."""
    flat = [sight.sharpness((0.0, 0.0)) for sight in sights]

    def score(tilt: tuple[float, float]) -> float:
        return sum(s.sharpness(tilt) / f for s, f in zip(sights, flat, strict=True)) / len(flat)

    trials = [(x, y) for x in TILTS for y in TILTS if math.hypot(x, y) <= TILTS[-1] + 1e-6]
    best = max(trials, key=score)
    step = float(TILTS[1] - TILTS[0]) / 2
    while step > 0.01:
        around = [(best[0] + step * x, best[1] + step * y) for x in (-1, 0, 1) for y in (-1, 0, 1)]
        best = max(around, key=score)
        step /= 2
    return (best, True) if score(best) > SURE else ((0.0, 0.0), False)


def _untilted(tilt: tuple[float, float], size: tuple[int, int]) -> Matrix:
    """The homography that turns a plane of normal (tilt, 1) to the camera, of scale 1 midway."""
    normal = np.array([tilt[0], tilt[1], 1.0]) / math.sqrt(tilt[0] ** 2 + tilt[1] ** 2 + 1)
    axis = np.cross(normal, [0, 0, 1])
    sine = float(np.linalg.norm(axis))
    turn = np.eye(3)
    if sine > 1e-9:
        turn = np.asarray(cv2.Rodrigues(axis / sine * math.asin(sine))[0])
    lens = _lens(size)
    flat = lens @ turn @ np.linalg.inv(lens)
    axis_px = np.array([size[0] / 2, size[1] / 2])
    zoom = 1 / math.sqrt(abs(float(np.linalg.det(_jacobian(flat, axis_px)))))
    seen = flat @ [*axis_px, 1]
    shift = np.array(
        [
            [zoom, 0, axis_px[0] - zoom * seen[0] / seen[2]],
            [0, zoom, axis_px[1] - zoom * seen[1] / seen[2]],
            [0, 0, 1],
        ]
    )
    return shift @ flat


def _jacobian(matrix: Matrix, at: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y, w = matrix @ [at[0], at[1], 1]
    return np.asarray((matrix[:2, :2] - np.outer([x / w, y / w], matrix[2, :2])) / w)


def _thread_direction(spectra: list[Grey]) -> tuple[float, bool]:
    """How far the threads are turned from level and upright, in degrees clockwise as seen.

    Both threads must agree, each as a ridge above its surroundings: a twill's line is strong one
    way only, and a herringbone's broad lines lie far off.
    """
    reach = ROLL_MAX_DEG + RIDGE_DEG
    degrees = np.arange(-reach, reach + STEP_DEG, STEP_DEG)
    agreed = np.zeros(len(degrees))
    for spectrum in spectra:
        ridges = [_ridge(_energy(spectrum, degrees + quarter)) for quarter in (0, 90)]
        agreed += np.sqrt(ridges[0] * ridges[1])
    agreed[np.abs(degrees) > ROLL_MAX_DEG] = 0
    best = int(agreed.argmax())
    return (float(degrees[best]), True) if agreed[best] > RIDGE_MIN else (0.0, False)


def _ridge(energy: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each direction stands out among its neighbours."""
    span = round(RIDGE_DEG / STEP_DEG)
    around = np.convolve(np.pad(energy, span, mode="edge"), np.ones(2 * span + 1), mode="valid")
    return np.maximum(energy / np.maximum(around / (2 * span + 1), 1e-9) - 1, 0)


def _energy(spectrum: Grey, degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Amplitude along rays from zero frequency, over their mean."""
    radii = np.arange(4, BINS / 2 - 1, 0.5)
    angles = np.radians(degrees)[:, None]
    x = (BINS / 2 + radii * np.cos(angles)).astype(np.float32)
    y = (BINS / 2 + radii * np.sin(angles)).astype(np.float32)
    energy = np.asarray(cv2.remap(spectrum, x, y, cv2.INTER_LINEAR)).sum(axis=1)
    return np.asarray(energy / max(1e-9, float(energy.mean())))
