"""Lines: what runs through a cloth, as a person sees it at arm's length, and how clearly.

Upright and level lines show in the means of columns and rows. Diagonals show in the structure
tensor (Förstner, Gülch, 1987): a twill leans one way all over, a herringbone column by column.
Everything wraps: a cloth repeats.
"""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.delta_e import lab_of_linear
from worker.weave import blurred

SEEN_MM = 0.2  # sigma of what the eye melts together: single yarns of fine cloth
AROUND_MM = 1.0  # sigma of the neighbourhood that leans one way
CLEAR = 0.45  # correlation of what repeats
ABOUT_AS_GOOD = 0.8  # of the best correlation: a shorter repeat that is this good is the one
FINER = 8  # times: between pixels the correlation is known as well
SHORTEST_PX = 3
CARRIER = 0.5, 0.25  # how far about the strongest diagonal, across and up, its own waves lie
FAINT = 0.003  # of the strongest: no wave

Light = NDArray[np.float32]  # (height, width, 3): linear light, BGR
Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Lines:
    """Contrasts in CIELAB units; leans from -1 to 1, positive where lines rise to the right."""

    contrast: float  # of all that is seen
    upright: float  # of the columns' means
    level: float  # of the rows' means
    lean: float  # of the whole cloth
    lean_by_column: float  # how far the columns lean, each its own way
    lean_by_row: float
    repeats_px: tuple[float | None, float | None]  # across, down: shorter than the tile
    slope_deg: float  # of the strongest diagonal: 0..90 rises to the right, 90..180 to the left


def lines_of(light: Light, px_per_mm: float) -> Lines:
    """What runs through a tile."""
    lab = lab_of_linear(np.maximum(blurred(light, SEEN_MM * px_per_mm), 0))
    lab -= lab.mean(axis=(0, 1))
    lean = _lean(lab[..., 0].astype(np.float32), AROUND_MM * px_per_mm)
    power = np.asarray((np.abs(np.fft.fft2(lab, axes=(0, 1))) ** 2).sum(axis=2))
    alike = np.fft.ifft2(power).real
    return Lines(
        contrast=_rms(lab),
        upright=_rms(lab.mean(axis=0)),
        level=_rms(lab.mean(axis=1)),
        lean=float(lean.mean()),
        lean_by_column=float(np.sqrt((lean.mean(axis=0) ** 2).mean())),
        lean_by_row=float(np.sqrt((lean.mean(axis=1) ** 2).mean())),
        repeats_px=(_repeat(alike[0]), _repeat(alike[:, 0])),
        slope_deg=_slope_deg(power),
    )


def _rms(lab: Floats) -> float:
    """Of the distances from the mean."""
    return float(np.sqrt((lab**2).sum(axis=-1).mean()))


def _lean(lightness: Floats, sigma_px: float) -> Floats:
    """(height, width): 1 where light changes most from the upper left to the lower right."""
    padded = np.pad(lightness, 1, "wrap")
    across, down = (
        np.asarray(cv2.Scharr(padded, cv2.CV_32F, *way))[1:-1, 1:-1] for way in ((1, 0), (0, 1))
    )
    both, own = (blurred(part, sigma_px) for part in (across * down, across**2 + down**2))
    return np.asarray(2 * both / (own + 1e-9))


def _repeat(alike: Doubles) -> float | None:
    """The shortest whole part of the tile after which it is like itself, and after all multiples
    of it; None where only the whole tile is.

    What does not change along the line is taken off: it is like itself at any lag."""
    side = len(alike)
    fine = np.fft.irfft(np.fft.rfft(alike - alike.mean()), FINER * side)
    fine = fine / max(float(fine[0]), 1e-12)
    parts = range(2, side // SHORTEST_PX)
    worst = np.array([_at_multiples(fine, part).min() for part in parts] or [-1.0])
    good = np.flatnonzero(worst >= max(CLEAR, ABOUT_AS_GOOD * float(worst.max())))
    return side / parts[int(good[-1])] if len(good) else None


def _at_multiples(alike: Doubles, parts: int) -> Doubles:
    """The values at each multiple of a part of the whole, but not at none and at all of it."""
    at = np.arange(1, parts) * (len(alike) / parts)
    return np.asarray(alike[np.rint(at).astype(np.intp)])


def _slope_deg(power: Doubles) -> float:
    """Of the lines of the strongest diagonal wave; a herringbone's is the mean of its sidebands."""
    height, width = power.shape
    across = np.broadcast_to(np.fft.fftfreq(width)[None, :], power.shape)
    up = np.broadcast_to(-np.fft.fftfreq(height)[:, None], power.shape)
    diagonal = power * ((across != 0) & (up != 0))
    top = int(diagonal.argmax())
    f_across, f_up = abs(across.flat[top]), abs(up.flat[top])
    near = np.abs(np.abs(across) - f_across) < CARRIER[0] * f_across
    near &= np.abs(np.abs(up) - f_up) < CARRIER[1] * f_up
    weight = diagonal * near * (diagonal > FAINT * diagonal.flat[top])
    slope = math.degrees(math.atan2((weight * np.abs(across)).sum(), (weight * np.abs(up)).sum()))
    return slope if across.flat[top] * up.flat[top] < 0 else 180 - slope
