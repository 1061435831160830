"""/api/v1/families and /api/v1/fabrics: the catalogue, with all that is known of each cloth.

A change names the state that it was made from, in `If-Match`: without it it is refused (428), and
where somebody else has written since (412). Nobody's work is lost to a program that did not look.
"""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from api.auth import READ_CATALOGUE, WRITE_CATALOGUE, Needs
from api.deps import BaseUrl, Transaction
from api.files import link
from api.if_match import FABRIC_AS_READ, FAMILY_AS_READ, IF_MATCH_NEEDED, etag
from api.schemas import (
    Hex,
    Identifier,
    LineName,
    Pattern,
    ProfileTold,
    RowId,
    RowKey,
    RowStatus,
    Strict,
    SwatchCode,
    Tags,
    Text,
    WeightGsm,
    WidthMm,
    told_of,
)
from models import catalogue, profiles
from models.catalogue import Fabric, FabricFamily, Page

MAY_READ, MAY_WRITE = [Depends(Needs(READ_CATALOGUE))], [Depends(Needs(WRITE_CATALOGUE))]
TO_FAMILY = [*MAY_WRITE, IF_MATCH_NEEDED, FAMILY_AS_READ]
TO_FABRIC = [*MAY_WRITE, IF_MATCH_NEEDED, FABRIC_AS_READ]
REFUSED: dict[int | str, dict[str, Any]] = {
    412: {"description": "somebody else has written since it was read"},
    428: {"description": "no If-Match"},
}
Sort = Annotated[int, Field(ge=0, le=10_000)]
Limit = Annotated[int, Query(ge=1, le=200)]
Offset = Annotated[int, Query(ge=0, le=1_000_000)]
Part = Annotated[str | None, Query(max_length=200)]

router = APIRouter(prefix="/api/v1", tags=["catalogue"])


class Exact(Strict):
    """A body whose numbers are numbers: "3" and true are not."""

    model_config = ConfigDict(strict=True)


class Facts(Exact):
    """What is known of a cloth; null where it is not."""

    swatch_code: SwatchCode | None = None
    swatch_width_mm: WidthMm | None = None
    mill: Text | None = None
    composition: Text | None = None
    weight_g_m2: WeightGsm | None = None
    pattern: Pattern | None = None


class FabricCreate(Facts):
    """A fabric and what is known of its cloth."""

    fabric_family_id: RowId
    color_id: Identifier
    name: LineName
    hex_value: Hex
    status: RowStatus = "active"
    tags: Tags = Field(default_factory=list)


class FabricChange(Facts):
    """Some of it anew. A null forgets what was known of the cloth, and else changes nothing."""

    fabric_family_id: RowId | None = None
    color_id: Identifier | None = None
    name: LineName | None = None
    hex_value: Hex | None = None
    status: RowStatus | None = None
    tags: Tags | None = None


class FabricRead(BaseModel):
    id: int
    fabric_family_id: int
    color_id: str
    name: str
    hex_value: str
    status: RowStatus
    swatch_code: str | None
    swatch_url: str | None
    swatch_width_mm: float | None
    mill: str | None
    composition: str | None
    weight_g_m2: int | None
    pattern: str | None
    tags: list[str]
    created_at: datetime
    updated_at: datetime


class FabricProfiled(FabricRead, ProfileTold):
    """A fabric with what its swatch shows."""


class FamilyCreate(Exact):
    """`sort` is where the sales floor shows it."""

    family_id: Identifier
    display_name: LineName
    status: RowStatus = "active"
    sort: Sort = 0


class FamilyChange(Exact):
    """Some of it anew; a null changes nothing."""

    family_id: Identifier | None = None
    display_name: LineName | None = None
    status: RowStatus | None = None
    sort: Sort | None = None


class FamilyRead(BaseModel):
    id: int
    family_id: str
    display_name: str
    status: RowStatus
    sort: int
    fabrics: int
    created_at: datetime
    updated_at: datetime


# --- families -------------------------------------------------------------------------------------


@router.get("/families", dependencies=MAY_READ)
def list_families(
    session: Transaction, q: Part = None, limit: Limit = 50, offset: Offset = 0
) -> list[FamilyRead]:
    """By name; `q` is a part of it or of the id."""
    return [_family(row) for row in catalogue.list_families(session, Page(limit, offset), q)]


@router.post("/families", status_code=201, dependencies=MAY_WRITE)
def create_family(body: FamilyCreate, session: Transaction, response: Response) -> FamilyRead:
    made = catalogue.create_family(session, body.model_dump(), [])
    return _family_told(made, response)


@router.get("/families/{id}", dependencies=MAY_READ)
def read_family(id: RowKey, session: Transaction, response: Response) -> FamilyRead:
    """Its ETag changes with it and with each of its fabrics."""
    return _family_told(catalogue.family(session, id), response)


@router.patch("/families/{id}", dependencies=TO_FAMILY, responses=REFUSED)
def change_family(
    id: RowKey, body: FamilyChange, session: Transaction, response: Response
) -> FamilyRead:
    changed = catalogue.update_family(session, id, body.changes())
    return _family_told(changed, response)


@router.delete("/families/{id}", status_code=204, dependencies=TO_FAMILY, responses=REFUSED)
def delete_family(id: RowKey, session: Transaction) -> None:
    """With its fabrics; the console can bring all of it back."""
    catalogue.delete_family(session, id)


# --- fabrics --------------------------------------------------------------------------------------


@router.get("/fabrics", dependencies=MAY_READ)
def list_fabrics(
    session: Transaction,
    base: BaseUrl,
    q: Part = None,
    family_id: Part = None,
    tag: Part = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> list[FabricRead]:
    """By name; `q` is a part of it, of the id or of the swatch code."""
    rows = catalogue.list_fabrics(session, Page(limit, offset), q, family_id, tag=tag)
    return [_fabric(base, row) for row in rows]


@router.post("/fabrics", status_code=201, dependencies=MAY_WRITE)
def create_fabric(
    body: FabricCreate, session: Transaction, base: BaseUrl, response: Response
) -> FabricRead:
    """Without a swatch: the suit is a plain twill of its colour until one is uploaded."""
    made = catalogue.create_fabric(session, body.model_dump())
    return _fabric_told(base, made, response)


@router.get("/fabrics/{id}", dependencies=MAY_READ)
def read_fabric(
    id: RowKey, session: Transaction, base: BaseUrl, response: Response
) -> FabricProfiled:
    """A fabric, with what its swatch shows: its `profile` is null until a worker has read it."""
    row = catalogue.fabric(session, id)
    told = told_of(profiles.reading(session, row))
    return FabricProfiled(**_fabric_told(base, row, response).model_dump(), **told)


@router.patch("/fabrics/{id}", dependencies=TO_FABRIC, responses=REFUSED)
def change_fabric(
    id: RowKey, body: FabricChange, session: Transaction, base: BaseUrl, response: Response
) -> FabricRead:
    changed = catalogue.update_fabric(session, id, body.changes(*Facts.model_fields))
    return _fabric_told(base, changed, response)


@router.delete("/fabrics/{id}", status_code=204, dependencies=TO_FABRIC, responses=REFUSED)
def delete_fabric(id: RowKey, session: Transaction) -> None:
    """Orders keep their own copy; the console can bring it back."""
    catalogue.delete_fabric(session, id)


# --- between rows and the wire --------------------------------------------------------------------


def _family_told(row: FabricFamily, response: Response) -> FamilyRead:
    response.headers["ETag"] = etag(row)
    return _family(row)


def _family(row: FabricFamily) -> FamilyRead:
    of_row = {name: getattr(row, name, None) for name in FamilyRead.model_fields}
    return FamilyRead.model_validate(of_row | {"fabrics": len(row.fabrics)})


def _fabric_told(base: str, row: Fabric, response: Response) -> FabricRead:
    response.headers["ETag"] = etag(row)
    return _fabric(base, row)


def _fabric(base: str, row: Fabric) -> FabricRead:
    of_row = {name: getattr(row, name, None) for name in FabricRead.model_fields}
    url = link(base, row.swatch_key) if row.swatch_key else None
    return FabricRead.model_validate(of_row | {"swatch_url": url})
