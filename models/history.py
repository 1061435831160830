"""Orders looked back at: the console's lists and statistics, and deletion."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models import doomed, queue
from models.catalogue import Page
from models.errors import NotFound
from models.generations import read_many
from models.views import GenerationView

# The status of an order in SQL: the same rule as GenerationView.status.
STATUS_SQL = """
    CASE WHEN bool_or(j.status IN ('pending', 'processing')) THEN
              CASE WHEN bool_and(j.status = 'pending') THEN 'pending' ELSE 'processing' END
         WHEN bool_or(j.status = 'completed') THEN 'completed'
         WHEN bool_or(j.status = 'failed') THEN 'failed'
         WHEN bool_or(j.status = 'canceled') THEN 'canceled' ELSE 'expired' END"""
DECIDING_JOBS_SQL = """
    FROM jobs j WHERE j.generation_id = g.id
     AND (j.stage = 'final' OR NOT EXISTS (SELECT 1 FROM jobs f WHERE f.generation_id = g.id
                                              AND f.stage = 'final'))"""
LIST = text(f"""
SELECT g.id FROM generations g
 WHERE (CAST(:family_id AS text) IS NULL OR g.family_id = :family_id)
   AND (CAST(:color_id AS text) IS NULL OR g.color_id = :color_id)
   AND (CAST(:q AS text) IS NULL
        OR strpos(lower(g.fabric_name || ' ' || g.color_id), lower(:q)) > 0)
   AND (CAST(:since AS date) IS NULL OR g.created_at >= CAST(:since AS date))
   AND (CAST(:statuses AS text[]) IS NULL
        OR (SELECT {STATUS_SQL} {DECIDING_JOBS_SQL}) = ANY(:statuses))
 ORDER BY g.id DESC LIMIT :limit OFFSET :offset
""")
STATS = text(f"""
SELECT status, family_id, count(*) AS orders,
       count(*) FILTER (WHERE created_at > statement_timestamp() - interval '24 hours') AS recent
  FROM (SELECT g.family_id, g.created_at, (SELECT {STATUS_SQL} {DECIDING_JOBS_SQL}) AS status
          FROM generations g) orders
 GROUP BY status, family_id
""")


@dataclass(frozen=True)
class Wanted:
    """Which orders: `q` is a part of the fabric's name or id, `since` a day in UTC."""

    family_id: str | None = None
    color_id: str | None = None
    statuses: Sequence[str] | None = None
    q: str | None = None
    since: date | None = None


ALL = Wanted()


def list_generations(session: Session, page: Page, wanted: Wanted = ALL) -> list[GenerationView]:
    """Newest first."""
    ids = list_ids(session, page, wanted)
    return read_many(session, ids) if ids else []


def list_ids(session: Session, page: Page, wanted: Wanted = ALL) -> Sequence[UUID]:
    """The same orders' ids."""
    where = asdict(wanted) | {"statuses": list(wanted.statuses) if wanted.statuses else None}
    return session.scalars(LIST, where | {"limit": page.limit, "offset": page.offset}).all()


def stats(session: Session) -> list[Row[Any]]:
    """Counts by (status, family_id), with `recent`: those of the last 24 hours."""
    return list(session.execute(STATS).all())


FINGERPRINTS = text("SELECT fingerprint FROM jobs WHERE generation_id = ANY(:ids)")
DELETE = text("""
WITH jobs_gone AS (DELETE FROM jobs WHERE generation_id = :id RETURNING image_id),
     images_gone AS (
        DELETE FROM images WHERE id IN (SELECT image_id FROM jobs_gone)
           AND NOT EXISTS (SELECT 1 FROM jobs
                            WHERE image_id = images.id AND generation_id <> :id)
        RETURNING object_key),
     gone AS (DELETE FROM generations WHERE id = :id RETURNING id)
SELECT (SELECT count(*) FROM gone) AS deleted,
       array(SELECT object_key FROM images_gone) AS object_keys
""")


def lock_pictures(session: Session, ids: Sequence[UUID]) -> None:
    """Before looking for what only these orders show: an order that is being answered with one of
    their pictures is then seen to share it."""
    queue.lock_fingerprints(session, session.scalars(FINGERPRINTS, {"ids": list(ids)}).all())


def delete(session: Session, id: UUID) -> list[str]:
    """Delete the order, its jobs and the images that no other order shows. Returns the keys of
    their objects, which are doomed: `doomed.delete` deletes them after the commit, and not before,
    or a row that comes back would show, to others as well, what is gone. Raises NotFound."""
    lock_pictures(session, [id])
    deleted, object_keys = session.execute(DELETE, {"id": id}).one()
    if not deleted:
        raise NotFound("No existe ese pedido.")
    doomed.doom(session, object_keys)
    return list(object_keys)
