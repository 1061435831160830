"""Where diffusion may paint: the garment's box, the mask in latent cells, and the way back.

Only the box is diffused, and only cloth is pasted back: every pixel outside the cloth's coverage
keeps the bytes that it had.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import LookUnavailable

Grey = NDArray[np.uint8]
Floats = NDArray[np.float32]
MARGIN_PX = (
    24  # of surroundings that the box keeps, so that edges are painted knowing what is beside
)
FEATHER_PX = 2.0  # sigma of the paste-back's edge, which lies inside the cloth


@dataclass(frozen=True)
class Box:
    """A part of the picture, in its pixels."""

    left: int
    top: int
    width: int
    height: int

    def of(self, picture: NDArray[Any]) -> NDArray[Any]:
        """A view of the part."""
        return picture[self.top : self.top + self.height, self.left : self.left + self.width]


def garment_box(coverage: Grey, size_px: tuple[int, int]) -> Box:
    """The smallest box around the cloth with a margin and the shape of `size_px` (width, height).

    Where the picture ends first the box ends with it, and is scaled a little unevenly.
    Raises LookUnavailable when nothing is covered.
    """
    picture_h, picture_w = coverage.shape
    left, top, width, height = cv2.boundingRect(coverage)
    if not width:
        raise LookUnavailable("El look no tiene tela.")
    width, height = width + 2 * MARGIN_PX, height + 2 * MARGIN_PX
    shape = size_px[0] / size_px[1]
    full_w = min(picture_w, round(max(width, height * shape)))
    full_h = min(picture_h, round(max(height, width / shape)))
    middle_x, middle_y = left + width / 2 - MARGIN_PX, top + height / 2 - MARGIN_PX
    return Box(
        left=min(max(0, round(middle_x - full_w / 2)), picture_w - full_w),
        top=min(max(0, round(middle_y - full_h / 2)), picture_h - full_h),
        width=full_w,
        height=full_h,
    )


def whole(coverage: Grey) -> Box:
    """The whole picture as a box."""
    return Box(0, 0, coverage.shape[1], coverage.shape[0])


def scaled(part: NDArray[Any], size_px: tuple[int, int]) -> NDArray[Any]:
    """Resize to (width, height): averaging when it gets smaller, cubic when it gets larger."""
    smaller = size_px[0] < part.shape[1]
    return cv2.resize(part, size_px, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def freedom(coverage: Grey, cell_px: int, feather_cells: int) -> Floats:
    """How free each latent cell is: (height / cell_px, width / cell_px), 0 never, 1 from the start.

    A cell is free where any of its pixels is cloth, and one cell around, since a cell that is only
    half known pulls colour across the edge. The outermost `feather_cells` open later: thresholds of
    Differential Diffusion (Levin and Fried, 2023).
    """
    height, width = coverage.shape[0] // cell_px, coverage.shape[1] // cell_px
    cells = coverage.reshape(height, cell_px, width, cell_px).max(axis=(1, 3))
    grown = cv2.dilate((cells > 0).astype(np.uint8), np.ones((3, 3), np.uint8))
    if not feather_cells:
        return grown.astype(np.float32)
    inside = cv2.distanceTransform(np.pad(grown, 1, mode="edge"), cv2.DIST_C, 3)[1:-1, 1:-1]
    return np.asarray(np.minimum(inside / (feather_cells + 1), 1), np.float32)


def pasted(picture: Grey, painted: Floats, coverage: Grey, box: Box) -> Grey:
    """The picture with the painted box laid over it inside the cloth; outside, its own bytes.

    picture (H, W, 3) and coverage (H, W) are uint8, painted (box height, box width, 3) levels.
    """
    cover = box.of(coverage).astype(np.float32) / 255
    soft = np.minimum(cv2.GaussianBlur(cover, (0, 0), FEATHER_PX), cover)
    out = picture.copy()
    here = box.of(out)
    levels = here.astype(np.float32)
    change = cv2.multiply(cv2.subtract(painted, levels), cv2.merge([soft] * 3))
    mixed = np.clip(cv2.add(levels, change) + np.float32(0.5), 0, 255).astype(np.uint8)
    cv2.copyTo(mixed, (soft > 0).astype(np.uint8), here)
    return out
