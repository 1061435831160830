"""The queue's state machine: each arrow of the drawing in models/queue.py, and each refusal."""

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import TextClause, text
from sqlalchemy.exc import IntegrityError

from models import bulks, generations, history, queue
from models.database import Session, engine, transaction
from models.errors import Conflict, LeaseLost
from models.generations import QueueFull
from tests.orders import (
    BOTH,
    LEASE_SECONDS,
    an_image,
    claim,
    job,
    let_backoff_pass,
    let_leases_lapse,
    place,
    some_color_id,
    sql,
    until_they_wait,
)

pytestmark = pytest.mark.usefixtures("clean")
Move = Callable[[Session, queue.Claim], None]
SETTLING: dict[str, Move] = {
    "renew": lambda s, h: queue.renew(s, h, LEASE_SECONDS, 50),
    "complete": lambda s, h: queue.complete(s, h, an_image(h)),
    "retry": lambda s, h: queue.retry(s, h, "storage-error", "x"),
    "fail": lambda s, h: queue.fail(s, h, "swatch-unreadable", "x"),
    "release": queue.release,
}


def settle(held: queue.Claim, verb: str) -> None:
    with transaction() as session:
        SETTLING[verb](session, held)


def expire() -> int:
    with transaction() as session:
        return len(queue.expire(session))


# --- claim ----------------------------------------------------------------------------------------


def test_a_claim_takes_the_job_and_counts_the_attempt() -> None:
    place()
    held = claim("worker-1")
    row = job(held)
    assert (row.status, row.attempts, row.worker) == ("processing", 1, "worker-1")
    assert row.claim == held.claim
    assert row.started_at is not None


def test_a_claimed_job_is_not_claimed_again() -> None:
    place()
    claim()
    with transaction() as session:
        assert queue.claim(session, queue.Claimant("b", ["drape"], LEASE_SECONDS)) is None


def test_a_worker_claims_only_for_its_engines() -> None:
    place()
    with transaction() as session:
        assert (
            queue.claim(session, queue.Claimant("b", ["mock", "sdxl_inpaint"], LEASE_SECONDS))
            is None
        )


def test_jobs_are_claimed_by_priority_then_turn() -> None:
    first, second, urgent = place(), place(), place()
    sql("UPDATE jobs SET priority = 99 WHERE generation_id = :id", id=urgent)
    assert [claim().generation_id for _ in range(3)] == [urgent, first, second]


def test_claimers_at_once_never_share_a_job() -> None:
    for _ in range(60):
        place()
    taken: list[queue.Claim] = []
    gate = threading.Barrier(8)

    def claim_all() -> None:
        gate.wait()
        while True:
            with transaction() as session:
                held = queue.claim(session, queue.Claimant("w", ["drape"], LEASE_SECONDS))
            if held is None:
                return
            taken.append(held)

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(claim_all) for _ in range(8)]:
            future.result()
    assert len(taken) == 60
    assert len({held.job_id for held in taken}) == 60


def test_a_claim_takes_one_job_under_any_plan() -> None:
    """The locking subquery must run once, even in a nested loop that would run it per row."""
    for _ in range(20):
        place()
    with transaction() as session:
        for switch in ("hashjoin", "mergejoin", "material", "indexscan", "bitmapscan"):
            session.connection().exec_driver_sql(f"SET LOCAL enable_{switch} = off")
        queue.claim(session, queue.Claimant("a", ["drape"], LEASE_SECONDS))
    assert sql("SELECT count(*) FROM jobs WHERE status = 'processing'") == 1


# --- fair share, affinity, modes ------------------------------------------------------------------


def test_one_order_goes_before_the_rest_of_a_bulk_order() -> None:
    many = [place(owner="user:1") for _ in range(50)]
    one = place(owner="user:2")
    turns = [claim().generation_id for _ in range(51)]
    assert turns[0] == many[0]
    assert turns.index(one) < 50  # not after all fifty, however long placing them took


def test_owners_with_as_many_orders_take_turns() -> None:
    for owner in ("user:1", "user:2"):
        for _ in range(6):
            place(owner=owner)
    sql(
        "UPDATE jobs SET turn_at = timestamptz '2026-01-01' + (turn_at -"
        " (SELECT min(turn_at) FROM jobs j WHERE j.owner = jobs.owner))"
    )
    owners = [job(claim()).owner for _ in range(12)]
    assert all(owners[n : n + 2].count("user:1") == 1 for n in range(0, 12, 2))


def _to(engine: str, generation_id: object, seconds_ago: float = 0) -> None:
    sql(
        "UPDATE jobs SET engine = :engine, turn_at = clock_timestamp()"
        " - make_interval(secs => :ago) WHERE generation_id = :id",
        engine=engine,
        id=generation_id,
        ago=seconds_ago,
    )


def _claim_warm(warm: str | None, change_seconds: float = 0.0) -> object:
    both = ["drape", "mock"]
    with transaction() as session:
        held = queue.claim(
            session,
            queue.Claimant("w", both, LEASE_SECONDS, warm=warm, change_seconds=change_seconds),
        )
    return held and held.generation_id


def _has_waited(generation_id: object, seconds: float) -> None:
    sql(
        "UPDATE jobs SET run_at = clock_timestamp() - make_interval(secs => :seconds)"
        " WHERE generation_id = :id",
        seconds=seconds,
        id=generation_id,
    )


def test_a_warm_engine_goes_first_but_never_past_its_bound() -> None:
    cold, warm = place(), place()
    _to("drape", cold, seconds_ago=queue.AFFINITY_SECONDS - 5)
    _to("mock", warm)
    assert _claim_warm("mock") == warm
    older, newer = place(), place()
    sql("DELETE FROM jobs WHERE generation_id = :id", id=cold)
    _to("drape", older, seconds_ago=queue.AFFINITY_SECONDS + 5)
    _to("mock", newer)
    assert _claim_warm("mock") == older


def test_a_job_waits_a_while_for_a_worker_that_need_not_change_its_weights() -> None:
    rendering, waiting = place(), place()
    claim()
    assert rendering != waiting
    _has_waited(waiting, 10 * queue.CHANGES_WORTH - 5)
    assert _claim_warm("mock", change_seconds=10) is None
    _has_waited(waiting, 10 * queue.CHANGES_WORTH + 5)
    assert _claim_warm("mock", change_seconds=10) == waiting


def test_a_job_is_not_left_alone_where_nobody_renders_with_its_weights() -> None:
    waiting = place()
    assert _claim_warm("mock", change_seconds=10) is None  # who has them would be here in a moment
    _has_waited(waiting, queue.COURTESY_SECONDS + 1)
    assert _claim_warm("mock", change_seconds=10) == waiting


@pytest.mark.parametrize("warm", ["drape", None])
def test_a_worker_that_need_not_change_takes_a_job_at_once(warm: str | None) -> None:
    """It has these weights, or none yet."""
    place()
    claim()
    waiting = place()
    assert _claim_warm(warm, change_seconds=10) == waiting


def test_a_paused_engine_is_not_claimed_until_it_is_resumed() -> None:
    place()
    with transaction() as session:
        queue.pause(session, "drape", by="user:1")
    with transaction() as session:
        assert queue.claim(session, queue.Claimant("w", ["drape"], LEASE_SECONDS)) is None
        assert queue.modes(session) == {"drape": "paused"}
        queue.resume(session, "drape")
    assert claim().attempts == 1


def test_a_draining_engine_takes_no_new_orders_and_works_off_the_old() -> None:
    place()
    with transaction() as session:
        queue.drain(session, "drape", by="user:1")
    with pytest.raises(QueueFull):
        place()
    assert claim().attempts == 1
    with transaction() as session:
        queue.resume(session, "drape")


# --- results shared by fingerprint ----------------------------------------------------------------


@pytest.fixture
def _shared(setting: Callable[..., None]) -> None:
    setting(share_results="true")


@pytest.mark.usefixtures("_shared")
def test_the_same_order_again_is_answered_without_a_worker() -> None:
    place()
    settle(claim(), "complete")
    again = place()
    with transaction() as session:
        view = generations.read(session, again)
    assert view.status == "completed"
    assert view.best[0].image is not None
    assert sql("SELECT count(*) FROM images") == 1


@pytest.mark.usefixtures("_shared")
def test_two_orders_at_once_are_rendered_once() -> None:
    first, second = place(), place()
    held = claim()
    assert held.generation_id == first
    third = place()
    with transaction() as session:
        assert queue.claim(session, queue.Claimant("b", ["drape"], LEASE_SECONDS)) is None
    settle(held, "complete")
    for id in (first, second, third):
        with transaction() as session:
            assert generations.read(session, id).status == "completed"
    assert sql("SELECT count(DISTINCT image_id) FROM jobs") == 1


@pytest.mark.usefixtures("_shared")
@pytest.mark.parametrize("end", ["fail", "cancel", "delete"])
def test_a_follower_takes_the_place_of_a_leader_without_a_picture(end: str) -> None:
    first, second, third = place(), place(), place()
    held = claim()
    if end == "fail":
        settle(held, "fail")
    else:
        with transaction() as session:
            (generations.cancel if end == "cancel" else history.delete)(session, first)
    heir = claim()
    assert heir.generation_id == second
    settle(heir, "complete")
    if end != "delete":
        assert sql("SELECT status FROM jobs WHERE generation_id = :id", id=third) == "completed"


@pytest.mark.usefixtures("_shared")
def test_nobody_waits_behind_an_equal_job_of_a_bulk_order() -> None:
    with transaction() as session:
        bulk = bulks.place(session, "user:1", [some_color_id()], ["recto"], "preview")
        bulks.set_paused(session, bulk, True)
    id = place(quality="preview")
    assert sql("SELECT count(*) FROM jobs WHERE leader_id IS NOT NULL") == 0
    assert claim().generation_id == id


@pytest.mark.usefixtures("_shared")
@pytest.mark.parametrize("end", ["complete", "fail", "cancel"])
def test_who_is_placed_behind_a_job_that_is_just_being_settled_does_not_wait_for_ever(
    end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = place()
    held = claim()
    share = queue._share

    def and_then_it_ends(session: Session, row: dict[str, Any]) -> bool:
        is_answered = share(session, row)
        if end == "cancel":
            with transaction() as other:
                generations.cancel(other, first)
        else:
            settle(held, end)
        return is_answered

    monkeypatch.setattr(queue, "_share", and_then_it_ends)
    second = place()
    expire()
    assert claim().generation_id == second


@pytest.mark.usefixtures("_shared")
def test_the_most_urgent_of_those_who_wait_takes_the_place_of_their_leader() -> None:
    first = place(quality="preview")
    with transaction() as session:
        bulk = bulks.place(session, "user:1", [some_color_id()], ["recto"], "preview")
    urgent = place(quality="preview")
    assert sql("SELECT count(*) FROM jobs WHERE leader_id IS NOT NULL") == 2
    with transaction() as session:
        bulks.set_paused(session, bulk, True)
        generations.cancel(session, first)
    assert claim().generation_id == urgent


@pytest.mark.usefixtures("_shared")
def test_who_waits_behind_a_bulk_order_that_is_paused_goes_on_without_it() -> None:
    with transaction() as session:
        one, other = (
            bulks.place(session, "user:1", [some_color_id()], ["recto"], "preview") for _ in "12"
        )
    with transaction() as session:
        bulks.set_paused(session, one, True)
    expire()
    bulk = "SELECT bulk_id FROM generations WHERE id = :id"
    assert sql(bulk, id=claim().generation_id) == other


@pytest.mark.usefixtures("_shared")
@pytest.mark.parametrize("end", ["retry", "release", "expire"])
def test_who_waits_behind_a_bulk_job_that_has_to_wait_again_goes_first(end: str) -> None:
    with transaction() as session:
        bulks.place(session, "user:1", [some_color_id()], ["recto"], "preview")
    held = claim()
    urgent = place(quality="preview")
    assert sql("SELECT count(*) FROM jobs WHERE leader_id IS NOT NULL") == 1
    if end == "expire":
        let_leases_lapse()
    else:
        settle(held, end)
    expire()
    assert claim("b").generation_id == urgent


@pytest.mark.usefixtures("_shared")
def test_who_waits_for_a_picture_that_is_on_its_way_goes_on_waiting() -> None:
    with transaction() as session:
        bulks.place(session, "user:1", [some_color_id()], ["recto"], "preview")
    held = claim()
    urgent = place(quality="preview")
    same = place(quality="preview")
    expire()
    with transaction() as session:
        assert queue.claim(session, queue.Claimant("b", ["drape"], LEASE_SECONDS)) is None
    settle(held, "complete")
    for id in (urgent, same):
        assert sql("SELECT status FROM jobs WHERE generation_id = :id", id=id) == "completed"


@pytest.mark.usefixtures("_shared")
def test_neither_of_two_who_order_the_same_cuts_holds_what_the_other_lacks() -> None:
    place(BOTH, quality="preview")
    prints = sql("SELECT array_agg(fingerprint ORDER BY fingerprint) FROM jobs")
    sql("DELETE FROM generations")
    lock = "SELECT pg_advisory_xact_lock(hashtextextended(:fingerprint, 1))"
    look = "SELECT pg_try_advisory_xact_lock(hashtextextended(:fingerprint, 1))"
    with ThreadPoolExecutor() as threads:
        with transaction() as session:
            session.execute(text(lock), {"fingerprint": prints[0]})
            orders = [threads.submit(place, cuts, quality="preview") for cuts in (BOTH, BOTH[::-1])]
            until_they_wait(2)
            assert session.scalar(text(look), {"fingerprint": prints[1]})
        assert len({order.result() for order in orders}) == 2


@pytest.mark.usefixtures("_shared")
def test_a_shared_image_is_deleted_with_its_last_order() -> None:
    first = place()
    settle(claim(), "complete")
    second = place()
    with transaction() as session:
        assert history.delete(session, first) == []
    with transaction() as session:
        assert len(history.delete(session, second)) == 1
    assert sql("SELECT count(*) FROM images") == 0


@pytest.mark.usefixtures("_shared")
def test_another_recipe_is_another_photoreal_picture(setting: Callable[..., None]) -> None:
    prints = "SELECT count(DISTINCT fingerprint) FROM jobs WHERE engine = 'sdxl_inpaint'"
    setting(final_engine="sdxl_inpaint")
    place(noise_seed=7)
    place(noise_seed=7)
    assert sql(prints) == 1
    setting(sdxl_profile="best")
    place(noise_seed=7)
    assert sql(prints) == 2


@pytest.mark.usefixtures("_shared")
def test_another_cloth_is_never_answered_from_the_stored_image() -> None:
    place()
    settle(claim(), "complete")
    other = sql("SELECT color_id FROM fabrics ORDER BY id DESC LIMIT 1")
    place(color_id=other)
    assert claim().letter.fabric_hex == sql(
        "SELECT hex_value FROM fabrics WHERE color_id = :id", id=other
    )


# --- the fence ------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", SETTLING)
def test_a_lost_claim_can_settle_nothing(verb: str) -> None:
    place()
    zombie = claim("a")
    let_leases_lapse()
    assert expire() == 1
    winner = claim("b")
    before = job(winner)
    with pytest.raises(LeaseLost):
        settle(zombie, verb)
    assert job(winner) == before
    assert sql("SELECT count(*) FROM images") == 0


@pytest.mark.parametrize("verb", SETTLING)
def test_a_settled_job_does_not_move_again(verb: str) -> None:
    place()
    held = claim()
    settle(held, "complete")
    before = job(held)
    with pytest.raises(LeaseLost):
        settle(held, verb)
    assert job(held) == before


def test_a_late_completion_counts_while_nobody_else_has_the_job() -> None:
    place()
    held = claim()
    let_leases_lapse()
    settle(held, "complete")
    assert job(held).status == "completed"
    assert expire() == 0


# --- settling -------------------------------------------------------------------------------------


def test_complete_writes_the_image_and_the_claim_that_won() -> None:
    place()
    held = claim()
    settle(held, "complete")
    row = job(held)
    assert (row.status, row.settled_by, row.progress) == ("completed", held.claim, 100)
    key = sql("SELECT object_key FROM images WHERE id = :id", id=row.image_id)
    assert key == an_image(held).object_key
    with transaction() as session:
        assert queue.was_settled_by(session, held)


def test_renew_moves_the_lease_and_progress_never_goes_back() -> None:
    place()
    held = claim()
    let_leases_lapse()
    settle(held, "renew")
    with transaction() as session:
        queue.renew(session, held, LEASE_SECONDS, 20)
    assert job(held).progress == 50
    assert expire() == 0


def test_retry_waits_and_then_runs_on_any_worker() -> None:
    place()
    held = claim()
    settle(held, "retry")
    row = job(held)
    assert (row.status, row.attempts, row.error_code) == ("pending", 1, "storage-error")
    assert row.run_at <= datetime.now(UTC) + timedelta(seconds=queue.BACKOFF_CAP_SECONDS)
    let_backoff_pass()
    assert claim("b").attempts == 2


def test_retry_fails_at_the_last_attempt() -> None:
    place()
    for _ in range(3):
        let_backoff_pass()
        held = claim()
        settle(held, "retry")
    row = job(held)
    assert (row.status, row.error_code, row.settled_by) == ("failed", "storage-error", held.claim)


def test_fail_is_final_at_the_first_attempt() -> None:
    place()
    held = claim()
    settle(held, "fail")
    assert (job(held).status, job(held).error_code) == ("failed", "swatch-unreadable")


def test_release_gives_the_attempt_back() -> None:
    place()
    held = claim()
    settle(held, "release")
    row = job(held)
    assert (row.status, row.attempts, row.releases) == ("pending", 0, 1)


def test_releases_past_their_cap_count_as_attempts_and_end() -> None:
    place()
    for _ in range(queue.RELEASES_MAX + 3):
        held = claim()
        settle(held, "release")
    row = job(held)
    assert (row.status, row.error_code) == ("failed", "released-too-often")
    assert row.attempts == 3


@pytest.mark.parametrize("verb", ["retry", "fail", "release"])
def test_a_claim_that_ends_without_a_picture_leaves_its_story(verb: str) -> None:
    place()
    held = claim("worker-7")
    settle(held, verb)
    told = "SELECT concat_ws(' ', attempt, verb, worker) FROM attempts WHERE claim = :claim"
    assert sql(told, claim=held.claim) == f"1 {verb} worker-7"


def test_a_job_that_just_works_leaves_no_story_but_itself() -> None:
    place()
    settle(claim(), "complete")
    assert sql("SELECT count(*) FROM attempts") == 0


# --- expire and cancel ----------------------------------------------------------------------------


def test_a_lapsed_lease_puts_the_job_back_and_keeps_the_attempt() -> None:
    place()
    held = claim()
    let_leases_lapse()
    assert expire() == 1
    row = job(held)
    assert (row.status, row.attempts, row.error_code) == ("pending", 1, "worker-lost")


def test_a_job_that_kills_its_workers_fails_in_the_end() -> None:
    place()
    for _ in range(3):
        held = claim()
        let_leases_lapse()
        expire()
    assert (job(held).status, job(held).error_code) == ("failed", "worker-lost")


@pytest.mark.parametrize("end", ["expire", "retry", "release"])
def test_what_comes_back_to_a_paused_bulk_order_waits_with_it(end: str) -> None:
    with transaction() as session:
        bulk = bulks.place(session, "user:1", [some_color_id()], ["recto"], "preview")
    held = claim()
    with transaction() as session:
        bulks.set_paused(session, bulk, True)
    if end == "expire":
        let_leases_lapse()
        assert expire() == 1
    else:
        settle(held, end)
    assert job(held).status == "pending"
    assert sql("SELECT bool_and(run_at > now() + interval '1 year') FROM jobs")
    with transaction() as session:
        bulks.set_paused(session, bulk, False)
    assert claim().job_id == held.job_id


@pytest.mark.parametrize("end", ["expire", "retry", "release"])
@pytest.mark.parametrize("paused", [True, False])
def test_what_comes_back_while_its_bulk_order_is_paused_or_goes_on_does_as_the_rest(
    end: str, paused: bool
) -> None:
    with transaction() as session:
        bulk = bulks.place(session, "user:1", [some_color_id()], ["recto"], "preview")
    held = claim()
    with transaction() as session:
        bulks.set_paused(session, bulk, not paused)
    if end == "expire":
        let_leases_lapse()
    with ThreadPoolExecutor() as threads:
        with transaction() as session:
            bulks.set_paused(session, bulk, paused)
            back = threads.submit(expire) if end == "expire" else threads.submit(settle, held, end)
            until_they_wait(1, unless=back.done)
        back.result()
    assert sql("SELECT run_at > now() + interval '1 year' FROM jobs") is paused


def test_a_live_lease_is_left_alone() -> None:
    place()
    held = claim()
    assert expire() == 0
    assert job(held).status == "processing"


def test_expire_takes_a_bounded_batch() -> None:
    for _ in range(queue.EXPIRE_BATCH + 5):
        place()
        claim()
    let_leases_lapse()
    assert [expire(), expire(), expire()] == [queue.EXPIRE_BATCH, 5, 0]


def test_an_order_past_its_deadline_expires_unless_it_was_started() -> None:
    late = place(deadline=datetime.now(UTC) - timedelta(seconds=1))
    place(deadline=datetime.now(UTC) + timedelta(hours=1))
    assert expire() == 1
    assert sql("SELECT status FROM jobs WHERE generation_id = :id", id=late) == "expired"


def test_an_order_past_its_deadline_is_canceled_once_it_was_started() -> None:
    place(deadline=datetime.now(UTC) + timedelta(hours=1))
    held = claim()
    sql("UPDATE jobs SET deadline = clock_timestamp() - interval '1 s'")
    assert expire() == 1
    assert job(held).status == "canceled"
    assert sql("SELECT verb FROM attempts WHERE claim = :claim", claim=held.claim) == "cancel"
    with pytest.raises(LeaseLost):
        settle(held, "complete")


def test_cancel_ends_what_is_left_and_the_worker_learns_it() -> None:
    id = place(("recto", "cruzado"))
    done = claim()
    settle(done, "complete")
    running = claim()
    with transaction() as session:
        view = generations.cancel(session, id)
    assert view.status == "completed"  # the finished cut keeps its picture
    assert job(running).status == "canceled"
    with transaction() as session:
        assert not queue.still_held(session, running)
    with pytest.raises(LeaseLost):
        settle(running, "complete")


def test_a_settled_order_cannot_be_canceled() -> None:
    id = place()
    settle(claim(), "complete")
    with pytest.raises(Conflict), transaction() as session:
        generations.cancel(session, id)


# --- the database refuses bad rows ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "check"),
    [
        ("status = 'done'", "status"),
        ("status = 'processing'", "claimed"),
        ("claim = gen_random_uuid()", "claimed"),
        ("lease_until = now()", "leased"),
        ("status = 'completed', settled_at = now()", "completed"),
        ("status = 'canceled'", "settled"),
        ("settled_at = now()", "settled"),
        ("status = 'failed', settled_at = now()", "failed"),
        ("attempts = 4", "attempts"),
        ("attempts = -1", "attempts"),
        ("progress = 101", "progress"),
        ("stage = 'sketch'", "stage"),
        ("releases = -1", "releases"),
    ],
)
def test_the_database_refuses_a_bad_job(bad: str, check: str) -> None:
    place()
    refused = pytest.raises(IntegrityError, match=f"jobs_{check}_check")
    with refused, engine().begin() as connection:
        connection.exec_driver_sql(f"UPDATE jobs SET {bad}")


def test_two_jobs_never_hold_one_claim() -> None:
    place(("recto", "cruzado"))
    held = claim()
    with pytest.raises(IntegrityError, match="jobs_claim"), engine().begin() as connection:
        connection.exec_driver_sql(
            "UPDATE jobs SET status = 'processing', lease_until = now(), claim = %s"
            " WHERE status = 'pending'",
            (held.claim,),
        )


# --- plans ----------------------------------------------------------------------------------------


def test_hot_statements_use_their_index_among_many_jobs() -> None:
    """Fails when a claim or a renewal would scan: 20,000 settled, 2,000 pending jobs around."""
    id = place()
    held = claim()
    with engine().begin() as connection:
        connection.exec_driver_sql(
            """
            INSERT INTO jobs (id, generation_id, owner, cut, stage, engine, letter, fingerprint,
                              priority, turn_at, max_attempts, status, settled_at)
            SELECT gen_random_uuid(), %s, 'x', 'cut ' || n, 'draft', 'drape', '{}', 'x', 10,
                   now(), 3,
                   CASE WHEN n <= 2000 THEN 'pending' ELSE 'canceled' END,
                   CASE WHEN n <= 2000 THEN NULL ELSE now() END
              FROM generate_series(1, 22000) n""",
            (id,),
        )
        connection.exec_driver_sql(
            "UPDATE jobs SET leader_id = %s WHERE owner = 'x' AND right(cut, 1) IN ('1', '2', '3')",
            (held.job_id,),
        )
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE jobs")
    values = {"claim": held.claim, "lease_seconds": 15.0, "progress": 1}
    claiming = _index_of(queue.CLAIM, values | CLAIMING)
    assert claiming == {"jobs_pending", "jobs_pkey", "jobs_claim"} | MODES
    assert _index_of(queue.RENEW, values) == {"jobs_claim"}
    assert _index_of(queue.EXPIRE_LEASES, {"batch": 20}) <= {"jobs_claim", "jobs_pkey"} | BULKS
    assert _index_of(queue.STILL_HELD, values) == {"jobs_claim"}
    assert _index_of(queue.PROMOTE_ALL, {}) == {"jobs_followers", "jobs_pkey"}


def test_a_claim_needs_no_statistics_to_find_its_index() -> None:
    """A new house was never analysed; a claim that sorted what is pending would cost ever more."""
    for _ in range(5):
        place()
    sql("DELETE FROM pg_statistic WHERE starelid = CAST('jobs' AS regclass)")
    sql("UPDATE pg_class SET reltuples = -1, relpages = 0 WHERE oid = CAST('jobs' AS regclass)")
    values = CLAIMING | {"claim": uuid4(), "lease_seconds": 15.0}
    assert _index_of(queue.CLAIM, values) <= {"jobs_pending", "jobs_pkey", "jobs_claim"} | MODES


def test_claims_after_the_first_few_are_not_planned_anew() -> None:
    """Planning one takes half as long as running it."""
    with transaction() as session:
        for _ in range(20):
            queue.claim(session, queue.Claimant("w", ["drape", "mock"], LEASE_SECONDS, "drape"))
        planned, reused = session.execute(text(PLANS)).one()
    assert reused >= 10 > planned


PLANS = """
SELECT custom_plans, generic_plans FROM pg_prepared_statements WHERE statement LIKE '%UPDATE jobs%'
"""
CLAIMING: dict[str, object] = {
    "engines": ["drape", "mock"],
    "warm": "mock",
    "affinity_seconds": 15.0,
    "patience_seconds": 30.0,
    "courtesy_seconds": 1.0,
    "worker": "w",
}
MODES = {"engine_modes_pkey"}
BULKS = {"generations_pkey", "generations_bulk", "bulks_pkey"}


def _index_of(statement: TextClause, values: dict[str, object]) -> set[str]:
    """The indexes that the plan uses; fails if it scans the whole table."""
    with transaction() as session:
        plan = session.scalars(text(f"EXPLAIN {statement.text}"), values).all()
    assert not any("Seq Scan on jobs" in line for line in plan), "\n".join(plan)
    return set(
        re.findall(
            r"(?:Index Scan using|Index Only Scan using|Index Scan on) (\w+)", "\n".join(plan)
        )
    )
