"""The crew: a number of worker processes kept alive, killed, paused and replaced.

They are forked from a server process that has loaded everything, so that a new one costs
milliseconds; each is a process of its own with its own connections.
"""

import contextlib
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from types import TracebackType
from typing import Self

from tests.chaos import victim
from tests.chaos.victim import Spec

MakeSpec = Callable[[str, random.Random], Spec]
STOP_SECONDS = 20.0
FAILING = 20
UNFIT = 1  # the exit status of a worker that takes itself out


@dataclass
class Member:
    """One worker process, and what was done to it (in seconds of this process's clock)."""

    name: str
    process: ForkServerProcess
    born_at: float
    hurt: list[tuple[float, float]] = field(default_factory=list)  # when it could not work
    paused_until: float | None = None
    retiring: bool = False

    def send(self, number: signal.Signals) -> None:
        """It may have ended by itself meanwhile, at a point where it kills itself."""
        assert self.process.pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    @property
    def is_free(self) -> bool:
        """True when nothing is being done to it."""
        return self.paused_until is None and not self.retiring and self.process.is_alive()


class Crew:
    """Use as a context manager; nobody is left behind."""

    def __init__(self, size: int, make_spec: MakeSpec, chance: random.Random) -> None:
        self.size = size
        self.members: list[Member] = []
        self.gone: list[Member] = []
        self.bad_exits: list[str] = []
        self.unfit = 0  # took themselves out: they say so in the log
        self._make_spec = make_spec
        self._chance = chance
        self._forking = multiprocessing.get_context("forkserver")
        self._forking.set_forkserver_preload([victim.__name__])
        self._hired = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for member in self.members:
            member.process.kill()
        for member in self.members:
            member.process.join()

    def tend(self) -> None:
        """Wake those whose pause is over, bury the dead, hire as many as are missing."""
        now = time.time()
        for member in list(self.members):
            if member.paused_until is not None and now >= member.paused_until:
                member.send(signal.SIGCONT)
                member.paused_until = None
            if not member.process.is_alive():
                self._bury(member, now)
        while len(self.members) < self.size:
            self._hire()

    @property
    def is_failing(self) -> bool:
        """True when workers end by themselves one after the other: the trial is decided."""
        return len(self.bad_exits) + self.unfit >= FAILING

    def free(self) -> list[Member]:
        return [member for member in self.members if member.is_free]

    def kill(self, member: Member) -> None:
        member.process.kill()

    def pause(self, member: Member, seconds: float) -> None:
        """SIGSTOP now; `tend` sends the SIGCONT."""
        now = time.time()
        member.send(signal.SIGSTOP)
        member.paused_until = now + seconds
        member.hurt.append((now, now + seconds))

    def retire(self, member: Member) -> None:
        """SIGTERM: it must hand its job back and exit with zero."""
        member.retiring = True
        member.process.terminate()

    def dismiss(self) -> None:
        """Tell all to stop, and wait until they have."""
        self.size = 0
        for member in self.members:
            if member.paused_until is not None:
                member.send(signal.SIGCONT)
                member.paused_until = None
            self.retire(member)
        deadline = time.monotonic() + STOP_SECONDS
        for member in list(self.members):
            member.process.join(max(0.0, deadline - time.monotonic()))
            if member.process.is_alive():
                self.bad_exits.append(f"{member.name} did not stop within {STOP_SECONDS:.0f} s")
                member.process.kill()
                member.process.join()
            self._bury(member, time.time())

    def _bury(self, member: Member, now: float) -> None:
        member.process.join()
        code = member.process.exitcode
        # Killed from outside or at its own kill point is what chaos does. So is a SIGTERM before it
        # could listen.
        told = (0, -signal.SIGTERM) if member.retiring else ()
        self.unfit += code == UNFIT
        if code not in (-signal.SIGKILL, UNFIT, *told):
            self.bad_exits.append(f"{member.name} ended by itself with {code}")
        member.hurt.append((now - 0.2, float("inf")))
        self.members.remove(member)
        self.gone.append(member)

    def _hire(self) -> None:
        self._hired += 1
        name = f"w{self._hired}"
        spec = self._make_spec(name, self._chance)
        process = self._forking.Process(target=victim.run, args=(spec,), name=name, daemon=True)
        process.start()
        self.members.append(Member(name, process, time.time()))
