"""Pockets: flaps, jets and the breast welt. They are cut so that stripes run on from the front."""

from itertools import pairwise

import numpy as np
import shapely.geometry as sg

from devops.looks.curves import Points, join, segment
from devops.looks.folds import RIPPLE
from devops.looks.front import HEIGHT, front_relief
from devops.looks.panels import PANEL, panel_of
from devops.looks.piece import Piece, shell
from devops.looks.style import Cut

Box = tuple[float, float, float, float]  # x0, x1, z0, z1 of the front view
SLANT = 0.9  # how much higher the outer end of a hip pocket lies


def pockets(cut: Cut) -> list[Piece]:
    """Both hip pockets and the breast welt."""
    left, right = (8.3, 17.6) if cut.style.double else (7.3, 17.4)
    top = cut.waist_z - 10.6
    pieces = [welt(cut)]
    for side in (-1, 1):
        jet = (left + 0.05, right - 0.1, top + 0.12, top + 0.62)
        pieces.append(_strip(cut, side, jet, 0.17, thickness=0.2))
        if cut.style.flaps:
            pieces.append(_flap(cut, side, (left, right, top - 5.2, top)))
        else:
            jet = (left + 0.05, right - 0.1, top - 0.46, top + 0.04)
            pieces.append(_strip(cut, side, jet, 0.17, thickness=0.2))
    return pieces


def welt(cut: Cut) -> Piece:
    """The breast pocket's welt, rising towards the sleeve."""
    box = (11.0, 19.3, 75.2, 77.4) if cut.style.double else (9.6, 18.9, 74.8, 77.1)
    outline = _rounded(_box(cut, box, 1.35), 0.15)
    return _lifted(cut, 1, outline, PANEL["welt"], 0.30, 0.28)


def _flap(cut: Cut, side: int, box: Box) -> Piece:
    """Round below, square above."""
    shape = _box(cut, box, SLANT)
    upper = shape.intersection(sg.box(-90, (box[2] + box[3]) / 2, 90, 200))
    shape = _rounded(shape, 1.5).union(upper).buffer(0)
    return _lifted(cut, side, shape, panel_of("pk", side), 0.26, 0.27)


def _strip(cut: Cut, side: int, box: Box, lift: float, thickness: float) -> Piece:
    shape = _rounded(_box(cut, box, SLANT), 0.1)
    return _lifted(cut, side, shape, panel_of("pk", side), lift, thickness)


def _lifted(
    cut: Cut, side: int, shape: sg.Polygon, panel: int, lift: float, thickness: float
) -> Piece:
    relief = front_relief(cut, side)

    def height(at: Points) -> Points:
        own = 0.025 * RIPPLE(at[:, 0] + 11, at[:, 1] + 40 * side)
        return np.asarray(HEIGHT[side] + relief(at) + lift + own)

    outline = np.array(shape.exterior.coords) * [side, 1]
    return shell(
        cut.body, "pocket", outline, panel, height, thickness=thickness, mesh=0.18, edge=0.13
    )


def _box(cut: Cut, box: Box, slant: float) -> sg.Polygon:
    x0, x1, z0, z1 = box
    corners = [(x0, z1), (x1, z1 + slant), (x1 + 0.15, z0 + slant), (x0 - 0.1, z0), (x0, z1)]
    sides = [segment(a, b) for a, b in pairwise(corners)]
    return sg.Polygon(cut.body.drawn(join(*sides))).buffer(0)


def _rounded(shape: sg.Polygon, radius: float) -> sg.Polygon:
    return shape.buffer(-radius).buffer(radius, quad_segs=10)
