"""Trouser legs with a pressed crease, cut off by the lower border of the picture, and the fly."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from devops.looks.curves import Points
from devops.looks.folds import DRAPE, RIPPLE, Stroke, creased
from devops.looks.panels import panel_of
from devops.looks.piece import Piece, grid_piece, outward_normals
from devops.looks.style import Cut

ROWS, COLUMNS = 350, 300
FRONT = COLUMNS // 4
LOW, HIGH = -9.0, 47.0  # they show where the fronts part
FORK_Z = (18.5, 24.5)  # from the lower to the upper height the legs grow together in front
FLY_X, FLY_Z = 3.2, (20.8, 25.5)  # its stitching, and between which heights that bends to the seam

# Strokes in (u, z): from the fork, and the thigh's drape; u > 0 is the inside.
STROKES: tuple[Stroke, ...] = (
    (((9.2, 19.5), (5.4, 17.0), (2.4, 12.5)), 1.1, 0.34),
    (((9.2, 17.0), (5.8, 12.5), (3.9, 6.0)), 1.0, 0.28),
    (((8.8, 21.8), (4.8, 20.8), (1.2, 18.8)), 0.9, 0.20),
    (((-8.2, 11.0), (-5.2, 6.5), (-2.8, 0.5)), 1.1, 0.17),
    (((-8.0, 22.0), (-5.6, 17.0), (-4.4, 11.0)), 1.2, 0.15),
    (((7.6, 3.0), (5.0, -1.0), (3.6, -6.0)), 1.2, 0.14),
)


def trouser_leg(cut: Cut, side: int) -> Piece:
    points, z = _tube()
    step = np.linalg.norm(np.roll(points, -1, 1) - points, axis=-1)
    around = np.cumsum(np.concatenate([np.zeros((ROWS, 1)), step[:, :-1]], 1), 1)
    u = around - around[:, FRONT : FRONT + 1]
    behind = np.arange(COLUMNS)[None] > COLUMNS * 3 // 4
    u = np.where(behind, u - step.sum(1, keepdims=True), u)
    v = z[:, None] + 0 * u
    relief = _relief(side, u, v)
    if side > 0:
        relief += _fly(points[..., 0], v) * (points[..., 1] < 0)
    points = points + outward_normals(points) * relief[..., None]
    points[..., 0] *= side
    uv = np.stack([side * -u, v], -1)
    return grid_piece("leg", points, uv, panel_of("leg", side), wrap=True, flip=side < 0)


def _tube() -> tuple[Points, Points]:
    """Points (ROWS, COLUMNS, 3) for side = +1 and the height of each row."""
    z = np.linspace(LOW, HIGH, ROWS)
    outside = np.interp(z, [-9, 0, 15, 25, 32, 40, 47], [16.6, 17.3, 18.5, 19.1, 18.2, 16.6, 15.4])
    inside = np.interp(z, [-9, 0, 12, 17, 19.5, 22], [0.75, 0.55, 0.35, 0.15, -0.1, -0.3])
    inside = gaussian_filter1d(inside, 6, mode="nearest")
    depth = np.interp(z, [-9, 0, 15, 25, 34, 47], [9.4, 9.8, 10.6, 11.0, 10.9, 10.3])
    angle = np.linspace(0, 2 * np.pi, COLUMNS, endpoint=False)[None]
    cos, sin = np.cos(angle), np.sin(angle)
    x = ((outside + inside) / 2)[:, None]
    x = x + ((outside - inside) / 2)[:, None] * np.sign(cos) * np.abs(cos) ** 0.8
    y = np.interp(z, [-9, 34], [1.2, 0.9])[:, None]
    y = y - depth[:, None] * np.sign(sin) * _fullness(z[:, None], cos, sin)
    return np.stack([x, y, z[:, None] + 0 * x], -1), z


def _fullness(z: Points, cos: Points, sin: Points) -> Points:
    """Share of the leg's depth: round below, and above the fork flat in front towards the middle,
    where both legs meet in the centre seam."""
    round_ = np.abs(sin) ** 0.8
    joined = np.clip((z - FORK_Z[0]) / (FORK_Z[1] - FORK_Z[0]), 0, 1)
    joined = joined * joined * (3 - 2 * joined) * ((cos < 0) & (sin > 1e-9))
    return np.asarray(round_ + joined * (1 - 0.04 * cos**2 - round_))


def _fly(x: Points, z: Points) -> Points:
    """The stitching of the fly, a groove beside the centre seam that bends to it below."""
    low, high = FLY_Z
    bend = np.clip((high - z) / (high - low), 0, 1)
    off = x - FLY_X * np.sqrt(1 - bend * bend)
    return np.asarray(-0.09 * np.exp(-((off / 0.13) ** 2)) * (z > low))


def _relief(side: int, u: Points, v: Points) -> Points:
    at = np.stack([u.ravel(), v.ravel()], -1)
    life = 0.15 * DRAPE(at[:, 0] + 90 + 25 * side, at[:, 1] * 0.8 + 30)
    life += 0.05 * RIPPLE(at[:, 0] + side * 33, at[:, 1] + 55)
    total = (life + creased(STROKES, at, seed=30 + side, stray=0.7)).reshape(u.shape)
    sharp = np.interp(v, [-9, 15, 30], [1, 1, 0.8])
    crease = 0.62 * np.exp(-np.abs(u) / 0.75) * sharp - 0.25 * np.exp(-((u / 3.2) ** 2))
    return np.asarray(total + crease)
