"""The queue: jobs, and every statement that moves one. All of it runs on the database's clock.

                  release · retry · expire
              ┌────────────────────────────────────────────────┐
              ▼                                                │
  enqueue → pending ── claim ──────────────────────────→ processing ⟲ renew
              │ ├─ cancel → canceled ←──────────────── cancel ─┤ │ │
              │ └─ expire → expired (order's own deadline)     │ │ └─ complete → completed
              │                                                │ └─── fail ────→ failed
              │                                                └ the last attempt spent → failed

The claim is the right to settle: each claim writes a new uuid, every settling statement says
`WHERE claim = :claim`, and no row back means that the lease was lost. Functions take a session
and never commit. `renew complete retry fail release` take a Claim: only what was claimed can be
settled. Retry and expire put a job back while it has attempts left, and fail it after the last.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, TextClause, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, CreatedAt, UuidKey, uuid7
from models.errors import LeaseLost
from models.letter import Letter

CHANNEL = "jobs"  # NOTIFY: an order was placed
PRIORITY = {"draft": 20, "final": 10}  # higher is claimed first: the client is looking
RELEASES_MAX = 5  # polite releases that give the attempt back; later ones count
EXPIRE_BATCH = 20
BACKOFF_BASE_SECONDS = 2.0
BACKOFF_CAP_SECONDS = 60.0
SETTLED = ("completed", "failed", "canceled", "expired")


class Job(Base):
    """One cut of one order at one stage: what a worker claims. CHECKs make bad rows impossible."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(
            "status IN ('pending','processing','completed','failed','canceled','expired')",
            name="status",
        ),
        CheckConstraint("stage IN ('draft', 'final')", name="stage"),
        CheckConstraint("(status = 'processing') = (claim IS NOT NULL)", name="claimed"),
        CheckConstraint("(claim IS NULL) = (lease_until IS NULL)", name="leased"),
        CheckConstraint(
            "(status IN ('completed','failed','canceled','expired')) = (settled_at IS NOT NULL)",
            name="settled",
        ),
        CheckConstraint(
            "(status = 'completed') = (image_id IS NOT NULL)"
            " AND (status <> 'completed' OR settled_by IS NOT NULL)",
            name="completed",
        ),
        CheckConstraint("(status = 'failed') <= (error_code IS NOT NULL)", name="failed"),
        CheckConstraint("attempts BETWEEN 0 AND max_attempts", name="attempts"),
        CheckConstraint("releases >= 0", name="releases"),
        CheckConstraint("progress BETWEEN 0 AND 100", name="progress"),
        # Two small indexes carry the queue. lease_until is in neither, so a renewal stays HOT.
        Index(
            "jobs_pending",
            "engine",
            text("priority DESC"),
            "run_at",
            "id",
            postgresql_where=text("status = 'pending'"),
        ),
        Index("jobs_claim", "claim", unique=True, postgresql_where=text("claim IS NOT NULL")),
        Index(
            "jobs_deadline",
            "deadline",
            postgresql_where=text("status = 'pending' AND deadline IS NOT NULL"),
        ),
        Index("jobs_generation", "generation_id", "cut", "stage", unique=True),
        {"postgresql_with": {"fillfactor": "80"}},
    )

    id: Mapped[UuidKey]
    generation_id: Mapped[UUID] = mapped_column(ForeignKey("generations.id", ondelete="CASCADE"))
    cut: Mapped[str]
    stage: Mapped[str]
    engine: Mapped[str]
    letter: Mapped[dict[str, Any]]
    fingerprint: Mapped[str]
    priority: Mapped[int] = mapped_column(SmallInteger)
    run_at: Mapped[datetime] = mapped_column(server_default=text("statement_timestamp()"))
    deadline: Mapped[datetime | None]
    status: Mapped[str] = mapped_column(server_default="pending")
    version: Mapped[int] = mapped_column(server_default="1")  # every change adds one: the ETag
    progress: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    max_attempts: Mapped[int] = mapped_column(SmallInteger)
    releases: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    claim: Mapped[UUID | None]
    worker: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    settled_by: Mapped[UUID | None]  # the claim that won: a worker recognises its own success
    settled_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    image_id: Mapped[UUID | None] = mapped_column(ForeignKey("images.id"), unique=True)
    error_code: Mapped[str | None]
    error: Mapped[str | None]
    created_at: Mapped[CreatedAt]


@dataclass(frozen=True)
class NewJob:
    """What `enqueue` writes: one letter for one engine."""

    generation_id: UUID
    engine: str
    letter: Letter
    fingerprint: str
    max_attempts: int
    deadline: datetime | None = None


@dataclass(frozen=True)
class Claim:
    """The right to settle one job, until the lease ends or it is settled."""

    claim: UUID
    job_id: UUID
    generation_id: UUID
    engine: str
    attempts: int
    letter: Letter


@dataclass(frozen=True)
class NewImage:
    """The published picture that completes a job; everything that `complete` stores of it."""

    object_key: str
    content_type: str
    size_bytes: int
    sha256: str
    width_px: int
    height_px: int
    noise_seed: int
    engine: str
    engine_version: str
    recipe: dict[str, Any]
    degraded: list[str]
    timings_ms: dict[str, float]
    watermarked: bool


# --- enqueue: → pending ---------------------------------------------------------------------------

ENQUEUE = text("""
INSERT INTO jobs (id, generation_id, cut, stage, engine, letter, fingerprint, priority,
                  max_attempts, deadline)
VALUES (:id, :generation_id, :cut, :stage, :engine, CAST(:letter AS jsonb), :fingerprint, :priority,
        :max_attempts, :deadline)
""")
NOTIFY = text(f"SELECT pg_notify('{CHANNEL}', '')")


def enqueue(session: Session, jobs: Sequence[NewJob]) -> None:
    """Add pending jobs; workers are told when the transaction commits (once, not per job)."""
    session.execute(ENQUEUE, [_row(job) for job in jobs])
    session.execute(NOTIFY)


def _row(job: NewJob) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "generation_id": job.generation_id,
        "cut": job.letter.cut,
        "stage": job.letter.stage,
        "engine": job.engine,
        "letter": job.letter.model_dump_json(),
        "fingerprint": job.fingerprint,
        "priority": PRIORITY[job.letter.stage],
        "max_attempts": job.max_attempts,
        "deadline": job.deadline,
    }


# --- claim: pending → processing ------------------------------------------------------------------
# The '=' is load-bearing: with IN, a plan may run the locking subquery again and take many rows.
# Index jobs_pending, one row read. :claim is made by the worker, so that after a connection lost
# around COMMIT it can look whether it has the job.

CLAIM = text("""
UPDATE jobs SET status = 'processing', version = version + 1, attempts = attempts + 1, progress = 0,
       claim = :claim, worker = :worker, error_code = NULL, error = NULL,
       lease_until = clock_timestamp() + make_interval(secs => :lease_seconds),
       started_at = coalesce(started_at, clock_timestamp())
 WHERE id = (SELECT id FROM jobs
              WHERE status = 'pending' AND engine = :engine AND run_at <= statement_timestamp()
              ORDER BY priority DESC, run_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING claim, id, generation_id, engine, attempts, letter
""")


def claim(
    session: Session, engines: Sequence[str], worker: str, lease_seconds: float
) -> Claim | None:
    """Take the first due job of the first engine that has one; None when there is nothing to do."""
    for engine in engines:
        row = session.execute(
            CLAIM,
            {"claim": uuid4(), "worker": worker, "engine": engine, "lease_seconds": lease_seconds},
        ).one_or_none()
        if row is not None:
            return Claim(
                claim=row.claim,
                job_id=row.id,
                generation_id=row.generation_id,
                engine=row.engine,
                attempts=row.attempts,
                letter=Letter.model_validate(row.letter),
            )
    return None


# --- renew: processing ⟲ --------------------------------------------------------------------------
# The fence is the claim, not the clock: a late renewal by the claim still on the row is accepted,
# nobody else has the job. Progress rides on the same write and never goes back.

RENEW = text("""
UPDATE jobs SET lease_until = clock_timestamp() + make_interval(secs => :lease_seconds),
       progress = greatest(progress, :progress), version = version + 1
 WHERE claim = :claim
RETURNING 1
""")


def renew(session: Session, held: Claim, lease_seconds: float, progress: int) -> None:
    """Extend the lease and tell the progress (0..100). Raises LeaseLost."""
    _settle(session, RENEW, held, lease_seconds=lease_seconds, progress=progress)


# --- complete: processing → completed, with the image, or neither ---------------------------------

COMPLETE = text("""
WITH settled AS (
    UPDATE jobs SET status = 'completed', version = version + 1, progress = 100, image_id = :id,
           settled_by = claim, settled_at = clock_timestamp(), claim = NULL, lease_until = NULL
     WHERE claim = :claim
    RETURNING generation_id, cut, stage)
INSERT INTO images (id, generation_id, cut, stage, object_key, content_type, size_bytes, sha256,
                    width_px, height_px, noise_seed, engine, engine_version, recipe, degraded,
                    timings_ms, watermarked)
SELECT :id, generation_id, cut, stage, :object_key, :content_type, :size_bytes, :sha256,
       :width_px, :height_px, :noise_seed, :engine, :engine_version, CAST(:recipe AS jsonb),
       :degraded, CAST(:timings_ms AS jsonb), :watermarked
  FROM settled
RETURNING 1
""")


def complete(session: Session, held: Claim, image: NewImage) -> None:
    """Settle with the published picture. Raises LeaseLost, and then nothing is written."""
    values = vars(image) | {
        "recipe": json.dumps(image.recipe),
        "timings_ms": json.dumps(image.timings_ms),
    }
    _settle(session, COMPLETE, held, id=uuid7(), **values)


# --- retry: processing → pending after a while, or → failed at the last attempt -------------------
# Backoff: exponential, capped, full jitter.

RETRY = text("""
UPDATE jobs SET status = CASE WHEN attempts < max_attempts THEN 'pending' ELSE 'failed' END,
       settled_at = CASE WHEN attempts < max_attempts THEN NULL ELSE clock_timestamp() END,
       settled_by = CASE WHEN attempts < max_attempts THEN NULL ELSE claim END,
       run_at = clock_timestamp()
                + random() * least(:cap_seconds, :base_seconds * 2 ^ attempts)
                  * interval '1 second',
       version = version + 1, claim = NULL, lease_until = NULL,
       error_code = :error_code, error = :error
 WHERE claim = :claim
RETURNING 1
""")


def retry(session: Session, held: Claim, error_code: str, error: str) -> None:
    """Infrastructure broke: again later, on any worker. Raises LeaseLost."""
    limits = {"base_seconds": BACKOFF_BASE_SECONDS, "cap_seconds": BACKOFF_CAP_SECONDS}
    _settle(session, RETRY, held, error_code=error_code, error=error, **limits)


# --- fail: processing → failed --------------------------------------------------------------------

FAIL = text("""
UPDATE jobs SET status = 'failed', settled_by = claim, settled_at = clock_timestamp(),
       version = version + 1, claim = NULL, lease_until = NULL,
       error_code = :error_code, error = :error
 WHERE claim = :claim
RETURNING 1
""")


def fail(session: Session, held: Claim, error_code: str, error: str) -> None:
    """The order itself cannot be rendered; trying again would not help. Raises LeaseLost."""
    _settle(session, FAIL, held, error_code=error_code, error=error)


# --- release: processing → pending, at once -------------------------------------------------------
# A polite stop gives the attempt back, up to a cap: past it releases count as attempts, so that a
# job cannot be passed round for ever.

RELEASE = text("""
UPDATE jobs SET status = CASE WHEN gives_back OR attempts < max_attempts THEN 'pending'
                              ELSE 'failed' END,
       settled_at = CASE WHEN gives_back OR attempts < max_attempts THEN NULL
                         ELSE clock_timestamp() END,
       error_code = CASE WHEN gives_back OR attempts < max_attempts THEN NULL
                         ELSE 'released-too-often' END,
       attempts = attempts - CASE WHEN gives_back THEN 1 ELSE 0 END,
       releases = releases + 1, progress = 0,
       version = version + 1, claim = NULL, lease_until = NULL, run_at = clock_timestamp()
  FROM (SELECT id AS held_id, releases < :releases_max AS gives_back
          FROM jobs WHERE claim = :claim) held
 WHERE id = held_id AND claim = :claim
RETURNING 1
""")


def release(session: Session, held: Claim) -> None:
    """Hand the job back unfinished because the worker stops. Raises LeaseLost."""
    _settle(session, RELEASE, held, releases_max=RELEASES_MAX)
    session.execute(NOTIFY)


# --- expire: time ran out, for a lease or for an order --------------------------------------------
# Any worker, before it claims; bounded. The UPDATE tests the lease again: between the lock and the
# update the worker may have renewed. Index jobs_claim: the rows being processed, and no others.

EXPIRE_LEASES = text("""
WITH lapsed AS (
    SELECT id FROM jobs WHERE claim IS NOT NULL AND lease_until < clock_timestamp()
     LIMIT :batch FOR UPDATE SKIP LOCKED)
UPDATE jobs SET status = CASE WHEN attempts < max_attempts THEN 'pending' ELSE 'failed' END,
       settled_at = CASE WHEN attempts < max_attempts THEN NULL ELSE clock_timestamp() END,
       error_code = 'worker-lost', error = NULL, progress = 0,
       version = version + 1, claim = NULL, lease_until = NULL, run_at = clock_timestamp()
  FROM lapsed
 WHERE jobs.id = lapsed.id AND jobs.lease_until < clock_timestamp()
RETURNING jobs.id
""")
EXPIRE_ORDERS = text("""
WITH late AS (
    SELECT id FROM jobs WHERE status = 'pending' AND deadline < statement_timestamp()
     LIMIT :batch FOR UPDATE SKIP LOCKED)
UPDATE jobs SET status = 'expired', settled_at = clock_timestamp(), version = version + 1
  FROM late
 WHERE jobs.id = late.id AND jobs.status = 'pending'
RETURNING jobs.id
""")


def expire(session: Session) -> list[UUID]:
    """Take jobs back from workers that went silent, and end orders past their deadline."""
    batch = {"batch": EXPIRE_BATCH}
    lapsed = session.scalars(EXPIRE_LEASES, batch).all()
    return [*lapsed, *session.scalars(EXPIRE_ORDERS, batch).all()]


# --- cancel: pending or processing → canceled -----------------------------------------------------
# It settles at once; the fence refuses whatever the worker still tries.

CANCEL = text("""
UPDATE jobs SET status = 'canceled', settled_at = clock_timestamp(), version = version + 1,
       claim = NULL, lease_until = NULL
 WHERE generation_id = :generation_id AND status IN ('pending', 'processing')
RETURNING id
""")


def cancel(session: Session, generation_id: UUID) -> int:
    """Cancel what is left of an order; returns how many of its jobs that stopped."""
    return len(session.execute(CANCEL, {"generation_id": generation_id}).all())


# --- reading --------------------------------------------------------------------------------------

STILL_HELD = text("SELECT 1 FROM jobs WHERE claim = :claim")
SETTLED_BY = text("SELECT settled_by FROM jobs WHERE id = :job_id")
AHEAD = text("""
SELECT count(*) FROM (
    SELECT 1 FROM jobs, (SELECT engine, priority, run_at, id FROM jobs
                          WHERE generation_id = :generation_id AND status = 'pending'
                          ORDER BY priority DESC, run_at, id LIMIT 1) mine
     WHERE jobs.status = 'pending' AND jobs.engine = mine.engine
       AND (jobs.priority > mine.priority
            OR (jobs.priority = mine.priority AND (jobs.run_at, jobs.id) < (mine.run_at, mine.id)))
     LIMIT :most) bounded
""")
DEPTH = text("""
SELECT count(*) FROM (SELECT 1 FROM jobs WHERE status = 'pending' LIMIT :most) bounded
""")
IN_PROGRESS = text("SELECT count(*) FROM jobs WHERE claim IS NOT NULL")
OLDEST_WAIT_SECONDS = text("""
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(run_at)), 0)::float8
  FROM (SELECT run_at FROM jobs WHERE status = 'pending' AND engine = :engine
         ORDER BY priority DESC, run_at, id LIMIT 1) first
""")


def still_held(session: Session, held: Claim) -> bool:
    return session.execute(STILL_HELD, {"claim": held.claim}).one_or_none() is not None


def was_settled_by(session: Session, held: Claim) -> bool:
    """After a connection lost around COMMIT: True when this claim's own settlement is in."""
    return bool(session.scalar(SETTLED_BY, {"job_id": held.job_id}) == held.claim)


def ahead(session: Session, generation_id: UUID, most: int = 1000) -> int:
    """How many jobs will be claimed before this order's first pending one (at most `most`)."""
    return session.scalar(AHEAD, {"generation_id": generation_id, "most": most}) or 0


def depth(session: Session, most: int = 10_001) -> int:
    """How many jobs are pending; counting stops at `most`."""
    return session.scalar(DEPTH, {"most": most}) or 0


def in_progress(session: Session) -> int:
    return session.scalar(IN_PROGRESS) or 0


def oldest_wait_seconds(session: Session, engine: str) -> float:
    """How long the next job of this engine has been waiting; 0 when none is."""
    return session.scalar(OLDEST_WAIT_SECONDS, {"engine": engine}) or 0.0


def _settle(session: Session, statement: TextClause, held: Claim, **values: Any) -> None:
    if session.execute(statement, {"claim": held.claim} | values).one_or_none() is None:
        raise LeaseLost(f"job {held.job_id} is no longer held by claim {held.claim}")
