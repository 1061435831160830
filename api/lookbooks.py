"""/api/v1: lookbooks of a client's looks, the links that share them, and a QR code of a link."""

import io
from datetime import datetime
from typing import Annotated
from uuid import UUID

import segno
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from api.clients import Keeper, Version
from api.deps import NEVER_CACHED, BaseUrl, Transaction
from api.schemas import Strict
from models import lookbooks
from models.errors import NotFound
from models.lookbooks import LOOKS_MAX, SHARE_DAYS_MAX, Link, Lookbook, Shown

Title = Annotated[str, Field(max_length=500)]

router = APIRouter(prefix="/api/v1", tags=["lookbooks"], dependencies=[NEVER_CACHED])


class LookbookCreate(Strict):
    title: Title


class ChosenLook(Strict):
    order_id: UUID
    cut: Annotated[str, Field(max_length=100)]
    note: Annotated[str, Field(max_length=2000)] = ""


class LookbookUpdate(Strict):
    """The title and all looks in their order; `version` is the one that was read."""

    title: Title
    looks: Annotated[list[ChosenLook], Field(max_length=LOOKS_MAX)]
    version: Version

    def chosen(self) -> list[lookbooks.Chosen]:
        return [lookbooks.Chosen(look.order_id, look.cut, look.note) for look in self.looks]


class ShareCreate(Strict):
    days: Annotated[int, Field(ge=1, le=SHARE_DAYS_MAX)] = 14


class CommentRead(BaseModel):
    words: str
    written_at: datetime


class LookbookLook(BaseModel):
    order_id: UUID
    cut: str
    note: str
    hearts: int
    comments: list[CommentRead]


class ShareRead(BaseModel):
    id: UUID
    url: str | None  # null once it no longer works
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


class LookbookRow(BaseModel):
    id: UUID
    client_id: UUID
    title: str
    version: int
    created_at: datetime
    updated_at: datetime


class LookbookRead(LookbookRow):
    looks: list[LookbookLook]
    shares: list[ShareRead]


# --- the lookbooks --------------------------------------------------------------------------------


@router.get("/clients/{id}/lookbooks")
def list_lookbooks(keeper: Keeper, session: Transaction, id: UUID) -> list[LookbookRow]:
    """Newest first."""
    found = lookbooks.of_client(session, id)
    return [LookbookRow.model_validate(book, from_attributes=True) for book in found]


@router.post("/clients/{id}/lookbooks", status_code=201)
def create(
    keeper: Keeper, session: Transaction, base: BaseUrl, id: UUID, body: LookbookCreate
) -> LookbookRead:
    """An empty one."""
    return _read(session, base, lookbooks.add(session, id, body.title, keeper.owner))


@router.get("/lookbooks/{id}")
def read(keeper: Keeper, session: Transaction, base: BaseUrl, id: UUID) -> LookbookRead:
    """With the hearts and comments that came back."""
    return _read(session, base, lookbooks.find(session, id))


@router.put("/lookbooks/{id}")
def update(
    keeper: Keeper, session: Transaction, base: BaseUrl, id: UUID, body: LookbookUpdate
) -> LookbookRead:
    """409 where somebody else saved after `version` had been read."""
    book = lookbooks.update(session, id, body.version, body.title, body.chosen())
    return _read(session, base, book)


@router.delete("/lookbooks/{id}", status_code=204)
def delete(keeper: Keeper, session: Transaction, id: UUID) -> None:
    """The looks stay in the client's book."""
    lookbooks.delete(session, id)


def _read(session: Transaction, base: str, book: Lookbook) -> LookbookRead:
    row = LookbookRow.model_validate(book, from_attributes=True)
    return LookbookRead(
        **row.model_dump(),
        looks=[_look(page) for page in lookbooks.pages(session, book.id)],
        shares=[_share(base, link) for link in lookbooks.links(session, book.id)],
    )


def _look(page: Shown) -> LookbookLook:
    comments = [CommentRead(words=c.words, written_at=c.written_at) for c in page.comments]
    return LookbookLook(
        order_id=page.order.id,
        cut=page.cut,
        note=page.note,
        hearts=page.hearts,
        comments=comments,
    )


# --- the links ------------------------------------------------------------------------------------


@router.post("/lookbooks/{id}/shares", status_code=201)
def share(
    keeper: Keeper, session: Transaction, base: BaseUrl, id: UUID, body: ShareCreate
) -> ShareRead:
    """A link that works without signing in, until it ends or is revoked."""
    return _share(base, lookbooks.share(session, id, body.days, keeper.owner))


@router.delete("/lookbooks/{id}/shares/{share_id}", status_code=204)
def revoke(keeper: Keeper, session: Transaction, id: UUID, share_id: UUID) -> None:
    lookbooks.revoke(session, id, share_id)


@router.get(
    "/lookbooks/{id}/shares/{share_id}/qr",
    response_class=Response,
    responses={200: {"content": {"image/svg+xml": {}}}},
)
def read_qr(
    keeper: Keeper, session: Transaction, base: BaseUrl, id: UUID, share_id: UUID
) -> Response:
    """The link as a QR code, an SVG. 404 once it no longer works."""
    links = lookbooks.links(session, id)
    url = next((url_of(base, link) for link in links if link.id == share_id and link.is_open), None)
    if url is None:
        raise NotFound(lookbooks.LINK_OVER)
    return Response(qr_svg(url), media_type="image/svg+xml")


def url_of(base: str, link: Link) -> str:
    return f"{base}/s/{link.token}"


def qr_svg(url: str) -> bytes:
    """Dark on white with its quiet zone, whatever the page's theme: scanners need both."""
    out = io.BytesIO()
    code = segno.make_qr(url, error="m")
    code.save(out, kind="svg", border=4, dark="#1c1b19", light="#ffffff", omitsize=True)
    return out.getvalue()


def _share(base: str, link: Link) -> ShareRead:
    return ShareRead(
        id=link.id,
        url=url_of(base, link) if link.is_open else None,
        created_at=link.created_at,
        expires_at=link.expires_at,
        revoked_at=link.revoked_at,
    )
