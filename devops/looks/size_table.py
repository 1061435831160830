"""A tailor's size table: what the body measures and what the cutter adds, in centimetres."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

NAPE_Z = 97.0  # height of the nape in the studio; everything else hangs from it
HIP_BELOW_WAIST = 20.0


@dataclass(frozen=True)
class SizeTable:
    """One size. Girths are of the body (ISO 8559-1); lengths and width of the finished jacket."""

    name: str
    height: float
    chest: float
    waist: float
    hip: float
    neck: float
    jacket_length: float
    sleeve_length: float
    shoulder_width: float
    jacket_waist_length: float
    scye_depth: float
    chest_ease: float
    waist_ease: float
    hip_ease: float

    @property
    def waist_z(self) -> float:
        return NAPE_Z - self.jacket_waist_length

    @property
    def chest_z(self) -> float:
        return NAPE_Z - self.scye_depth

    @property
    def hip_z(self) -> float:
        return self.waist_z - HIP_BELOW_WAIST

    @property
    def hem_z(self) -> float:
        return NAPE_Z - self.jacket_length

    @property
    def jacket_girths(self) -> dict[float, float]:
        """Height → girth of the finished jacket there, ease included."""
        return {
            self.hip_z: self.hip + self.hip_ease,
            self.waist_z: self.waist + self.waist_ease,
            self.chest_z: self.chest + self.chest_ease,
        }


def load_size(path: Path) -> SizeTable:
    """Read a size. Raises ValueError naming what is missing, unknown or no positive number."""
    rows = tomllib.loads(path.read_text(encoding="utf-8"))
    names = {field.name for field in fields(SizeTable)}
    if wrong := names ^ rows.keys():
        raise ValueError(f"{path}: missing or unknown: {', '.join(sorted(wrong))}")
    lengths = {name: value for name, value in rows.items() if name != "name"}
    for name, value in lengths.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
            raise ValueError(f"{path}: {name} is {value!r}, not a positive length in cm")
    return SizeTable(str(rows["name"]), **{name: float(v) for name, v in lengths.items()})
