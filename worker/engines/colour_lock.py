"""After decoding: hold the painted cloth to the colour and the weave of the draped one.

Diffusion may move light and folds; it may not move colour, and it cannot keep threads. So slow
changes of colour are taken from the drape, and fine detail too, where the cloth lies flat.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
CHROMA_CM = 0.5  # sigma: a*, b* that change more slowly than this are the drape's
LIGHTNESS_CM = 4.0  # sigma: folds stay as painted, the cloth's depth of shade does not drift
THREAD_CM = 0.12  # sigma: finer than this is weave
FLAT_PER_CM = 0.5  # change of light per cm at which weave gives way to painted folds and seams


def locked(painted: Floats, drape: Floats, cover: Floats, px_per_cm: float, share: float) -> Floats:
    """The painted part with the drape's slow colour.

    painted, drape: (h, w, 3) BGR sRGB 0..1; cover: (h, w) 0..1, and only covered pixels count;
    share: 0 leaves the colour, 1 makes the slow part the drape's. Lab is CIE 1976 under D65.
    """
    lab, wanted = (cv2.cvtColor(picture, cv2.COLOR_BGR2Lab) for picture in (painted, drape))
    apart = np.asarray(cv2.subtract(wanted, lab), np.float32)
    light = _smooth(apart[..., 0], cover, LIGHTNESS_CM * px_per_cm)
    colour = _smooth(apart[..., 1:], cover, CHROMA_CM * px_per_cm)
    slow = cv2.merge([light, *cv2.split(colour)])
    return _in_gamut(cv2.cvtColor(cv2.scaleAdd(slow, share, lab), cv2.COLOR_Lab2BGR))


def rewoven(painted: Floats, drape: Floats, flat: Floats, px_per_cm: float, share: float) -> Floats:
    """The painted part with the drape's threads, weighted by `flat` (h, w) 0..1 times `share`."""
    apart = cv2.subtract(drape, painted)
    fine = cv2.subtract(apart, cv2.GaussianBlur(apart, (0, 0), THREAD_CM * px_per_cm))
    return _in_gamut(cv2.add(painted, cv2.multiply(fine, cv2.merge([flat] * 3), scale=share)))


def flatness(light: Floats, px_per_cm: float) -> Floats:
    """1 where the look's light is even, towards 0 at folds and seams: (h, w) from (h, w)."""
    soft = cv2.GaussianBlur(light, (0, 0), 0.2 * px_per_cm)
    steps = [cv2.Sobel(soft, cv2.CV_32F, dx, dy, scale=1 / 8) for dx, dy in ((1, 0), (0, 1))]
    per_cm = cv2.magnitude(*steps) * px_per_cm
    return np.asarray(np.exp(-((per_cm / FLAT_PER_CM) ** 2)), np.float32)


def _in_gamut(picture: NDArray[Any]) -> Floats:
    return np.asarray(np.clip(picture, 0, 1, out=picture), np.float32)


def _smooth(values: Floats, cover: Floats, sigma_px: float) -> Floats:
    """Gaussian mean over covered pixels only, of one channel or two; done at a lower resolution,
    where two pixels are a sigma: next to nothing is lost."""
    step = max(1, int(sigma_px / 2))
    size = (max(1, values.shape[1] // step), max(1, values.shape[0] // step))
    channels = 1 if values.ndim == 2 else values.shape[2]
    total, shared = (
        cv2.GaussianBlur(
            cv2.resize(part, size, interpolation=cv2.INTER_AREA), (0, 0), sigma_px / step
        )
        for part in (cv2.multiply(values, cv2.merge([cover] * channels)), cover)
    )
    mean = cv2.divide(total, cv2.merge([np.maximum(shared, np.float32(1e-4))] * channels))
    return np.asarray(cv2.resize(mean, values.shape[1::-1], interpolation=cv2.INTER_LINEAR))
