"""A bank card beside the cloth, of whatever colour: a thing of known size (ISO/IEC 7810, ID-1).

The table is what is seen along two sides of the picture, so that a card at one of them is none of
it. What is unlike the table, outside the cloth and has four straight sides may be a card. Whether
it has a card's proportions shows once the photo is squared.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.cloth_area import BINS, RIM, share
from worker.corners import Corners, quadrilateral_along

LONG_SIDE_MM, SHORT_SIDE_MM = 85.60, 53.98
SHAPE = LONG_SIDE_MM / SHORT_SIDE_MM
LONG_SIDE_PX = 640  # the search is done at this size
TABLE_MIN = 0.3  # of a side of the picture: with less, it shows cloth
UNLIKE = 0.05  # of the table's usual share: rarer colours are not the table's
AREA = (0.01, 0.25)  # of the photo
FILL_MIN = 0.92  # of its quadrilateral
CUT_OFF = 0.05  # of its outline lies at the frame: less is a corner
MARGIN_PX = 8

Levels = NDArray[np.uint8]
Mask = NDArray[np.uint8]


def card_corners(levels: Levels, cloth: Mask) -> list[Corners]:
    """Quadrilaterals on the table, the largest first, in px of `levels`; `cloth` may be smaller."""
    scale = LONG_SIDE_PX / max(levels.shape[:2])
    small = cv2.resize(levels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    size = (small.shape[1], small.shape[0])
    beside = cv2.resize(cloth, size, interpolation=cv2.INTER_NEAREST)
    beside = np.asarray(cv2.dilate(beside, np.ones((7, 7), np.uint8))) == 0
    things = _unlike_the_table(np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2Lab), np.uint8), beside)
    outlines, _ = cv2.findContours(things, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    areas = (AREA[0] * things.size, AREA[1] * things.size)
    likely = [line for line in outlines if areas[0] <= cv2.contourArea(line) <= areas[1]]
    found = [_corners(np.asarray(line, np.int32), size) for line in _largest_first(likely)[:4]]
    return [np.asarray(quad / scale) for quad in found if quad is not None]


def _largest_first(outlines: list[cv2.typing.MatLike]) -> list[cv2.typing.MatLike]:
    return sorted(outlines, key=cv2.contourArea, reverse=True)


def _unlike_the_table(lab: Levels, beside: NDArray[np.bool_]) -> Mask:
    edge = round(RIM * lab.shape[1])
    sides = (np.s_[:edge], np.s_[-edge:], np.s_[:, :edge], np.s_[:, -edge:])
    seen = [lab[side][beside[side]] for side in sides if beside[side].mean() > TABLE_MIN]
    if len(seen) < 2:
        return np.zeros(beside.shape, np.uint8)
    shares = np.sort([share(sample, lab, BINS) for sample in seen], axis=0)[-2]
    usual = float(np.median(shares[beside]))
    things = np.asarray((beside & (shares < UNLIKE * usual)) * 255, np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    things = np.asarray(cv2.morphologyEx(things, cv2.MORPH_OPEN, kernel), np.uint8)
    return np.asarray(cv2.morphologyEx(things, cv2.MORPH_CLOSE, kernel), np.uint8)


def _corners(outline: NDArray[np.int32], size: tuple[int, int]) -> Corners | None:
    """The outline's four sides, if it has them and the frame cuts off none of them."""
    points = outline.reshape(-1, 2)
    at_the_frame = np.minimum(points, np.array(size) - 1 - points).min(axis=1) < 2
    if at_the_frame.mean() > CUT_OFF:
        return None
    left, top, width, height = cv2.boundingRect(outline)
    corner = np.array([left, top]) - MARGIN_PX
    alone = np.zeros((height + 2 * MARGIN_PX, width + 2 * MARGIN_PX), np.uint8)
    cv2.drawContours(alone, [outline - corner.astype(np.int32)], -1, 255, -1)
    found = quadrilateral_along(alone)
    return None if found is None or found[1] < FILL_MIN else found[0] + corner
