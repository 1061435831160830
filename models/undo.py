"""Undo in the catalogue, of a deletion or of a change of fabrics, from what the audit log kept.

What one transaction did is undone together: a family comes back with its fabrics, all the fabrics
that were ticked have their former tags. Pictures are still stored, and ids are the same.
"""

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models import catalogue
from models.catalogue import EditedMeanwhile, Fabric, FabricFamily
from models.errors import NotFound

TOGETHER_MOST = 5000  # entries of one transaction lie no further apart
TOGETHER_SECONDS = 60  # and were written in less
UNDONE = "('delete', 'family'), ('delete', 'fabric'), ('update', 'fabric')"

# Index audit_subject_kind_subject_id.
LAST = text("""
SELECT max(id) FROM audit
 WHERE subject_kind = :kind AND subject_id = :id AND action = :action
""")
# xmin is the transaction that wrote a row, and entries are never changed; but all that a backup
# brings back come in one. In the order of ids, in which changes to many take their rows.
TOGETHER = text(f"""
SELECT other.action, other.subject_kind AS kind, other.subject_id AS id, other.before, other.after
  FROM audit entry
  JOIN audit other ON other.id BETWEEN entry.id - {TOGETHER_MOST} AND entry.id + {TOGETHER_MOST}
                  AND other.xmin = entry.xmin AND other.action = entry.action
                  AND other.actor = entry.actor AND abs(extract(epoch FROM other.at - entry.at))
                                                    < {TOGETHER_SECONDS}
 WHERE entry.id = :entry
   AND (entry.action, entry.subject_kind) IN ({UNDONE})
   AND (other.action, other.subject_kind) IN ({UNDONE})
 ORDER BY other.subject_kind, CAST(other.subject_id AS bigint)
""")


def last(session: Session, action: Literal["delete", "update"], kind: str, id: int) -> int | None:
    """The newest entry that tells of this of this row: what `restore` takes."""
    session.flush()
    entry: int | None = session.scalar(LAST, {"action": action, "kind": kind, "id": str(id)})
    return entry


def restore(session: Session, entry: int) -> None:
    """Undo what this entry tells of, with all that was done together with it.

    Raises NotFound for an entry that is neither a deletion in the catalogue nor a change of
    fabrics, or a row that is gone, and Conflict when an id is taken by now or somebody has changed
    the same since; then nothing is undone."""
    rows = session.execute(TOGETHER, {"entry": entry}).all()
    if not rows:
        raise NotFound("No hay nada que deshacer.")
    if rows[0].action == "update":
        for row in rows:
            _change_back(session, int(row.id), row.before, row.after)
    else:
        _bring_back(session, rows)


def _bring_back(session: Session, rows: Sequence[Row[Any]]) -> None:
    families = [row.before for row in rows if row.kind == "family"]
    fabrics = [_known(Fabric, row.before) for row in rows if row.kind == "fabric"]
    for fields in families:
        own = _taken_out(fabrics, fields["id"])
        catalogue.create_family(session, _known(FabricFamily, fields), own)
    for fields in fabrics:
        catalogue.create_fabric(session, fields)


def _change_back(session: Session, id: int, before: dict[str, Any], after: dict[str, Any]) -> None:
    row = catalogue.fabric(session, id, to_write=True)
    if any(getattr(row, name) != value for name, value in _known(Fabric, after).items()):
        raise EditedMeanwhile(f"«{row.name}» cambió otra vez desde entonces.")
    catalogue.update_fabric(session, id, _known(Fabric, before))


def _known(kind: type[Fabric] | type[FabricFamily], fields: dict[str, Any]) -> dict[str, Any]:
    """Without columns that are no more."""
    columns = {column.name for column in kind.__table__.columns}
    return {name: value for name, value in fields.items() if name in columns}


def _taken_out(fabrics: list[dict[str, Any]], family_id: int) -> list[dict[str, Any]]:
    own = [fields for fields in fabrics if fields["fabric_family_id"] == family_id]
    for fields in own:
        fabrics.remove(fields)
    return own
