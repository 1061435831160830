"""What is made at first use is made once, whoever comes first."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from models.once import Once

THREADS = 8


def test_threads_that_come_at_the_same_moment_get_the_same_one() -> None:
    made: list[object] = []
    together = threading.Barrier(THREADS, timeout=10)

    @Once
    def engine() -> object:
        made.append(object())
        gate.wait(0.05)  # long enough for the others to find it unmade
        return made[-1]

    gate = threading.Event()

    def come(_: int) -> object:
        together.wait()
        return engine()

    with ThreadPoolExecutor(THREADS) as threads:
        got = list(threads.map(come, range(THREADS)))
    assert got == [made[0]] * THREADS
    assert len(made) == 1


def test_after_forgetting_it_is_made_anew() -> None:
    numbers = iter(range(9))
    number = Once(lambda: next(numbers))
    assert [number(), number()] == [0, 0]
    number.cache_clear()
    assert number() == 1


def test_a_failure_is_not_kept() -> None:
    tries = iter([False, True])

    @Once
    def link() -> str:
        if not next(tries):
            raise ConnectionError
        return "link"

    with pytest.raises(ConnectionError):
        link()
    assert link() == "link"
