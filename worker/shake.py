"""Shake: whether the hand moved, told by the waves that a close-up of cloth lacks one way.

A movement leaves waves that run across it and takes those along it that are finer than its length.
So of the spectrum there remains a ridge, in which yarns and fibres show as ever, and to both sides
of it hardly more than the sensor's noise, which came after the movement. Cloth may have stripes and
ribs, but its fibres show both ways, wherever they show at all.
"""

import numpy as np
from numpy.typing import NDArray

SIDE_PX = 640  # of the square that is looked at, in a photo 1600 px long
SIDE_MIN_PX = 600  # less has too few waves to tell stripes from a movement
FLOOR = (0.08, 0.12)  # cycles per pixel of waves of which some are noise alone
FLOOR_SHARE = 0.3  # of them are believed to be
RING = (0.02, 0.11)  # of waves that yarns and fibres make
RIDGE = 0.012  # so slow along the movement: it leaves them
SIDES = ((0.028, 0.042), (0.042, 0.06), (0.06, 0.09))  # so fast along it: it takes them
WAYS = np.radians(np.arange(0, 180, 6))
EULER = 0.5772  # mean of the log of noise's power, below the log of its mean
WEIGHTS = (0.36, 1.8, -3.65, -2.2)  # logistic regression on 60 shaken and 107 sharp close-ups

Grey = NDArray[np.float32]
Doubles = NDArray[np.float64]


def shake_of(grey: Grey) -> float:
    """Log odds that the hand moved while cloth was photographed; minus infinity where too little
    is seen to tell. Near zero and above for cloth that is smooth one way, too."""
    side = min(SIDE_PX, *grey.shape)
    if side < SIDE_MIN_PX:
        return float("-inf")
    power, f_x, f_y = _waves(_middle(grey, side))
    speed = np.hypot(f_x, f_y)
    floor = power[(speed > FLOOR[0]) & (speed < FLOOR[1])]
    noise = float(np.quantile(floor, FLOOR_SHARE)) / -np.log1p(-FLOOR_SHARE)
    ring = (speed > RING[0]) & (speed < RING[1])
    power, f_x, f_y = power[ring] / max(noise, 1e-12), f_x[ring], f_y[ring]
    along = np.abs(np.cos(WAYS)[:, None] * f_x + np.sin(WAYS)[:, None] * f_y)
    sides = np.stack([np.log(_mean((along > low) & (along < high), power)) for low, high in SIDES])
    emptiest = int(sides.sum(axis=0).argmin())
    on_ridge, beside = along[emptiest] < RIDGE, along[emptiest]
    at_side = (beside > SIDES[1][0]) & (beside < SIDES[1][1])
    told = (
        float(np.log(power[on_ridge].mean())),
        _usual(power[on_ridge]),
        _usual(power[at_side]),
        float(sides[2, emptiest]),
    )
    return float(np.dot(WEIGHTS, told))


def _middle(grey: Grey, side: int) -> Grey:
    top, left = (grey.shape[0] - side) // 2, (grey.shape[1] - side) // 2
    return np.log(np.maximum(grey[top : top + side, left : left + side], np.float32(1e-3)))


def _waves(log: Grey) -> tuple[Doubles, Doubles, Doubles]:
    """Power and cycles per pixel across and down, of the waves that are slow enough to matter."""
    side = len(log)
    window = np.blackman(side).astype(np.float32)
    windowed = (log - log.mean()) * window * window[:, None]
    fastest = int(FLOOR[1] * side) + 1
    rows = np.fft.rfft(windowed, axis=1)[:, :fastest]
    down = np.r_[:fastest, side - fastest : side]
    power = np.abs(np.fft.fft(rows, axis=0)[down]) ** 2
    f_x, f_y = np.meshgrid(np.fft.rfftfreq(side)[:fastest], np.fft.fftfreq(side)[down])
    return power.ravel(), f_x.ravel(), f_y.ravel()


def _mean(chosen: NDArray[np.bool_], power: Doubles) -> Doubles:
    """Of the chosen waves, for each way."""
    return np.asarray(chosen @ power / np.maximum(chosen.sum(axis=1), 1))


def _usual(power: Doubles) -> float:
    """Log of the mean that noise would have: single strong waves count little."""
    return float(np.log(np.maximum(power, 1e-12)).mean()) + EULER
