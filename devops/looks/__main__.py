"""Build look packs: `python -m devops.looks [STYLE ...]`; or a picture: `... STYLE --look FILE`."""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np

from devops.looks.body import Body
from devops.looks.garment import garment
from devops.looks.pack import pictures, toned, write_pack
from devops.looks.size_table import load_size
from devops.looks.studio import CLOTH_ALBEDO, VIEW_HEIGHT_CM, Frame, rendered
from devops.looks.style import Cut, load_style

HERE = Path(__file__).parent
STYLES = sorted(path.stem for path in (HERE / "styles").glob("*.toml"))


def build(name: str, folder: Path, frame: Frame) -> None:
    """Render the three passes of a style and write its pack."""
    start = time.monotonic()
    cut = _cut(name)
    pieces = garment(cut)
    white, black = (rendered(pieces, kind, frame) for kind in ("white", "black"))
    data = rendered(pieces, "data", Frame(2 * frame.width, 2 * frame.height, 1))
    images = pictures(white, black, data, CLOTH_ALBEDO["white"])
    write_pack(folder / name, cut.style, images, frame.height / VIEW_HEIGHT_CM)
    print(f"{folder / name}: {time.monotonic() - start:.0f} s", flush=True)


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
    parser.add_argument("--samples", type=int, default=6, help="per pixel of a beauty pass")
    parser.add_argument("--look", type=Path, help="render a PNG in grey instead of a pack")
    parser.add_argument("--part", type=_part, help="of it: left,top,right,bottom from 0 to 1")
    asked = parser.parse_args()
    frame = Frame(asked.width, asked.width * 3 // 2, asked.samples, asked.part)
    if unknown := set(asked.styles) - set(STYLES):
        parser.error(f"no style {', '.join(sorted(unknown))}")
    for name in asked.styles or STYLES:
        if asked.look:
            look(name, asked.look, frame)
        else:
            build(name, asked.out, frame)


if __name__ == "__main__":
    main()
