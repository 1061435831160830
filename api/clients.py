"""/api/v1/clients: the client book. Who keeps it, exports it and erases from it must be signed in.

What is read of a client is never cached, and what is asked for in a search is in no log.
"""

import json
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import datetime
from typing import IO, Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from api.auth import MANAGE_CLIENTS, Needs, Principal
from api.deps import NEVER_CACHED, BaseUrl, Transaction, transaction_of
from api.generations import generation_read
from api.schemas import GenerationRead, Strict
from models import clients, doomed, dossiers, erasures
from models.catalogue import Page
from models.dossiers import Dossier
from models.errors import NotFound
from models.storage import CHUNK_BYTES, storage

IN_MEMORY_BYTES = 8_000_000  # of an export; what is larger goes through a file
Keeper = Annotated[Principal, Depends(Needs(MANAGE_CLIENTS))]
Version = Annotated[int, Field(ge=1, le=2**31)]


router = APIRouter(prefix="/api/v1/clients", tags=["clients"], dependencies=[NEVER_CACHED])


class ClientFacts(Strict):
    name: Annotated[str, Field(max_length=500)]
    phone: Annotated[str, Field(max_length=500)] = ""
    note: Annotated[str, Field(max_length=5000)] = ""

    def facts(self) -> clients.Facts:
        return clients.Facts(self.name, self.phone, self.note)


class ClientCreate(ClientFacts):
    """`consents`: they were asked, and said yes."""

    consents: bool


class ClientUpdate(ClientFacts):
    """All facts anew; `version` is the one that was read."""

    version: Version


class Consent(Strict):
    given: bool


class ClientRow(BaseModel):
    id: UUID
    name: str
    phone: str
    consent_withdrawn_at: datetime | None
    looks: int
    last_look_at: datetime | None


class ClientRead(BaseModel):
    id: UUID
    name: str
    phone: str
    note: str
    consented_at: datetime
    consent_withdrawn_at: datetime | None
    recorded_by: str
    created_at: datetime
    updated_at: datetime
    version: int


class ClientLookRead(BaseModel):
    attached_at: datetime
    order: GenerationRead


class ErasureRead(BaseModel):
    """How many pictures the store has not deleted yet; it is asked again until none is left."""

    objects_left: int


# --- the people -----------------------------------------------------------------------------------


@router.get("")
def search(
    keeper: Keeper,
    session: Transaction,
    q: Annotated[str, Query(max_length=200)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> list[ClientRow]:
    """By name; every word of `q` is a part of the name or of the phone number."""
    rows = clients.search(session, q, Page(limit, offset))
    return [ClientRow.model_validate(row._asdict()) for row in rows]


@router.post("", status_code=201)
def create(keeper: Keeper, session: Transaction, body: ClientCreate) -> ClientRead:
    """422 without consent."""
    return _read(clients.add(session, body.facts(), body.consents, keeper.owner))


@router.get("/{id}")
def read(keeper: Keeper, session: Transaction, id: UUID) -> ClientRead:
    return _read(clients.find(session, id))


@router.put("/{id}")
def update(keeper: Keeper, session: Transaction, id: UUID, body: ClientUpdate) -> ClientRead:
    """409 where somebody else saved after `version` had been read."""
    return _read(clients.update(session, id, body.facts(), body.version))


@router.put("/{id}/consent")
def set_consent(keeper: Keeper, session: Transaction, id: UUID, body: Consent) -> ClientRead:
    """Withdrawing it ends every link to their lookbooks, and nothing more is added."""
    change = clients.give_consent if body.given else clients.withdraw_consent
    return _read(change(session, id))


def _read(client: clients.Client) -> ClientRead:
    return ClientRead.model_validate(client, from_attributes=True)


# --- their looks ----------------------------------------------------------------------------------


@router.get("/{id}/looks")
def list_looks(
    keeper: Keeper, session: Transaction, base: BaseUrl, id: UUID
) -> list[ClientLookRead]:
    """The last attached first."""
    clients.find(session, id)
    return [
        ClientLookRead(attached_at=look.attached_at, order=generation_read(look.order, base))
        for look in clients.looks(session, id)
    ]


@router.put("/{id}/looks/{order_id}", status_code=204)
def attach(keeper: Keeper, session: Transaction, id: UUID, order_id: UUID) -> None:
    """Twice is once."""
    clients.attach(session, id, order_id, keeper.owner)


@router.delete("/{id}/looks/{order_id}", status_code=204)
def detach(keeper: Keeper, session: Transaction, id: UUID, order_id: UUID) -> None:
    """The order itself stays."""
    clients.detach(session, id, order_id)


# --- all of it, and none of it --------------------------------------------------------------------


@router.post(
    "/{id}/export",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {}}}},
)
def export(keeper: Keeper, request: Request, id: UUID) -> StreamingResponse:
    """A ZIP of everything held about the client: `client.json`, and the pictures that it names.

    A POST, for it is written down in the log."""
    return export_of(request, id)


def export_of(request: Request, id: UUID) -> StreamingResponse:
    """No connection is held while pictures are read. Raises NotFound and StorageError."""
    with transaction_of(request) as session:
        dossier = dossiers.compile_dossier(session, id)
    headers = {"Content-Disposition": f'attachment; filename="client-{id}.zip"'}
    return StreamingResponse(
        _chunks(zipped(dossier)), headers=headers, media_type="application/zip"
    )


def zipped(dossier: Dossier) -> IO[bytes]:
    """The archive; a picture that is no longer in storage is named under `missing`."""
    out = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115 (closed by who reads it)
    missing = []
    with zipfile.ZipFile(out, "w") as archive:
        for name, key in dossier.pictures.items():
            try:
                archive.writestr(name, storage().get(key))
            except NotFound:
                missing.append(name)
        archive.writestr("client.json", _json(dossier.about | {"missing": missing}))
    out.seek(0)
    return out


def _json(about: dict[str, Any]) -> str:
    return json.dumps(about, ensure_ascii=False, indent=2, default=_plain)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


@router.delete("/{id}", responses={200: {"model": ErasureRead}})
def erase(keeper: Keeper, request: Request, id: UUID) -> ErasureRead:
    """Erase them, their lookbooks, and the orders and pictures that nobody else has."""
    return ErasureRead(objects_left=erase_now(request, id))


def erase_now(request: Request, id: UUID) -> int:
    """How many objects are left because the store failed; nothing points at them any more."""
    with transaction_of(request) as session:
        erasures.erase(session, id)
    return doomed.delete(storage())
