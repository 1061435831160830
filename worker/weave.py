"""Weave cloth from a draft: a seamless tile out of threading, tie-up, treadling and yarn colours.

The tile is simulated yarn by yarn in linear light, finer than it is delivered, then reduced by
area, so that cloth too fine for its pixels averages truly.
"""

import hashlib
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from worker.colour import LINEAR_OF_LEVEL, encoded
from worker.draft import LARGEST_MM, Bools, Draft, Floats, Yarn, load_draft
from worker.surface import ASSUMED, Surface, labelled

__all__ = ["Draft", "WovenTile", "load_draft", "weave"]  # what a catalogue is woven with

PX_PER_CM = 40.0  # of the delivered tile, about
SMALLEST_MM = 80.0  # shorter repeats are laid side by side, each with yarns of its own
SMALLEST_LIVELY_MM = 96.0  # the same for slubs and mixed fibres, whose repeat the eye finds sooner
FIBRES_PER_CM = 30.0  # resolution at which a yarn's colour changes
FINE_PER_CM = 88.0  # resolution at which a yarn's relief is drawn
THUMBNAIL_MM = 60.0

Indices = NDArray[np.intp]
Levels = NDArray[np.uint8]


# --- the tile ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WovenTile:
    """A piece of cloth that repeats in both directions without a seam, warp upright."""

    levels: Levels  # (height, width, 3), 8-bit sRGB, RGB order, square pixels
    width_mm: float
    height_mm: float
    surface: Surface = ASSUMED

    @property
    def px_per_cm(self) -> float:
        return 10.0 * float(self.levels.shape[1]) / self.width_mm

    def png(self) -> bytes:
        return labelled(cv2.imencode(".png", self.levels[..., ::-1])[1].tobytes(), self.surface)

    def thumbnail_jpeg(self, px: int) -> bytes:
        """A square of 6 cm of cloth, `px` wide."""
        side = round(THUMBNAIL_MM / 10 * self.px_per_cm)
        rows, columns = (np.arange(side) % n for n in self.levels.shape[:2])
        square = LINEAR_OF_LEVEL[self.levels[rows][:, columns, ::-1]]
        small = _levels(_float32(cv2.resize(square, (px, px), interpolation=cv2.INTER_AREA)))
        return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()

    def mean_hex(self) -> str:
        """`#RRGGBB` of the mean in linear light: the colour from too far away to see the weave."""
        mean = LINEAR_OF_LEVEL[self.levels].mean(axis=(0, 1), dtype=np.float64)
        return "#" + _levels(_float32(mean)).tobytes().hex().upper()


def weave(draft: Draft) -> WovenTile:
    """Weave one tile: whole repeats of weave and colour order, the same bytes every time."""
    loom = _loom(draft)
    seed = hashlib.sha256(draft.name.encode()).digest()
    random = np.random.default_rng(int.from_bytes(seed[:8], "big"))
    face = _face(draft, loom)
    relief = _relief(draft, loom, face, random)
    albedo = _albedo(draft, loom, face, random)
    fine = _float32(cv2.resize(albedo, relief.shape[::-1], interpolation=cv2.INTER_NEAREST))
    fine *= relief[..., None]
    if draft.finish.slub:
        fine = _slubbed(fine, draft.finish.slub, loom, random)
    cloth = _reduced(fine, (loom.height_px, loom.width_px))
    cloth = _finished(cloth, draft, loom, random)
    return WovenTile(_levels(cloth), loom.width_mm, loom.height_mm, draft.finish.surface)


@dataclass(frozen=True)
class _Loom:
    """Sizes of one tile. `fibre_*`: colour cells per yarn; `fine_*`: relief samples per cell.

    Names in x count across the warp (along a pick), names in y along the warp.
    """

    ends: int
    picks: int
    width_mm: float
    height_mm: float
    width_px: int
    height_px: int
    fibre_x: int
    fibre_y: int
    fine_x: int
    fine_y: int

    @property
    def cells(self) -> tuple[int, int]:
        return self.picks * self.fibre_y, self.ends * self.fibre_x

    def crossing_of_cell(self) -> tuple[Indices, Indices]:
        """Index that spreads an array of crossings (picks, ends) over the colour cells."""
        pick = np.repeat(np.arange(self.picks), self.fibre_y)
        end = np.repeat(np.arange(self.ends), self.fibre_x)
        return pick[:, None], end[None, :]

    def cells_of_mm(self, mm: float) -> tuple[float, float]:
        """A length in colour cells, along the warp and along the weft."""
        rows, columns = self.cells
        return mm * rows / self.height_mm, mm * columns / self.width_mm


def _loom(draft: Draft) -> _Loom:
    mixed = any(yarn.fibres for yarn in draft.yarns.values())
    wanted_mm = SMALLEST_LIVELY_MM if mixed or draft.finish.slub else SMALLEST_MM
    repeats = [
        max(1, min(math.ceil(wanted_mm / mm - 1e-6), int(LARGEST_MM / mm)))
        for mm in draft.repeat_mm
    ]
    ends, picks = (n * t for n, t in zip(repeats, draft.repeat_threads, strict=True))
    width_mm, height_mm = (n * mm for n, mm in zip(repeats, draft.repeat_mm, strict=True))
    width_px, height_px = _square_pixels(width_mm, height_mm)
    fibre_x, fine_x = _samples(draft.weave.ends_per_cm)
    fibre_y, fine_y = _samples(draft.weave.picks_per_cm)
    return _Loom(
        ends, picks, width_mm, height_mm, width_px, height_px, fibre_x, fibre_y, fine_x, fine_y
    )


def _samples(threads_per_cm: float) -> tuple[int, int]:
    fibre = math.ceil(FIBRES_PER_CM / threads_per_cm)
    return fibre, math.ceil(FINE_PER_CM / (threads_per_cm * fibre))


def _square_pixels(width_mm: float, height_mm: float) -> tuple[int, int]:
    """The size in pixels, near PX_PER_CM, that makes pixels most nearly square."""
    usual = width_mm / 10 * PX_PER_CM
    widths = np.arange(math.ceil(usual), math.floor(usual * 1.05) + 1)
    exact = widths * height_mm / width_mm
    error = np.abs(np.rint(exact) / exact - 1) + 1e-3 * np.abs(widths / usual - 1)
    best = int(np.argmin(error))
    return int(widths[best]), int(np.rint(exact[best]))


@dataclass(frozen=True)
class _Face:
    """What lies on top at each crossing, row 0 at the top of the picture; all (picks, ends)."""

    warp_up: Bools
    yarn: Indices  # place among the draft's yarns
    begins: Bools  # here the yarn on top comes up, seen from above or from the left
    sinks: Bools  # here it goes down again


def _face(draft: Draft, loom: _Loom) -> _Face:
    lift = draft.weave.lift
    warp_up = np.tile(lift, (loom.picks // lift.shape[0], loom.ends // lift.shape[1]))[::-1]
    place = {name: index for index, name in enumerate(draft.yarns)}
    warp = np.resize([place[name] for name in draft.weave.warp_order], loom.ends)
    weft = np.resize([place[name] for name in draft.weave.weft_order], loom.picks)[::-1]
    turns_y = warp_up != np.roll(warp_up, 1, axis=0)
    turns_x = warp_up != np.roll(warp_up, 1, axis=1)
    return _Face(
        warp_up,
        np.where(warp_up, warp[None, :], weft[:, None]),
        np.where(warp_up, turns_y, turns_x),
        np.where(warp_up, np.roll(turns_y, -1, axis=0), np.roll(turns_x, -1, axis=1)),
    )


# --- relief: how the light falls on round, twisted, interlaced yarns -----------------------------

_PLIES = 4  # striations start at one of so many phases, so that neighbours do not line up
_SHADOW = 0.3  # light left where a yarn dips under another
_SIDE_LIGHT = 0.16  # from the upper left, as tailors hold cloth to the window
_STRIATION = 0.10
_WARP_LIGHT = 1.13  # the warp, pulled straight by the loom, shines more than the weft


def _relief(draft: Draft, loom: _Loom, face: _Face, random: np.random.Generator) -> Floats:
    """Brightness at fine resolution, mean 1: every crossing is one of a few ready-made patches."""
    patches = _patches(draft, loom)
    phase = np.where(
        face.warp_up,
        random.integers(0, _PLIES, (1, loom.ends)),
        random.integers(0, _PLIES, (loom.picks, 1)),
    )
    relief = patches[face.yarn, face.warp_up * 1, face.begins * 1, face.sinks * 1, phase]
    relief = relief.transpose(0, 2, 1, 3).reshape(
        loom.picks * patches.shape[-2], loom.ends * patches.shape[-1]
    )
    return _float32(relief / relief.mean())


def _patches(draft: Draft, loom: _Loom) -> Floats:
    """(yarns, weft or warp, begins, sinks, phases, rows, columns): relief of one crossing."""
    rows, columns = loom.fibre_y * loom.fine_y, loom.fibre_x * loom.fine_x
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    y, x = (y + 0.5) / rows, (x + 0.5) / columns
    sett = draft.weave.picks_per_cm / draft.weave.ends_per_cm
    patches = np.empty((len(draft.yarns), 2, 2, 2, _PLIES, rows, columns), np.float32)
    for *place, begins, sinks, phase in np.ndindex(patches.shape[:5]):
        yarn = list(draft.yarns.values())[place[0]]
        is_warp = place[1] == 1
        along, across, slimness = (y, x, 1 / sett) if is_warp else (x, y, sett)
        patches[*place, begins, sinks, phase] = (_WARP_LIGHT if is_warp else 1) * _patch(
            yarn, along, 2 * across - 1, slimness, bool(begins), bool(sinks), phase / _PLIES
        )
    return patches


def _patch(
    yarn: Yarn,
    along: Floats,
    across: Floats,
    slimness: float,
    begins: bool,
    sinks: bool,
    phase: float,
) -> Floats:
    """`along` 0..1 and `across` -1..1 as the picture runs; `slimness`: its length / width."""
    round_ = np.sqrt(np.clip(1 - (across / yarn.cover) ** 2, 0, 1))
    rise = np.sin(np.pi / 2 * np.minimum(1, along / 0.4)) if begins else np.ones_like(along)
    fall = np.sin(np.pi / 2 * np.minimum(1, (1 - along) / 0.4)) if sinks else np.ones_like(along)
    height = round_ * rise * fall
    tilt = (1 - rise) - (1 - fall) - 0.8 * across
    turns = max(1, round(slimness * math.tan(math.radians(yarn.twist_deg)) * 2))
    ply = np.cos(2 * np.pi * (turns * along + 0.5 * across + phase)) if yarn.twist_deg else 0
    light = _SHADOW + (1 - _SHADOW) * height + _SIDE_LIGHT * tilt * round_
    patch: Floats = light * (1 + _STRIATION * ply * round_)
    return patch


# --- albedo: the colour of the fibres on top -----------------------------------------------------

_FLECK_MM = 2.2  # length of a visible bundle of like fibres
_MIX_STEPS = 256


def _albedo(draft: Draft, loom: _Loom, face: _Face, random: np.random.Generator) -> Floats:
    """(rows, columns, 3) linear RGB of each colour cell."""
    mixes = np.stack([_mix(yarn) for yarn in draft.yarns.values()])
    crossing = loom.crossing_of_cell()
    yarn, warp_up = face.yarn[crossing], face.warp_up[crossing]
    along_y, along_x = loom.cells_of_mm(_FLECK_MM / 2)
    cells = loom.cells
    if any(yarn.fibres for yarn in draft.yarns.values()):
        place = np.where(
            warp_up,
            _noise(random, cells, (along_y, 0.3)),
            _noise(random, cells, (0.3, along_x)),
        )
        # the normal distribution function, by its usual tanh approximation
        share = 0.5 * (1 + np.tanh(0.79788 * (place + 0.044715 * place**3)))
        albedo = mixes[yarn, (share * (_MIX_STEPS - 1) + 0.5).astype(np.intp)]
    else:
        albedo = mixes[yarn, 0]
    return _float32(albedo * _unevenness(draft, loom, warp_up, random)[..., None])


def _mix(yarn: Yarn) -> Floats:
    """(steps, 3): the fibres side by side in their shares, drawn to their mean by `blend`."""
    bounds = np.cumsum(yarn.parts)
    steps = (np.arange(_MIX_STEPS) + 0.5) / _MIX_STEPS
    colours = yarn.linear[np.minimum(np.searchsorted(bounds, steps), len(bounds) - 1)]
    return _float32(colours + yarn.blend * (yarn.parts @ yarn.linear - colours))


def _unevenness(draft: Draft, loom: _Loom, warp_up: Bools, random: np.random.Generator) -> Floats:
    """Brightness of each cell, mean about 1: no two yarns, and no two lengths of one, are alike."""
    along_y, along_x = loom.cells_of_mm(8.0)
    rows, columns = loom.cells
    warp = random.standard_normal((1, loom.ends)) + 0.5 * _noise(
        random, (rows, loom.ends), (along_y, 0)
    )
    weft = random.standard_normal((loom.picks, 1)) + 0.5 * _noise(
        random, (loom.picks, columns), (0, along_x)
    )
    uneven = np.where(
        warp_up, np.repeat(warp, loom.fibre_x, axis=1), np.repeat(weft, loom.fibre_y, axis=0)
    )
    return np.clip(1 + draft.finish.unevenness * uneven, 0.3, 2).astype(np.float32)


def _noise(
    random: np.random.Generator, shape: tuple[int, int], sigma: tuple[float, float]
) -> Floats:
    """Gaussian noise of unit variance that wraps around, smoothed by `sigma` (rows, columns)."""
    spectrum = np.fft.rfft2(random.standard_normal(shape, np.float32))
    for axis, frequency in enumerate((np.fft.fftfreq(shape[0]), np.fft.rfftfreq(shape[1]))):
        gain = np.exp(-2 * (np.pi * sigma[axis] * frequency) ** 2).astype(np.float32)
        spectrum *= gain[:, None] if axis == 0 else gain[None, :]
    spectrum[0, 0] = 0
    noise = np.fft.irfft2(spectrum, shape)
    return _float32(noise / noise.std())


# --- from single yarns to cloth ------------------------------------------------------------------


def _slubbed(fine: Floats, slub: float, loom: _Loom, random: np.random.Generator) -> Floats:
    """Yarns swell and thin along their length, and push their neighbours aside."""
    height, width = fine.shape[:2]
    along_y, along_x = loom.cells_of_mm(9.0)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    sway_x = _noise(random, loom.cells, (along_y, 0.8 * loom.fibre_x))
    sway_y = _noise(random, loom.cells, (0.8 * loom.fibre_y, along_x))
    x += _wrapped_resize(sway_x, (height, width)) * np.float32(0.45 * slub * width / loom.ends)
    y += _wrapped_resize(sway_y, (height, width)) * np.float32(0.45 * slub * height / loom.picks)
    return _float32(cv2.remap(fine, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP))


def _wrapped_resize(field: Floats, shape: tuple[int, int]) -> Floats:
    """Enlarge a field that wraps, by whole factors."""
    by_y, by_x = shape[0] // field.shape[0], shape[1] // field.shape[1]
    padded = cv2.copyMakeBorder(field, 1, 1, 1, 1, cv2.BORDER_WRAP)
    large = cv2.resize(padded, None, fx=by_x, fy=by_y, interpolation=cv2.INTER_LINEAR)
    return _float32(large[by_y:-by_y, by_x:-by_x])


def blurred(image: Floats, sigma_x: float, sigma_y: float | None = None) -> Floats:
    """Gaussian blur that wraps around; one sigma counts for both directions."""
    sigma_y = sigma_x if sigma_y is None else sigma_y
    pad_x, pad_y = math.ceil(3 * sigma_x), math.ceil(3 * sigma_y)
    padded = cv2.copyMakeBorder(image, pad_y, pad_y, pad_x, pad_x, cv2.BORDER_WRAP)
    size = (2 * pad_x + 1, 2 * pad_y + 1)
    soft = cv2.GaussianBlur(padded, size, sigma_x, sigmaY=sigma_y)
    return _float32(soft[pad_y : pad_y + image.shape[0], pad_x : pad_x + image.shape[1]])


def _reduced(fine: Floats, shape: tuple[int, int]) -> Floats:
    """Reduce by area, after a blur that takes out what the pixels could only show as moiré."""
    height, width = shape
    soft = blurred(fine, 0.42 * fine.shape[1] / width, 0.42 * fine.shape[0] / height)
    return _float32(cv2.resize(soft, (width, height), interpolation=cv2.INTER_AREA))


def _finished(cloth: Floats, draft: Draft, loom: _Loom, random: np.random.Generator) -> Floats:
    """Mill the cloth: fibres rise from it and blur the weave; slack yarns pucker."""
    px_per_mm = loom.width_px / loom.width_mm
    fuzz, nap_px = draft.finish.fuzz, draft.finish.nap_mm * px_per_mm
    cloth = _float32((1 - fuzz) * cloth + fuzz * blurred(cloth, nap_px))
    light = 1 + 0.07 * fuzz * _hairs(cloth.shape[:2], random)
    slack = np.array([draft.yarns[name].slack for name in draft.weave.warp_order], np.float32)
    if slack.any():
        light = light * _pucker(slack, loom, random)
    return _float32(cloth * light[..., None])


def _hairs(shape: tuple[int, int], random: np.random.Generator) -> Floats:
    """Unit noise of short fibres that lie every way."""
    specks = random.standard_normal(shape, np.float32)
    padded = cv2.copyMakeBorder(specks, 4, 4, 4, 4, cv2.BORDER_WRAP)
    hairs = np.full(shape, -np.inf, np.float32)
    for degrees in (15, 75, 135):
        stroke = np.zeros((9, 9), np.float32)
        reach = 4 * np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))])
        start, stop = np.rint(4 - reach).astype(int), np.rint(4 + reach).astype(int)
        cv2.line(stroke, start.tolist(), stop.tolist(), 1.0)
        hairs = np.maximum(hairs, cv2.filter2D(padded, -1, stroke)[4:-4, 4:-4])
    return _float32((hairs - hairs.mean()) / hairs.std())


def _pucker(slack: Floats, loom: _Loom, random: np.random.Generator) -> Floats:
    """Light on the crinkles that slack ends throw across the cloth, mean about 1."""
    columns = cv2.resize(
        np.resize(slack, loom.ends)[None, :], (loom.width_px, 1), interpolation=cv2.INTER_AREA
    )
    px_per_mm = loom.width_px / loom.width_mm
    shape = (loom.height_px, loom.width_px)
    height = _noise(random, shape, (0.55 * px_per_mm, 1.4 * px_per_mm))
    slope = np.roll(height, -1, axis=0) - np.roll(height, 1, axis=0)
    soft = blurred(np.repeat(columns, loom.height_px, axis=0), 0.4 * px_per_mm, 0.1)
    return _float32(1 + 0.15 * soft * slope / slope.std())


def _float32(values: ArrayLike) -> Floats:
    return np.asarray(values, np.float32)


def _levels(linear: Floats) -> Levels:
    """Linear light to 8-bit sRGB levels, rounded."""
    return (np.clip(encoded(linear), 0, 1) * 255 + 0.5).astype(np.uint8)
