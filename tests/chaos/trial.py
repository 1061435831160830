"""One trial: a workload, the faults that befall it, and the verdict, in a database of its own."""

import contextlib
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from models import database, storage
from models.settings import ROOT, settings
from tests.chaos import audit
from tests.chaos.clients import ALL_DIFFERENT, Book, Clients
from tests.chaos.cluster import Server, scratch_folder
from tests.chaos.crew import Crew
from tests.chaos.invariants import Evidence, Watcher, violations
from tests.chaos.nemeses import LAST_SHARE, Faults, Nemeses, sweep
from tests.chaos.proxy import Proxy
from tests.chaos.victim import POINTS, Spec

TEMPLATE = "chaos_template"
MAX_ATTEMPTS = 8
POLL_SECONDS = 0.25
BACKOFF_SECONDS = 0.05
STEP_SECONDS = 0.02
LOOK_EVERY_SECONDS = 0.5
KILL_AFTER_AT_MOST = 8  # passes of a kill point


@dataclass(frozen=True)
class Workload:
    """How many jobs, how long each takes, who does them."""

    name: str
    jobs: int
    workers: int
    lease_seconds: float
    render_seconds: tuple[float, float]
    faults: Faults
    lapses_need_a_cause: bool = False
    batch_max: int = 1  # jobs that a worker takes and renders together
    different_orders: int = ALL_DIFFERENT  # fewer: equal ones share their pictures
    seconds_at_most: float = 2400.0  # on a busy machine; what is bounded is told by invariant 11


@dataclass
class Verdict:
    """What came of it, in Jepsen's words where it has them."""

    workload: str
    seed: int
    seconds: float = 0.0
    attempted: int = 0  # orders
    acknowledged: int = 0
    recovered: int = 0  # no answer, and yet it came out: legal
    jobs: int = 0
    ends: dict[str, int] = field(default_factory=dict)
    claims: int = 0
    commits: int = 0
    lapses: int = 0
    refused_late: int = 0  # claims that came to settle and found that the job was not theirs
    swept: int = 0  # orphans left by killed and late workers, deleted at the end
    unfit: int = 0  # workers that took themselves out
    looks: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


def prepare(server: Server) -> None:
    """A migrated database with the audit and a small catalogue, to copy for each trial."""
    server.make_database(TEMPLATE)
    url = server.url(TEMPLATE)
    urls = {"DATABASE_URL": url, "DATABASE_DIRECT_URL": url}  # whatever a .env says
    environment = {**os.environ, **urls, "ENVIRONMENT": "test"}
    subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
    )
    with psycopg.connect(url) as connection:
        connection.execute(audit.INSTALL)
        connection.execute(audit.CATALOGUE)


def run(workload: Workload, server: Server, seed: int) -> Verdict:
    """Play it out, then judge."""
    name = f"{workload.name}_{seed}"
    server.make_database(name, TEMPLATE)
    folder = scratch_folder("chaos-files-")
    with Proxy(server.port, seed) as proxy:
        url = server.url(name, proxy.port)
        try:
            with product_settings(url, folder):
                return _Trial(workload, server, proxy, name, folder, seed).play()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def ask(questions: Callable[[], list[str]], server: Server, seed: int) -> Verdict:
    """Questions to the queue's statements alone; what is wrong comes back in words."""
    started = time.monotonic()
    name = f"{questions.__name__}_{seed}"
    server.make_database(name, TEMPLATE)
    verdict = Verdict(questions.__name__, seed)
    with product_settings(server.url(name), Path(tempfile.gettempdir())):
        verdict.violations = questions()
    verdict.seconds = time.monotonic() - started
    return verdict


class _Trial:
    def __init__(
        self,
        workload: Workload,
        server: Server,
        proxy: Proxy,
        database_name: str,
        folder: Path,
        seed: int,
    ) -> None:
        self._workload = workload
        self._server = server
        self._proxy = proxy
        self._database_name = database_name
        self._folder = folder
        self._verdict = Verdict(workload.name, seed)
        chance = random.Random(seed)
        self._crew = Crew(workload.workers, self._spec, chance)
        self._nemeses = Nemeses(
            workload.faults, server, proxy, self._crew, workload.lease_seconds, chance
        )
        self._clients = Clients(
            workload.jobs,
            chance.randrange(2**32),
            workload.faults.poison,
            workload.faults.cancel_share,
            workload.different_orders,
        )
        self._watcher = Watcher(workload.lease_seconds)
        self._link: psycopg.Connection[Any] | None = None

    def play(self) -> Verdict:
        started = time.monotonic()
        (self._folder / "workers.log").touch()
        (self._folder / "faults.log").touch()
        with self._crew:
            self._clients.start()
            self._proxy.cut_kinds = self._workload.faults.cut_kinds
            self._proxy.cut_share = self._workload.faults.cut_share
            at_rest = self._work(started + self._workload.seconds_at_most)
            self._clients.stop()
            self._proxy.cut_share = 0.0
            self._crew.dismiss()
        self._judge(at_rest)
        self._verdict.seconds = time.monotonic() - started
        return self._verdict

    def _work(self, deadline: float) -> bool:
        """Until every job is settled, or something is wrong; False when it took too long."""
        looked_at = 0.0
        calm_since = None
        while time.monotonic() < deadline and not self._crew.is_failing:
            self._crew.tend()
            if time.monotonic() - looked_at >= LOOK_EVERY_SECONDS:
                looked_at = time.monotonic()
                waiting = self._look()
                if not self._clients.is_alive() and waiting == 0 and self._nemeses.is_over:
                    return True
                if self._watcher.seen:
                    return True  # it is decided: more would only bury it
            share = self._watcher.settled / self._workload.jobs
            self._nemeses.step(share)
            placed = not self._clients.is_alive()
            if calm_since is None and placed and share >= LAST_SHARE and self._nemeses.is_over:
                calm_since = time.monotonic()
                self._nemeses.calm()
                deadline = min(deadline, calm_since + self._patience_seconds())
            time.sleep(STEP_SECONDS)
        return False

    def _patience_seconds(self) -> float:
        """Invariant 11's bound, for what may be left when the faults stop; twice, for a busy
        machine."""
        longest = self._workload.render_seconds[1] + 2 * self._workload.lease_seconds
        backoff = BACKOFF_SECONDS * 2.0**MAX_ATTEMPTS
        waiting = max(0, self._workload.jobs - self._watcher.settled)
        work = waiting * (self._workload.render_seconds[1] + 0.1) / self._workload.workers
        lease = self._workload.lease_seconds
        return 2 * (lease + POLL_SECONDS + MAX_ATTEMPTS * (longest + backoff) + work)

    def _look(self) -> int | None:
        """How many jobs wait or are worked on; None while the database is away."""
        try:
            if self._link is None or self._link.closed:
                self._link = self._connect()
            self._watcher.look(self._link)
            row = self._link.execute("SELECT count(*) FROM jobs WHERE settled_at IS NULL")
            self._clients.settled = self._watcher.settled
            return int(row.fetchall()[0][0])
        except psycopg.OperationalError:
            self._link = None
            return None

    def _connect(self) -> psycopg.Connection[Any]:
        url = self._server.url(self._database_name)
        return psycopg.connect(url, autocommit=True, connect_timeout=2, application_name="watcher")

    def _spec(self, name: str, chance: random.Random) -> Spec:
        """The next worker: some are born to be killed at a point, some with a wrong clock."""
        faults = self._workload.faults
        doomed = self._nemeses.points_due > 0
        self._nemeses.points_due -= doomed
        return Spec(
            name=name,
            seed=chance.randrange(2**32),
            database_url=self._server.url(self._database_name, self._proxy.port),
            folder=self._folder,
            lease_seconds=self._workload.lease_seconds,
            poll_seconds=POLL_SECONDS,
            render_seconds=self._workload.render_seconds,
            backoff_seconds=BACKOFF_SECONDS,
            clock_offset_seconds=chance.choice(faults.clocks),
            storage_fault_share=faults.storage_share,
            hang_share=faults.hang_share,
            break_share=faults.break_share,
            batch_max=self._workload.batch_max,
            kill_at=chance.choice(POINTS) if doomed else None,
            kill_after=chance.randint(0, KILL_AFTER_AT_MOST),
        )

    def _judge(self, at_rest: bool) -> None:
        with self._connect() as connection:
            evidence = Evidence(
                connection=connection,
                folder=self._folder,
                book=self._clients.book,
                members=[*self._crew.members, *self._crew.gone],
                outages=self._nemeses.outages,
                lease_seconds=self._workload.lease_seconds,
                lapses_need_a_cause=self._workload.lapses_need_a_cause,
                at_rest=at_rest,
            )
            self._verdict.swept = sweep() or 0
            self._count(evidence)
            self._verdict.violations = [
                *self._watcher.seen,
                *violations(evidence),
                *self._crew.bad_exits,
                *self._clients.broken,
            ]

    def _count(self, evidence: Evidence) -> None:
        verdict = self._verdict
        book: Book = evidence.book
        keys = {key for (key,) in evidence.rows("SELECT idempotency_key FROM generations")}
        verdict.attempted = len(book.entries)
        verdict.acknowledged = len(book.acknowledged)
        verdict.recovered = sum(
            1 for entry in book.entries if entry.id is None and entry.order.idempotency_key in keys
        )
        verdict.ends = dict(evidence.rows("SELECT status, count(*) FROM jobs GROUP BY status"))
        verdict.jobs = sum(verdict.ends.values())
        verdict.claims = evidence.rows("SELECT count(*) FROM chaos_claims")[0][0]
        verdict.lapses = evidence.rows("SELECT count(*) FROM chaos_held WHERE is_lapse")[0][0]
        verdict.looks = self._watcher.looks
        verdict.commits = self._proxy.commits
        verdict.faults = self._nemeses.done
        verdict.faults.update({f"COMMIT cut: {k}": n for k, n in self._proxy.cuts.items()})
        verdict.faults.update((self._folder / "faults.log").read_text().splitlines())
        log = (self._folder / "workers.log").read_text(errors="replace")
        verdict.unfit = self._crew.unfit
        unexplained = self._crew.unfit - log.count('"event": "unfit"')
        if unexplained > 0:
            self._crew.bad_exits.append(f"{unexplained} workers broke: {_last_words(log)}")
        verdict.refused_late = log.count("before it was settled") + log.count('"lease lost"')


def _last_words(log: str) -> list[str]:
    """The last lines of the traces that processes died with: what is no JSON and not indented."""
    words = [line for line in log.splitlines() if re.match(r"[a-zA-Z_.]+: ", line)]
    return sorted(set(words))


@contextlib.contextmanager
def product_settings(url: str, folder: Path) -> Iterator[None]:
    """The product in this process (the clients) talks to this trial's database."""
    os.environ |= {
        "ENVIRONMENT": "test",
        "DATABASE_URL": url,
        "DATA_DIR": str(folder),
        "PGAPPNAME": "client",
        "USE_MOCK_GENERATOR": "true",
        "QUEUE_CAP": "1000000",
        "MAX_CUTS": "8",
        "MAX_ATTEMPTS": str(MAX_ATTEMPTS),
        "DATABASE_POOL_SIZE": "20",
    }
    settings.cache_clear()
    database.forget()
    storage.storage.cache_clear()
    try:
        yield
    finally:
        database.engine().dispose()
