"""Bulk orders: many fabrics in many cuts at the lowest priority, to have them ready tomorrow."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from models import generations, queue
from models.base import uuid7
from models.catalogue import ACTIVE, Fabric, FabricFamily, active_looks
from models.errors import InvalidInput, NotFound
from models.generations import Bulk


@dataclass(frozen=True)
class Progress:
    """How far a bulk order is: its jobs by status."""

    id: UUID
    owner: str
    paused: bool
    created_at: datetime
    jobs: dict[str, int]


def place(
    session: Session,
    owner: str,
    color_ids: Sequence[str] | None = None,
    cuts: Sequence[str] | None = None,
    quality: generations.Quality = "final",
) -> UUID:
    """Order these fabrics (None: all active ones) in these cuts (None: all looks).

    Raises InvalidInput for an unknown fabric or cut; then nothing is ordered."""
    wanted = color_ids if color_ids is not None else _active_color_ids(session)
    if not wanted:
        raise InvalidInput("Elige al menos una tela.", "color_ids")
    bulk = Bulk(id=uuid7(), owner=owner)
    session.add(bulk)
    session.flush()
    chosen = list(cuts) if cuts is not None else [look.cut for look in active_looks(session)]
    for color_id in dict.fromkeys(wanted):
        order = generations.Order(
            color_id=color_id,
            cuts=chosen,
            owner=f"bulk:{bulk.id}",
            quality=quality,
            bulk_id=bulk.id,
        )
        generations.place(session, order)
    return bulk.id


def _active_color_ids(session: Session) -> Sequence[str]:
    query = select(Fabric.color_id).join(FabricFamily)
    active = query.where(Fabric.status == ACTIVE, FabricFamily.status == ACTIVE)
    return session.scalars(active.order_by(Fabric.id)).all()


JOBS_BY_STATUS = text("""
SELECT j.status, count(*) AS jobs FROM generations g JOIN jobs j ON j.generation_id = g.id
 WHERE g.bulk_id = :id GROUP BY j.status
""")
HOLD = text(f"""
UPDATE jobs SET run_at = CASE WHEN :paused THEN {queue.HELD}
                            ELSE statement_timestamp() END
  FROM generations g
 WHERE g.bulk_id = :id AND jobs.generation_id = g.id AND jobs.status = 'pending'
""")
RECENT = text("SELECT id FROM bulks ORDER BY id DESC LIMIT :most")
GENERATIONS = text("SELECT id FROM generations WHERE bulk_id = :id")


def recent(session: Session, most: int = 20) -> list[Progress]:
    """The last bulk orders, newest first."""
    return [progress(session, id) for id in session.scalars(RECENT, {"most": most}).all()]


def progress(session: Session, id: UUID) -> Progress:
    """Raises NotFound."""
    bulk = _bulk(session, id)
    jobs = {row.status: row.jobs for row in session.execute(JOBS_BY_STATUS, {"id": id})}
    return Progress(bulk.id, bulk.owner, bulk.paused, bulk.created_at, jobs)


def set_paused(session: Session, id: UUID, paused: bool) -> Progress:
    """Hold what is still pending, or let it go on. Raises NotFound."""
    _bulk(session, id).paused = paused
    session.flush()  # first: what goes back to waiting meanwhile waits for this row
    session.execute(HOLD, {"id": id, "paused": paused})
    session.execute(queue.NOTIFY)
    return progress(session, id)


def cancel(session: Session, id: UUID) -> Progress:
    """Cancel what is not settled yet. Raises NotFound."""
    _bulk(session, id)
    for generation_id in session.scalars(GENERATIONS, {"id": id}).all():
        queue.cancel(session, generation_id)
    return progress(session, id)


def _bulk(session: Session, id: UUID) -> Bulk:
    bulk = session.get(Bulk, id)
    if bulk is None:
        raise NotFound("No existe ese pedido en lote.")
    return bulk
