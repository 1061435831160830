"""The panel plan, panels.json, as it was marked: all that can be told of it without pixels.

docs/photo-look.md describes the file. Whatever is wrong with it is said by the panel's key: here to
who uploads it, at once; worker/photo_look/plan.py adds what only the curve of a grain line tells.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from reprlib import repr as shown  # of what somebody sent: cut short, and every letter can be sent
from types import MappingProxyType
from typing import Any

from models.errors import InvalidInput

Point = tuple[float, float]  # x, y in pixels of the photo, from the upper left

FORMAT_VERSION = 1
PANELS_MAX = 100
POINTS_MAX = 1000  # of an outline or a grain line
NAME_MOST = 60
NUMBER_MAX = 1e6
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


@dataclass(frozen=True)
class MarkedPanel:
    """One panel. Panels that share a grain line are one piece of cloth."""

    key: str
    name: str
    outline: tuple[Point, ...]
    grain: tuple[Point, ...]  # the marks of its own grain line; none where it follows another's
    grain_of: str  # the key of the panel that the grain line was drawn on
    length_mm: float | None  # of its own grain line, on the garment
    turn_deg: tuple[float, float]  # at the left and at the right edge of all on this grain line
    level: float | None  # row of the photo where v is 0


@dataclass(frozen=True)
class KnownLength:
    """What the photo's scale is taken from: a distance on it, or else a panel's grain line."""

    length_mm: float
    length_px: float | None
    panel: str


@dataclass(frozen=True)
class MarkedPlan:
    scale: KnownLength
    panels: tuple[MarkedPanel, ...]  # a later panel lies over an earlier one


@dataclass(frozen=True)
class _Frame:
    """The photo that marks lie on."""

    zoom: float  # photo pixels per unit of the marks: they may be set on a smaller copy
    far_px: float  # no mark is so far beside the photo


def read_plan(plan: Any, size_px: tuple[int, int]) -> MarkedPlan:
    """The plan in a parsed panels.json for a photo of `size_px` (width, height), in its pixels.

    Raises InvalidInput, which names the panel."""
    _only(plan, "panels.json", {"format_version", "scale", "panels"}, {"size_px"})
    if plan["format_version"] != FORMAT_VERSION:
        raise InvalidInput(f"panels.json: format_version debe ser {FORMAT_VERSION}")
    frame = _Frame(_zoom(plan.get("size_px", list(size_px)), size_px), max(size_px))
    entries = plan["panels"]
    if not isinstance(entries, list) or not 0 < len(entries) <= PANELS_MAX:
        raise InvalidInput(f"panels.json: panels debe tener de 1 a {PANELS_MAX} paneles", "panels")
    panels = tuple(_panel(entry, place, frame) for place, entry in enumerate(entries))
    own = _own_grain(panels)
    return MarkedPlan(_scale(plan["scale"], own, frame), panels)


def px_per_cm(length_px: float, length_mm: float) -> float:
    """The photo's scale. Raises InvalidInput where no photo of a suit has such a one."""
    found = length_px / length_mm * 10
    if not PX_PER_CM[0] <= found <= PX_PER_CM[1]:
        raise _impossible(found)
    return found


def _impossible(scale_px_per_cm: float) -> InvalidInput:
    low, high = PX_PER_CM
    return InvalidInput(
        f"panels.json: la escala da {scale_px_per_cm:.2f} píxeles por cm; debe estar entre"
        f" {low:g} y {high:g}. Revise length_mm: son milímetros",
        "scale",
    )


def wrong(key: str, field: str, what: str) -> InvalidInput:
    """The refusal of one field of a panel."""
    where = f"panel «{key}», {field}"
    return InvalidInput(f"panels.json: {where}: {what}", f"panels/{key}/{field}")


def _only(found: Any, where: str, needed: set[str], others: set[str]) -> None:
    if not isinstance(found, dict):
        raise InvalidInput(f"{where}: debe ser un objeto JSON")
    if missing := needed - found.keys():
        raise InvalidInput(f"{where}: falta {', '.join(sorted(missing))}")
    if unknown := found.keys() - needed - others:
        raise InvalidInput(f"{where}: no se conoce {shown(min(unknown))[1:-1]}")


def _zoom(marked_px: Any, size_px: tuple[int, int]) -> float:
    match marked_px:
        case [int(width), int(height)] if 0 < width < NUMBER_MAX and 0 < height < NUMBER_MAX:
            zoom = size_px[0] / width
            if abs(zoom * height - size_px[1]) <= max(1.0, zoom):
                return zoom
    raise InvalidInput(
        f"panels.json: size_px es {shown(marked_px)}; la foto mide {list(size_px)}"
        " y la copia marcada debe tener la misma proporción",
        "size_px",
    )


# --- one panel ------------------------------------------------------------------------------------


def _panel(entry: Any, place: int, frame: _Frame) -> MarkedPanel:
    key = _key(entry, place)
    outline = _points(entry["outline"], key, "outline", 3, frame)
    if _area_px(outline) < AREA_MIN_PX:
        raise wrong(key, "outline", "encierra muy poca superficie")
    grain, level, length = entry["grain"], entry.get("level"), entry.get("length_mm")
    is_own = not isinstance(grain, str)
    return MarkedPanel(
        key=key,
        name=_name(entry, key),
        outline=outline,
        grain=_points(grain, key, "grain", 2, frame) if is_own else (),
        grain_of=key if is_own else grain,
        length_mm=None if length is None else _positive(length, f"panel «{key}», length_mm"),
        turn_deg=_turn(key, entry),
        level=None if level is None else _number(level, key, "level") * frame.zoom,
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
            f"panels.json: la clave del panel {place + 1} es {shown(key)};"
            " use minúsculas, cifras y guiones, por ejemplo «rf»",
            f"panels/{place}/key",
        )
    return key


def _name(entry: Mapping[str, Any], key: str) -> str:
    name = entry.get("name", key)
    if not isinstance(name, str) or not name.isprintable() or len(name) > NAME_MOST:
        raise wrong(key, "name", f"debe ser texto de hasta {NAME_MOST} letras")
    return name


def _turn(key: str, entry: Mapping[str, Any]) -> tuple[float, float]:
    turn = entry.get("turn_deg", TURNS_DEG.get(key, (0.0, 0.0)))
    if not isinstance(turn, list | tuple) or len(turn) != 2:
        raise wrong(key, "turn_deg", "debe ser [izquierda, derecha] en grados")
    left, right = (_number(side, key, "turn_deg") for side in turn)
    if not (0 <= left <= TURN_MAX_DEG and 0 <= right <= TURN_MAX_DEG):
        raise wrong(key, "turn_deg", f"cada lado va de 0 a {TURN_MAX_DEG:g} grados")
    return left, right


def _own_grain(panels: Sequence[MarkedPanel]) -> dict[str, tuple[Point, ...]]:
    """The marks of each grain line, by its panel's key. Raises InvalidInput for two panels of one
    key, and for a panel that follows one without a grain line of its own."""
    keys = [panel.key for panel in panels]
    if twice := {key for key in keys if keys.count(key) > 1}:
        raise InvalidInput(f"panels.json: el panel «{min(twice)}» está dos veces", "panels")
    own = {panel.key: panel.grain for panel in panels if panel.grain}
    for panel in panels:
        if panel.grain_of not in own:
            other = shown(panel.grain_of)[1:-1]
            raise wrong(
                panel.key, "grain", f"remite a «{other}», que no es un panel con hilo propio"
            )
    return own


# --- scale, points and numbers --------------------------------------------------------------------


def _scale(scale: Any, own: Mapping[str, Sequence[Point]], frame: _Frame) -> KnownLength:
    if not isinstance(scale, dict) or "panel" not in scale:
        return _distance(scale, frame)
    _only(scale, "panels.json: scale", {"panel", "length_mm"}, set())
    panel, length_mm = scale["panel"], _positive(scale["length_mm"], "scale, length_mm")
    if not isinstance(panel, str) or panel not in own:
        raise InvalidInput(
            f"panels.json: scale remite al panel {shown(panel)}, que no tiene hilo propio",
            "scale",
        )
    shortest_px = sum(math.dist(*ends) for ends in pairwise(own[panel]))  # the curve is no shorter
    if (at_least := shortest_px / length_mm * 10) > PX_PER_CM[1]:
        raise _impossible(at_least)
    return KnownLength(length_mm, None, panel)


def _distance(scale: Any, frame: _Frame) -> KnownLength:
    _only(scale, "panels.json: scale", {"from", "to", "length_mm"}, set())
    start, end = _points([scale["from"], scale["to"]], "", "scale", 2, frame)
    length_mm = _positive(scale["length_mm"], "scale, length_mm")
    px_per_cm(math.dist(start, end), length_mm)
    return KnownLength(length_mm, math.dist(start, end), "")


def _points(found: Any, key: str, field: str, least: int, frame: _Frame) -> tuple[Point, ...]:
    """Raises InvalidInput. Marks set twice in one place are one."""
    where = f"panel «{key}», {field}" if key else field
    name = f"panels/{key}/{field}" if key else field
    if not isinstance(found, list) or not all(_is_point(point) for point in found):
        raise InvalidInput(f"panels.json: {where}: debe ser una lista de puntos [x, y]", name)
    points = [(float(x) * frame.zoom, float(y) * frame.zoom) for x, y in found]
    distinct = points[:1] + [after for before, after in pairwise(points) if after != before]
    if len(distinct) < least:
        raise InvalidInput(
            f"panels.json: {where}: necesita al menos {least} puntos distintos", name
        )
    if len(distinct) > POINTS_MAX:
        raise InvalidInput(f"panels.json: {where}: lleva más de {POINTS_MAX} puntos", name)
    if any(not -frame.far_px <= at <= 2 * frame.far_px for point in distinct for at in point):
        raise InvalidInput(f"panels.json: {where}: tiene un punto muy lejos de la foto", name)
    return tuple(distinct)


def _is_point(found: Any) -> bool:
    return isinstance(found, list) and len(found) == 2 and all(map(_is_number, found))


def _is_number(value: Any) -> bool:
    """Neither infinite nor of hundreds of digits, which JSON may hold as well."""
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < NUMBER_MAX
    )


def _area_px(outline: Sequence[Point]) -> float:
    """The shoelace formula."""
    closed = pairwise((*outline, outline[0]))
    return abs(sum(ax * by - bx * ay for (ax, ay), (bx, by) in closed)) / 2


def _number(value: Any, key: str, field: str) -> float:
    if not _is_number(value):
        raise wrong(key, field, f"es {shown(value)}, no un número")
    return float(value)


def _positive(value: Any, where: str) -> float:
    if not _is_number(value) or not 0 < value < 1e5:
        raise InvalidInput(f"panels.json: {where} es {shown(value)}, no una medida en milímetros")
    return float(value)
