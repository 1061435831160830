"""Erasing a client: rows at once and for good, bytes as soon as the store answers.

`erase` deletes every row about a client in one transaction and writes the keys of their pictures
into `doomed_objects` in the same one. `delete_doomed` then deletes the bytes, and a key is
forgotten only when its object is gone: what a store refuses now is deleted by the next erasure, or
by `python -m worker.sweep`. Until then nothing points at it.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import audit, clients, database, history, queue
from models.base import Base, CreatedAt
from models.errors import StorageError
from models.storage import Storage

BATCH = 100

log = logging.getLogger(__name__)


class DoomedObject(Base):
    """A stored object that no row points at, and that must go."""

    __tablename__ = "doomed_objects"

    object_key: Mapped[str] = mapped_column(primary_key=True)
    doomed_at: Mapped[CreatedAt]


@dataclass(frozen=True)
class Erased:
    """What an erasure took with it."""

    orders: int
    objects: int


# Each lock is taken before what it protects is read: an order that is being given to another
# client, or a picture that an equal order is being answered with, is then seen to be shared.
LOCK_ORDERS = text("""
SELECT g.id FROM generations g JOIN client_looks l ON l.generation_id = g.id
 WHERE l.client_id = :id ORDER BY g.id FOR UPDATE OF g
""")
ONLY_THEIRS = text("""
SELECT g.id, CASE WHEN g.uploaded_swatch THEN g.swatch_key END AS photo_key
  FROM generations g JOIN client_looks l ON l.generation_id = g.id
 WHERE l.client_id = :id
   AND NOT EXISTS (SELECT 1 FROM client_looks other
                    WHERE other.generation_id = g.id AND other.client_id <> :id)
 ORDER BY g.id
""")
FINGERPRINTS = text("""
SELECT DISTINCT fingerprint FROM jobs WHERE generation_id = ANY(:orders) ORDER BY fingerprint
""")
FORGET_PHOTOS = text("""
WITH unused AS (
    SELECT key FROM unnest(CAST(:keys AS text[])) AS photo (key)
     WHERE NOT EXISTS (SELECT 1 FROM generations WHERE swatch_key = photo.key)),
gone AS (DELETE FROM swatches WHERE object_key IN (SELECT key FROM unused))
SELECT key FROM unused
""")
DELETE_CLIENT = text("DELETE FROM clients WHERE id = :id")
DOOM = text("""
INSERT INTO doomed_objects (object_key) SELECT unnest(CAST(:keys AS text[]))
ON CONFLICT DO NOTHING
""")
DOOMED = text("SELECT object_key FROM doomed_objects ORDER BY doomed_at, object_key LIMIT :limit")
DONE = text("DELETE FROM doomed_objects WHERE object_key = ANY(:keys)")
LEFT = text("SELECT count(*) FROM doomed_objects")


def erase(session: Session, id: UUID) -> Erased:
    """Delete the client, their lookbooks with links, hearts and comments, and the orders that are
    in nobody else's book, with pictures that no other order shows and photos of cloth that no
    other order needs. The log keeps that it happened. Raises NotFound.

    After the commit, `delete_doomed` deletes the bytes."""
    clients.find(session, id, to_write=True)
    session.execute(LOCK_ORDERS, {"id": id})
    rows = session.execute(ONLY_THEIRS, {"id": id}).all()
    keys = _delete_orders(session, [row.id for row in rows])
    photos = list({row.photo_key for row in rows if row.photo_key})
    keys += session.scalars(FORGET_PHOTOS, {"keys": photos}).all()
    session.execute(DELETE_CLIENT, {"id": id})
    session.execute(DOOM, {"keys": keys})
    erased = Erased(orders=len(rows), objects=len(keys))
    audit.record(session, "erase", ("client", str(id)), after=vars(erased))
    return erased


def _delete_orders(session: Session, ids: Sequence[UUID]) -> list[str]:
    """What others wait for goes on being rendered for them. Returns the keys to be deleted."""
    for fingerprint in session.scalars(FINGERPRINTS, {"orders": list(ids)}).all():
        session.execute(queue.SAME_FINGERPRINT, {"fingerprint": fingerprint})
    for id in ids:
        queue.cancel(session, id)
    return [key for id in ids for key in history.delete(session, id)]


def delete_doomed(store: Storage) -> int:
    """Delete what is doomed; returns how many objects are left because the store failed."""
    while keys := _batch():
        gone = [key for key in keys if _delete(store, key)]
        with database.transaction() as session:
            session.execute(DONE, {"keys": gone})
        if len(gone) < len(keys):
            break
    with database.reading() as session:
        return session.scalar(LEFT) or 0


def _delete(store: Storage, key: str) -> bool:
    try:
        store.delete(key)
    except StorageError:
        log.error("a doomed object is left", exc_info=True)
        return False
    return True


def _batch() -> list[str]:
    with database.reading() as session:
        return list(session.scalars(DOOMED, {"limit": BATCH}))
