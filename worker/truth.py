"""Truth check: does a finished picture show the ordered cloth in its colour, scale and direction?

It looks at the picture alone, whatever engine made it, and knows the cloth from the swatch and the
geometry from the look pack. Colour is judged by CIEDE2000 on cloth that is lit as flat cloth is,
cell by cell; the pattern by its frequencies along the grain of the largest panels.
"""

import math
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import LookUnavailable
from models.letter import Letter
from worker.cloth import Cloth, resampled
from worker.colour import LINEAR_OF_LEVEL, LINEAR_OF_TONED, encoded
from worker.delta_e import delta_e_2000, lab_of_linear
from worker.engines import Picture
from worker.engines.drape import cloth_of
from worker.looks import Look, load_look
from worker.packs import folder_of

GREEN_DELTA_E, AMBER_DELTA_E = 3.0, 6.0
SCALE_ERROR_MAX, ANGLE_ERROR_MAX_DEG = 0.05, 5.0

CELL_PX = 16  # colours are averaged over such squares of one panel: an engine may shift a thread
CELL_SAMPLES_MIN = 24
LIT_SAMPLES = 30_000
LIT_WITHIN = 0.1  # of the light that flat cloth gets

PANELS_JUDGED = 3  # the largest: the fronts and a leg
GRID_PER_CM = 10.0  # a panel is laid flat on a grid of (rows, columns)
GRID = (512, 256)
SLOWEST_PER_CM, FASTEST_PER_CM = 0.15, 3.0  # slower is shading, faster than pixels can show
PEAKS = 8  # frequencies that make up a pattern
CONTRAST_MIN = 0.04  # of a pattern that the eye finds: deviation over mean
SCALES = np.geomspace(0.5, 2.0, 93)
ANGLES_DEG = np.arange(-24.0, 24.5, 1.0)
FOUND_MIN = 0.3  # share of the expected pattern; less and the picture does not show it
CLOTHS_KEPT = 16

Array = NDArray[np.float32]
Doubles = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Truth:
    """The verdict with its numbers; errors are None where there is nothing to measure.

    `scale_error` is the picture's pattern over the cloth's, less one; `angle_error` in degrees,
    counter-clockwise. `pattern_found` is the share of the cloth's pattern that the picture shows.
    """

    grade: Literal["green", "amber", "red"]
    delta_e: float
    delta_e_p95: float
    scale_error: float | None
    angle_error: float | None
    pattern_found: float | None
    formula: str = "CIEDE2000"


class TruthCheck:
    """Judges pictures of the look packs in a folder; keeps what it has read of looks and cloths."""

    def __init__(self, looks_dir: Path) -> None:
        self._looks_dir = looks_dir
        self._expected: OrderedDict[Hashable, Expected] = OrderedDict()

    def of(self, picture: Picture, letter: Letter, swatch: bytes | None) -> dict[str, Any] | None:
        """The verdict for a recipe; None for a placeholder, which shows no suit, and for a look of
        which no cloth is lit as flat cloth is.

        Raises what reading the look or the swatch raises.
        """
        stage = stage_in(folder_of(letter, self._looks_dir), letter.look_version)
        seen = at_size(picture, stage.shape)
        if seen is None or not stage.at.size:
            return None
        return asdict(judged(seen, stage, self._expectation(stage, letter, swatch)))

    def _expectation(self, stage: "Stage", letter: Letter, swatch: bytes | None) -> "Expected":
        name = letter.swatch_sha256 if letter.swatch_key else letter.fabric_hex
        look = (letter.look, letter.look_version, letter.look_sha256)
        key = (*look, name, letter.swatch_kind, letter.swatch_width_mm)
        if key not in self._expected:
            self._expected[key] = expected_of(stage, cloth_of(letter, swatch))
            if len(self._expected) > CLOTHS_KEPT:
                self._expected.popitem(last=False)
        self._expected.move_to_end(key)
        return self._expected[key]


@dataclass(frozen=True, eq=False)
class Panel:
    """A panel laid flat: where its pixels go on a grid along its grain, row 0 at the lower end."""

    at: Indices  # flat picture index
    cell: Indices  # flat grid index
    light: Array
    count: Array  # (rows, columns): pixels in each cell of the grid
    window: Array  # (rows, columns): soft towards the ends, zero where there is no cloth


@dataclass(frozen=True, eq=False)
class Stage:
    """What a look pack tells: where cloth is lit as flat cloth is, and its largest panels."""

    shape: tuple[int, ...]
    px_per_cm: float
    at: Indices  # flat picture index of samples of lit cloth
    light: Array
    uv: Array  # (samples, 2) cm
    cell: Indices  # the sample's square of one panel, counted from 0
    panels: tuple[Panel, ...]


@dataclass(frozen=True, eq=False)
class Expected:
    """What a cloth must look like on a stage."""

    lab: Doubles  # (cells, 3)
    channel: int  # where the pattern shows most, of BGR
    waves: Doubles  # (peaks, 2): cycles per cm across and up the grain; none for plain cloth
    heights: Doubles  # (peaks,): half amplitude in linear light


def at_size(picture: Picture, shape: tuple[int, ...]) -> Picture | None:
    """The picture, or one of twice the size as it is seen from twice as far: four pixels are one,
    averaged in linear light. None for any other size."""
    height, width = shape[:2]
    if picture.shape == shape:
        return picture
    if picture.shape != (2 * height, 2 * width, 3):
        return None
    light = cv2.resize(LINEAR_OF_LEVEL[picture], (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(np.round(encoded(np.asarray(light)) * 255), np.uint8)


def judged(picture: Picture, stage: Stage, expected: Expected) -> Truth:
    """Compare a picture with what its cloth must look like."""
    pixels = picture.reshape(-1, 3)
    albedo = LINEAR_OF_TONED[pixels[stage.at]] / stage.light[:, None]
    apart = delta_e_2000(lab_of_linear(_cell_means(albedo, stage)), expected.lab)
    delta_e, p95 = (float(np.percentile(apart, share)) for share in (50, 95))
    scale_error, angle_error, found = _pattern_errors(pixels, stage, expected)
    return Truth(
        _grade(delta_e, scale_error, angle_error, found),
        round(delta_e, 2),
        round(p95, 2),
        None if scale_error is None else round(scale_error, 4),
        None if angle_error is None else round(angle_error, 2),
        None if found is None else round(found, 3),
    )


def _grade(
    delta_e: float, scale_error: float | None, angle_error: float | None, found: float | None
) -> Literal["green", "amber", "red"]:
    lost = found is not None and found < FOUND_MIN
    off = abs(scale_error or 0) > SCALE_ERROR_MAX or abs(angle_error or 0) > ANGLE_ERROR_MAX_DEG
    if lost or off or delta_e > AMBER_DELTA_E:
        return "red"
    return "green" if delta_e <= GREEN_DELTA_E else "amber"


# --- colour --------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def stage_in(folder: Path, version: str) -> Stage:
    """The stage of the pack in a folder. Raises LookUnavailable, also for another version."""
    look = load_look(folder)
    if look.version != version:
        raise LookUnavailable(f"El look «{look.name}» no está en la versión {version}.")
    return stage_of(look)


def stage_of(look: Look) -> Stage:
    """Choose samples of lit cloth and group them; lay the largest panels flat."""
    light = look.light.reshape(-1)[: len(look.at)]
    lit = np.flatnonzero((np.abs(light - 1) < LIT_WITHIN) & (look.alpha.flat[look.at] == 255))
    lit = np.sort(np.random.default_rng(1).permutation(lit)[:LIT_SAMPLES])
    at = look.at[lit]
    uv = np.stack([look.u.reshape(-1)[lit], look.v.reshape(-1)[lit]], axis=1)
    row, column = at // look.width_px // CELL_PX, at % look.width_px // CELL_PX
    square = (look.panels.flat[at].astype(np.intp) * 1000 + row) * 1000 + column
    _, cell, counts = np.unique(square, return_inverse=True, return_counts=True)
    kept = (counts >= CELL_SAMPLES_MIN)[cell]
    _, cell = np.unique(cell[kept], return_inverse=True)
    shape = (look.height_px, look.width_px, 3)
    at, lit, uv = at[kept], lit[kept], uv[kept]
    return Stage(shape, look.px_per_cm, at, light[lit], uv, cell, _largest_panels(look))


def _cell_means(linear: Array, stage: Stage) -> Doubles:
    counts = np.bincount(stage.cell)
    sums = [np.bincount(stage.cell, linear[:, channel]) for channel in range(3)]
    return np.stack(sums, axis=1) / counts[:, None]


def expected_of(stage: Stage, cloth: Cloth) -> Expected:
    """A cloth's colour in each cell, and the frequencies of its pattern if it has one."""
    tile = resampled(cloth, 2 * stage.px_per_cm, 0.5 / stage.px_per_cm)
    height, width = tile.shape[:2]
    across, up = (stage.uv / np.array(cloth.size_cm)).T
    rows, columns = (-up % 1 * height).astype(np.intp), (across % 1 * width).astype(np.intp)
    lab = lab_of_linear(_cell_means(tile[rows % height, columns % width], stage))
    return Expected(lab, *_pattern(tile, cloth.size_cm))


# --- pattern -------------------------------------------------------------------------------------


def _pattern(tile: Array, size_cm: tuple[float, float]) -> tuple[int, Doubles, Doubles]:
    """The strongest frequencies of a tile, if together they are a pattern that the eye finds."""
    mean = tile.mean(axis=(0, 1))
    channel = int(np.argmax(tile.std(axis=(0, 1)) / np.maximum(mean, 0.02)))
    height, width = tile.shape[:2]
    spectrum = np.abs(np.fft.rfft2(tile[..., channel])) / (height * width)
    across = np.fft.rfftfreq(width, size_cm[0] / width)[None, :]
    up = -np.fft.fftfreq(height, size_cm[1] / height)[:, None]
    speed = np.hypot(across, up)
    once = (across > 0) | (up > 0)  # each wave stands in the spectrum of a real tile as two
    spectrum = spectrum * ((speed >= SLOWEST_PER_CM) & (speed <= FASTEST_PER_CM) & once)
    top = np.argsort(spectrum, axis=None)[::-1][:PEAKS]
    heights = spectrum.flat[top]
    contrast = math.sqrt(2 * float((heights**2).sum())) / max(0.02, float(mean[channel]))
    if contrast < CONTRAST_MIN:
        return channel, np.empty((0, 2)), np.empty(0)
    rows, columns = np.unravel_index(top, spectrum.shape)
    return channel, np.stack([across[0, columns], up[rows, 0]], axis=1), heights


def _largest_panels(look: Look) -> tuple[Panel, ...]:
    ids = look.panels.flat[look.at]
    largest = np.argsort(np.bincount(ids))[::-1][:PANELS_JUDGED]
    shown = (look.alpha.flat[look.at] == 255) & (look.light.reshape(-1)[: len(look.at)] > 0.25)
    places = (np.flatnonzero((ids == panel) & shown) for panel in largest)
    panels = (_panel(look, where) for where in places if where.size)
    return tuple(panel for panel in panels if panel.window.any())


def _panel(look: Look, where: Indices) -> Panel:
    """`where`: what is shown of the panel, by its place among the look's cloth pixels."""
    u, v = look.u.reshape(-1)[where], look.v.reshape(-1)[where]
    column = np.floor((u - np.median(u)) * GRID_PER_CM).astype(np.intp) + GRID[1] // 2
    row = np.floor((v - np.median(v)) * GRID_PER_CM).astype(np.intp) + GRID[0] // 2
    inside = (row >= 0) & (row < GRID[0]) & (column >= 0) & (column < GRID[1])
    where, cell = where[inside], (row * GRID[1] + column)[inside]
    count = np.bincount(cell, minlength=GRID[0] * GRID[1]).reshape(GRID).astype(np.float32)
    soft = np.hanning(GRID[0])[:, None] * np.hanning(GRID[1])[None, :]
    window = (soft * (count > 0)).astype(np.float32)
    light = look.light.reshape(-1)[where]
    return Panel(look.at[where], cell, light, np.maximum(count, 1), window)


def _pattern_errors(
    pixels: NDArray[np.uint8], stage: Stage, expected: Expected
) -> tuple[float | None, float | None, float | None]:
    """Scale and angle error of the panel that is farthest off, and the share of pattern found."""
    if not len(expected.waves) or not stage.panels:
        return None, None, None
    spectra = [_spectrum(pixels, panel, expected.channel) for panel in stage.panels]
    fits = [_fit(spectrum, expected) for spectrum in spectra]
    found = float(np.median([share for *_, share in fits]))
    sure = [(scale, angle) for scale, angle, share in fits if share >= FOUND_MIN]
    if found < FOUND_MIN or not sure:
        return None, None, found
    return max((s for s, _ in sure), key=abs), max((a for _, a in sure), key=abs), found


def _spectrum(pixels: NDArray[np.uint8], panel: Panel, channel: int) -> Array:
    """Half amplitudes of a panel's waves, zero frequency in the middle: (rows, columns)."""
    albedo = LINEAR_OF_TONED[pixels[panel.at, channel]] / panel.light
    sums = np.bincount(panel.cell, albedo, minlength=panel.count.size).reshape(GRID)
    flat = sums.astype(np.float32) / panel.count
    weight = float(panel.window.sum())
    flat = (flat - float((flat * panel.window).sum()) / weight) * panel.window
    real, imaginary = cv2.split(cv2.dft(flat, flags=cv2.DFT_COMPLEX_OUTPUT))
    return np.asarray(np.fft.fftshift(cv2.magnitude(real, imaginary)) / weight, np.float32)


def _fit(spectrum: Array, expected: Expected) -> tuple[float, float, float]:
    """Scale error, angle error in degrees and share found, where cloth and picture agree best."""
    scale, angle, share = _best(spectrum, expected, SCALES, ANGLES_DEG)
    fine_scales, fine_angles = np.geomspace(0.97, 1.03, 13), np.linspace(-1, 1, 9)
    scale, angle, _ = _best(spectrum, expected, scale * fine_scales, angle + fine_angles, 4.0)
    return scale - 1, angle, share


def _best(
    spectrum: Array, expected: Expected, scales: Doubles, angles_deg: Doubles, headroom: float = 1
) -> tuple[float, float, float]:
    shares = _shares(spectrum, expected, scales, angles_deg, headroom)
    row, column = np.unravel_index(int(shares.argmax()), shares.shape)
    return float(scales[row]), float(angles_deg[column]), float(shares[row, column])


def _shares(
    spectrum: Array, expected: Expected, scales: Doubles, angles_deg: Doubles, headroom: float
) -> Doubles:
    """(scales, angles): share of the cloth's pattern found if it is so much larger and turned.

    No wave counts for more than `headroom` times its height in the cloth: low, so that one strong
    wave cannot stand for all of them; high, to find the very top.
    """
    turn = np.exp(1j * np.radians(angles_deg))[None, :, None] / scales[:, None, None]
    waves = (expected.waves[:, 0] + 1j * expected.waves[:, 1]) * turn
    x = waves.real * (GRID[1] / GRID_PER_CM) + GRID[1] // 2
    y = waves.imag * (GRID[0] / GRID_PER_CM) + GRID[0] // 2
    at_x, at_y = (axis.reshape(len(scales), -1).astype(np.float32) for axis in (x, y))
    seen = np.asarray(cv2.remap(spectrum, at_x, at_y, cv2.INTER_LINEAR)).reshape(waves.shape)
    found = np.minimum(seen, headroom * expected.heights) @ expected.heights
    return np.asarray(found / (expected.heights**2).sum())
