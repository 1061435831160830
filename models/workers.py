"""The worker registry: who is online, with which engines, seen when. One small row per worker."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, CreatedAt

FRESH_SECONDS = 30  # silent for longer: not online
FORGET_AFTER_DAYS = 7


class Worker(Base):
    """One worker process, by a name that is its own for its life (host, pid, random)."""

    __tablename__ = "workers"
    __table_args__ = (Index(None, "last_seen_at"),)

    name: Mapped[str] = mapped_column(primary_key=True)
    engines: Mapped[list[str]]
    version: Mapped[str]
    last_seen_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    stopped_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]


BEAT = text("""
INSERT INTO workers (name, engines, version) VALUES (:name, :engines, :version)
ON CONFLICT (name) DO UPDATE SET last_seen_at = clock_timestamp(), stopped_at = NULL
""")
STOP = text("UPDATE workers SET stopped_at = clock_timestamp() WHERE name = :name")
FORGET = text("""
DELETE FROM workers WHERE last_seen_at < clock_timestamp() - make_interval(days => :days)
""")
ONLINE = text("""
SELECT count(*) FROM workers WHERE stopped_at IS NULL
   AND (CAST(:engine AS text) IS NULL OR :engine = ANY(engines))
   AND last_seen_at > clock_timestamp() - make_interval(secs => :fresh_seconds)
""")


def beat(session: Session, name: str, engines: list[str], version: str) -> None:
    """Say that this worker is alive; the first beat registers it."""
    session.execute(BEAT, {"name": name, "engines": engines, "version": version})


def stop(session: Session, name: str) -> None:
    """Say that this worker ended politely, and forget those long gone."""
    session.execute(STOP, {"name": name})
    session.execute(FORGET, {"days": FORGET_AFTER_DAYS})


def online(session: Session, engine: str | None = None) -> int:
    """How many workers (with this engine) were seen in the last FRESH_SECONDS and have not said
    goodbye."""
    return session.scalar(ONLINE, {"fresh_seconds": FRESH_SECONDS, "engine": engine}) or 0
