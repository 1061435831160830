"""Phone photos of known cloths, taken by a synthetic photographer, and how well they are read.

    python -m bench.phone_photos [photos]

Each photo is drawn from a woven tile through a pinhole camera: tilted up to 35°, turned, under a
lamp that falls off, with a lens that vignettes, a white balance and an exposure that are a little
off, noise and JPEG 75. Half show a swatch on a table, some with a grey card beside it or a hand
over its edge; half are close-ups that the cloth fills. The same seed takes the same photo.

What is right: across and down, where the cloth has a pattern that a person would point at (stripes
across, checks both ways, textures from 5 mm on), the repeat of its draft within 5 %; where it has
none, no repeat or the weave's own within 5 %. At least two repeats are always in the picture, so
"none" is never right for a pattern; a refused photo is not right. Wrong and unsaid is a photo
whose cloth was taken for a quarter larger or smaller than it is in the frame, without scale-assumed
in `degraded`.
"""

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

from bench import rulers
from bench.rulers import INCHES, RULERS, Ruler
from models.errors import SwatchUnreadable
from worker.cloth import Cloth, from_photo
from worker.cloth_area import cloth_area
from worker.colour import LINEAR_OF_LEVEL, encoded
from worker.delta_e import delta_e_2000, lab_of_linear
from worker.draft import Draft, load_draft
from worker.weave import WovenTile, weave

CLOTHS = sorted((Path(__file__).parent.parent / "assets" / "cloth").glob("*.toml"))
SMALL, LARGE = (1600, 1200), (4032, 3024)  # as messengers send them, and as the phone takes them
FOCAL = 26 / 36  # of the long side: the main camera of a phone
CARD_MM = (85.6, 53.98)  # ISO/IEC 7810 ID-1
CARD_LIGHT = 0.18
PHOTOS = 240
VISIBLE_MM = 5.0  # a texture's repeat that counts as one
WITHIN = 0.05  # of the known repeat is right
AREA_WITHIN = 0.25  # of the cloth's area in the frame
TABLES = ((0.10, 0.22, 0.38), (0.42, 0.45, 0.47), (0.75, 0.76, 0.77), (0.045, 0.05, 0.05))
PALE = 2  # of the tables

Light = NDArray[np.float32]


@dataclass(frozen=True)
class Shot:
    """What the photographer does; angles in degrees, lengths in millimetres."""

    cloth: Path
    seed: int
    close: bool  # the cloth fills the frame
    card: bool
    hand: bool
    tilt: float
    azimuth: float
    roll: float
    blur_px: float = 0.7  # of a photo 1600 px wide
    shake_px: float = 0.0  # how far the hand moved, in the same pixels
    size: tuple[int, int] = SMALL
    bank: bool = False  # the card is a printed bank card, and not a grey one
    ruler: Ruler | None = None  # in place of a card
    table: int | None = None  # of TABLES; else by chance


@dataclass(frozen=True)
class Photo:
    data: bytes
    width_mm: float  # of the swatch, or of the cloth across the middle of a close-up
    share: float  # of the frame that is cloth


def shots(count: int, cloths: Sequence[Path] = CLOTHS) -> list[Shot]:
    """Every cloth in turn; every second photo is a close-up, every second swatch has a card."""
    return [_shot(cloths[seed % len(cloths)], seed) for seed in range(count)]


def _shot(cloth: Path, seed: int) -> Shot:
    random = np.random.default_rng(seed)
    close = seed % 2 == 1
    return Shot(
        cloth,
        seed,
        close,
        card=not close and seed % 4 == 0,
        hand=bool(random.random() < 0.3) and not close,
        tilt=random.uniform(0, 35),
        azimuth=random.uniform(0, 360),
        roll=random.uniform(-12, 12),
    )


@cache
def tile_of(cloth: Path) -> tuple[Draft, WovenTile]:
    draft = load_draft(cloth)
    return draft, weave(draft)


def taken(shot: Shot) -> Photo:
    """Take one photo."""
    random = np.random.default_rng(1000 + shot.seed)
    draft, tile = tile_of(shot.cloth)
    size_mm = _swatch_mm(draft)
    if shot.close:
        frame_mm = max(
            68.0, *(2.3 * mm * side for mm, side in zip(draft.repeat_mm, (1, 4 / 3), strict=True))
        )
    else:
        frame_mm = max(size_mm[0], 4 / 3 * size_mm[1]) * random.uniform(1.25, 1.5)
    aside_mm = 0.0
    if shot.card or shot.ruler:
        frame_mm, aside_mm = max(frame_mm, size_mm[0] + 130), 26.0
    camera = _camera(shot, frame_mm, aside_mm)
    x_mm, y_mm = _on_the_table(camera, shot.size)
    light = _table(random, x_mm, y_mm, shot.table)
    on_cloth = np.abs(x_mm) < 1e9
    if not shot.close:
        on_cloth = (np.abs(x_mm) < size_mm[0] / 2) & (np.abs(y_mm) < size_mm[1] / 2)
    light[on_cloth] = _cloth_light(tile, x_mm, y_mm, shot)[on_cloth]
    if shot.card:
        away = size_mm[0] / 2 + 14 + CARD_MM[1] / 2
        _lay_card(light, x_mm - away, y_mm, shot.bank)
    if shot.ruler:
        _lay_ruler(light, shot.ruler, x_mm - size_mm[0] / 2 - 14, y_mm, random)
    if shot.hand:
        _lay_hand(light, x_mm, y_mm, size_mm, random)
    data = _developed(light, shot, random)
    width_mm = size_mm[0]
    if shot.close:
        row = x_mm[len(x_mm) // 2], y_mm[len(y_mm) // 2]
        width_mm = math.hypot(*(float(axis[-1] - axis[0]) for axis in row))
    return Photo(data, width_mm, float(on_cloth.mean()))


def _swatch_mm(draft: Draft) -> tuple[float, float]:
    """At least a hand's width, and more than two repeats of a large pattern."""
    wide, high = (max(110.0, 2.4 * mm) if mm > 40 else 110.0 for mm in draft.repeat_mm)
    return wide, max(high, 0.8 * wide)


def _camera(shot: Shot, frame_mm: float, aside_mm: float) -> NDArray[np.float64]:
    """(3, 3): millimetres on the table, y up, to pixels; it looks beside the swatch's middle."""
    width, height = shot.size
    focal = FOCAL * width
    axis = np.radians(shot.azimuth)
    turn, _ = cv2.Rodrigues(np.radians(shot.tilt) * np.array([np.cos(axis), np.sin(axis), 0]))
    roll, _ = cv2.Rodrigues(np.array([0, 0, np.radians(shot.roll)]))
    pose = np.asarray(turn @ roll) @ np.diag([1.0, -1.0, 1.0])
    distance = focal * frame_mm / width
    away = np.array([0, 0, distance]) - aside_mm * pose[:, 0]
    pose = np.column_stack([pose[:, 0], pose[:, 1], away])
    lens = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    return np.asarray(lens @ pose)


def _on_the_table(camera: NDArray[np.float64], size: tuple[int, int]) -> tuple[Light, Light]:
    """Where each pixel looks: x and y in millimetres."""
    y, x = np.mgrid[: size[1], : size[0]].astype(np.float32)
    back = np.linalg.inv(camera).astype(np.float32)
    w = back[2, 0] * x + back[2, 1] * y + back[2, 2]
    return (
        (back[0, 0] * x + back[0, 1] * y + back[0, 2]) / w,
        (back[1, 0] * x + back[1, 1] * y + back[1, 2]) / w,
    )


def _cloth_light(tile: WovenTile, x_mm: Light, y_mm: Light, shot: Shot) -> Light:
    """BGR, linear; low-passed where a pixel covers more than the tile's detail."""
    linear = np.ascontiguousarray(LINEAR_OF_LEVEL[tile.levels][..., ::-1])
    height, width = linear.shape[:2]
    sigma = 0.5 * _mm_per_px(x_mm, y_mm) * tile.px_per_cm / 10
    padded = np.pad(linear, ((8, 9), (8, 9), (0, 0)), mode="wrap")
    if sigma > 0.3:
        padded = np.asarray(cv2.GaussianBlur(padded, (0, 0), sigma), np.float32)
    across = (x_mm / np.float32(tile.width_mm)) % 1 * width + 8
    down = (-y_mm / np.float32(tile.height_mm)) % 1 * height + 8
    return np.asarray(cv2.remap(padded, across, down, cv2.INTER_LINEAR), np.float32)


def _mm_per_px(x_mm: Light, y_mm: Light) -> float:
    return float(np.median(np.hypot(np.diff(x_mm[::64], axis=1), np.diff(y_mm[::64], axis=1))))


def _table(
    random: np.random.Generator, x_mm: Light, y_mm: Light, chosen: int | None = None
) -> Light:
    """Wood, stone, paper or slate: a colour with a grain."""
    by_chance = int(random.integers(len(TABLES)))
    colour = np.array(TABLES[by_chance if chosen is None else chosen], np.float32)
    grain = np.sin(x_mm / 31 + 2.3 * np.sin(y_mm / 170)) + 0.5 * np.sin(x_mm / 3.7 + y_mm / 90)
    return np.asarray(colour * (1 + 0.08 * grain[..., None]), np.float32)


def _lay_card(light: Light, x_mm: Light, y_mm: Light, printed: bool) -> None:
    """A grey card, or a bank card: blue, with round corners, a chip, a white mark and digits."""
    half_x, half_y, round_mm = CARD_MM[1] / 2, CARD_MM[0] / 2, 3.18 if printed else 0.0
    over_x, over_y = (
        np.maximum(np.abs(mm) - half + round_mm, 0) for mm, half in ((x_mm, half_x), (y_mm, half_y))
    )
    within = (np.abs(x_mm) < half_x) & (np.abs(y_mm) < half_y)
    within &= over_x**2 + over_y**2 <= round_mm**2
    if not printed:
        light[within] = CARD_LIGHT
        return
    shade = (1 + 0.3 * y_mm / half_y)[..., None]
    light[within] = (np.array([0.35, 0.12, 0.04], np.float32) * shade)[within]
    chip = (np.abs(x_mm) < 5) & (np.abs(y_mm - 24) < 6)
    mark = (x_mm - 14) ** 2 + (y_mm + 28) ** 2 < 8**2
    digits = (np.abs(x_mm + 12) < 1.5) & (y_mm % 4 < 2.4) & (np.abs(y_mm) < 34)
    for print_, colour in (
        (chip, (0.2, 0.5, 0.6)),
        (mark, (0.8, 0.8, 0.8)),
        (digits, (0.7, 0.7, 0.7)),
    ):
        light[print_ & within] = colour


def _lay_ruler(
    light: Light, ruler: Ruler, x_mm: Light, y_mm: Light, random: np.random.Generator
) -> None:
    """Roughly along the swatch, a little turned; `x_mm` from near the swatch's side."""
    way = math.radians(random.uniform(-4, 4) + (180 if random.random() < 0.5 else 0))
    x_mm = x_mm - np.float32(ruler.wide / 2)
    turned = (
        np.float32(math.cos(way)) * x_mm + np.float32(math.sin(way)) * y_mm,
        np.float32(math.cos(way)) * y_mm - np.float32(math.sin(way)) * x_mm,
    )
    rulers.lay(light, ruler, *turned, _mm_per_px(x_mm, y_mm))


def _lay_hand(
    light: Light,
    x_mm: Light,
    y_mm: Light,
    size_mm: tuple[float, float],
    random: np.random.Generator,
) -> None:
    """Two fingers that hold the swatch down at its left edge."""
    skin = np.array([0.24, 0.33, 0.52], np.float32) * random.uniform(0.4, 1.1)
    for offset in (-11, 11):
        y = y_mm - offset - 0.2 * size_mm[1]
        finger = np.maximum(x_mm + size_mm[0] / 2 - 12, 0) ** 2 + y**2 < 9**2
        light[finger & (x_mm < 0)] = skin


def _developed(light: Light, shot: Shot, random: np.random.Generator) -> bytes:
    """Lamp, lens, sensor and JPEG."""
    width, height = shot.size
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * (height / width)
    slope_x, slope_y = random.uniform(-0.15, 0.15, 2)
    fall = random.uniform(0.05, 0.16)
    lamp = (1 + slope_x * x + slope_y * y) * (1 - fall * (x * x + y * y))
    cast = np.exp(random.normal(0, [0.05, 0.015, 0.05])) * math.exp(random.normal(0, 0.08))
    light *= (lamp[..., None] * cast).astype(np.float32)
    scale = width / SMALL[0]
    light = np.asarray(cv2.GaussianBlur(light, (0, 0), shot.blur_px * scale), np.float32)
    if shot.shake_px:
        light = np.asarray(cv2.filter2D(light, -1, _smear(shot, scale)), np.float32)
    noise = random.standard_normal(light.shape, np.float32)
    light += noise * (0.003 + 0.02 * np.sqrt(np.maximum(light, 0))) * np.float32(0.5)
    levels = np.round(encoded(np.clip(light, 0, 1)) * 255).astype(np.uint8)
    return cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, 75])[1].tobytes()


def _smear(shot: Shot, scale: float) -> Light:
    """The straight path of a shaken hand, as a kernel of sum 1."""
    length = shot.shake_px * scale
    way = np.radians(np.random.default_rng(7000 + shot.seed).uniform(0, 180))
    middle = math.ceil(length / 2)
    reach = np.array([math.cos(way), math.sin(way)]) * length / 2
    start, end = (np.rint(middle + sign * reach).astype(int).tolist() for sign in (-1, 1))
    kernel = np.zeros((2 * middle + 1, 2 * middle + 1), np.float32)
    cv2.line(kernel, start, end, 1.0, 1, cv2.LINE_AA)
    return np.asarray(kernel / kernel.sum(), np.float32)


# --- reading them --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    shot: Shot
    refused: str | None
    repeat_errors: tuple[float, ...]  # of the directions in which the cloth has a pattern
    plain_right: bool  # in those in which it has none
    delta_e: float
    seconds: float  # of the processor: the machine may be busy
    lies: bool = False  # the cloth is not as large in the frame as it was taken for, unsaid

    @property
    def pattern_right(self) -> bool:
        return self.refused is None and all(abs(e) <= WITHIN for e in self.repeat_errors)


def read(shot: Shot) -> Reading:
    photo = taken(shot)
    draft, tile = tile_of(shot.cloth)
    start = time.process_time()
    try:
        cloth = from_photo(photo.data, photo.width_mm)
    except SwatchUnreadable as error:
        return Reading(shot, str(error), (), False, math.nan, time.process_time() - start)
    seconds = time.process_time() - start
    ground = LINEAR_OF_LEVEL[tile.levels][..., ::-1].mean(axis=(0, 1), dtype=np.float64)
    seen = cloth.tile.mean(axis=(0, 1), dtype=np.float64)
    delta_e = float(delta_e_2000(lab_of_linear(seen), lab_of_linear(ground)))
    plain = _plain_right(cloth, draft)
    lies = "scale-assumed" not in cloth.degraded and not _area_right(photo)
    return Reading(shot, None, _repeat_errors(cloth, draft), plain, delta_e, seconds, lies)


def _area_right(photo: Photo) -> bool:
    levels = np.asarray(cv2.imdecode(np.frombuffer(photo.data, np.uint8), 1), np.uint8)
    area = float(cloth_area(levels).mean()) / 255
    return abs(area / photo.share - 1) <= AREA_WITHIN


def _repeat_errors(cloth: Cloth, draft: Draft) -> tuple[float, ...]:
    return tuple(
        1.0 if cloth.repeat_cm[axis] is None else (cloth.repeat_cm[axis] or 0) * 10 / mm - 1
        for axis, mm in enumerate(draft.repeat_mm)
        if _shows(draft, axis)
    )


def _plain_right(cloth: Cloth, draft: Draft) -> bool:
    found = [(cloth.repeat_cm[axis], draft.repeat_mm[axis]) for axis in (0, 1)]
    plain = [pair for axis, pair in enumerate(found) if not _shows(draft, axis)]
    return all(cm is None or abs(cm * 10 / mm - 1) <= WITHIN for cm, mm in plain)


def _shows(draft: Draft, axis: int) -> bool:
    """Whether a cloth has a pattern along an axis that a person would point at."""
    match draft.pattern:
        case "stripe":
            return axis == 0
        case "check":
            return True
        case "texture":
            return draft.repeat_mm[axis] >= VISIBLE_MM
    return False


def blurred(shot: Shot) -> Shot:
    """The same photo out of focus."""
    random = np.random.default_rng(5000 + shot.seed)
    return replace(shot, blur_px=random.uniform(9, 25))


def shaken(shot: Shot) -> Shot:
    """The same photo by a hand that moved."""
    random = np.random.default_rng(6000 + shot.seed)
    return replace(shot, shake_px=random.uniform(25, 60))


def _scale_by_thing(taken_of: Sequence[Shot], code: str) -> tuple[int, int]:
    """Of swatches beside a thing of known size and of no told width: scaled by it, and right."""
    told = right = 0
    for shot in taken_of:
        photo = taken(shot)
        try:
            by_thing, by_width = (from_photo(photo.data, mm) for mm in (None, photo.width_mm))
        except SwatchUnreadable:
            continue
        told += code in by_thing.degraded
        near = abs(by_thing.px_per_cm / by_width.px_per_cm - 1) <= WITHIN
        right += near and code in by_thing.degraded
    return told, right


def beside_a_bank_card(count: int) -> list[Shot]:
    return [replace(shot, bank=True) for shot in shots(4 * count)[::4]]


def beside_a_ruler(count: int, kinds: Sequence[Ruler] = RULERS) -> list[Shot]:
    return [
        replace(shot, ruler=kinds[number % len(kinds)])
        for number, shot in enumerate(shots(4 * count)[2::4])
    ]


def summary(readings: Sequence[Reading]) -> str:
    read_ = [r for r in readings if r.refused is None]
    patterned = [r for r in readings if patterned_cloth(r.shot.cloth)]
    right = sum(r.pattern_right for r in patterned)
    both = sum(r.pattern_right and r.plain_right for r in readings)
    ground = [r.delta_e for r in read_]
    return (
        f"{len(readings)} | {len(readings) - len(read_)} | {_share(right, len(patterned))}"
        f" | {_share(both, len(readings))}"
        f" | {median(ground):.1f} | {np.percentile(ground, 90):.1f} | {sum(r.lies for r in read_)}"
    )


def patterned_cloth(cloth: Path) -> bool:
    return any(_shows(tile_of(cloth)[0], axis) for axis in (0, 1))


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({part / max(1, whole):.0%})"


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else PHOTOS
    readings = [read(shot) for shot in shots(count)]
    print(
        "| photos | taken | refused | pattern right | all right | ground ΔE2000, median | p90"
        " | wrong and unsaid |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, chosen in (
        ("swatch with grey card", [r for r in readings if r.shot.card]),
        ("swatch on a table", [r for r in readings if not r.shot.close and not r.shot.card]),
        ("close-up", [r for r in readings if r.shot.close]),
        ("all", readings),
    ):
        print(f"| {name} | {summary(chosen)} |")
    print(f"\nProcessor time, 1600 x 1200: {median(r.seconds for r in readings):.2f} s a photo.")
    for name, spoil in (("Out of focus", blurred), ("Shaken", shaken)):
        spoilt = [read(spoil(shot)) for shot in shots(count // 4)]
        refused = sum(r.refused is not None for r in spoilt)
        print(f"{name}: {_share(refused, len(spoilt))} refused.")
    for name, code, beside in (
        ("Bank card", "scale-by-card", beside_a_bank_card(count // 8)),
        ("Ruler", "scale-by-ruler", beside_a_ruler(count // 8)),
        ("Inches", "scale-by-ruler", beside_a_ruler(count // 24, [INCHES])),
    ):
        told, right = _scale_by_thing(beside, code)
        print(f"{name}, no width told: {_share(told, len(beside))} by it, {right} within 5 %.")
    large = [read(replace(shot, size=LARGE)).seconds for shot in shots(4)]
    print(f"12 megapixels: {median(large):.2f} s a photo, the slowest {max(large):.2f} s.")


if __name__ == "__main__":
    main()
