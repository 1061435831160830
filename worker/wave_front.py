"""Wave front: the tilt that a pattern's own wave tells by its phase, however few stripes show.

Seen at an angle, a wave of one length on the cloth has the phase (ax + by + c) / (1 + gx + hy) in
the photo, with (g, h) the cloth's normal over its third component and x, y in focal lengths from
the middle. Multiplied out that is linear in a, b, c, g and h.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

WAVES = 3  # the strongest are tried
SLOWEST, FASTEST = 2.0, 24.0  # cycles along the longer side
SIDE = 256  # of the transform
PASSED = 0.5  # sigma of the low-pass after demodulation, in wavelengths
TURNS = 3  # of demodulating by what was fitted
GRID_PX = 6
STRENGTH_MIN = 0.25  # of the wave: share of all deviation that is the pattern's
LEFT_MAX = 0.1  # radians, rms, that the fitted wave leaves unexplained
TILT_MAX = 0.9
RIDGE = 0.002  # keeps at zero what does not show

Grey = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _View:
    """Deviation of log light from an even surface where there is cloth, and where pixels look."""

    detail: Grey
    cover: Grey
    x: Doubles
    y: Doubles
    focal_px: float


def tilt_by_wave(log: Grey, cover: Grey, focal_px: float) -> tuple[float, float] | None:
    """The cloth's normal over its third component; `cover` is 1 on cloth. None where no wave of
    the pattern is strong and clear enough."""
    view = _view(log, cover, focal_px)
    for wave in _waves(view.detail):
        tilt = _tilt(view, wave * (2 * np.pi * focal_px))
        if tilt is not None:
            return tilt
    return None


def _view(log: Grey, cover: Grey, focal_px: float) -> _View:
    height, width = log.shape
    y, x = np.mgrid[:height, :width].astype(np.float64)
    x, y = (x + 0.5 - width / 2) / focal_px, (y + 0.5 - height / 2) / focal_px
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=-1)
    cloth = cover > 0.5
    surface, *_ = np.linalg.lstsq(terms[cloth], log[cloth].astype(np.float64), rcond=None)
    return _View(((log - terms @ surface) * cover).astype(np.float32), cover, x, y, focal_px)


def _waves(detail: Grey) -> Doubles:
    """(n, 2): cycles per pixel of the strongest waves, the strongest first."""
    window = np.outer(*(np.hanning(side) for side in detail.shape))
    power = np.fft.fftshift(np.abs(np.fft.rfft2(detail * window, (SIDE, SIDE))), axes=0)
    f_x, f_y = np.fft.rfftfreq(SIDE), np.fft.fftshift(np.fft.fftfreq(SIDE))
    cycles = np.hypot(f_x[None, :], f_y[:, None]) * max(detail.shape)
    power *= (cycles >= SLOWEST) & (cycles <= FASTEST)
    power[: SIDE // 2, 0] = 0  # mirrors
    power *= power == cv2.dilate(power, np.ones((5, 5)))
    rows, columns = np.unravel_index(np.argsort(power.ravel())[: -WAVES - 1 : -1], power.shape)
    return np.stack([f_x[columns], f_y[rows]], axis=1)


def _tilt(view: _View, wave: Doubles) -> tuple[float, float] | None:
    """Demodulate by the wave, fit its phase, and again by what was fitted."""
    sigma = PASSED * 2 * np.pi * view.focal_px / float(np.hypot(*wave))
    share = np.maximum(_grid(_passed(view.cover, sigma)), 1e-3)
    known = _grid(view.cover) > 0.9
    x, y = _grid(view.x), _grid(view.y)
    model, fit = wave[0] * view.x + wave[1] * view.y, np.zeros(5)
    for _ in range(TURNS):
        seen = _demodulated(view.detail, model, sigma) / share
        unwrapped = np.unwrap(np.unwrap(np.angle(seen), axis=1), axis=0)
        phase, weight = (_grid(model) + unwrapped)[known], np.abs(seen)[known]
        phase = phase - np.average(phase, weights=weight)
        fit = _fitted(x[known], y[known], phase, weight)
        if not np.hypot(fit[3], fit[4]) < TILT_MAX:
            return None
        model = (fit[0] * view.x + fit[1] * view.y + fit[2]) / (
            1 + fit[3] * view.x + fit[4] * view.y
        )
    left = np.average((phase - _grid(model)[known]) ** 2, weights=weight) ** 0.5
    strength = 2 * weight.mean() / max(1e-9, float(view.detail[view.cover > 0.5].std()))
    return (float(fit[3]), float(fit[4])) if strength > STRENGTH_MIN and left < LEFT_MAX else None


def _grid(picture: NDArray[np.floating[Any]]) -> Doubles:
    return np.asarray(picture[GRID_PX // 2 :: GRID_PX, GRID_PX // 2 :: GRID_PX], np.float64)


def _passed(picture: Grey, sigma: float) -> Grey:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)


def _demodulated(detail: Grey, model: Doubles, sigma: float) -> NDArray[np.complex128]:
    parts = (detail * wave(model).astype(np.float32) for wave in (np.cos, np.sin))
    real, imaginary = (_grid(_passed(part, sigma)) for part in parts)
    return real - 1j * imaginary


def _fitted(x: Doubles, y: Doubles, phase: Doubles, weight: Doubles) -> Doubles:
    terms = np.column_stack([x, y, np.ones_like(x), -phase * x, -phase * y])
    weighed = (terms * weight[:, None]).T
    ridge = np.diag([0, 0, 0, 1, 1]) * RIDGE * weight.sum()
    return np.asarray(np.linalg.solve(weighed @ terms + ridge, weighed @ phase))
