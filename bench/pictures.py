"""The pictures in README.md, made by the drape engine: python -m bench.pictures [FOLDER]."""

import sys
from pathlib import Path

import cv2

from bench.drape import LOOKS, letter_for
from models.settings import ROOT
from worker.engines.drape import DrapeEngine
from worker.looks import load_look
from worker.watermark import Watermark
from worker.weave import load_draft, weave

PICTURES = (("recto", "worsted-pinstripe-navy"), ("cruzado", "worsted-glen-burgundy"))
SIZE_PX = (683, 1024)


def main(folder: Path) -> None:
    engine = DrapeEngine(LOOKS)
    engine.setup()
    for cut, cloth in PICTURES:
        tile = weave(load_draft(ROOT / "assets" / "cloth" / f"{cloth}.toml"))
        letter = letter_for(load_look(LOOKS / cut)).model_copy(
            update={
                "swatch_key": cloth,
                "swatch_sha256": cloth,
                "swatch_kind": "tile",
                "swatch_width_mm": tile.width_mm,
            }
        )
        picture = engine.render(letter, tile.png(), lambda share: None).picture
        marked = Watermark(None).apply(picture)
        small = cv2.resize(marked, SIZE_PX, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / f"{cut}.jpg"), small, [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs")
