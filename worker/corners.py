"""Corners: the quadrilateral that a rectangular thing makes in a photo."""

import cv2
import numpy as np
from numpy.typing import NDArray

Corners = NDArray[np.float64]  # (4, 2) px: clockwise as seen, from the upper left

SIMPLER = 0.015  # of the outline's length: what a side may bend


def quadrilateral_about(outline: NDArray[np.int32]) -> tuple[Corners, float] | None:
    """The quadrilateral of an outline's four longest sides, and the share that the outline fills.

    Sides are those of the hull, so that a finger over a border or a torn corner does not count.
    """
    hull = cv2.convexHull(outline)
    bends = SIMPLER * cv2.arcLength(hull, True)
    points = np.asarray(cv2.approxPolyDP(hull, bends, True), np.float64).reshape(-1, 2)
    if len(points) < 4:
        return None
    sides = np.roll(points, -1, axis=0) - points
    longest = np.sort(np.argsort(np.hypot(*sides.T))[-4:])
    quad = _crossings(points[longest], sides[longest])
    if quad is None:
        return None
    area = cv2.contourArea(quad.astype(np.float32))
    return _in_order(quad), cv2.contourArea(outline) / max(1.0, area)


def _crossings(starts: Corners, along: Corners) -> Corners | None:
    """Where each of four lines meets the next one; None where two of them hardly do."""
    found = []
    for start, way, other, its_way in zip(
        starts, along, np.roll(starts, -1, axis=0), np.roll(along, -1, axis=0), strict=True
    ):
        ways = np.column_stack([way, -its_way])
        if abs(np.linalg.det(ways)) < 0.3 * np.linalg.norm(way) * np.linalg.norm(its_way):
            return None
        found.append(start + way * np.linalg.solve(ways, other - start)[0])
    return np.array(found)


def _in_order(quad: Corners) -> Corners:
    around = quad - quad.mean(axis=0)
    quad = quad[np.argsort(np.arctan2(around[:, 1], around[:, 0]))]
    return np.roll(quad, -int(quad.sum(axis=1).argmin()), axis=0)
