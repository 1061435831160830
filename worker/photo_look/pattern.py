"""The pattern of the cloth that was photographed: its waves, and the blur that leaves none of them.

Panels are laid flat along their grain, so that a stripe is upright however the sleeve hangs. There
a pattern stands as a few sharp peaks in the spectrum, and folds do not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.photo_look.blur import blurred

Array = NDArray[np.float32]
Doubles = NDArray[np.float64]
Indices = NDArray[np.intp]
Lines = Literal["light", "dark"]

CELL_CM = 0.08
SHADING_CM = 3.0  # sigma; slower changes are taken for shading before the spectrum is made
SLOWEST_PER_CM, FASTEST_PER_CM = 0.15, 4.0
CONTRAST_MIN = 0.006  # half amplitude over mean that counts as a wave
# How far a wave stands above others of about its length, and above its neighbours both ways. One
# sure wave that is seen makes a cloth patterned; then the likely ones are its pattern too, and what
# is left of them after a change is pattern still where it has either of LEFT.
SURE, LIKELY, LEFT = (8.0, 3.0), (6.2, 2.1), (5.0, 2.5)
SEEN_MIN = 0.012
LINE_CM = 0.5  # lines thinner than this can be taken out of a cloth
NEIGHBOURS, NEIGHBOURS_MIN = 0.6, 6  # so far off: share of its own frequency, and bins at least
YARNS_CM = 0.15  # sigma: each yarn of a patterned cloth is a little other than the next
LEFT_OVER = 0.003  # of each wave, after the blur
SIGMAS_CM = np.linspace(0.0, 3.0, 61)


@dataclass(frozen=True, eq=False)
class FlatPanel:
    """One panel laid flat; `row` and `column` say where on the grid each of its pixels lies."""

    at: NDArray[np.intp]  # flat picture index
    row: Array
    column: Array
    shape: tuple[int, int]

    def laid(self, values: Array) -> tuple[Array, Array]:
        """Sum and number of the values in each cell of the grid."""
        cell = np.rint(self.row).astype(np.intp) * self.shape[1] + np.rint(self.column).astype(
            np.intp
        )
        size = self.shape[0] * self.shape[1]
        sums, counts = (
            np.bincount(cell, weights, size).reshape(self.shape).astype(np.float32)
            for weights in (values, None)
        )
        return sums, counts

    def lifted(self, grid: Array) -> Array:
        """The grid's values at the panel's pixels."""
        rows = -(-len(self.row) // 1024)  # cv2.remap takes no more than 32767 columns
        column, row = (np.resize(axis, (rows, 1024)) for axis in (self.column, self.row))
        found = cv2.remap(grid, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(found, np.float32).ravel()[: len(self.row)]


def flat_panel(at: NDArray[np.intp], u: Array, v: Array) -> FlatPanel:
    """Lay pixels flat by their place in the cloth, in centimetres."""
    column, row = (u - u.min()) / CELL_CM, (v.max() - v) / CELL_CM
    shape = (int(np.ceil(row.max())) + 2, int(np.ceil(column.max())) + 2)
    return FlatPanel(at, row.astype(np.float32), column.astype(np.float32), shape)


def smoothed(panel: FlatPanel, values: Array, sigma_cm: tuple[float, float]) -> Array:
    """Values of a panel's pixels, blurred across and along its grain; nothing comes from beside."""
    sums, counts = panel.laid(values)
    mean = np.asarray(sums / np.maximum(counts, 1), np.float32)
    across, along = (max(cm, YARNS_CM) / CELL_CM for cm in sigma_cm)
    return panel.lifted(blurred(mean, counts, (across, along)))


def without_lines(panel: FlatPanel, values: Array, lines: Lines) -> Array:
    """Values of a panel's pixels as if thin light, or thin dark, lines had never been woven."""
    sums, counts = panel.laid(values)
    mean = np.asarray(sums / np.maximum(counts, 1), np.float32)
    even = blurred(mean, counts, (1.0, 1.0))
    side = round(LINE_CM / CELL_CM) + 1
    way = cv2.MORPH_OPEN if lines == "light" else cv2.MORPH_CLOSE
    return panel.lifted(
        np.asarray(cv2.morphologyEx(even, way, np.ones((side, side), np.uint8)), np.float32)
    )


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Half amplitudes over mean of the waves of a cloth, (along, across), and how far each stands
    above others of about its length; the middle of what its panels have, for panels share their
    pattern and no folds."""

    height: Doubles
    above: Doubles
    per_cm: tuple[Doubles, Doubles]  # along, across

    def peaks(self, height_min: float) -> Indices:
        """(n, 2): where a wave is higher than those around it."""
        along, across = self.per_cm
        speed = np.hypot(across[None, :], along[:, None])
        peak = self.height >= np.asarray(cv2.dilate(self.height, np.ones((5, 5), np.uint8)))
        seen = (speed > SLOWEST_PER_CM) & (speed < FASTEST_PER_CM) & (self.height > height_min)
        return np.argwhere(peak & seen)

    def stands(self, at: Indices) -> tuple[Doubles, Doubles]:
        """How far waves stand above others of about their length, and above their neighbours."""
        return self.above[tuple(at.T)], np.array([self._sharpness(*place) for place in at])

    def _sharpness(self, row: int, column: int) -> float:
        """The lesser of both ways, across and along: a crease is a ridge in the spectrum."""
        rows = len(self.height)
        reach = max(NEIGHBOURS_MIN, int(NEIGHBOURS * max(column, min(row, rows - row))))
        beside = self.height[row, max(0, column - reach) : column + reach + 1]
        above = self.height[np.arange(row - reach, row + reach + 1) % rows, column]
        ground = max(np.percentile(beside, 25), np.percentile(above, 25))
        return float(self.height[row, column] / max(ground, 1e-9))

    def waves(self, at: Indices) -> Doubles:
        """(n, 3): cycles per cm across and along, and half amplitude over mean."""
        along, across = self.per_cm
        rows, columns = at.T
        return np.stack([across[columns], along[rows], self.height[rows, columns]], axis=1)


def spectrum_of(panels: Sequence[tuple[FlatPanel, Array]]) -> Spectrum:
    height, width = (
        cv2.getOptimalDFTSize(max(512, *(panel.shape[axis] for panel, _ in panels)))
        for axis in (0, 1)
    )
    spectrum = np.median([_spectrum(*panel, (height, width)) for panel in panels], axis=0)
    along = np.asarray(np.fft.fftfreq(height, CELL_CM), np.float64)
    across = np.asarray(np.fft.rfftfreq(width, CELL_CM), np.float64)
    others = _others(spectrum, np.hypot(across[None, :], along[:, None]))
    return Spectrum(spectrum, spectrum / np.maximum(others, 1e-9), (along, across))


def pattern_in(spectrum: Spectrum) -> Indices:
    """Where the waves of a cloth's pattern stand in its spectrum; nowhere for a plain cloth."""
    at = spectrum.peaks(CONTRAST_MIN)
    above, sharp = spectrum.stands(at)
    sure = (above > SURE[0]) & (sharp > SURE[1]) & (spectrum.height[tuple(at.T)] > SEEN_MIN)
    return at[_likely(above, sharp)] if sure.any() else at[:0]


def pattern_left(spectrum: Spectrum, pattern: Indices) -> Doubles:
    """(n, 3): waves of a pattern that are still there in a changed cloth, and new ones."""
    fresh = spectrum.peaks(CONTRAST_MIN)
    fresh = fresh[_likely(*spectrum.stands(fresh))]
    above, sharp = spectrum.stands(pattern)
    high = spectrum.height[tuple(pattern.T)] > CONTRAST_MIN
    still = pattern[high & ((above > LEFT[0]) | (sharp > LEFT[1]))]
    return spectrum.waves(np.concatenate([fresh, still]))


def _likely(above: Doubles, sharp: Doubles) -> NDArray[np.bool_]:
    return (above > LIKELY[0]) & (sharp > LIKELY[1])


def _spectrum(panel: FlatPanel, values: Array, size: tuple[int, int]) -> Doubles:
    """Half amplitude over mean of each of a panel's waves, by its frequency along and across."""
    sums, counts = panel.laid(values)
    there = (counts > 0).astype(np.float32)
    mean = np.asarray(sums / np.maximum(counts, 1), np.float32)
    sigma = SHADING_CM / CELL_CM
    slow = blurred(mean, there, (sigma, sigma))
    window = there * _soft(panel.shape)
    detail = np.where(there > 0, mean / np.maximum(slow, 1e-6) - 1, 0) * window
    return np.asarray(2 * np.abs(np.fft.rfft2(detail, size)) / window.sum())


def _others(spectrum: Doubles, speed: Doubles) -> Doubles:
    """The median of all waves of about the same length: what folds and noise have there."""
    ring = np.digitize(speed, np.geomspace(SLOWEST_PER_CM / 2, FASTEST_PER_CM * 2, 24))
    medians = [np.median(spectrum[ring == n]) if (ring == n).any() else 0.0 for n in range(25)]
    return np.asarray(np.array(medians)[ring])


def _soft(shape: tuple[int, int]) -> Array:
    return np.outer(np.hanning(shape[0]), np.hanning(shape[1])).astype(np.float32)


def blur_for(waves: Doubles) -> tuple[tuple[float, float], bool]:
    """The least blur, across and along in cm, after which no wave is seen; False if none is enough.

    A Gaussian of sigma s leaves exp(-2 (pi s f)^2) of a wave of f cycles per cm.
    """
    if not len(waves):
        return (0.0, 0.0), True
    wanted = np.log(np.maximum(waves[:, 2] / LEFT_OVER, 1)) / (2 * math.pi**2)
    across, along = np.meshgrid(SIGMAS_CM, SIGMAS_CM, indexing="ij")
    gone = across[..., None] ** 2 * waves[:, 0] ** 2 + along[..., None] ** 2 * waves[:, 1] ** 2
    enough = (gone >= wanted).all(axis=-1)
    if not enough.any():
        return (float(SIGMAS_CM[-1]), float(SIGMAS_CM[-1])), False
    cost = np.where(enough, across**2 + along**2, np.inf)
    i, j = np.unravel_index(int(cost.argmin()), cost.shape)
    return (float(SIGMAS_CM[i]), float(SIGMAS_CM[j])), True
