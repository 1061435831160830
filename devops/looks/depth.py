"""The depth map of a look, from a pass of disparity: maps/depth.png, beside the pack.

In the form that depth ControlNets were trained on, which is MiDaS's as controlnet-aux writes it: 8
bits, linear in disparity (1 / distance), near is white, normalised over the picture. MiDaS knows
disparity up to a scale and a shift only (Ranftl et al. 2020, arXiv 1907.01341), so the backdrop may
be moved: the studio's stands a metre behind and would take three quarters of the range. Here it
stands just behind the figure, at 0, and the figure is left FARTHEST to 255. The hundredth of it
that turns away most would take half of that: it is cut off, as ZoeDepth's annotator does.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]

SAMPLES = 4  # each way in a pixel: the silhouette has 16 shades
FARTHEST = 64  # level of the figure's farthest hundredth, a quarter off the backdrop's 0
CUT_OFF_PERCENT = 1
OFF_MOST = 1e-4  # share of the pixels that may be cloth here and none in the pack, or the reverse


class OtherGeometry(Exception):
    """The pack was made of another garment, pose or camera than its style now gives."""


@dataclass(frozen=True, eq=False)
class Depth:
    """`levels` (height, width) uint8; distances of 255 and FARTHEST from the camera's plane."""

    levels: NDArray[np.uint8]
    nearest_cm: float
    farthest_cm: float


def depth_of(disparity: Image) -> Depth:
    """Of a pass (height, width, 3): 1 / cm, figure or not, cloth or not; means over each pixel."""
    per_cm, figure = disparity[..., 0], disparity[..., 1]
    whole = per_cm[figure > 0.999]
    far, near = float(np.percentile(whole, CUT_OFF_PERCENT)), float(whole.max())
    beyond = (per_cm - figure * far) * ((255 - FARTHEST) / (near - far))
    levels = figure * FARTHEST + np.maximum(beyond, 0)
    return Depth(np.rint(levels.clip(0, 255)).astype(np.uint8), 1 / near, 1 / far)


def write_depth(folder: Path, disparity: Image, maker: str) -> Depth:
    """Store the depth beside the pack's pictures, which stay as they are. Raises OtherGeometry."""
    alpha = cv2.imread(str(folder / "alpha.png"), cv2.IMREAD_GRAYSCALE)
    if alpha is None:
        raise FileNotFoundError(folder / "alpha.png")
    _refuse_other_geometry(folder, disparity[..., 2], alpha / np.float32(255))
    depth = depth_of(disparity)
    maps = folder / "maps"
    maps.mkdir(exist_ok=True)
    _, data = cv2.imencode(".png", depth.levels, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    (maps / "depth.png").write_bytes(data.tobytes())
    entry = {
        "look_version": json.loads((folder / "look.json").read_text(encoding="utf-8"))["version"],
        "maker": maker,
        "nearest_cm": round(depth.nearest_cm, 1),
        "farthest_cm": round(depth.farthest_cm, 1),
    }
    _note(maps / "maps.json", {"depth": entry})
    return depth


def _refuse_other_geometry(folder: Path, cloth: Image, alpha: Image) -> None:
    off = float((np.abs(cloth - alpha) > 0.5).mean()) if cloth.shape == alpha.shape else 1.0
    if off > OFF_MOST:
        raise OtherGeometry(f"{folder}: cloth lies elsewhere in {off:.2%} of the pack's pixels")


def _note(path: Path, entry: dict[str, Any]) -> None:
    """Beside what maps.json tells of the other maps."""
    about = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    text = json.dumps(about | entry, indent=1, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")
