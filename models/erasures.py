"""Erasing a client: rows at once and for good, bytes as soon as the store answers.

`erase` deletes every row about a client in one transaction and writes the keys of their pictures
into models/doomed.py in the same one; whoever called it then has the bytes deleted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models import audit, clients, doomed, history, queue


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
FORGET_PHOTOS = text("""
WITH unused AS (
    SELECT key FROM unnest(CAST(:keys AS text[])) AS photo (key)
     WHERE NOT EXISTS (SELECT 1 FROM generations WHERE swatch_key = photo.key)),
gone AS (DELETE FROM swatches WHERE object_key IN (SELECT key FROM unused))
SELECT key FROM unused
""")
DELETE_CLIENT = text("DELETE FROM clients WHERE id = :id")


def erase(session: Session, id: UUID) -> Erased:
    """Delete the client, their lookbooks with links, hearts and comments, and the orders that are
    in nobody else's book, with pictures that no other order shows and photos of cloth that no
    other order needs. The log keeps that it happened. Raises NotFound.

    After the commit, `doomed.delete` deletes the bytes."""
    clients.find(session, id, to_write=True)
    session.execute(LOCK_ORDERS, {"id": id})
    rows = session.execute(ONLY_THEIRS, {"id": id}).all()
    keys = _delete_orders(session, [row.id for row in rows])
    photos = {"keys": list({row.photo_key for row in rows if row.photo_key})}
    unused = session.scalars(FORGET_PHOTOS, photos).all()
    doomed.doom(session, unused)
    session.execute(DELETE_CLIENT, {"id": id})
    erased = Erased(orders=len(rows), objects=len(keys) + len(unused))
    audit.record(session, "erase", ("client", str(id)), after=vars(erased))
    return erased


def _delete_orders(session: Session, ids: Sequence[UUID]) -> list[str]:
    """What others wait for goes on being rendered for them. Returns the keys to be deleted."""
    history.lock_pictures(session, ids)
    for id in ids:
        queue.cancel(session, id)
    return [key for id in ids for key in history.delete(session, id)]
