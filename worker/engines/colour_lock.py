"""After decoding: hold the painted cloth to the colour and the weave of the draped one.

Diffusion may move light and folds; it may not move colour, and it cannot keep threads. So slow
changes of colour are taken from the drape, and fine detail too, where the cloth lies flat.
"""

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
    apart = wanted - lab
    slow = np.empty_like(apart)
    slow[..., 0] = _smooth(apart[..., 0], cover, LIGHTNESS_CM * px_per_cm)
    slow[..., 1:] = _smooth(apart[..., 1:], cover, CHROMA_CM * px_per_cm)
    bgr = cv2.cvtColor(lab + np.float32(share) * slow, cv2.COLOR_Lab2BGR)
    return np.clip(bgr, 0, 1).astype(np.float32)


def rewoven(painted: Floats, drape: Floats, flat: Floats, px_per_cm: float, share: float) -> Floats:
    """The painted part with the drape's threads, weighted by `flat` (h, w) 0..1 times `share`."""
    sigma = THREAD_CM * px_per_cm
    fine = [picture - cv2.GaussianBlur(picture, (0, 0), sigma) for picture in (painted, drape)]
    weight = np.float32(share) * flat[..., None]
    return np.clip(painted + weight * (fine[1] - fine[0]), 0, 1).astype(np.float32)


def flatness(light: Floats, px_per_cm: float) -> Floats:
    """1 where the look's light is even, towards 0 at folds and seams: (h, w) from (h, w)."""
    soft = cv2.GaussianBlur(light, (0, 0), 0.2 * px_per_cm)
    steps = [cv2.Sobel(soft, cv2.CV_32F, dx, dy, scale=1 / 8) for dx, dy in ((1, 0), (0, 1))]
    per_cm = cv2.magnitude(*steps) * px_per_cm
    return np.asarray(np.exp(-((per_cm / FLAT_PER_CM) ** 2)), np.float32)


def _smooth(values: Floats, cover: Floats, sigma_px: float) -> Floats:
    """Gaussian mean over covered pixels only; done at a lower resolution, as nothing is lost."""
    step = max(1, int(sigma_px / 4))
    size = (max(1, values.shape[1] // step), max(1, values.shape[0] // step))
    weight = cover if values.ndim == 2 else cover[..., None]
    small = [
        cv2.GaussianBlur(
            cv2.resize(part, size, interpolation=cv2.INTER_AREA), (0, 0), sigma_px / step
        )
        for part in (values * weight, cover)
    ]
    total = np.maximum(small[1], 1e-4)
    mean = small[0] / (total if values.ndim == 2 else total[..., None])
    return np.asarray(cv2.resize(mean, values.shape[1::-1], interpolation=cv2.INTER_LINEAR))
