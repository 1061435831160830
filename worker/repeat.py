"""The repeat of a pattern in a photo of cloth, and the cut that makes the photo repeat.

Everything here is one axis at a time: 0 down the cloth, 1 across.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

LONGEST_REPEAT = 0.75  # of the photo: beyond that too little of it is seen twice
NEAR = 0.93  # share of the best correlation that makes a shorter lag the repeat
WHOLE = 0.9  # mean of a repeat's multiples over the best correlation beyond each
FAINT, CLEAR = 0.3, 0.5  # correlation of a repeat that is one
SAMPLES = (110, 280)  # along the axis, from far and from the middle distance
MIN_SAMPLES = 24
RESOLVED = 10  # samples; a shorter one is judged from nearer
LEFT_OVER = 0.15  # share of the contrast: less is a beat between weave and samples

Light = NDArray[np.float32]  # (height, width, 3): linear light


def repeat_px(photo: Light, axis: int) -> float | None:
    """Period of the pattern along an axis in pixels; None when there is none.

    Looked for from far away first: checks and stripes are still there when the weave is not. From
    near, where every thread is like the next one, only what has no coarser pattern is judged.
    """
    contrast = float(photo.std())
    for samples in SAMPLES:
        zoom = samples / photo.shape[axis]
        if zoom > 0.7 or min(photo.shape[:2]) * zoom < MIN_SAMPLES:
            continue
        small = cv2.resize(photo, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
        far = np.asarray(cv2.GaussianBlur(small, (0, 0), 1.0), np.float32)
        period = _period(far, axis, CLEAR) if far.std() > LEFT_OVER * contrast else None
        if period is not None:
            return float(period * photo.shape[axis] / far.shape[axis])
    return _period(photo, axis, FAINT)


def _period(photo: Light, axis: int, least: float) -> float | None:
    """By autocorrelation, averaged over the lines and channels and made unbiased by the overlap.

    The repeat must correlate by `least`, and is refined at its last multiple.
    """
    lines = np.moveaxis(photo, axis, -1).reshape(-1, photo.shape[axis])
    lines = lines[:: max(1, len(lines) // 768)]
    lines = lines - lines.mean(axis=1, keepdims=True)
    size = lines.shape[1]
    power = np.abs(np.fft.rfft(lines, 2 * size, axis=1)) ** 2
    overlap = size - np.arange(size)
    correlation = np.fft.irfft(power.mean(axis=0))[:size] / overlap
    if correlation[0] <= 1e-9:
        return None
    correlation = correlation[: int(size * LONGEST_REPEAT)] / correlation[0]
    peaks = _peaks(correlation, least)
    if not peaks:
        return None
    if least == FAINT:
        return _refined(correlation, _first_whole(correlation, peaks))
    best = max(correlation[lag] for lag in peaks)
    if any(lag < RESOLVED and correlation[lag] > 0.75 * best for lag in peaks):
        return None
    return _refined(correlation, next(lag for lag in peaks if correlation[lag] >= NEAR * best))


def _peaks(correlation: NDArray[np.float64], least: float) -> list[int]:
    """Lags of clear local maxima: well above both nothing and the valley before them."""
    inner = correlation[1:-1]
    local = np.flatnonzero((inner > correlation[:-2]) & (inner >= correlation[2:])) + 1
    valley = np.minimum.accumulate(correlation)
    return [int(lag) for lag in local if correlation[lag] > max(least, valley[lag] + 0.25)]


def _first_whole(correlation: NDArray[np.float64], peaks: list[int]) -> int:
    """The shortest lag whose multiples are all about as good as any lag so far off.

    A single thread is like its neighbour, but not like every thread of a herringbone.
    """
    best_beyond = np.maximum.accumulate(correlation[::-1])[::-1]
    alike = correlation / np.maximum(best_beyond, 1e-6)
    wholes = [_multiples_mean(alike, lag) for lag in peaks]
    enough = min(WHOLE, max(wholes))
    return next(lag for lag, whole in zip(peaks, wholes, strict=True) if whole >= enough)


def _multiples_mean(alike: NDArray[np.float64], lag: int) -> float:
    """Mean over a lag and its multiples, each at the best place nearby."""
    found, period = [float(alike[lag])], float(lag)
    reach = max(1, round(0.12 * lag))
    for multiple in range(2, len(alike) // lag + 1):
        near = round(multiple * period)
        if near + reach >= len(alike):
            break
        at = near - reach + int(alike[near - reach : near + reach + 1].argmax())
        period = at / multiple
        found.append(float(alike[at]))
    return sum(found) / len(found)


def _refined(correlation: NDArray[np.float64], lag: int) -> float:
    period = _vertex(correlation, lag)
    for multiple in range(2, int((len(correlation) - 2) / period) + 1):
        reach = max(1, round(0.1 * period))
        near = round(multiple * period)
        if near + reach + 2 > len(correlation):
            break
        top = near - reach + int(correlation[near - reach : near + reach + 1].argmax())
        period = _vertex(correlation, top) / multiple
    return period


def _vertex(values: NDArray[np.float64], at: int) -> float:
    """Position of the maximum of the parabola through three neighbours."""
    before, here, after = values[at - 1 : at + 2]
    bend = before - 2 * here + after
    if bend >= 0 or here < max(before, after):
        return float(at)
    return float(at + 0.5 * (before - after) / bend)


def wrapped(photo: Light, period: float | None, axis: int) -> Light:
    """Crop along an axis and blend the cut-off end into the beginning, so that the tile repeats.

    The blend is scaled by how alike both ends are: averaging two unlike pieces of cloth would
    otherwise show as a dull band.
    """
    lines = np.moveaxis(photo, axis, 0)
    blend = len(lines) // 8
    kept = len(lines) - blend
    if period is not None and period <= len(lines) * 7 / 8:
        kept = round(int(kept / period + 1e-6) * period) or round(period)
        blend = min(blend, len(lines) - kept)
    if blend < 1:
        return photo[: len(lines)]
    mean = photo.mean(axis=(0, 1), dtype=np.float64)
    end, start = lines[kept : kept + blend] - mean, lines[:blend] - mean
    alike = float((end * start).mean() / max(1e-9, end.std() * start.std()))
    fade = (np.arange(blend, dtype=np.float32) + 0.5).reshape(-1, 1, 1) / blend
    spread = fade**2 + (1 - fade) ** 2 + 2 * fade * (1 - fade) * min(1.0, max(0.0, alike))
    mixed = (end * (1 - fade) + start * fade) / np.sqrt(spread) + mean
    tile = np.concatenate([np.maximum(mixed, 0), lines[blend:kept]])
    return np.moveaxis(tile, 0, axis)
