"""The waistcoat of a three-piece: single-breasted, six buttons, seen between the lapels."""

import numpy as np

from devops.looks.curves import Points, join, segment, spline
from devops.looks.fastening import button
from devops.looks.folds import stitched
from devops.looks.front import front_relief
from devops.looks.panels import panel_of
from devops.looks.piece import Piece, shell
from devops.looks.style import Cut

HEIGHT = {-1: -0.62, 1: -0.42}  # cm above the jacket's body: below its fronts, above the shirt
OVERLAP = 0.95  # each half reaches over the middle; the left one lies on top
OPENING_Z = 71.2
OPENING = ((0.35, 74.4), (1.5, 78.0), (2.7, 82.3), (3.75, 86.8), (4.7, 91.5), (5.3, 96.0))
HEM = ((15.0, 47.5), (8.5, 44.8), (2.3, 41.2))  # down to the point
CUT_AWAY = ((2.3, 41.2), (0.9, 43.6), (-0.5, 47.0), (-OVERLAP, 50.5))  # and up to what is closed
BUTTONS_Z = (69.6, 64.6, 59.6, 54.6, 49.6)
BUTTON_RADIUS = 0.68


def waistcoat(cut: Cut) -> list[Piece]:
    pieces = [_half(cut, -1), _half(cut, 1)]
    for z in BUTTONS_Z:
        centre = cut.body.above(0.0, z, HEIGHT[1] + 0.02)
        normal = cut.body.above(0.0, z, HEIGHT[1] + 1.02) - centre
        pieces.append(button(centre, normal, BUTTON_RADIUS))
    return pieces


def _half(cut: Cut, side: int) -> Piece:
    low = OPENING_Z if side > 0 else OPENING_Z - 0.5
    opening = spline([(-OVERLAP, low), *OPENING])
    body, mirror = cut.body, np.array([side, 1.0])
    free = join(spline(CUT_AWAY), segment(CUT_AWAY[-1], opening[0]), opening)
    outline = join(
        free, segment(opening[-1], (12.0, 93.0)), segment((12.0, 93.0), HEM[0]), spline(HEM)
    )
    relief = front_relief(cut, side)
    edge = body.drawn(free) * mirror

    def height(at: Points) -> Points:
        return np.asarray(HEIGHT[side] + 0.5 * relief(at) + stitched(edge, at))

    return shell(
        body, "waistcoat", body.drawn(outline) * mirror, panel_of("vest", side), height,
        thickness=0.26, mesh=0.22, edge=0.15,
    )  # fmt: skip
