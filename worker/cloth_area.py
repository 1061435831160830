"""Where the cloth is in a photo, as against a table, a hand or a card; and the swatch's corners.

The middle of the picture is taken for cloth. What shares its colours and is not rather like the
picture's rim belongs to it, as one piece.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import SwatchUnreadable
from worker.corners import Corners, quadrilateral_along

LONG_SIDE_PX = 256  # the search is done at this size
MIDDLE = 0.28  # of width and height
RIM = 0.06
GROWTHS = 3
RARE = 0.08  # a stripe's colour may be so much rarer than the ground's
BINS = (24, 24, 24)  # of L*, a*, b*
AREA_MIN = 0.06  # of the photo
FILL_MIN = 0.84  # of the swatch's quadrilateral is cloth
NOT_IN_THE_MIDDLE = (
    "No se distingue una tela en el centro de la foto: acerca la cámara y centra la muestra."
)

Levels = NDArray[np.uint8]
Mask = NDArray[np.uint8]  # 255 where there is cloth


def cloth_area(levels: Levels) -> Mask:
    """The cloth of a photo, at LONG_SIDE_PX. Raises SwatchUnreadable where there is too little."""
    scale = LONG_SIDE_PX / max(levels.shape[:2])
    small = cv2.resize(levels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    lab = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2Lab), np.uint8)
    mask = _middle(lab.shape)
    for _ in range(GROWTHS):  # what was found tells the cloth's colours farther from the lamp
        mask = _piece_in_the_middle(_alike(lab, mask))
    if mask.mean() < AREA_MIN * 255:
        raise SwatchUnreadable(NOT_IN_THE_MIDDLE)
    return mask


def _middle(shape: tuple[int, ...]) -> Mask:
    height, width = shape[:2]
    top, left = round(height * (1 - MIDDLE) / 2), round(width * (1 - MIDDLE) / 2)
    mask = np.zeros((height, width), np.uint8)
    mask[top : height - top, left : width - left] = 255
    return mask


def _alike(lab: Levels, cloth: Mask) -> Mask:
    """Pixels whose neighbourhood has the colours of known cloth and is not rather like the rim."""
    rim = np.ones(cloth.shape, bool)
    edge = max(1, round(RIM * cloth.shape[1]))
    rim[edge:-edge, edge:-edge] = False
    known = cloth > 0
    ours, theirs = _share(lab[known], lab), _share(lab[rim], lab)
    own = ours / max(1e-9, RARE * float(np.percentile(ours[known], 60)))
    odds = np.log((ours + 1e-5) / (theirs + 1e-5))
    belief = cv2.blur(np.minimum(own, 1) * (odds > -1), (5, 5))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    solid = np.asarray((np.asarray(belief) > 0.25) * 255, np.uint8)
    solid = np.asarray(cv2.morphologyEx(solid, cv2.MORPH_CLOSE, kernel), np.uint8)
    return np.asarray(cv2.morphologyEx(solid, cv2.MORPH_OPEN, kernel), np.uint8)


def _share(sample: Levels, lab: Levels) -> NDArray[np.float32]:
    """How often each pixel's colour occurs in a sample: a smoothed histogram, looked up."""
    counts, _ = np.histogramdd(sample, BINS, [(0, 256)] * 3)
    smooth = counts.astype(np.float32)
    for axis in range(3):
        padded = np.pad(smooth, [(1, 1) if i == axis else (0, 0) for i in range(3)])
        parts = [np.take(padded, range(s, s + BINS[axis]), axis) for s in range(3)]
        smooth = 0.25 * parts[0] + 0.5 * parts[1] + 0.25 * parts[2]
    bins = lab.astype(np.intp) * np.array(BINS) // 256
    return np.asarray(smooth[bins[..., 0], bins[..., 1], bins[..., 2]] / len(sample), np.float32)


def _piece_in_the_middle(mask: Mask) -> Mask:
    """The connected piece that covers most of the middle, its holes filled."""
    height, width = mask.shape
    _, pieces = cv2.connectedComponents(mask)
    middle = pieces[height * 3 // 8 : height * 5 // 8, width * 3 // 8 : width * 5 // 8]
    piece = int(np.bincount(middle[middle > 0], minlength=2).argmax())
    one = np.asarray((pieces == piece) * 255, np.uint8)
    outlines, _ = cv2.findContours(one, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(np.zeros_like(mask), outlines, -1, 255, -1), np.uint8)


def corners_of(mask: Mask) -> Corners | None:
    """The four corners of a swatch that lies whole in the picture, or nearly, in px of the mask."""
    found = quadrilateral_along(mask)
    return None if found is None or found[1] < FILL_MIN else found[0]
