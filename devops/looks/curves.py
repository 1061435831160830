"""Curves that pieces are drawn with: polylines of (N, 2) or (N, 3) points in centimetres."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline, PchipInterpolator

Points = NDArray[np.float64]


def spline(points: ArrayLike, step: float = 0.15) -> Points:
    """Natural cubic spline, near-centripetal (no loops at uneven spacing), a point per `step`."""
    knots = np.asarray(points, float)
    lengths = _step_lengths(knots)
    at = np.r_[0, np.cumsum(lengths**0.6)]
    t = np.linspace(0, at[-1], max(4, int(lengths.sum() / step)))
    if len(knots) < 3:
        return np.stack([np.interp(t, at, axis) for axis in knots.T], -1)
    return np.stack([CubicSpline(at, axis, bc_type="natural")(t) for axis in knots.T], -1)


def segment(start: ArrayLike, end: ArrayLike, step: float = 0.15) -> Points:
    """A straight line, a point per `step`."""
    a, b = np.asarray(start, float), np.asarray(end, float)
    count = max(2, int(np.linalg.norm(b - a) / step) + 1)
    return np.asarray(a + (b - a) * np.linspace(0, 1, count)[:, None])


def join(*parts: Points) -> Points:
    """Polylines end to end; a joint that both have is kept once."""
    kept = [parts[0]]
    for part in parts[1:]:
        touches = np.linalg.norm(kept[-1][-1] - part[0]) < 1e-6
        kept.append(part[1:] if touches else part)
    return np.concatenate(kept)


def arc_lengths(curve: Points) -> Points:
    """Length along the curve at each of its points."""
    return np.asarray(np.r_[0, np.cumsum(_step_lengths(curve))])


def resample(curve: Points, count: int) -> Points:
    """`count` points at equal distances."""
    length = arc_lengths(curve)
    at = np.linspace(0, length[-1], count)
    return np.stack([np.interp(at, length, axis) for axis in curve.T], -1)


def profile(rows: Sequence[Sequence[float]], at: Points) -> Points:
    """Monotone interpolation of a table: first column the place, second the value."""
    table = np.array(rows, float)
    table = table[np.argsort(table[:, 0])]
    return np.asarray(PchipInterpolator(table[:, 0], table[:, 1])(at))


def _step_lengths(points: Points) -> Points:
    return np.asarray(np.linalg.norm(np.diff(points, axis=0), axis=1))
