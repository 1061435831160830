"""A phone photo of a swatch, made flat: the cloth alone, squared, evenly lit, its white balanced.

What could not be known is assumed and told by `degraded`:
scale-assumed             no width was told, or it is not sure what it spans; nothing shows it
fill-assumed              no border of the cloth was found, nor is cloth seen all along the frame
scale-by-ruler            not by a told width, but by the millimetres of a ruler beside the cloth
scale-by-card             the same by a bank card
white-balance-unverified  no grey card shows what white is in this light
shape-assumed             neither corners nor the weave show how the camera was held
soft-photo                less sharp than it should be
sharpness-unverified      cloth so faint, or smooth one way, that a moved hand would not show
glare                     part of the cloth reflects the lamp
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import SwatchUnreadable
from worker import bank_card, grey_card, ruler, squaring
from worker.border import border_width_px
from worker.cloth_area import LONG_SIDE_PX, SPILL_MAX, cloth_area, corners_of, spill
from worker.colour import LINEAR_OF_LEVEL
from worker.scale import Scale, px_per_cm_by_card, scale_of, surely_fills
from worker.shake import shake_of
from worker.sharpness import SIDE_MIN_PX, edge_gain_of, glare_of, structure_of

WORK_SIDE_PX = 1600  # of a photo; more than 120 px per cm in a hand-wide swatch
MIN_SIDE_PX = 32  # less shows no weave and no pattern
STRUCTURE_MIN, STRUCTURE_SHARP = 1.105, 1.2  # see sharpness.structure_of
STRUCTURE_FAINT = 1.25  # so little is seen that noise hides what a moved hand would take
SHAKE_DOUBTED, SHAKE_MAX = -0.7, 0.5  # see shake.shake_of
EDGE_GAIN_MIN = 1.2  # see sharpness.edge_gain_of
BORDER_MAX_PX = 8.0  # see border.border_width_px: sharp photos have 3 to 4
GLARE_MAX = 0.02
CONTRAST_MIN = 0.002  # deviation of log light from pixel to pixel: even satin has ten times this
UNLIKE_MAX = 0.55  # deviation of log light between sixteenths of what should be one cloth
CORE = 0.75  # of the square about the middle: a blurred border is no yarn
CLOSE_UP = 0.85  # of the photo is cloth
TRIM = 0.02  # of a swatch's sides: pinked edges and blurred borders
TOO_SMALL = f"La foto es demasiado pequeña: mínimo {MIN_SIDE_PX} píxeles."
BLURRED = "La foto está desenfocada y no se distingue el tejido: tómala de nuevo, más nítida."
CROSSED = "Las cuatro esquinas de la muestra no forman un rectángulo visto."
NO_CLOTH = "La imagen no parece una tela: fotografía la muestra de cerca, plana y con buena luz."

Light = NDArray[np.float32]
Levels = NDArray[np.uint8]
Mask = NDArray[np.uint8]
Matrix = NDArray[np.float64]
Corners = Sequence[tuple[float, float]]


@dataclass(frozen=True, eq=False)
class FlatPhoto:
    """Cloth and nothing else, warp upright: linear light, BGR, of one scale in both directions."""

    light: Light
    px_per_cm: float
    degraded: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Square:
    """Photo px to squared px; `width_px`: what the width that people tell stands for."""

    matrix: Matrix
    width_px: float
    trim_px: float
    sure: bool


def flattened(levels: Levels, width_mm: float | None, corners: Corners | None) -> FlatPhoto:
    """Flatten a photo. `width_mm` is the swatch's, or how much cloth a close-up shows across;
    `corners` are the swatch's, clockwise from the upper left, as shares of the photo's sides.

    Raises SwatchUnreadable when it is blurred, or shows no cloth.
    """
    if min(levels.shape[:2]) < MIN_SIDE_PX:
        raise SwatchUnreadable(TOO_SMALL)
    photo = _worked_size(levels)
    mask, seen, sure = _seen(levels, corners)
    sharpness = _checked_sharpness(photo, mask, seen)
    card = grey_card.card_corners(photo, mask)
    square = _squared(photo, mask, seen)
    even, white = _evened(photo, mask, card)
    flat = _cut_out(even * white, mask, square)
    _check_is_one_cloth(flat)
    spans = sure or (mask.mean() > CLOSE_UP * 255 and surely_fills(levels, photo))
    by_thing = None
    if width_mm is None or not spans:
        by_thing = _scale_by_thing(levels, photo, mask, square)
    scale = scale_of(square.width_px, spans, width_mm, by_thing)
    told = {
        "white-balance-unverified": card is None,
        "shape-assumed": not square.sure,
        "soft-photo": sharpness.structure < STRUCTURE_SHARP,
        "sharpness-unverified": seen is None and sharpness.doubtful,
        "glare": glare_of(levels, mask) > GLARE_MAX,
    }
    codes = (*scale.told, *(code for code, holds in told.items() if holds))
    return FlatPhoto(flat, scale.px_per_cm, codes)


def _seen(levels: Levels, told: Corners | None) -> tuple[Mask, NDArray[np.float64] | None, bool]:
    """Where the cloth is, and the swatch's corners in px of that mask if they show, and whether
    they are sure: nothing beyond them looks like cloth."""
    if told is None:
        mask = cloth_area(levels)
        seen = corners_of(mask)
        if seen is None:
            return mask, None, False
        return mask & _filled(seen, mask.shape), seen, spill(mask, seen) < SPILL_MAX
    scale = LONG_SIDE_PX / max(levels.shape[:2])
    height, width = (round(side * scale) for side in levels.shape[:2])
    seen = np.array(told) * [width, height]
    points = np.rint(seen).astype(np.int32)
    if len(points) != 4 or not cv2.isContourConvex(points) or cv2.contourArea(points) < 64:
        raise SwatchUnreadable(CROSSED)
    return _filled(seen, (height, width)), seen, True


def _filled(corners: NDArray[np.float64], shape: tuple[int, ...]) -> Mask:
    points = np.rint(corners).astype(np.int32)
    return np.asarray(cv2.fillConvexPoly(np.zeros(shape[:2], np.uint8), points, 255))


@dataclass(frozen=True)
class _Sharpness:
    """See sharpness.structure_of and shake.shake_of."""

    structure: float
    shake: float

    @property
    def doubtful(self) -> bool:
        return self.structure < STRUCTURE_FAINT or self.shake > SHAKE_DOUBTED

    @property
    def shaken(self) -> bool:
        """Faint cloth is believed: its noise hides it, wherever it is smooth."""
        return self.structure >= STRUCTURE_FAINT and self.shake > SHAKE_MAX


def _checked_sharpness(photo: Light, mask: Mask, seen: NDArray[np.float64] | None) -> _Sharpness:
    """Look at the middle of the cloth, and at the swatch's border where that shows.

    Raises SwatchUnreadable where no yarns are to be seen, or the hand has moved.
    """
    scale = photo.shape[1] / mask.shape[1]
    part = _core(photo, mask, scale)
    if min(part.shape) < SIDE_MIN_PX:
        return _Sharpness(float("inf"), float("-inf"))
    found = _Sharpness(structure_of(part), float("-inf") if seen is not None else shake_of(part))
    if found.structure < STRUCTURE_MIN or edge_gain_of(part) < EDGE_GAIN_MIN or found.shaken:
        raise SwatchUnreadable(BLURRED)
    if seen is not None:
        border_px = border_width_px(np.ascontiguousarray(photo[..., 1]), seen * scale)
        if border_px is not None and border_px > BORDER_MAX_PX:
            raise SwatchUnreadable(BLURRED)
    return found


def _core(photo: Light, mask: Mask, scale: float) -> NDArray[np.float32]:
    """The middle of the cloth, green."""
    y, x = (int(np.median(where)) for where in np.nonzero(mask))
    reach = int(CORE * _room(mask, y, x) * scale)
    top, left = max(0, int(y * scale) - reach), max(0, int(x * scale) - reach)
    return np.ascontiguousarray(photo[top : top + 2 * reach, left : left + 2 * reach, 1])


def _room(mask: Mask, y: int, x: int) -> float:
    """Half the side of the largest square of cloth about a pixel."""
    framed = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    return float(cv2.distanceTransform(framed, cv2.DIST_C, 3)[y + 1, x + 1]) - 1


def _squared(photo: Light, mask: Mask, seen: NDArray[np.float64] | None) -> _Square:
    height, width = photo.shape[:2]
    if seen is not None:
        seen = seen * (width / mask.shape[1])
        unit, aspect = squaring.from_corners(seen, (width, height))
        sides = np.linalg.norm(seen - np.roll(seen, -1, axis=0), axis=1)
        wide = float(max(sides[0], sides[2], sides[1] / aspect, sides[3] / aspect))
        return _Square(np.diag([wide, wide, 1.0]) @ unit, wide, TRIM * wide, True)
    upright = squaring.from_weave(np.ascontiguousarray(photo[..., 1]), mask)
    return _Square(upright.matrix, _width_px(upright.matrix, mask, width), 0.0, upright.sure)


def _width_px(matrix: Matrix, mask: Mask, width: int) -> float:
    """How wide the squared cloth is: across the middle of a close-up, else the whole piece."""
    zoom = width / mask.shape[1]
    if mask.mean() > CLOSE_UP * 255:
        y = mask.shape[0] / 2
        ends = np.array([[[0.0, y]], [[mask.shape[1], y]]]) * zoom
        left, right = np.asarray(cv2.perspectiveTransform(ends, matrix)).reshape(2, 2)
        return float(np.linalg.norm(right - left))
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = np.asarray(max(outlines, key=cv2.contourArea), np.float64) * zoom
    return float(np.ptp(np.asarray(cv2.perspectiveTransform(points, matrix))[..., 0]))


def _scale_by_thing(levels: Levels, photo: Light, mask: Mask, square: _Square) -> Scale | None:
    """By a ruler, or else by a bank card, in the cloth's plane."""
    if square.sure:
        px_per_cm = ruler.px_per_cm_by_ruler(*_from_above(photo, mask, square.matrix))
        if px_per_cm is not None:
            return Scale(px_per_cm, ("scale-by-ruler",))
    zoom = min(1.0, WORK_SIDE_PX / max(levels.shape[:2]))
    for card in bank_card.card_corners(levels, mask):
        px_per_cm = px_per_cm_by_card(card * zoom, square.matrix)
        if px_per_cm is not None:
            return Scale(px_per_cm, ("scale-by-card",))
    return None


def _from_above(photo: Light, mask: Mask, matrix: Matrix) -> tuple[NDArray[np.float32], Mask]:
    """The squared photo, green, and 255 where it shows no cloth."""
    height, width = photo.shape[:2]
    low, size = _bounds(matrix, (width, height))
    whole = _shifted(-low) @ matrix
    beside = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
    beside = 255 - np.asarray(cv2.dilate(beside, np.ones((9, 9), np.uint8)))
    green = cv2.warpPerspective(np.ascontiguousarray(photo[..., 1]), whole, size)
    free = cv2.warpPerspective(beside, whole, size, flags=cv2.INTER_NEAREST)
    return np.asarray(green, np.float32), np.asarray(free, np.uint8)


# --- light ---------------------------------------------------------------------------------------


def _evened(
    photo: Light, mask: Mask, card: NDArray[np.float64] | None
) -> tuple[Light, NDArray[np.float32]]:
    """The photo without the light's own field, and the gains that make a grey card 18 % grey.

    The field is a quadratic surface through the log light: six terms follow a window, a lamp and
    most of a vignette, but no stripe or check. A card is a seventh: lit alike, otherwise as it is.
    """
    side = 64
    grey = np.asarray(cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA)).mean(axis=2)
    cloth = cv2.resize(mask, (side, side), interpolation=cv2.INTER_AREA).ravel() > 250
    terms = np.column_stack([_quadratic(side, side), np.zeros(side * side)])
    chosen = cloth
    if card is not None:
        on_card = grey_card.inside(card, photo.shape)
        carded = np.asarray(cv2.resize(on_card, (side, side), interpolation=cv2.INTER_AREA)) > 250
        terms[carded.ravel(), 6] = 1
        chosen = cloth | carded.ravel()
    field = np.log(np.maximum(grey, 1e-4)).ravel()
    weights, *_ = np.linalg.lstsq(terms[chosen], field[chosen], rcond=None)
    surface = terms[:, :6] @ weights[:6]
    level = np.exp(surface - surface[cloth].mean()).reshape(side, side).astype(np.float32)
    uneven = cv2.resize(level, photo.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    even = np.asarray(photo / np.asarray(uneven)[..., None], np.float32)
    if card is None:
        return even, np.ones(3, np.float32)
    seen = np.median(even[on_card > 0], axis=0)
    return even, np.asarray(grey_card.REFLECTANCE / np.maximum(seen, 1e-3), np.float32)


def _quadratic(height: int, width: int) -> NDArray[np.float64]:
    y, x = np.mgrid[:height, :width]
    x, y = ((x.ravel() + 0.5) / width - 0.5), ((y.ravel() + 0.5) / height - 0.5)
    return np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=1)


# --- cutting out ---------------------------------------------------------------------------------


def _cut_out(photo: Light, mask: Mask, square: _Square) -> Light:
    """The largest upright rectangle of nothing but cloth, squared."""
    zoom = photo.shape[1] / mask.shape[1]
    small = np.diag([1 / zoom, 1 / zoom, 1.0])
    matrix = small @ square.matrix @ np.linalg.inv(small)
    low, size = _bounds(matrix, (mask.shape[1], mask.shape[0]))
    flat = cv2.warpPerspective(mask, _shifted(-low) @ matrix, size, flags=cv2.INTER_NEAREST)
    trim = max(1, round(square.trim_px / zoom))
    if (mask < 255).any():
        framed = cv2.copyMakeBorder(flat, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        flat = cv2.erode(framed, np.ones((2 * trim + 1,) * 2, np.uint8))[1:-1, 1:-1]
    left, top, right, bottom = _largest_rectangle(np.asarray(flat) > 0)
    corner = (np.array([left, top]) + low) * zoom
    out = (max(1, round((right - left) * zoom)), max(1, round((bottom - top) * zoom)))
    if min(out) < MIN_SIDE_PX // 2:
        raise SwatchUnreadable(NO_CLOTH)
    if np.allclose(square.matrix, np.eye(3)) and out == photo.shape[1::-1]:
        return photo
    whole = _shifted(-corner) @ square.matrix
    return np.asarray(cv2.warpPerspective(photo, whole, out, flags=cv2.INTER_LINEAR), np.float32)


def _bounds(matrix: Matrix, size: tuple[int, int]) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Upper left corner and size of what a picture of a size becomes, within reason."""
    width, height = size
    frame = np.array([[[0, 0]], [[width, 0]], [[width, height]], [[0, height]]], np.float32)
    seen = np.asarray(cv2.perspectiveTransform(frame, matrix), np.float64).reshape(-1, 2)
    low = np.clip(seen.min(axis=0), -2 * width, 0)
    wide, high = np.clip(seen.max(axis=0) - low, 8, 3 * width).astype(int).tolist()
    return low, (wide, high)


def _shifted(by: NDArray[np.float64]) -> Matrix:
    return np.array([[1, 0, by[0]], [0, 1, by[1]], [0, 0, 1]])


def _largest_rectangle(inside: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the largest rectangle of True.

    For each pixel of a row: how high True reaches, and the ends of the widest rectangle of that
    height; the largest rectangle is one of these.
    """
    columns = np.arange(inside.shape[1])
    heights = left = np.zeros_like(columns)
    right = np.full_like(columns, len(columns))
    best, area = (0, 0, 0, 0), 0
    for row, line in enumerate(inside):
        heights = np.where(line, heights + 1, 0)
        start = np.maximum.accumulate(np.where(line, 0, columns + 1))
        end = np.minimum.accumulate(np.where(line, len(columns), columns)[::-1])[::-1]
        left = np.where(line, np.maximum(left, start), 0)
        right = np.where(line, np.minimum(right, end), len(columns))
        areas = (right - left) * heights
        top = int(areas.argmax())
        if areas[top] > area:
            area = int(areas[top])
            best = int(left[top]), row + 1 - int(heights[top]), int(right[top]), row + 1
    return best


def _check_is_one_cloth(flat: Light) -> None:
    """Refuse what has no texture at all, and what is one thing here and another there."""
    log = np.log(np.maximum(flat[..., 1], 1e-3))
    steps = max(float(np.abs(np.diff(log, axis=axis)).mean()) for axis in (0, 1))
    if steps < CONTRAST_MIN:
        raise SwatchUnreadable(NO_CLOTH)
    parts = np.asarray(cv2.resize(log, (4, 4), interpolation=cv2.INTER_AREA))
    if float(parts.std()) > UNLIKE_MAX:
        raise SwatchUnreadable(NO_CLOTH)


def _worked_size(levels: Levels) -> Light:
    """To linear light, then averaged down to WORK_SIDE_PX: light averages, levels do not."""
    scale = WORK_SIDE_PX / max(levels.shape[:2])
    if scale >= 1:
        return np.asarray(cv2.LUT(levels, LINEAR_OF_LEVEL), np.float32)
    linear = cv2.LUT(levels, np.round(LINEAR_OF_LEVEL * 65535).astype(np.uint16))
    size = (max(1, round(levels.shape[1] * scale)), max(1, round(levels.shape[0] * scale)))
    small = cv2.resize(linear, size, interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) * np.float32(1 / 65535)
