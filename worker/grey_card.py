"""A grey card beside the cloth: what white is in this light.

A card is a plain, nearly neutral quadrilateral of middle brightness outside the cloth.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.corners import Corners, quadrilateral_about

REFLECTANCE = 0.18
LONG_SIDE_PX = 400  # the search is done at this size
LIGHT = (0.05, 0.5)
CAST_MAX = 1.5  # largest channel over smallest
STEP_MAX = 0.05  # between neighbours, share of their light
AREA = (0.004, 0.2)  # of the photo
FILL_MIN = 0.88  # of its quadrilateral

Light = NDArray[np.float32]
Mask = NDArray[np.uint8]


def card_corners(photo: Light, cloth: Mask) -> Corners | None:
    """The largest card in a photo (linear light, BGR) outside the cloth's mask (any size)."""
    scale = LONG_SIDE_PX / max(photo.shape[:2])
    small = np.asarray(cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    size = (small.shape[1], small.shape[0])
    covered = cv2.resize(cloth, size, interpolation=cv2.INTER_NEAREST)
    covered = np.asarray(cv2.dilate(covered, np.ones((5, 5), np.uint8)))
    grey = _plain_grey(np.asarray(small, np.float32)) & (covered == 0)
    plain = np.asarray(grey * 255, np.uint8)
    plain = np.asarray(cv2.morphologyEx(plain, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)))
    outlines, _ = cv2.findContours(plain, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    for outline in sorted(outlines, key=cv2.contourArea, reverse=True)[:4]:
        corners = _quadrilateral(np.asarray(outline, np.int32), size)
        if corners is not None:
            return np.asarray(corners / scale)
    return None


def _plain_grey(small: Light) -> NDArray[np.bool_]:
    low, high = small.min(axis=2), small.max(axis=2)
    neutral = (low > LIGHT[0]) & (high < LIGHT[1]) & (high < CAST_MAX * low)
    smooth = np.asarray(cv2.GaussianBlur(small.mean(axis=2), (0, 0), 1.2))
    step = cv2.morphologyEx(smooth, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    return np.asarray(neutral & (step < STEP_MAX * smooth))


def _quadrilateral(outline: NDArray[np.int32], size: tuple[int, int]) -> Corners | None:
    width, height = size
    if not AREA[0] <= cv2.contourArea(outline) / (width * height) <= AREA[1]:
        return None
    found = quadrilateral_about(outline)
    if found is None or found[1] < FILL_MIN:
        return None
    whole = (found[0] > 1).all() and (found[0] < np.array([width, height]) - 2).all()
    return _grown(found[0], 2.0) if whole else None


def _grown(quad: Corners, px: float) -> Corners:
    """Give back the rim that being plain has cost."""
    away = quad - quad.mean(axis=0)
    return np.asarray(quad + away / np.linalg.norm(away, axis=1, keepdims=True) * px * np.sqrt(2))


def inside(corners: Corners, shape: tuple[int, ...]) -> Mask:
    """255 well within the card, for a photo of that shape."""
    middle = corners.mean(axis=0)
    core = np.rint(middle + 0.75 * (corners - middle)).astype(np.int32)
    return np.asarray(cv2.fillConvexPoly(np.zeros(shape[:2], np.uint8), core, 255))
