"""How long a job of a killed worker waits: SIGKILL → claimed elsewhere, with the product's own
lease and polling. Each kill happens in a database of its own, beside one idle worker."""

import random
import shutil
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg

from models.settings import Settings
from tests.chaos.clients import place_one
from tests.chaos.cluster import Server, scratch_folder
from tests.chaos.crew import Crew, Member
from tests.chaos.trial import TEMPLATE, product_settings
from tests.chaos.victim import Spec

RENDER_SECONDS = 120.0  # nobody finishes
START_SECONDS = 180.0  # for all of them, on a busy machine
RECOVERY_SECONDS = 60.0  # when to give up
SETTLE_SECONDS = 3.0  # the idle worker has polled, and sleeps
PHASE_SECONDS = 5.0  # a kill falls anywhere between two renewals
POLL_SECONDS = 0.05


def measure(server: Server, seed: int, kills: int) -> list[float]:
    """Seconds from each kill until its job was claimed by the other worker, sorted."""
    chance = random.Random(seed)
    folder = scratch_folder("chaos-files-")
    try:
        with ExitStack() as stack:
            pairs = [
                stack.enter_context(_Pair(server, f"recovery_{seed}_{n}", folder, chance))
                for n in range(kills)
            ]
            _wait(pairs, START_SECONDS)
            for pair in pairs:
                pair.hire_idle()
            time.sleep(SETTLE_SECONDS)
            start = time.time()
            for pair in sorted(pairs, key=lambda pair: pair.phase):
                time.sleep(max(0.0, start + pair.phase - time.time()))
                pair.kill()
            _wait(pairs, RECOVERY_SECONDS)
            return sorted(pair.recovered_after() for pair in pairs)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Pair:
    """One job, the worker that renders it, and an idle one."""

    def __init__(self, server: Server, name: str, folder: Path, chance: random.Random) -> None:
        self.phase = chance.uniform(0.0, PHASE_SECONDS)
        self._killed_at = 0.0
        self._wanted = 1
        self._url = server.url(name)
        self._folder = folder
        self._crew = Crew(1, self._spec, chance)
        server.make_database(name, TEMPLATE)
        with product_settings(self._url, folder):
            place_one(noise_seed=0)

    def __enter__(self) -> "_Pair":
        self._crew.__enter__()
        self._crew.tend()
        self._link: psycopg.Connection[Any] = psycopg.connect(self._url, autocommit=True)
        return self

    def __exit__(self, *error: Any) -> None:
        self._link.close()
        self._crew.__exit__(None, None, None)

    def hire_idle(self) -> None:
        self._crew.size = 2
        self._crew.tend()

    def kill(self) -> None:
        victim: Member = self._crew.members[0]
        self._crew.kill(victim)
        self._killed_at = time.time()
        self._wanted = 2

    def is_claimed(self) -> bool:
        """By the first worker; after the kill, by the other."""
        return len(self._claims()) == self._wanted

    def recovered_after(self) -> float:
        return self._claims()[-1] - self._killed_at

    def _claims(self) -> list[float]:
        rows = self._link.execute("SELECT extract(epoch FROM at) FROM chaos_claims ORDER BY seq")
        return [float(at) for (at,) in rows]

    def _spec(self, name: str, chance: random.Random) -> Spec:
        product = Settings.model_fields
        return Spec(
            name=name,
            seed=0,
            database_url=self._url,
            folder=self._folder,
            lease_seconds=product["lease_seconds"].default,
            poll_seconds=product["poll_seconds"].default,
            render_seconds=(RENDER_SECONDS, RENDER_SECONDS),
            backoff_seconds=1.0,
            clock_offset_seconds=0.0,
            storage_fault_share=0.0,
            hang_share=0.0,
            break_share=0.0,
            batch_max=1,
            kill_at=None,
            kill_after=0,
        )


def _wait(pairs: list[_Pair], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not all(pair.is_claimed() for pair in pairs):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not every job was claimed within {seconds:.0f} s")
        time.sleep(POLL_SECONDS)
