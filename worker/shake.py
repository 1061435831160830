"""Shake: whether the hand moved, told by the waves that a close-up of cloth lacks one way.

A movement leaves waves that run across it and takes those along it that are finer than its length.
So of the spectrum there remains a ridge, in which yarns and fibres show as ever, and to both sides
of it hardly more than the sensor's noise, which came after the movement. Cloth may have stripes and
ribs, but its fibres show both ways, wherever they show at all. Where the ridge itself holds stripes
and nothing between them, no fibres show: such a picture says nothing of the hand.
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
FIBRES_BEYOND = 6.5  # in widths of a wave of the square: nearer, stripes spill over
FIBRES_MIN = 0.5  # log of the ridge's usual power over noise; shaken cloth mostly has 0.7 and more
NOISE_MIN = 1.0  # power of a deviation of half a percent: pictures that no camera took have less
EVEN = 0.0  # odds
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
    middle = _middle(grey, side)
    power, along = _ring(middle, np.blackman(side))
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
    odds = float(np.dot(WEIGHTS, told))
    return odds if odds <= EVEN or _fibres(middle, emptiest) > FIBRES_MIN else EVEN


def _ring(log: Grey, window: Doubles) -> tuple[Doubles, Doubles]:
    """Power over noise of the waves that yarns and fibres make, and how fast they are each way."""
    power, f_x, f_y = _waves(log, window)
    speed = np.hypot(f_x, f_y)
    floor = power[(speed > FLOOR[0]) & (speed < FLOOR[1])]
    noise = float(np.quantile(floor, FLOOR_SHARE)) / -np.log1p(-FLOOR_SHARE)
    ring = (speed > RING[0]) & (speed < RING[1])
    along = np.abs(np.cos(WAYS)[:, None] * f_x[ring] + np.sin(WAYS)[:, None] * f_y[ring])
    return power[ring] / max(noise, NOISE_MIN), along


def _fibres(log: Grey, way: int) -> float:
    """What the ridge holds between stripes: log of its middle power over noise. The window (Nuttall
    1981, four terms) keeps strong waves from spilling far."""
    side = len(log)
    turn = 2 * np.pi * np.arange(side) / (side - 1)
    terms = (0.35875, -0.48829, 0.14128, -0.01168)
    window = sum(term * np.cos(order * turn) for order, term in enumerate(terms))
    power, along = _ring(log, np.asarray(window))
    ridge = (along[way] > FIBRES_BEYOND / side) & (along[way] < RIDGE)
    return float(np.log(max(np.median(power[ridge]), 1e-12) / np.log(2)))


def _middle(grey: Grey, side: int) -> Grey:
    top, left = (grey.shape[0] - side) // 2, (grey.shape[1] - side) // 2
    return np.log(np.maximum(grey[top : top + side, left : left + side], np.float32(1e-3)))


def _waves(log: Grey, window: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """Power and cycles per pixel across and down, of the waves that are slow enough to matter."""
    side = len(log)
    taper = window.astype(np.float32)
    windowed = (log - log.mean()) * taper * taper[:, None]
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
