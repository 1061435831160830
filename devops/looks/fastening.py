"""Buttons and worked buttonholes."""

import numpy as np
from numpy.typing import ArrayLike

from devops.looks.curves import Points, segment
from devops.looks.front import HEIGHT, front_edge, front_relief
from devops.looks.panels import PANEL
from devops.looks.piece import Piece, Relief, grid_piece, lathe, tube
from devops.looks.style import Cut, Fastening

RADIUS = 1.0
SEAT = {False: 0.66, True: 0.75}  # above the body: single, double-breasted
UNDER_SEAT = {False: 0.30, True: 0.45}
HOLE_LENGTH = 2.3
FROM_EDGE = 1.4  # of a hole
TURNED = ((0.001, 0.12), (0.45, 0.12), (0.62, 0.16), (0.74, 0.26), (0.86, 0.30), (0.96, 0.26))
COVERED = ((0.001, 0.42), (0.3, 0.41), (0.55, 0.36), (0.78, 0.26), (0.93, 0.14))


def button(centre: ArrayLike, axis: ArrayLike, radius: float, *, covered: bool = False) -> Piece:
    """A turned horn button, or one covered in satin."""
    rim = ((1.0, 0.14), (0.93, 0.0))
    rows = [(r * radius, h) for r, h in (*(COVERED if covered else TURNED), *rim)]
    points = lathe(rows, centre, axis, 40)
    material = "satin" if covered else "horn"
    return grid_piece("button", points, points[..., :2], 0, material, wrap=True)


def front_buttons(cut: Cut) -> list[Piece]:
    """The buttons of the fronts, with their four eyes, and the worked holes that show."""
    pieces: list[Piece] = []
    for place in cut.style.buttons:
        z = cut.waist_z + place.z
        seat = (UNDER_SEAT if place.under else SEAT)[cut.style.double]
        centre = cut.body.above(place.x, z, seat)
        normal = cut.body.above(place.x, z, seat + 1) - centre
        pieces.append(button(centre, normal, RADIUS, covered=cut.style.satin))
        if not cut.style.satin:
            pieces += _eyes(centre, normal)
        if place.hole:
            pieces += _front_hole(cut, _hole_x(cut, place), z)
    return pieces


def buttonhole(cut: Cut, start: Points, end: Points, height: Relief, panel: int) -> list[Piece]:
    """A worked hole between two places (u, z): a whipped loop of thread around a dark slit."""
    body, along = cut.body, (end - start) / np.linalg.norm(end - start)
    across = np.array([-along[1], along[0]])
    turn = np.linspace(0, np.pi, 9)[:, None]
    half = 0.11
    loop = np.concatenate(
        [
            segment(start, end, 0.08) - half * across,
            end + half * (np.sin(turn) * along - np.cos(turn) * across),
            segment(end, start, 0.08) + half * across,
            start - half * (np.sin(turn) * along - np.cos(turn) * across),
        ]
    )
    loop = loop[np.r_[True, np.linalg.norm(np.diff(loop, axis=0), axis=1) > 1e-6]]
    normals = body.normal(loop[:, 0], loop[:, 1])
    path = body.surface(loop[:, 0], loop[:, 1]) + normals * (height(loop) + 0.02)[:, None]
    thread = tube(path, normals, 0.075, closed=True)
    uv = np.broadcast_to(body.uv(np.r_[loop, loop[:1]])[:, None], (*thread.shape[:2], 2))
    slit = segment(start, end, 0.08)
    n = body.normal(slit[:, 0], slit[:, 1])
    dark = tube(
        body.surface(slit[:, 0], slit[:, 1]) + n * (height(slit) - 0.02)[:, None], n, 0.05,
        closed=False,
    )  # fmt: skip
    material = "cloth" if panel else "satin"
    return [
        grid_piece("buttonhole", thread, np.array(uv), panel, material, wrap=True),
        grid_piece("slit", dark, dark[..., :2], 0, "dark", wrap=True),
    ]


def _front_hole(cut: Cut, x: float, z: float) -> list[Piece]:
    relief = front_relief(cut, +1)

    def height(at: Points) -> Points:
        return np.asarray(HEIGHT[+1] + relief(at))

    ends = cut.body.drawn(np.array([(x, z), (x + HOLE_LENGTH, z + 0.05)]))
    return buttonhole(cut, ends[0], ends[1], height, PANEL["lf"])


def _hole_x(cut: Cut, place: Fastening) -> float:
    """Where a hole begins: behind its button, or beside the edge if it is left open."""
    if not place.under:
        return place.x - 0.3
    x, z = front_edge(cut, +1)[::-1].T
    return float(np.interp(cut.waist_z + place.z, z, x)) + FROM_EDGE


def _eyes(centre: Points, normal: Points) -> list[Piece]:
    up = np.array([0, 0, 1.0]) - normal * normal[2]
    up /= np.linalg.norm(up)
    across = np.cross(up, normal)
    rows = [(0.001, 0.012), (0.10, 0.012), (0.1, -0.05)]
    reach = 0.23 * RADIUS
    pieces = []
    for a, b in ((1, 1), (-1, 1), (1, -1), (-1, -1)):
        at = centre + normal * 0.13 + across * a * reach + up * b * reach
        points = lathe(rows, at, normal, 14)
        pieces.append(grid_piece("eye", points, points[..., :2], 0, "dark", wrap=True))
    return pieces
