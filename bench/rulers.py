"""Rulers and tapes that the synthetic photographer lays beside cloth, drawn from their measures.

Marks are those of school rulers and tailors' tapes: a millimetre apart, each fifth longer, each
tenth the longest, a number at each centimetre. The inch ruler counts by halves and is no scale.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

PX_PER_MM = 16
MARK_MM = 0.2
FROM_END_MM = 5.0

Light = NDArray[np.float32]


@dataclass(frozen=True)
class Ruler:
    """Sizes in millimetres; colours are linear light, BGR."""

    long: float
    wide: float
    body: tuple[float, float, float]
    ink: tuple[float, float, float]
    lengths: tuple[float, ...]  # of marks whose number divides by one, by five and by ten
    every: tuple[int, ...] = (1, 5, 10)
    apart: float = 1.0


PLASTIC = Ruler(200, 30, (0.75, 0.80, 0.80), (0.03, 0.03, 0.03), (3.2, 4.8, 6.4))
TAPE = Ruler(400, 16, (0.08, 0.55, 0.75), (0.02, 0.02, 0.03), (3.5, 5.5, 8.0))
STEEL = Ruler(150, 19, (0.42, 0.42, 0.41), (0.05, 0.05, 0.05), (3.0, 4.5, 6.0))
INCHES = Ruler(
    200, 30, (0.75, 0.8, 0.8), (0.03, 0.03, 0.03), (2.5, 3.5, 5, 6.5, 8), (1, 2, 4, 8, 16), 1.5875
)
RULERS = (PLASTIC, TAPE, STEEL)


@cache
def face(ruler: Ruler) -> Light:
    """(height, width, 3): the ruler upright, its marks along its left edge, PX_PER_MM."""
    high, wide = round(ruler.long * PX_PER_MM), round(ruler.wide * PX_PER_MM)
    ink = np.zeros((high, wide), np.uint8)
    count = int((ruler.long - 2 * FROM_END_MM) / ruler.apart)
    for number in range(count + 1):
        kind = max(k for k, every in enumerate(ruler.every) if number % every == 0)
        y = round((FROM_END_MM + number * ruler.apart) * PX_PER_MM)
        half = round(MARK_MM * PX_PER_MM / 2)
        ink[y - half : y + half, : round(ruler.lengths[kind] * PX_PER_MM)] = 255
        if kind == len(ruler.every) - 1:
            _number(ink, number // ruler.every[-1], y, round(ruler.lengths[-1] * PX_PER_MM))
    share = (ink.astype(np.float32) / 255)[..., None]
    body, print_ = (np.array(colour, np.float32) for colour in (ruler.body, ruler.ink))
    return np.asarray(body * (1 - share) + print_ * share, np.float32)


def _number(ink: NDArray[np.uint8], number: int, y: int, x: int) -> None:
    place = (x + PX_PER_MM // 3, y + PX_PER_MM)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(ink, str(number), place, font, PX_PER_MM / 10, 255, PX_PER_MM // 5, cv2.LINE_AA)


def lay(light: Light, ruler: Ruler, x_mm: Light, y_mm: Light, mm_per_px: float) -> None:
    """Draw the ruler where its own millimetres are, x from its middle to the right, y up."""
    within = (np.abs(x_mm) < ruler.wide / 2) & (np.abs(y_mm) < ruler.long / 2)
    picture = cv2.GaussianBlur(face(ruler), (0, 0), max(0.3, 0.5 * mm_per_px * PX_PER_MM))
    across = (x_mm + np.float32(ruler.wide / 2)) * PX_PER_MM
    down = (np.float32(ruler.long / 2) - y_mm) * PX_PER_MM
    seen = cv2.remap(picture, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    light[within] = np.asarray(seen)[within]
