"""The panel plan, panels.json: outlines and grain lines on a photo, and the photo's scale.

docs/photo-look.md describes the file. Whatever is wrong with it is said by the panel's key.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidInput
from worker.photo_look.grain import GrainLine, grain_line

Points = NDArray[np.float64]  # (n, 2): x, y in pixels of the photo

FORMAT_VERSION = 1
PANELS_MAX = 100
PX_PER_CM = (3.0, 60.0)  # coarser shows no pattern, finer than any photo of a whole garment
TURN_MAX_DEG = 85.0
AREA_MIN_PX = 64.0
KEY = re.compile(r"[a-z][a-z0-9_-]{0,23}")
# How far cloth has turned away from the camera at a panel's edges where the plan does not say:
# sleeves and legs are round, a front turns towards the side seam.
TURNS_DEG: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "rsl": (75.0, 75.0),
        "lsl": (75.0, 75.0),
        "rleg": (75.0, 75.0),
        "lleg": (75.0, 75.0),
        "rf": (50.0, 0.0),
        "lf": (0.0, 50.0),
    }
)
TROUSERS = frozenset({"rleg", "lleg"})


@dataclass(frozen=True, eq=False)
class PanelMark:
    """One panel as it was marked. Panels that share a grain line are one piece of cloth."""

    key: str
    name: str
    outline: Points
    grain_of: str  # the key of the panel that the grain line was drawn on
    grain: GrainLine
    px_per_cm: float  # along the grain
    turn_deg: tuple[float, float]  # at the left and at the right edge of all on this grain line
    level: float | None  # row of the photo where v is 0


@dataclass(frozen=True, eq=False)
class PanelPlan:
    px_per_cm: float
    marks: tuple[PanelMark, ...]  # a later panel lies over an earlier one


def load_plan(path: Path, size_px: tuple[int, int]) -> PanelPlan:
    """Read and check panels.json for a photo of `size_px` (width, height). Raises InvalidInput."""
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path}: no se puede leer como JSON: {error}", "panels") from error
    return plan_of(plan, size_px)


def plan_of(plan: Any, size_px: tuple[int, int]) -> PanelPlan:
    """The plan in a parsed panels.json. Raises InvalidInput naming the panel."""
    _only(plan, "panels.json", {"format_version", "scale", "panels"}, {"size_px"})
    if plan["format_version"] != FORMAT_VERSION:
        raise InvalidInput(f"panels.json: format_version debe ser {FORMAT_VERSION}")
    zoom = _zoom(plan.get("size_px", list(size_px)), size_px)
    entries = plan["panels"]
    if not isinstance(entries, list) or not 0 < len(entries) <= PANELS_MAX:
        raise InvalidInput(f"panels.json: panels debe tener de 1 a {PANELS_MAX} paneles", "panels")
    keys = [_key(entry, place) for place, entry in enumerate(entries)]
    if twice := {key for key in keys if keys.count(key) > 1}:
        raise InvalidInput(f"panels.json: el panel «{min(twice)}» está dos veces", "panels")
    lines = {
        key: grain_line(_points(entry["grain"], key, "grain", 2, zoom))
        for key, entry in zip(keys, entries, strict=True)
        if not isinstance(entry["grain"], str)
    }
    px_per_cm = _scale(plan["scale"], lines, zoom)
    by_key = dict(zip(keys, entries, strict=True))
    marks = tuple(_mark(key, by_key, lines, px_per_cm, zoom) for key in keys)
    return PanelPlan(px_per_cm, marks)


def _only(found: Any, where: str, needed: set[str], others: set[str]) -> None:
    if not isinstance(found, dict):
        raise InvalidInput(f"{where}: debe ser un objeto JSON")
    if missing := needed - found.keys():
        raise InvalidInput(f"{where}: falta {', '.join(sorted(missing))}")
    if unknown := found.keys() - needed - others:
        raise InvalidInput(f"{where}: no se conoce {', '.join(sorted(unknown))}")


def _zoom(marked_px: Any, size_px: tuple[int, int]) -> float:
    """Photo pixels per unit that the marks are in: they may be set on a smaller copy."""
    match marked_px:
        case [int(width), int(height)] if width > 0 and height > 0:
            zoom = size_px[0] / width
            if abs(zoom * height - size_px[1]) <= max(1.0, zoom):
                return zoom
    raise InvalidInput(
        f"panels.json: size_px es {marked_px!r}; la foto mide {list(size_px)}"
        " y la copia marcada debe tener la misma proporción",
        "size_px",
    )


def _key(entry: Any, place: int) -> str:
    _only(
        entry,
        f"panels.json: panel {place + 1}",
        {"key", "outline", "grain"},
        {"name", "length_mm", "turn_deg", "level"},
    )
    key = entry["key"]
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise InvalidInput(
            f"panels.json: la clave del panel {place + 1} es {key!r};"
            " use minúsculas, cifras y guiones, por ejemplo «rf»",
            f"panels/{place}/key",
        )
    return key


def _mark(
    key: str,
    entries: Mapping[str, Mapping[str, Any]],
    lines: Mapping[str, GrainLine],
    px_per_cm: float,
    zoom: float,
) -> PanelMark:
    entry = entries[key]
    outline = _points(entry["outline"], key, "outline", 3, zoom)
    if cv2.contourArea(outline.astype(np.float32)) < AREA_MIN_PX:
        raise _wrong(key, "outline", "encierra muy poca superficie")
    owner = entry["grain"] if isinstance(entry["grain"], str) else key
    if owner not in lines:
        raise _wrong(key, "grain", f"remite a «{owner}», que no es un panel con hilo propio")
    if owner == key and not _touches(lines[key], outline):
        raise _wrong(key, "grain", "la línea de hilo no pasa por el panel")
    level = entry.get("level")
    return PanelMark(
        key=key,
        name=str(entry.get("name", key)),
        outline=outline,
        grain_of=owner,
        grain=lines[owner],
        px_per_cm=_px_per_cm_along(owner, entries[owner], lines[owner], px_per_cm),
        turn_deg=_turn(owner, entries[owner]),
        level=None if level is None else _number(level, key, "level") * zoom,
    )


def _px_per_cm_along(
    key: str, entry: Mapping[str, Any], line: GrainLine, px_per_cm: float
) -> float:
    """A stated length of the grain line corrects for cloth that leans to or from the camera."""
    if "length_mm" not in entry:
        return px_per_cm
    along = line.length_px / _positive(entry["length_mm"], f"panel «{key}», length_mm") * 10
    if not 0.5 < along / px_per_cm < 2:
        raise _wrong(key, "length_mm", "no concuerda con la escala de la foto, ni de lejos")
    return along


def _scale(scale: Any, lines: Mapping[str, GrainLine], zoom: float) -> float:
    """Photo pixels per cm, from a length on the photo that is known in millimetres."""
    if isinstance(scale, dict) and "panel" in scale:
        _only(scale, "panels.json: scale", {"panel", "length_mm"}, set())
        if scale["panel"] not in lines:
            raise InvalidInput(
                f"panels.json: scale remite al panel {scale['panel']!r}, que no tiene hilo propio",
                "scale",
            )
        length_px = lines[scale["panel"]].length_px
    else:
        _only(scale, "panels.json: scale", {"from", "to", "length_mm"}, set())
        ends = _points([scale["from"], scale["to"]], "", "scale", 2, zoom)
        length_px = float(np.hypot(*(ends[1] - ends[0])))
    found = length_px / _positive(scale["length_mm"], "scale, length_mm") * 10
    low, high = PX_PER_CM
    if not low <= found <= high:
        raise InvalidInput(
            f"panels.json: la escala da {found:.2f} píxeles por cm; debe estar entre"
            f" {low:g} y {high:g}. Revise length_mm: son milímetros",
            "scale",
        )
    return found


def _turn(key: str, entry: Mapping[str, Any]) -> tuple[float, float]:
    turn = entry.get("turn_deg", TURNS_DEG.get(key, (0.0, 0.0)))
    if not isinstance(turn, Sequence) or isinstance(turn, str) or len(turn) != 2:
        raise _wrong(key, "turn_deg", "debe ser [izquierda, derecha] en grados")
    left, right = (_number(side, key, "turn_deg") for side in turn)
    if not (0 <= left <= TURN_MAX_DEG and 0 <= right <= TURN_MAX_DEG):
        raise _wrong(key, "turn_deg", f"cada lado va de 0 a {TURN_MAX_DEG:g} grados")
    return left, right


def _points(found: Any, key: str, field: str, least: int, zoom: float) -> Points:
    try:
        points = np.array(found, np.float64) * zoom
    except (TypeError, ValueError):
        points = np.empty(0)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise _wrong(key, field, "debe ser una lista de puntos [x, y]")
    points = points[np.r_[True, np.hypot(*np.diff(points, axis=0).T) > 0]]
    if len(points) < least:
        raise _wrong(key, field, f"necesita al menos {least} puntos distintos")
    return points


def _touches(line: GrainLine, outline: Points) -> bool:
    contour = outline.astype(np.float32)
    return any(
        cv2.pointPolygonTest(contour, (float(x), float(y)), False) >= 0 for x, y in line.at[::4]
    )


def _number(value: Any, key: str, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _wrong(key, field, f"es {value!r}, no un número")
    return float(value)


def _positive(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e5:
        raise InvalidInput(f"panels.json: {where} es {value!r}, no una medida en milímetros")
    return float(value)


def _wrong(key: str, field: str, what: str) -> InvalidInput:
    where = f"panel «{key}», {field}" if key else field
    return InvalidInput(f"panels.json: {where}: {what}", f"panels/{key}/{field}" if key else field)
