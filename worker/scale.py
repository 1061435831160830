"""Scale: how many pixels of squared cloth make a centimetre, and how that is known.

The width that was told counts where the photo shows what it spans: a swatch's corners, or cloth
all over the frame. Else a ruler or a bank card beside the cloth counts; else the scale is assumed,
and said to be. Codes for `degraded`: scale-by-ruler, scale-by-card, scale-assumed, fill-assumed.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.bank_card import LONG_SIDE_MM, SHAPE, SHORT_SIDE_MM
from worker.cloth_area import roughness
from worker.corners import Corners
from worker.sharpness import structure_of

ASSUMED_WIDTH_MM = 100.0  # of a photo that does not say: a swatch-book cutting
SHAPE_TOLERANCE = 0.04  # of a card's proportions, squared
CORNER_PX = 200  # windows in a photo's corners, where a table would show first
YARNS = 1.05  # sharpness.structure_of of each: more than noise
RIM = 0.06  # of the width
AS_ROUGH = 2.0  # octaves that the rim's roughness may differ from the middle's

Light = NDArray[np.float32]
Levels = NDArray[np.uint8]
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    px_per_cm: float
    told: tuple[str, ...]  # codes


def scale_of(width_px: float, spans: bool, width_mm: float | None, by_thing: Scale | None) -> Scale:
    """`width_px` is what `width_mm` stands for, if it `spans` what it is believed to span;
    `by_thing` is what a thing of known size beside the cloth tells."""
    if width_mm is not None and spans:
        return Scale(width_px * 10 / width_mm, ())
    if by_thing is not None:
        return by_thing
    assumed = Scale(width_px * 10 / (width_mm or ASSUMED_WIDTH_MM), ("scale-assumed",))
    return (
        assumed if width_mm is None else Scale(assumed.px_per_cm, (*assumed.told, "fill-assumed"))
    )


def px_per_cm_by_card(card: Corners, matrix: Matrix) -> float | None:
    """By the squared sides of what may be a bank card; None if it has not a card's proportions."""
    flat = cv2.perspectiveTransform(card[None].astype(np.float32), matrix)
    quad = np.asarray(flat)[0]
    sides = np.linalg.norm(quad - np.roll(quad, 1, axis=0), axis=1)
    short, long = sorted((float(sides[::2].mean()), float(sides[1::2].mean())))
    if abs(long / max(short, 1e-9) / SHAPE - 1) > SHAPE_TOLERANCE:
        return None
    return 5 * (long / LONG_SIDE_MM + short / SHORT_SIDE_MM)


def surely_fills(levels: Levels, photo: Light) -> bool:
    """Whether cloth is seen right up to the frame: yarns in all corners, the rim as rough as the
    middle. Pale cloth on a pale table is not, whatever its colour says."""
    height, width = photo.shape[:2]
    side = min(CORNER_PX, height // 2, width // 2)
    rows, columns = (slice(0, side), slice(-side, None)), (slice(0, side), slice(-side, None))
    corners = [np.ascontiguousarray(photo[row, column, 1]) for row in rows for column in columns]
    if min(map(structure_of, corners)) < YARNS:
        return False
    rough = roughness(levels, (256, max(1, round(256 * height / width)))).astype(np.float64) / 16
    edge, away = round(RIM * 256), len(rough) // 4
    strips = (rough[:edge], rough[-edge:], rough[:, :edge], rough[:, -edge:])
    middle = np.median(rough[away:-away, 64:-64], axis=(0, 1))
    unlike = [float(np.abs(np.median(strip, axis=(0, 1)) - middle).max()) for strip in strips]
    return max(unlike) < AS_ROUGH
