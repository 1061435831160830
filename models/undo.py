"""Undo of a deletion in the catalogue: rows come back from what the audit log kept of them.

What one transaction deleted comes back together: a family with its fabrics, or all the fabrics that
were ticked. Their pictures are still stored, and the ids are the same.
"""

from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from models import catalogue
from models.catalogue import Fabric, FabricFamily
from models.errors import NotFound

TOGETHER_MOST = 5000  # entries of one transaction lie no further apart

# Index audit_subject_kind_subject_id.
LAST = text("""
SELECT max(id) FROM audit
 WHERE subject_kind = :kind AND subject_id = :id AND action = 'delete'
""")
# xmin is the transaction that wrote a row, and entries are never changed.
TOGETHER = text(f"""
SELECT other.subject_kind AS kind, other.before AS fields
  FROM audit entry
  JOIN audit other ON other.id BETWEEN entry.id - {TOGETHER_MOST} AND entry.id + {TOGETHER_MOST}
                  AND other.xmin = entry.xmin
 WHERE entry.id = :entry AND entry.action = 'delete' AND other.action = 'delete'
   AND entry.subject_kind IN ('family', 'fabric') AND other.subject_kind IN ('family', 'fabric')
 ORDER BY other.subject_kind, other.id
""")


def deletion(session: Session, kind: str, id: int) -> int | None:
    """The entry that tells of this row's deletion: what `restore` takes."""
    session.flush()
    entry: int | None = session.scalar(LAST, {"kind": kind, "id": str(id)})
    return entry


def restore(session: Session, entry: int) -> list[str]:
    """Bring back what was deleted together with what this entry tells of; returns the names.

    Raises NotFound for an entry that is no deletion in the catalogue, or a fabric whose family is
    gone, and Conflict when an id is taken by now; then nothing comes back."""
    rows = session.execute(TOGETHER, {"entry": entry}).all()
    if not rows:
        raise NotFound("No hay nada que deshacer.")
    families = [row.fields for row in rows if row.kind == "family"]
    fabrics = [_known(Fabric, row.fields) for row in rows if row.kind == "fabric"]
    for fields in families:
        own = _taken_out(fabrics, fields["id"])
        catalogue.create_family(session, _known(FabricFamily, fields), own)
    for fields in fabrics:
        catalogue.create_fabric(session, fields)
    return [str(row.fields.get("display_name") or row.fields.get("name")) for row in rows]


def _known(kind: type[Fabric] | type[FabricFamily], fields: dict[str, Any]) -> dict[str, Any]:
    """Without columns that are no more."""
    columns = {column.name for column in kind.__table__.columns}
    return {name: value for name, value in fields.items() if name in columns}


def _taken_out(fabrics: list[dict[str, Any]], family_id: int) -> list[dict[str, Any]]:
    own = [fields for fields in fabrics if fields["fabric_family_id"] == family_id]
    for fields in own:
        fabrics.remove(fields)
    return own
