"""Orders for tests of the queue: placed as the API places them, on the seeded catalogue."""

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from models import generations, queue
from models.catalogue import Fabric
from models.database import transaction

LEASE_SECONDS = 15.0
BOTH = ("recto", "cruzado")
NOBODYS = "01234567-89ab-7def-8123-456789abcdef"  # the id of no order
WAITING_FOR_A_LOCK = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


def some_color_id() -> str:
    with transaction() as session:
        color_id = session.scalar(select(Fabric.color_id).order_by(Fabric.id).limit(1))
    assert color_id is not None
    return color_id


def place(cuts: tuple[str, ...] = ("recto",), **order: Any) -> UUID:
    """Place an order for some fabric; returns the generation's id."""
    with transaction() as session:
        asked = {"color_id": some_color_id(), "cuts": cuts, "owner": "shop"} | order
        return generations.place(session, generations.Order(**asked))


def claim(worker: str = "a", engine: str = "drape") -> queue.Claim:
    """Claim the next job, which must be there."""
    with transaction() as session:
        held = queue.claim(session, queue.Claimant(worker, [engine], LEASE_SECONDS))
    assert held is not None
    return held


def job(held: queue.Claim) -> Any:
    """The job's row as it is now."""
    with transaction() as session:
        return session.execute(text("SELECT * FROM jobs WHERE id = :id"), {"id": held.job_id}).one()


def an_image(held: queue.Claim) -> queue.NewImage:
    """A published picture that `complete` will accept."""
    return queue.NewImage(
        object_key=f"renders/{held.job_id}/{held.claim}/x.jpg",
        content_type="image/jpeg",
        size_bytes=3,
        sha256="0" * 64,
        width_px=10,
        height_px=10,
        noise_seed=held.letter.noise_seed,
        engine="mock",
        engine_version="1",
        recipe={},
        degraded=[],
        timings_ms={},
        watermarked=True,
    )


def sql(statement: str, **values: Any) -> Any:
    """Run one statement; the first column of the first row, if there is one."""
    with transaction() as session:
        result: Any = session.execute(text(statement), values)
        return result.scalar() if result.returns_rows else None


def let_leases_lapse() -> None:
    """Move the clock: as if every lease had ended a second ago."""
    sql("UPDATE jobs SET lease_until = clock_timestamp() - interval '1 s' WHERE claim IS NOT NULL")


def let_backoff_pass() -> None:
    sql("UPDATE jobs SET run_at = clock_timestamp() - interval '1 s' WHERE status = 'pending'")


def until_they_wait(many: int, unless: Callable[[], bool] = lambda: False) -> None:
    """For a lock: so many of the database's other sessions. The limit only ends a broken test."""
    ends_at = time.monotonic() + 30
    while not unless() and sql(WAITING_FOR_A_LOCK) < many:
        assert time.monotonic() < ends_at
        time.sleep(0.01)
