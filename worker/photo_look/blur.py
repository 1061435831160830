"""Blurs that look at some pixels only (normalised convolution: Knutsson and Westin, 1993)."""

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

NEXT_SIGMA = 3.0  # how much farther to look where nothing was near enough
FARTHEST = 6
SIGMA_MAX = 4.0  # px: with a wider one, the picture is made smaller first
NEAR_ENOUGH = 0.02  # of the weight that a pixel among its like has


def blurred(values: Array, weight: Array, sigma: tuple[float, float]) -> Array:
    """Mean of values (h, w) or (h, w, c) around each pixel, by Gaussian and weight (h, w).

    `sigma` is across and down, in px. Where nothing that counts is near, it looks farther away.
    """
    mean = np.zeros_like(values)
    known = np.zeros(weight.shape, bool)
    across, down = sigma
    for _ in range(FARTHEST):
        share = _gaussian(weight, across, down)
        found = share > NEAR_ENOUGH
        new = found & ~known
        if new.any():
            summed = _gaussian(values * _like(weight, values), across, down)
            mean[new] = summed[new] / _like(share, values)[new]
        known |= found
        if known.all():
            break
        across, down = max(across, 1.0) * NEXT_SIGMA, max(down, 1.0) * NEXT_SIGMA
    return mean


def _gaussian(values: Array, across: float, down: float) -> Array:
    """A wide blur is made on a smaller picture: it holds nothing that would be lost."""
    height, width = values.shape[:2]
    by_x, by_y = (max(1, int(sigma / SIGMA_MAX)) for sigma in (across, down))
    size = (-(-width // by_x), -(-height // by_y))
    padded = cv2.copyMakeBorder(
        values, 0, size[1] * by_y - height, 0, size[0] * by_x - width, cv2.BORDER_CONSTANT
    )
    small = cv2.resize(padded, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(
        small, (0, 0), across / by_x, sigmaY=down / by_y, borderType=cv2.BORDER_CONSTANT
    )
    if size != (width, height):
        small = cv2.resize(small, padded.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(small[:height, :width], np.float32)


def _like(weight: Array, values: Array) -> Array:
    return weight if values.ndim == 2 else weight[..., None]
