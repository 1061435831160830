"""Look packs: a picture of a suit and, per pixel, where in the cloth it lies (format version 1).

A pack is a folder of PNG files and a look.json. `load_look` checks it and keeps the cloth's pixels
as rows, ready to be dressed: everything that does not depend on the cloth is worked out here, once.
gleam.png may be missing: then the light tells where the cloth gleams.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidInput, LookUnavailable
from worker.colour import LINEAR_OF_LEVEL

FORMAT_VERSION = 1
ROW = 1024  # cloth pixels per row; cv2.remap takes no more than 32767 columns
GLEAM_ROUGHNESS = 0.5  # of the surface whose gleam a pack holds
BRIGHTEST = 1.6  # light at which cloth mirrors the key light, where the pack does not tell
MAX_CM_PER_PX = 0.6  # beyond that a surface is seen edge-on and its derivative means nothing
PICTURES: Mapping[str, tuple[type[np.generic], int]] = MappingProxyType(
    {
        "base.png": (np.uint8, 3),
        "shade.png": (np.uint8, 1),
        "u.png": (np.uint16, 1),
        "v.png": (np.uint16, 1),
        "panels.png": (np.uint8, 1),
        "alpha.png": (np.uint8, 1),
        "gleam.png": (np.uint8, 1),
    }
)
OPTIONAL = "gleam.png"
DEPTH = "maps/depth.png"

Rows = NDArray[np.float32]  # (rows, ROW): cloth pixels in reading order, zeros after the last


@dataclass(frozen=True, eq=False)
class Look:
    """A look pack in memory; its arrays are read-only.

    Rows hold the cloth's pixels only, in the order of `at`; `light` and `under` are linear light,
    `u` and `v` centimetres along the panel's grain, the derivatives centimetres per picture pixel.
    """

    name: str
    name_es: str
    version: str
    px_per_cm: float  # in the plane of the fronts
    panel_keys: Mapping[int, str]  # panel id → "rf", "llap", ...
    base: NDArray[np.uint8]  # (height, width, 3) BGR: everything but the cloth's own colour
    panels: NDArray[np.uint8]  # (height, width): panel id, 0 = not cloth
    alpha: NDArray[np.uint8]  # (height, width): cloth coverage, for masks and measuring only
    at: NDArray[np.intp]  # flat picture index of each cloth pixel
    light: Rows  # light that comes back per unit of cloth albedo
    gleam: NDArray[np.uint8]  # (rows, ROW): how the surface gleams; see gleam_of_level()
    under: NDArray[np.float32]  # (rows, ROW, 3) BGR: what lies beside or shines on the cloth
    u: Rows
    v: Rows
    u_dx: Rows
    u_dy: Rows
    v_dx: Rows
    v_dy: Rows

    @property
    def height_px(self) -> int:
        return int(self.base.shape[0])

    @property
    def width_px(self) -> int:
        return int(self.base.shape[1])

    def in_picture(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Rows of one value a pixel back in the picture: (height, width), zeros elsewhere."""
        picture = np.zeros(self.panels.shape, rows.dtype)
        picture.reshape(-1)[self.at] = rows.reshape(-1)[: len(self.at)]
        return picture


def pack_version(folder: Path) -> str:
    """First 16 hex of the SHA-256 over the pack's PNG files: name, NUL, bytes, in name order."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.png")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def load_look(folder: Path) -> Look:
    """Read and check a pack.

    Raises LookUnavailable when files are missing, unreadable or not those that look.json names by
    its version, and InvalidInput when the pack breaks the format.
    """
    about = _about(folder)
    images = _pictures(folder, _size(about))
    _check_version(folder, about)
    cloth = _cloth_rows(images)
    for array in (*images.values(), *cloth.values()):
        array.flags.writeable = False
    return Look(
        name=folder.name,
        name_es=str(about["name_es"]),
        version=str(about["version"]),
        px_per_cm=_positive(about, "px_per_cm"),
        panel_keys=_panel_keys(about, images["panels.png"]),
        base=images["base.png"],
        panels=images["panels.png"],
        alpha=images["alpha.png"],
        **cloth,
    )


def own_depth(folder: Path, look: Look) -> NDArray[np.uint8] | None:
    """The depth map that a pack brings with it, (height, width), near is white; None without one.

    Raises InvalidInput for one that is broken, of another form, or shows the suit as far."""
    path = folder / DEPTH
    if not path.exists():
        return None
    data = np.frombuffer(path.read_bytes(), np.uint8)
    depth = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if depth is None or depth.dtype != np.uint8 or depth.shape != look.panels.shape:
        raise InvalidInput(
            f"{DEPTH} debe ser un PNG gris de 8 bits de {look.width_px} × {look.height_px} px."
        )
    if depth.min() == depth.max() or depth[look.panels > 0].mean() < depth.mean():
        raise InvalidInput(f"{DEPTH} no muestra el traje más cerca que el fondo: cerca es blanco.")
    return np.asarray(depth, np.uint8)


def centimetres(levels: NDArray[Any]) -> NDArray[np.float32]:
    """Decode u.png or v.png: 16 bits over -64 to +64 cm."""
    return np.asarray(levels * np.float32(128 / 65535) - np.float32(64), np.float32)


def light_of_shade(levels: NDArray[Any]) -> NDArray[np.float32]:
    """Decode shade.png to linear light 0..2; + 0.5: the stored value was cut off, not rounded."""
    root = (levels.astype(np.float32) + np.float32(0.5)) / np.float32(256)
    return np.asarray(2 * root * root, np.float32)


def gleam_of_level() -> NDArray[np.float32]:
    """(256,): gleam.png decoded. A surface of roughness GLEAM_ROUGHNESS, 1.0 where it mirrors the
    key light."""
    root = (np.arange(256, dtype=np.float32) + np.float32(0.5)) / np.float32(256)
    return np.asarray(root * root, np.float32)


def gleam_of_shade() -> NDArray[np.uint8]:
    """(256,): gleam.png's level by shade.png's, of a pack that has only the latter: about the third
    power of the light, because surfaces reflect into a narrower lobe than colours do."""
    share = np.minimum(light_of_shade(np.arange(256)) / BRIGHTEST, 1)
    return np.asarray(np.minimum(np.sqrt(share**3) * 256, 255), np.uint8)


def _about(folder: Path) -> dict[str, Any]:
    path = folder / "look.json"
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LookUnavailable(f"El look «{folder.name}» no está en este equipo.") from error
    except ValueError as error:
        raise InvalidInput(f"{path}: no es JSON: {error}") from error
    if not isinstance(about, dict) or about.get("format_version") != FORMAT_VERSION:
        raise InvalidInput(f"{path}: no es un look de formato {FORMAT_VERSION}")
    missing = {"version", "name_es", "size_px", "px_per_cm", "panels"} - about.keys()
    if missing:
        raise InvalidInput(f"{path}: falta {', '.join(sorted(missing))}")
    return about


def _size(about: dict[str, Any]) -> tuple[int, int]:
    match about["size_px"]:
        case [int(width), int(height)] if width > 0 and height > 0:
            return width, height
    raise InvalidInput(f"look.json: size_px es {about['size_px']!r}, no [ancho, alto]")


def _positive(about: dict[str, Any], key: str) -> float:
    value = about[key]
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e6:
        raise InvalidInput(f"look.json: {key} es {value!r}, no un número positivo")
    return float(value)


def _check_version(folder: Path, about: dict[str, Any]) -> None:
    found = pack_version(folder)
    if found != about["version"]:
        raise LookUnavailable(
            f"El look «{folder.name}» no corresponde a su versión:"
            f" dice {about['version']}, sus imágenes son {found}."
        )


def _pictures(folder: Path, size: tuple[int, int]) -> dict[str, NDArray[Any]]:
    names = [name for name in PICTURES if name != OPTIONAL or (folder / name).exists()]
    with ThreadPoolExecutor(2) as pool:  # decoding releases the GIL and is half the loading time
        decoded = pool.map(lambda name: _picture(folder / name, size), names)
        return dict(zip(names, decoded, strict=True))


def _picture(path: Path, size: tuple[int, int]) -> NDArray[Any]:
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise LookUnavailable(f"Al look «{path.parent.name}» le falta {path.name}.") from error
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if image is None:
        raise LookUnavailable(f"El look «{path.parent.name}» tiene dañado {path.name}.")
    depth, channels = PICTURES[path.name]
    found = image.shape[2] if image.ndim == 3 else 1
    if image.dtype != depth or found != channels:
        raise InvalidInput(
            f"{path}: tiene {found} canales {image.dtype}, no {channels} {np.dtype(depth)}"
        )
    if image.shape[1::-1] != size:
        raise InvalidInput(f"{path}: mide {image.shape[1::-1]} px, no {size}")
    return image


def _panel_keys(about: dict[str, Any], panels: NDArray[np.uint8]) -> Mapping[int, str]:
    try:
        keys = {int(number): str(panel["key"]) for number, panel in about["panels"].items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"look.json: panels no es id → {{key, name}}: {error!r}") from error
    unnamed = set(np.flatnonzero(np.bincount(panels.ravel()))) - {0} - keys.keys()
    if unnamed:
        raise InvalidInput(f"look.json: panels.png usa paneles sin nombre: {sorted(unnamed)}")
    return MappingProxyType(keys)


def _cloth_rows(images: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    at = np.flatnonzero(images["panels.png"])
    if not at.size:
        raise InvalidInput("panels.png: ningún píxel es tela")
    left, top, width, height = cv2.boundingRect(images["panels.png"])
    part = {name: image[top : top + height, left : left + width] for name, image in images.items()}
    inside = np.flatnonzero(part["panels.png"])
    shade, base = _taken(part["shade.png"], inside), _taken(part["base.png"], inside)
    gleam = part.get(OPTIONAL)
    rows = {
        "light": cv2.LUT(shade, light_of_shade(np.arange(256))),
        "under": cv2.LUT(base, LINEAR_OF_LEVEL),
        "gleam": cv2.LUT(shade, gleam_of_shade()) if gleam is None else _taken(gleam, inside),
    }
    rows["light"].reshape(-1)[at.size :] = 0
    across, down = _neighbours(part["panels.png"]), _neighbours(part["panels.png"].T)
    with ThreadPoolExecutor(2) as pool:
        axes = pool.map(lambda axis: _axis(axis, part[f"{axis}.png"], inside, across, down), "uv")
        return {"at": at} | rows | next(axes) | next(axes)


Neighbours = tuple[NDArray[np.bool_], NDArray[np.float32]]


def _neighbours(panels: NDArray[np.uint8]) -> Neighbours:
    """Along the rows: (height, width - 1), whether a pixel and the next are of one panel; and
    (height, width), the weight of each of a pixel's differences to such neighbours."""
    joined = panels[:, :-1] == panels[:, 1:]
    count = np.zeros(panels.shape, np.uint8)
    count[:, :-1] += joined
    count[:, 1:] += joined
    return joined, np.array([0, 1, 0.5], np.float32)[count]


def _axis(
    name: str,
    levels: NDArray[np.uint16],
    at: NDArray[np.intp],
    across: Neighbours,
    down: Neighbours,
) -> dict[str, Rows]:
    """One cloth coordinate and its derivatives, never taken across a border between panels."""
    cm = centimetres(levels)
    pictures = {
        name: cm,
        f"{name}_dx": _derivative(cm, across),
        f"{name}_dy": _derivative(cm.T, down).T,
    }
    return {key: _taken(picture, at) for key, picture in pictures.items()}


def _derivative(cm: NDArray[np.float32], neighbours: Neighbours) -> NDArray[np.float32]:
    """Along the rows: mean difference to the neighbours of the same panel, cm per pixel."""
    joined, weight = neighbours
    step = (cm[:, 1:] - cm[:, :-1]) * joined
    total = np.zeros_like(cm)
    total[:, :-1] += step
    total[:, 1:] += step
    total *= weight
    return np.clip(total, -MAX_CM_PER_PX, MAX_CM_PER_PX, out=total)


def _taken(picture: NDArray[Any], at: NDArray[np.intp]) -> NDArray[Any]:
    """The pixels at flat places of a picture as rows, zeros after the last."""
    channels = picture.shape[2:]
    rows = np.empty((-(-len(at) // ROW), ROW, *channels), picture.dtype)
    flat = rows.reshape(-1, *channels)
    np.take(picture.reshape(-1, *channels), at, axis=0, out=flat[: len(at)], mode="clip")
    flat[len(at) :] = 0
    return rows


def in_rows(values: NDArray[Any]) -> NDArray[Any]:
    """Values of cloth pixels as rows, zeros after the last."""
    rows = np.zeros((-(-len(values) // ROW), ROW, *values.shape[1:]), values.dtype)
    rows.reshape(-1, *values.shape[1:])[: len(values)] = values
    return rows


if __name__ == "__main__":
    from worker.photo_look.command import main

    sys.exit(main())
