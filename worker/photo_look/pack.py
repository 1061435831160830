"""The look pack of a photographed suit, format version 1: written whole or not at all."""

import json
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidInput
from worker.colour import LINEAR_OF_LEVEL, LINEAR_OF_TONED, encoded
from worker.looks import FORMAT_VERSION, load_look, pack_version
from worker.photo_look.coverage import Coverage, coverage_of
from worker.photo_look.light import ClothLight, cloth_light
from worker.photo_look.panels import PanelMap, panel_map
from worker.photo_look.plan import PanelPlan

Array = NDArray[np.float32]
Levels = NDArray[np.uint8]

MAX_PIXELS = 8_000_000  # a pack of that size is draped in a quarter of a second
THINNEST = 1 / 64  # coverage below it is left to the photo
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
PLACE = 100  # among the cuts: behind those that ship
ERODED_PX = 2  # the rim tells nothing of the cloth's light: the lens and JPEG mix it with its side


@dataclass(frozen=True, eq=False)
class PhotoLook:
    """The pictures of a pack by file name, and what its look.json says."""

    pictures: dict[str, NDArray[Any]]
    about: dict[str, Any]


def read_levels(path: Path, flags: int, what: str) -> Levels:
    """An 8-bit picture from a file. Raises InvalidInput."""
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise InvalidInput(f"{path}: no se puede leer: {error.strerror}", what) from error
    image = cv2.imdecode(data, flags) if data.size else None
    if image is None:
        raise InvalidInput(f"{path}: no es una imagen que se pueda leer.", what)
    if image.shape[0] * image.shape[1] > MAX_PIXELS:
        raise InvalidInput(
            f"{path}: mide {image.shape[1]} x {image.shape[0]} px;"
            f" redúzcala a {MAX_PIXELS // 1_000_000} megapíxeles o menos.",
            what,
        )
    return np.asarray(image, np.uint8)


def photo_look(
    photo: Levels, mask: Levels, plan: PanelPlan, *, name: str, name_es: str
) -> PhotoLook:
    """Make the pack of a photo (height, width, 3) BGR and a mask (height, width), 255 = cloth.

    Raises InvalidInput where mask and plan do not fit, or where the photo tells no light.
    """
    if photo.shape[:2] != mask.shape:
        raise InvalidInput(
            f"La máscara mide {mask.shape[1]} x {mask.shape[0]} px y la foto"
            f" {photo.shape[1]} x {photo.shape[0]}: deben medir lo mismo.",
            "mask",
        )
    linear = LINEAR_OF_LEVEL[photo]
    coverage = coverage_of(linear, mask)
    cloth = coverage.alpha >= THINNEST
    solid = cv2.erode((coverage.alpha >= 0.99).astype(np.uint8), _square(ERODED_PX)) > 0
    if not solid.any():
        raise InvalidInput("La máscara no marca tela: debe ser blanca donde está el traje.", "mask")
    panels = panel_map(plan, cloth)
    light = cloth_light(photo, linear, solid, panels, plan.px_per_cm)
    about = _about(plan, light, photo, name, name_es)
    return PhotoLook(_pictures(photo, coverage, panels, light), about)


def _square(px: int) -> Levels:
    return np.ones((2 * px + 1, 2 * px + 1), np.uint8)


def _pictures(
    photo: Levels, coverage: Coverage, panels: PanelMap, light: ClothLight
) -> dict[str, NDArray[Any]]:
    cloth = panels.ids > 0
    alpha = np.where(cloth, coverage.alpha, 0)
    root = np.sqrt(light.light * alpha / 2)
    return {
        "base.png": np.where(cloth[..., None], _beside(coverage), photo),
        "shade.png": np.minimum(root * 256, 255).astype(np.uint8),  # cut off: readers add a half
        "u.png": _encoded_cm(panels.u, cloth),
        "v.png": _encoded_cm(panels.v, cloth),
        "panels.png": panels.ids,
        "alpha.png": np.rint(alpha * 255).astype(np.uint8),
    }


def _beside(coverage: Coverage) -> Levels:
    """What lies beside the cloth, by its share: black inside. Written so that the drape engine's
    shoulder gives the photo's own level back, as far as 8 bits go."""
    light = np.clip(coverage.behind * (1 - coverage.alpha[..., None]), 0, 1)
    shown = np.rint(encoded(light) * 255).astype(np.intp)
    return np.rint(encoded(np.minimum(LINEAR_OF_TONED[shown], 1)) * 255).astype(np.uint8)


def _encoded_cm(cm: Array, cloth: NDArray[np.bool_]) -> NDArray[np.uint16]:
    levels = np.rint((cm + 64) * (65535 / 128)).clip(0, 65535)
    return np.where(cloth, levels, 0).astype(np.uint16)


def _about(
    plan: PanelPlan, light: ClothLight, photo: Levels, name: str, name_es: str
) -> dict[str, Any]:
    return {
        "format": "look-pack",
        "format_version": FORMAT_VERSION,
        "style": name,
        "name_es": name_es,
        "style_name": "from a photograph",
        "place": PLACE,
        "size_px": [photo.shape[1], photo.shape[0]],
        "px_per_cm": round(plan.px_per_cm, 3),
        "panels": {
            str(number): {"key": mark.key, "name": mark.name}
            for number, mark in enumerate(plan.marks, 1)
        },
        "photo": {
            "limits": list(light.limits),
            "blur_cm": [round(cm, 2) for cm in light.blur_cm],
            "albedo": round(light.albedo, 4),
        },
    }


def write_pack(folder: Path, look: PhotoLook) -> None:
    """Write the pack beside its place, read it back as any look is read, then rename.

    Raises InvalidInput when something is there already or cannot be written.
    """
    if not NAME.fullmatch(folder.name):
        raise InvalidInput(
            f"La carpeta «{folder.name}» da su nombre al corte: use minúsculas, cifras y guiones.",
            "out",
        )
    if folder.exists():
        raise InvalidInput(f"{folder} ya existe: elija otra carpeta o bórrela antes.", "out")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise InvalidInput(f"{folder}: no se puede escribir: {error.strerror}", "out") from error
    try:
        _fill(aside, look)
        load_look(aside)
        aside.chmod(0o755)
        aside.rename(folder)
    except BaseException:
        shutil.rmtree(aside)
        raise


def _fill(folder: Path, look: PhotoLook) -> None:
    for name, picture in look.pictures.items():
        _, data = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 6])
        (folder / name).write_bytes(data.tobytes())
    about = {"version": pack_version(folder), **look.about}
    text = json.dumps(about, indent=1, ensure_ascii=False)
    (folder / "look.json").write_text(text + "\n", encoding="utf-8")
