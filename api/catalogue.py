"""The console's older paths for families and fabrics: /admin/fabrics and /admin/colors."""

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response, UploadFile

from api.auth import READ_CATALOGUE, WRITE_CATALOGUE, Needs
from api.deps import BaseUrl, Transaction
from api.errors import BadRequest
from api.files import PUBLIC_PREFIX, key_of, link
from api.if_match import FABRIC_AS_READ, FAMILY_AS_READ, etag
from api.schemas import (
    ColorCreate,
    ColorMove,
    ColorPatch,
    ColorRead,
    FabricCreate,
    FabricPatch,
    FabricRead,
    RowKey,
    RowStatus,
    StatusPatch,
)
from api.swatches import clean_photo, read_capped
from models import catalogue, swatches
from models.catalogue import Page
from models.database import Session
from models.errors import InvalidInput, NotFound
from models.storage import put_named_by_hash, storage

MAY_READ, MAY_WRITE = [Depends(Needs(READ_CATALOGUE))], [Depends(Needs(WRITE_CATALOGUE))]
Limit = Annotated[int, Query(ge=1, le=200)]
Offset = Annotated[int, Query(ge=0, le=1_000_000)]
Part = Annotated[str | None, Query(max_length=200)]
Id = RowKey

router = APIRouter(prefix="/admin", tags=["catalogue"])


# --- families -------------------------------------------------------------------------------------


@router.get("/fabrics", dependencies=MAY_READ)
def list_families(
    session: Transaction,
    base: BaseUrl,
    q: Part = None,
    status_filter: RowStatus | None = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> list[FabricRead]:
    rows = catalogue.list_families(session, Page(limit, offset), q, status_filter)
    return [_family(base, row) for row in rows]


@router.post("/fabrics", status_code=201, dependencies=MAY_WRITE)
def create_family(body: FabricCreate, session: Transaction, base: BaseUrl) -> FabricRead:
    fabrics = [_fabric_fields(session, base, color) for color in body.colors]
    fields = body.model_dump(exclude={"colors"})
    return _family(base, catalogue.create_family(session, fields, fabrics))


@router.get("/fabrics/{id}", dependencies=MAY_READ)
def read_family(id: Id, session: Transaction, base: BaseUrl, response: Response) -> FabricRead:
    found = catalogue.family(session, id)
    response.headers["ETag"] = etag(found)
    return _family(base, found)


@router.patch("/fabrics/{id}", dependencies=[*MAY_WRITE, FAMILY_AS_READ])
def change_family(
    id: Id, body: FabricPatch, session: Transaction, base: BaseUrl, response: Response
) -> FabricRead:
    """Change some fields; `colors` replaces the whole list, and keeps rows whose color_id stays."""
    fabrics = None
    if body.colors is not None:
        fabrics = [_fabric_fields(session, base, color) for color in body.colors]
    changes = body.changes(but=("colors",))
    changed = catalogue.update_family(session, id, changes, fabrics)
    response.headers["ETag"] = etag(changed)
    return _family(base, changed)


@router.delete("/fabrics/{id}", status_code=204, dependencies=[*MAY_WRITE, FAMILY_AS_READ])
def delete_family(id: Id, session: Transaction) -> None:
    catalogue.delete_family(session, id)


@router.patch("/fabrics/{id}/status", dependencies=[*MAY_WRITE, FAMILY_AS_READ])
def set_family_status(id: Id, body: StatusPatch, session: Transaction, base: BaseUrl) -> FabricRead:
    return _family(base, catalogue.update_family(session, id, {"status": body.status}))


@router.post("/fabrics/{id}/deactivate", dependencies=[*MAY_WRITE, FAMILY_AS_READ])
def deactivate_family(id: Id, session: Transaction, base: BaseUrl) -> FabricRead:
    return _family(base, catalogue.update_family(session, id, {"status": "inactive"}))


@router.post("/fabrics/{id}/preview", dependencies=[*MAY_WRITE, FAMILY_AS_READ])
def set_family_preview(id: Id, file: UploadFile, session: Transaction, base: BaseUrl) -> FabricRead:
    """Store a picture that stands for the family."""
    content = clean_photo(read_capped(file)).content  # before the session has a connection
    catalogue.family(session, id)
    key = keep_picture(content, "family")
    return _family(base, catalogue.update_family(session, id, {"preview_key": key}))


# --- fabrics --------------------------------------------------------------------------------------


@router.get("/colors", dependencies=MAY_READ)
def list_fabrics(
    session: Transaction,
    base: BaseUrl,
    q: Part = None,
    family_id: Part = None,
    status_filter: RowStatus | None = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> list[ColorRead]:
    rows = catalogue.list_fabrics(session, Page(limit, offset), q, family_id, status_filter)
    return [_fabric(base, row) for row in rows]


@router.get("/colors/{id}", dependencies=MAY_READ)
def read_fabric(id: Id, session: Transaction, base: BaseUrl, response: Response) -> ColorRead:
    found = catalogue.fabric(session, id)
    response.headers["ETag"] = etag(found)
    return _fabric(base, found)


@router.patch("/colors/{id}", dependencies=[*MAY_WRITE, FABRIC_AS_READ])
def change_fabric(
    id: Id, body: ColorPatch, session: Transaction, base: BaseUrl, response: Response
) -> ColorRead:
    changes = body.changes("swatch_code", but=("swatch_url",))
    if "swatch_url" in body.model_fields_set:
        changes |= _swatch_fields(session, base, body.swatch_url)
    changed = catalogue.update_fabric(session, id, changes)
    response.headers["ETag"] = etag(changed)
    return _fabric(base, changed)


@router.patch("/colors/{id}/status", dependencies=[*MAY_WRITE, FABRIC_AS_READ])
def set_fabric_status(id: Id, body: StatusPatch, session: Transaction, base: BaseUrl) -> ColorRead:
    return _fabric(base, catalogue.update_fabric(session, id, {"status": body.status}))


@router.post(
    "/colors/{id}/move",
    dependencies=[*MAY_WRITE, FABRIC_AS_READ],
    responses={400: {"description": "no fabric_family_id"}},
)
def move_fabric(id: Id, body: ColorMove, session: Transaction, base: BaseUrl) -> ColorRead:
    if body.fabric_family_id is None:
        raise BadRequest("Falta la familia de destino.", "fabric_family_id")
    changes = {"fabric_family_id": body.fabric_family_id}
    return _fabric(base, catalogue.update_fabric(session, id, changes))


@router.delete("/colors/{id}", status_code=204, dependencies=[*MAY_WRITE, FABRIC_AS_READ])
def delete_fabric(id: Id, session: Transaction) -> None:
    catalogue.delete_fabric(session, id)


# --- between rows and the wire --------------------------------------------------------------------


def _fabric_fields(session: Session, base: str, color: ColorCreate) -> dict[str, Any]:
    fields = color.model_dump(exclude={"swatch_url"}, exclude_unset=True)
    if "swatch_url" in color.model_fields_set:
        fields |= _swatch_fields(session, base, color.swatch_url)
    return fields


def _swatch_fields(session: Session, base: str, url: str | None) -> dict[str, Any]:
    """The columns for a swatch that one of our own links names: another fabric's, or an upload,
    which is copied into the catalogue for good. Raises InvalidInput for anything else."""
    names = ("swatch_key", "swatch_sha256", "swatch_kind", "swatch_width_mm", "thumbnail_key")
    if url is None:
        return dict.fromkeys(names)
    key = key_of(base, url)
    for fabric in catalogue.fabrics_with_swatch(session, key):
        return {name: getattr(fabric, name) for name in names}
    upload = swatches.orderable_by_key(session, key)
    try:
        content = storage().get(key)
    except NotFound:
        raise InvalidInput(swatches.GONE, "swatch_url") from None
    values = (keep_picture(content, "swatch"), upload.sha256, "photo", upload.width_mm, None)
    return dict(zip(names, values, strict=True))


def keep_picture(content: bytes, name: str) -> str:
    """Store a picture of the catalogue under its own hash; returns the key. Other bytes under that
    name are a broken copy: it is replaced."""
    key = f"{PUBLIC_PREFIX}{name}-{hashlib.sha256(content).hexdigest()[:32]}.jpg"
    put_named_by_hash(storage(), key, content, "image/jpeg")
    return key


def _family(base: str, row: catalogue.FabricFamily) -> FabricRead:
    return FabricRead.model_validate(
        {
            "id": row.id,
            "family_id": row.family_id,
            "display_name": row.display_name,
            "status": row.status,
            "colors": [_fabric(base, fabric) for fabric in row.fabrics],
            "created_at": row.created_at,
            "updated_at": row.updated_at,
        }
    )


def _fabric(base: str, row: catalogue.Fabric) -> ColorRead:
    return ColorRead.model_validate(
        {
            "id": row.id,
            "color_id": row.color_id,
            "name": row.name,
            "hex_value": row.hex_value,
            "swatch_code": row.swatch_code,
            "swatch_url": link(base, row.swatch_key) if row.swatch_key else None,
            "status": row.status,
            "fabric_family_id": row.fabric_family_id,
            "created_at": row.created_at,
            "updated_at": row.updated_at,
        }
    )
