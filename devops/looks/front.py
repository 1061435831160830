"""The jacket's fronts, side panels and back.

Pieces are drawn for side = +1 in the front view (x, z) and mirrored. Side +1 is the viewer's right,
the wearer's left: the front that lies on top.
"""

import numpy as np

from devops.looks.curves import Points, join, spline
from devops.looks.folds import DRAPE, RIPPLE, Stroke, creased, stitched
from devops.looks.panels import PANEL, panel_of
from devops.looks.piece import Piece, Relief, grid_piece, shell
from devops.looks.style import Cut

HEIGHT = {-1: 0.12, 1: 0.55}  # cm above the body: the left front lies on the right one
PARTED_Z = (82.0, 88.0)  # between these heights it comes down beside it, to go below its collar
QUARTER = (
    (0.05, 45), (0.55, 39.4), (1.8, 33.8), (4.0, 28.6), (6.9, 24.6), (10.2, 22.6),
)  # fmt: skip  # from the free edge of a closed jacket: x, z
PARTED = (
    (0.05, 0.92), (0.55, 0.81), (1.9, 0.69), (3.1, 0.535), (4.6, 0.37), (6.7, 0.21), (9.4, 0.09),
    (12.4, 0.03),
)  # fmt: skip  # where a button is left open: x, share of the height above the hem
SIDE_SEAM_SHIFT = 1.37  # cm: stripes do not run through the side seam as if uncut

# Strokes of a worn, buttoned jacket for side +1, (u, z above the break): towards the fastened
# button, over the hip, below the armhole.
PULLS: tuple[Stroke, ...] = (
    (((2.4, 0.7), (6.8, 1.9), (11.5, 4.4)), 0.95, 0.15),
    (((2.4, 1.6), (7.5, 5.2), (13.0, 10.2)), 1.1, 0.13),
    (((2.4, -0.9), (7.0, -2.6), (12.0, -4.2)), 0.9, 0.12),
    (((5.2, -3.6), (9.0, -6.4), (14.2, -8.4)), 1.1, 0.10),
    (((17.6, 10.4), (15.6, 17.0), (16.0, 25.0)), 1.1, 0.22),
    (((14.6, 12.8), (13.5, 18.6), (13.9, 24.5)), 1.0, 0.10),
    (((16.5, -4.0), (14.0, 0.8), (12.6, 5.8)), 1.0, 0.12),
)


def roll_line(cut: Cut, side: int) -> Points:
    """The lapel's fold from the neck to the break, (x, z)."""
    x, z = cut.style.front_edge_x, cut.break_z
    top = [(6.1, 97.4), (5.35, 91.5), (3.85, 80.0)]
    if cut.style.double:
        return spline([*top, (0.6, 67.5), (-3.8, z + 7), (x if side > 0 else -6.5, z)])
    last = [(x * 0.55, z + 4), (x, z)] if side > 0 else [(0.9, z + 4), (1.0, z)]
    return spline([*top, (1.75, 67.5), *last])


def front_edge(cut: Cut, side: int) -> Points:
    """The free edge from the break to the hem, (x, z)."""
    x, z, hem = cut.style.front_edge_x, cut.break_z, cut.hem_z
    if cut.style.double:
        down = spline([(x, z), (x - 0.1, 45), (x - 0.05, 30), (x + 0.15, hem + 2.2)])
        low = hem + (0.05 if side > 0 else 1.0)
        return join(down, spline([down[-1], (x + 0.7, low + 0.45), (x + 2.2, low)], 0.08))
    x = x if side > 0 else -1.9
    lean = 0.0 if side > 0 else 0.35  # quarters of a worn jacket do not mirror
    if cut.opens_z is None:
        below = [(x - 0.05, 51), *((x + dx + lean * (45 - at) / 23, at) for dx, at in QUARTER)]
        return spline([(x, z), *below, (x + 13, hem + 0.2)])
    tall = cut.opens_z - hem
    below = [(x + dx + lean * (1 - share), hem + share * tall) for dx, share in PARTED]
    return spline([(x, z), (x - 0.05, cut.opens_z), *below, (x + 15, hem + 0.2)])


def front_relief(cut: Cut, side: int) -> Relief:
    """Height of the cloth on one half of the jacket's body, whatever piece lies there."""

    def relief(at: Points) -> Points:
        u, z = at[:, 0] * side, at[:, 1]
        here = np.stack([u, z - cut.break_z], -1)
        life = np.interp(z, [22, 38, 55, 66, 84], [1.3, 0.75, 0.6, 0.75, 0.45])
        total = 0.11 * DRAPE(u + 40 * side, z) * life + 0.035 * RIPPLE(u + side * 20, z)
        total += _flutes(u, z, side) + _dart(u, z)
        return np.asarray(total + creased(PULLS, here, seed=10 + side, stray=0.55))

    return relief


def _flutes(u: Points, z: Points, side: int) -> Points:
    """The skirt hangs in soft flutes, deeper towards the hem and the side."""
    low = np.clip((44 - z) / 24, 0, 1) ** 1.5
    phase = 0.7 if side > 0 else 2.1
    wander = 0.8 * DRAPE(u * 0.6 + 17 * side, z * 0.4)
    wide = 0.27 * np.sin((u - 3) * 0.50 + phase + wander)
    return np.asarray(low * (wide + 0.10 * np.sin(u * 1.02 + 2.2 * phase)))


def _dart(u: Points, z: Points) -> Points:
    """The waist dart: its sewn line is a narrow groove in a soft hollow."""
    off = u - (10.6 + 0.035 * (z - 55))
    along = np.clip((69 - z) / 5, 0, 1) * np.clip((z - 44) / 4, 0, 1)
    groove = 0.075 * np.exp(-((off / 0.10) ** 2)) + 0.12 * np.exp(-((off / 1.3) ** 2))
    return np.asarray(-along * groove)


def front(cut: Cut, side: int) -> list[Piece]:
    """One front and its side panel."""
    body, relief, mirror = cut.body, front_relief(cut, side), np.array([side, 1.0])
    edge = body.drawn(front_edge(cut, side)) * mirror

    def height(at: Points) -> Points:
        on_top = np.interp(at[:, 1], PARTED_Z, [HEIGHT[side], HEIGHT[-1]])
        own = on_top + relief(at) + stitched(edge, at)
        if cut.style.double and side < 0:
            own = np.minimum(own, _covered(cut, at))
        return np.asarray(own)

    def side_height(at: Points) -> Points:
        return HEIGHT[-1] + relief(at)

    def side_uv(at: Points) -> Points:
        return np.asarray(body.uv(at) + np.array([side * SIDE_SEAM_SHIFT, 0.0]))

    name = "left" if side > 0 else "right"
    outline = _front_outline(cut, side) * mirror
    panel = panel_of("f", side)
    return [
        shell(body, f"{name} front", outline, panel, height, thickness=0.36, mesh=0.24, edge=0.18),
        shell(
            body, f"{name} side", _side_outline(cut) * mirror, panel_of("side", side), side_height,
            thickness=0.16, mesh=0.4, edge=0.14, uv=side_uv,
        ),
    ]  # fmt: skip


def _covered(cut: Cut, at: Points) -> Points:
    """How high the right front may lie where the left one, buttoned over it, covers it."""
    over = at[:, 0] > cut.style.front_edge_x - 0.3
    return np.asarray(np.where(over, HEIGHT[1] - 0.42 + front_relief(cut, 1)(at), np.inf))


def _side_seam(z: Points) -> Points:
    """u of the seam between front and side panel."""
    return np.asarray(18.2 + np.interp(z, [20, 35, 55, 66], [1.3, 1.0, -0.6, 0.3]))


def _front_outline(cut: Cut, side: int) -> Points:
    """(u, z) for side = +1: roll line, free edge, hem, side seam, armhole, shoulder."""
    hem = cut.hem_z
    edge = cut.body.drawn(join(roll_line(cut, side), front_edge(cut, side)))
    end_u, end_z = edge[-1]
    hem_u = np.linspace(end_u + 0.3, _side_seam(np.array([hem + 1]))[0], 60)
    seam_z, arm_z, top_z = (
        np.linspace(hem + 2, 66, 140), np.linspace(66.5, 89, 60), np.linspace(89.4, 97.4, 80)
    )  # fmt: skip
    return np.concatenate(
        [
            edge,
            np.stack([hem_u, np.interp(hem_u, [end_u, 20], [end_z, hem + 1.6])], -1),
            np.stack([_side_seam(seam_z), seam_z], -1),
            np.stack([np.interp(arm_z, [66.5, 72, 80, 89], [18.6, 20.4, 22.6, 24.6]), arm_z], -1),
            np.stack([cut.body.widest_u(top_z) + 1.2, top_z], -1),
        ]
    )


def _side_outline(cut: Cut) -> Points:
    """(u, z) for side = +1: from the side seam around to the back."""
    low, far = cut.hem_z + 1.6, 43.0
    z = np.linspace(low + 0.4, 66, 140)
    across = np.linspace(_side_seam(z[-1:])[0], 20.9, 30)
    return np.concatenate(
        [
            np.stack([_side_seam(z), z], -1),
            np.stack([across, np.linspace(66.2, 76, 30)], -1),
            np.stack([np.linspace(21.2, far, 60), np.full(60, 76.0)], -1),
            np.stack([np.full(80, far), np.linspace(75.5, low, 80)], -1),
            np.stack([np.linspace(far - 0.2, _side_seam(z)[0] + 0.1, 80), np.full(80, low)], -1),
        ]
    )


def back(cut: Cut, side: int) -> Piece:
    """Half of the back: it only shows inside the gaps."""
    u, z = np.meshgrid(np.linspace(40, 73, 80), np.linspace(cut.hem_z + 1.4, 97, 150))
    points = cut.body.surface(side * u, z) - cut.body.normal(side * u, z) * 0.1
    return grid_piece("back", points, np.stack([side * u, z], -1), PANEL["back"], flip=side < 0)
