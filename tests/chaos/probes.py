"""Probes: single questions to the queue's statements, with their own connections and no workers."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from models import queue
from models.database import transaction
from models.errors import StylistError
from tests.chaos.clients import CUTS, place_one
from tests.chaos.victim import FATES

LEASE_SECONDS = 30.0
CLAIMERS = 16
JOBS = 64  # a multiple of the cuts that there are
HOLD_SECONDS = 1.5
PROMPT_SECONDS = 0.75  # a claim takes milliseconds; waiting for another would take HOLD_SECONDS
# With these off, the planner is left with plans that run a subquery once per row if they may.
PLANNER_SWITCHES = (
    "hashjoin",
    "mergejoin",
    "hashagg",
    "sort",
    "material",
    "memoize",
    "indexscan",
    "indexonlyscan",
    "bitmapscan",
)


def claims() -> list[str]:
    """What is wrong with the claim, in words."""
    _place(JOBS)
    return [
        *_guarded(a_hanging_claimer_holds_up_nobody),
        *_guarded(a_claim_takes_one_job_under_any_plan),
        *_guarded(many_claimers_share_nothing),
    ]


def a_hanging_claimer_holds_up_nobody() -> list[str]:
    """Invariant 11: one has claimed and not committed yet; the next one need not wait for it."""
    claimed, leave = threading.Event(), threading.Event()

    def hang() -> None:
        try:
            with transaction() as session:
                queue.claim(session, queue.Claimant("hanging", ["mock"], LEASE_SECONDS))
                claimed.set()
                leave.wait(HOLD_SECONDS)
                session.rollback()
        finally:
            claimed.set()

    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(hang)
        claimed.wait()
        started = time.monotonic()
        try:
            with transaction() as session:
                held = queue.claim(session, queue.Claimant("next", ["mock"], LEASE_SECONDS))
                session.rollback()
        finally:
            waited = time.monotonic() - started
            leave.set()
        hanging.result()
    if held is None or waited > PROMPT_SECONDS:
        return [f"invariant 11: a claim waited {waited:.2f} s for another and took {held}"]
    return []


def a_claim_takes_one_job_under_any_plan() -> list[str]:
    """Invariant 3: one job a claim, whatever the planner does with the statement."""
    with transaction() as session:
        for switch in PLANNER_SWITCHES:
            session.execute(text(f"SET LOCAL enable_{switch} = off"))
        queue.claim(session, queue.Claimant("planned", ["mock"], LEASE_SECONDS))
        taken = session.scalar(text("SELECT count(*) FROM jobs WHERE status = 'processing'"))
        session.rollback()
    return [] if taken == 1 else [f"invariant 3: one claim took {taken} jobs"]


def many_claimers_share_nothing() -> list[str]:
    """Invariant 3: sixteen at once, until nothing is left."""
    gate = threading.Barrier(CLAIMERS)

    def claim_all(name: str) -> list[queue.Claim]:
        gate.wait()
        mine: list[queue.Claim] = []
        while True:
            with transaction() as session:
                held = queue.claim(session, queue.Claimant(name, ["mock"], LEASE_SECONDS))
            if held is None:
                return mine
            mine.append(held)

    with ThreadPoolExecutor(CLAIMERS) as pool:
        taken = [job for mine in pool.map(claim_all, map(str, range(CLAIMERS))) for job in mine]
    jobs = len({held.job_id for held in taken})
    if (len(taken), jobs) != (JOBS, JOBS):
        return [f"invariant 3: {len(taken)} claims of {jobs} jobs, where there were {JOBS}"]
    return []


def _guarded(probe: Callable[[], list[str]]) -> list[str]:
    """A statement that the database refuses is a violation as well."""
    try:
        return probe()
    except StylistError as error:
        return [f"{probe.__name__}: {error!r} from {error.__cause__!r}"]


def _place(jobs: int) -> None:
    for number in range(jobs // len(CUTS)):
        place_one(number * FATES, CUTS)
