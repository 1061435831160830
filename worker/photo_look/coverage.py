"""Coverage: how much of each pixel is cloth, and what lies beside the cloth where it ends.

The mask bounds the cloth; at its rim the photo itself tells how much is cloth: a pixel there lies
between the colour of the cloth farther in and that of what lies beside. The more these two are
alike, or the cloth itself is of several colours, the more the mask is believed.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.photo_look.blur import blurred

Array = NDArray[np.float32]

CLEAR, SOLID = 8, 247  # levels of the mask that count as nothing and as all
RIM_PX = 3.5  # from the mask's outside: what may lie on both
INSIDE_PX, BESIDE_PX = 5.0, 2.5  # so far from the rim a colour is the cloth's own, or not at all
REACH_PX = 2.5  # sigma
CONTRAST_MIN = 0.02  # squared distance in linear light below which the two are not told apart
MANY_COLOURED = 30.0  # weight of the cloth's own variance against that distance


@dataclass(frozen=True, eq=False)
class Coverage:
    alpha: Array  # (height, width) 0..1
    behind: Array  # (height, width, 3) linear light: what lies beside the cloth at its rim


def coverage_of(photo: Array, mask: NDArray[np.uint8]) -> Coverage:
    """`photo` (height, width, 3) in linear light; `mask` 255 where there is cloth."""
    levels = (mask.astype(np.float32) - CLEAR) / (SOLID - CLEAR)
    share = np.asarray(np.clip(levels, 0, 1), np.float32)
    depth = np.asarray(cv2.distanceTransform((share > 0).astype(np.uint8), cv2.DIST_L2, 5))
    away = np.asarray(cv2.distanceTransform((share == 0).astype(np.uint8), cv2.DIST_L2, 5))
    rim = (depth > 0) & (depth <= RIM_PX)
    inside, outside = depth >= INSIDE_PX, away >= BESIDE_PX
    if not (rim.any() and inside.any() and outside.any()):
        return Coverage(share, photo)
    behind = _mean(photo, outside)
    cloth, squared = _mean(photo, inside)[rim], _mean(photo * photo, inside)[rim]
    apart = cloth - behind[rim]
    contrast = (apart**2).sum(axis=1)
    between = ((photo[rim] - behind[rim]) * apart).sum(axis=1) / np.maximum(contrast, CONTRAST_MIN)
    variance = np.maximum(squared - cloth * cloth, 0).sum(axis=1)
    sure = np.where(contrast > CONTRAST_MIN, contrast / (contrast + MANY_COLOURED * variance), 0)
    alpha = share.copy()
    alpha[rim] += sure * (np.clip(between, 0, 1) - share[rim])
    return Coverage(alpha, behind)


def _mean(values: Array, there: NDArray[np.bool_]) -> Array:
    return blurred(values, there.astype(np.float32), (REACH_PX, REACH_PX))
