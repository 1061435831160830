"""Control maps of a look: its edges and its depth, made once and kept beside the pack.

    python -m worker.engines.sdxl_maps edges [LOOK ...]      with controlnet-aux, no weights needed
    make looks LOOKS="--depth [LOOK ...]"                    from the renderer that made the look
    python -m worker.engines.sdxl_maps depth LOOK FILE       from any estimator; near is white

Edges are found on the look in plain grey cloth, so that no thread is taken for a seam. Kept as
<pack>/maps/<name>.png; the pack's own version, which covers its top folder only, does not change.
A photograph tells no depth, and what was uploaded has only what came with it: see maps_of().
"""

import argparse
import json
import sys
import warnings
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidInput, LookUnavailable, StylistError
from models.settings import ROOT
from worker.cloth import Cloth
from worker.engines import Picture
from worker.engines.drape import DrapeEngine, bolt_of, form_of
from worker.looks import Look, load_look, own_depth

LOOKS = ROOT / "assets" / "looks"
CANNY_LEVELS = (40, 110)  # low and high threshold on the grey look: seams and folds, not shading
WAYS = {  # to make a map of the look {}
    "edges": "python -m worker.engines.sdxl_maps edges {0}",
    "depth": 'make looks LOOKS="--depth {0}", or python -m worker.engines.sdxl_maps depth {0} FILE',
}
GREY = 0.22  # linear light of the plain cloth: mid-grey, folds and seams both show

Map = NDArray[np.uint8]  # (height, width) of the look's picture


def load_maps(folder: Path, look_version: str, names: Iterable[str]) -> dict[str, Map]:
    """The stored maps of a look by name. Raises LookUnavailable when one is missing or stale."""
    maps = {}
    about = _about(folder)
    for name in names:
        image = cv2.imread(str(_path(folder, name)), cv2.IMREAD_GRAYSCALE)
        if image is None or about.get(name, {}).get("look_version") != look_version:
            raise LookUnavailable(
                f"{_path(folder, name)} is missing or was made for another version of the look: "
                + WAYS[name].format(folder.name)
            )
        maps[name] = np.asarray(image, np.uint8)
    return maps


def maps_of(folder: Path, look: Look, names: Sequence[str]) -> dict[str, Map]:
    """The maps by name of a look of the house: all of them, and of a look made of a photo those
    that are stored. Raises LookUnavailable."""
    if "depth" not in _about(folder) and _is_of_a_photo(folder):
        names = [name for name in names if name != "depth"]
    return load_maps(folder, look.version, names)


def maps_of_upload(folder: Path, look: Look, names: Sequence[str]) -> dict[str, Map]:
    """The maps by name of a look that was uploaded: its edges are found here, and its depth is the
    one that it brought, or none. Raises InvalidInput."""
    depth = own_depth(folder, look) if "depth" in names else None
    found = {} if depth is None else {"depth": depth}
    return found | ({"edges": edges_of(look)} if "edges" in names else {})


def _is_of_a_photo(folder: Path) -> bool:
    return "photo" in json.loads((folder / "look.json").read_text(encoding="utf-8"))


def edges_of(look: Look) -> Map:
    """The edges of a look in plain grey cloth, as `make_edges` finds them."""
    rgb = cv2.cvtColor(in_plain_cloth(look), cv2.COLOR_BGR2RGB)
    return np.asarray(cv2.Canny(rgb, *CANNY_LEVELS), np.uint8)


def make_edges(folder: Path) -> Map:
    """Find the edges of a look and store them: white lines on black."""
    look = load_look(folder)
    with warnings.catch_warnings():  # detectors that are not used here complain on import
        warnings.simplefilter("ignore")
        from controlnet_aux import CannyDetector
    rgb = cv2.cvtColor(in_plain_cloth(look), cv2.COLOR_BGR2RGB)
    low, high = CANNY_LEVELS
    found = CannyDetector()(
        rgb,
        low_threshold=low,
        high_threshold=high,
        detect_resolution=min(rgb.shape[:2]),
        image_resolution=min(rgb.shape[:2]),
        output_type="np",
    )
    edges = np.asarray(cv2.resize(found[..., 0], (look.width_px, look.height_px)), np.uint8)
    maker = {"maker": f"controlnet-aux {version('controlnet-aux')} Canny", "levels": [low, high]}
    _store(folder, "edges", edges, look, maker)
    return edges


def import_depth(folder: Path, source: Path) -> Map:
    """Store a depth picture of the look. Raises InvalidInput when it does not fit."""
    look = load_look(folder)
    image = cv2.imread(str(source), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    if image is None or image.shape != (look.height_px, look.width_px):
        raise InvalidInput(f"{source} is no {look.width_px} x {look.height_px} depth picture")
    far, near = float(image.min()), float(image.max())
    if far == near:
        raise InvalidInput(f"{source} shows no depth")
    depth = np.round((image - far) * (255 / (near - far))).astype(np.uint8)
    _store(folder, "depth", depth, look, {"maker": "imported", "source": source.name})
    return depth


def in_plain_cloth(look: Look) -> Picture:
    """The look in a grey cloth without any weave."""
    plain = Cloth(np.full((64, 64, 3), GREY, np.float32), look.px_per_cm, "plain")
    return DrapeEngine(LOOKS).dress(form_of(look), bolt_of(plain, look.px_per_cm))


def _store(folder: Path, name: str, image: Map, look: Look, maker: dict[str, Any]) -> None:
    path = _path(folder, name)
    path.parent.mkdir(exist_ok=True)
    if not cv2.imwrite(str(path), image):
        raise InvalidInput(f"cannot write {path}")
    about = _about(folder) | {name: {"look_version": look.version, **maker}}
    text = json.dumps(about, indent=1, sort_keys=True)
    (path.parent / "maps.json").write_text(text + "\n", encoding="utf-8")


def _about(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / "maps" / "maps.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}


def _path(folder: Path, name: str) -> Path:
    return folder / "maps" / f"{name}.png"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m worker.engines.sdxl_maps", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("edges").add_argument("looks", nargs="*")
    depth = verbs.add_parser("depth")
    depth.add_argument("look")
    depth.add_argument("file", type=Path)
    asked = parser.parse_args(arguments)
    try:
        if asked.verb == "depth":
            import_depth(LOOKS / asked.look, asked.file)
            return 0
        for name in asked.looks or sorted(p.parent.name for p in LOOKS.glob("*/look.json")):
            share = float((make_edges(LOOKS / name) > 0).mean())
            print(f"{name}: {share:.1%} of the picture is edge")
    except StylistError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
