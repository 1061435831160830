"""The lease on a job in hand, renewed by the engine's own ticks: a hung render loses it by itself.

Time is measured with this process's monotonic clock from before the claim was sent; the database's
clock alone decides when the lease has lapsed for others.
"""

import logging
import threading
import time
from collections.abc import Sequence

from models import queue
from models.database import one_statement
from models.errors import DatabaseUnavailable, LeaseLost

log = logging.getLogger(__name__)
RENEW_EVERY_SECONDS = 5.0
LOOK_EVERY_SECONDS = 1.0  # between renewals a tick only reads whether the claim still stands


class Stopping(Exception):
    """The worker was told to stop; the job goes back unfinished."""


class Lease:
    """Call `tick` often: it must happen well within `lease_seconds`, or the job goes elsewhere."""

    def __init__(
        self,
        held: queue.Claim,
        lease_seconds: float,
        started: float,
        stopping: threading.Event,
    ) -> None:
        self.held = held
        self.lease_seconds = lease_seconds
        self.renew_every_seconds = min(RENEW_EVERY_SECONDS, lease_seconds / 3)
        self.waiting: Leases | None = None  # jobs whose turn comes after this one: kept alive too
        self._renewed_at = self._looked_at = started
        self._stopping = stopping

    def tick(self, share: float) -> None:
        """Say that `share` (0..1) is done. Raises Stopping, and LeaseLost when the job was
        canceled, taken back, or could not be renewed in time."""
        if self._stopping.is_set():
            raise Stopping
        now = time.monotonic()
        try:
            if now - self._renewed_at >= self.renew_every_seconds:
                self._renew(share, now)
            elif now - self._looked_at >= LOOK_EVERY_SECONDS:
                self._look(now)
        except DatabaseUnavailable as error:
            self._tolerate(now, error)
        if self.waiting is not None:
            self.waiting.keep()

    def _renew(self, share: float, now: float) -> None:
        with one_statement() as session:
            queue.renew(session, self.held, self.lease_seconds, progress=int(99 * share))
        self._renewed_at = self._looked_at = now

    def _look(self, now: float) -> None:
        with one_statement() as session:
            if not queue.still_held(session, self.held):
                raise LeaseLost(f"job {self.held.job_id} was canceled or taken back")
        self._looked_at = now

    def _tolerate(self, now: float, error: DatabaseUnavailable) -> None:
        """The database blinked: go on while the lease must still be ours, stop when it may not."""
        if now - self._renewed_at >= self.lease_seconds:
            raise LeaseLost(f"job {self.held.job_id} could not be renewed in time") from error
        log.warning("lease not renewed, trying again", extra={"job_id": self.held.job_id})


class Leases:
    """The leases on a batch that is rendered together. Losing one sinks no other."""

    def __init__(self, leases: Sequence[Lease]) -> None:
        self._kept = list(leases)

    def tick(self, share: float) -> None:
        """Tick all; raises Stopping, and LeaseLost when none is left to work for."""
        self.keep(share)
        if not self._kept:
            raise LeaseLost("the whole batch was canceled or taken back")

    def keep(self, share: float = 0.0) -> None:
        """Tick all that are not lost. Raises Stopping."""
        for lease in list(self._kept):
            try:
                lease.tick(share)
            except LeaseLost as error:
                log.warning("lease lost in a batch", extra={"reason": error})
                self._kept.remove(lease)
