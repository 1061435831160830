"""Lapels, rolled over at the roll line: notch, peak or shawl; and the collar above them."""

from dataclasses import dataclass

import numpy as np
import shapely.geometry as sg
from scipy.spatial import cKDTree

from devops.looks.curves import Points, arc_lengths, join, resample, segment, spline
from devops.looks.fastening import buttonhole
from devops.looks.folds import DRAPE, RIPPLE, stitched
from devops.looks.front import roll_line
from devops.looks.panels import panel_of
from devops.looks.piece import (
    Piece,
    Relief,
    front_normals,
    grid_piece,
    largest,
    rounded_edge,
    shell,
)
from devops.looks.style import Cut

GORGE_Z = 91.4  # where the gorge meets the roll line
HEIGHT = {False: {-1: 0.42, 1: 0.70}, True: {-1: 0.30, 1: 0.75}}  # by double-breasted, side
ROLL_RADIUS = 0.85
SHAWL_JOINT = ((5.36, 91.4), (10.75, 92.3))  # a shawl has no gorge: its collar runs on, flush
BELOW_JOINT = 0.6  # how far the lapel goes on below that collar


@dataclass(frozen=True)
class Drawing:
    """A lapel in the front view (x, z) for side = +1, and where the collar meets it."""

    gorge: Points  # from the roll line to the notch
    step: Points  # from the notch to the corner
    outer: Points  # from the corner to the break
    collar_end: tuple[tuple[float, float], ...]  # the collar's front: its notch, its tip
    collar_edge: tuple[tuple[float, float], ...]  # from the tip towards the neck
    buttonhole: tuple[tuple[float, float], tuple[float, float]] | None


def drawing(cut: Cut, roll: Points) -> Drawing:
    """`roll`: the roll line from the gorge down."""
    x, z = roll[-1][0], cut.break_z
    start = tuple(roll[0])
    end = [(x + 1.9, z + 1.9), (x + 0.15, z - 0.6)]
    if cut.style.lapel == "notch":
        notch, corner = (10.0, 88.3), (13.5, 86.3)
        outer = [corner, (12.7, 82.2), (11.0, 76.6), (8.4, 70.0), (4.9, 63.2), *end]
        return Drawing(
            segment(start, notch), segment(notch, corner), spline(outer),
            (notch, (11.75, 91.1)), ((11.35, 92.5), (10.4, 94.2)), ((10.1, 85.3), (12.3, 84.5)),
        )  # fmt: skip
    if cut.style.lapel == "peak":
        notch, corner = (10.7, 88.2), (16.0, 91.0)
        outer = [corner, (15.1, 87.0), (13.1, 81.0), (9.7, 73.6), (5.0, 65.6), (-0.5, 59.0)]
        step = spline([notch, (13.3, 89.25), corner])
        return Drawing(
            segment(start, notch), step, spline([*outer, (x + 0.1, z - 0.7)]),
            (notch, (12.0, 90.9)), ((11.4, 92.4), (10.4, 94.2)), ((12.0, 87.7), (13.9, 88.6)),
        )  # fmt: skip
    top = (10.7, 92.3 + BELOW_JOINT)
    outer = [top, (11.2, 88.5), (11.5, 83), (11.1, 77), (9.5, 70.5), (6.5, 63.6), (2.7, 57.8)]
    outer.append(end[-1])
    middle = ((start[0] + top[0]) / 2, (start[1] + top[1]) / 2)
    return Drawing(
        segment(start, middle), segment(middle, top), spline(outer),
        (middle, SHAWL_JOINT[1]), ((10.55, 93.2), (10.2, 94.4)), None,
    )  # fmt: skip


def lapel(cut: Cut, side: int) -> list[Piece]:
    """One lapel; the left one has the buttonhole for a flower."""
    mirror = np.array([side, 1.0])
    roll = _roll(cut, side)
    drawn = drawing(cut, roll)
    free = join(drawn.step, drawn.outer)
    whole = join(roll[::-1], drawn.gorge, free, segment(free[-1], roll[-1]))
    shape = largest(sg.Polygon(cut.body.drawn(whole) * mirror).buffer(0))
    outline = np.array(shape.buffer(-0.12).buffer(0.12, quad_segs=8).exterior.coords)
    outer = cut.body.drawn(drawn.outer) * mirror
    height = _height(cut, side)
    satin = cut.style.satin
    panel = 0 if satin else panel_of("lap", side)
    pieces = [
        shell(
            cut.body, "lapel", outline, panel, height, thickness=0.40, mesh=0.16, edge=0.16,
            uv=_grain(outer, side), material=cut.facing,
        )
    ]  # fmt: skip
    if side > 0 and drawn.buttonhole:
        ends = cut.body.drawn(np.array(drawn.buttonhole))
        pieces += buttonhole(cut, ends[0], ends[1], height, panel)
    return pieces


def _roll(cut: Cut, side: int) -> Points:
    """The roll line from the gorge down."""
    roll = roll_line(cut, side)
    top = GORGE_Z + (BELOW_JOINT if cut.style.lapel == "shawl" else 0)
    return np.asarray(roll[np.argmin(np.abs(roll[:, 1] - top)) :])


def _height(cut: Cut, side: int) -> Relief:
    roll = _roll(cut, side)
    drawn = drawing(cut, roll)
    lines = (roll, drawn.outer, join(drawn.step, drawn.outer))
    roll, outer, free = (cut.body.drawn(line) * [side, 1.0] for line in lines)
    roll_tree = cKDTree(spline(roll[::8], 0.03))
    outer_tree = cKDTree(outer)
    under = cut.style.double and side < 0  # its lower part disappears below the other front
    base = HEIGHT[cut.style.double][side] + 0.22

    def height(at: Points) -> Points:
        z = at[:, 1]
        from_roll = roll_tree.query(at)[0]
        across = from_roll / (from_roll + outer_tree.query(at)[0] + 1e-6)
        up = np.clip((z - cut.break_z) / 34, 0, 1)
        belly = np.interp(up, [0, 0.06, 0.25, 0.6, 1], [0.25, 0.62, 0.78, 0.55, 0.30])
        opened = np.clip((z - cut.break_z + 0.6) / 3.0, 0, 1)
        if under:
            shown = np.clip((z - 66) / 6, 0, 1)
            opened, belly = opened * shown, belly * shown
        total = base + belly * (1 - across) ** 1.3 * opened
        if under:
            below = np.clip((1.5 - at[:, 0] * side) / 3, 0, 1)
            total -= 1.1 * (1 - np.clip((z - 62) / 6, 0, 1)) * below
        turn = np.clip(1 - from_roll / ROLL_RADIUS, 0, 1)
        total -= (1 - np.sqrt(1 - turn * turn * 0.98)) * 1.35 * opened
        total += 0.05 * DRAPE(at[:, 0] * 1.3 + 50, z) * across + 0.012 * RIPPLE(at[:, 0] + 7, z)
        return np.asarray(total + (0 if cut.style.satin else stitched(free, at)))

    return height


def _grain(outer: Points, side: int) -> Relief:
    """Parallel to the chord of the outer edge, as tailors cut it."""
    start, along = outer[-1], outer[0] - outer[-1]
    along = along / np.linalg.norm(along)
    across = np.array([along[1], -along[0]])

    def uv(at: Points) -> Points:
        return np.stack([(at - start) @ across + side * 0.35, (at - start) @ along], -1)

    return uv


def collar(cut: Cut, side: int) -> Piece:
    """One half of the collar, from the fold to the outer edge, front to back."""
    inner, outer, notch = _collar_lines(cut, side)
    rows = 70
    share = np.linspace(0, 1, rows)
    points = inner[:, None] * (1 - share[:, None]) + outer[:, None] * share[:, None]
    to_notch = float(np.linalg.norm(notch - inner[0]))
    turn = to_notch / (to_notch + float(np.linalg.norm(outer[0] - notch)))
    ends = zip(inner[0], notch, outer[0], strict=True)
    front = np.stack([np.interp(share, [0, turn, 1], axis) for axis in ends], -1)
    if cut.style.lapel == "shawl":
        front = _on_lapel(cut, side, rows)
    along = np.linspace(0, 1, len(inner))
    points += (front - points[0])[None] * np.exp(-((along / 0.09) ** 2))[:, None, None]
    width = np.linalg.norm(inner - outer, axis=1)[:, None]
    uv = _collar_grain(points, inner, outer, width, side)
    relief = _collar_relief(cut, share, along, width, arc_lengths(outer), turn)
    points = points + front_normals(points) * relief[..., None]
    points[..., 0] *= side
    panel = 0 if cut.style.satin else panel_of("col", side)
    return grid_piece("collar", points, uv, panel, cut.facing, flip=side > 0)


def _collar_lines(cut: Cut, side: int) -> tuple[Points, Points, Points]:
    """Fold and outer edge as 300 points each, for side = +1, and the notch."""
    body, base = cut.body, 0.7 if side > 0 else 0.5
    drawn = drawing(cut, _roll(cut, side))
    notch, tip = drawn.collar_end
    near, far = drawn.collar_edge
    fold = [body.above(5.25, GORGE_Z, base + 0.55), body.above(5.75, 93.6, 0.95)]
    fold += [np.array(p) for p in ((6.75, -2.3, 95.9), (7.15, 1.0, 97.5), (6.2, 5.0, 98.4))]
    fold += [np.array(p) for p in ((3.5, 7.4, 98.9), (0.0, 8.2, 99.1))]
    edge = [body.above(*tip, base + 0.3), body.above(*near, 0.8), body.above(*far, 1.0)]
    edge += [np.array(p) for p in ((9.75, 0.6, 96.15), (8.9, 5.8, 96.0))]
    edge += [np.array(p) for p in ((5.4, 9.4, 95.4), (0.0, 10.6, 95.2))]
    inner, outer = (resample(spline(line, 0.02), 300) for line in (fold, edge))
    return inner, outer, body.above(*notch, base + 0.42)


def _on_lapel(cut: Cut, side: int, count: int) -> Points:
    """Where a shawl's collar runs on from its lapel: points on it, for side = +1."""
    u, z = (cut.body.drawn(np.linspace(*SHAWL_JOINT, count)) * [side, 1.0]).T
    lift = _height(cut, side)(np.stack([u, z], -1)) + 0.03
    points = cut.body.surface(u, z) + cut.body.normal(u, z) * lift[:, None]
    return np.asarray(points * [side, 1, 1])


def _collar_relief(
    cut: Cut, share: Points, along: Points, width: Points, length: Points, turn: float
) -> Points:
    swell = np.interp(along, [0, 0.1, 0.3, 1], [0.12, 0.5, 1, 1])[:, None]
    relief = 0.42 * np.sin(np.pi * share**0.7) * swell - 0.55 * np.clip(1 - share / 0.10, 0, 1) ** 2
    to_edge = (1 - share) * width
    relief = relief - 0.34 * (1 - rounded_edge(to_edge, 0.16))
    if cut.style.lapel == "shawl":
        return np.asarray(relief * (1 - np.exp(-((along / 0.06) ** 2)))[:, None])
    to_end = length[:, None] + 0 * to_edge
    drop = np.where(share > turn, 0.34, 0.12)
    relief = relief - (1 - rounded_edge(to_end, 0.14)) * drop
    pick = np.exp(-(((np.minimum(to_edge, to_end + 9 * (share < turn)) - 0.46) / 0.10) ** 2))
    return np.asarray(relief - 0.05 * pick)


def _collar_grain(points: Points, inner: Points, outer: Points, width: Points, side: int) -> Points:
    """Straight across the collar in front, along its length towards the back."""
    count, rows = points.shape[:2]
    share = np.linspace(0, 1, rows)[None]
    along = outer[int(0.38 * count)] - outer[0]
    along /= np.linalg.norm(along)
    across = inner[int(0.15 * count)] - outer[int(0.15 * count)]
    across -= along * (across @ along)
    across /= np.linalg.norm(across)
    length = arc_lengths(0.4 * inner + 0.6 * outer)[:, None]
    back = np.clip((np.linspace(0, 1, count) - 0.42) / 0.2, 0, 1)[:, None]
    u = ((points - outer[0]) @ along) * (1 - back) + length * back
    v = ((points - outer[0]) @ across) * (1 - back) + (1 - share) * width * back
    return np.stack([side * u, v], -1)
