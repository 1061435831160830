"""The story of one order, from its job and attempt rows: what happened when, and for how long."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session


@dataclass(frozen=True)
class Moment:
    """One thing that happened to a cut. `seconds` is how long it took to come to this."""

    at: datetime
    cut: str
    stage: str
    verb: str  # "enqueue", "claim", one of Attempt.verb, or the status that a job settled with
    seconds: float | None
    worker: str | None = None
    error_code: str | None = None
    error: str | None = None


JOBS = text("""
SELECT id, cut, stage, status, created_at, claimed_at, settled_at, worker, error_code, error,
       engine, attempts, max_attempts, letter, fingerprint
  FROM jobs WHERE generation_id = :id ORDER BY cut, stage
""")
ATTEMPTS = text("""
SELECT a.job_id, a.attempt, a.worker, a.claimed_at, a.ended_at, a.verb, a.error_code, a.error
  FROM attempts a JOIN jobs j ON j.id = a.job_id
 WHERE j.generation_id = :id ORDER BY a.id
""")


def jobs(session: Session, id: UUID) -> Sequence[Row[Any]]:
    """The order's jobs as they are, with the letter that a worker reads."""
    return session.execute(JOBS, {"id": id}).all()


def moments(session: Session, id: UUID) -> list[Moment]:
    """Oldest first."""
    ended: dict[UUID, list[Row[Any]]] = {}
    for attempt in session.execute(ATTEMPTS, {"id": id}):
        ended.setdefault(attempt.job_id, []).append(attempt)
    found = [m for job in jobs(session, id) for m in _of_job(job, ended.get(job.id, []))]
    return sorted(found, key=lambda moment: moment.at)


def _of_job(job: Row[Any], attempts: list[Row[Any]]) -> list[Moment]:
    told = [Moment(job.created_at, job.cut, job.stage, "enqueue", None)]
    for a in attempts:
        told.append(_claimed(job, told[-1].at, a.claimed_at, a.worker))
        seconds = (a.ended_at - a.claimed_at).total_seconds()
        told.append(
            Moment(a.ended_at, job.cut, job.stage, a.verb, seconds, a.worker, a.error_code, a.error)
        )
    if job.claimed_at and job.claimed_at not in {a.claimed_at for a in attempts}:
        told.append(_claimed(job, told[-1].at, job.claimed_at, job.worker))
    if job.settled_at and told[-1].verb not in ("fail", "cancel"):
        seconds = (job.settled_at - told[-1].at).total_seconds()
        told.append(Moment(job.settled_at, job.cut, job.stage, job.status, seconds))
    return told


def _claimed(job: Row[Any], since: datetime, at: datetime, worker: str | None) -> Moment:
    return Moment(at, job.cut, job.stage, "claim", (at - since).total_seconds(), worker)
