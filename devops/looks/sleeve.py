"""Sleeves: a tube with the arm's pitch, an elbow that has been bent, and a shirt cuff below it."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from devops.looks.curves import Points, arc_lengths, profile, resample, spline
from devops.looks.fastening import button
from devops.looks.folds import DRAPE, RIPPLE, Stroke, creased
from devops.looks.panels import panel_of
from devops.looks.piece import Piece, grid_piece, outward_normals, rounded_edge
from devops.looks.style import Cut

ROWS, COLUMNS = 330, 240
FRONT = COLUMNS // 4  # the column in the middle of the front, where u = 0

# The silhouette in the front view for side = +1, from the shoulder point down, (x, z).
OUTSIDE = (
    (21.3, 90.6), (23.0, 89.95), (24.55, 87.9), (25.7, 84.1), (26.4, 78), (26.9, 69), (27.2, 58),
    (27.25, 47), (27.0, 36), (26.7, 24),
)  # fmt: skip
INSIDE = (
    (18.7, 67.2), (18.3, 65.0), (18.2, 62), (18.35, 57), (18.7, 52), (19.3, 44), (19.7, 35),
    (19.9, 24.6),
)  # fmt: skip

# How deep the sleeve is, by the share of its length.
DEPTH = ((0, 6.7), (0.05, 7.2), (0.12, 7.4), (0.3, 7.2), (0.55, 6.7), (0.8, 6.0), (1, 5.6))

# Strokes in (u, cm above the cuff); u < 0 is the outside. The elbow breaks in front, the head
# drapes, the forearm twists a little.
STROKES: tuple[Stroke, ...] = (
    (((6.8, 36.5), (2.8, 33.4), (-2.2, 32.0)), 0.65, 0.27),
    (((6.9, 32.0), (3.4, 29.2), (-0.6, 27.4)), 0.60, 0.25),
    (((6.4, 40.5), (3.0, 38.8), (0.2, 38.6)), 0.75, 0.17),
    (((6.6, 28.2), (4.2, 25.2), (1.8, 23.4)), 0.6, 0.17),
    (((-6.5, 32.5), (-3.6, 29.0), (-1.2, 24.5)), 0.85, 0.17),
    (((-6.8, 38.0), (-4.2, 35.6), (-2.0, 34.8)), 0.8, 0.14),
    (((5.5, 22.0), (2.8, 17.8), (0.6, 12.0)), 0.9, 0.13),
    (((-5.5, 20.0), (-3.0, 14.5), (-1.5, 8.0)), 1.0, 0.12),
    (((6, 44), (3.6, 47.5), (1.2, 53.0)), 1.0, 0.26),
    (((4.6, 42), (2.2, 45.8), (0.2, 51.5)), 0.9, 0.13),
    (((-3.8, 43), (-2.4, 49), (-1.2, 56)), 1.2, 0.13),
)


def sleeve(cut: Cut, side: int) -> list[Piece]:
    """One sleeve with its four cuff buttons, and the shirt's cuff."""
    points, share, cos = _tube(cut, side)
    around = _around(points)
    up = _up(points)
    u = _straightened(points, around, share)
    relief = _relief(side, around, up, share, cos)
    points = points + outward_normals(points) * relief[..., None]
    points[0] += (points[0].mean(0) - points[0]) * 0.06  # the armhole seam is a clean crease
    points[0, :, 0] -= 0.6
    shirt = _shirt_cuff(points[-1], side)
    points, u, up = _turned_in(points, u, up)
    chest = int(np.argmin(np.abs(points[:ROWS, FRONT, 2] - cut.body.size.chest_z)))
    front_v = cut.body.v_of(np.array([16.0]), np.array([cut.body.size.chest_z]))
    v = up + float(front_v[0]) - up[chest, FRONT]  # checks meet the front at the chest
    points[..., 0] *= side
    uv = np.stack([side * -u, v], -1)
    tube = grid_piece("sleeve", points, uv, panel_of("sl", side), wrap=True, flip=side < 0)
    return [tube, shirt, *_cuff_buttons(cut, points, side)]


def _tube(cut: Cut, side: int) -> tuple[Points, Points, Points]:
    """Points (ROWS, COLUMNS, 3) for side = +1, share of the length, cosine around."""
    outside, inside = (resample(spline(line, 0.05), 900) for line in (OUTSIDE, INSIDE))
    long = arc_lengths(outside) <= cut.body.size.sleeve_length
    cuff_z = outside[long][-1, 1]
    outside = resample(outside[long], ROWS)
    inside = resample(inside[inside[:, 1] >= cuff_z + 0.5], ROWS)
    share = np.linspace(0, 1, ROWS)
    swing = (0.25 if side > 0 else -0.2) * np.clip((share - 0.3) / 0.7, 0, 1) ** 1.5
    centre, radius = (outside + inside) / 2, (outside - inside) / 2
    depth = profile(DEPTH, share)
    bend = 0.0 if side > 0 else 0.35
    y = np.interp(share, [0, 0.3, 0.52, 0.8, 1], [0.3, 0.3, -0.2 - bend, -2.0 - bend, -3.3 - bend])
    y = gaussian_filter1d(y, 14, mode="nearest")
    angle = np.linspace(0, 2 * np.pi, COLUMNS, endpoint=False)[None]
    cos, sin = np.cos(angle), np.sin(angle)
    lean = np.interp(share, [0, 0.08, 0.25, 0.4], [1.9, 1.5, 0.5, 0])[:, None] * sin**2
    squared = np.sign(cos) * np.abs(cos) ** 0.92
    x = centre[:, :1] + swing[:, None] + radius[:, :1] * squared - lean
    z = centre[:, 1:] + radius[:, 1:] * squared
    deep = y[:, None] - depth[:, None] * np.sign(sin) * np.abs(sin) ** 0.92
    return np.stack([x, deep, z], -1), share, cos


def _around(points: Points) -> Points:
    """Length around each ring: 0 in the middle of the front, the seam at the back."""
    step = np.linalg.norm(np.roll(points, -1, 1) - points, axis=-1)
    total = np.cumsum(np.concatenate([np.zeros((len(points), 1)), step[:, :-1]], 1), 1)
    u = total - total[:, FRONT : FRONT + 1]
    behind = np.arange(points.shape[1])[None] > points.shape[1] * 3 // 4
    return np.asarray(np.where(behind, u - step.sum(1, keepdims=True), u))


def _up(points: Points) -> Points:
    step = np.linalg.norm(np.diff(points, axis=0), axis=-1)
    return np.concatenate([np.cumsum(step[::-1], 0)[::-1], np.zeros((1, points.shape[1]))], 0)


def _straightened(points: Points, around: Points, share: Points) -> Points:
    """u of the cloth: around the rings below, upright in the head, so that stripes run straight up
    into the armhole and do not bend with it."""
    level = int(0.42 * ROWS)
    ring = points[level]
    x, u = ring[: COLUMNS // 2, 0], around[level, : COLUMNS // 2]  # the front half, outside in
    lean = (points[level, FRONT] - points[level + 60, FRONT])[:2]
    rise = (points[..., 2] - ring[:, 2].mean()) / (
        points[level, FRONT, 2] - points[level + 60, FRONT, 2]
    )
    upright = points[..., 0] - np.clip(rise, 0, None) * lean[0] * 0.5
    head = np.interp(upright, x[::-1], u[::-1])
    slope = (u[1] - u[0]) / min(x[1] - x[0], -1e-3)
    head = np.where(upright > x[0], u[0] + (upright - x[0]) * max(slope, -1.4), head)
    front = (np.arange(COLUMNS) <= COLUMNS // 2)[None]
    blend = np.clip((share - 0.24) / 0.2, 0, 1)[:, None]
    blend = blend * blend * (3 - 2 * blend)
    return np.where(front, head * (1 - blend) + around * blend, around)


def _relief(side: int, u: Points, up: Points, share: Points, cos: Points) -> Points:
    at = np.stack([u.ravel(), up.ravel()], -1)
    life = 0.15 * DRAPE(at[:, 0] * 1.2 + 30 * side, at[:, 1] * 0.8 + 70)
    life += 0.05 * RIPPLE(at[:, 0] + side * 13, at[:, 1])
    total = (life + creased(STROKES, at, seed=20 + side, stray=0.9)).reshape(u.shape)
    total *= np.clip(share / 0.10, 0, 1)[:, None] * np.interp(share, [0.88, 1], [1, 0.35])[:, None]
    rope = 0.10 * np.exp(-(((share - 0.035) / 0.025) ** 2))  # roped sleeve head
    total += rope[:, None] * np.clip((cos + 0.5) / 0.6, 0, 1)
    total -= 0.05 * np.exp(-(((u - 5.6) / 0.10) ** 2))  # front seam, pressed
    return np.asarray(total - 0.30 * (1 - rounded_edge(np.abs(up), 0.18)))


def _turned_in(points: Points, u: Points, up: Points) -> tuple[Points, Points, Points]:
    """The cuff's edge goes on inside."""
    ring, centre = points[-1], points[-1].mean(0)
    steps = ((0.05, 0.03), (0.09, 0.35), (0.10, 3.0))
    turned = [ring + (centre - ring) * k + np.array([0, 0, dz]) for k, dz in steps]
    points = np.concatenate([points, np.stack(turned)])
    return points, np.r_[u, u[-1:].repeat(3, 0)], np.r_[up, up[-1:].repeat(3, 0)]


def _cuff_buttons(cut: Cut, points: Points, side: int) -> list[Piece]:
    pieces = []
    rows = _rows_above(points, (2.6, 4.05, 5.5, 6.95))
    for row in rows:
        at = points[row, COLUMNS - 6]
        centre = points[row].mean(0)
        axis = at - centre
        axis[2] = 0
        pieces.append(button(at, axis / np.linalg.norm(axis), 0.66, covered=cut.style.satin))
    return pieces


def _rows_above(points: Points, heights: tuple[float, ...]) -> list[int]:
    z = points[:ROWS, COLUMNS - 6, 2]
    return [int(np.argmin(np.abs(z - z[-1] - height))) for height in heights]


def _shirt_cuff(ring: Points, side: int) -> Piece:
    centre = ring.mean(0)
    rows = [(0.86, dz) for dz in (3, 1, 0, -0.8, -1.25, -1.35)] + [(0.80, -1.32), (0.80, 0)]
    points = np.stack([centre + (ring - centre) * k + np.array([0, 0, dz]) for k, dz in rows])
    points[..., 0] *= side
    return grid_piece("cuff", points, points[..., :2], 0, "shirt", wrap=True, flip=side < 0)
