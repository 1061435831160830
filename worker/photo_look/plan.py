"""The panel plan as the photo is worked on by it: grain lines as curves, each panel's scale.

models/panel_plan.py reads and checks what was marked; here is what only a curve tells.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidInput
from models.panel_plan import KnownLength, MarkedPanel, px_per_cm, read_plan, wrong
from worker.photo_look.grain import GrainLine, grain_line

Points = NDArray[np.float64]  # (n, 2): x, y in pixels of the photo

TROUSERS = frozenset({"rleg", "lleg"})


@dataclass(frozen=True, eq=False)
class PanelMark:
    """One panel, with the grain line that it lies along."""

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
    marked = read_plan(plan, size_px)
    panels = {panel.key: panel for panel in marked.panels}
    lines = {panel.key: grain_line(np.array(panel.grain)) for panel in marked.panels if panel.grain}
    scale = _px_per_cm(marked.scale, lines)
    return PanelPlan(scale, tuple(_mark(panel, panels, lines, scale) for panel in marked.panels))


def _px_per_cm(known: KnownLength, lines: Mapping[str, GrainLine]) -> float:
    length_px = lines[known.panel].length_px if known.length_px is None else known.length_px
    return px_per_cm(length_px, known.length_mm)


def _mark(
    panel: MarkedPanel,
    panels: Mapping[str, MarkedPanel],
    lines: Mapping[str, GrainLine],
    scale_px_per_cm: float,
) -> PanelMark:
    owner, line = panels[panel.grain_of], lines[panel.grain_of]
    outline = np.array(panel.outline)
    if owner is panel and not _touches(line, outline):
        raise wrong(panel.key, "grain", "la línea de hilo no pasa por el panel")
    return PanelMark(
        key=panel.key,
        name=panel.name,
        outline=outline,
        grain_of=owner.key,
        grain=line,
        px_per_cm=_px_per_cm_along(owner, line, scale_px_per_cm),
        turn_deg=owner.turn_deg,
        level=panel.level,
    )


def _px_per_cm_along(owner: MarkedPanel, line: GrainLine, scale_px_per_cm: float) -> float:
    """A stated length of the grain line corrects for cloth that leans to or from the camera."""
    if owner.length_mm is None:
        return scale_px_per_cm
    along = line.length_px / owner.length_mm * 10
    if not 0.5 < along / scale_px_per_cm < 2:
        raise wrong(owner.key, "length_mm", "no concuerda con la escala de la foto, ni de lejos")
    return along


def _touches(line: GrainLine, outline: Points) -> bool:
    contour = outline.astype(np.float32)
    return any(
        cv2.pointPolygonTest(contour, (float(x), float(y)), False) >= 0 for x, y in line.at[::4]
    )
