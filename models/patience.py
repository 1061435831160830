"""Patience with a remote store: a few tries, each bounded by the wall clock, with ticks all along.

A socket's timeouts count per operation: neither looking up a name nor a peer that sends a byte a
second ever ends by them. Each try therefore runs in a thread of its own, which is left behind when
its time is up; what it may still do must be harmless.
"""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
Tick = Callable[[], None]  # renews a lease; raises when the caller must stop
TICK_EVERY_SECONDS = 0.5


def nothing() -> None:
    """The tick of a caller that holds no lease."""


class TryFailed(Exception):
    """One try failed. `again` says whether another may work; the reason holds no secret."""

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.again = again


@dataclass(frozen=True)
class Patience:
    """How long to insist. The defaults end within a lease of 15 s even if nobody ticks."""

    tries_max: int = 4
    try_seconds: float = 6.0
    total_seconds: float = 12.0
    backoff_seconds: float = 0.2  # doubles with each try; jittered
    pause: Callable[[float], None] = time.sleep

    def insist(self, call: Callable[[], T], tick: Tick) -> T:
        """What `call` returns. Raises the last TryFailed, and whatever `call` and `tick` raise."""
        ends_at = time.monotonic() + self.total_seconds
        for number in range(1, self.tries_max + 1):
            try:
                return in_time(call, min(self.try_seconds, ends_at - time.monotonic()), tick)
            except TryFailed as failed:
                backoff_seconds = self._backoff_seconds(number)
                late = time.monotonic() + backoff_seconds >= ends_at
                if not failed.again or number == self.tries_max or late:
                    raise
            tick()
            self.pause(backoff_seconds)
        raise AssertionError("tries_max is at least 1")

    def _backoff_seconds(self, number: int) -> float:
        """Half of it is chance: many workers that failed together do not come back together."""
        longest: float = self.backoff_seconds * 2 ** (number - 1)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311


def in_time(call: Callable[[], T], seconds: float, tick: Tick) -> T:
    """What `call` returns within `seconds`, ticking meanwhile. Raises TryFailed when time is up."""
    future: Future[T] = Future()
    ends_at = time.monotonic() + seconds
    threading.Thread(target=_settle, args=(future, call), name="in-time", daemon=True).start()
    while not wait([future], min(TICK_EVERY_SECONDS, _left_seconds(ends_at))).done:
        tick()
        if not _left_seconds(ends_at):
            raise TryFailed("no answer in time", again=True)
    return future.result()


def _left_seconds(ends_at: float) -> float:
    return max(0.0, ends_at - time.monotonic())


def _settle(future: Future[T], call: Callable[[], T]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:
        future.set_exception(error)
