"""The worker registry: who is online, with which engines, seen when. One small row per worker."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Row, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, CreatedAt
from models.errors import NotFound

FRESH_SECONDS = 30  # silent for longer, and not rendering: not online
FORGET_AFTER_DAYS = 7


class Worker(Base):
    """One worker process, by a name that is its own for its life (host, pid, random)."""

    __tablename__ = "workers"
    __table_args__ = (Index(None, "last_seen_at"),)

    name: Mapped[str] = mapped_column(primary_key=True)
    engines: Mapped[list[str]]
    version: Mapped[str]
    device: Mapped[str]
    draining: Mapped[bool] = mapped_column(server_default=text("false"))  # asked to stop
    note: Mapped[str | None]  # why it took itself out
    last_seen_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    stopped_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]


BEAT = text("""
INSERT INTO workers (name, engines, version, device) VALUES (:name, :engines, :version, :device)
ON CONFLICT (name) DO UPDATE SET last_seen_at = clock_timestamp(), stopped_at = NULL
RETURNING draining
""")
STOP = text("UPDATE workers SET stopped_at = clock_timestamp(), note = :note WHERE name = :name")
DRAIN = text("UPDATE workers SET draining = true WHERE name = :name RETURNING 1")
# Who renders says nothing else meanwhile, but renews its lease. Index jobs_claim.
ONLINE_SQL = f"""stopped_at IS NULL
   AND (last_seen_at > clock_timestamp() - make_interval(secs => {FRESH_SECONDS})
        OR name IN (SELECT worker FROM jobs
                     WHERE claim IS NOT NULL AND lease_until > clock_timestamp()))"""
LIST = text(f"""
SELECT w.name, w.engines, w.version, w.device, w.draining, w.note, w.last_seen_at, w.stopped_at,
       {ONLINE_SQL} AS online,
       j.id AS job_id, j.generation_id, j.progress
  FROM workers w LEFT JOIN jobs j ON j.claim IS NOT NULL AND j.worker = w.name
 ORDER BY w.last_seen_at DESC LIMIT :most
""")
# Among the last pictures, is there one that somebody else made? Bounded: 50 rows by key.
OTHERS_SUCCEED = text("""
SELECT EXISTS (
    SELECT 1 FROM (SELECT id, created_at FROM images ORDER BY id DESC LIMIT 50) lately
      JOIN jobs j ON j.image_id = lately.id
     WHERE j.worker <> :name
       AND lately.created_at > clock_timestamp() - make_interval(secs => :seconds))
""")
FORGET = text("""
DELETE FROM workers WHERE last_seen_at < clock_timestamp() - make_interval(days => :days)
""")
ONLINE = text(f"""
SELECT count(*) FROM workers
 WHERE {ONLINE_SQL} AND (CAST(:engine AS text) IS NULL OR :engine = ANY(engines))
""")


def beat(
    session: Session, name: str, engines: list[str], version: str, device: str = "cpu"
) -> bool:
    """Say that this worker is alive; the first beat registers it. True: it is asked to stop."""
    values = {"name": name, "engines": engines, "version": version, "device": device}
    return bool(session.scalar(BEAT, values))


def drain(session: Session, name: str) -> None:
    """Ask a worker to finish what it has and stop. Raises NotFound."""
    if session.execute(DRAIN, {"name": name}).one_or_none() is None:
        raise NotFound("No existe ese taller.")


def listed(session: Session, most: int = 200) -> list[Row[Any]]:
    """Workers, last seen first, each with the job that it holds, if any."""
    return list(session.execute(LIST, {"most": most}).all())


def others_succeed(session: Session, name: str, seconds: float) -> bool:
    """True when another worker made a picture in the last `seconds`."""
    return bool(session.scalar(OTHERS_SUCCEED, {"name": name, "seconds": seconds}))


def stop(session: Session, name: str, note: str | None = None) -> None:
    """Say that this worker ended, politely or (with a note) because it is unfit; and forget those
    long gone."""
    session.execute(STOP, {"name": name, "note": note})
    session.execute(FORGET, {"days": FORGET_AFTER_DAYS})


def online(session: Session, engine: str | None = None) -> int:
    """How many workers (with this engine) were seen in the last FRESH_SECONDS, or are rendering,
    and have not said goodbye."""
    return session.scalar(ONLINE, {"engine": engine}) or 0
