"""What the cloth's surface sends back in a drape, beside the cloth's own colour.

A swatch's colour already holds the reflection of flat, fully lit cloth. So only what exceeds that,
in proportion to the light, is added: fully lit cloth has the colour of the swatch, and ridges
gleam. Without it dark cloth hides its folds.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.looks import GLEAM_ROUGHNESS, Look, gleam_of_level
from worker.surface import Surface

Array = NDArray[np.float32]

LIT_WITHIN = 0.1  # of full light
LIT_GLEAM = 75.0
BRIGHTEST_GLEAM = 0.3  # linear light: of the shiniest cloth, where it mirrors the key light


@dataclass(frozen=True, eq=False)
class Polish:
    """A surface on a look: max(0, of_level[look.gleam] - known * light), in linear light."""

    of_level: Array  # (256,) linear light by the look's level of gleam
    known: float  # linear light per unit of light: what the swatch's colour already holds


def polish_of(surface: Surface, lit_level: int) -> Polish:
    """`lit_level`: see lit_level()."""
    of_level = np.float32(BRIGHTEST_GLEAM * surface.sheen) * lobe(surface.roughness)
    return Polish(of_level, float(of_level[lit_level]))


def lobe(roughness: float) -> Array:
    """(256,): gleam of a surface by level of gleam of the pack's own, 0 to 1.

    Both reflect by the GGX distribution, 1 / (1 + tan² / alpha²)² with alpha = roughness² (Walter
    et al. 2007; Burley 2012): the pack's tells the angle from the mirror, the angle the other's.
    """
    tan2 = GLEAM_ROUGHNESS**4 * (1 / np.sqrt(gleam_of_level()) - 1)
    return np.asarray((1 + tan2 / np.float32(roughness**4)) ** -2, np.float32)


def lit_level(look: Look) -> int:
    """The level of gleam that LIT_GLEAM percent of the fully lit cloth do not exceed."""
    _, lit = _lit(look)
    levels = look.gleam.reshape(-1)[: len(look.at)][lit]
    return int(np.percentile(levels, LIT_GLEAM)) if levels.size else 255


def matt_light(look: Look) -> Array:
    """What the pack's black cloth reflects more or less than flat cloth: (rows, ROW, 3) linear."""
    return np.asarray(look.under - look.light[..., None] * _matt_gloss(look), np.float32)


def _matt_gloss(look: Look) -> Array:
    """Median reflection of the pack's black cloth per unit of light, where fully lit: (3,) BGR."""
    light, lit = _lit(look)
    if not lit.any():
        return np.zeros(3, np.float32)
    under = look.under.reshape(-1, 3)[: len(look.at)]
    return np.asarray(np.median(under[lit] / light[lit, None], axis=0), np.float32)


def _lit(look: Look) -> tuple[Array, NDArray[np.bool_]]:
    """Light of each cloth pixel, and which of them are fully lit and wholly cloth."""
    light = look.light.reshape(-1)[: len(look.at)]
    whole = look.alpha.reshape(-1)[look.at] == 255
    return light, (np.abs(light - 1) < LIT_WITHIN) & whole
