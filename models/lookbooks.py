"""Lookbooks: looks of one client in an order, with notes; shared by links that end.

A link carries the share's id and a MAC of it under JWT_SECRET: nothing in the database opens it,
and the house can show it again. It works until it expires, is revoked, or the client withdraws
their consent. What comes back through it (hearts, comments) is bounded.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Row, func, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import audit, clients, generations
from models.base import Base, CreatedAt, IntegerKey, UpdatedAt, UuidKey, uuid7
from models.catalogue import EditedMeanwhile
from models.errors import Conflict, InvalidInput, NotFound
from models.settings import settings
from models.views import CutView, GenerationView

TITLE_MAX_CHARACTERS = 120
NOTE_MAX_CHARACTERS = 400
LOOKS_MAX = 24
SHARE_DAYS_MAX = 90
COMMENT_MAX_CHARACTERS = 500
COMMENTS_MAX = 50  # through one link
MAC_BYTES = 20
MISSING = "No existe ese lookbook."
LINK_OVER = "Este enlace ya no está disponible."


class CommentsFull(Conflict):
    """As many comments came through this link as the house reads."""

    code = "comments-full"


class Lookbook(Base):
    """One lookbook of one client, which goes when the client is erased."""

    __tablename__ = "lookbooks"
    __table_args__ = (Index(None, "client_id"),)

    id: Mapped[UuidKey]
    client_id: Mapped[UUID] = mapped_column(ForeignKey("clients.id", ondelete="CASCADE"))
    title: Mapped[str]
    created_by: Mapped[str]
    version: Mapped[int] = mapped_column(server_default="1", default=1)
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]


class LookbookPage(Base):
    """One cut of one of the client's looks, at its place in the lookbook."""

    __tablename__ = "lookbook_pages"
    __table_args__ = (
        Index("lookbook_pages_once", "lookbook_id", "look_id", "cut", unique=True),
        Index(None, "look_id"),
    )

    id: Mapped[IntegerKey]
    lookbook_id: Mapped[UUID] = mapped_column(ForeignKey("lookbooks.id", ondelete="CASCADE"))
    look_id: Mapped[int] = mapped_column(ForeignKey("client_looks.id", ondelete="CASCADE"))
    cut: Mapped[str]
    place: Mapped[int]
    note: Mapped[str]  # the client reads it


class LookbookShare(Base):
    """A link to a lookbook that works without signing in."""

    __tablename__ = "lookbook_shares"
    __table_args__ = (Index(None, "lookbook_id"),)

    id: Mapped[UuidKey]
    lookbook_id: Mapped[UUID] = mapped_column(ForeignKey("lookbooks.id", ondelete="CASCADE"))
    created_by: Mapped[str]
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class LookbookHeart(Base):
    """Whoever has the link likes this look."""

    __tablename__ = "lookbook_hearts"
    __table_args__ = (Index(None, "page_id"),)

    share_id: Mapped[UUID] = mapped_column(
        ForeignKey("lookbook_shares.id", ondelete="CASCADE"), primary_key=True
    )
    page_id: Mapped[int] = mapped_column(
        ForeignKey("lookbook_pages.id", ondelete="CASCADE"), primary_key=True
    )
    given_at: Mapped[CreatedAt]


class LookbookComment(Base):
    """What somebody with the link wrote about a look."""

    __tablename__ = "lookbook_comments"
    __table_args__ = (Index(None, "share_id"), Index(None, "page_id"))

    id: Mapped[IntegerKey]
    share_id: Mapped[UUID] = mapped_column(ForeignKey("lookbook_shares.id", ondelete="CASCADE"))
    page_id: Mapped[int] = mapped_column(ForeignKey("lookbook_pages.id", ondelete="CASCADE"))
    words: Mapped[str]
    written_at: Mapped[CreatedAt]


@dataclass(frozen=True)
class Chosen:
    """A look as the stylist puts it into a lookbook."""

    generation_id: UUID
    cut: str
    note: str = ""


@dataclass(frozen=True)
class Shown:
    """A page of a lookbook as it is shown. `job` is None while it has no picture."""

    id: int
    note: str
    order: GenerationView
    cut: str
    cut_name: str
    fabric: Row[Any]  # swatch_code, family_name, mill, composition, weight_g_m2; None: not known
    job: CutView | None
    hearts: int = 0
    comments: list[Row[Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Link:
    """A share with the token that opens it."""

    id: UUID
    token: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    is_open: bool


# --- making one -----------------------------------------------------------------------------------


def add(session: Session, client_id: UUID, title: str, by: str) -> Lookbook:
    """An empty one. Raises NotFound, NoConsent and InvalidInput."""
    clients.find_consenting(session, client_id)
    lookbook = Lookbook(id=uuid7(), client_id=client_id, title=_checked_title(title), created_by=by)
    session.add(lookbook)
    session.flush()
    session.refresh(lookbook)
    _log(session, "create", lookbook.id)
    return lookbook


def find(session: Session, id: UUID, to_write: bool = False) -> Lookbook:
    """Raises NotFound."""
    found = session.get(Lookbook, id, with_for_update=True if to_write else None)
    if found is None:
        raise NotFound(MISSING)
    return found


def of_client(session: Session, client_id: UUID) -> Sequence[Lookbook]:
    """Newest first."""
    query = select(Lookbook).where(Lookbook.client_id == client_id)
    return session.scalars(query.order_by(Lookbook.id.desc())).all()


def update(
    session: Session, id: UUID, version: int, title: str, chosen: Sequence[Chosen]
) -> Lookbook:
    """The title, and all its looks in their order; hearts and comments stay with a look that
    stays. `version` is the one that the editor had read.

    Raises NotFound, NoConsent, InvalidInput and EditedMeanwhile."""
    lookbook = _writable(session, id)
    if lookbook.version != version:
        raise EditedMeanwhile("Alguien más cambió este lookbook mientras lo editabas.")
    _replace_pages(session, lookbook, chosen)
    lookbook.title = _checked_title(title)
    lookbook.version += 1
    session.flush()
    session.refresh(lookbook)
    _log(session, "update", id, looks=len(chosen))
    return lookbook


def delete(session: Session, id: UUID) -> None:
    """With its links and what came through them; the looks stay. Raises NotFound."""
    session.delete(find(session, id, to_write=True))
    session.flush()
    _log(session, "delete", id)


CHOOSABLE = text("""
SELECT l.id, l.generation_id, g.cuts
  FROM client_looks l JOIN generations g ON g.id = l.generation_id WHERE l.client_id = :client_id
""")
FORGET_PAGES = text("""
DELETE FROM lookbook_pages p WHERE p.lookbook_id = :lookbook_id
   AND NOT EXISTS (SELECT 1 FROM unnest(CAST(:looks AS bigint[]), CAST(:cuts AS text[]))
                                 AS kept (look_id, cut)
                    WHERE kept.look_id = p.look_id AND kept.cut = p.cut)
""")
PUT_PAGE = text("""
INSERT INTO lookbook_pages (lookbook_id, look_id, cut, place, note)
VALUES (:lookbook_id, :look_id, :cut, :place, :note)
ON CONFLICT (lookbook_id, look_id, cut) DO UPDATE SET place = excluded.place, note = excluded.note
""")


def _replace_pages(session: Session, lookbook: Lookbook, chosen: Sequence[Chosen]) -> None:
    pages = _checked_pages(session, lookbook, chosen)
    where = {"lookbook_id": lookbook.id}
    kept = {"looks": [p["look_id"] for p in pages], "cuts": [p["cut"] for p in pages]}
    session.execute(FORGET_PAGES, where | kept)
    for place, page in enumerate(pages):
        session.execute(PUT_PAGE, where | page | {"place": place})


def _checked_pages(
    session: Session, lookbook: Lookbook, chosen: Sequence[Chosen]
) -> list[dict[str, Any]]:
    if len(chosen) > LOOKS_MAX:
        raise InvalidInput(f"Caben {LOOKS_MAX} trajes como máximo.", "looks")
    if len({(c.generation_id, c.cut) for c in chosen}) < len(chosen):
        raise InvalidInput("Hay un traje repetido.", "looks")
    rows = session.execute(CHOOSABLE, {"client_id": lookbook.client_id}).all()
    theirs = {(row.generation_id, cut): row.id for row in rows for cut in row.cuts}
    if not all((c.generation_id, c.cut) in theirs for c in chosen):
        raise InvalidInput("Ese traje no está en el libro del cliente.", "looks")
    if any(len(c.note) > NOTE_MAX_CHARACTERS for c in chosen):
        raise InvalidInput(f"La nota tiene como máximo {NOTE_MAX_CHARACTERS} letras.", "looks")
    return [
        {"look_id": theirs[c.generation_id, c.cut], "cut": c.cut, "note": c.note.strip()}
        for c in chosen
    ]


def _checked_title(title: str) -> str:
    title = " ".join(title.split())
    if not title or len(title) > TITLE_MAX_CHARACTERS:
        raise InvalidInput(f"El título lleva de 1 a {TITLE_MAX_CHARACTERS} letras.", "title")
    return title


def _writable(session: Session, id: UUID) -> Lookbook:
    """Locked, as is its client: whoever is being erased gets nothing more."""
    clients.find_consenting(session, find(session, id).client_id)
    return find(session, id, to_write=True)


# --- reading one ----------------------------------------------------------------------------------


PAGES = text("""
SELECT p.id, p.note, p.cut, l.generation_id, coalesce(k.name, p.cut) AS cut_name,
       m.display_name AS family_name, f.swatch_code, f.mill, f.composition, f.weight_g_m2,
       (SELECT count(*) FROM lookbook_hearts h WHERE h.page_id = p.id) AS hearts
  FROM lookbook_pages p
  JOIN client_looks l ON l.id = p.look_id
  JOIN generations g ON g.id = l.generation_id
  LEFT JOIN looks k ON k.cut = p.cut
  LEFT JOIN fabrics f ON f.color_id = g.color_id AND NOT g.uploaded_swatch
  LEFT JOIN fabric_families m ON m.family_id = g.family_id AND NOT g.uploaded_swatch
 WHERE p.lookbook_id = :id ORDER BY p.place, p.id
""")
COMMENTS = text("""
SELECT c.id, c.page_id, c.share_id, c.words, c.written_at
  FROM lookbook_comments c JOIN lookbook_pages p ON p.id = c.page_id
 WHERE p.lookbook_id = :id ORDER BY c.id
""")


def pages(session: Session, id: UUID) -> list[Shown]:
    """In the lookbook's order, with the hearts and comments that came back."""
    rows = session.execute(PAGES, {"id": id}).all()
    orders = generations.read_many(session, list({row.generation_id for row in rows}))
    by_id = {order.id: order for order in orders}
    comments = session.execute(COMMENTS, {"id": id}).all()
    return [
        Shown(
            id=row.id,
            note=row.note,
            order=by_id[row.generation_id],
            cut=row.cut,
            cut_name=row.cut_name,
            fabric=row,
            job=next((job for job in by_id[row.generation_id].best if job.cut == row.cut), None),
            hearts=row.hearts,
            comments=[comment for comment in comments if comment.page_id == row.id],
        )
        for row in rows
    ]


# --- sharing it -----------------------------------------------------------------------------------


def share(session: Session, id: UUID, days: int, by: str) -> Link:
    """A new link for 1 to SHARE_DAYS_MAX days. Raises NotFound, NoConsent and InvalidInput."""
    if not 1 <= days <= SHARE_DAYS_MAX:
        raise InvalidInput(f"Un enlace dura de 1 a {SHARE_DAYS_MAX} días.", "days")
    _writable(session, id)
    ends = func.now() + text(f"interval '{int(days)} days'")
    made = LookbookShare(id=uuid7(), lookbook_id=id, created_by=by, expires_at=ends)
    session.add(made)
    session.flush()
    _log(session, "share", id, share=str(made.id), days=days)
    return next(link for link in links(session, id) if link.id == made.id)


LINKS = text("""
SELECT id, created_at, expires_at, revoked_at,
       revoked_at IS NULL AND expires_at > now() AS is_open
  FROM lookbook_shares WHERE lookbook_id = :id ORDER BY id DESC
""")
REVOKE = text("""
UPDATE lookbook_shares SET revoked_at = coalesce(revoked_at, now())
 WHERE id = :share_id AND lookbook_id = :id RETURNING id
""")


def links(session: Session, id: UUID) -> list[Link]:
    """All links to it, newest first."""
    rows = session.execute(LINKS, {"id": id})
    return [Link(token=token(row.id), **row._mapping) for row in rows]


def revoke(session: Session, id: UUID, share_id: UUID) -> None:
    """Twice is once. Raises NotFound."""
    if session.scalar(REVOKE, {"id": id, "share_id": share_id}) is None:
        raise NotFound("No existe ese enlace.")
    _log(session, "revoke", id, share=str(share_id))


def token(share_id: UUID) -> str:
    """What the link ends with: 16 bytes of id, then 160 bits of HMAC-SHA256, in base64url."""
    return base64.urlsafe_b64encode(share_id.bytes + _mac(share_id)).decode()


def _mac(share_id: UUID) -> bytes:
    secret = settings().signing_secret.encode()
    return hmac.new(secret, b"lookbook " + share_id.bytes, hashlib.sha256).digest()[:MAC_BYTES]


# --- through the link -----------------------------------------------------------------------------


OPEN = text("""
SELECT s.id, s.lookbook_id, s.expires_at, b.title
  FROM lookbook_shares s JOIN lookbooks b ON b.id = s.lookbook_id
 WHERE s.id = :id AND s.revoked_at IS NULL AND s.expires_at > now()
""")
HEARTS = text("SELECT page_id FROM lookbook_hearts WHERE share_id = :share_id")
ON_IT = text("""
SELECT p.id FROM lookbook_pages p JOIN lookbook_shares s ON s.lookbook_id = p.lookbook_id
 WHERE s.id = :share_id AND p.id = :page_id FOR SHARE OF p
""")
GIVE_HEART = text("""
INSERT INTO lookbook_hearts (share_id, page_id) VALUES (:share_id, :page_id) ON CONFLICT DO NOTHING
""")
TAKE_HEART = text("DELETE FROM lookbook_hearts WHERE share_id = :share_id AND page_id = :page_id")
ONE_AT_A_TIME = text("SELECT id FROM lookbook_shares WHERE id = :share_id FOR UPDATE")
WRITTEN = text("SELECT count(*) FROM lookbook_comments WHERE share_id = :share_id")
WRITE = text("""
INSERT INTO lookbook_comments (share_id, page_id, words) VALUES (:share_id, :page_id, :words)
""")


def opened(session: Session, given: str) -> Row[Any]:
    """The share that this token opens: `id`, `lookbook_id`, `title`, `expires_at`. Raises NotFound
    for every link that does not work, whatever the reason."""
    row = session.execute(OPEN, {"id": _share_id(given)}).one_or_none()
    if row is None:
        raise NotFound(LINK_OVER)
    return row


def _share_id(given: str) -> UUID:
    """Raises NotFound for a token that we did not make."""
    try:
        plain = base64.urlsafe_b64decode(given.encode("ascii"))
    except (binascii.Error, ValueError):
        raise NotFound(LINK_OVER) from None
    if len(plain) != 16 + MAC_BYTES:
        raise NotFound(LINK_OVER)
    share_id = UUID(bytes=plain[:16])
    if not hmac.compare_digest(_mac(share_id), plain[16:]):
        raise NotFound(LINK_OVER)
    return share_id


def hearts(session: Session, share_id: UUID) -> set[int]:
    """The pages that this link's holder likes."""
    return set(session.scalars(HEARTS, {"share_id": share_id}))


def set_heart(session: Session, share_id: UUID, page_id: int, given: bool) -> None:
    """Raises NotFound for a page of another lookbook."""
    where = _page(session, share_id, page_id)
    session.execute(GIVE_HEART if given else TAKE_HEART, where)


def comment(session: Session, share_id: UUID, page_id: int, words: str) -> None:
    """Raises NotFound, InvalidInput and CommentsFull."""
    where = _page(session, share_id, page_id)
    words = words.strip()
    if not words or len(words) > COMMENT_MAX_CHARACTERS:
        message = f"El comentario lleva de 1 a {COMMENT_MAX_CHARACTERS} letras."
        raise InvalidInput(message, "words")
    session.execute(ONE_AT_A_TIME, {"share_id": share_id})
    if (session.scalar(WRITTEN, {"share_id": share_id}) or 0) >= COMMENTS_MAX:
        raise CommentsFull("Ya hay muchos comentarios; coméntalo en la casa.")
    session.execute(WRITE, where | {"words": words})


def _page(session: Session, share_id: UUID, page_id: int) -> dict[str, Any]:
    where = {"share_id": share_id, "page_id": page_id}
    if session.scalar(ON_IT, where) is None:
        raise NotFound("Ese traje ya no está en el lookbook.")
    return where


def _log(session: Session, action: str, id: UUID, **after: Any) -> None:
    audit.record(session, action, ("lookbook", str(id)), after=after or None)
