"""Where the cloth is in a photo, as against a table, a hand or a card; and the swatch's corners.

The middle of the picture is taken for cloth. What shares its colours, and is not rather like the
picture's rim in colour or in texture, belongs to it, as one piece. So pale cloth ends where a pale
table begins: yarns are rough, and a table is not, or in another way.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import SwatchUnreadable
from worker.corners import Corners, quadrilateral_along

LONG_SIDE_PX = 256  # the search is done at this size
MIDDLES = (0.28, 0.12)  # of width and height; the larger sees more of a pattern
RIM = 0.06
GROWTHS = 3
RARE = 0.08  # a stripe's colour may be so much rarer than the ground's
BINS = (24, 24, 24)  # of L*, a*, b*
ROUGHNESS_BINS = (16, 16)  # of fine and of coarser roughness, an octave each
ROUGHNESS_SIGMA = 1.0  # px of the search
PHOTO_PX = 1600  # roughness is measured at this size
BELIEVED = 0.4  # share of the neighbourhood, weighed
ODDS_MIN = -1.0  # log: cloth may be somewhat rarer than rim among pixels of a look
ROUGHNESS_DOUBTED = 0.7  # so much of roughness's log odds is no evidence: distance changes it too
AREA_MIN = 0.06  # of the photo
FILL_MIN = 0.84  # of the swatch's quadrilateral is cloth
SPILL_MAX = 0.02  # of its area may be taken for cloth beyond its sides
FRAME_MIN = 0.97  # of the frame: cloth that fills it
PANE_MAX = 0.25  # of what was seen first: a pane of a check, not the cloth
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
    rough = roughness(levels, (small.shape[1], small.shape[0]))
    mask = _grown(lab, rough, MIDDLES[0])
    if not _clear(mask):  # something else may lie in the middle, too
        narrower = _grown(lab, rough, MIDDLES[1])
        if _clear(narrower) and narrower.mean() > PANE_MAX * mask.mean():
            mask = narrower
    if mask.mean() < AREA_MIN * 255:
        raise SwatchUnreadable(NOT_IN_THE_MIDDLE)
    return mask


def _grown(lab: Levels, rough: Levels, middle: float) -> Mask:
    mask = _middle(lab.shape, middle)
    for _ in range(GROWTHS):  # what was found tells the cloth's colours farther from the lamp
        mask = _piece_in_the_middle(_alike(lab, rough, mask))
    return mask


def _clear(mask: Mask) -> bool:
    """Whether cloth fills the frame, or a quadrilateral that it does not leave."""
    if mask.mean() > FRAME_MIN * 255:
        return True
    corners = corners_of(mask)
    return corners is not None and spill(mask, corners) < SPILL_MAX


def roughness(levels: Levels, size: tuple[int, int]) -> Levels:
    """(height, width, 2): mean squared slope of the green levels, fine and coarser, 16 an octave.

    In levels, and not in light, the sensor's noise is about as strong in the dark as in the bright.
    """
    scale = min(1.0, PHOTO_PX / max(levels.shape[:2]))
    green = np.ascontiguousarray(levels[..., 1])
    if scale < 1:
        green = np.asarray(
            cv2.resize(green, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
        )
    fine = cv2.GaussianBlur(green.astype(np.float32), (0, 0), 1.0)
    half = cv2.resize(fine, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    parts = [_steepness(np.asarray(part, np.float32), size) for part in (fine, half)]
    return np.asarray(np.dstack(parts), np.uint8)


def _steepness(grey: NDArray[np.float32], size: tuple[int, int]) -> Levels:
    across, down = (np.asarray(cv2.Sobel(grey, cv2.CV_32F, *way, scale=1 / 8)) for way in _AXES)
    squared = across * across + down * down
    small = cv2.resize(squared, size, interpolation=cv2.INTER_AREA)
    mean = np.asarray(cv2.GaussianBlur(small, (0, 0), ROUGHNESS_SIGMA))
    return np.asarray(np.clip(16 * np.log2(mean + 0.25), 0, 255), np.uint8)


_AXES = ((1, 0), (0, 1))


def _middle(shape: tuple[int, ...], share: float) -> Mask:
    height, width = shape[:2]
    top, left = round(height * (1 - share) / 2), round(width * (1 - share) / 2)
    mask = np.zeros((height, width), np.uint8)
    mask[top : height - top, left : width - left] = 255
    return mask


def _alike(lab: Levels, rough: Levels, cloth: Mask) -> Mask:
    """Pixels whose neighbourhood has the colours of known cloth and is not rather like the rim."""
    rim = np.ones(cloth.shape, bool)
    edge = max(1, round(RIM * cloth.shape[1]))
    rim[edge:-edge, edge:-edge] = False
    known = cloth > 0
    ours, odds = _odds(lab, known, rim, BINS)
    as_rough, rough_odds = _odds(rough, known, rim, ROUGHNESS_BINS)
    odds = odds + np.minimum(rough_odds + ROUGHNESS_DOUBTED, 0)
    own = _usual(ours, known) * np.where(rough_odds < 0, _usual(as_rough, known), 1)
    belief = cv2.blur(own * (odds > ODDS_MIN), (5, 5))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    solid = np.asarray((np.asarray(belief) > BELIEVED) * 255, np.uint8)
    solid = np.asarray(cv2.morphologyEx(solid, cv2.MORPH_CLOSE, kernel), np.uint8)
    return np.asarray(cv2.morphologyEx(solid, cv2.MORPH_OPEN, kernel), np.uint8)


def _usual(ours: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """1 for a look that known cloth has often, less for a rare one."""
    often = max(1e-9, RARE * float(np.percentile(ours[known], 60)))
    return np.asarray(np.minimum(ours / often, 1), np.float32)


def _odds(
    looks: Levels, known: NDArray[np.bool_], rim: NDArray[np.bool_], bins: tuple[int, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Each pixel's share among known cloth, and the log of it over its share along the rim."""
    ours, theirs = share(looks[known], looks, bins), share(looks[rim], looks, bins)
    return ours, np.log((ours + 1e-5) / (theirs + 1e-5))


def share(sample: Levels, looks: Levels, bins: tuple[int, ...]) -> NDArray[np.float32]:
    """How often each pixel's look occurs in a sample: a smoothed histogram, looked up."""
    step = np.array(bins)
    at = np.ravel_multi_index(tuple((sample.astype(np.intp) * step // 256).T), bins)
    smooth = np.bincount(at, minlength=int(np.prod(bins))).reshape(bins).astype(np.float32)
    for axis, size in enumerate(bins):
        padded = np.pad(smooth, [(1, 1) if i == axis else (0, 0) for i in range(len(bins))])
        parts = [np.take(padded, range(s, s + size), axis) for s in range(3)]
        smooth = 0.25 * parts[0] + 0.5 * parts[1] + 0.25 * parts[2]
    places = tuple(np.moveaxis(looks.astype(np.intp) * step // 256, -1, 0))
    return np.asarray(smooth[places] / len(sample), np.float32)


def _piece_in_the_middle(mask: Mask) -> Mask:
    """The connected piece that covers most of the middle, its holes filled."""
    height, width = mask.shape
    _, pieces = cv2.connectedComponents(mask)
    middle = pieces[height * 3 // 8 : height * 5 // 8, width * 3 // 8 : width * 5 // 8]
    piece = int(np.bincount(middle[middle > 0], minlength=2).argmax())
    one = np.asarray((pieces == piece) * 255, np.uint8)
    outlines, _ = cv2.findContours(one, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(np.zeros_like(mask), outlines, -1, 255, -1), np.uint8)


def spill(mask: Mask, corners: Corners) -> float:
    """How much was taken for cloth beyond a swatch's sides, as a share of the swatch."""
    swatch = cv2.fillConvexPoly(np.zeros_like(mask), np.rint(corners).astype(np.int32), 255)
    beyond = (mask > 0) & (np.asarray(cv2.dilate(swatch, np.ones((7, 7), np.uint8))) == 0)
    return float(beyond.sum() / max(1, np.count_nonzero(swatch)))


def corners_of(mask: Mask) -> Corners | None:
    """The four corners of a swatch that lies whole in the picture, or nearly, in px of the mask."""
    if not mask.any():
        return None
    found = quadrilateral_along(mask)
    return None if found is None or found[1] < FILL_MIN else found[0]
