"""What is tied around the neck, in silk: a tie with its knot, or a bow."""

import numpy as np

from devops.looks.curves import Points, profile
from devops.looks.piece import Piece, grid_piece, rounded_edge
from devops.looks.style import Cut

ROWS, COLUMNS = 260, 80
KNOT_TOP, KNOT_LOW = 95.3, 90.6
KNOT = (
    (95.3, 2.35, -6.75), (94.6, 2.5, -7.0), (93.0, 2.1, -7.3), (91.5, 1.6, -7.4),
    (90.6, 1.35, -7.3),
)  # fmt: skip
KNOT_DEPTH = ((95.3, 0.9), (94.6, 1.5), (93.0, 1.75), (91.5, 1.5), (90.6, 0.9))
TUCKED_FROM_Z = 85.0
BLADE_HALF_WIDTH = ((91.2, 1.35), (89, 1.9), (84, 2.75), (75, 3.45), (62, 4.1), (50, 4.3))


def neckwear(cut: Cut) -> list[Piece]:
    return _bow() if cut.style.neckwear == "bow" else [_knot(), _blade(cut)]


def _knot() -> Piece:
    """Half Windsor: wider above, the last turn of silk laid across it, its edges tucked in."""
    z = np.linspace(KNOT_TOP, KNOT_LOW, ROWS)
    q = np.linspace(-1, 1, COLUMNS)[None]
    table = np.array(KNOT)
    half, y = (profile(table[:, (0, k)].tolist(), z)[:, None] for k in (1, 2))
    deep = profile(KNOT_DEPTH, z)[:, None]
    x = half * q + 0.12 * (z[:, None] - 93) / 3
    heights = z[:, None] + 0 * x
    bulge = deep * (1 - np.abs(q) ** 2.8) ** 0.6
    turn = x * 0.9 + 1.45 - 0.42 * (KNOT_TOP - heights)  # the edge of the last turn runs slantwise
    lap = 0.16 / (1 + np.exp(-turn / 0.05)) - 0.05 * np.exp(-(((turn + 0.12) / 0.12) ** 2))
    tuck = 0.35 * np.exp(-((x / 0.5) ** 2)) * np.clip((91.9 - heights) / 1.3, 0, 1)
    crease = 0.07 * np.exp(-(((x - 0.85 - 0.22 * (heights - 92)) / 0.22) ** 2))
    points = np.stack([x, y - bulge - lap + tuck + crease, heights], -1)
    uv = np.stack([x * 0.92 + heights * 0.4, heights * 0.92 - x * 0.4], -1)
    return grid_piece("knot", points, uv, 0, "silk", flip=True)


def _blade(cut: Cut) -> Piece:
    z = np.linspace(91.2, 54.0, ROWS)
    q = np.linspace(-1, 1, COLUMNS)[None]
    half = profile(BLADE_HALF_WIDTH, z)[:, None]
    chest = cut.body.surface(np.zeros(ROWS), z)[:, 1][:, None]
    inwards, deep = _hang(cut, z)
    x = half * q
    bulge = deep[:, None] * (1 - np.abs(q) ** 3.2) ** 0.6
    hollow = 0.50 * np.exp(-(((x + 0.15) / 0.55) ** 2)) * np.clip((z[:, None] - 79) / 9, 0, 1)
    fold = 0.16 * np.exp(-(((np.abs(x) - 1.0) / 0.5) ** 2)) * np.clip((z[:, None] - 82) / 8, 0, 1)
    turned = 0.10 * (1 - rounded_edge(half * (1 - np.abs(q)), 0.2))
    y = chest + inwards[:, None] - bulge + hollow - fold + turned
    points = np.stack([x, y, z[:, None] + 0 * x], -1)
    return grid_piece("blade", points, np.stack([x, points[..., 2]], -1), 0, "silk", flip=True)


def _hang(cut: Cut, z: Points) -> tuple[Points, Points]:
    """How far inside the chest the blade hangs, and how far its middle stands out."""
    if cut.style.waistcoat:  # where the opening is narrower than the blade it is tucked in, flat
        tucked = np.clip((TUCKED_FROM_Z - z) / 5, 0, 1)
        return 0.72 + 0.63 * tucked, 0.85 - 0.5 * tucked
    inwards = np.interp(z, [54, 62, 70, 80], [2.8, 1.7, 1.1, 0.75])
    return inwards, np.interp(z, [50, 88, 91.3], [0.75, 0.9, 1.2])


def _bow() -> list[Piece]:
    wings = [_wing(side, back) for side in (-1, 1) for back in (True, False)]
    q, s = np.meshgrid(np.linspace(-1, 1, 60), np.linspace(1, -1, 80))
    across = 0.95 * (1 - 0.08 * s**2) * q
    swell = (1 - np.abs(q) ** 3) ** 0.5 * (1 - 0.5 * np.abs(s) ** 4)
    crease = 0.06 * np.cos(q * 7 + 0.8 * s)
    points = np.stack([across, -6.9 - 1.5 * swell + crease, 92.9 + 1.25 * s], -1)
    return [*wings, grid_piece("bow knot", points, points[..., :2], 0, "satin", flip=True)]


def _wing(side: int, back: bool) -> Piece:
    """A loop of the bow; the one behind is a little longer and sits lower."""
    share, q = np.linspace(0, 1, 140)[:, None], np.linspace(-1, 1, 90)[None]
    reach, droop = (6.3, -0.35 * side - 0.25) if back else (5.8, 0.25 * side)
    half = profile(((0, 0.95), (0.25, 1.45), (0.7, 2.75), (1, 3.0)), share[:, 0])[:, None]
    x = 0.5 + (reach - 0.25 * q**2) * share
    z = 92.9 + half * q + droop * share**1.5
    swell = 0.95 * np.sin(np.pi * np.clip(share * 0.93 + 0.07, 0, 1)) ** 0.8 * (1 - q**2) ** 0.5
    gathers = 0.22 * np.cos(2.6 * np.pi * q + 0.6 * side) * (1 - share) ** 1.7
    edge = 0.14 * (1 - rounded_edge((1 - share) * reach, 0.18))
    y = -6.75 - swell + gathers + 0.4 * share + edge + (0.75 if back else 0.0)
    points = np.stack([x * side, y + 0 * x, z + 0 * x], -1)
    return grid_piece("bow wing", points, points[..., :2], 0, "satin", flip=side > 0)
