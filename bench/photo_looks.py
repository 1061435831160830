"""Looks made of photographs whose cloth and light are known, and how true they are to both.

    python -m bench.photo_looks [FOLDER]      with a folder: pictures of every look in three cloths

Each photo is a shipped look in a known cloth, taken with a lens that vignettes and blurs a little,
sensor noise and JPEG 88; it is marked as a careful person would, from the pack's own panels. The
photo's light is then known, pixel by pixel, and so is where stripes must run.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.drape import LOOKS
from bench.pictures import cloth_named, dressed
from worker.cloth import Cloth, from_hex
from worker.colour import LINEAR_OF_LEVEL, encoded
from worker.engines import Picture
from worker.looks import Look, load_look
from worker.photo_look.blur import blurred
from worker.photo_look.pack import photo_look, write_pack
from worker.photo_look.plan import plan_of
from worker.truth import expected_of, stage_of

Array = NDArray[np.float32]

SOURCES: Mapping[str, str] = {  # what was worn in the photo: a draft, or a plain colour
    "light": "linen-plain-sand",
    "dark": "worsted-twill-navy",
    "black": "#121214",
    "pinstripe": "worsted-pinstripe-navy",
    "chalk-stripe": "flannel-chalk-stripe-oxford",
    "glen": "worsted-glen-burgundy",
    "windowpane": "flannel-windowpane-cobalt",
    "herringbone": "tweed-herringbone-moor",
}
WORN = ("worsted-pinstripe-navy", "flannel-windowpane-cobalt", "flannel-pearl-grey")
VIGNETTE = 0.12  # of the light, lost in the corners
BLUR_PX = 0.5
SHOT_NOISE, READ_NOISE = 2e-4, 1e-6  # variance per unit of linear light, and in the dark
JPEG_QUALITY = 88
BAND_CM = 0.4  # beside a grain line whose points are read off the pack
GRAIN_POINTS = 5
PIECE_MIN_PX = 150
SHOWN_MIN_PX = 1000  # a smaller panel says little of its grain
FLAT_SHARE = 0.2  # of a panel, facing us
FACING = 1.06  # cloth seen at no more than so much of its width faces us
SLOW_CM = 2.0  # sigma: slower changes of light are no trace of a pattern


@dataclass(frozen=True, eq=False)
class Photo:
    levels: Picture
    falloff: Array  # (height, width): the lens's share of the light
    mask: NDArray[np.uint8]
    plan: dict[str, Any]  # the contents of panels.json


def photographed(look: Look, cloth: Cloth, seed: int = 1) -> Photo:
    """A photo of a look in a cloth; the same seed takes the same photo."""
    random = np.random.default_rng(seed)
    falloff = _vignette(look.height_px, look.width_px)
    light = LINEAR_OF_LEVEL[dressed(look, cloth)] * falloff[..., None]
    light = np.asarray(cv2.GaussianBlur(light, (0, 0), BLUR_PX), np.float32)
    noise = random.standard_normal(light.shape, np.float32)
    light = np.clip(light + noise * np.sqrt(SHOT_NOISE * light + READ_NOISE), 0, 1)
    levels = np.rint(encoded(light) * 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    taken = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return Photo(taken, falloff, _mask(look.alpha), marked(look))


def _mask(alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A pixel beyond the cloth, as the docs ask for, but not over a narrow gap."""
    square = np.ones((3, 3), np.uint8)
    grown = np.asarray(cv2.dilate(alpha, square), np.uint8)
    beside = cv2.dilate((grown == 0).astype(np.uint8), square) > 0
    return np.where((alpha > 0) | beside, grown, 0).astype(np.uint8)


def _vignette(height: int, width: int) -> Array:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    away = np.hypot(2 * x / width - 1, 2 * y / height - 1)
    return np.asarray(1 - VIGNETTE * away**2 / 2, np.float32)


# --- marks ---------------------------------------------------------------------------------------

SHARED = {"rside": "rf", "rpk": "rf", "lside": "lf", "lpk": "lf", "welt": "lf"}


def marked(look: Look) -> dict[str, Any]:
    """panels.json as a careful person marks it: outlines to 1.5 px, grain lines of a few points."""
    panels = [
        panel for number, key in look.panel_keys.items() for panel in _pieces(look, number, key)
    ]
    panels.sort(key=lambda panel: -float(panel.pop("area")))  # pockets lie over fronts
    front = next(number for number, key in look.panel_keys.items() if key == "lf")
    chest, length_mm = _grain(look, front, below=60)  # not over the shoulder, which leans back
    return {
        "format_version": 1,
        "size_px": [look.width_px, look.height_px],
        "scale": {"from": chest[0], "to": chest[-1], "length_mm": length_mm},
        "panels": panels,
    }


def _pieces(look: Look, number: int, key: str) -> list[dict[str, Any]]:
    """A panel as it shows: an arm may part it in two, which share its grain line."""
    shown = (look.panels == number).astype(np.uint8)
    outlines, _ = cv2.findContours(shown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    large = [outline for outline in outlines if cv2.contourArea(outline) > PIECE_MIN_PX]
    large.sort(key=cv2.contourArea, reverse=True)
    pieces: list[dict[str, Any]] = []
    for place, outline in enumerate(large):
        corners = cv2.approxPolyDP(outline, 1.5, True)[:, 0].tolist()
        grain = SHARED.get(key) or (key if place else _grain(look, number)[0])
        name = f"{key}{place + 1}" if place else key
        area = cv2.contourArea(outline)
        pieces.append({"key": name, "outline": corners, "grain": grain, "area": area})
    return pieces


def _grain(look: Look, number: int, below: float = 98) -> tuple[list[list[float]], float]:
    """A line of even u where the panel faces us, from the top or, in per cent of the panel, from
    below it; and how long it is in mm."""
    where = np.flatnonzero(look.panels.ravel()[look.at] == number)
    u, v, u_dx, u_dy = (rows.ravel()[where] for rows in (look.u, look.v, look.u_dx, look.u_dy))
    facing = np.hypot(u_dx, u_dy) * look.px_per_cm < 1.1
    middle = float(np.median(u[facing] if facing.any() else u))
    on = np.abs(u - middle) < BAND_CM
    y, x = np.divmod(look.at[where][on], look.width_px)
    low, high = np.percentile(v[on], (2, below))
    points = []
    is_long = high - low > np.ptp(u)  # on a wide, short collar two points make the better line
    for level in np.linspace(high, low, GRAIN_POINTS if is_long else 2):
        near = np.argsort(np.abs(v[on] - level))[:12]
        points.append([round(float(x[near].mean()), 1), round(float(y[near].mean()), 1)])
    return points, round(float(high - low) * 10, 1)


# --- how true -------------------------------------------------------------------------------------


@cache
def source_cloth(name: str) -> Cloth:
    stem = SOURCES[name]
    return from_hex(stem) if stem.startswith("#") else cloth_named(stem)


def made(look: Look, photo: Photo, folder: Path) -> Look:
    """The look pack of a photo, written and read back."""
    size_px = (look.width_px, look.height_px)
    plan = plan_of(photo.plan, size_px)
    pack = photo_look(photo.levels, photo.mask, plan, name=folder.name, name_es=folder.name)
    write_pack(folder, pack)
    return load_look(folder)


def picture_of(look: Look, rows: NDArray[np.float32]) -> Array:
    """Rows of cloth pixels back in the picture, 0 elsewhere."""
    values = np.zeros(look.panels.shape, np.float32)
    values.ravel()[look.at] = rows.ravel()[: len(look.at)]
    return values


def compared(look: Look) -> NDArray[np.bool_]:
    """Where light is compared: whole cloth, off the rim."""
    inside = cv2.erode((look.alpha == 255).astype(np.uint8), np.ones((7, 7), np.uint8))
    return np.asarray(inside, bool)


def light_error(known: Look, photo: Photo, found: Look) -> tuple[float, float]:
    """Root mean square of the light's error, as a share of full light, and the correlation."""
    where = compared(known) & (found.alpha == 255)
    true = (picture_of(known, known.light) * photo.falloff)[where]
    light = picture_of(found, found.light)[where]
    off = light * np.median(true / np.maximum(light, 0.01)) - true
    return float(np.sqrt((off**2).mean())), float(np.corrcoef(light, true)[0, 1])


def pattern_left(known: Look, cloth: Cloth, picture: Array) -> float:
    """The strongest trace of a cloth's waves in a picture of light (height, width), beyond what
    folds have of such waves in the known light: half amplitude over mean, panel by panel."""
    waves = expected_of(stage_of(known), cloth).waves
    folds = _traces(known, waves, picture_of(known, known.light))
    return float(max([0.0, *(_traces(known, waves, picture) - folds).ravel()]))


def _traces(known: Look, waves: NDArray[np.float64], picture: Array) -> NDArray[np.float64]:
    """(panels, waves): half amplitudes over mean where the known look says that the cloth lay."""
    there = compared(known).astype(np.float32)
    slow_px = SLOW_CM * known.px_per_cm
    slow = blurred(picture, there, (slow_px, slow_px))
    detail = picture / np.maximum(slow, 1e-6) - 1
    u, v = picture_of(known, known.u), picture_of(known, known.v)
    found = []
    for panel in np.argsort(np.bincount(known.panels.ravel())[1:])[::-1][:3] + 1:
        on = (known.panels == panel) & (there > 0)
        turns = (np.exp(-2j * np.pi * (x * u[on] + y * v[on])) for x, y in waves)
        found.append([2 * abs(complex((detail[on] * turn).mean())) for turn in turns])
    return np.array(found)


def grain_errors(known: Look, found: Look) -> dict[str, tuple[float, float | None]]:
    """By panel: how far the found grain is turned from the known one, in degrees; and how much
    larger a stripe's pitch is than it should be where the panel faces us, if it does. Medians."""
    there = compared(known)
    (u_dx, u_dy), (x, y) = (
        (picture_of(look, look.u_dx), picture_of(look, look.u_dy)) for look in (known, found)
    )
    errors = {}
    for number, key in known.panel_keys.items():
        on = (known.panels == number) & there
        if on.sum() < SHOWN_MIN_PX:
            continue
        turn = np.degrees(np.arctan2(y[on], x[on]) - np.arctan2(u_dy[on], u_dx[on]))
        step = np.hypot(u_dx[on], u_dy[on])
        pitch = (step / np.maximum(np.hypot(x[on], y[on]), 1e-6))[step * known.px_per_cm < FACING]
        is_flat = len(pitch) > FLAT_SHARE * on.sum()
        errors[key] = float(np.median(turn)), float(np.median(pitch)) - 1 if is_flat else None
    return errors


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.photo_looks", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="for pictures of every look made")
    parser.add_argument("--look", default="recto")
    parser.add_argument("--source", choices=sorted(SOURCES), action="append")
    asked = parser.parse_args()
    known = load_look(LOOKS / asked.look)
    print(
        "| photo of | seconds | light off by | alike | pattern in photo | in the light | limits |"
    )
    print("|---|---|---|---|---|---|---|")
    for name in asked.source or SOURCES:
        with tempfile.TemporaryDirectory() as aside:
            found = reported(known, name, Path(aside) / name)
            if asked.folder:
                shown(found, known, name, asked.folder)
    for key, (turn, pitch) in grain_errors(known, found).items():
        print(f"{key}: grain {turn:+.1f}°" + ("" if pitch is None else f", pitch {pitch:+.1%}"))


def reported(known: Look, name: str, folder: Path) -> Look:
    """Make one look of a photo and print a line on it."""
    cloth = source_cloth(name)
    photo = photographed(known, cloth)
    started = time.perf_counter()
    found = made(known, photo, folder)
    seconds = time.perf_counter() - started
    off, alike = light_error(known, photo, found)
    grey = LINEAR_OF_LEVEL[photo.levels].mean(axis=2)
    before = pattern_left(known, cloth, grey)
    after = pattern_left(known, cloth, picture_of(found, found.light))
    about = json.loads((folder / "look.json").read_text(encoding="utf-8"))["photo"]
    limits = ", ".join(about["limits"]) or "none"
    print(
        f"| {name} | {seconds:.1f} | {off:.1%} | {alike:.3f} | {before:.2%} | {after:.2%}"
        f" | {limits}, blur {about['blur_cm']} cm |",
        flush=True,
    )
    return found


def shown(found: Look, known: Look, name: str, folder: Path) -> None:
    """The photo, its light, and the look in other cloths, as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    light = np.minimum(picture_of(found, found.light) / 1.6, 1)
    cv2.imwrite(str(folder / f"{name}-light.png"), np.rint(encoded(light) * 255).astype(np.uint8))
    cv2.imwrite(str(folder / f"{name}-photo.png"), photographed(known, source_cloth(name)).levels)
    for stem in WORN:
        cv2.imwrite(str(folder / f"{name}-in-{stem}.png"), dressed(found, cloth_named(stem)))


if __name__ == "__main__":
    main()
