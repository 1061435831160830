"""Corners: the quadrilateral that a rectangular thing makes in a photo."""

from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

Corners = NDArray[np.float64]  # (4, 2) px: clockwise as seen, from the upper left

SIMPLER = 0.015  # of the outline's length: what a side may bend
LINES = 9  # the longest straight stretches of an outline are tried as sides
BORDER_PX = 3  # so near the picture's border an outline is the picture's own
SIDE_SEEN = 0.35  # share of each side that must run along the outline
ALL_SEEN = 0.6  # the same of all four together
CORNERS_OUTSIDE = 0.12  # of the picture's width: so far a corner may lie beyond its border


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


def quadrilateral_along(mask: NDArray[np.uint8]) -> tuple[Corners, float] | None:
    """The quadrilateral whose sides run along most of a mask's outline, and its share of mask.

    What sticks out, as a hand does, costs only the stretch that it covers; a corner may lie a
    little beyond the picture's border.
    """
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = np.asarray(max(outlines, key=cv2.contourArea), np.int32).reshape(-1, 2)
    edge = np.full(mask.shape, 255, np.uint8)
    edge[outline[:, 1], outline[:, 0]] = 0
    away = np.asarray(cv2.distanceTransform(edge, cv2.DIST_L2, 3), np.float32)
    best, most = None, ALL_SEEN
    for lines in combinations(_lines(outline, mask.shape), 4):
        quad = _convex(np.array(lines), mask.shape)
        if quad is None:
            continue
        seen = _seen_along(quad, away)
        if min(seen) >= SIDE_SEEN and sum(seen) / 4 > most:
            best, most = quad, sum(seen) / 4
    if best is None:
        return None
    inside = cv2.fillConvexPoly(np.zeros_like(mask), np.rint(best).astype(np.int32), 255)
    return best, float((mask[np.asarray(inside) > 0] > 0).mean())


def _lines(outline: NDArray[np.int32], shape: tuple[int, ...]) -> list[tuple[float, ...]]:
    """x, y, and direction of the lines through the outline's straight stretches, longest first."""
    bends = cv2.approxPolyDP(outline, SIMPLER / 3 * cv2.arcLength(outline, True), True)
    at = np.sort([int(np.abs(outline - bend).sum(axis=1).argmin()) for bend in bends[:, 0]])
    last = np.array(shape[1::-1]) - 1
    found = []
    for start, end in zip(at, np.append(at[1:], at[0] + len(outline)), strict=True):
        trim = (end - start) // 10
        stretch = outline[np.arange(start + trim, end - trim + 1) % len(outline)]
        rim = np.minimum(stretch, last - stretch).min(axis=1) < BORDER_PX
        if len(stretch) > 8 and rim.mean() < 0.5:
            line = np.ravel(cv2.fitLine(stretch, cv2.DIST_HUBER, 0, 0.01, 0.01))
            found.append((len(stretch), (line[2], line[3], line[0], line[1])))
    return [line for _, line in sorted(found, reverse=True)[:LINES]]


def _convex(lines: Corners, shape: tuple[int, ...]) -> Corners | None:
    """The convex quadrilateral of four lines about the picture's middle, if they make one."""
    starts, ways = lines[:, :2], lines[:, 2:]
    middle = np.array(shape[1::-1]) / 2
    normals = np.stack([-ways[:, 1], ways[:, 0]], axis=1)
    side = np.sign(((starts - middle) * normals).sum(axis=1))
    around = np.argsort(np.arctan2(side * normals[:, 1], side * normals[:, 0]))
    quad = _crossings(starts[around], ways[around])
    if quad is None or not cv2.isContourConvex(quad.astype(np.float32)):
        return None
    slack = CORNERS_OUTSIDE * shape[1]
    if (quad < -slack).any() or (quad > np.array(shape[1::-1]) + slack).any():
        return None
    return _in_order(quad)


def _seen_along(quad: Corners, away: NDArray[np.float32]) -> list[float]:
    """Share of each side, as far as it lies in the picture, that is near the outline."""
    steps = np.linspace(0.04, 0.96, 60)[:, None]
    seen = []
    for start, end in zip(quad, np.roll(quad, -1, axis=0), strict=True):
        x, y = np.rint(start + steps * (end - start)).astype(int).T
        inside = (x >= 0) & (y >= 0) & (x < away.shape[1]) & (y < away.shape[0])
        near = away[y[inside], x[inside]] < 2
        seen.append(float(near.sum()) / len(steps))
    return seen
