"""Coverage: how much of each pixel is cloth, and what lies beside the cloth where it ends.

The mask bounds the cloth; at its rim the photo itself tells how much is cloth: a pixel there lies
between the colour of the cloth farther in and that of what lies beside. Where the two are alike,
the mask is believed.
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
    behind, cloth = (
        blurred(photo, there.astype(np.float32), (REACH_PX, REACH_PX))
        for there in (outside, inside)
    )
    alpha = share.copy()
    alpha[rim] = _between(photo[rim], behind[rim], cloth[rim], share[rim])
    return Coverage(alpha, behind)


def _between(seen: Array, behind: Array, cloth: Array, otherwise: Array) -> Array:
    """How far colours (n, 3) lie on the way from one to the other, 0..1."""
    apart = cloth - behind
    contrast = (apart**2).sum(axis=1)
    share = ((seen - behind) * apart).sum(axis=1) / np.maximum(contrast, CONTRAST_MIN)
    return np.where(contrast > CONTRAST_MIN, np.clip(share, 0, 1), otherwise)
