"""The grain line of a panel: a smooth curve along the warp, and where pixels lie beside it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

STEP_PX = 1.0
BEYOND_PX = 1e5  # both ends run on straight
ROUNDS = 12  # of walking along the curve to the foot of the perpendicular
FOOT_PX = 0.25  # a foot is found when the last step was no longer


@dataclass(frozen=True, eq=False)
class GrainLine:
    """`at` (n, 2) px: points of the curve, from its first mark; `along` (n,) px: the way there."""

    at: Doubles
    along: Doubles
    tangent: Doubles  # (n, 2), of length 1

    @property
    def length_px(self) -> float:
        return float(self.along[-1])


def grain_line(marks: Doubles) -> GrainLine:
    """A natural cubic spline through two or more distinct marks, (n, 2) px, by chord length."""
    chord = np.r_[0, np.cumsum(np.hypot(*np.diff(marks, axis=0).T))]
    fine = np.linspace(0, chord[-1], max(8, int(chord[-1] / STEP_PX)))
    at = _natural_spline(chord, marks, fine)
    along = np.r_[0, np.cumsum(np.hypot(*np.diff(at, axis=0).T))]
    tangent = np.gradient(at, along, axis=0)
    tangent /= np.hypot(*tangent.T)[:, None]
    return GrainLine(at, along, tangent)


def _natural_spline(knots: Doubles, values: Doubles, at: Doubles) -> Doubles:
    """Cubic spline without curvature at its ends (Press et al., Numerical Recipes, 3.3)."""
    gaps, slopes = np.diff(knots), np.diff(values, axis=0) / np.diff(knots)[:, None]
    bends = np.zeros_like(values)
    if len(knots) > 2:
        matrix = np.diag((gaps[:-1] + gaps[1:]) / 3)
        matrix += np.diag(gaps[1:-1] / 6, 1) + np.diag(gaps[1:-1] / 6, -1)
        bends[1:-1] = np.linalg.solve(matrix, np.diff(slopes, axis=0))
    left = np.clip(np.searchsorted(knots, at) - 1, 0, len(gaps) - 1)
    gap = gaps[left][:, None]
    b = (at[:, None] - knots[left][:, None]) / gap
    a = 1 - b
    bent = (a**3 - a) * bends[left] + (b**3 - b) * bends[left + 1]
    return np.asarray(a * values[left] + b * values[left + 1] + bent * gap**2 / 6)


def beside(line: GrainLine, points: Doubles) -> tuple[Doubles, Doubles, bool]:
    """How far points (n, 2) lie to the right of a line that runs downwards, and along it, in px.

    False where some have no clear foot on the line: it bends more sharply than the panel is wide.
    """
    along = _clamped(line, (points - line.at[0]) @ _chord(line))
    step = np.zeros(len(points))
    for _ in range(ROUNDS):
        foot, tangent = _at(line, along)
        step = ((points - foot) * tangent).sum(axis=1)
        along = along + step
    foot, tangent = _at(line, along)
    away = points - foot
    across = away[:, 0] * tangent[:, 1] - away[:, 1] * tangent[:, 0]
    return across, along, bool((np.abs(step) <= FOOT_PX).all())


def level_along(line: GrainLine, row: float) -> float:
    """How far along the line it crosses a row of the picture, or comes nearest to it.

    Only a line that is rather upright is followed beyond its ends.
    """
    nearest = int(np.abs(line.at[:, 1] - row).argmin())
    at_end = nearest in (0, len(line.along) - 1)
    upright = float(line.tangent[nearest, 1])
    beyond = (row - line.at[nearest, 1]) / upright if at_end and abs(upright) > 0.5 else 0.0
    return float(line.along[nearest] + beyond)


def _chord(line: GrainLine) -> Doubles:
    way = line.at[-1] - line.at[0]
    return np.asarray(way / np.hypot(*way))


def _clamped(line: GrainLine, along: Doubles) -> Doubles:
    return np.clip(along, 0, line.length_px)


def _at(line: GrainLine, along: Doubles) -> tuple[Doubles, Doubles]:
    """Points and tangents of the line, which runs on straight at both ends."""
    way = np.r_[-BEYOND_PX, line.along, line.length_px + BEYOND_PX]
    ends = (line.at[0] - BEYOND_PX * line.tangent[0], line.at[-1] + BEYOND_PX * line.tangent[-1])
    at = np.vstack([ends[0], line.at, ends[1]])
    tangent = np.vstack([line.tangent[0], line.tangent, line.tangent[-1]])
    point, direction = (
        np.stack([np.interp(along, way, column) for column in table.T], axis=1)
        for table in (at, tangent)
    )
    return point, direction
