"""Sharpness and glare of a photo of cloth, measured where the cloth is."""

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE_PX = 640  # of the square that is looked at, in a photo 1600 px long
SIDE_MIN_PX = 160  # less tells nothing
RINGS = np.linspace(0.06, 0.10, 9)  # cycles per pixel: yarns, and beyond what a blurred photo holds
NOISE_LEVEL = 1.4427  # 1 / ln 2: mean over median of the power of noise
NEAR_PX, FAR_PX = 2.0, 6.0  # sigmas at which edges are compared
DIRECTIONS = np.radians(np.arange(0, 180, 22.5))
STEEPEST = 99  # percentile that stands for the edges
SEEN_SHARE = 0.01  # of the steepest direction's slope: less is nothing
CLIPPED = 250  # level from which on a pixel says nothing of the colour
PALE = 225  # cloth of this median level is white, not glaring

Grey = NDArray[np.float32]


def structure_of(grey: Grey) -> float:
    """How unlike noise the fine detail is: 1 is pure noise, sharp cloth has 1.1 to 1000.

    Yarns lie in rows, so their power gathers in a few waves of each ring of the spectrum. What the
    sensor adds after a blurring lens is spread evenly over the ring, however strong it is, and the
    power of its waves is distributed exponentially.
    """
    side = min(SIDE_PX, *grey.shape)
    top, left = (grey.shape[0] - side) // 2, (grey.shape[1] - side) // 2
    part = np.log(np.maximum(grey[top : top + side, left : left + side], 1e-3))
    window = np.outer(np.blackman(side), np.blackman(side))  # checks must not leak into the rings
    power = np.abs(np.fft.rfft2((part - part.mean()) * window)) ** 2
    speed = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    ring = np.digitize(speed, RINGS)
    ratios = [_mean_over_median(power[ring == number]) for number in range(1, len(RINGS))]
    return float(np.mean(ratios)) / NOISE_LEVEL


def edge_gain_of(grey: Grey) -> float:
    """How much steeper edges are seen from near than from far, in the direction that shows least.

    A sharp edge gains half and more, one that a lens or a moving hand has spread gains little;
    noise gains most, so faint cloth is never called blurred for it. Along the stripes of a drawing
    without noise there is nothing to be seen from near or far, and that tells nothing.
    """
    log = np.log(np.maximum(grey, 1e-3)).astype(np.float32)
    near, far = (_steepest(np.asarray(cv2.GaussianBlur(log, (0, 0), s))) for s in (NEAR_PX, FAR_PX))
    seen = far > SEEN_SHARE * far.max()
    return float((near[seen] / far[seen]).min()) if seen.any() else float("inf")


def _steepest(picture: Grey) -> NDArray[np.float64]:
    across, down = (
        np.asarray(cv2.Sobel(picture, cv2.CV_32F, *order))[8:-8:3, 8:-8:3] for order in _AXES
    )
    slopes = [np.abs(np.cos(way) * across + np.sin(way) * down) for way in DIRECTIONS]
    return np.array([np.percentile(slope, STEEPEST) for slope in slopes])


_AXES = ((1, 0), (0, 1))


def _mean_over_median(power: NDArray[np.float64]) -> float:
    return float(power.mean() / max(1e-12, float(np.median(power))))


def glare_of(levels: NDArray[np.uint8], cloth: NDArray[np.uint8]) -> float:
    """Share of the cloth's pixels that mirror the lamp; 0 for cloth that is white anyway."""
    small = cv2.resize(levels, cloth.shape[::-1], interpolation=cv2.INTER_AREA)
    pixels = np.asarray(small)[cloth > 0].max(axis=1)
    return 0.0 if np.median(pixels) >= PALE else float((pixels >= CLIPPED).mean())
