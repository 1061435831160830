"""Colour difference as the eye judges it: CIELAB under D65, and CIEDE2000 between two colours."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

# Linear sRGB, BGR order, to XYZ relative to the D65 white (IEC 61966-2-1).
_XYZ_OF_BGR = np.array(
    [
        [0.1804808, 0.3575761, 0.4124564],
        [0.0721750, 0.7151522, 0.2126729],
        [0.9503041, 0.1191920, 0.0193339],
    ]
) / np.array([[0.950470], [1.0], [1.088830]])


def lab_of_linear(bgr: Floats) -> NDArray[np.float64]:
    """(..., 3) linear light, BGR, to CIE L*a*b* (D65, 2°)."""
    ratio = np.asarray(bgr, np.float64) @ _XYZ_OF_BGR.T
    bent = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    x, y, z = np.moveaxis(bent, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def delta_e_2000(first: Floats, second: Floats) -> NDArray[np.float64]:
    """CIEDE2000 between L*a*b* colours (..., 3), all weights 1.

    Sharma, Wu, Dalal: The CIEDE2000 Color-Difference Formula, Color Research & Application 30(1),
    2005; its equations in order, with the hue rules of its section on discontinuities.
    """
    (l1, c1, h1), (l2, c2, h2) = _lch_primed(first, second)
    turned = h2 - h1
    d_hue = turned - 360 * (turned > 180) + 360 * (turned < -180)
    grey = c1 * c2 == 0
    d_hue = np.where(grey, 0, d_hue)
    far = np.abs(turned) > 180
    hue = (h1 + h2 + far * np.where(h1 + h2 < 360, 360, -360)) / 2
    hue = np.where(grey, h1 + h2, hue)
    lightness, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    off = (lightness - 50) ** 2
    d_l = (l2 - l1) / (1 + 0.015 * off / np.sqrt(20 + off))
    d_c = (c2 - c1) / (1 + 0.045 * chroma)
    d_h = 2 * np.sqrt(c1 * c2) * _sin(d_hue / 2) / (1 + 0.015 * chroma * _hue_weight(hue))
    turn = -_sin(60 * np.exp(-(((hue - 275) / 25) ** 2))) * 2 * _chroma_share(chroma)
    return np.asarray(np.sqrt(np.maximum(d_l**2 + d_c**2 + d_h**2 + turn * d_c * d_h, 0)))


def _lch_primed(*colours: Floats) -> list[tuple[NDArray[np.float64], ...]]:
    """L', C' and h' (degrees) of both colours, a* stretched for near-greys."""
    labs = [np.moveaxis(np.asarray(colour, np.float64), -1, 0) for colour in colours]
    mean = sum(np.hypot(lab[1], lab[2]) for lab in labs) / len(labs)
    stretch = 1 + 0.5 * (1 - _chroma_share(np.asarray(mean)))
    return [
        (light, np.hypot(stretch * a, b), np.degrees(np.arctan2(b, stretch * a)) % 360)
        for light, a, b in labs
    ]


def _chroma_share(chroma: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(chroma**7 / (chroma**7 + 25.0**7)))


def _hue_weight(hue: NDArray[np.float64]) -> NDArray[np.float64]:
    """The paper's T."""
    return np.asarray(
        1
        - 0.17 * _sin(hue + 60)
        + 0.24 * _sin(2 * hue + 90)
        + 0.32 * _sin(3 * hue + 96)
        - 0.20 * _sin(4 * hue + 27)
    )


def _sin(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sin(np.radians(degrees)))
