"""The drape engine: cloth laid over a look pack, on the CPU, in milliseconds.

    picture = tone(base + light * cloth(u, v) + gleam)     in linear light, where there is cloth
    picture = the look's base, byte for byte               everywhere else

The maths is the pack format's own, the gleam that of the cloth's surface (drape_surface.py). The
speed comes from working on cloth pixels only, in bands shared out to threads, with four-channel
pixels (OpenCV samples those fastest) in kept buffers.
"""

import math
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import LookUnavailable, SwatchUnreadable
from models.letter import Letter
from worker import cloth as cloths
from worker.cloth import Cloth
from worker.colour import LEVEL_OF_LINEAR, LINEAR_STEPS
from worker.engines import Picture, Rendering, Tick
from worker.engines.drape_double import doubled
from worker.engines.drape_surface import Polish, lit_level, matt_light, polish_of
from worker.looks import MAX_CM_PER_PX, ROW, Look, load_look
from worker.packs import folder_of
from worker.surface import Surface

Array = NDArray[np.float32]
Offsets = tuple[tuple[float, float], ...]

# Eight rooks: one sample in each eighth of the pixel's width and of its height. Stripes and weaves,
# upright and level as most of tailoring is, are averaged over eight positions; over exactly one
# pixel, because a box of one pixel is blind to what would beat with the pixels. Offsets from the
# middle in px; each stands for itself and its mirror image.
EIGHT_ROOKS: Offsets = (
    (-0.4375, -0.1875),
    (-0.3125, 0.3125),
    (-0.1875, -0.4375),
    (-0.0625, 0.0625),
)
CENTRE: Offsets = ()  # one sample per pixel, without anti-aliasing
TILE_RESOLUTION = 2.0  # prepared tile pixels per picture pixel: bilinear sampling blurs no detail
BLUR_PX = 0.3  # low-pass of the tile, sigma in picture pixels; the taps average the rest
FINEST_PER_PX = 0.5  # waves that pixels can show; finer ones would come back as moiré
BAND_ROWS = 48  # of ROW cloth pixels; with fewer, calling costs more than computing
CLOTHS_KEPT = 16  # prepared; a hand-wide one is about 1 MB
DOUBLED_KEPT = 2  # looks at twice their size, of some 250 MB each
FETCHED_KEPT = 4  # looks that were uploaded; those that ship are all kept


@dataclass(frozen=True, eq=False)
class Bolt:
    """A cloth made ready for pictures of one resolution; sizes are width and height of a repeat."""

    size_cm: tuple[float, float]
    size_px: tuple[int, int]
    margin_px: int
    padded: Array  # BGR0: one repeat, continued by the margin on every side and one pixel more
    surface: Surface
    origin: dict[str, Any]  # what the recipe tells of the cloth
    degraded: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Form:
    """A look made ready for dressing: where the samples lie, and light in table steps."""

    look: Look
    base: NDArray[np.uint8]  # (height, width, 4)
    uv: Array  # (2, rows, ROW) cm: u and v in the middle of each pixel
    pairs: tuple[Array, ...]  # (2, rows, ROW) cm: from the middle to a sample, or back to its twin
    light: Array  # (rows, ROW, 4), shared out to the samples
    under: Array  # (rows, ROW, 4)
    lit_level: int  # of gleam

    @property
    def taps(self) -> int:
        return 2 * len(self.pairs) or 1


class Scratch:
    """One thread's buffers, kept between bands and pictures: fresh memory is slow memory."""

    def __init__(self) -> None:
        self.middle = np.empty((2, BAND_ROWS, ROW), np.float32)
        self.offset = np.empty_like(self.middle)
        self.at = np.empty_like(self.middle)
        self.sample = np.empty((BAND_ROWS, ROW, 4), np.float32)
        self.total = np.empty_like(self.sample)
        self.gleam = np.empty((BAND_ROWS, ROW), np.float32)
        self.steps = np.empty((BAND_ROWS, ROW, 4), np.uint16)
        self.levels = np.empty((BAND_ROWS, ROW, 4), np.uint8)


class DrapeEngine:
    """Dresses the look packs of a folder; see Engine. One render() at a time."""

    name = "drape"
    version = "2"

    def __init__(self, looks_dir: Path, threads: int = 2) -> None:
        self._looks_dir = looks_dir
        self._forms: dict[str, Form] = {}
        self._fetched: OrderedDict[str, Form] = OrderedDict()  # by the hash of the pack
        self._doubled: OrderedDict[Look, Form] = OrderedDict()
        self._bolts: OrderedDict[tuple[object, ...], Bolt] = OrderedDict()
        self._scratches = [Scratch() for _ in range(threads)]
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="drape")

    def setup(self) -> None:
        """Load every pack and dress each once. Raises LookUnavailable, InvalidInput."""
        folders = sorted(path.parent for path in self._looks_dir.glob("*/look.json"))
        if not folders:
            raise LookUnavailable(f"No hay looks en {self._looks_dir}.")
        cv2.setNumThreads(1)  # the bands are the parallel part
        self._forms = {folder.name: form_of(load_look(folder)) for folder in folders}
        for form in self._forms.values():
            self.dress(form, bolt_of(cloths.from_hex("#808080"), form.look.px_per_cm))

    def render(self, letter: Letter, swatch: bytes | None, tick: Tick) -> Rendering:
        tick(0.0)
        form = self._form(letter)
        bolt = self._bolt(letter, swatch, form.look.px_per_cm)
        tick(0.5)
        picture = self.dress(form, bolt)
        tick(1.0)
        return Rendering(picture, self._recipe(form, bolt), bolt.degraded)

    def dress(self, form: Form, bolt: Bolt) -> Picture:
        """The picture of a look in a cloth: uint8 BGR of the look's size."""
        out, polish = form.base.copy(), polish_of(bolt.surface, form.lit_level)
        starts = iter(range(0, len(form.light), BAND_ROWS))  # one for all: who is free takes a band
        jobs = [
            self._pool.submit(_dress_bands, out, form, bolt, polish, starts, scratch)
            for scratch in self._scratches
        ]
        for job in jobs:
            job.result()
        return np.asarray(cv2.cvtColor(out, cv2.COLOR_BGRA2BGR), np.uint8)

    def _form(self, letter: Letter) -> Form:
        form = self._loaded(letter)
        look = form.look
        if look.version != letter.look_version:
            raise LookUnavailable(
                f"El look «{look.name}» está en la versión {look.version},"
                f" el pedido es de la {letter.look_version}."
            )
        if (2 * look.width_px, 2 * look.height_px) == (letter.width_px, letter.height_px):
            return self._double(look)
        if (look.width_px, look.height_px) != (letter.width_px, letter.height_px):
            raise LookUnavailable(
                f"El look «{look.name}» mide {look.width_px} x {look.height_px} px,"
                f" el pedido es de {letter.width_px} x {letter.height_px}."
            )
        return form

    def _loaded(self, letter: Letter) -> Form:
        """Of a look that ships, or of one that the worker has fetched."""
        if letter.look_sha256 is None:
            if letter.look not in self._forms:
                raise LookUnavailable(f"El look «{letter.look}» no está en este equipo.")
            return self._forms[letter.look]
        if letter.look_sha256 not in self._fetched:
            while len(self._fetched) >= FETCHED_KEPT:
                self._fetched.popitem(last=False)
            look = load_look(folder_of(letter, self._looks_dir))
            self._fetched[letter.look_sha256] = form_of(look)
        self._fetched.move_to_end(letter.look_sha256)
        return self._fetched[letter.look_sha256]

    def _double(self, look: Look) -> Form:
        """The look at twice its size, made when it is first asked for."""
        if look not in self._doubled:
            while len(self._doubled) >= DOUBLED_KEPT:
                self._doubled.popitem(last=False)
            self._doubled[look] = form_of(doubled(look))
        self._doubled.move_to_end(look)
        return self._doubled[look]

    def _bolt(self, letter: Letter, swatch: bytes | None, px_per_cm: float) -> Bolt:
        key = (
            letter.swatch_sha256 if letter.swatch_key else letter.fabric_hex,
            letter.swatch_kind,
            letter.swatch_width_mm,
            px_per_cm,
        )
        bolt = self._bolts.get(key)
        if bolt is None:
            bolt = bolt_of(cloth_of(letter, swatch), px_per_cm)
            self._bolts[key] = bolt
            if len(self._bolts) > CLOTHS_KEPT:
                self._bolts.popitem(last=False)
        self._bolts.move_to_end(key)
        return bolt

    def _recipe(self, form: Form, bolt: Bolt) -> dict[str, Any]:
        look = form.look
        return {
            "engine": self.name,
            "engine_version": self.version,
            "look": look.name,
            "look_version": look.version,
            "look_px_per_cm": look.px_per_cm,
            "taps": form.taps,
            "blur_px": BLUR_PX,
            "sheen": bolt.surface.sheen,
            "roughness": bolt.surface.roughness,
            **bolt.origin,
        }


def cloth_of(letter: Letter, swatch: bytes | None) -> Cloth:
    """The cloth that a letter orders. Raises SwatchUnreadable: never another cloth instead."""
    if letter.swatch_key is None:
        return cloths.from_hex(letter.fabric_hex)
    if swatch is None:
        raise SwatchUnreadable("Falta la imagen de la muestra.")
    if letter.swatch_kind == "tile" and letter.swatch_width_mm is not None:
        return cloths.from_tile(swatch, letter.swatch_width_mm)
    return cloths.from_photo(swatch, letter.swatch_width_mm)


def shown_tile(cloth: Cloth, picture_px_per_cm: float) -> Array:
    """The cloth's tile, low-passed to what a picture of this resolution can show."""
    return cloths.resampled(
        cloth,
        TILE_RESOLUTION * picture_px_per_cm,
        BLUR_PX / picture_px_per_cm,
        FINEST_PER_PX * picture_px_per_cm,
    )


def bolt_of(cloth: Cloth, picture_px_per_cm: float) -> Bolt:
    """Make a cloth ready for pictures of this resolution."""
    tile = shown_tile(cloth, picture_px_per_cm)
    size_px = (tile.shape[1], tile.shape[0])
    px_per_cm = max(px / cm for px, cm in zip(size_px, cloth.size_cm, strict=True))
    margin = math.ceil(MAX_CM_PER_PX * px_per_cm) + 1  # no sample lies farther from the middle
    sides = (margin, margin + 1)
    return Bolt(
        size_cm=cloth.size_cm,
        size_px=size_px,
        margin_px=margin,
        padded=_four_channels(np.pad(tile, (sides, sides, (0, 0)), mode="wrap")),
        surface=cloth.surface,
        origin={
            "cloth": cloth.kind,
            "cloth_px_per_cm": round(cloth.px_per_cm, 4),
            "cloth_repeat_mm": [round(cm * 10, 3) for cm in cloth.size_cm],
        },
        degraded=cloth.degraded,
    )


def form_of(look: Look, pairs: Offsets = EIGHT_ROOKS) -> Form:
    """Lay the samples out; they never cross panels, as the look's derivatives do not."""
    steps = np.float32(LINEAR_STEPS)
    along_x, along_y = np.stack([look.u_dx, look.v_dx]), np.stack([look.u_dy, look.v_dy])
    taps = 2 * len(pairs) or 1
    return Form(
        look=look,
        base=np.asarray(cv2.cvtColor(look.base, cv2.COLOR_BGR2BGRA), np.uint8),
        uv=np.stack([look.u, look.v]),
        pairs=tuple(dx * along_x + dy * along_y for dx, dy in pairs),
        light=np.repeat(look.light[..., None] * (steps / taps), 4, axis=2),
        under=_four_channels(matt_light(look) * steps + np.float32(0.5)),  # casts then round
        lit_level=lit_level(look),
    )


def _four_channels(bgr: Array) -> Array:
    return np.pad(bgr, ((0, 0), (0, 0), (0, 1)))


def _dress_bands(
    out: NDArray[np.uint8],
    form: Form,
    bolt: Bolt,
    polish: Polish,
    starts: Iterator[int],
    scratch: Scratch,
) -> None:
    pixels = out.view(np.uint32).reshape(-1)  # one store per pixel instead of three
    for start in starts:
        band = slice(start, start + BAND_ROWS)
        total = _sampled(form, bolt, band, scratch)
        total *= form.light[band]
        total += form.under[band]
        cv2.add(total, _gleam(form.look, polish, band, scratch), dst=total)
        at = form.look.at[start * ROW : (start + BAND_ROWS) * ROW]
        pixels[at] = _levels(total, scratch).view(np.uint32).reshape(-1)[: len(at)]


def _sampled(form: Form, bolt: Bolt, band: slice, scratch: Scratch) -> Array:
    """The sum of a band's samples, (rows, ROW, 4) linear light."""
    rows = len(form.light[band])
    middle, offset, at = (a[:, :rows] for a in (scratch.middle, scratch.offset, scratch.at))
    sample, total = scratch.sample[:rows], scratch.total[:rows]
    repeat_px = np.array(bolt.size_px, np.float32).reshape(2, 1, 1)
    width_cm, height_cm = bolt.size_cm  # v goes up the cloth, rows go down the tile
    repeats_per_cm = np.array((1 / width_cm, -1 / height_cm), np.float32).reshape(2, 1, 1)
    _place(form.uv[:, band], repeats_per_cm, repeat_px, bolt.margin_px, middle, at)
    if not form.pairs:
        return _sample(bolt, middle, total)
    total[...] = 0
    for pair in form.pairs:
        np.multiply(pair[:, band], repeats_per_cm * repeat_px, out=offset)
        cv2.add(total, _sample(bolt, np.add(middle, offset, out=at), sample), dst=total)
        cv2.add(total, _sample(bolt, np.subtract(middle, offset, out=at), sample), dst=total)
    return total


def _place(
    cm: Array, repeats_per_cm: Array, repeat_px: Array, margin_px: int, out: Array, whole: Array
) -> None:
    """Centimetres to pixels of the padded tile, within its first repeat."""
    np.multiply(cm, repeats_per_cm, out=out)
    np.floor(out, out=whole)
    out -= whole
    out *= repeat_px
    out += np.float32(margin_px)


def _sample(bolt: Bolt, at: Array, out: Array) -> Array:
    cv2.remap(bolt.padded, at[0], at[1], cv2.INTER_LINEAR, dst=out)
    return out


def _gleam(look: Look, polish: Polish, band: slice, scratch: Scratch) -> Array:
    """What a band's surface adds in table steps, (rows, ROW, 4)."""
    rows, steps = len(look.light[band]), np.float32(LINEAR_STEPS)
    one, four = scratch.gleam[:rows], scratch.sample[:rows]
    cv2.LUT(look.gleam[band], polish.of_level * steps, dst=one)
    cv2.scaleAdd(look.light[band], -polish.known * LINEAR_STEPS, one, dst=one)
    cv2.threshold(one, 0, 0, cv2.THRESH_TOZERO, dst=one)
    return np.asarray(cv2.merge((one, one, one, one), dst=four), np.float32)


def _levels(total: Array, scratch: Scratch) -> NDArray[np.uint8]:
    """sRGB levels of linear light in table steps."""
    rows = len(total)
    cv2.threshold(total, 0, 0, cv2.THRESH_TOZERO, dst=total)
    steps = scratch.steps[:rows]
    steps[...] = total
    return np.asarray(cv2.LUT(steps, LEVEL_OF_LINEAR, dst=scratch.levels[:rows]), np.uint8)
