"""Nemeses: what goes wrong, how often, and when. Faults are due at shares of the work done, so that
a slow machine meets as many of them as a fast one; all chances come from one seed."""

import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from models.errors import DatabaseUnavailable
from models.storage import storage
from tests.chaos.cluster import Cluster, Server
from tests.chaos.crew import Crew, Member
from tests.chaos.proxy import CUTS, Cut, Proxy
from worker.sweep import GRACE, sweep_orphans

LAST_SHARE = 0.92  # of the work: after that the faults stop


def sweep() -> int | None:
    """Delete orphans as the product does, but without a grace period; None without a database.

    The grace is a belt over braces: a claim that is dead never comes back, however young."""
    long_after = datetime.now(UTC) + 2 * GRACE
    try:
        return sweep_orphans(storage(), long_after)
    except DatabaseUnavailable:
        return None


@dataclass(frozen=True)
class Faults:
    """How many of each befall one run, and which share of small things goes wrong."""

    kills: int = 0  # SIGKILL from outside; half of the replacements then kill themselves at a point
    zombies: int = 0  # SIGSTOP past the lease, then SIGCONT
    retirements: int = 0  # SIGTERM
    restarts: int = 0  # of the database, at once
    refusals: int = 0  # the database stays away for a while
    refusal_seconds: float = 3.0
    lost_backends: int = 0  # pg_terminate_backend
    slow_links: int = 0
    sweeps: int = 0  # of orphans, as if they were all past their grace
    silent_links: int = 0  # a partition: what was sent arrives late
    frozen_links: int = 0  # half dead for ever: only a time limit of the client's own helps
    cut_share: float = 0.0  # of all COMMITs
    cut_kinds: tuple[Cut, ...] = CUTS
    storage_share: float = 0.0  # of all puts
    hang_share: float = 0.0  # of all renders
    break_share: float = 0.0
    clocks: tuple[float, ...] = (0.0,)  # how far off workers' clocks are, in seconds
    poison: bool = False
    cancel_share: float = 0.01  # of all orders, by their clients


class Nemeses:
    """Call `step` often; it does what is due."""

    def __init__(
        self,
        faults: Faults,
        server: Server,
        proxy: Proxy,
        crew: Crew,
        lease_seconds: float,
        chance: random.Random,
    ) -> None:
        self.done: Counter[str] = Counter()
        self.outages: list[tuple[float, float]] = []
        self.points_due = 0
        self._faults = faults
        self._server = server
        self._proxy = proxy
        self._crew = crew
        self._lease_seconds = lease_seconds
        self._chance = chance
        self._ends: list[tuple[float, Callable[[], None]]] = []
        self._down_since: float | None = None
        self._plan = self._planned()

    @property
    def is_over(self) -> bool:
        return not self._plan and not self._ends

    def step(self, share: float) -> None:
        """Do what is due when `share` (0..1) of the work is done, and end what has lasted."""
        now = time.time()
        for ending in [ending for ending in self._ends if ending[0] <= now]:
            self._ends.remove(ending)
            ending[1]()
        while self._plan and self._plan[-1][0] <= share:
            _, name = self._plan[-1]
            if not self._act(name):
                return  # nobody is free for it: next time
            self._plan.pop()
            self.done[name] += 1

    def calm(self) -> None:
        """Faults stop."""
        self._proxy.cut_share = 0.0

    def _planned(self) -> list[tuple[float, str]]:
        """(share of the work, fault), the next one last."""
        counts = {
            "SIGKILL": self._faults.kills,
            "SIGSTOP past the lease": self._faults.zombies,
            "SIGTERM": self._faults.retirements,
            "immediate restart": self._faults.restarts,
            "database refuses": self._faults.refusals,
            "backend terminated": self._faults.lost_backends,
            "slow link": self._faults.slow_links,
            "silent link": self._faults.silent_links,
            "frozen link": self._faults.frozen_links,
            "sweep": self._faults.sweeps,
        }
        plan = [
            (LAST_SHARE * (n + self._chance.random()) / count, name)
            for name, count in counts.items()
            for n in range(count)
        ]
        return sorted(plan, reverse=True)

    def _act(self, name: str) -> bool:
        """Do it; False when it is not possible now."""
        if name in ("immediate restart", "database refuses"):
            return self._stop_database(0.0 if "restart" in name else self._faults.refusal_seconds)
        if name == "backend terminated":
            return self._terminate_backend()
        if name == "sweep":
            return sweep() is not None
        free = self._crew.free()
        crowded = (
            sum(1 for member in self._crew.members if not member.is_free)
            > len(self._crew.members) // 2
        )  # somebody has to work
        if not free or (crowded and name not in ("SIGKILL", "SIGTERM")):
            return False
        self._hurt(name, self._chance.choice(free))
        return True

    def _hurt(self, name: str, member: Member) -> None:
        seconds = self._lease_seconds * self._chance.uniform(1.2, 2.5)
        match name:
            case "SIGKILL":
                self._crew.kill(member)
                self.points_due += self._chance.random() < 0.5
            case "SIGTERM":
                self._crew.retire(member)
            case "SIGSTOP past the lease":
                self._crew.pause(member, seconds)
            case "slow link":
                self._proxy.delay_seconds[member.name] = self._chance.uniform(0.05, 0.4)
                self._until(seconds, member, lambda: self._proxy.delay_seconds.pop(member.name))
            case "frozen link":
                self._proxy.freeze(member.name)
                member.hurt.append((time.time(), float("inf")))
            case "silent link":
                self._proxy.silent.add(member.name)
                self._until(seconds, member, lambda: self._proxy.silent.discard(member.name))

    def _until(self, seconds: float, member: Member, end: Callable[[], Any]) -> None:
        """The member's link suffers for so long."""
        now = time.time()
        member.hurt.append((now, now + seconds + 1.0))
        self._ends.append((now + seconds, lambda: end() and None))

    def _stop_database(self, seconds: float) -> bool:
        if self._down_since is not None:
            return False
        self._down_since = time.time()
        self._cluster.stop_immediately()
        if seconds:
            self._ends.append((time.time() + seconds, self._start_database))
        else:
            self._start_database()
        return True

    @property
    def _cluster(self) -> Cluster:
        assert isinstance(self._server, Cluster), "somebody else's server is not ours to stop"
        return self._server

    def _start_database(self) -> None:
        self._cluster.start()
        assert self._down_since is not None
        self.outages.append((self._down_since, time.time() + 1.0))
        self._down_since = None

    def _terminate_backend(self) -> bool:
        with suppress(psycopg.OperationalError):
            with psycopg.connect(self._server.url(), autocommit=True) as connection:
                killed = connection.execute(
                    """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                        WHERE application_name ~ '^(w[0-9]+|client)$'
                        ORDER BY random() LIMIT 1"""
                ).fetchone()
            return killed is not None
        return False
