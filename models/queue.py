"""The queue: jobs, and every statement that moves one. All of it runs on the database's clock.

                  release · retry · expire
              ┌────────────────────────────────────────────────┐
              ▼                                                │
  enqueue → pending ── claim ──────────────────────────→ processing ⟲ renew
              │ ├─ cancel → canceled ←──────────────── cancel ─┤ │ │
              │ └─ expire → expired (order's own deadline)     │ │ └─ complete → completed
              │                                                │ └─── fail ────→ failed
              └─ its leader completed → completed              └ the last attempt spent → failed

The claim is the right to settle: each claim writes a new uuid, every settling statement says
`WHERE claim = :claim`, and no row back means that the lease was lost. Functions take a session
and never commit. `claim renew complete` and the reads are one statement each: a session from
`one_statement()` will do, the others need `transaction()`. `renew complete retry fail release`
take a Claim: only what was claimed can be settled. Retry and expire put a job back while it has
attempts left, and fail it after the last.

A job with a leader waits: the same picture is being rendered for somebody else. It is completed
with its leader, or takes its place if the leader ends without a picture.

A job without an order reads a swatch or makes a look pack. It is claimed, retried, failed and
expired as all are; how it is enqueued and completed is in models/profiles.py and look_uploads.py.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID, uuid4

from pydantic import ValidationError
from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    Row,
    SmallInteger,
    TextClause,
    text,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, IntegerKey, UuidKey, uuid7
from models.database import Executor
from models.errors import LeaseLost, LetterUnreadable
from models.images import Image
from models.letter import Letter

CHANNEL = "jobs"  # NOTIFY: there may be something to claim
PRIORITY = {"draft": 20, "final": 10}  # higher is claimed first: the client is looking
BULK_PRIORITY = 0
RELEASES_MAX = 5  # polite releases that give the attempt back; later ones count
EXPIRE_BATCH = 20
BACKOFF_BASE_SECONDS = 2.0
BACKOFF_CAP_SECONDS = 60.0
AFFINITY_SECONDS = 15.0  # how far a job of the warm engine may jump ahead of older ones
CHANGES_WORTH = 3.0  # so many changes of weights a job waits for a worker that need not change
COURTESY_SECONDS = 1.0  # and so long where nobody renders with those weights: who has them is idle
BATCH_WINDOW = 50  # how far into the queue a batch is looked for
SETTLED = ("completed", "failed", "canceled", "expired")


class Job(Base):
    """One cut of one order at one stage: what a worker claims. CHECKs make bad rows impossible.

    The order of the columns is meant: what never changes comes first and what a renewal changes
    comes last, so that PostgreSQL logs a few bytes of a row that it updates in place.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(
            "status IN ('pending','processing','completed','failed','canceled','expired')",
            name="status",
        ),
        CheckConstraint("stage IN ('draft', 'final')", name="stage"),
        CheckConstraint("num_nulls(generation_id, cut, stage) IN (0, 3)", name="order"),
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
        CheckConstraint("claim IS NULL OR leader_id IS NULL", name="leader"),
        CheckConstraint("attempts BETWEEN 0 AND max_attempts", name="attempts"),
        CheckConstraint("releases >= 0", name="releases"),
        CheckConstraint("progress BETWEEN 0 AND 100", name="progress"),
        # Small partial indexes carry the queue. lease_until is in none, so a renewal stays HOT.
        # Only jobs_pending can serve a claim: before the table has statistics the planner would
        # take any index whose rows are the pending ones, and sort them all. So jobs_turns says
        # "pending" in other words, and jobs_fingerprint is a hash.
        Index(
            "jobs_pending",
            "engine",
            text("priority DESC"),
            "turn_at",
            "id",
            postgresql_where=text("status = 'pending' AND leader_id IS NULL"),
        ),
        Index(
            "jobs_turns",
            "owner",
            "engine",
            "turn_at",
            postgresql_where=text("settled_at IS NULL AND claim IS NULL"),
        ),
        Index(
            "jobs_fingerprint",
            "fingerprint",
            postgresql_using="hash",
            postgresql_where=text("status = 'pending' AND leader_id IS NULL"),
        ),
        Index("jobs_followers", "leader_id", postgresql_where=text("leader_id IS NOT NULL")),
        Index("jobs_claim", "claim", unique=True, postgresql_where=text("claim IS NOT NULL")),
        Index(
            "jobs_deadline",
            "deadline",
            postgresql_where=text("status = 'pending' AND deadline IS NOT NULL"),
        ),
        Index("jobs_generation", "generation_id", "cut", "stage", unique=True),
        Index(
            "jobs_profiles",
            "fingerprint",
            unique=True,
            postgresql_where=text("generation_id IS NULL"),
        ),
        Index("jobs_image", "image_id", postgresql_where=text("image_id IS NOT NULL")),
        {"postgresql_with": {"fillfactor": "80"}},
    )

    # written once
    id: Mapped[UuidKey]
    generation_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("generations.id", ondelete="CASCADE")
    )
    owner: Mapped[str]
    cut: Mapped[str | None]
    stage: Mapped[str | None]
    engine: Mapped[str]
    letter: Mapped[dict[str, Any]] = mapped_column(JSON)  # read whole: smaller than JSONB
    fingerprint: Mapped[str]
    priority: Mapped[int] = mapped_column(SmallInteger)
    turn_at: Mapped[datetime]  # the owner's fair place in the order of claims
    max_attempts: Mapped[int] = mapped_column(SmallInteger)
    deadline: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("statement_timestamp()"))
    # written by a claim
    leader_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))
    run_at: Mapped[datetime] = mapped_column(server_default=text("statement_timestamp()"))
    started_at: Mapped[datetime | None]
    claimed_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    releases: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    worker: Mapped[str | None]
    # written by the end
    error_code: Mapped[str | None]
    error: Mapped[str | None]
    settled_at: Mapped[datetime | None]
    settled_by: Mapped[UUID | None]  # the claim that won: a worker recognises its own success
    image_id: Mapped[UUID | None] = mapped_column(ForeignKey(Image.id))
    status: Mapped[str] = mapped_column(server_default="pending")
    claim: Mapped[UUID | None]
    # written by every renewal
    version: Mapped[int] = mapped_column(Integer, server_default="1")  # each change adds 1: ETag
    progress: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    lease_until: Mapped[datetime | None]


class Attempt(Base):
    """Append-only: a claim that ended without a picture, and why. The claim that completed a job
    is on the job itself, so the usual case writes nothing here."""

    __tablename__ = "attempts"
    __table_args__ = (
        CheckConstraint("verb IN ('retry','fail','release','expire','cancel')", name="verb"),
        Index(None, "job_id"),
        Index(None, "ended_at"),
    )

    id: Mapped[IntegerKey]
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    attempt: Mapped[int] = mapped_column(SmallInteger)
    claim: Mapped[UUID]
    worker: Mapped[str]
    claimed_at: Mapped[datetime]
    ended_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    verb: Mapped[str]
    error_code: Mapped[str | None]
    error: Mapped[str | None]


class EngineMode(Base):
    """An engine that is switched: paused (nothing is claimed) or draining (no new orders)."""

    __tablename__ = "engine_modes"
    __table_args__ = (CheckConstraint("mode IN ('paused', 'draining')", name="mode"),)

    engine: Mapped[str] = mapped_column(primary_key=True)
    mode: Mapped[str]
    set_by: Mapped[str]
    set_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))


@dataclass(frozen=True)
class NewJob:
    """What `enqueue` writes: one letter for one engine."""

    generation_id: UUID
    owner: str
    engine: str
    letter: Letter
    fingerprint: str
    max_attempts: int
    priority: int
    expected_seconds: float
    deadline: datetime | None = None


@dataclass(frozen=True)
class Claimant:
    """Who claims: with which engines, and for how long at first."""

    worker: str
    engines: Sequence[str]
    lease_seconds: float
    warm: str | None = None  # the engine that rendered last
    change_seconds: float = 0.0  # to change to another's weights; 0 where all are in memory


@dataclass(frozen=True)
class Held:
    """The right to settle one job, until the lease ends or it is settled."""

    claim: UUID
    job_id: UUID
    engine: str
    fingerprint: str
    attempts: int


@dataclass(frozen=True)
class Claim(Held):
    """The right to settle one job of an order."""

    generation_id: UUID
    written: dict[str, Any]  # the letter, as the row has it

    @cached_property
    def letter(self) -> Letter:
        """Raises LetterUnreadable: who claims a job has to settle it, whatever was written."""
        try:
            return Letter.model_validate(self.written)
        except ValidationError as error:
            raise LetterUnreadable("El pedido es de una versión más nueva.") from error


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
# Fair share (start-time fair queueing): each job of an owner takes its turn one expected render
# after the owner's last pending one, never before now. A bulk order of a thousand spreads itself
# over the future and whoever orders one suit meanwhile goes first. Index jobs_turns, one row read.

ENQUEUE = text("""
INSERT INTO jobs (id, generation_id, owner, cut, stage, engine, letter, fingerprint, priority,
                  turn_at, max_attempts, deadline, leader_id)
VALUES (:id, :generation_id, :owner, :cut, :stage, :engine, CAST(:letter AS json), :fingerprint,
        :priority,
        greatest(statement_timestamp(),
                 (SELECT turn_at + make_interval(secs => :expected_seconds) FROM jobs
                   WHERE owner = :owner AND engine = :engine
                     AND settled_at IS NULL AND claim IS NULL
                   ORDER BY turn_at DESC LIMIT 1)),
        :max_attempts, :deadline, :leader_id)
RETURNING pg_notify(:channel, '')
""")
NOTIFY = text(f"SELECT pg_notify('{CHANNEL}', '')")


def enqueue(session: Executor, jobs: Sequence[NewJob], share_results: bool = False) -> None:
    """Add pending jobs; workers are told when the transaction commits (PostgreSQL drops what it
    was told twice, so once and not per job).

    With `share_results`, a picture with the same fingerprint is not rendered twice: where it is
    stored the job is completed at once, where it is being made the job waits for it."""
    if share_results:
        lock_fingerprints(session, [job.fingerprint for job in jobs])
    for job in jobs:
        row = _row(job)
        if share_results and _share(session, row):
            continue
        session.execute(ENQUEUE, row)


def _row(job: NewJob) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "generation_id": job.generation_id,
        "owner": job.owner,
        "cut": job.letter.cut,
        "stage": job.letter.stage,
        "engine": job.engine,
        "letter": job.letter.model_dump_json(),
        "fingerprint": job.fingerprint,
        "priority": job.priority,
        "max_attempts": job.max_attempts,
        "expected_seconds": job.expected_seconds,
        "deadline": job.deadline,
        "leader_id": None,
        "channel": CHANNEL,
    }


# --- sharing: → completed at once, or → pending behind a leader -----------------------------------

# In one order for all, so that of two who want the same ones neither holds what the other lacks.
SAME_FINGERPRINTS = text("""
SELECT pg_advisory_xact_lock(hashtextextended(fingerprint, 1))
  FROM (SELECT DISTINCT unnest(CAST(:fingerprints AS text[])) AS fingerprint ORDER BY 1) in_order
""")
ENQUEUE_COMPLETED = text("""
INSERT INTO jobs (id, generation_id, owner, cut, stage, engine, letter, fingerprint, priority,
                  turn_at, max_attempts, deadline, status, progress, image_id, settled_by,
                  started_at, settled_at)
SELECT :id, :generation_id, :owner, :cut, :stage, :engine, CAST(:letter AS json), :fingerprint,
       :priority, statement_timestamp(), :max_attempts, :deadline, 'completed', 100, id, made_by,
       statement_timestamp(), statement_timestamp()
  FROM images WHERE fingerprint = :fingerprint ORDER BY id DESC LIMIT 1
RETURNING 1
""")
# Nobody waits behind a job that comes later than its own would: one of a bulk order, or one held.
LEADER = text("""
SELECT id FROM jobs WHERE fingerprint = :fingerprint AND status = 'pending' AND leader_id IS NULL
                      AND priority >= :priority AND run_at < '9999-01-01'
UNION ALL
SELECT id FROM jobs WHERE claim IS NOT NULL AND fingerprint = :fingerprint
 LIMIT 1
""")


def lock_fingerprints(session: Executor, fingerprints: Sequence[str]) -> None:
    """Until the transaction ends, nobody else places an order for these pictures, nor deletes one.
    Two equal orders at once: the second waits here and then finds the first."""
    session.execute(SAME_FINGERPRINTS, {"fingerprints": list(fingerprints)})


def _share(session: Executor, row: dict[str, Any]) -> bool:
    """True when the job was completed from a stored picture; otherwise it may get a leader."""
    if session.execute(ENQUEUE_COMPLETED, row).one_or_none() is not None:
        return True
    asked = {name: row[name] for name in ("fingerprint", "priority")}
    row["leader_id"] = session.scalar(LEADER, asked)
    return False


# --- claim: pending → processing ------------------------------------------------------------------
# First the engine: of the heads of the worker's engines the one whose turn is first, where the
# engine that is warm may be AFFINITY_SECONDS late. A worker that would have to change its weights
# leaves a head alone for a while, longer where somebody renders with those weights and will be free
# (index jobs_claim, which that ORDER BY makes sure of). Then the chosen engine's first job that
# nobody else is taking. The '=' is load-bearing: with IN, a plan may run the locking subquery again
# and take many rows. Index jobs_pending, one row an engine and one more. The LIMIT of the engines
# cuts nothing off: it keeps the planner from reckoning with ten of them, for which it would plan
# every claim anew. :claim is made by the worker, so that after a connection lost around COMMIT it
# can look whether it has the job.
# A claim does not wait for the disk, nor does a renewal: if the server crashes in the same
# half-second it is forgotten, the fence refuses what its worker tries, and the job is pending as
# before. Enqueue and complete wait, so what was acknowledged stays.

CLAIM = text("""
UPDATE jobs SET status = 'processing', version = version + 1, attempts = attempts + 1, progress = 0,
       claim = :claim, worker = :worker, error_code = NULL, error = NULL,
       lease_until = clock_timestamp() + make_interval(secs => :lease_seconds),
       claimed_at = clock_timestamp(), started_at = coalesce(started_at, clock_timestamp())
 WHERE id = (
    SELECT job.id
      FROM (SELECT kind.engine
              FROM (SELECT unnest(CAST(:engines AS text[])) AS engine
                     LIMIT cardinality(CAST(:engines AS text[]))) kind
             CROSS JOIN LATERAL (
                   SELECT priority, turn_at, run_at FROM jobs
                    WHERE status = 'pending' AND leader_id IS NULL AND engine = kind.engine
                      AND run_at <= statement_timestamp()
                    ORDER BY priority DESC, turn_at, id LIMIT 1) head
             WHERE NOT EXISTS (SELECT 1 FROM engine_modes
                                WHERE engine = kind.engine AND mode = 'paused')
               AND (head.run_at <= statement_timestamp() - make_interval(secs => :patience_seconds)
                    OR kind.engine = coalesce(:warm, kind.engine)
                    OR head.run_at <= statement_timestamp()
                                      - make_interval(secs => :courtesy_seconds)
                       AND (SELECT claim FROM jobs
                             WHERE claim IS NOT NULL AND engine = kind.engine
                             ORDER BY claim LIMIT 1) IS NULL)
             ORDER BY head.priority DESC,
                      head.turn_at - CASE WHEN kind.engine = :warm
                                          THEN make_interval(secs => :affinity_seconds)
                                          ELSE interval '0' END
             LIMIT 1) best
     CROSS JOIN LATERAL (
           SELECT id FROM jobs
            WHERE status = 'pending' AND leader_id IS NULL AND engine = best.engine
              AND run_at <= statement_timestamp()
            ORDER BY priority DESC, turn_at, id LIMIT 1 FOR UPDATE SKIP LOCKED) job)
   AND set_config('synchronous_commit', 'off', true) = 'off'
RETURNING claim, id, generation_id, engine, fingerprint, attempts, letter
""")


def claim(session: Executor, claimant: Claimant, with_claim: UUID | None = None) -> Claim | None:
    """Take the job whose turn it is; None when there is nothing to do.

    `with_claim` is the uuid to claim with, for a worker that wants to look it up after a lost
    connection (see `held_by`)."""
    return _claim_of(take(session, claimant, with_claim))


def take(session: Executor, claimant: Claimant, with_claim: UUID | None = None) -> Row[Any] | None:
    """The row of what was claimed, whatever kind of letter it carries."""
    patience_seconds = CHANGES_WORTH * claimant.change_seconds
    values = {
        "claim": with_claim or uuid4(),
        "worker": claimant.worker,
        "engines": list(claimant.engines),
        "warm": claimant.warm,
        "lease_seconds": claimant.lease_seconds,
        "affinity_seconds": max(AFFINITY_SECONDS, patience_seconds),
        "patience_seconds": patience_seconds,
        "courtesy_seconds": COURTESY_SECONDS,
    }
    return session.execute(CLAIM, values).one_or_none()


# More of the same for an engine that renders a batch: like the first in engine, stage and size,
# from the next BATCH_WINDOW in turn. Each has its own claim, so losing one sinks no other.

CLAIM_MORE = text("""
WITH near AS (
    SELECT id FROM jobs
     WHERE status = 'pending' AND leader_id IS NULL AND engine = :engine
       AND run_at <= statement_timestamp()
     ORDER BY priority DESC, turn_at, id LIMIT :window),
alike AS (
    SELECT j.id FROM near JOIN jobs j USING (id)
     WHERE j.status = 'pending' AND j.leader_id IS NULL AND j.stage = :stage
       AND j.letter->>'width_px' = :width_px AND j.letter->>'height_px' = :height_px
     ORDER BY j.priority DESC, j.turn_at, j.id
     LIMIT cardinality(CAST(:claims AS uuid[])) FOR UPDATE OF j SKIP LOCKED),
numbered AS (SELECT id, row_number() OVER () AS place FROM alike)
UPDATE jobs SET status = 'processing', version = version + 1, attempts = attempts + 1, progress = 0,
       claim = (CAST(:claims AS uuid[]))[place], worker = :worker, error_code = NULL, error = NULL,
       lease_until = clock_timestamp() + make_interval(secs => :lease_seconds),
       claimed_at = clock_timestamp(), started_at = coalesce(started_at, clock_timestamp())
  FROM numbered
 WHERE jobs.id = numbered.id
RETURNING claim, jobs.id, generation_id, engine, fingerprint, attempts, letter
""")


def claim_more(
    session: Executor, first: Claim, worker: str, lease_seconds: float, most: int
) -> list[Claim]:
    """Up to `most` further jobs that can be rendered together with the first one."""
    values = {
        "engine": first.engine,
        "stage": first.letter.stage,
        "width_px": str(first.letter.width_px),
        "height_px": str(first.letter.height_px),
        "claims": [uuid4() for _ in range(most)],
        "worker": worker,
        "lease_seconds": lease_seconds,
        "window": BATCH_WINDOW,
    }
    rows = session.execute(CLAIM_MORE, values).all()
    return [found for row in rows if (found := _claim_of(row)) is not None]


HELD_BY = text("""
SELECT claim, id, generation_id, engine, fingerprint, attempts, letter
  FROM jobs WHERE claim = :claim
""")


def held_by(session: Executor, claim: UUID) -> Claim | None:
    """After a connection lost around the COMMIT of a claim: the job, if the claim happened."""
    return _claim_of(session.execute(HELD_BY, {"claim": claim}).one_or_none())


def _claim_of(row: Row[Any] | None) -> Claim | None:
    if row is None:
        return None
    return Claim(*right_of(row), generation_id=row.generation_id, written=row.letter)


def right_of(row: Row[Any]) -> tuple[UUID, UUID, str, str, int]:
    """The fields of Held, in their order."""
    return row.claim, row.id, row.engine, row.fingerprint, row.attempts


# --- renew: processing ⟲ --------------------------------------------------------------------------
# The fence is the claim, not the clock: a late renewal by the claim still on the row is accepted,
# nobody else has the job. Progress rides on the same write and never goes back.

RENEW = text("""
UPDATE jobs SET lease_until = clock_timestamp() + make_interval(secs => :lease_seconds),
       progress = greatest(progress, :progress), version = version + 1
 WHERE claim = :claim AND set_config('synchronous_commit', 'off', true) = 'off'
RETURNING 1
""")


def renew(session: Executor, held: Claim, lease_seconds: float, progress: int) -> None:
    """Extend the lease and tell the progress (0..100). Raises LeaseLost."""
    settle(session, RENEW, held, lease_seconds=lease_seconds, progress=progress)


# --- complete: processing → completed, with the image, or neither ---------------------------------

COMPLETE = text("""
WITH settled AS (
    UPDATE jobs SET status = 'completed', version = version + 1, progress = 100, image_id = :id,
           settled_by = claim, settled_at = clock_timestamp(), claim = NULL, lease_until = NULL
     WHERE claim = :claim
    RETURNING id, fingerprint),
followers AS (
    UPDATE jobs SET status = 'completed', version = version + 1, progress = 100, image_id = :id,
           settled_by = :claim, settled_at = clock_timestamp(), leader_id = NULL,
           started_at = coalesce(started_at, clock_timestamp())
     WHERE leader_id = (SELECT id FROM settled) AND status = 'pending')
INSERT INTO images (id, fingerprint, made_by, object_key, content_type, size_bytes, sha256,
                    width_px, height_px, noise_seed, engine, engine_version, recipe, degraded,
                    timings_ms, watermarked)
SELECT :id, fingerprint, :claim, :object_key, :content_type, :size_bytes, :sha256,
       :width_px, :height_px, :noise_seed, :engine, :engine_version, CAST(:recipe AS jsonb),
       :degraded, CAST(:timings_ms AS jsonb), :watermarked
  FROM settled
RETURNING 1
""")


def complete(session: Executor, held: Claim, image: NewImage) -> None:
    """Settle with the published picture, and those who waited for it with the same.

    Raises LeaseLost, and then nothing is written."""
    values = vars(image) | {
        "recipe": json.dumps(image.recipe),
        "timings_ms": json.dumps(image.timings_ms),
    }
    settle(session, COMPLETE, held, id=uuid7(), **values)


# --- retry: processing → pending after a while, or → failed at the last attempt -------------------
# Backoff: exponential, capped, full jitter. Like every move that ends a claim without a picture, it
# leaves a row in attempts.

# What goes back to waiting does so at once, or with its bulk order where that is paused. Whoever is
# pausing it, or letting it go on, is waited for: he does not see that this job waits again.

HELD = "timestamptz '9999-12-31'"  # where the jobs of a paused bulk order wait for it to go on
BACK_AT = f"""CASE WHEN (SELECT b.paused FROM generations g JOIN bulks b ON b.id = g.bulk_id
                          WHERE g.id = jobs.generation_id FOR SHARE OF b)
                   THEN {HELD} ELSE clock_timestamp() END"""
ENDED = """
WITH held AS (SELECT id, attempts, claim, worker, claimed_at FROM jobs WHERE claim = :claim
                 FOR UPDATE),
ended AS (INSERT INTO attempts (job_id, attempt, claim, worker, claimed_at, verb, error_code, error)
          SELECT id, attempts, claim, worker, claimed_at, :verb, :error_code, :error FROM held)"""
RETRY = text(f"""{ENDED}
UPDATE jobs SET status = CASE WHEN jobs.attempts < max_attempts THEN 'pending' ELSE 'failed' END,
       settled_at = CASE WHEN jobs.attempts < max_attempts THEN NULL ELSE clock_timestamp() END,
       settled_by = CASE WHEN jobs.attempts < max_attempts THEN NULL ELSE jobs.claim END,
       run_at = {BACK_AT}
                + random() * least(:cap_seconds, :base_seconds * 2 ^ jobs.attempts)
                  * interval '1 second',
       version = version + 1, claim = NULL, lease_until = NULL,
       error_code = :error_code, error = :error
  FROM held
 WHERE jobs.id = held.id AND jobs.claim = :claim
RETURNING jobs.id, status
""")


def retry(session: Executor, held: Held, error_code: str, error: str) -> None:
    """Infrastructure broke: again later, on any worker. Raises LeaseLost."""
    limits = {"base_seconds": BACKOFF_BASE_SECONDS, "cap_seconds": BACKOFF_CAP_SECONDS}
    _end(session, RETRY, held, "retry", error_code=error_code, error=error, **limits)


# --- fail: processing → failed --------------------------------------------------------------------

FAIL = text(f"""{ENDED}
UPDATE jobs SET status = 'failed', settled_by = jobs.claim, settled_at = clock_timestamp(),
       version = version + 1, claim = NULL, lease_until = NULL,
       error_code = :error_code, error = :error
  FROM held
 WHERE jobs.id = held.id AND jobs.claim = :claim
RETURNING jobs.id, status
""")


def fail(session: Executor, held: Held, error_code: str, error: str) -> None:
    """The order itself cannot be rendered; trying again would not help. Raises LeaseLost."""
    _end(session, FAIL, held, "fail", error_code=error_code, error=error)


# --- release: processing → pending, at once -------------------------------------------------------
# A polite stop gives the attempt back, up to a cap: past it releases count as attempts, so that a
# job cannot be passed round for ever.

RELEASE = text(f"""{ENDED}
UPDATE jobs SET status = CASE WHEN gives_back OR jobs.attempts < max_attempts THEN 'pending'
                              ELSE 'failed' END,
       settled_at = CASE WHEN gives_back OR jobs.attempts < max_attempts THEN NULL
                         ELSE clock_timestamp() END,
       error_code = CASE WHEN gives_back OR jobs.attempts < max_attempts THEN NULL
                         ELSE 'released-too-often' END,
       attempts = jobs.attempts - CASE WHEN gives_back THEN 1 ELSE 0 END,
       releases = releases + 1, progress = 0,
       version = version + 1, claim = NULL, lease_until = NULL, run_at = {BACK_AT}
  FROM held JOIN (SELECT id, releases < :releases_max AS gives_back FROM jobs) cap USING (id)
 WHERE jobs.id = held.id AND jobs.claim = :claim
RETURNING jobs.id, status
""")


def release(session: Executor, held: Held) -> None:
    """Hand the job back unfinished because the worker stops. Raises LeaseLost."""
    none = {"error_code": None, "error": None}
    _end(session, RELEASE, held, "release", releases_max=RELEASES_MAX, **none)
    session.execute(NOTIFY)


# --- expire: time ran out, for a lease or for an order --------------------------------------------
# Any worker, now and then before it claims; bounded. The UPDATE tests the lease again: between the
# lock and the update the worker may have renewed. Index jobs_claim: the rows being processed, and
# no others. An order past its deadline expires before it is started, and is canceled after.

EXPIRE_LEASES = text(f"""
WITH lapsed AS (
    SELECT id, attempts, claim, worker, claimed_at FROM jobs
     WHERE claim IS NOT NULL AND lease_until < clock_timestamp()
     LIMIT :batch FOR UPDATE SKIP LOCKED),
ended AS (INSERT INTO attempts (job_id, attempt, claim, worker, claimed_at, verb, error_code)
          SELECT id, attempts, claim, worker, claimed_at, 'expire', 'worker-lost' FROM lapsed)
UPDATE jobs SET status = CASE WHEN jobs.attempts < max_attempts THEN 'pending' ELSE 'failed' END,
       settled_at = CASE WHEN jobs.attempts < max_attempts THEN NULL ELSE clock_timestamp() END,
       error_code = 'worker-lost', error = NULL, progress = 0,
       version = version + 1, claim = NULL, lease_until = NULL, run_at = {BACK_AT}
  FROM lapsed
 WHERE jobs.id = lapsed.id AND jobs.lease_until < clock_timestamp()
RETURNING jobs.id, status
""")
EXPIRE_ORDERS = text("""
WITH late AS (
    SELECT id FROM jobs WHERE status = 'pending' AND deadline < statement_timestamp()
     LIMIT :batch FOR UPDATE SKIP LOCKED),
too_late AS (
    SELECT id, attempts, claim, worker, claimed_at FROM jobs
     WHERE claim IS NOT NULL AND deadline < statement_timestamp()
     LIMIT :batch FOR UPDATE SKIP LOCKED),
ended AS (INSERT INTO attempts (job_id, attempt, claim, worker, claimed_at, verb)
          SELECT id, attempts, claim, worker, claimed_at, 'cancel' FROM too_late)
UPDATE jobs SET status = CASE WHEN claim IS NULL THEN 'expired' ELSE 'canceled' END,
       settled_at = clock_timestamp(), version = version + 1, claim = NULL, lease_until = NULL,
       leader_id = NULL
 WHERE jobs.id IN (SELECT id FROM late UNION ALL SELECT id FROM too_late)
   AND status IN ('pending', 'processing')
RETURNING jobs.id, status
""")


def expire(session: Session) -> list[UUID]:
    """Take jobs back from workers that went silent, end orders past their deadline, and let nobody
    wait in vain."""
    batch = {"batch": EXPIRE_BATCH}
    moved = [*session.execute(EXPIRE_LEASES, batch), *session.execute(EXPIRE_ORDERS, batch)]
    _notify_if_any(session, PROMOTE_ALL)
    return [row.id for row in moved]


# --- cancel: pending or processing → canceled -----------------------------------------------------
# It settles at once; the fence refuses whatever the worker still tries.

CANCEL = text("""
WITH live AS (
    SELECT id, attempts, claim, worker, claimed_at FROM jobs
     WHERE generation_id = :generation_id AND status IN ('pending', 'processing') FOR UPDATE),
ended AS (INSERT INTO attempts (job_id, attempt, claim, worker, claimed_at, verb)
          SELECT id, attempts, claim, worker, claimed_at, 'cancel' FROM live
           WHERE claim IS NOT NULL)
UPDATE jobs SET status = 'canceled', settled_at = clock_timestamp(), version = version + 1,
       claim = NULL, lease_until = NULL, leader_id = NULL
  FROM live
 WHERE jobs.id = live.id AND status IN ('pending', 'processing')
RETURNING jobs.id
""")


def cancel(session: Session, generation_id: UUID) -> int:
    """Cancel what is left of an order; returns how many of its jobs that stopped."""
    canceled = session.scalars(CANCEL, {"generation_id": generation_id}).all()
    _promote(session, canceled)
    return len(canceled)


# --- promote: nobody waits for a picture that will not come, or would come later than his own -----
# Behind a leader that ended without one, or that waits itself and is held or less urgent: the first
# of those who wait for it takes its place. Where a leader ends, at once; of all leaders as often as
# leases are looked at, because a statement that moves a job sees no order that is just being placed
# behind it. Indexes jobs_followers and jobs_pkey: the LIMIT has each leader looked up by its key,
# where the planner would read the whole table once thousands wait.

PROMOTE_SQL = """
WITH waiting AS (
    SELECT job.id, job.leader_id,
           first_value(job.id) OVER (PARTITION BY job.leader_id ORDER BY
               job.run_at >= '9999-01-01', job.priority DESC, job.id) AS heir
      FROM jobs job
     CROSS JOIN LATERAL (SELECT settled_at, claim, priority, run_at FROM jobs
                          WHERE id = job.leader_id LIMIT 1) leader
     WHERE job.leader_id {which} AND job.status = 'pending'
       AND (leader.settled_at IS NOT NULL
            OR leader.claim IS NULL
               AND (leader.priority < job.priority
                    OR leader.run_at >= '9999-01-01' AND job.run_at < '9999-01-01')))
UPDATE jobs SET leader_id = nullif(heir, jobs.id), version = version + 1
  FROM waiting
 WHERE jobs.id = waiting.id AND jobs.leader_id = waiting.leader_id AND status = 'pending'
RETURNING jobs.id
"""
PROMOTE = text(PROMOTE_SQL.format(which="= ANY(:leaders)"))
PROMOTE_ALL = text(PROMOTE_SQL.format(which="IS NOT NULL"))


def _promote(session: Executor, leaders: Sequence[UUID]) -> None:
    if leaders:
        _notify_if_any(session, PROMOTE, leaders=list(leaders))


def _notify_if_any(session: Executor, statement: TextClause, **values: Any) -> None:
    if session.execute(statement, values).all():
        session.execute(NOTIFY)


# --- modes: an engine paused, draining, or running ------------------------------------------------

SET_MODE = text("""
INSERT INTO engine_modes (engine, mode, set_by) VALUES (:engine, :mode, :set_by)
ON CONFLICT (engine) DO UPDATE SET mode = :mode, set_by = :set_by, set_at = clock_timestamp()
""")
UNSET_MODE = text("DELETE FROM engine_modes WHERE engine = :engine")
MODES = text("SELECT engine, mode FROM engine_modes")


def pause(session: Session, engine: str, by: str) -> None:
    """Nothing of this engine is claimed any more; what is being rendered is finished."""
    session.execute(SET_MODE, {"engine": engine, "mode": "paused", "set_by": by})


def drain(session: Session, engine: str, by: str) -> None:
    """No new orders for this engine; what is pending is worked off."""
    session.execute(SET_MODE, {"engine": engine, "mode": "draining", "set_by": by})


def resume(session: Session, engine: str) -> None:
    session.execute(UNSET_MODE, {"engine": engine})
    session.execute(NOTIFY)


def modes(session: Session) -> dict[str, str]:
    """The engines that are paused or draining."""
    return {row.engine: row.mode for row in session.execute(MODES)}


# --- reading --------------------------------------------------------------------------------------

STILL_HELD = text("SELECT 1 FROM jobs WHERE claim = :claim")
SETTLED_BY = text("SELECT settled_by FROM jobs WHERE id = :job_id")
AHEAD = text("""
SELECT count(*) FROM (
    SELECT 1 FROM jobs, (SELECT engine, priority, turn_at, id FROM jobs
                          WHERE generation_id = :generation_id AND status = 'pending'
                          ORDER BY priority DESC, turn_at, id LIMIT 1) mine
     WHERE jobs.status = 'pending' AND jobs.leader_id IS NULL AND jobs.engine = mine.engine
       AND (jobs.priority > mine.priority
            OR (jobs.priority = mine.priority
                AND (jobs.turn_at, jobs.id) < (mine.turn_at, mine.id)))
     LIMIT :most) bounded
""")
DEPTH = text("""
SELECT count(*) FROM (SELECT 1 FROM jobs WHERE status = 'pending' AND priority > :above
                        LIMIT :most) bounded
""")
IN_PROGRESS = text("SELECT count(*) FROM jobs WHERE claim IS NOT NULL")
OLDEST_WAIT_SECONDS = text("""
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(run_at)), 0)::float8
  FROM (SELECT run_at FROM jobs
         WHERE status = 'pending' AND leader_id IS NULL AND engine = :engine
         ORDER BY priority DESC, turn_at, id LIMIT 1) first
""")


def clock_in(session: Session, seconds: float) -> datetime:
    """What the database's clock will say in so many seconds: for deadlines."""
    clock = text("SELECT statement_timestamp() + make_interval(secs => :seconds)")
    moment: datetime = session.execute(clock, {"seconds": seconds}).scalar_one()
    return moment


def still_held(session: Executor, held: Claim) -> bool:
    return session.execute(STILL_HELD, {"claim": held.claim}).one_or_none() is not None


def was_settled_by(session: Executor, held: Claim) -> bool:
    """After a connection lost around COMMIT: True when this claim's own settlement is in."""
    return bool(session.scalar(SETTLED_BY, {"job_id": held.job_id}) == held.claim)


def ahead(session: Session, generation_id: UUID, most: int = 1000) -> int:
    """How many jobs will be claimed before this order's first pending one (at most `most`)."""
    return session.scalar(AHEAD, {"generation_id": generation_id, "most": most}) or 0


def depth(session: Session, most: int = 10_001, above: int = -1) -> int:
    """How many jobs above a priority are pending; counting stops at `most`."""
    return session.scalar(DEPTH, {"most": most, "above": above}) or 0


def in_progress(session: Session) -> int:
    return session.scalar(IN_PROGRESS) or 0


def oldest_wait_seconds(session: Session, engine: str) -> float:
    """How long the next job of this engine has been waiting; 0 when none is."""
    return session.scalar(OLDEST_WAIT_SECONDS, {"engine": engine}) or 0.0


def settle(session: Executor, statement: TextClause, held: Held, **values: Any) -> None:
    if session.execute(statement, {"claim": held.claim} | values).one_or_none() is None:
        raise LeaseLost(f"job {held.job_id} is no longer held by claim {held.claim}")


def _end(session: Executor, statement: TextClause, held: Held, verb: str, **values: Any) -> None:
    """Settle without a picture; if that was the end of the job, a follower takes its place."""
    row = session.execute(statement, {"claim": held.claim, "verb": verb} | values).one_or_none()
    if row is None:
        raise LeaseLost(f"job {held.job_id} is no longer held by claim {held.claim}")
    if row.status in SETTLED:
        _promote(session, [row.id])
