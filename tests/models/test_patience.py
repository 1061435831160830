"""Patience: how many tries, how long each, who is ticked meanwhile. Time is not slept away."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from models.patience import Patience, TryFailed, in_time, nothing


class Pauses(list[float]):
    """The pauses that were asked for, none of which was made."""

    def patience(self, tries_max: int = 4, total_seconds: float = 12.0) -> Patience:
        return Patience(tries_max=tries_max, total_seconds=total_seconds, pause=self.append)


def failing(times: int, *, again: bool = True) -> Callable[[], str]:
    """Fails so often, then answers."""
    failures = iter(range(times))

    def call() -> str:
        if next(failures, None) is not None:
            raise TryFailed("busy", again=again)
        return "answer"

    return call


@pytest.fixture
def stuck() -> Iterator[Callable[[], object]]:
    """A call that does not come back while the test runs."""
    over = threading.Event()
    yield lambda: over.wait(30)
    over.set()


def test_a_call_that_answers_is_made_once_and_never_paused_for() -> None:
    pauses = Pauses()
    assert pauses.patience().insist(failing(0), nothing) == "answer"
    assert pauses == []


def test_up_to_three_failures_are_made_good() -> None:
    assert Pauses().patience().insist(failing(3), nothing) == "answer"


def test_the_fourth_failure_is_the_last() -> None:
    pauses = Pauses()
    call = failing(4)
    with pytest.raises(TryFailed, match="busy"):
        pauses.patience().insist(call, nothing)
    assert len(pauses) == 3
    assert call() == "answer"  # so four were used up, not five


def test_a_refusal_is_not_tried_again() -> None:
    call = failing(1, again=False)
    with pytest.raises(TryFailed):
        Pauses().patience().insist(call, nothing)
    assert call() == "answer"


def test_any_other_error_passes_at_once_as_it_is() -> None:
    def call() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Pauses().patience().insist(call, nothing)


def test_pauses_double_and_hold_some_chance() -> None:
    seen: list[tuple[float, ...]] = []
    for _ in range(20):
        pauses = Pauses()
        pauses.patience().insist(failing(3), nothing)
        seen.append(tuple(pauses))
        for pause, longest in zip(pauses, (0.2, 0.4, 0.8), strict=True):
            assert longest / 2 <= pause <= longest
    assert len(set(seen)) > 1


def test_no_try_begins_after_the_time_is_up() -> None:
    call = failing(4)
    with pytest.raises(TryFailed, match="busy"):
        Pauses().patience(total_seconds=0.05).insist(call, nothing)  # a pause is longer than that
    with pytest.raises(TryFailed):
        call()  # the second of the four: the first was the only try


def test_a_tick_runs_between_any_two_tries_in_the_callers_thread() -> None:
    ticks: list[threading.Thread] = []
    patience = Pauses().patience()
    patience.insist(failing(3), lambda: ticks.append(threading.current_thread()))
    assert ticks == [threading.current_thread()] * 3


def test_what_a_tick_raises_ends_it_all() -> None:
    class Stopping(Exception):
        pass

    def tick() -> None:
        raise Stopping

    call = failing(3)
    with pytest.raises(Stopping):
        Pauses().patience().insist(call, tick)
    with pytest.raises(TryFailed):
        call()  # the second failure is still unused


def test_a_call_that_hangs_is_left_behind_in_time(stuck: Callable[[], object]) -> None:
    started = time.monotonic()
    with pytest.raises(TryFailed, match="no answer in time"):
        in_time(stuck, 0.05, nothing)
    assert time.monotonic() - started < 2


def test_a_call_that_hangs_does_not_keep_the_tick_from_running(
    stuck: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.patience.TICK_EVERY_SECONDS", 0.01)
    tick = iter([None, None])
    with pytest.raises(StopIteration):  # the third tick ends it, long before the 20 s
        in_time(stuck, 20, lambda: next(tick))


def test_four_tries_that_hang_end_within_the_total(stuck: Callable[[], object]) -> None:
    patience = Patience(try_seconds=0.1, total_seconds=0.15, backoff_seconds=0.001)
    started = time.monotonic()
    with pytest.raises(TryFailed):
        patience.insist(stuck, nothing)
    assert 0.1 <= time.monotonic() - started < 2


def test_the_defaults_end_well_within_a_lease_of_15_s() -> None:
    assert Patience().tries_max <= 4
    assert Patience().total_seconds <= 12
    assert Patience().try_seconds < Patience().total_seconds
