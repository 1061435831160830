"""The light on the cloth of a photographed suit, without that suit's own colour and pattern.

A photo of cloth is albedo times light, and a gleam of the surface on top. A plain cloth has one
albedo: noise and weave are smoothed away where they are all there is, and folds stay. A patterned
one is averaged, panel by panel along its grain, over as little cloth as holds its pattern evenly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidInput
from worker.photo_look.blur import blurred
from worker.photo_look.panels import PanelMap
from worker.photo_look.pattern import (
    FlatPanel,
    Indices,
    Lines,
    Spectrum,
    blur_for,
    flat_panel,
    pattern_in,
    pattern_left,
    smoothed,
    spectrum_of,
    without_lines,
)

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

KEY_LIGHT, KEY_PERCENTILE = 0.98, 70  # well-lit cloth ends up at this light, as in all look packs
LIGHT_MAX = 2.0
SHEEN = 0.012  # linear light: what the surface of a photographed suit is taken to add
GRAIN_CM = 0.25  # of the smoothing that takes noise and weave away
NOISE_PERCENTILE = 60  # of the noise found here and there: seams, which are not, are rarer
NOISE_TIMES = 2.0  # contrasts of so many times the noise are smoothed away, stronger ones stay
LINES: tuple[Lines, ...] = ("light", "dark")
PANELS_LOOKED_AT = 6  # the largest, for the pattern
COARSE_CM = 0.35  # a blur from this on costs folds that the eye would find
DARKEST, BRIGHTEST = 6, 252  # levels beyond which a pixel tells nothing of the light
CRUSHED_SHARE, BLOWN_SHARE, UNREADABLE_SHARE = 0.02, 0.01, 0.6
INK_PX = (0.9, 3.5)  # a seam's line and its shadow
INK = (0.28, 0.09)


@dataclass(frozen=True, eq=False)
class ClothLight:
    """`light` (height, width), 1 where cloth is lit as flat cloth is; `limits` are stable codes."""

    light: Array
    limits: tuple[str, ...]
    blur_cm: tuple[float, float]  # across and along the grain; 0 for a plain cloth
    albedo: float  # of the cloth that was photographed, as far as the exposure tells


def cloth_light(
    levels: NDArray[np.uint8], photo: Array, solid: Mask, panels: PanelMap, px_per_cm: float
) -> ClothLight:
    """`levels` and `photo` are the picture in sRGB and in linear light; `solid` is all cloth.

    Raises InvalidInput where most of the cloth is too dark or too bright to tell anything.
    """
    limits = _clipped(levels[solid].max(axis=1))
    grey = photo.mean(axis=2)
    flats = _flats(panels, solid)
    values = [grey.ravel()[flat.at] for flat in flats]
    pattern = pattern_in(_spectrum(flats, values))
    patterned = len(pattern) > 0
    if patterned:
        averaged, blur_cm, enough = _averaged(flats, values, pattern)
        even = _spread(_in_picture(flats, averaged, grey.shape), solid)
    else:
        even, blur_cm, enough = _without_noise(grey, solid, px_per_cm), (0.0, 0.0), True
    albedo = float(np.percentile(even[solid], KEY_PERCENTILE)) / KEY_LIGHT
    light = _without_gleam(even, albedo)
    light *= KEY_LIGHT / np.percentile(light[solid], KEY_PERCENTILE)
    if patterned:
        light *= _seams(panels.ids)
    if not enough:
        limits.append("pattern-remains")
    if max(blur_cm) >= COARSE_CM:
        limits.append("folds-blurred")
    return ClothLight(np.clip(light, 0, LIGHT_MAX), tuple(limits), blur_cm, albedo)


def _flats(panels: PanelMap, solid: Mask) -> list[FlatPanel]:
    """Every panel that shows solid cloth, laid flat."""
    flats = []
    for number in range(1, int(panels.ids.max()) + 1):
        at = np.flatnonzero((panels.ids == number) & solid)
        if len(at):
            flats.append(flat_panel(at, panels.u.ravel()[at], panels.v.ravel()[at]))
    return flats


def _clipped(brightest: NDArray[np.uint8]) -> list[str]:
    """What the photo no longer tells; `brightest` is each pixel's brightest channel."""
    crushed, blown = (brightest <= DARKEST).mean(), (brightest >= BRIGHTEST).mean()
    if max(crushed, blown) > UNREADABLE_SHARE:
        what = "negra" if crushed > blown else "blanca"
        raise InvalidInput(
            f"La tela de la foto está casi toda {what}, sin luces ni sombras que leer:"
            " repita la foto con otra exposición.",
            "photo",
        )
    limits = ["crushed-blacks"] if crushed > CRUSHED_SHARE else []
    return [*limits, "blown-highlights"] if blown > BLOWN_SHARE else limits


def _spectrum(flats: Sequence[FlatPanel], values: Sequence[Array]) -> Spectrum:
    """Of the largest panels."""
    largest = np.argsort([-len(flat.at) for flat in flats])[:PANELS_LOOKED_AT]
    return spectrum_of([(flats[n], values[n]) for n in largest])


def _averaged(
    flats: Sequence[FlatPanel], values: Sequence[Array], pattern: Indices
) -> tuple[list[Array], tuple[float, float], bool]:
    """The values of each panel's pixels with the pattern averaged away; over how many cm, and
    whether that is enough. Of a cloth as it is, or without its light or dark lines, the one that
    needs the least."""
    ways = [list(values)]
    for lines in LINES:
        ways.append(
            [without_lines(flat, own, lines) for flat, own in zip(flats, values, strict=True)]
        )
    blurs = [blur_for(pattern_left(_spectrum(flats, way), pattern)) for way in ways]
    best = min(range(len(ways)), key=lambda way: (not blurs[way][1], np.hypot(*blurs[way][0])))
    blur_cm, enough = blurs[best]
    even = [smoothed(flat, own, blur_cm) for flat, own in zip(flats, ways[best], strict=True)]
    return even, blur_cm, enough


def _in_picture(
    flats: Sequence[FlatPanel], values: Sequence[Array], shape: tuple[int, ...]
) -> Array:
    picture = np.zeros(shape, np.float32)
    for flat, own in zip(flats, values, strict=True):
        picture.ravel()[flat.at] = own
    return picture


def _without_noise(grey: Array, solid: Mask, px_per_cm: float) -> Array:
    """Self-guided filter (He, Sun, Tang: Guided Image Filtering, 2013) of the square root, in which
    a sensor's noise is the same in light and shadow."""
    root = np.asarray(np.sqrt(_spread(grey, solid)), np.float32)
    side = 2 * max(1, round(GRAIN_CM * px_per_cm)) + 1

    def mean(values: Array) -> Array:
        return np.asarray(cv2.blur(values, (side, side)), np.float32)

    middle = mean(root)
    spread = np.maximum(mean(root * root) - middle * middle, 0)
    fine = root - cv2.GaussianBlur(root, (0, 0), 1.0)
    noise = float(np.percentile(np.sqrt(mean(fine * fine))[solid], NOISE_PERCENTILE))
    share = np.asarray(spread / (spread + (NOISE_TIMES * noise) ** 2 + 1e-6), np.float32)
    return np.asarray((mean(share) * root + mean((1 - share) * middle)) ** 2, np.float32)


def _spread(values: Array, solid: Mask) -> Array:
    """Values beyond the cloth as they are just inside it, so that nothing else comes in."""
    return np.where(solid, values, blurred(values, solid.astype(np.float32), (1.5, 1.5)))


def _without_gleam(even: Array, albedo: float) -> Array:
    """Light from what cloth of an albedo sends back: a surface gleams with about the third power of
    the light, and on dark cloth that gleam would count as light several times over."""
    light = np.linspace(0, LIGHT_MAX, 2001)
    sent = albedo * light + SHEEN * np.maximum(light**3 - light, 0)
    return np.interp(even, sent, light).astype(np.float32)


def _seams(ids: NDArray[np.uint8]) -> Array:
    """A fine dark line between panels: the photo's own was averaged away with the pattern."""
    border = np.zeros(ids.shape, np.uint8)
    for axis in (0, 1):
        other = np.roll(ids, 1, axis)
        border |= ((other != ids) & (other > 0) & (ids > 0)).astype(np.uint8)
    away = np.asarray(cv2.distanceTransform(1 - border, cv2.DIST_L2, 5))
    dark = sum(ink * np.exp(-((away / px) ** 2)) for ink, px in zip(INK, INK_PX, strict=True))
    return np.asarray(1 - dark, np.float32)
