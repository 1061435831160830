"""Overlays of a look pack for the console: its mask, its panels, and a grid over its cloth.

Whoever loads packs can draw them, and the API cannot: the first worker that starts with a new
version of a pack stores them beside the pictures of the catalogue; who makes an uploaded one does.
"""

import json
import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.catalogue import OVERLAYS, WORN, overlay_key
from models.errors import StylistError
from models.storage import Storage
from worker import cloth as cloths
from worker.engines.drape import DrapeEngine, bolt_of, form_of
from worker.looks import Look, load_look

log = logging.getLogger("worker.overlays")
Picture = NDArray[np.uint8]  # (height, width, 3), sRGB levels, BGR
WIDTH_PX = 512
QUALITY = 88
SQUARE_CM = 5.0  # of the grid
TINT = (60, 110, 190)  # BGR: what is cloth
LIGHT, DARK = (235, 228, 214), (120, 92, 52)  # the grid's squares
SHARE = 0.72  # of the overlay in the picture
WORN_PX, WORN_HEX = 640, "#A8A9AB"  # as the house's own cuts are shown


def publish(store: Storage, packs: Path) -> None:
    """Draw what is not stored yet. A store that fails costs the overlays, not the worker."""
    for folder in sorted(path.parent for path in packs.glob("*/look.json")):
        try:
            version = json.loads((folder / "look.json").read_text(encoding="utf-8"))["version"]
            if any(True for _ in store.list(overlay_key(folder.name, version, ""))):
                continue
            _store(store, folder.name, version, drawn(load_look(folder)))
        except (StylistError, OSError, KeyError, ValueError):
            log.warning("overlays not drawn", extra={"pack": folder.name}, exc_info=True)


def publish_look(store: Storage, look: Look) -> None:
    """Draw what is not stored yet of one look, and its suit as worn. Raises StorageError."""
    beginning = overlay_key(look.name, look.version, "")
    stored = {found.key for found in store.list(beginning)}
    layers = drawn(look) | {WORN: _worn(look)}
    fresh = {n: c for n, c in layers.items() if f"{beginning}{n}.jpg" not in stored}
    _store(store, look.name, look.version, fresh)


def _store(store: Storage, pack: str, version: str, layers: dict[str, bytes]) -> None:
    for layer, content in layers.items():
        store.put(overlay_key(pack, version, layer), content, "image/jpeg")


def _worn(look: Look) -> bytes:
    bolt = bolt_of(cloths.from_hex(WORN_HEX), look.px_per_cm)
    return _encoded(DrapeEngine(Path(), threads=1).dress(form_of(look), bolt), WORN_PX)


def drawn(look: Look) -> dict[str, bytes]:
    """Each of OVERLAYS as a JPEG."""
    layers = {
        "picture": look.base,
        "mask": _over(look, np.full_like(look.base, TINT), look.alpha / np.float32(255)),
        "panels": _over(look, _panel_colours(look), look.panels > 0),
        "grid": _over(look, _grid(look), look.panels > 0),
    }
    assert tuple(layers) == OVERLAYS  # noqa: S101 (the console names them)
    return {name: _encoded(picture) for name, picture in layers.items()}


def _over(look: Look, colours: Picture, coverage: NDArray[Any]) -> Picture:
    share = (SHARE * coverage.astype(np.float32))[..., None]
    return np.asarray(look.base * (1 - share) + colours * share + 0.5, np.uint8)


def _panel_colours(look: Look) -> Picture:
    """A hue for each panel, as far as may be from the next one's."""
    count = int(look.panels.max()) + 1
    hues = (np.arange(count) * 67 % 180).astype(np.uint8)
    saturation = np.full(count, 120, np.uint8)
    palette = cv2.cvtColor(np.dstack([hues, saturation, saturation + 90]), cv2.COLOR_HSV2BGR)[0]
    return np.asarray(palette[look.panels], np.uint8)


def _grid(look: Look) -> Picture:
    """Squares along the grain, as the cloth lies: where they bend, the cloth bends."""
    inside = look.at.size
    u, v = (axis.ravel()[:inside] for axis in (look.u, look.v))
    odd = (np.floor(u / SQUARE_CM) + np.floor(v / SQUARE_CM)).astype(np.int64) % 2
    picture = np.zeros((look.height_px * look.width_px, 3), np.uint8)
    picture[look.at] = np.asarray([LIGHT, DARK], np.uint8)[odd]
    return picture.reshape(look.base.shape)


def _encoded(picture: Picture, width_px: int = WIDTH_PX) -> bytes:
    height_px = round(picture.shape[0] * width_px / picture.shape[1])
    small = cv2.resize(picture, (width_px, height_px), interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes())
