"""A look at twice its size, for zooming in to the weave, made from the pack as it is.

Where the cloth lies and how it is lit are smooth within a panel, so both are read between the
pack's pixels; the cloth itself is sampled anew at the finer pixels, in full detail. Borders between
panels are drawn smoothly; shirt, tie and backdrop are enlarged as pictures are.
"""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.colour import LINEAR_OF_LEVEL
from worker.looks import Look, in_rows

Array = NDArray[np.float32]
Ids = NDArray[np.uint8]

BORDER_SIGMA_PX = 1.2  # of the pack: takes the stairs out of borders, keeps a 3 mm pocket jet
AROUND = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))  # rows, columns


def doubled(look: Look) -> Look:
    """The look at twice its width and height."""
    size = (2 * look.width_px, 2 * look.height_px)
    base = _enlarged(look.base, size)
    panels = _smooth_panels(look.panels)
    at = np.flatnonzero(panels)
    cloth: dict[str, Any] = _coordinates(look, panels, at)
    cloth["light"] = np.maximum(_enlarged(look.in_picture(look.light), size), 0).ravel()[at]
    cloth["gleam"] = _enlarged(look.in_picture(look.gleam), size).ravel()[at]
    cloth["under"] = LINEAR_OF_LEVEL[base.reshape(-1, 3)[at]]
    rows: dict[str, Any] = {name: in_rows(values) for name, values in cloth.items()}
    return replace(
        look,
        px_per_cm=2 * look.px_per_cm,
        base=base,
        panels=panels,
        alpha=np.asarray(cv2.resize(look.alpha, size, interpolation=cv2.INTER_LINEAR), np.uint8),
        at=at,
        **rows,
    )


def _enlarged(picture: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), picture.dtype)


def _smooth_panels(panels: Ids) -> Ids:
    """Each pixel's panel: the one of which most lies around it."""
    height, width = panels.shape
    best = np.zeros((2 * height, 2 * width), np.float32)
    owner = np.zeros((2 * height, 2 * width), np.uint8)
    for panel in np.flatnonzero(np.bincount(panels.ravel())):
        share = (panels == panel).astype(np.float32)
        share = cv2.GaussianBlur(share, (0, 0), BORDER_SIGMA_PX)
        share = cv2.resize(share, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR)
        more = share > best
        owner[more], best[more] = panel, share[more]
    return owner


def _coordinates(look: Look, panels: Ids, at: NDArray[np.intp]) -> dict[str, Array]:
    """u, v and their derivatives, each from the nearest of the pack's pixels of the same panel."""
    row, column = np.divmod(at, panels.shape[1])
    from_row, from_column = _nearest_of_panel(look.panels, panels.ravel()[at], row, column)
    place = np.zeros(look.panels.size, np.intp)
    place[look.at] = np.arange(len(look.at))
    source = place[from_row * look.width_px + from_column]
    right = ((column + 0.5) / 2 - 0.5 - from_column).astype(np.float32)
    down = ((row + 0.5) / 2 - 0.5 - from_row).astype(np.float32)
    found: dict[str, Array] = {}
    for axis in "uv":
        here, dx, dy = (
            getattr(look, name).ravel()[source] for name in (axis, f"{axis}_dx", f"{axis}_dy")
        )
        found |= {axis: here + right * dx + down * dy, f"{axis}_dx": dx / 2, f"{axis}_dy": dy / 2}
    return found


def _nearest_of_panel(
    panels: Ids, wanted: Ids, row: NDArray[np.intp], column: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The pack's pixel of the wanted panel: the one that holds the finer pixel, or beside it."""
    height, width = panels.shape
    from_row, from_column = row // 2, column // 2
    lost = np.flatnonzero(panels[from_row, from_column] != wanted)
    for down, right in AROUND:
        near_row = np.clip(row[lost] // 2 + down, 0, height - 1)
        near_column = np.clip(column[lost] // 2 + right, 0, width - 1)
        fits = panels[near_row, near_column] == wanted[lost]
        from_row[lost[fits]], from_column[lost[fits]] = near_row[fits], near_column[fits]
        lost = lost[~fits]
    return from_row, from_column
