"""A worker process that things happen to: the product's own `worker.__main__.main`, with faults
around it. Runs in a forked process; the product has no switch for any of this."""

import contextlib
import ctypes
import errno
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

import worker.__main__ as entry
from models import queue, storage
from models.errors import EngineFailed, SwatchUnreadable
from models.letter import Letter
from worker import loop, overlays
from worker.colour import bgr_of_hex, encoded
from worker.engines import Order, Picture, Rendering, Tick

Point = Literal[
    "before COMMIT of claim",
    "claimed",
    "rendered",
    "putting",
    "put",
    "before COMMIT",
    "after COMMIT",
]
POINTS: tuple[Point, ...] = (
    "before COMMIT of claim",
    "claimed",
    "rendered",
    "putting",
    "put",
    "before COMMIT",
    "after COMMIT",
)
STORAGE_FAULTS = (
    "storage error",
    "storage timeout",
    "put truncated",
    "put lost",
    "put altered",
    "put unanswered",
    "disk full",
)
WIDTH_PX, HEIGHT_PX = 64, 96
TICK_SECONDS = 0.02
# What a letter's noise seed says about its job, so that it is the same on every worker.
POISON, BAD_ORDER = 666, 667
FATES = 1000


@dataclass(frozen=True)
class Spec:
    """Everything that one worker process is told."""

    name: str  # its application_name as well: the audit knows who wrote
    seed: int
    database_url: str
    folder: Path
    lease_seconds: float
    poll_seconds: float
    render_seconds: tuple[float, float]
    backoff_seconds: float
    clock_offset_seconds: float
    storage_fault_share: float
    hang_share: float  # of renders: no tick for two leases, and then it goes on
    break_share: float  # of renders: the engine raises
    batch_max: int  # jobs that are rendered together
    kill_at: Point | None
    kill_after: int  # times that it passes that point unharmed


def fate(letter: Letter) -> int:
    return letter.noise_seed % FATES


def run(spec: Spec) -> None:
    """Become the worker; returns when it was told to stop."""
    _die_with_parent()
    _set_environment(spec)
    journal = Journal(spec.folder / "faults.log")
    points = KillPoints(spec, journal)
    chance = random.Random(spec.seed)
    _shift_clock(spec.clock_offset_seconds)
    _watch_commits(points)
    _break_storage(spec, chance, points, journal)
    queue.BACKOFF_BASE_SECONDS = spec.backoff_seconds
    engine = ChaosEngine(spec, chance, points, journal)
    _replace(entry, "engine_named", lambda *_: engine)
    _replace(loop, "TruthCheck", NoTruthCheck)
    _replace(overlays, "publish", lambda *_: None)  # of looks that nobody orders
    entry.main()


class Journal:
    """One line a fault, appended at once: it outlives the process that it happens to."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def note(self, fault: str) -> None:
        os.write(self._file, f"{fault}\n".encode())


class KillPoints:
    """Kills this process when it passes its point for the nth time."""

    def __init__(self, spec: Spec, journal: Journal) -> None:
        self._point = spec.kill_at
        self._left = spec.kill_after
        self._journal = journal

    def is_next(self, point: Point) -> bool:
        """True when passing this point now would be the end."""
        return point == self._point and self._left == 0

    def passing(self, point: Point) -> None:
        if self.is_next(point):
            self._journal.note(f"SIGKILL {point}")
            os.kill(os.getpid(), signal.SIGKILL)
        if point == self._point:
            self._left -= 1


class ChaosEngine:
    """Small flat pictures in a seeded time; hangs, breaks and kills its worker as it is told."""

    name = "mock"
    version = "1"

    def __init__(
        self, spec: Spec, chance: random.Random, points: KillPoints, journal: Journal
    ) -> None:
        self._spec = spec
        self._chance = chance
        self._points = points
        self._journal = journal
        self.batch_max = spec.batch_max

    def setup(self) -> None:
        cv2.setNumThreads(1)

    def render(self, letter: Letter, swatch: bytes | None, tick: Tick) -> Rendering:
        return self.render_batch([Order(letter, swatch)], tick)[0]

    def render_batch(self, orders: Sequence[Order], tick: Tick) -> list[Rendering]:
        for order in orders:
            self._meet_fate(order.letter)
        self._spend(self._chance.uniform(*self._spec.render_seconds), tick)
        if self._chance.random() < self._spec.hang_share:
            self._journal.note("hung render")
            time.sleep(2 * self._spec.lease_seconds)
        if self._chance.random() < self._spec.break_share:
            self._journal.note("broken render")
            raise self._chance.choice([EngineFailed("NaN"), MemoryError(), ZeroDivisionError()])
        self._points.passing("rendered")
        return [
            Rendering(flat_picture(order.letter.fabric_hex), {"engine": self.name})
            for order in orders
        ]

    def _meet_fate(self, letter: Letter) -> None:
        if fate(letter) == POISON:
            self._journal.note("poison job")
            os.kill(os.getpid(), signal.SIGKILL)
        if fate(letter) == BAD_ORDER:
            self._journal.note("bad order")
            raise SwatchUnreadable("La muestra no se puede leer.")

    def _spend(self, seconds: float, tick: Tick) -> None:
        start = time.monotonic()
        tick(0.0)
        while (spent := time.monotonic() - start) < seconds:
            time.sleep(min(TICK_SECONDS, seconds - spent))
            tick(min(1.0, (time.monotonic() - start) / seconds))


class NoTruthCheck:
    """These pictures show no suit, and of looks that nobody has."""

    def __init__(self, looks_dir: Path) -> None:
        pass

    def of(self, picture: Picture, letter: Letter, swatch: bytes | None) -> None:
        return None


def flat_picture(fabric_hex: str) -> Picture:
    picture = np.empty((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    picture[...] = np.round(encoded(bgr_of_hex(fabric_hex)) * 255)
    return picture


def _watch_commits(points: KillPoints) -> None:
    """A claim and a completion are one statement each, which commits by itself."""

    def claim(*arguments: Any, **named: Any) -> queue.Claim | None:
        points.passing("before COMMIT of claim")
        held = take(*arguments, **named)
        if held is not None:
            points.passing("claimed")
        return held

    def complete(*arguments: Any) -> None:
        points.passing("before COMMIT")
        settle(*arguments)
        points.passing("after COMMIT")

    take, settle = queue.claim, queue.complete
    _replace(queue, "claim", claim)
    _replace(queue, "complete", complete)


def _break_storage(spec: Spec, chance: random.Random, points: KillPoints, journal: Journal) -> None:
    """Faults below the product's storage, where a disk or a bucket would have them."""
    write_once: Callable[[Path, bytes], None] = storage._write_once
    put = storage.FolderStorage.put

    def faulty_write(path: Path, content: bytes) -> None:
        if points.is_next("putting"):
            path.with_suffix(".part").write_bytes(content[: len(content) // 2])
        points.passing("putting")
        if chance.random() >= spec.storage_fault_share:
            return write_once(path, content)
        fault = chance.choice(STORAGE_FAULTS)
        journal.note(fault)
        return _suffer(fault, write_once, path, content)

    def watched_put(self: storage.FolderStorage, *arguments: Any, **named: Any) -> None:
        put(self, *arguments, **named)
        points.passing("put")

    _replace(storage, "_write_once", faulty_write)
    _replace(storage.FolderStorage, "put", watched_put)


def _suffer(
    fault: str, write_once: Callable[[Path, bytes], None], path: Path, content: bytes
) -> None:
    match fault:
        case "storage error":
            raise OSError(errno.EIO, "the store answered 503")
        case "storage timeout":
            time.sleep(0.05)
            raise TimeoutError(errno.ETIMEDOUT, "the store did not answer")
        case "put truncated":
            write_once(path, content[: len(content) // 2])
        case "put altered":
            write_once(path, content[:-1] + bytes([content[-1] ^ 1]))
        case "put unanswered":
            write_once(path, content)
            raise ConnectionResetError(errno.ECONNRESET, "the answer was lost")
        case "disk full":
            with _full_disk():
                write_once(path, content)
        case "put lost":
            pass  # and it says that all is well


@contextlib.contextmanager
def _full_disk() -> Iterator[None]:
    """No file of this process may grow past 100 bytes meanwhile; the kernel says EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _shift_clock(seconds: float) -> None:
    """This process believes that it is later, or earlier, than it is."""
    now, now_ns = time.time, time.time_ns
    _replace(time, "time", lambda: now() + seconds)
    _replace(time, "time_ns", lambda: now_ns() + int(seconds * 1e9))


def _set_environment(spec: Spec) -> None:
    os.environ |= {
        "ENVIRONMENT": "test",
        "DATA_DIR": str(spec.folder),
        "DATABASE_URL": spec.database_url,
        "PGAPPNAME": spec.name,
        "USE_MOCK_GENERATOR": "true",
        "LEASE_SECONDS": str(spec.lease_seconds),
        "POLL_SECONDS": str(spec.poll_seconds),
        "LOG_LEVEL": "WARNING",
    }
    os.chdir("/")  # where no .env of a developer lies
    log = os.open(spec.folder / "workers.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(log, 2)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)


def _die_with_parent() -> None:
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _replace(owner: Any, name: str, value: Any) -> None:
    """Like setattr, but what is replaced must be there: no rename may go unnoticed."""
    if not hasattr(owner, name):
        raise AttributeError(f"{owner.__name__} has no {name} to break")
    setattr(owner, name, value)
