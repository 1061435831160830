"""The drape engine: cloth laid over a look pack, on the CPU, in milliseconds.

    picture = tone(base + light * cloth(u, v) + surface)     in linear light, where there is cloth
    picture = the look's base, byte for byte                 everywhere else

The maths is the pack format's own. The speed comes from working on cloth pixels only, in bands that
stay in the processor's cache, with four-channel pixels (OpenCV samples those fastest), on threads.
"""

from collections import OrderedDict
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
from worker.looks import ROW, Look, load_look

# A rotated grid: four samples at four different x and four different y, so that upright and level
# stripes, which tailoring is full of, are averaged over four positions and not over two.
TAPS = ((-0.375, -0.125), (0.125, -0.375), (0.375, 0.125), (-0.125, 0.375))  # px from the middle
TILE_RESOLUTION = 2.5  # prepared tile pixels per picture pixel: bilinear sampling blurs no detail
BLUR_PX = 0.27  # low-pass of the tile, sigma in picture pixels; the taps average the rest
SHEEN = 0.012  # linear light, see surface_light()
BAND_ROWS = 32  # of ROW cloth pixels: about 4 MB of buffers per thread
CLOTHS_KEPT = 16  # prepared; about 1 MB each

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Bolt:
    """A cloth made ready for pictures of one resolution."""

    cloth: Cloth
    padded: Array  # (height + 1, width + 1, 4) BGR0, first row and column repeated at the end

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of one repeat in `padded`."""
        return self.padded.shape[1] - 1, self.padded.shape[0] - 1


@dataclass(frozen=True, eq=False)
class Form:
    """A look made ready for dressing: where each tap lies, and light in steps of the tone table."""

    look: Look
    base: NDArray[np.uint8]  # (height, width, 4)
    u: Array  # (rows, taps, ROW) cm
    v: Array
    light: Array  # (rows, ROW, 4), shared out to the taps
    under: Array  # (rows, ROW, 4), with the surface's own light


class Scratch:
    """One thread's buffers, kept between bands and pictures."""

    def __init__(self, taps: int) -> None:
        self.x = np.empty((BAND_ROWS, taps, ROW), np.float32)
        self.y = np.empty_like(self.x)
        self.whole = np.empty_like(self.x)
        self.samples = np.empty((BAND_ROWS * taps, ROW, 4), np.float32)
        self.linear = np.empty((BAND_ROWS, ROW, 4), np.float32)
        self.steps = np.empty((BAND_ROWS, ROW, 4), np.uint16)
        self.levels = np.empty((BAND_ROWS, ROW, 4), np.uint8)


class DrapeEngine:
    """Dresses the look packs of a folder; see Engine. One render() at a time."""

    name = "drape"
    version = "1"

    def __init__(self, looks_dir: Path, threads: int = 2) -> None:
        self._looks_dir = looks_dir
        self._forms: dict[str, Form] = {}
        self._bolts: OrderedDict[tuple[object, ...], Bolt] = OrderedDict()
        self._scratches = [Scratch(len(TAPS)) for _ in range(threads)]
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
        return Rendering(picture, self._recipe(form.look, bolt), bolt.cloth.degraded)

    def dress(self, form: Form, bolt: Bolt) -> Picture:
        """The picture of a look in a cloth: uint8 BGR of the look's size."""
        out = form.base.copy()
        starts, share = range(0, len(form.u), BAND_ROWS), len(self._scratches)
        jobs = [
            self._pool.submit(_dress_bands, out, form, bolt, starts[k::share], scratch)
            for k, scratch in enumerate(self._scratches)
        ]
        for job in jobs:
            job.result()
        return np.asarray(cv2.cvtColor(out, cv2.COLOR_BGRA2BGR), np.uint8)

    def _form(self, letter: Letter) -> Form:
        form = self._forms.get(letter.look)
        if form is None:
            raise LookUnavailable(f"El look «{letter.look}» no está en este equipo.")
        look = form.look
        if look.version != letter.look_version:
            raise LookUnavailable(
                f"El look «{look.name}» está en la versión {look.version},"
                f" el pedido es de la {letter.look_version}."
            )
        if (look.width_px, look.height_px) != (letter.width_px, letter.height_px):
            raise LookUnavailable(
                f"El look «{look.name}» mide {look.width_px} x {look.height_px} px,"
                f" el pedido es de {letter.width_px} x {letter.height_px}."
            )
        return form

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

    def _recipe(self, look: Look, bolt: Bolt) -> dict[str, Any]:
        width_cm, height_cm = bolt.cloth.size_cm
        return {
            "engine": self.name,
            "engine_version": self.version,
            "look": look.name,
            "look_version": look.version,
            "look_px_per_cm": look.px_per_cm,
            "taps": len(TAPS),
            "blur_px": BLUR_PX,
            "sheen": SHEEN,
            "cloth": bolt.cloth.kind,
            "cloth_px_per_cm": round(bolt.cloth.px_per_cm, 4),
            "cloth_repeat_mm": [round(width_cm * 10, 3), round(height_cm * 10, 3)],
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


def bolt_of(cloth: Cloth, picture_px_per_cm: float) -> Bolt:
    """Low-pass a cloth to what a picture of this resolution can show."""
    tile = cloths.resampled(cloth, TILE_RESOLUTION * picture_px_per_cm, BLUR_PX / picture_px_per_cm)
    return Bolt(cloth, _four_channels(np.pad(tile, ((0, 1), (0, 1), (0, 0)), mode="wrap")))


def form_of(look: Look, taps: tuple[tuple[float, float], ...] = TAPS) -> Form:
    """Lay the taps out and scale the light; never across panels, as the derivatives are not."""
    steps = np.float32(LINEAR_STEPS)
    return Form(
        look=look,
        base=np.asarray(cv2.cvtColor(look.base, cv2.COLOR_BGR2BGRA), np.uint8),
        u=np.stack([look.u + dx * look.u_dx + dy * look.u_dy for dx, dy in taps], axis=1),
        v=np.stack([look.v + dx * look.v_dx + dy * look.v_dy for dx, dy in taps], axis=1),
        light=np.repeat(look.light[..., None] * (steps / len(taps)), 4, axis=2),
        under=_four_channels(surface_light(look) * steps),
    )


def surface_light(look: Look) -> Array:
    """What the cloth's surface sends back beside its own colour: (rows, ROW, 3) linear light.

    A swatch's colour already holds the reflection of flat, fully lit cloth. So `gloss`, what the
    pack's black cloth reflects there, is taken off the cloth's own light, and a fully lit pixel has
    the colour of the swatch. Above full light a gleam of about the third power is added (surface
    reflection has the narrower lobe), without which dark cloth hides its folds.
    """
    gleam = SHEEN * np.maximum(np.minimum(look.light, 1.6) ** 3 - look.light, 0)
    own = look.under + gleam[..., None] - look.light[..., None] * gloss(look)
    return np.asarray(own, np.float32)


def gloss(look: Look) -> Array:
    """Median reflection of the pack's black cloth per unit of light, where fully lit: (3,) BGR."""
    light = look.light.reshape(-1)[: len(look.at)]
    lit = (np.abs(light - 1) < 0.1) & (look.alpha.reshape(-1)[look.at] == 255)
    under = look.under.reshape(-1, 3)[: len(look.at)]
    if not lit.any():
        return np.zeros(3, np.float32)
    return np.asarray(np.median(under[lit] / light[lit, None], axis=0), np.float32)


def _four_channels(bgr: Array) -> Array:
    return np.pad(bgr, ((0, 0), (0, 0), (0, 1)))


def _dress_bands(
    out: NDArray[np.uint8], form: Form, bolt: Bolt, starts: range, scratch: Scratch
) -> None:
    pixels = out.view(np.uint32).reshape(-1)  # one store per pixel instead of three
    for start in starts:
        levels = _dressed(form, bolt, slice(start, start + BAND_ROWS), scratch)
        at = form.look.at[start * ROW : (start + BAND_ROWS) * ROW]
        pixels[at] = levels.view(np.uint32).reshape(-1)[: len(at)]


def _dressed(form: Form, bolt: Bolt, band: slice, scratch: Scratch) -> NDArray[np.uint8]:
    """One band's levels, (rows, ROW, 4)."""
    rows, taps, _ = form.u[band].shape
    width_cm, height_cm = bolt.cloth.size_cm
    width, height = bolt.size_px
    x = _phase(form.u[band], 1 / width_cm, width, scratch.x[:rows], scratch.whole[:rows])
    y = _phase(form.v[band], -1 / height_cm, height, scratch.y[:rows], scratch.whole[:rows])
    samples = scratch.samples[: rows * taps]
    flat = (rows * taps, ROW)
    cv2.remap(bolt.padded, x.reshape(flat), y.reshape(flat), cv2.INTER_LINEAR, dst=samples)
    linear, steps = scratch.linear[:rows], scratch.steps[:rows]
    samples.reshape(rows, taps, ROW, 4).sum(axis=1, out=linear)
    linear *= form.light[band]
    linear += form.under[band]
    np.maximum(linear, 0, out=linear)
    steps[...] = linear
    return np.asarray(cv2.LUT(steps, LEVEL_OF_LINEAR, dst=scratch.levels[:rows]), np.uint8)


def _phase(cm: Array, repeats_per_cm: float, size_px: int, out: Array, whole: Array) -> Array:
    """Centimetres to pixels within the repeat, 0 to `size_px`."""
    np.multiply(cm, np.float32(repeats_per_cm), out=out)
    np.floor(out, out=whole)
    out -= whole
    out *= np.float32(size_px)
    return out
