"""The workloads. Job time decides what can be found: with jobs of milliseconds a missing fence
survives ten thousand of them; with jobs about as long as the lease it shows at once."""

import argparse
from collections.abc import Callable

from tests.chaos.nemeses import Faults
from tests.chaos.trial import Workload

HOUR = 3600.0
A_WHILE_SECONDS = 120.0  # for what takes 20 to 60 s alone on two cores
SKEWED = (-HOUR, 0.0, 0.0, HOUR)


def short(options: argparse.Namespace) -> Workload:
    """Many jobs of milliseconds; per 10,000: 200 SIGKILL, 20 immediate restarts, 100 zombies."""
    jobs = options.jobs
    faults = Faults(
        kills=_per(jobs, 67, 4),
        zombies=_per(jobs, 100, 4),
        retirements=_per(jobs, 200, 2),
        restarts=_per(jobs, 500, 1),
        refusals=1 if jobs >= 1000 else 0,
        lost_backends=_per(jobs, 200, 2),
        slow_links=_per(jobs, 1000, 1),
        silent_links=_per(jobs, 1000, 1),
        sweeps=_per(jobs, 500, 1),
        cut_share=0.01,
        storage_share=0.05,
        hang_share=0.001,
        break_share=0.01,
        clocks=SKEWED,
        poison=True,
    )
    return Workload("short", jobs, options.workers, 1.0, (0.004, 0.020), faults)


def long(options: argparse.Namespace) -> Workload:
    """Jobs about as long as the lease; per 800: 40 SIGKILL, 6 restarts, 120 zombies."""
    jobs = options.long_jobs
    faults = Faults(
        kills=_per(jobs, 27, 2),
        zombies=_per(jobs, 7, 6),
        retirements=_per(jobs, 80, 1),
        restarts=_per(jobs, 133, 1),
        lost_backends=_per(jobs, 80, 1),
        slow_links=_per(jobs, 160, 1),
        silent_links=_per(jobs, 80, 1),
        sweeps=_per(jobs, 80, 1),
        cut_share=0.01,
        storage_share=0.05,
        hang_share=0.01,
        break_share=0.01,
        clocks=SKEWED,
    )
    return Workload("long", jobs, 2 * options.workers, 1.0, (0.60, 0.95), faults)


def commits(options: argparse.Namespace) -> Workload:
    """Every tenth COMMIT is cut, and nothing else happens: whoever looks again loses no time, so no
    lease may lapse. (Where nobody knows, a look at once may come too early: not here.)"""
    faults = Faults(cut_share=0.1, cut_kinds=("before", "after"))
    return Workload(
        "commits",
        options.targeted_jobs,
        4,
        5.0,
        (0.004, 0.020),
        faults,
        lapses_need_a_cause=True,
        seconds_at_most=A_WHILE_SECONDS,
    )


def clocks(options: argparse.Namespace) -> Workload:
    """Workers an hour ahead and an hour behind, and nothing else: nothing may come of it."""
    return Workload(
        "clocks",
        options.targeted_jobs // 4,
        6,
        3.0,
        (0.3, 0.6),
        Faults(clocks=(-HOUR, HOUR)),
        lapses_need_a_cause=True,
        seconds_at_most=A_WHILE_SECONDS,
    )


def puts(options: argparse.Namespace) -> Workload:
    """A store that fails every fourth put, one way or another."""
    faults = Faults(storage_share=0.25)
    return Workload(
        "puts",
        options.targeted_jobs,
        4,
        5.0,
        (0.004, 0.020),
        faults,
        seconds_at_most=A_WHILE_SECONDS,
    )


def zombies(options: argparse.Namespace) -> Workload:
    """Jobs about as long as the lease on workers that stand still past it and then go on."""
    jobs = options.targeted_jobs // 5
    faults = Faults(zombies=jobs // 2, kills=2)
    return Workload("zombies", jobs, 8, 1.0, (0.6, 0.95), faults, seconds_at_most=A_WHILE_SECONDS)


def batches(options: argparse.Namespace) -> Workload:
    """Workers take three jobs at once; sometimes the engine cannot render them together, and then
    the second and third wait for longer than a lease. None of that may cost a lease."""
    return Workload(
        "batches",
        options.targeted_jobs // 2,
        4,
        2.0,
        (0.9, 1.3),
        Faults(break_share=0.15),
        lapses_need_a_cause=True,
        batch_max=3,
        seconds_at_most=A_WHILE_SECONDS,
    )


def frozen(options: argparse.Namespace) -> Workload:
    """Connections that are open and say nothing any more: a worker must not wait for ever."""
    faults = Faults(frozen_links=3)
    return Workload(
        "frozen",
        options.targeted_jobs,
        4,
        2.0,
        (0.02, 0.1),
        faults,
        seconds_at_most=A_WHILE_SECONDS,
    )


def shared(options: argparse.Namespace) -> Workload:
    """Few different orders, so that most wait for a picture that somebody else ordered, while its
    worker dies or its client cancels."""
    jobs = options.targeted_jobs * 2
    faults = Faults(
        kills=_per(jobs, 20, 2),
        zombies=_per(jobs, 10, 4),
        lost_backends=_per(jobs, 40, 1),
        cut_share=0.02,
        storage_share=0.05,
        break_share=0.05,
        cancel_share=0.3,
    )
    return Workload(
        "shared",
        jobs,
        6,
        1.0,
        (0.4, 0.9),
        faults,
        different_orders=jobs // 40,
        seconds_at_most=A_WHILE_SECONDS,
    )


def _per(jobs: int, each: int, least: int) -> int:
    return max(least, round(jobs / each))


WORKLOADS: dict[str, Callable[[argparse.Namespace], Workload]] = {
    "short": short,
    "long": long,
    "commits": commits,
    "clocks": clocks,
    "puts": puts,
    "zombies": zombies,
    "shared": shared,
    "batches": batches,
    "frozen": frozen,
}
