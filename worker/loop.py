"""The loop: claim a job, render it, publish the picture, settle. Every way out of it is here.

completed            queue.complete
bad order            queue.fail        never tried again
something broke      queue.retry       later, on any worker
told to stop         queue.release     at once, the attempt given back
lease lost           nothing: the job is no longer ours
"""

import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from uuid import UUID, uuid4

from models import queue, workers
from models.database import Executor, one_statement, transaction
from models.errors import (
    Conflict,
    DatabaseUnavailable,
    InvalidInput,
    LeaseLost,
    LetterUnreadable,
    StylistError,
)
from models.letter import Letter
from models.settings import ROOT, settings
from models.storage import Storage
from worker.bell import Bell
from worker.engines import BatchEngine, Engine, Order, Rendering, ShowingEngine, Tick
from worker.lease import Lease, Leases, Stopping
from worker.packs import Packs
from worker.previews import Previews
from worker.publish import publish
from worker.swatch_file import stored_swatch
from worker.truth import TruthCheck
from worker.watermark import Watermark

log = logging.getLogger(__name__)
BEAT_SECONDS = 10.0  # well within workers.FRESH_SECONDS
EXPIRE_SECONDS = 1.0  # between two looks for leases that lapsed
BUSY_POLL_SECONDS = 1.0  # while anything is being processed: its worker may die
BUSY_AFTER_WORK_SECONDS = 30.0
SETTLE_TRIES_MAX = 8
UNFIT_AFTER_FAILURES = 5


class Unfit(Exception):
    """This worker breaks what others can do: it has to end and say so."""


class Loop:
    """One worker: its engines, set up, and what it needs to publish. `run` until `stopping`."""

    def __init__(
        self,
        name: str,
        engines: Sequence[Engine],
        storage: Storage,
        watermark: Watermark,
        stopping: threading.Event,
        device: str = "cpu",
        pastime: Callable[[], bool] = lambda: False,
        beside: Callable[[], None] = lambda: None,
    ) -> None:
        """`pastime` is what to do where no picture is wanted; True: it did some work. `beside` is
        called at every turn, and starts what others do beside pictures."""
        self.name = name
        self.device = device
        self.engines = {engine.name: engine for engine in engines}
        self.storage = storage
        self.watermark = watermark
        self.packs = Packs(storage)
        self.truth = TruthCheck(ROOT / "assets" / "looks")
        self.stopping = stopping
        self.pastime = pastime
        self.beside = beside
        self._warm: str | None = None  # the engine that rendered last: its weights are in memory
        self._failures_in_a_row = 0
        self._failing_since = 0.0
        self._beat_at = -BEAT_SECONDS
        self._expired_at = -EXPIRE_SECONDS
        self._unanswered: UUID | None = None  # a claim that was sent: nobody said how it ended
        self._claimed_at = 0.0
        self._worked_at = -BUSY_AFTER_WORK_SECONDS
        self._others_work = False  # somebody renders: should they die, nobody else would notice

    def run(self, bell: Bell) -> None:
        """Work until told to stop. A database that is away is waited for."""
        while not self.stopping.is_set():
            bell.listen()
            try:
                self._beat()
                self.beside()
                worked = self.work_once() or self._pass_time()
            except DatabaseUnavailable:
                log.warning("database away, trying again", exc_info=True)
                worked = False
            if not worked:
                bell.wait(self._pause_seconds())

    def _pass_time(self) -> bool:
        """Who ordered lately orders again, and must not wait for something that has time."""
        return not self._worked_lately and self.pastime()

    @property
    def _worked_lately(self) -> bool:
        return time.monotonic() - self._worked_at < BUSY_AFTER_WORK_SECONDS

    def work_once(self) -> bool:
        """Claim and finish one job; False when there was none."""
        held = self._claim()
        if held is None:
            return False
        self._worked_at = self._claimed_at
        batch = [self._lease(job) for job in (held, *self._more_like(held))]
        together = self._rendered_together(batch) if len(batch) > 1 else {}
        for number, lease in enumerate(batch, 1):
            lease.waiting = Leases(batch[number:])
            self._count(self._process(lease.held, lease, together.get(lease.held.claim)))
        if self._failures_in_a_row >= UNFIT_AFTER_FAILURES:
            self._refuse_to_poison()
        return True

    def _count(self, verb: str) -> None:
        if verb != "retry":
            self._failures_in_a_row = 0
            return
        if not self._failures_in_a_row:
            self._failing_since = time.monotonic()
        self._failures_in_a_row += 1

    def _lease(self, held: queue.Claim) -> Lease:
        return Lease(held, settings().lease_seconds, self._claimed_at, self.stopping)

    def _more_like(self, held: queue.Claim) -> list[queue.Claim]:
        """Further jobs for an engine that renders a batch cheaper than one by one. If the answer
        is lost they wait for their leases to lapse."""
        engine = self.engines[held.engine]
        if not isinstance(engine, BatchEngine) or engine.batch_max < 2:
            return []
        unable = (DatabaseUnavailable, LetterUnreadable)
        with contextlib.suppress(*unable), one_statement() as session:
            lease_seconds, most = settings().lease_seconds, engine.batch_max - 1
            return queue.claim_more(session, held, self.name, lease_seconds, most)
        return []

    def _rendered_together(self, batch: list[Lease]) -> dict[UUID, Rendering]:
        """The batch's pictures by claim. Whatever goes wrong, nothing: then each is rendered, and
        settled, on its own."""
        engine = self.engines[batch[0].held.engine]
        assert isinstance(engine, BatchEngine)  # noqa: S101 (_more_like found it to be one)
        try:
            tick = Leases(batch).tick
            orders = [self._order(job, self._fetched(job.held.letter, tick)) for job in batch]
            renderings = engine.render_batch(orders, tick)
        except Exception:
            log.warning("not rendered together", exc_info=True)
            return {}
        return {job.held.claim: made for job, made in zip(batch, renderings, strict=True)}

    def _refuse_to_poison(self) -> None:
        """Who fails job after job while others succeed is what is broken. Raises Unfit."""
        failing_seconds = time.monotonic() - self._failing_since
        with transaction() as session:
            if workers.others_succeed(session, self.name, failing_seconds):
                raise Unfit(f"{self._failures_in_a_row} failures in a row; others succeed")

    def _claim(self) -> queue.Claim | None:
        """Take the next job. If the connection breaks around the COMMIT, look whether the claim
        happened, now or at the next call: else the job would wait for its lease to lapse."""
        if self._unanswered is None:
            self._expire()
            self._unanswered, self._claimed_at = uuid4(), time.monotonic()
            with contextlib.suppress(DatabaseUnavailable):
                return self._answered(self._take(self._unanswered))
        return self._answered(self._look_for(self._unanswered))

    def _take(self, claim: UUID) -> queue.Claim | None:
        lease_seconds = settings().lease_seconds
        claimant = queue.Claimant(self.name, list(self.engines), lease_seconds, self._warm)
        with one_statement() as session:
            return queue.claim(session, claimant, with_claim=claim)

    def _look_for(self, claim: UUID) -> queue.Claim | None:
        with one_statement() as session:
            return queue.held_by(session, claim)

    def _answered(self, held: queue.Claim | None) -> queue.Claim | None:
        self._unanswered = None
        return held

    def _expire(self) -> None:
        if time.monotonic() - self._expired_at >= EXPIRE_SECONDS:
            with transaction() as session:
                for job_id in queue.expire(session):
                    log.warning("expired", extra={"job_id": job_id})
                self._others_work = queue.in_progress(session) > 0
            self._expired_at = time.monotonic()

    def _process(self, held: queue.Claim, lease: Lease, made: Rendering | None = None) -> str:
        """Render (unless that is done), publish and settle; no transaction is open meanwhile.
        Returns the verb."""
        try:
            image = self._picture(held, lease, made)
        except Stopping:
            return self._settle(held, "release", queue.release)
        except LeaseLost as error:
            log.warning("lease lost", extra=_ids(held) | {"reason": error})
            return "lost"
        except StylistError as error:
            move = queue.retry if error.retryable else queue.fail
            code, message = error.code, str(error)
            return self._settle(held, move.__name__, lambda s, h: move(s, h, code, message))
        except Exception:
            log.exception("engine broke", extra=_ids(held))
            return self._settle(held, "retry", _broke)
        try:
            return self._settle(held, "complete", lambda s, h: queue.complete(s, h, image))
        except (Conflict, InvalidInput):  # a row that the database refuses, now and ever
            log.exception("picture refused", extra=_ids(held))
            return self._settle(held, "retry", _broke)

    def _picture(
        self, held: queue.Claim, lease: Lease, made: Rendering | None = None
    ) -> queue.NewImage:
        engine = self.engines[held.engine]
        self._warm = held.engine
        started = time.perf_counter()
        swatch = self._fetched(held.letter, lease.tick)
        loaded = time.perf_counter()
        rendering = made or self._rendered(engine, lease, swatch)
        rendered = time.perf_counter()
        rendering.recipe["truth"] = self.truth.of(rendering.picture, held.letter, swatch)
        image = publish(held, engine, rendering, self.storage, self.watermark, lease.tick)
        image.timings_ms["load"] = round((loaded - started) * 1000, 2)
        image.timings_ms["render"] = round((rendered - loaded) * 1000, 2)
        image.timings_ms["total"] = round((time.perf_counter() - started) * 1000, 2)
        return image

    def _rendered(self, engine: Engine, lease: Lease, swatch: bytes | None) -> Rendering:
        if isinstance(engine, ShowingEngine):
            return engine.render_shown(self._order(lease, swatch), lease.tick)
        return engine.render(lease.held.letter, swatch, lease.tick)

    def _order(self, lease: Lease, swatch: bytes | None) -> Order:
        return Order(lease.held.letter, swatch, Previews(lease, self.storage).show)

    def _fetched(self, letter: Letter, tick: Tick) -> bytes | None:
        """The look's pack on this machine, and the ordered cloth's own bytes or an error: never
        another cloth. A slow store takes most of a lease for each."""
        self.packs.fetch(letter)
        tick(0.0)
        if letter.swatch_key is None:
            return None
        swatch = stored_swatch(self.storage, letter.swatch_key, letter.swatch_sha256)
        tick(0.0)
        return swatch

    def _settle(
        self, held: queue.Claim, verb: str, move: Callable[[Executor, queue.Claim], None]
    ) -> str:
        """Settle, whatever the connection does: after an error around COMMIT nobody knows whether
        it happened, so try again, and when the claim is gone look who settled it."""
        begin = one_statement if verb == "complete" else transaction
        for attempt in range(SETTLE_TRIES_MAX):
            try:
                with begin() as session:
                    move(session, held)
                log.info(verb, extra=_ids(held))
                return verb
            except LeaseLost:
                self._say_whether_it_was_us(held, verb, unsure=attempt > 0)
                return verb
            except DatabaseUnavailable:
                log.warning("not settled, trying again", exc_info=True, extra=_ids(held))
                time.sleep(min(2.0, 0.1 * 2**attempt) * random.uniform(0.5, 1.0))  # noqa: S311
        log.error("gave up settling; the lease will lapse", extra=_ids(held))
        return "lost"

    def _say_whether_it_was_us(self, held: queue.Claim, verb: str, unsure: bool) -> None:
        if unsure:
            with one_statement() as session:
                if queue.was_settled_by(session, held):
                    log.info(verb, extra=_ids(held) | {"answer_lost": True})
                    return
        log.warning("lease lost before it was settled", extra=_ids(held) | {"verb": verb})

    def _beat(self) -> None:
        if time.monotonic() - self._beat_at >= BEAT_SECONDS:
            with transaction() as session:
                version = settings().app_version
                if workers.beat(session, self.name, list(self.engines), version, self.device):
                    self.stopping.set()
            self._beat_at = time.monotonic()

    def _pause_seconds(self) -> float:
        """Poll faster while there was work lately or somebody else has some. Up to 30 % sooner, at
        random, so that workers spread out; never later than the settings promise."""
        busy = self._worked_lately or self._others_work
        seconds = min(settings().poll_seconds, BUSY_POLL_SECONDS if busy else BEAT_SECONDS)
        return seconds * random.uniform(0.7, 1.0)  # noqa: S311


ENGINE_FAILED = "El dibujo falló por un problema nuestro."


def _broke(session: Executor, held: queue.Claim) -> None:
    queue.retry(session, held, "engine-failed", ENGINE_FAILED)


def _ids(held: queue.Claim) -> dict[str, object]:
    return {
        "generation_id": held.generation_id,
        "job_id": held.job_id,
        "claim": held.claim,
        "attempt": held.attempts,
    }
