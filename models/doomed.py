"""Doomed objects: stored bytes that no row points at any more, and that must go.

Who deletes a row writes the keys of its objects here, in the same transaction. `delete` then
deletes the bytes, and a key is forgotten only when its object is gone: what a store refuses now is
deleted the next time, or by `python -m worker.sweep`.
"""

import logging
from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import database
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


DOOM = text("""
INSERT INTO doomed_objects (object_key) SELECT unnest(CAST(:keys AS text[]))
ON CONFLICT DO NOTHING
""")
DOOMED = text("SELECT object_key FROM doomed_objects ORDER BY doomed_at, object_key LIMIT :limit")
DONE = text("DELETE FROM doomed_objects WHERE object_key = ANY(:keys)")
LEFT = text("SELECT count(*) FROM doomed_objects")


def doom(session: Session, keys: Sequence[str]) -> None:
    """Have these objects deleted once this transaction is committed."""
    session.execute(DOOM, {"keys": list(keys)})


def delete(store: Storage) -> int:
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
