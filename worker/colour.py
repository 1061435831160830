"""Between 8-bit sRGB levels and linear light, and the tone curve of the look packs.

Linear light: 1.0 is the picture's white. Whatever adds or averages light does so in linear light.
"""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidInput

Floats = NDArray[np.floating[Any]]

SHOULDER = 0.8  # tone() is plain sRGB below it and bends softly towards white above
LINEAR_MAX = 2.0  # the shoulder has long reached white

_HEX = re.compile(r"#[0-9A-Fa-f]{6}")


def decoded(srgb: Floats) -> Floats:
    """sRGB 0..1 to linear light (IEC 61966-2-1)."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def encoded(linear: Floats) -> Floats:
    """Linear light 0..1 to sRGB 0..1 (IEC 61966-2-1)."""
    power = 1.055 * np.power(np.maximum(linear, 1e-9), 1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, power)


def toned(linear: Floats) -> Floats:
    """Linear light to sRGB 0..1 through the packs' shoulder: never clips, monotonic."""
    room = 1 - SHOULDER
    light = np.maximum(linear, 0)
    bent = SHOULDER + room * (1 - np.exp(-np.maximum(light - SHOULDER, 0) / room))
    return encoded(np.where(light > SHOULDER, bent, light))


LINEAR_OF_LEVEL: NDArray[np.float32] = decoded(np.arange(256) / 255).astype(np.float32)
# The way back, for those who look at a finished picture; level 255 is anything from there on.
_LIGHTS = np.linspace(0, LINEAR_MAX, 20001)
LINEAR_OF_TONED: NDArray[np.float32] = np.interp(
    np.arange(256) / 255, toned(_LIGHTS), _LIGHTS
).astype(np.float32)


def bgr_of_hex(text: str) -> NDArray[np.float32]:
    """`#RRGGBB` to linear light, BGR order. Raises InvalidInput."""
    if not _HEX.fullmatch(text):
        raise InvalidInput(f"El color «{text}» no tiene la forma #RRGGBB.", "hex_value")
    levels = [int(text[start : start + 2], 16) for start in (5, 3, 1)]
    return LINEAR_OF_LEVEL[levels]
