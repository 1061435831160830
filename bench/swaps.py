"""How often workers change their weights, two kinds of jobs mixed at random: python -m bench.swaps.

A simulation in which only time is pretended: 100 jobs come, four workers claim them with the
statements of models.queue in a real database, and "render" for as long as is given below. The clock
is moved by shifting the jobs' times back; what the statements themselves take does not count. The
same jobs once more with affinity off are first come, first served. Every job is another client's,
so that fair share leaves the order to the times of arrival.
"""

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from uuid import UUID

from sqlalchemy import text

from bench.contenders.house import a_letter, an_image
from bench.server import new_house, running_server
from bench.table import Finding
from models import queue
from models.database import one_statement, transaction

JOBS, WORKERS, SEEDS = 100, 4, range(1, 11)
KINDS = ("sdxl_inpaint", "sdxl_full")
RENDER_SECONDS, LOAD_SECONDS = 5.0, 10.0
LEASE_SECONDS = 3600.0  # nobody dies here
CLOCK_SLACK_SECONDS = 0.05  # pretended time is the database's, which goes on meanwhile
PACES = {
    "a rush: twice what they can do": 2.0,
    "a busy day: nine tenths of it": 0.9,
    "a quiet one: half of it": 0.5,
}
# An idle worker polls; these are the moments at which it may take what it left alone till then.
LOOKS_AGAIN_AFTER = (queue.COURTESY_SECONDS, queue.CHANGES_WORTH * LOAD_SECONDS)
SWAPS_BAR, WAIT_BAR_SECONDS = 10, 15.0
MAKE = text("""
INSERT INTO generations (id, owner, family_id, color_id, fabric_name, fabric_hex, uploaded_swatch,
                         cuts, quality, noise_seed)
VALUES (gen_random_uuid(), 'x', 'f', 'c', 'x', '#000000', false, '{recto}', 'preview', 1)
RETURNING id
""")
CLOCK = text("SELECT extract(epoch FROM clock_timestamp())::float8")
SHIFT = text("""
UPDATE jobs SET turn_at = turn_at - make_interval(secs => :seconds),
       run_at = run_at - make_interval(secs => :seconds)
 WHERE status = 'pending'
""")
EMPTY = text("DELETE FROM generations")


@dataclass(frozen=True)
class Arrival:
    """A job that comes at this second."""

    at: float
    kind: str


@dataclass
class Worker:
    number: int
    warm: str | None = None  # whose weights are in memory
    job: queue.Claim | None = None


@dataclass
class Run:
    """What happened to the jobs."""

    swaps: int = 0
    waits: list[float] = field(default_factory=list)


def arrivals(seed: int, pace: float) -> list[Arrival]:
    """At random, so many times what the workers can render if none ever changes its weights."""
    chance, at = random.Random(seed), 0.0
    found = []
    for _ in range(JOBS):
        at += chance.expovariate(pace * WORKERS / RENDER_SECONDS)
        found.append(Arrival(at, chance.choice(KINDS)))
    return found


class Clock:
    """Pretended time: what is pending grows older as it passes, and only then."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._real = self._now()

    def move_to(self, seconds: float) -> None:
        passed, real = seconds - self.seconds, self._now()
        with transaction() as session:
            session.execute(SHIFT, {"seconds": passed - (real - self._real)})
        self.seconds, self._real = seconds, real

    def _now(self) -> float:
        with one_statement() as session:
            return float(session.execute(CLOCK).scalar_one())


class Workshop:
    """The workers, the jobs that come, and what is to happen when."""

    def __init__(self, jobs: Sequence[Arrival], affinity: bool, seed: int) -> None:
        self.jobs, self.affinity = jobs, affinity
        self.change_seconds = LOAD_SECONDS if affinity else 0.0
        self.chance = random.Random(seed)
        self.clock, self.run = Clock(), Run()
        self.workers = [Worker(number) for number in range(WORKERS)]
        self.came_at: dict[UUID, float] = {}
        self.numbers = count()  # what comes at the same moment comes in the order it was planned
        self.events: list[tuple[float, int, Arrival | Worker | None]] = []

    def work(self) -> Run:
        """Until every job is done."""
        for job in self.jobs:
            self._plan(job.at, job)
            for seconds in LOOKS_AGAIN_AFTER:
                self._plan(job.at + seconds + CLOCK_SLACK_SECONDS, None)
        while self.events:
            at, _, what = heapq.heappop(self.events)
            self.clock.move_to(at)
            if isinstance(what, Arrival):
                self._place(what)
            elif what is not None:
                self._finish(what)
            idle = [worker for worker in self.workers if worker.job is None]
            for worker in self.chance.sample(idle, len(idle)):  # who is first is chance
                self._claim(worker)
        return self.run

    def _plan(self, at: float, what: Arrival | Worker | None) -> None:
        heapq.heappush(self.events, (at, next(self.numbers), what))

    def _place(self, job: Arrival) -> None:
        with transaction() as session:
            id: UUID = session.execute(MAKE).scalar_one()
            queue.enqueue(session, [_new_job(id, job.kind)])
        self.came_at[id] = self.clock.seconds

    def _claim(self, worker: Worker) -> None:
        warm = worker.warm if self.affinity else None
        with one_statement() as session:
            name = f"worker-{worker.number}"
            worker.job = queue.claim(
                session,
                queue.Claimant(
                    name, KINDS, LEASE_SECONDS, warm=warm, change_seconds=self.change_seconds
                ),
            )
        if worker.job is None:
            return
        self.run.waits.append(self.clock.seconds - self.came_at[worker.job.generation_id])
        self.run.swaps += worker.warm not in (None, worker.job.engine)
        loading = 0.0 if worker.warm == worker.job.engine else LOAD_SECONDS
        worker.warm = worker.job.engine
        done_at = self.clock.seconds + loading + RENDER_SECONDS
        self._plan(done_at, worker)

    def _finish(self, worker: Worker) -> None:
        assert worker.job is not None
        with one_statement() as session:
            queue.complete(session, worker.job, an_image(worker.job))
        worker.job = None


def _new_job(generation_id: UUID, kind: str) -> queue.NewJob:
    return queue.NewJob(
        generation_id=generation_id,
        owner=f"client:{generation_id}",
        engine=kind,
        letter=a_letter(),
        fingerprint="0" * 32,
        max_attempts=3,
        priority=queue.PRIORITY["final"],
        expected_seconds=RENDER_SECONDS,
    )


def simulate(seed: int, pace: float, affinity: bool) -> Run:
    run = Workshop(arrivals(seed, pace), affinity, seed).work()
    if len(run.waits) != JOBS:
        raise SystemExit(f"{len(run.waits)} of {JOBS} jobs were claimed")
    with transaction() as session:
        session.execute(EMPTY)
    return run


def main() -> list[Finding]:
    lines = [
        "| 100 jobs, 2 kinds, 4 workers | seed | swaps | FIFO | oldest wait, s | FIFO |",
        "|---|---|---|---|---|---|",
    ]
    found = []
    with running_server() as server_url:
        new_house(server_url)
        for name, pace in PACES.items():
            runs = [(simulate(seed, pace, True), simulate(seed, pace, False)) for seed in SEEDS]
            lines += [line(name, seed, *pair) for seed, pair in zip(SEEDS, runs, strict=True)]
            found.append(finding(name, runs))
    print("\n".join(lines))
    print(f"\nA render takes {RENDER_SECONDS:.0f} s, other weights {LOAD_SECONDS:.0f} s more.")
    return found


def line(name: str, seed: int, ours: Run, fifo: Run) -> str:
    waits = f"{max(ours.waits):.0f} | {max(fifo.waits):.0f}"
    return f"| {name} | {seed} | {ours.swaps} | {fifo.swaps} | {waits} |"


def finding(name: str, runs: Sequence[tuple[Run, Run]]) -> Finding:
    """The worst of the seeds."""
    swaps = max(ours.swaps for ours, _ in runs)
    later = max(max(ours.waits) - max(fifo.waits) for ours, fifo in runs)
    return Finding(
        f"model swaps per {JOBS} jobs, 2 kinds, {WORKERS} workers; {name}",
        f"{swaps}; oldest wait FIFO {later:+.0f} s",
        f"≤ {SWAPS_BAR}; ≤ FIFO + {WAIT_BAR_SECONDS:.0f} s",
        swaps <= SWAPS_BAR and later <= WAIT_BAR_SECONDS,
    )


if __name__ == "__main__":
    main()
