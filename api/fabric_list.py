"""Lists of fabrics as CSV: written for a spreadsheet, and read back from what one makes of them.

A cell that a spreadsheet would take for a formula is written with an apostrophe before it, which is
how a spreadsheet marks text; the same apostrophe is taken away when the list comes back.
"""

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from api.schemas import (
    Hex,
    Identifier,
    LineName,
    Pattern,
    RowStatus,
    SwatchCode,
    Tags,
    Text,
    WeightGsm,
    WidthMm,
)
from models.catalogue import Fabric
from models.errors import InvalidInput
from models.imports import Line
from models.tags import BETWEEN

LIST_MAX_BYTES = 5_000_000
ROWS_MOST = 10_000
FORMULA = ("=", "+", "-", "@", "\t", "\r")
DELIMITERS = ",;\t"
NO_TEXT = "No pudimos leer la lista. Guárdala como CSV UTF-8."
NO_HEADER = "La primera fila lleva los nombres de las columnas, y entre ellos color_id."


def _parted(cell: str | None) -> list[str]:
    return BETWEEN.split(cell or "")


class FabricRow(BaseModel):
    """The columns of a list, by the rules of the JSON API. None: the cell is empty."""

    model_config = ConfigDict(extra="forbid")

    color_id: Identifier
    name: LineName | None = None
    family_id: Identifier | None = None
    hex_value: Hex | None = None
    swatch_code: SwatchCode | None = None
    status: RowStatus | None = None
    swatch_width_mm: WidthMm | None = None
    mill: Text | None = None
    composition: Text | None = None
    weight_g_m2: WeightGsm | None = None
    pattern: Pattern | None = None
    tags: Annotated[Tags, BeforeValidator(_parted)] = []


COLUMNS = tuple(FabricRow.model_fields)


def written(fabrics: Sequence[Fabric], family_ids: dict[int, str]) -> bytes:
    """With a byte order mark: without it spreadsheets take UTF-8 for something else."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for fabric in fabrics:
        cells = {name: getattr(fabric, name, None) for name in COLUMNS}
        cells["family_id"] = family_ids[fabric.fabric_family_id]
        writer.writerow([_guarded(cells[name]) for name in COLUMNS])
    return codecs.BOM_UTF8 + out.getvalue().encode()


def _guarded(value: Any) -> str:
    text = _text(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return "" if value is None else f"{value!r}" if isinstance(value, float) else str(value)


def read(content: bytes) -> list[Line]:
    """Raises InvalidInput for what is no such list; a row that is wrong says so itself."""
    if len(content) > LIST_MAX_BYTES:
        raise InvalidInput(f"La lista es demasiado grande; el máximo son {ROWS_MOST} filas.")
    try:
        rows = list(_rows(_decoded(content)))
    except csv.Error:
        raise InvalidInput(NO_TEXT, "file") from None
    if len(rows) > ROWS_MOST + 1:
        raise InvalidInput(f"La lista es demasiado grande; el máximo son {ROWS_MOST} filas.")
    header = [name.strip().lower() for name in rows[0][1]] if rows else []
    if "color_id" not in header or len(set(header)) < len(header):
        raise InvalidInput(NO_HEADER, "file")
    if unknown := sorted(set(header) - set(COLUMNS)):
        raise InvalidInput(f"No conocemos estas columnas: {', '.join(unknown)[:200]}", "file")
    return [_line(number, header, cells) for number, cells in rows[1:]]


def _decoded(content: bytes) -> str:
    """UTF-8, or UTF-16 that says so. What else it might be would be a guess, and wrong names."""
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput(NO_TEXT, "file") from None


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """(number of its line, cells) of every row that is not empty."""
    first = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield reader.line_num, cells


def _line(number: int, header: list[str], cells: list[str]) -> Line:
    if len(cells) > len(header):
        return Line(number, "", refusal="too_many_cells")
    given = {name: _bare(cell) for name, cell in zip(header, cells, strict=False)}
    color_id = given.get("color_id") or ""
    try:
        row = FabricRow.model_validate(given)
    except ValidationError as error:
        wrong = sorted({str(finding["loc"][0]) for finding in error.errors()})
        return Line(number, color_id[:100], refusal="wrong", facts={"columns": wrong})
    fields = {name: getattr(row, name) for name in given if name != "color_id"}
    return Line(number, row.color_id, fields)


def _bare(cell: str) -> str | None:
    """The cell's text; None for an empty one."""
    text = cell.strip()
    if text[:1] == "'" and text[1:].startswith(FORMULA):
        text = text[1:]
    return text or None
