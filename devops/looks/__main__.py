"""Build look packs and their depth maps: `python -m devops.looks [STYLE ...]`.

`--depth` adds the depth alone to packs that are there; `STYLE --look FILE` renders a picture.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from devops.looks.body import Body
from devops.looks.depth import SAMPLES, OtherGeometry, write_depth
from devops.looks.garment import garment
from devops.looks.pack import pictures, toned, write_pack
from devops.looks.piece import Piece
from devops.looks.size_table import load_size
from devops.looks.studio import (
    BOUNCE,
    CLOTH_ALBEDO,
    RENDERER,
    VIEW_HEIGHT_CM,
    Frame,
    Image,
    Pass,
    rendered,
)
from devops.looks.style import Cut, load_style

HERE = Path(__file__).parent
FIGURE = (0.125, 0.109375, 0.875, 1.0)  # left, top, right, bottom: what is more than backdrop
FEATHER = 0.029  # of the picture's width: the figure's picture fades into the backdrop's
STYLES = sorted(path.stem for path in (HERE / "styles").glob("*.toml"))


def build(name: str, folder: Path, frame: Frame) -> None:
    """Render the passes of a style and write its pack and depth."""
    start = time.monotonic()
    cut = _cut(name)
    pieces = garment(cut)
    white, black = _beauty(pieces, frame)
    data = _measured(pieces, "data", frame, 2)
    images = pictures(white, black, data, albedo=CLOTH_ALBEDO["white"], bounce=BOUNCE)
    write_pack(folder / name, cut.style, images, frame.height / VIEW_HEIGHT_CM)
    _add_depth(pieces, folder / name, frame)
    print(f"{folder / name}: {time.monotonic() - start:.0f} s", flush=True)


def build_depth(name: str, folder: Path) -> None:
    """The depth of a pack that is there, of its own size. Raises OtherGeometry."""
    about = json.loads((folder / name / "look.json").read_text(encoding="utf-8"))
    width, height = about["size_px"]
    _add_depth(garment(_cut(name)), folder / name, Frame(width, height, 1))


def _add_depth(pieces: list[Piece], folder: Path, frame: Frame) -> None:
    fine = _measured(pieces, "disparity", frame, SAMPLES)
    mean = cv2.resize(fine, (frame.width, frame.height), interpolation=cv2.INTER_AREA)
    depth = write_depth(folder, np.asarray(mean, np.float32), RENDERER)
    print(f"{folder}: {depth.nearest_cm:.1f} to {depth.farthest_cm:.1f} cm away", flush=True)


def _measured(pieces: list[Piece], kind: Pass, frame: Frame, times: int) -> Image:
    """A pass of numbers, so many times as large."""
    large = Frame(times * frame.width, times * frame.height, 1)
    numbers = np.zeros((large.height, large.width, 3), np.float32)
    numbers[_part_of(large)] = _figure(pieces, kind, large)
    return numbers


def _beauty(pieces: list[Piece], frame: Frame) -> tuple[Image, Image]:
    """The white and the black pass; beside the figure both are the room, rendered small."""
    small = Frame(frame.width // 4, frame.height // 4, 2 * frame.samples)
    size = (frame.width, frame.height)
    room = cv2.resize(rendered(pieces, "room", small), size, interpolation=cv2.INTER_CUBIC)
    black, light = room.astype(np.float32), np.zeros_like(room, np.float32)
    dark = _figure(pieces, "black", frame)
    bright = _figure(pieces, "white", frame)
    inside, share = _part_of(frame), _feather(dark.shape, FEATHER * frame.width)
    black[inside] += share * (dark - black[inside])
    light[inside] = share * (bright - dark)
    return black + light, black


def _figure(pieces: list[Piece], kind: Pass, frame: Frame) -> Image:
    return rendered(pieces, kind, Frame(frame.width, frame.height, frame.samples, FIGURE))


def _part_of(frame: Frame) -> tuple[slice, slice]:
    left, top, right, bottom = FIGURE
    return (
        slice(round(top * frame.height), round(bottom * frame.height)),
        slice(round(left * frame.width), round(right * frame.width)),
    )


def _feather(shape: tuple[int, ...], wide_px: float) -> Image:
    """(height, width, 1): 0 at the part's borders to 1 inside; its lower one is the picture's."""
    height, width = shape[:2]
    x = np.minimum(np.arange(width), np.arange(width)[::-1]) / wide_px
    y = np.arange(height) / wide_px
    share = np.minimum(np.minimum(x[None], y[:, None]), 1)
    return np.asarray((share * share * (3 - 2 * share))[..., None], np.float32)


def look(name: str, file: Path, frame: Frame) -> None:
    """A picture in grey cloth, to judge a drawing by."""
    image = rendered(garment(_cut(name)), "grey", frame)
    cv2.imwrite(str(file), np.rint(toned(image * 0.92)[..., ::-1] * 255).astype(np.uint8))


def _cut(name: str) -> Cut:
    size = load_size(HERE / "sizes" / "50.toml")
    return Cut(Body(size), load_style(HERE / "styles" / f"{name}.toml"))


def _part(text: str) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(share) for share in text.split(","))
    return left, top, right, bottom


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m devops.looks", description=__doc__)
    parser.add_argument("styles", nargs="*", metavar="STYLE", help=f"of {', '.join(STYLES)}")
    parser.add_argument("--out", type=Path, default=HERE.parents[1] / "assets" / "looks")
    parser.add_argument("--width", type=int, default=1024, help="the height is half as much again")
    parser.add_argument("--samples", type=int, default=3, help="per pixel of a beauty pass")
    parser.add_argument("--depth", action="store_true", help="only add the depth to packs there")
    parser.add_argument("--look", type=Path, help="render a PNG in grey instead of a pack")
    parser.add_argument("--part", type=_part, help="of it: left,top,right,bottom from 0 to 1")
    asked = parser.parse_args()
    frame = Frame(asked.width, asked.width * 3 // 2, asked.samples, asked.part)
    if unknown := set(asked.styles) - set(STYLES):
        parser.error(f"no style {', '.join(sorted(unknown))}")
    for name in asked.styles or STYLES:
        if asked.look:
            look(name, asked.look, frame)
        elif asked.depth:
            build_depth(name, asked.out)
        else:
            build(name, asked.out, frame)


if __name__ == "__main__":
    try:
        main()
    except OtherGeometry as error:
        sys.exit(str(error))
