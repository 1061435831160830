"""The drape engine: cloth laid over a look pack, on the CPU, in milliseconds.

    picture = tone(base + light * cloth(u, v) + gleam)     in linear light, where there is cloth
    picture = the look's base, byte for byte               everywhere else

The maths is the pack format's own, the gleam that of the cloth's surface (drape_surface.py). The
speed comes from working on cloth pixels only, in 16-bit steps of light, in bands shared out to
threads, with eight samples only where four would not do, and four channels, which OpenCV samples
fastest.
"""

import math
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import LookUnavailable, SwatchUnreadable
from models.letter import Letter
from worker import cloth as cloths
from worker.cloth import Cloth
from worker.colour import toned
from worker.engines import Picture, Rendering, Tick
from worker.engines.drape_double import doubled
from worker.engines.drape_surface import Polish, lit_level, matt_light, polish_of
from worker.looks import MAX_CM_PER_PX, ROW, Look, in_rows, load_look
from worker.packs import folder_of
from worker.surface import Surface

Array = NDArray[np.float32]
Floats = NDArray[np.floating[Any]]
Steps = NDArray[np.uint16]
Rooks = tuple[tuple[float, float], ...]

# Rooks: one sample in each eighth of the pixel's width and of its height. Stripes and weaves,
# upright and level as most are, are averaged over eight positions; over exactly one pixel, because
# a box of one pixel is blind to what would beat with the pixels. Where cloth faces the camera its
# finest waves are longer than a pixel, and four are as good. Offsets from the middle in px; each
# stands for itself and its mirror image.
FOUR_ROOKS: Rooks = ((-0.375, -0.125), (-0.125, 0.375))
EIGHT_ROOKS: Rooks = (
    (-0.4375, -0.1875),
    (-0.3125, 0.3125),
    (-0.1875, -0.4375),
    (-0.0625, 0.0625),
)
SLANTED = 1.75  # how many times the length of cloth that a pixel facing the camera spans
TILE_RESOLUTION = 2.0  # prepared tile pixels per picture pixel: bilinear sampling blurs no detail
BLUR_PX = 0.3  # low-pass of the tile, sigma in picture pixels; the taps average the rest
FINEST_PER_PX = 0.5  # waves that pixels can show; finer ones would come back as moiré
BAND_ROWS = 32  # of ROW cloth pixels; with fewer, calling costs more than computing
CLOTHS_KEPT = 16  # prepared; a hand-wide one is about 1 MB
DOUBLED_KEPT = 2  # looks at twice their size, of some 250 MB each
FETCHED_KEPT = 4  # looks that were uploaded; those that ship are all kept

# Steps of 16 bits, each far finer than what a level of the picture spans.
LINEAR_STEPS = 30_000  # per unit of linear light: up to twice white
FLOOR_STEPS = 2048  # added: matt cloth may take a little light from what lies under it
LIGHT_STEPS = 32_767  # per unit of a look's light, which is 2 at most
TILE_STEPS = 65_535 // (2 * len(EIGHT_ROOKS))  # of the lightest yarn: the sum of samples fits


@dataclass(frozen=True, eq=False)
class Bolt:
    """A cloth made ready for pictures of one resolution; sizes are width and height of a repeat."""

    size_cm: tuple[float, float]
    size_px: tuple[int, int]
    margin_px: int
    padded: Steps  # BGR0: one repeat, continued by the margin on every side and one pixel more
    steps: float  # per unit of albedo
    surface: Surface
    origin: dict[str, Any]  # what the recipe tells of the cloth
    degraded: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Part:
    """Pixels of a look that take as many samples, in rows: where these lie, and the light."""

    at: NDArray[np.intp]  # flat picture index of each pixel
    uv: Array  # (2, rows, ROW) cm: u and v in the middle of each pixel
    pairs: tuple[Array, ...]  # (2, rows, ROW) cm: from the middle to a sample, or back to its twin
    light: Steps  # (rows, ROW)
    lights: Steps  # (rows, ROW, 4): the same for each channel
    under: Steps  # (rows, ROW, 4)
    gleam: NDArray[np.uint8]  # (rows, ROW)


@dataclass(frozen=True, eq=False)
class Form:
    """A look made ready for dressing."""

    look: Look
    canvas: NDArray[np.uint8]  # (height, width, 4): the base, with the cloth of the last picture
    parts: tuple[Part, ...]
    lit_level: int  # of gleam


class Scratch:
    """One thread's buffers, kept between bands and pictures: fresh memory is slow memory."""

    def __init__(self) -> None:
        self.middle = np.empty((2, BAND_ROWS, ROW), np.float32)
        self.offset = np.empty_like(self.middle)
        self.at = np.empty_like(self.middle)
        self.sample = np.empty((BAND_ROWS, ROW, 4), np.uint16)
        self.total = np.empty_like(self.sample)
        self.gleam = np.empty((BAND_ROWS, ROW), np.uint16)
        self.levels = np.empty((BAND_ROWS, ROW, 4), np.uint8)


class DrapeEngine:
    """Dresses the look packs of a folder; see Engine. One render() at a time."""

    name = "drape"
    version = "3"

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
        polish = polish_of(bolt.surface, form.lit_level)
        bands = iter(_bands(form))  # one for all: who is free takes a band
        dress = partial(_dress_bands, form.canvas, bolt, polish, bands)
        list(self._pool.map(dress, self._scratches))
        picture = np.empty_like(form.look.base)
        shares = np.array_split(np.arange(len(picture)), len(self._scratches))
        rows = [slice(share[0], share[-1] + 1) for share in shares]
        list(self._pool.map(partial(_copy_colours, form.canvas, picture), rows))
        return picture

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
            "taps": [2 * len(part.pairs) for part in form.parts],
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
    steps = TILE_STEPS / max(float(tile.max()), 1e-6)
    return Bolt(
        size_cm=cloth.size_cm,
        size_px=size_px,
        margin_px=margin,
        padded=_steps(_four_channels(np.pad(tile, (sides, sides, (0, 0)), mode="wrap")), steps),
        steps=steps,
        surface=cloth.surface,
        origin={
            "cloth": cloth.kind,
            "cloth_px_per_cm": round(cloth.px_per_cm, 4),
            "cloth_repeat_mm": [round(cm * 10, 3) for cm in cloth.size_cm],
        },
        degraded=cloth.degraded,
    )


def form_of(look: Look) -> Form:
    """Lay the samples out; they never cross panels, as the look's derivatives do not."""
    many = slanted(look.u_dx, look.u_dy, look.v_dx, look.v_dy, look.px_per_cm)
    many = many.reshape(-1)[: len(look.at)]
    return Form(
        look=look,
        canvas=np.asarray(cv2.cvtColor(look.base, cv2.COLOR_BGR2BGRA), np.uint8),
        parts=(_part(look, FOUR_ROOKS, ~many), _part(look, EIGHT_ROOKS, many)),
        lit_level=lit_level(look),
    )


def slanted(
    u_dx: Floats, u_dy: Floats, v_dx: Floats, v_dy: Floats, px_per_cm: float
) -> NDArray[np.bool_]:
    """Where pixels span more than SLANTED times the cloth of those that face the camera: by the
    larger singular value of the derivatives, in cm a pixel."""
    half = (u_dx**2 + u_dy**2 + v_dx**2 + v_dy**2) / 2
    area = u_dx * v_dy - u_dy * v_dx
    longest = half + np.sqrt(np.maximum(half**2 - area**2, 0))
    return np.asarray(longest > (SLANTED / px_per_cm) ** 2)


def _part(look: Look, rooks: Rooks, chosen: NDArray[np.bool_]) -> Part:
    """`chosen`: which of the look's cloth pixels."""
    which = np.flatnonzero(chosen)

    def rows(values: NDArray[Any]) -> NDArray[Any]:
        return in_rows(values.reshape(-1, *values.shape[2:])[which])

    along_x = np.stack([rows(look.u_dx), rows(look.v_dx)])
    along_y = np.stack([rows(look.u_dy), rows(look.v_dy)])
    light = _steps(rows(look.light), LIGHT_STEPS)
    under = _four_channels(rows(matt_light(look)))
    return Part(
        at=look.at[which],
        uv=np.stack([rows(look.u), rows(look.v)]),
        pairs=tuple(np.asarray(dx * along_x + dy * along_y, np.float32) for dx, dy in rooks),
        light=light,
        lights=np.repeat(light[..., None], 4, axis=2),
        under=_steps(under, LINEAR_STEPS, FLOOR_STEPS),
        gleam=rows(look.gleam),
    )


def _four_channels(bgr: Array) -> Array:
    return np.pad(bgr, ((0, 0), (0, 0), (0, 1)))


def _steps(values: Array, per_unit: float, added: int = 0) -> Steps:
    steps = np.rint(values * np.float32(per_unit) + added)
    return np.asarray(steps.clip(0, 65_535), np.uint16)


def _level_of_steps() -> NDArray[np.uint8]:
    light = (np.arange(65_536) - FLOOR_STEPS) / LINEAR_STEPS
    return np.rint(toned(light) * 255).astype(np.uint8)


LEVEL_OF_STEPS = _level_of_steps()


def _copy_colours(canvas: NDArray[np.uint8], picture: Picture, rows: slice) -> None:
    cv2.cvtColor(canvas[rows], cv2.COLOR_BGRA2BGR, dst=picture[rows])


def _bands(form: Form) -> list[tuple[Part, slice]]:
    return [
        (part, slice(start, start + BAND_ROWS))
        for part in form.parts
        for start in range(0, len(part.light), BAND_ROWS)
    ]


def _dress_bands(
    canvas: NDArray[np.uint8],
    bolt: Bolt,
    polish: Polish,
    bands: Iterator[tuple[Part, slice]],
    scratch: Scratch,
) -> None:
    pixels = canvas.view(np.uint32).reshape(-1)  # one store per pixel instead of three
    for part, band in bands:
        total = _sampled(part, bolt, band, scratch)
        share = LINEAR_STEPS / (LIGHT_STEPS * bolt.steps * 2 * len(part.pairs))
        cv2.multiply(total, part.lights[band], dst=total, scale=share)
        cv2.add(total, part.under[band], dst=total)
        cv2.add(total, _gleam(part, polish, band, scratch), dst=total)
        levels = cv2.LUT(total, LEVEL_OF_STEPS, dst=scratch.levels[: len(total)])
        at = part.at[band.start * ROW : band.stop * ROW]
        pixels[at] = levels.view(np.uint32).reshape(-1)[: len(at)]


def _sampled(part: Part, bolt: Bolt, band: slice, scratch: Scratch) -> Steps:
    """The sum of a band's samples, (rows, ROW, 4) in steps of the bolt."""
    rows = len(part.light[band])
    sample, total = scratch.sample[:rows], scratch.total[:rows]
    for number, (x, y) in enumerate(_places(part, bolt, band, scratch)):
        into = sample if number else total
        cv2.remap(bolt.padded, x, y, cv2.INTER_LINEAR, dst=into)
        if number:
            cv2.add(total, sample, dst=total)
    return total


def _places(part: Part, bolt: Bolt, band: slice, scratch: Scratch) -> Iterator[Array]:
    """Where each pixel's samples lie in the padded tile: (2, rows, ROW), one buffer for all."""
    rows = len(part.light[band])
    middle, offset, at = (a[:, :rows] for a in (scratch.middle, scratch.offset, scratch.at))
    repeat_px = np.array(bolt.size_px, np.float32).reshape(2, 1, 1)
    width_cm, height_cm = bolt.size_cm  # v goes up the cloth, rows go down the tile
    repeats_per_cm = np.array((1 / width_cm, -1 / height_cm), np.float32).reshape(2, 1, 1)
    np.multiply(part.uv[:, band], repeats_per_cm, out=middle)
    middle -= np.floor(middle, out=at)
    middle *= repeat_px
    middle += np.float32(bolt.margin_px)
    for pair in part.pairs:
        np.multiply(pair[:, band], repeats_per_cm * repeat_px, out=offset)
        yield np.add(middle, offset, out=at)
        yield np.subtract(middle, offset, out=at)


def _gleam(part: Part, polish: Polish, band: slice, scratch: Scratch) -> Steps:
    """What a band's surface adds, (rows, ROW, 4)."""
    light, known = part.light[band], polish.known * LINEAR_STEPS / LIGHT_STEPS
    one, four = scratch.gleam[: len(light)], scratch.sample[: len(light)]
    cv2.LUT(part.gleam[band], _steps(polish.of_level, LINEAR_STEPS), dst=one)
    cv2.addWeighted(one, 1, light, -known, 0, dst=one)  # never below nought
    return np.asarray(cv2.merge((one, one, one, one), dst=four), np.uint16)
