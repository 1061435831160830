"""Garment styles as data: what tells one cut from another, in a few numbers (styles/*.toml)."""

import tomllib
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from devops.looks.body import Body

LAPELS = ("notch", "peak", "shawl")
NECKWEAR = ("tie", "bow")


@dataclass(frozen=True)
class Fastening:
    """A button: x and z above the waist, cm. `hole`: it goes through a worked hole of the top
    front; `under`: it sits on the front that lies below, and its hole, if any, is left open."""

    x: float
    z: float
    hole: bool = False
    under: bool = False


@dataclass(frozen=True)
class Style:
    """One cut. Heights are above the waist, in cm; x as in the front view."""

    name: str
    name_es: str
    description: str
    place: int  # among the cuts on offer
    break_above_waist: float  # where the lapel starts to roll
    front_edge_x: float  # of the top front, at the break
    lapel: Literal["notch", "peak", "shawl"]
    neckwear: Literal["tie", "bow"]
    buttons: tuple[Fastening, ...]
    double: bool = False
    flaps: bool = False
    satin: bool = False  # lapels, collar and buttons
    waistcoat: bool = False


@dataclass(frozen=True)
class Cut:
    """A style on a body: what every piece is drawn from."""

    body: Body
    style: Style

    @cached_property
    def break_z(self) -> float:
        return self.waist_z + self.style.break_above_waist

    @cached_property
    def waist_z(self) -> float:
        return self.body.size.waist_z

    @cached_property
    def hem_z(self) -> float:
        return self.body.size.hem_z

    @cached_property
    def opens_z(self) -> float | None:
        """Where the fronts part, if buttons are left open: at the last one that is closed."""
        if not any(place.hole and place.under for place in self.style.buttons):
            return None
        return self.waist_z + min(place.z for place in self.style.buttons if not place.under)

    @cached_property
    def facing(self) -> str:
        """Material of lapels and collar."""
        return "satin" if self.style.satin else "cloth"


def load_style(path: Path) -> Style:
    """Read a style. Raises ValueError naming what is missing, unknown or out of place."""
    rows: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    if unknown := rows.keys() - {field.name for field in fields(Style)}:
        raise ValueError(f"{path}: unknown: {', '.join(sorted(unknown))}")
    if rows.get("lapel") not in LAPELS or rows.get("neckwear") not in NECKWEAR:
        raise ValueError(f"{path}: lapel is one of {LAPELS}, neckwear one of {NECKWEAR}")
    try:
        rows["buttons"] = tuple(Fastening(**row) for row in rows["buttons"])
        return Style(**rows)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error
