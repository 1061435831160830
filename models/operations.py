"""What the operations page and /metrics tell: each engine's queue, how fast pictures came, and what
ended without one.

Every statement is bounded: it reads the live rows of the queue, or the last SAMPLE settled ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.workers import ONLINE_SQL

SAMPLE = 1000  # latencies are those of the last pictures, not of all time
DEPTH_MOST = 10_001


@dataclass(frozen=True)
class EngineQueue:
    """One engine: what waits, what is being made, who could make it. `mode` is None: running."""

    engine: str
    mode: str | None
    set_by: str | None
    set_at: datetime | None
    pending: int
    held: int  # of those pending: in a bulk order that is paused
    processing: int
    oldest_wait_seconds: float
    workers_online: int


@dataclass(frozen=True)
class Latencies:
    """Seconds; None before the first picture. `wait` is from the order to the
    first claim, `render` is a worker's own time."""

    pictures: int
    wait_p50: float | None
    wait_p95: float | None
    render_p50: float | None
    render_p95: float | None


ENGINES = text(f"""
WITH asked AS (SELECT unnest(CAST(:engines AS text[])) AS engine
               UNION SELECT engine FROM engine_modes
               UNION SELECT unnest(engines) FROM workers WHERE {ONLINE_SQL}),
waiting AS (
    SELECT engine, count(*) AS pending,
           count(*) FILTER (WHERE run_at >= '9999-01-01') AS held,
           min(created_at) FILTER (WHERE run_at < '9999-01-01') AS oldest
      FROM (SELECT engine, run_at, created_at FROM jobs WHERE status = 'pending'
             LIMIT {DEPTH_MOST}) live
     GROUP BY engine),
made AS (SELECT engine, count(*) AS processing FROM jobs WHERE claim IS NOT NULL GROUP BY engine)
SELECT asked.engine, m.mode, m.set_by, m.set_at, coalesce(w.pending, 0) AS pending,
       coalesce(w.held, 0) AS held, coalesce(p.processing, 0) AS processing,
       coalesce(extract(epoch FROM clock_timestamp() - w.oldest), 0)::float8 AS oldest_wait_seconds,
       (SELECT count(*) FROM workers
         WHERE {ONLINE_SQL} AND asked.engine = ANY(engines)) AS workers_online
  FROM asked
  LEFT JOIN engine_modes m USING (engine)
  LEFT JOIN waiting w USING (engine)
  LEFT JOIN made p USING (engine)
 ORDER BY asked.engine
""")
# The last SAMPLE pictures by key; of those, the ones of the last :seconds. Null: all of them.
LATELY = f"""
WITH lately AS (
    SELECT id, engine, render
      FROM (SELECT id, engine, created_at, (timings_ms->>'total')::float8 / 1000 AS render
              FROM images ORDER BY id DESC LIMIT {SAMPLE}) last
     WHERE CAST(:seconds AS float8) IS NULL
        OR created_at > statement_timestamp() - make_interval(secs => :seconds))"""
LATENCIES = text(f"""{LATELY},
waits AS (
    SELECT extract(epoch FROM j.started_at - j.created_at)::float8 AS wait
      FROM lately JOIN jobs j ON j.image_id = lately.id)
SELECT (SELECT count(*) FROM lately) AS pictures,
       (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY wait) FROM waits) AS wait_p50,
       (SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY wait) FROM waits) AS wait_p95,
       (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY render) FROM lately) AS render_p50,
       (SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY render) FROM lately) AS render_p95
""")
RENDERS = text(f"""{LATELY}
SELECT engine, count(*) AS pictures,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY render) AS render_p50,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY render) AS render_p95
  FROM lately GROUP BY engine
""")
# Index attempts_ended_at.
ATTEMPTS = text("""
SELECT verb, coalesce(error_code, '') AS error_code, count(*) AS attempts
  FROM attempts WHERE ended_at > statement_timestamp() - make_interval(secs => :seconds)
 GROUP BY verb, error_code
""")


def engine_queues(session: Session, engines: Sequence[str]) -> list[EngineQueue]:
    """These engines, those that online workers have, and those that are switched."""
    rows = session.execute(ENGINES, {"engines": list(engines)})
    return [EngineQueue(**row._mapping) for row in rows]


def latencies(session: Session, seconds: float | None = None) -> Latencies:
    """Of the last SAMPLE pictures; with `seconds`, of those that are no older."""
    return Latencies(**session.execute(LATENCIES, {"seconds": seconds}).one()._mapping)


def renders(session: Session, seconds: float) -> list[Row[Any]]:
    """(engine, pictures, render_p50, render_p95) of the same pictures."""
    return list(session.execute(RENDERS, {"seconds": seconds}).all())


def attempts(session: Session, seconds: float) -> list[Row[Any]]:
    """(verb, error_code, attempts): the claims that ended without a picture, and why."""
    return list(session.execute(ATTEMPTS, {"seconds": seconds}).all())
