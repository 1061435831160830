"""Seconds per woven tile, and a contact sheet of every cloth at 1:1.

python -m bench.weave [sheet.png]
"""

import sys
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.weave import WovenTile, load_draft, weave

CLOTHS = Path(__file__).parent.parent / "assets" / "cloth"
CROP_PX = 320
PER_ROW = 4


def labelled(name: str, tile: WovenTile) -> NDArray[np.uint8]:
    rows, columns = (np.arange(CROP_PX) % n for n in tile.levels.shape[:2])
    crop = np.pad(tile.levels[rows][:, columns, ::-1], ((22, 6), (3, 3), (0, 0)))
    text = f"{name} {tile.mean_hex()}"
    return np.asarray(
        cv2.putText(crop, text, (4, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255)), np.uint8
    )


def main() -> None:
    crops, seconds = [], []
    for path in sorted(CLOTHS.glob("*.toml")):
        draft = load_draft(path)
        start = time.perf_counter()
        tile = weave(draft)
        seconds.append(time.perf_counter() - start)
        height, width = tile.levels.shape[:2]
        print(f"{path.stem:34} {seconds[-1] * 1000:6.0f} ms  {width} x {height} px")
        crops.append(labelled(path.stem, tile))
    print(f"{len(seconds)} cloths, {sum(seconds):.2f} s, slowest {max(seconds) * 1000:.0f} ms")
    if len(sys.argv) > 1:
        crops += [np.zeros_like(crops[0])] * (-len(crops) % PER_ROW)
        rows = [np.hstack(crops[i : i + PER_ROW]) for i in range(0, len(crops), PER_ROW)]
        cv2.imwrite(sys.argv[1], np.vstack(rows))


if __name__ == "__main__":
    main()
