"""The audit log: who changed what, when, from what, to what. Rows are added and never changed.

Changes to rows of AUDITED tables are written down by the session itself, in the same transaction,
whichever path they came by; what moves by a statement of SQL is written down with `record`.
Who it was is `session.info["actor"]`: a function, because a request's transaction may begin before
it is known who asks.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, Row, event, insert, inspect, text
from sqlalchemy.orm import InstanceState, Mapped, Session, UOWTransaction, mapped_column

from models.base import Base, IntegerKey

AUDITED = {  # table: the subject's kind
    "fabric_families": "family",
    "fabrics": "fabric",
    "looks": "look",
    "look_uploads": "look_upload",
    "users": "user",
    "api_tokens": "token",
}
SECRET = {"password_hash", "token_sha256"}
HIDDEN = "•••"
UNTOLD = {"created_at", "updated_at", "last_used_at", "profile"}  # nobody's change
NAMES = ("username", "display_name", "name", "cut")  # the first that a row has is what it is called
SYSTEM = "system"  # seeds and commands


class AuditEntry(Base):
    """One write. A trigger refuses UPDATE and DELETE."""

    __tablename__ = "audit"
    __table_args__ = (Index(None, "subject_kind", "subject_id"),)

    id: Mapped[IntegerKey]
    at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    actor: Mapped[str]
    action: Mapped[str]  # "create", "update", "delete", or the verb of what happened: "pause"
    subject_kind: Mapped[str]
    subject_id: Mapped[str]
    subject_name: Mapped[str]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]


def record(
    session: Session,
    action: str,
    subject: tuple[str, str],
    name: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Write one entry; `subject` is its kind and id, ("engine", "drape")."""
    _write(session, [_entry(session, action, subject, name, before, after)])


LIST = text("""
SELECT id, at, actor, action, subject_kind, subject_id, subject_name, before, after
  FROM audit
 WHERE (CAST(:kind AS text) IS NULL OR subject_kind = :kind)
   AND (CAST(:actor AS text) IS NULL OR actor = :actor)
 ORDER BY id DESC LIMIT :limit OFFSET :offset
""")


def entries(
    session: Session,
    limit: int = 50,
    offset: int = 0,
    kind: str | None = None,
    actor: str | None = None,
) -> Sequence[Row[Any]]:
    """Newest first."""
    where = {"kind": kind, "actor": actor, "limit": limit, "offset": offset}
    return session.execute(LIST, where).all()


@event.listens_for(Session, "after_flush")
def _write_down_changes(session: Session, flush: UOWTransaction) -> None:
    """After the flush keys are assigned, and what was changed is still known."""
    found = [
        *(_of_row(session, "create", row) for row in session.new),
        *(_of_row(session, "update", row) for row in session.dirty),
        *(_of_row(session, "delete", row) for row in session.deleted),
    ]
    _write(session, [entry for entry in found if entry is not None])


def _of_row(session: Session, action: str, row: Any) -> dict[str, Any] | None:
    kind = AUDITED.get(getattr(row, "__tablename__", ""))
    if kind is None:
        return None
    before, after = _changes(inspect(row), action)
    if action == "update" and not after:
        return None
    name = next((str(getattr(row, field)) for field in NAMES if hasattr(row, field)), "")
    return _entry(session, action, (kind, str(row.id)), name, before, after)


def _changes(
    state: InstanceState[Any], action: str
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The columns that a flush changed, as they were and as they are."""
    before, after = {}, {}
    for column in state.mapper.column_attrs:
        name = column.key
        if name in UNTOLD:
            continue
        history = state.attrs[name].history
        old = history.deleted or history.unchanged
        if action != "update" or history.has_changes():
            before[name] = _told(name, old[0] if old else None)
            after[name] = _told(name, state.dict.get(name))
    return (None if action == "create" else before), (None if action == "delete" else after)


def _told(name: str, value: Any) -> Any:
    if name in SECRET and value is not None:
        return HIDDEN
    plain = value is None or isinstance(value, str | int | float | bool)
    if plain:
        return value
    if isinstance(value, list):
        return [_told(name, part) for part in value]
    return value.isoformat() if isinstance(value, date) else str(value)


def _entry(
    session: Session,
    action: str,
    subject: tuple[str, str | UUID],
    name: str,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
) -> dict[str, Any]:
    actor = session.info.get("actor")
    return {
        "actor": actor() if actor else SYSTEM,
        "action": action,
        "subject_kind": subject[0],
        "subject_id": str(subject[1]),
        "subject_name": name,
        "before": before,
        "after": after,
    }


def _write(session: Session, found: list[dict[str, Any]]) -> None:
    if found:
        session.connection().execute(insert(AuditEntry), found)
