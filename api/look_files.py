"""Files of a look that a merchandiser uploads: a finished pack, or a photo with mask and panels.

All that can be said without pixels is said here, before anything is stored. A worker looks at the
rest (worker/look_maker.py).
"""

import json
import re
import unicodedata
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, Literal

from api import png
from api.swatches import UploadRefused, upright_size
from api.uploaded_zip import opened
from models.errors import InvalidInput
from models.packs import PACK_MAX_BYTES, PIXELS_MAX, version_of
from models.panel_plan import read_plan

FORMAT_VERSION = 1
ENTRIES_MOST = 30  # a pack has nine files
JSON_MAX_BYTES = 1_000_000
SIDE_MIN_PX = 64
PX_PER_CM = (1.0, 100.0)
NAME_MOST = 60
SHOWN_MOST = 60  # letters of what is quoted from a file
PICTURES: Mapping[str, tuple[int, int]] = MappingProxyType(  # bits of a channel, colour type
    {
        "base.png": (8, png.RGB),
        "shade.png": (8, png.GREY),
        "u.png": (16, png.GREY),
        "v.png": (16, png.GREY),
        "panels.png": (8, png.GREY),
        "alpha.png": (8, png.GREY),
        "gleam.png": (8, png.GREY),
    }
)
OPTIONAL = {"gleam.png"}
ABOUT = "look.json"
MAPS = "maps"  # beside a pack; of them only the depth is kept, which workers cannot find themselves
DEPTH = f"{MAPS}/depth.png"  # optional, and no part of the version
SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
TOO_MANY = f"El ZIP tiene demasiados archivos; el máximo son {ENTRIES_MOST}."
TOO_HEAVY = f"El look pesa demasiado; el máximo son {PACK_MAX_BYTES // 10**6} MB."
TOO_LARGE = f"La imagen es demasiado grande; el máximo son {PIXELS_MAX // 10**6} megapíxeles."


@dataclass(frozen=True)
class LookFiles:
    """What is stored of an upload, by name, and the cut that it is to be."""

    kind: Literal["pack", "photo"]
    cut: str
    name: str
    files: dict[str, bytes]


# --- a finished pack ------------------------------------------------------------------------------


def pack_in(content: bytes) -> LookFiles:
    """The pack in a ZIP. Raises InvalidInput, which says what is wrong with it."""
    files = _entries(content)
    needed = [name for name in (*PICTURES, ABOUT) if name not in OPTIONAL]
    if missing := [name for name in needed if name not in files]:
        raise InvalidInput(f"Al look le falta {', '.join(missing)}.", "file")
    about = _about(files[ABOUT])
    size_px = _size(about)
    for name in (*PICTURES, DEPTH):
        if name in files:
            _refuse_picture(name, files[name], size_px)
    found = version_of(files)
    if about["version"] != found:
        said = _shown(about["version"])
        raise InvalidInput(f"look.json dice la versión «{said}», sus imágenes son {found}.", "file")
    return LookFiles("pack", _slug(about["style"]), _name(about["name_es"]), files)


def _entries(content: bytes) -> dict[str, bytes]:
    """The files of a pack by name, without the folder that they may lie in. Raises InvalidInput."""
    files: dict[str, bytes] = {}
    left = PACK_MAX_BYTES
    with opened(content, ENTRIES_MOST, InvalidInput(TOO_MANY, "file")) as (folder, entries):
        entries = [entry for entry in entries if not _is_other_map(entry)]
        tops = {_placed(entry)[0] for entry in entries}
        for entry in entries:
            name = _plain_name(entry, tops)
            if name in files:
                raise InvalidInput(f"El ZIP lleva «{name}» dos veces.", "file")
            with folder.open(entry) as file:
                files[name] = file.read(left + 1)
            left -= len(files[name])
            if left < 0:
                raise InvalidInput(TOO_HEAVY, "file")
    return files


def _is_other_map(entry: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(entry.filename)
    return path.parent.name == MAPS and f"{MAPS}/{path.name}" != DEPTH


def _placed(entry: zipfile.ZipInfo) -> tuple[str, str]:
    """The folder of the pack that an entry is of, and its name there."""
    top, _, name = entry.filename.rpartition("/")
    above, _, last = top.rpartition("/")
    return (above, f"{MAPS}/{name}") if last == MAPS else (top, name)


def _plain_name(entry: zipfile.ZipInfo, tops: set[str]) -> str:
    """Raises InvalidInput for a path that leads out, and for what is no part of a look."""
    path, (top, name) = PurePosixPath(entry.filename), _placed(entry)
    shown = entry.filename[:SHOWN_MOST]
    if path.is_absolute() or ".." in path.parts or "\\" in entry.filename or "/" in top:
        raise InvalidInput(f"El ZIP lleva «{shown}», una ruta que no se acepta.", "file")
    if name not in (*PICTURES, DEPTH, ABOUT) or len(tops) > 1:
        raise InvalidInput(f"El ZIP lleva «{shown}», que no es parte de un look.", "file")
    return name


def _about(content: bytes) -> dict[str, Any]:
    """look.json. Raises InvalidInput."""
    about = _json(ABOUT, content)
    if about.get("format_version") != FORMAT_VERSION:
        raise InvalidInput(f"look.json no es de formato {FORMAT_VERSION}.", "file")
    needed = ("version", "style", "name_es", "size_px", "px_per_cm", "panels")
    if missing := [name for name in needed if name not in about]:
        raise InvalidInput(f"A look.json le falta {', '.join(missing)}.", "file")
    low, high = PX_PER_CM
    density = about["px_per_cm"]
    if isinstance(density, bool) or not isinstance(density, int | float):
        raise InvalidInput("look.json: px_per_cm no es un número.", "file")
    if not low <= density <= high:
        raise InvalidInput(f"look.json: px_per_cm va de {low:g} a {high:g}.", "file")
    return about


def _json(name: str, content: bytes) -> dict[str, Any]:
    """A JSON object. Raises InvalidInput."""
    try:
        found = json.loads(content) if len(content) <= JSON_MAX_BYTES else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidInput(f"{name} no es un objeto JSON que se pueda leer.", "file")
    return found


def _size(about: dict[str, Any]) -> tuple[int, int]:
    match about["size_px"]:
        case [int(width), int(height)] if min(width, height) >= SIDE_MIN_PX:
            if width * height > PIXELS_MAX:
                raise InvalidInput(TOO_LARGE, "file")
            return width, height
    raise InvalidInput(
        f"look.json: size_px debe ser [ancho, alto], cada uno de {SIDE_MIN_PX} o más.", "file"
    )


def _refuse_picture(name: str, content: bytes, size_px: tuple[int, int]) -> None:
    """Raises InvalidInput."""
    found = _png(name, content)
    if (found.width_px, found.height_px) != size_px:
        raise InvalidInput(
            f"{name} mide {found.width_px} × {found.height_px} px;"
            f" look.json dice {size_px[0]} × {size_px[1]}.",
            "file",
        )
    bits, colour = PICTURES.get(name, (8, png.GREY))
    if (found.bits, found.colour) != (bits, colour):
        kind = "RGB" if colour == png.RGB else "gris"
        raise InvalidInput(f"{name} debe ser un PNG {kind} de {bits} bits por canal.", "file")


def _png(name: str, content: bytes, field: str = "file") -> png.Header:
    found = png.header(content)
    if found is None:
        raise InvalidInput(f"{name} no es un PNG, o está dañado.", field)
    return found


# --- a photo with mask and panels -----------------------------------------------------------------


def photo_in(photo: bytes, mask: bytes, panels: bytes, name: str) -> LookFiles:
    """Raises InvalidInput, which says what is wrong and with which of them."""
    name = _name(name)
    cut = _slug(_plain(name) or name)
    size_px = _photo_size(photo)
    found = _png("mask.png", mask, "mask")
    if (found.width_px, found.height_px) != size_px:
        raise InvalidInput(
            f"La máscara mide {found.width_px} × {found.height_px} px y la foto"
            f" {size_px[0]} × {size_px[1]}: deben medir lo mismo.",
            "mask",
        )
    try:
        read_plan(_json("panels.json", panels), size_px)
    except InvalidInput as error:
        raise InvalidInput(str(error), "panels") from None
    if len(photo) + len(mask) + len(panels) > PACK_MAX_BYTES:
        raise InvalidInput(TOO_HEAVY, "photo")
    files = {"photo": photo, "mask.png": mask, "panels.json": panels}
    return LookFiles("photo", cut, name, files)


def _photo_size(photo: bytes) -> tuple[int, int]:
    """Raises InvalidInput."""
    try:
        width, height = upright_size(photo, ["JPEG", "PNG"])
    except UploadRefused:
        raise InvalidInput("La foto no es un JPEG o PNG que se pueda leer.", "photo") from None
    if width * height > PIXELS_MAX:
        raise InvalidInput(TOO_LARGE, "photo")
    if min(width, height) < SIDE_MIN_PX:
        raise InvalidInput(f"La foto mide menos de {SIDE_MIN_PX} px por lado.", "photo")
    return width, height


# --- the cut's name -------------------------------------------------------------------------------


def _name(name: Any) -> str:
    found = name.strip() if isinstance(name, str) else ""
    if not 0 < len(found) <= NAME_MOST or not found.isprintable():
        raise InvalidInput(f"El nombre del corte lleva de 1 a {NAME_MOST} letras.", "name")
    return found


def _shown(found: Any) -> str:
    """The beginning of something that somebody sent, in letters that can be sent back."""
    return "".join(one if one.isprintable() else "?" for one in str(found)[:SHOWN_MOST])


def _plain(name: str) -> str:
    """«Chaqué de día» → chaque-de-dia"""
    letters = unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", letters).strip("-")[:40]


def _slug(cut: Any) -> str:
    if not isinstance(cut, str) or not SLUG.fullmatch(cut):
        raise InvalidInput(
            f"«{_shown(cut)}» no sirve de clave: lleva minúsculas, cifras y guiones.", "name"
        )
    return cut
