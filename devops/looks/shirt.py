"""The shirt: its front with placket or pleated bib, and its collar."""

import numpy as np
from scipy.interpolate import CubicSpline

from devops.looks.curves import Points, arc_lengths
from devops.looks.fastening import button
from devops.looks.folds import DRAPE, RIPPLE
from devops.looks.piece import Piece, front_normals, grid_piece, lathe, rounded_edge
from devops.looks.style import Cut

HEIGHT = -1.15
PLEAT_CM = 1.15
STUDS_Z = (84.0, 77.0, 70.0, 63.0)


def shirt(cut: Cut) -> list[Piece]:
    stand = lathe([(6.6, 90), (6.5, 93), (6.2, 95.0), (6.1, 96.2)], (0, 1.2, 0), (0, 0, 1), 96)
    pieces = [
        _front(cut),
        grid_piece("stand", stand, stand[..., :2], 0, "shirt", wrap=True),
        _leaf(cut, -1),
        _leaf(cut, 1),
    ]
    return pieces + (_studs(cut) if cut.style.neckwear == "bow" else [])


def _front(cut: Cut) -> Piece:
    u, z = np.meshgrid(np.linspace(-24, 24, 480), np.linspace(45, 96, 260))
    height = HEIGHT + 0.08 * DRAPE(u + 3, z + 33) + 0.05 * RIPPLE(u, z + 5)
    height += 0.14 * np.clip((1.75 - np.abs(u)) / 0.12, 0, 1)  # placket and its stitch line
    height -= 0.06 * np.exp(-(((np.abs(u) - 1.35) / 0.08) ** 2))
    if cut.style.waistcoat:
        height -= 0.25
    if cut.style.neckwear == "bow":  # a pleated bib: each pleat lies over the next, outwards
        share = np.mod(np.abs(u) - 1.75, PLEAT_CM) / PLEAT_CM
        bib = (np.abs(u) > 1.75) & (np.abs(u) < 9.8)
        height += np.where(bib, 0.13 * (1 - share) * np.clip(share / 0.06, 0, 1), 0)
    points = cut.body.surface(u, z) + cut.body.normal(u, z) * height[..., None]
    return grid_piece("shirt", points, np.stack([u, z], -1), 0, "shirt")


def _leaf(cut: Cut, side: int) -> Piece:
    """One leaf of a spread collar; its point and lower edge go below the lapel."""
    fold, edge = _leaf_lines(cut)
    share = np.linspace(0, 1, 60)
    points = fold[:, None] * (1 - share[:, None]) + edge[:, None] * share[:, None]
    width = np.linalg.norm(fold - edge, axis=1)[:, None]
    to_edge = (1 - share) * width
    to_front = arc_lengths(edge)[:, None] * share + arc_lengths(fold)[:, None] * (1 - share)
    relief = 0.50 * np.sin(np.pi * share**0.6) - 0.45 * np.clip(1 - share / 0.12, 0, 1) ** 2
    relief = relief + 0 * to_edge
    for inset in (to_edge, to_front):
        relief -= 0.04 * np.exp(-(((inset - 0.55) / 0.08) ** 2))
        relief -= 0.2 * (1 - rounded_edge(inset, 0.13))
    points = points + front_normals(points) * relief[..., None]
    points[..., 0] *= side
    return grid_piece("collar leaf", points, points[..., :2], 0, "shirt", flip=side > 0)


def _leaf_lines(cut: Cut) -> tuple[Points, Points]:
    """Fold and edge from the front to the back, for side = +1."""
    angle = np.linspace(0.09, np.pi, 240)
    radius = 6.15
    rise = 95.1 + 4.4 * (1 - np.cos(angle)) / 2 + 1.0 * np.sin(angle)
    y = 1.2 - radius * np.cos(angle) * (1.0 + 0.07 * np.cos(angle))
    fold = np.stack([radius * np.sin(angle) * 1.02, y, rise], -1)
    below = [cut.body.above(x, z, h) for x, z, h in ((5.6, 87.4, -0.45), (6.9, 90.2, -0.35))]
    below += [cut.body.above(7.9, 92.6, 0.0)]
    around = [(8.1, 0.2, 95.4), (7.2, 4.8, 96.3), (4.4, 8.0, 96.0), (0.0, 9.2, 95.8)]
    edge = np.array([*below, *around])
    at = np.array([0.0, 0.15, 0.30, 0.52, 0.70, 0.86, 1.0])
    line = CubicSpline(at, edge, axis=0)(np.linspace(0, 1, 240))
    return fold, np.asarray(line)


def _studs(cut: Cut) -> list[Piece]:
    pieces = []
    for z in STUDS_Z:
        centre = cut.body.above(0.0, z, HEIGHT + 0.16)
        normal = cut.body.above(0.0, z, HEIGHT + 1.16) - centre
        pieces.append(button(centre, normal, 0.42, covered=True))
    return pieces
