"""What a client sees of an order: its jobs, and all that follows from them. Plain data, no rows."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from models import queue

OUR_FAULT = "El dibujo falló por un problema nuestro."
LOST = "El taller se detuvo varias veces con este dibujo."
# What broke on our side is said in a sentence of ours: its own words are for the log.
PUBLIC_REASONS = {
    "worker-lost": LOST,
    "released-too-often": LOST,
    "engine-failed": OUR_FAULT,
    "letter-unreadable": OUR_FAULT,
    "storage-error": OUR_FAULT,
    "database-unavailable": OUR_FAULT,
}


@dataclass(frozen=True)
class CutView:
    """One job of an order as a client sees it, with its image once there is one."""

    cut: str
    cut_name: str
    stage: str
    status: str
    progress: int
    error_code: str | None
    error: str | None
    version: int
    started_at: datetime | None
    settled_at: datetime | None
    image: Row[Any] | None

    @property
    def reason(self) -> str:
        """Why it failed, in a sentence for clients."""
        return PUBLIC_REASONS.get(self.error_code or "") or self.error or OUR_FAULT


@dataclass(frozen=True)
class Waiting:
    """Where a pending order stands. `eta_seconds` is None while no worker is online."""

    ahead: int
    workers_online: int
    eta_seconds: float | None


@dataclass(frozen=True)
class GenerationView:
    """An order and all its jobs. `status` and `version` are functions of the jobs."""

    id: UUID
    number: int
    owner: str
    family_id: str
    color_id: str
    fabric_name: str
    fabric_hex: str
    swatch_key: str | None
    uploaded_swatch: bool
    cuts: list[str]
    quality: str
    noise_seed: int
    created_at: datetime
    jobs: list[CutView]
    waiting: Waiting | None

    @property
    def version(self) -> int:
        return sum(job.version for job in self.jobs)

    @property
    def deciding(self) -> list[CutView]:
        """The jobs that decide the order: the finals, or the drafts where only those were asked."""
        return [job for job in self.jobs if job.stage == "final"] or self.jobs

    @property
    def status(self) -> str:
        """pending until one starts, processing until all are settled; then completed if any cut
        has its picture (a cut that failed says so itself), otherwise the gravest end."""
        found = {job.status for job in self.deciding}
        if not found <= set(queue.SETTLED):
            return "pending" if found == {"pending"} else "processing"
        return next(s for s in ("completed", "failed", "canceled", "expired") if s in found)

    @property
    def started_at(self) -> datetime | None:
        return min((job.started_at for job in self.jobs if job.started_at), default=None)

    @property
    def settled_at(self) -> datetime | None:
        if self.status not in queue.SETTLED:
            return None
        return max(job.settled_at for job in self.deciding if job.settled_at)

    @property
    def best(self) -> list[CutView]:
        """Per cut the best picture there is, in the order in which the cuts were asked for."""
        pictures = sorted((job for job in self.jobs if job.image), key=lambda job: job.stage)
        by_cut = {job.cut: job for job in pictures}  # "final" sorts after "draft" and replaces it
        return [by_cut[cut] for cut in self.cuts if cut in by_cut]

    @property
    def failures(self) -> list[CutView]:
        return [job for job in self.deciding if job.status == "failed"]

    @property
    def reasons(self) -> str:
        """What failed and why, cut by cut; empty when nothing did."""
        return " ".join(f"{job.cut_name}: {job.reason}" for job in self.failures)
