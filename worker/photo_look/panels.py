"""The panel map: which panel each pixel of cloth is of, and where in the cloth it lies.

u is the way across the grain, evened out by how far the cloth turns away from the camera; v the way
along it, up. Both in centimetres, within what a look pack can hold.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidInput
from worker.photo_look.grain import Doubles, beside, level_along
from worker.photo_look.plan import TROUSERS, PanelMark, PanelPlan

Array = NDArray[np.float32]
Ids = NDArray[np.uint8]
Mask = NDArray[np.bool_]

RANGE_CM = 64.0  # either way
PIXELS_MIN = 50
FAR_CM = 1.5  # cloth so far from every outline was forgotten
FORGOTTEN_MAX = 0.005  # of all cloth
BIN_CM = 0.5  # along the grain, in which a panel's half width is taken
WIDTH_SIGMA_CM = 6.0  # the width follows the garment's shape, not the outline's corners
STEEPEST = 0.985  # of a cylinder's radius: beyond, the surface goes on straight


@dataclass(frozen=True, eq=False)
class PanelMap:
    """`ids` number the plan's marks from 1; u and v are 0 where there is no cloth."""

    ids: Ids
    u: Array
    v: Array


def panel_map(plan: PanelPlan, cloth: Mask) -> PanelMap:
    """Lay the plan over the cloth's pixels. Raises InvalidInput naming the panel or the place."""
    ids = _ids(plan, cloth)
    u, v = (np.zeros(cloth.shape, np.float32) for _ in range(2))
    for owner in dict.fromkeys(mark.grain_of for mark in plan.marks):
        numbers = [n for n, mark in enumerate(plan.marks, 1) if mark.grain_of == owner]
        mark = plan.marks[numbers[0] - 1]
        rows, columns = np.nonzero(np.isin(ids, numbers))
        level = _level(plan, mark, ids)
        u[rows, columns], v[rows, columns] = _laid(plan, mark, rows, columns, level)
    return PanelMap(ids, u, v)


def _ids(plan: PanelPlan, cloth: Mask) -> Ids:
    marked = np.zeros(cloth.shape, np.uint8)
    for number, mark in enumerate(plan.marks, 1):
        corners = np.round(mark.outline).astype(np.int32)
        cv2.fillPoly(marked, [corners], number)
    ids = _nearest(plan, marked, cloth)
    counts = np.bincount(ids.ravel(), minlength=len(plan.marks) + 1)
    for number, mark in enumerate(plan.marks, 1):
        if counts[number] < PIXELS_MIN:
            raise InvalidInput(
                f"panels.json: panel «{mark.key}»: dentro de su contorno la máscara no tiene tela,"
                " o la cubren los paneles que siguen",
                f"panels/{mark.key}/outline",
            )
    return ids


def _nearest(plan: PanelPlan, marked: Ids, cloth: Mask) -> Ids:
    """Cloth just beyond an outline is the nearest panel's; farther away it was forgotten."""
    away, label = cv2.distanceTransformWithLabels(
        (marked == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    far = cloth & (np.asarray(away) > FAR_CM * plan.px_per_cm)
    if far.sum() > FORGOTTEN_MAX * cloth.sum():
        row, column = np.argwhere(far)[far.sum() // 2]
        raise InvalidInput(
            f"panels.json: el {far.sum() / cloth.sum():.0%} de la tela de la máscara no está en"
            f" ningún panel, por ejemplo en [{column}, {row}]",
            "panels",
        )
    panel_of_label = np.zeros(int(np.max(label)) + 1, np.uint8)
    panel_of_label[np.asarray(label)[marked > 0]] = marked[marked > 0]
    return np.asarray(np.where(cloth, panel_of_label[np.asarray(label)], 0), np.uint8)


def _level(plan: PanelPlan, mark: PanelMark, ids: Ids) -> float:
    """The row where v is 0: one for the jacket and one for the trousers, so that checks meet."""
    if mark.level is not None:
        return mark.level
    of_trousers = mark.key in TROUSERS
    kin = [n for n, other in enumerate(plan.marks, 1) if (other.key in TROUSERS) == of_trousers]
    rows = np.flatnonzero(np.isin(ids, kin).any(axis=1))
    return float(rows[0] + rows[-1]) / 2


def _laid(
    plan: PanelPlan,
    mark: PanelMark,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    level: float,
) -> tuple[Array, Array]:
    across, along, clear = beside(mark.grain, np.stack([columns, rows], axis=1).astype(float))
    if not clear:
        raise InvalidInput(
            f"panels.json: panel «{mark.key}», grain: la línea se dobla más de lo que permite"
            " el ancho del panel; márquela más recta o parta el panel",
            f"panels/{mark.key}/grain",
        )
    u = _unrolled(across / plan.px_per_cm, along / plan.px_per_cm, mark.turn_deg)
    v = (level_along(mark.grain, level) - along) / mark.px_per_cm
    if max(np.abs(u).max(), np.abs(v).max()) > RANGE_CM:
        raise InvalidInput(
            f"panels.json: panel «{mark.key}»: su tela llega a más de {RANGE_CM:g} cm de donde"
            " u y v son 0; revise la escala, o dé al panel un «level» (fila de la foto) cercano",
            f"panels/{mark.key}",
        )
    return u.astype(np.float32), v.astype(np.float32)


def _unrolled(across: Doubles, along: Doubles, turn_deg: tuple[float, float]) -> Doubles:
    """The way over a surface that is flat at the grain line and turned by `turn_deg` at its edges:
    on each side a cylinder, as wide as the panel is there. All in centimetres."""
    u = across.copy()
    for side, degrees in ((-1, turn_deg[0]), (1, turn_deg[1])):
        here = across * side > 0
        if degrees > 0 and here.any():
            width = _half_width(across[here] * side, along[here])
            u[here] = side * _arc(across[here] * side, width / np.sin(np.radians(degrees)))
    return u


def _half_width(across: Doubles, along: Doubles) -> Doubles:
    """The panel's width on one side, smooth along the grain, for each of its pixels."""
    place = np.floor((along - along.min()) / BIN_CM).astype(np.intp)
    widest = np.zeros(place.max() + 1)
    np.maximum.at(widest, place, across)
    weight = np.where(widest > 0, widest, 0)  # narrow ends, where a seam cuts it off, count less
    reach = int(3 * WIDTH_SIGMA_CM / BIN_CM)
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) * BIN_CM / WIDTH_SIGMA_CM) ** 2)
    smooth = np.convolve(np.pad(weight * widest, reach), bell, "valid")
    smooth /= np.maximum(np.convolve(np.pad(weight, reach), bell, "valid"), 1e-9)
    return np.asarray(
        np.interp(along - along.min(), BIN_CM * (np.arange(len(smooth)) + 0.5), smooth)
    )


def _arc(across: Doubles, radius: Doubles) -> Doubles:
    ratio = np.minimum(across / radius, STEEPEST)
    beyond = (across / radius - ratio) / np.sqrt(1 - STEEPEST**2)
    return np.asarray(radius * (np.arcsin(ratio) + beyond))
