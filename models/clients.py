"""The client book: whom the house dresses, with their consent, and the looks made for them.

Nothing of it reaches the audit log or the logs but ids: what is written there cannot be erased.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Row, func, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import audit, generations
from models.base import Base, CreatedAt, IntegerKey, UpdatedAt, UuidKey, uuid7
from models.catalogue import EditedMeanwhile, Page
from models.errors import Conflict, InvalidInput, NotFound
from models.views import GenerationView

NAME_MAX_CHARACTERS = 120
PHONE_MAX_CHARACTERS = 40
NOTE_MAX_CHARACTERS = 2000
PHONE_SIGNS = set("0123456789+-() ./")
MISSING = "No existe ese cliente."


class NoConsent(Conflict):
    """The client has withdrawn their consent: nothing more is kept about them."""

    code = "no-consent"


class Client(Base):
    """One person. Without consent there is no row; after it is withdrawn the row can be read,
    exported and erased, and nothing is added to it."""

    __tablename__ = "clients"
    __table_args__ = (
        CheckConstraint("consent_withdrawn_at >= consented_at", name="consent"),
        Index(None, "folded"),
    )

    id: Mapped[UuidKey]
    name: Mapped[str]
    phone: Mapped[str]
    note: Mapped[str]
    folded: Mapped[str]  # what a search compares with
    recorded_by: Mapped[str]  # "user:3"
    consented_at: Mapped[datetime] = mapped_column(server_default=func.now())
    consent_withdrawn_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(server_default="1", default=1)
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]


class ClientLook(Base):
    """An order that was made for a client. One order may be in the book of several."""

    __tablename__ = "client_looks"
    __table_args__ = (
        Index("client_looks_once", "client_id", "generation_id", unique=True),
        Index(None, "generation_id"),
    )

    id: Mapped[IntegerKey]
    client_id: Mapped[UUID] = mapped_column(ForeignKey("clients.id", ondelete="CASCADE"))
    generation_id: Mapped[UUID] = mapped_column(ForeignKey("generations.id", ondelete="CASCADE"))
    attached_by: Mapped[str]
    attached_at: Mapped[CreatedAt]


@dataclass(frozen=True)
class Facts:
    """What is written down about a client."""

    name: str
    phone: str = ""
    note: str = ""


@dataclass(frozen=True)
class Look:
    """One of a client's looks, with the order that it is."""

    id: int
    attached_at: datetime
    order: GenerationView


# --- the people -----------------------------------------------------------------------------------


def add(session: Session, facts: Facts, consents: bool, by: str) -> Client:
    """Raises InvalidInput, also for somebody who has not consented."""
    if not consents:
        raise InvalidInput("Sin su consentimiento no se guarda a nadie.", "consents")
    client = Client(id=uuid7(), recorded_by=by, **_checked(facts))
    session.add(client)
    session.flush()
    session.refresh(client)
    _log(session, "create", client.id)
    return client


def find(session: Session, id: UUID, to_write: bool = False) -> Client:
    """Raises NotFound."""
    found = session.get(Client, id, with_for_update=True if to_write else None)
    if found is None:
        raise NotFound(MISSING)
    return found


def find_consenting(session: Session, id: UUID) -> Client:
    """To add something to their book. Raises NotFound and NoConsent."""
    client = find(session, id, to_write=True)
    if client.consent_withdrawn_at is not None:
        raise NoConsent("Retiró su consentimiento: ya no se le agrega nada.")
    return client


def update(session: Session, id: UUID, facts: Facts, version: int) -> Client:
    """`version` is the one that the editor had read.

    Raises NotFound, NoConsent, InvalidInput and EditedMeanwhile."""
    client = find_consenting(session, id)
    if client.version != version:
        raise EditedMeanwhile("Alguien más cambió esta ficha mientras la editabas.")
    checked = _checked(facts)
    changed = [name for name, value in checked.items() if getattr(client, name) != value]
    for name in changed:
        setattr(client, name, checked[name])
    client.version += 1
    session.flush()
    session.refresh(client)
    _log(session, "update", id, fields=[name for name in changed if name != "folded"])
    return client


def give_consent(session: Session, id: UUID) -> Client:
    """Anew, after it was withdrawn; otherwise nothing changes. Raises NotFound."""
    client = find(session, id, to_write=True)
    if client.consent_withdrawn_at is not None:
        client.consented_at = session.scalar(select(func.now())) or client.consented_at
        client.consent_withdrawn_at = None
        client.version += 1
        session.flush()
        session.refresh(client)
        _log(session, "consent", id)
    return client


REVOKE_SHARES = text("""
UPDATE lookbook_shares SET revoked_at = now()
 WHERE revoked_at IS NULL
   AND lookbook_id IN (SELECT id FROM lookbooks WHERE client_id = :id)
""")


def withdraw_consent(session: Session, id: UUID) -> Client:
    """From now on; links to their lookbooks stop working at once. Raises NotFound."""
    client = find(session, id, to_write=True)
    if client.consent_withdrawn_at is None:
        client.consent_withdrawn_at = session.scalar(select(func.now()))
        client.version += 1
        session.flush()
        session.execute(REVOKE_SHARES, {"id": id})
        session.refresh(client)
        _log(session, "withdraw", id)
    return client


SEARCH = text("""
SELECT c.id, c.name, c.phone, c.consent_withdrawn_at, l.looks, l.last_look_at
  FROM clients c
 CROSS JOIN LATERAL (SELECT count(*) AS looks, max(attached_at) AS last_look_at
                       FROM client_looks WHERE client_id = c.id) l
 WHERE c.folded LIKE ALL (CAST(:parts AS text[]))
 ORDER BY c.folded, c.id LIMIT :limit OFFSET :offset
""")


def search(session: Session, q: str, page: Page) -> Sequence[Row[Any]]:
    """By name. Every word of `q` is a part of the name or of the phone number, whatever the
    accents, capitals and signs; no words: everybody."""
    values = {
        "parts": parts(q),
        "limit": page.limit,
        "offset": page.offset,
    }
    return session.execute(SEARCH, values).all()


def parts(q: str) -> list[str]:
    """What `folded` must be LIKE, all of it, for somebody whom `q` finds; none: it finds all."""
    return [_part(word) for word in _words(q)]


# --- their looks ----------------------------------------------------------------------------------


ATTACH = text("""
INSERT INTO client_looks (client_id, generation_id, attached_by)
VALUES (:client_id, :generation_id, :by)
ON CONFLICT (client_id, generation_id) DO NOTHING RETURNING id
""")
DETACH = text("""
DELETE FROM client_looks WHERE client_id = :client_id AND generation_id = :generation_id
RETURNING id
""")
LOOKS = text("""
SELECT id, generation_id, attached_at FROM client_looks WHERE client_id = :id ORDER BY id DESC
""")
KEEP = text("SELECT id FROM generations WHERE id = :id FOR KEY SHARE")


def attach(session: Session, id: UUID, generation_id: UUID, by: str) -> None:
    """Twice is once. Raises NotFound for an unknown client or order, and NoConsent."""
    find_consenting(session, id)
    if session.scalar(KEEP, {"id": generation_id}) is None:
        raise NotFound("No existe ese pedido.")
    values = {"client_id": id, "generation_id": generation_id, "by": by}
    if session.scalar(ATTACH, values) is not None:
        _log(session, "attach", id, order=str(generation_id))


def detach(session: Session, id: UUID, generation_id: UUID) -> None:
    """Also from the client's lookbooks; the order itself stays. Raises NotFound."""
    find(session, id, to_write=True)
    values = {"client_id": id, "generation_id": generation_id}
    if session.scalar(DETACH, values) is None:
        raise NotFound("Ese traje no está en su libro.")
    _log(session, "detach", id, order=str(generation_id))


def looks(session: Session, id: UUID) -> list[Look]:
    """The last attached first."""
    rows = session.execute(LOOKS, {"id": id}).all()
    orders = generations.read_many(session, [row.generation_id for row in rows])
    by_id = {order.id: order for order in orders}
    return [Look(row.id, row.attached_at, by_id[row.generation_id]) for row in rows]


# --- what is compared and what is told ------------------------------------------------------------


def _checked(facts: Facts) -> dict[str, str]:
    """The columns that the facts fill. Raises InvalidInput and names the field."""
    name, phone, note = (" ".join(facts.name.split()), facts.phone.strip(), facts.note.strip())
    if not name or len(name) > NAME_MAX_CHARACTERS:
        raise InvalidInput(f"El nombre lleva de 1 a {NAME_MAX_CHARACTERS} letras.", "name")
    if len(phone) > PHONE_MAX_CHARACTERS or not set(phone) <= PHONE_SIGNS:
        raise InvalidInput("El teléfono lleva cifras, espacios y los signos + - ( ).", "phone")
    if len(note) > NOTE_MAX_CHARACTERS:
        raise InvalidInput(f"La nota tiene como máximo {NOTE_MAX_CHARACTERS} letras.", "note")
    digits = "".join(filter(str.isdecimal, phone))
    return {"name": name, "phone": phone, "note": note, "folded": f"{_folded(name)} {digits}"}


def _words(q: str) -> list[str]:
    """A word of a phone number is compared by its digits."""
    words = _folded(q).split()
    plain = ["".join(filter(str.isalnum, word)) if set(word) <= PHONE_SIGNS else word
             for word in words]  # fmt: skip
    return [word for word in plain if word]


def _part(word: str) -> str:
    """A pattern for LIKE: the word anywhere, and no wildcard of its own."""
    return "%" + re.sub(r"([\\%_])", r"\\\1", word) + "%"


def _folded(words: str) -> str:
    """Without accents and capitals: «Peña» and «pena» are the same."""
    apart = unicodedata.normalize("NFKD", words.casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def _log(session: Session, action: str, id: UUID, **after: Any) -> None:
    audit.record(session, action, ("client", str(id)), after=after or None)
