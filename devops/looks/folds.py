"""Folds: the life of cloth as heights above the pattern it was cut from, in centimetres."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree

from devops.looks.curves import Points, segment, spline

Field = Callable[[Points, Points], Points]
Stroke = tuple[Sequence[tuple[float, float]], float, float]  # places, width, depth

FIELD_CM, FIELD_STEP = 160.0, 0.5


def noise_field(across: float, along: float, seed: int) -> Field:
    """Smooth noise of unit variance, a function of place; lengths of its waves in cm."""
    cells = int(FIELD_CM / FIELD_STEP)
    field = np.random.default_rng(seed).standard_normal((cells, cells))
    field = gaussian_filter(field, (along / FIELD_STEP, across / FIELD_STEP), mode="wrap")
    field /= field.std()

    def at(u: Points, z: Points) -> Points:
        places = [np.ravel(z) / FIELD_STEP, np.ravel(u) / FIELD_STEP]
        found = map_coordinates(field, places, order=1, mode="grid-wrap")
        return np.asarray(found.reshape(np.shape(u)))

    return at


DRAPE = noise_field(3.5, 15, seed=1)  # how cloth hangs
RIPPLE = noise_field(1.6, 6, seed=2)  # how it was pressed
WANDER = noise_field(3.0, 3.0, seed=4)  # where a fold strays


def valley(
    places: ArrayLike,
    at: Points,
    width: float,
    depth: float,
    *,
    ridge: float = 0.5,
    skew: float = 0.0,
) -> Points:
    """A crease along a stroke with soft shoulders, fading towards its ends.

    `skew` in -1 to 1: how much steeper the side to the left of the stroke is than the other.
    """
    knots = np.asarray(places, float)
    curve = spline(knots, 0.3) if len(knots) > 2 else segment(knots[0], knots[1], 0.3)
    distance, index = cKDTree(curve).query(at)
    share = index / (len(curve) - 1)
    fade = np.clip(np.minimum(share, 1 - share) / 0.28, 0, 1)
    along = np.gradient(curve, axis=0)[index]
    off = at - curve[index]
    left = np.sign(along[:, 0] * off[:, 1] - along[:, 1] * off[:, 0])
    reach = distance / (width * (1 - 0.45 * skew * left))
    shape = -np.exp(-(reach**2)) + ridge * np.exp(-((reach - 1.7) ** 2))
    return np.asarray(fade * fade * (3 - 2 * fade) * depth * shape)


def creased(strokes: Sequence[Stroke], at: Points, seed: int, *, stray: float = 0.5) -> Points:
    """The sum of strokes, none of them twice the same: places, widths and depths vary by seed."""
    random = np.random.default_rng(seed)
    astray = np.stack([WANDER(at[:, 0] + 31 * seed, at[:, 1]), WANDER(at[:, 0], at[:, 1] + 57)], -1)
    total = np.zeros(len(at))
    for places, width, depth in strokes:
        moved = np.asarray(places) + random.normal(0, stray, (len(places), 2))
        wide = width * random.uniform(0.8, 1.3)
        deep = depth * random.uniform(0.65, 1.25)
        skew = random.uniform(-0.8, 0.8)
        total += valley(moved, at + 0.35 * astray, wide, deep, skew=skew)
    return total


def stitched(edge: Points, at: Points, inset: float = 0.46) -> Points:
    """Pick stitches beside an edge: dimples of 2 mm, six to the inch and a half."""
    distance, index = cKDTree(edge).query(at)
    step = float(np.linalg.norm(np.diff(edge, axis=0), axis=1).mean())
    beat = 0.5 + 0.5 * np.cos(2 * np.pi * index * step / 0.62)
    return np.asarray(-0.075 * np.exp(-(((distance - inset) / 0.10) ** 2)) * (0.35 + 0.65 * beat))
