"""Thread direction: how far the yarns of squared cloth are turned from level and upright.

The waves that make up woven cloth lie on a lattice along its yarns, whatever the weave: lines
between any two of them run that way more often than any other way.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

ROLL_MAX_DEG = 18.0
STEP_DEG = 0.1
WAVES = 150  # the strongest
LONGEST_WAVES = 4  # cycles per picture: slower is shading
STANDS_OUT = 3.0  # a wave's amplitude over the mean of its ring
OUTSTANDING = 20.0  # more counts no more
PLACED_TO = 0.35  # cycles per picture: how exactly a wave is measured
SURE = 8.0  # the best direction over the median one

Grey = NDArray[np.float32]
Doubles = NDArray[np.float64]

_DEGREES = np.arange(-ROLL_MAX_DEG - 2, ROLL_MAX_DEG + 2 + STEP_DEG / 2, STEP_DEG)
_SPREADS_DEG = (0.2, 0.4, 0.8, 1.6, 4.0)


def thread_direction(pictures: list[Grey]) -> float:
    """Degrees clockwise as seen, 0 when it does not show; pictures are windowed, of mean zero."""
    votes = np.zeros(len(_DEGREES))
    for picture in pictures:
        waves, weights = _waves(picture)
        if len(waves) >= 2:
            cast = _votes(waves, weights)
            votes += cast / max(1e-9, float(cast.sum()))
    votes[np.abs(_DEGREES) > ROLL_MAX_DEG] = 0
    best = int(votes.argmax())
    sure = bool(votes[best] > SURE * np.median(votes) and votes[best] > 0)
    return float(_DEGREES[best]) if sure else 0.0


def _waves(picture: Grey) -> tuple[Doubles, Doubles]:
    """Cycles per picture (x, y) and weights of the waves that stand out, and of their mirrors."""
    side = cv2.getOptimalDFTSize(max(picture.shape))
    padded = np.zeros((side, side), np.float32)
    padded[: picture.shape[0], : picture.shape[1]] = picture
    real, imaginary = cv2.split(cv2.dft(padded, flags=cv2.DFT_COMPLEX_OUTPUT))
    shifted = np.fft.fftshift(cv2.magnitude(real, imaginary))
    amplitude: Grey = np.asarray(cv2.GaussianBlur(shifted, (0, 0), 0.7), np.float32)
    around = np.arange(side) - side // 2
    speed = np.hypot(around[:, None], around[None, :])
    ring = np.minimum(speed, side // 2).astype(np.intp)
    ring_mean = np.bincount(ring.flat, amplitude.flat) / np.bincount(ring.flat)
    stands = amplitude / np.maximum(ring_mean, 1e-9)[ring]
    top = (amplitude == cv2.dilate(amplitude, np.ones((3, 3)))) & (stands > STANDS_OUT)
    top &= (speed >= LONGEST_WAVES) & (speed < side // 2 - 2) & (around >= 0)
    places = np.flatnonzero(top)
    strength = stands.flat[places] * np.sqrt(amplitude.flat[places])
    places = places[np.argsort(strength)[::-1][:WAVES]]
    rows, columns = np.unravel_index(places, amplitude.shape)
    waves = np.stack([_vertex(amplitude, rows, columns, 1), _vertex(amplitude, rows, columns, 0)])
    weights = np.sqrt(amplitude.flat[places]) * np.minimum(stands.flat[places], OUTSTANDING)
    waves = waves.T - side // 2
    return np.concatenate([waves, -waves]), np.concatenate([weights, weights])


def _vertex(
    amplitude: Grey, rows: NDArray[np.intp], columns: NDArray[np.intp], axis: int
) -> Doubles:
    """Where a wave peaks along an axis, by the parabola through three neighbours."""
    down, right = (1, 0) if axis == 0 else (0, 1)
    before, after = amplitude[rows - down, columns - right], amplitude[rows + down, columns + right]
    bend = np.minimum(before - 2 * amplitude[rows, columns] + after, -1e-12)
    at = rows if axis == 0 else columns
    return np.asarray(at + np.clip(0.5 * (before - after) / bend, -0.5, 0.5), np.float64)


def _votes(waves: Doubles, weights: Doubles) -> Doubles:
    """Of each pair for its own direction, from level or upright; pairs far apart know it best."""
    apart = waves[:, None] - waves[None]
    distance = np.hypot(apart[..., 0], apart[..., 1])
    degrees = (np.degrees(np.arctan2(apart[..., 1], apart[..., 0])) + 45) % 90 - 45
    counts = (distance > 3) & (np.abs(degrees) < _DEGREES[-1])
    degrees, weight = degrees[counts], np.multiply.outer(weights, weights)[counts]
    spread = np.degrees(PLACED_TO / distance[counts])
    kind = np.abs(np.log(spread[:, None] / _SPREADS_DEG)).argmin(axis=1)
    edges = np.append(_DEGREES, _DEGREES[-1] + STEP_DEG) - STEP_DEG / 2
    votes = np.zeros(len(_DEGREES))
    for number, sigma in enumerate(_SPREADS_DEG):
        mine = kind == number
        cast, _ = np.histogram(degrees[mine], edges, weights=weight[mine])
        bell = np.exp(-0.5 * (np.arange(-60, 61) * STEP_DEG / sigma) ** 2)
        votes += np.convolve(cast, bell / bell.sum(), mode="same")
    return votes
