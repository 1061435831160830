"""The repeat of a pattern in a photo of cloth, and the cut that makes the photo repeat.

Whatever repeats after a length also repeats after its multiples; parts of it repeat worse, at some
scale or in some colour. So the repeat is the shortest lag that, with all its multiples, is about
as good as any longer one.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.correlation import Band, Doubles, bands_of

CLEAR = 0.45  # correlation of what repeats
ABOVE_VALLEY = 0.2
SHORTEST_PX = 3
SAME = 0.004  # lags so near each other, as a share, are one
ABOUT_AS_GOOD = 0.9  # mean correlation over the best, in the mean over scales
NOWHERE_WORSE = 0.65  # the same at any one scale

Light = NDArray[np.float32]  # (height, width, 3): linear light


def repeats_px(photo: Light) -> tuple[float | None, float | None]:
    """Period of the pattern across and down, in pixels; None where there is none."""
    height, width = photo.shape[:2]
    across, down = (_repeat(bands) for bands in bands_of(photo))
    return (None if across is None else across * width, None if down is None else down * height)


def _repeat(bands: list[Band]) -> float | None:
    """The repeat as a share of the photo's side."""
    peaks = [(band, _peaks(band.alike)) for band in bands]
    peaks = [(band, lags) for band, lags in peaks if lags]
    found = [
        (_tracked(band, lag), band.contrast * band.side_px) for band, lags in peaks for lag in lags
    ]
    if not found:
        return None
    shares = np.array(_distinct([share for share, _ in found]))
    means = np.array([[_mean_over_multiples(band, share) for share in shares] for band, _ in peaks])
    best_beyond = np.fmax.accumulate(means[:, ::-1], axis=1)[:, ::-1]
    ratio = np.maximum(means, 0) / np.maximum(best_beyond, 0.05)
    known = ~np.isnan(ratio)
    weight = np.sqrt([band.contrast for band, _ in peaks])
    overall = weight @ np.where(known, ratio, 0) / np.maximum(weight @ known, 1e-9)
    good = (overall >= ABOUT_AS_GOOD) & (np.where(known, ratio, 1).min(axis=0) >= NOWHERE_WORSE)
    return _agreed(float(shares[good.argmax()]), found) if good.any() else None


def _agreed(share: float, found: list[tuple[float, float]]) -> float:
    """The mean over all that found about the same lag, by their contrast and resolution."""
    same, weights = np.array([pair for pair in found if abs(pair[0] - share) < 2 * SAME * share]).T
    return float(np.average(same, weights=weights))


def _distinct(shares: list[float]) -> list[float]:
    """In order; of lags that are as good as the same, the one that was found at the finest scale"""
    kept: list[float] = []
    for share in shares:
        if all(abs(share - other) > SAME * other for other in kept):
            kept.append(share)
    return sorted(kept)


def _peaks(alike: Doubles) -> list[int]:
    """Lags of clear local maxima: well above both nothing and the valley before them."""
    inner = alike[1:-1]
    local = np.flatnonzero((inner > alike[:-2]) & (inner >= alike[2:])) + 1
    valley = np.minimum.accumulate(alike)
    clear = (alike[local] >= CLEAR) & (alike[local] > valley[local] + ABOVE_VALLEY)
    return [int(lag) for lag in local[clear] if lag >= SHORTEST_PX]


def _tracked(band: Band, lag: int) -> float:
    """The lag as a share of the side, measured at its last multiple that is still a peak."""
    alike, period, multiple = band.alike, _vertex(band.alike, lag), 2
    while multiple * period < len(alike) - 2:
        reach = min(1.6 + 0.01 * multiple * period, period / 4)
        low = int(np.ceil(multiple * period - reach))
        high = min(int(multiple * period + reach), len(alike) - 2)
        if low > high:
            break
        top = low + int(alike[low : high + 1].argmax())
        if alike[top] < max(alike[top - 1], alike[top + 1], 0.5 * alike[lag]):
            break
        period = _vertex(alike, top) / multiple
        multiple += 1
    return period / band.side_px


def _mean_over_multiples(band: Band, share: float) -> float:
    """Mean correlation at a lag and its multiples; NaN where the lag is too long for the band."""
    period = share * band.side_px
    at = period * np.arange(1, int((len(band.alike) - 1.01) / period) + 1)
    if not len(at):
        return float("nan")
    reach = np.minimum(0.5 + 0.004 * at, max(period / 6, 0.25))
    lags = np.arange(len(band.alike))
    near = [np.interp(at + way * reach, lags, band.alike) for way in (-1, -0.5, 0, 0.5, 1)]
    return float(np.max(near, axis=0).mean())


def _vertex(values: Doubles, at: int) -> float:
    """Position of the maximum of the parabola through three neighbours."""
    before, here, after = values[at - 1 : at + 2]
    bend = before - 2 * here + after
    return float(at + 0.5 * (before - after) / bend) if bend < 0 else float(at)


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
    mean = np.array(cv2.mean(np.ascontiguousarray(photo))[:3])  # many times as fast as numpy's
    end, start = lines[kept : kept + blend] - mean, lines[:blend] - mean
    alike = float((end * start).mean() / max(1e-9, end.std() * start.std()))
    fade = (np.arange(blend, dtype=np.float32) + 0.5).reshape(-1, 1, 1) / blend
    spread = fade**2 + (1 - fade) ** 2 + 2 * fade * (1 - fade) * min(1.0, max(0.0, alike))
    mixed = (end * (1 - fade) + start * fade) / np.sqrt(spread) + mean
    tile = np.concatenate([np.maximum(mixed, 0), lines[blend:kept]])
    return np.moveaxis(tile, 0, axis)
