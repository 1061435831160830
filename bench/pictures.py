"""The pictures in README.md, made by the drape engine: python -m bench.pictures [FOLDER].

Beside them the contact sheet of every cloth on every look; `--thumbnails` makes the sales floor's.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from bench.drape import LOOKS
from models.settings import ROOT
from worker.cloth import Cloth, from_tile
from worker.engines import Picture
from worker.engines.drape import DrapeEngine, bolt_of, form_of
from worker.looks import Look, load_look
from worker.watermark import Watermark
from worker.weave import load_draft, weave

CLOTHS = ROOT / "assets" / "cloth"
THUMBNAILS = ROOT / "api" / "pages" / "static" / "looks"
PICTURES = (("recto", "worsted-pinstripe-navy"), ("cruzado", "worsted-glen-burgundy"))
THUMBNAIL_CLOTH = "flannel-pearl-grey"
SIZE_PX = (683, 1024)
THUMBNAIL_PX = (640, 960)
SHEET_PX = (136, 204)
SHEET_COLUMNS = 12
CAPTION_PX = 14


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.pictures", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "docs")
    parser.add_argument("--thumbnails", action="store_true", help="of the looks, for the page")
    asked = parser.parse_args()
    if asked.thumbnails:
        return write_thumbnails(THUMBNAILS)
    for cut, stem in PICTURES:
        marked = Watermark(None).apply(dressed(load_look(LOOKS / cut), cloth_named(stem)))
        _write(asked.folder / f"{cut}.jpg", _small(marked, SIZE_PX), cv2.IMWRITE_JPEG_QUALITY, 88)
    sheet = contact_sheet(looks(), sorted(path.stem for path in CLOTHS.glob("*.toml")))
    return _write(asked.folder / "contact-sheet.jpg", sheet, cv2.IMWRITE_JPEG_QUALITY, 82)


def looks() -> list[Look]:
    return [load_look(path.parent) for path in sorted(LOOKS.glob("*/look.json"))]


def cloth_named(stem: str) -> Cloth:
    tile = weave(load_draft(CLOTHS / f"{stem}.toml"))
    return from_tile(tile.png(), tile.width_mm)


def dressed(look: Look, cloth: Cloth) -> Picture:
    engine = DrapeEngine(LOOKS)
    return engine.dress(form_of(look), bolt_of(cloth, look.px_per_cm))


def contact_sheet(looks: Sequence[Look], stems: Sequence[str]) -> Picture:
    """Every cloth on every look: the looks of a cloth side by side, its name below."""
    engine = DrapeEngine(LOOKS)
    forms = [form_of(look) for look in looks]
    groups = []
    for stem in stems:
        cloth = cloth_named(stem)
        worn = [engine.dress(form, bolt_of(cloth, form.look.px_per_cm)) for form in forms]
        groups.append(_captioned(np.hstack([_small(picture, SHEET_PX) for picture in worn]), stem))
    across = max(1, SHEET_COLUMNS // len(looks))
    blank = np.full_like(groups[0], 255)
    groups += [blank] * (-len(groups) % across)
    rows = [np.hstack(groups[k : k + across]) for k in range(0, len(groups), across)]
    return np.vstack(rows)


def write_thumbnails(folder: Path) -> None:
    """One WebP a look, all in one cloth that shows their drawing."""
    cloth = cloth_named(THUMBNAIL_CLOTH)
    for look in looks():
        small = _small(dressed(look, cloth), THUMBNAIL_PX)
        _write(folder / f"{look.name}.webp", small, cv2.IMWRITE_WEBP_QUALITY, 82)


def _small(picture: Picture, size_px: tuple[int, int]) -> Picture:
    return np.asarray(cv2.resize(picture, size_px, interpolation=cv2.INTER_AREA), np.uint8)


def _captioned(picture: Picture, text: str) -> Picture:
    strip = np.full((CAPTION_PX, picture.shape[1], 3), 255, np.uint8)
    cv2.putText(strip, text, (4, 10), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (60, 60, 60), 1, cv2.LINE_AA)
    return np.vstack([picture, strip])


def _write(path: Path, picture: Picture, option: int, quality: int) -> None:
    cv2.imwrite(str(path), picture, [option, quality])
    print(
        f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}: {path.stat().st_size} B"
    )


if __name__ == "__main__":
    main()
