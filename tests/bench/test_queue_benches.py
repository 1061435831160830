"""The queue's benches at tiny size: they measure what they say, and hold it against the bars."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from bench import claims, pick_up, polling, queue_peers, recovery, swaps, wal
from bench.queue_peers import HOUSE, PGQUEUER, PROCRASTINATE
from bench.table import Finding, percentile, table
from models import generations, queue
from models.database import one_statement, transaction
from tests.orders import sql

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swaps, "JOBS", 12)


def test_percentiles_are_values_that_were_measured() -> None:
    hundred = [float(number) for number in range(100, 0, -1)]
    assert [percentile(hundred, percent) for percent in (1, 50, 95, 99, 100)] == [
        1,
        50,
        95,
        99,
        100,
    ]
    assert percentile([7.0], 99) == 7.0


def test_the_table_says_which_bars_are_missed() -> None:
    lines = table([Finding("a", "1 ms", "≤ 2 ms", True), Finding("b", "3 ms", "≤ 2 ms", False)])
    assert lines.splitlines()[2:] == [
        "| a | 1 ms | ≤ 2 ms | yes |",
        "| b | 3 ms | ≤ 2 ms | **no** |",
    ]


# --- claims ---------------------------------------------------------------------------------------


def test_a_deep_queue_is_what_a_busy_house_would_have(seeded: str) -> None:
    claims.fill(seeded, pending=400, done=1200)
    assert sql("SELECT count(*) FROM jobs WHERE status = 'pending'") == 400
    assert sql("SELECT count(*) FROM jobs WHERE status = 'completed'") == 1200
    assert sql("SELECT count(DISTINCT (owner, engine)) FROM jobs WHERE status = 'pending'") == 100
    assert sql("SELECT bool_and(turn_at > now() - interval '1 h') FROM jobs") is True


def test_each_claim_is_timed_and_its_job_completed(seeded: str) -> None:
    claims.fill(seeded, pending=40, done=8)
    times = claims.measure(10)
    assert len(times.claims) == len(times.empty) == 10
    assert min(times.claims + times.empty) > 0
    assert sql("SELECT count(*) FROM jobs WHERE status = 'completed'") == 18


def test_a_queue_that_runs_dry_is_no_measurement(seeded: str) -> None:
    claims.fill(seeded, pending=4, done=4)
    with pytest.raises(SystemExit, match="empty"):
        claims.measure(5)


def test_the_claim_bar_is_held_against_the_99th_percentile() -> None:
    ms = [1.0] * 98
    assert claims.finding(1, [*ms, 9.0, 50.0]).holds
    assert not claims.finding(1, [*ms, 11.0, 50.0]).holds


# --- swaps ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("seeded", "tiny")
@pytest.mark.parametrize("affinity", [True, False])
def test_every_simulated_job_is_claimed_once_and_none_before_it_came(affinity: bool) -> None:
    run = swaps.simulate(seed=1, pace=2.0, affinity=affinity)
    assert len(run.waits) == 12
    assert min(run.waits) >= 0
    assert sql("SELECT count(*) FROM jobs") == 0


@pytest.mark.usefixtures("seeded", "tiny")
def test_who_is_served_in_turn_waits_as_the_clock_says() -> None:
    """Twelve jobs of one kind at once: four workers take four at a time, none changes weights."""
    jobs = [swaps.Arrival(0.0, "sdxl_full") for _ in range(12)]
    run = swaps.Workshop(jobs, affinity=False, seed=1).work()
    first = swaps.LOAD_SECONDS + swaps.RENDER_SECONDS
    assert sorted(run.waits) == [0.0] * 4 + [first] * 4 + [first + swaps.RENDER_SECONDS] * 4
    assert run.swaps == 0


@pytest.mark.usefixtures("seeded")
def test_the_pretended_clock_makes_what_waits_older_and_nothing_else() -> None:
    clock = swaps.Clock()
    with transaction() as session:
        id = session.execute(swaps.MAKE).scalar_one()
        queue.enqueue(session, [swaps._new_job(id, "sdxl_full")])
    clock.move_to(100.0)
    with one_statement() as session:
        age = text("SELECT extract(epoch FROM clock_timestamp() - turn_at)::float8 FROM jobs")
        assert session.execute(age).scalar_one() >= 99.9
    clock.move_to(100.0)
    assert clock.seconds == 100.0


def test_the_worst_seed_decides_about_swaps() -> None:
    fifo = swaps.Run(swaps=50, waits=[100.0])
    fine, many, late = (
        swaps.Run(swaps=number, waits=[wait]) for number, wait in ((10, 115.0), (11, 0), (0, 115.1))
    )
    assert swaps.finding("x", [(fine, fifo)]).holds
    assert not swaps.finding("x", [(fine, fifo), (many, fifo)]).holds
    assert not swaps.finding("x", [(fine, fifo), (late, fifo)]).holds


# --- pick-up and recovery -------------------------------------------------------------------------


def test_a_pick_up_is_from_the_order_to_its_claim(work: Callable[[], int]) -> None:
    id = pick_up.order(polling.a_fabric())
    assert work() == 1
    sql("UPDATE jobs SET claimed_at = created_at + interval '250 ms'")
    assert pick_up.picked_up_ms(id) == pytest.approx(250)


def test_pick_up_and_recovery_are_judged_by_their_95th_percentile() -> None:
    assert pick_up.finding("direct connection", [10.0] * 95 + [900.0] * 5, 50).holds
    assert not pick_up.finding("direct connection", [10.0] * 94 + [900.0] * 6, 50).holds
    assert recovery.finding([15.0] * 19 + [40.0]).holds
    assert not recovery.finding([15.0] * 18 + [21.0] * 2).holds


# --- polling --------------------------------------------------------------------------------------


def test_polled_orders_have_one_cut_with_a_picture_and_one_half_drawn() -> None:
    ids = polling.place_orders(2)
    held = polling.render_half()
    assert {one.generation_id for one in held} == set(ids)
    with transaction() as session:
        views = generations.read_many(session, ids)
    for view in views:
        assert sorted(job.status for job in view.jobs) == ["completed", "processing"]
        assert sorted(job.progress for job in view.jobs) == [50, 100]


def test_a_load_is_what_wrk_says_at_its_end_unless_answers_were_missing() -> None:
    said = 'Running 4s test\nFOUND {"requests": 800, "us": 4000000, "p99_us": 2500, "wrong": 0}\n'
    assert polling.load_of(said, "x") == polling.Load(per_second=200.0, p99_ms=2.5)
    for wrong in (said.replace('"wrong": 0', '"wrong": 1'), said.replace("800", "0")):
        with pytest.raises(SystemExit, match="bad"):
            polling.load_of(wrong, "bad")


def test_wrk_is_given_every_request_with_its_headers() -> None:
    script = polling.lua([("/jobs/1", {}), ("/jobs/2", {"If-None-Match": 'W/"x"'})])
    assert "wrk.format('GET', '/jobs/1', {})" in script
    assert "wrk.format('GET', '/jobs/2', {['If-None-Match'] = 'W/\"x\"'})" in script


def test_what_is_measured_gets_the_status_that_it_should(base_url: str) -> None:
    polling.check(polling.Target("good", base_url, [("/livez", {}), ("/healthz", {})]))
    with pytest.raises(SystemExit, match="404"):
        polling.check(polling.Target("bad", base_url, [("/no-existe", {})]))


def test_ratios_to_the_bare_handler_are_taken_within_a_round() -> None:
    bare = polling.Loads([polling.Load(1000, 10), polling.Load(100, 100), polling.Load(10, 1000)])
    ours = polling.Loads([polling.Load(800, 15), polling.Load(90, 120), polling.Load(7, 2000)])
    share, p99 = ours.against(bare)
    assert share == pytest.approx(0.8)
    assert p99 == pytest.approx(1.5)


# --- beside other queues --------------------------------------------------------------------------


def test_peers_are_compared_within_each_round() -> None:
    ours, twice, same = (1.0, 1.0), (2.0, 2.0), (1.0, 1.0)
    rounds = {PGQUEUER: [same, twice], PROCRASTINATE: [twice, twice], HOUSE: [ours, ours]}
    assert queue_peers.ratios(rounds, PROCRASTINATE) == [2.0, 2.0]
    assert [found.holds for found in queue_peers.findings(rounds)] == [True, True]
    slow = {PGQUEUER: [same], PROCRASTINATE: [same], HOUSE: [ours]}
    assert [found.holds for found in queue_peers.findings(slow)] == [False, True]


def test_the_log_is_counted_by_the_table_that_it_is_about() -> None:
    lines = [
        "rmgr: Heap  len (rec/tot):     54/   150, tx: 1, desc: INSERT, blkref #0: rel 1/5/77 blk",
        "rmgr: Heap  len (rec/tot):     54/    50, tx: 1, desc: HOT, blkref #0: rel 1/5/77 blk",
        "rmgr: Transaction  len (rec/tot):     34/    34, tx: 1, desc: COMMIT 2026-11-21",
    ]
    assert wal.counted(lines, {"77": "jobs"}) == {"jobs": 200, "": 34}


def test_the_log_bar_is_missed_by_one_peer_that_writes_less() -> None:
    costs = {
        (contender, renewals): wal.Cost(5000.0, 0.0, 0.0)
        for contender in (PGQUEUER, PROCRASTINATE)
        for renewals in wal.RENEWALS
    }
    ours = {(HOUSE, renewals): wal.Cost(3000.0, 900.0, 80.0) for renewals in wal.RENEWALS}
    assert [found.holds for found in wal.findings(costs | ours)] == [True, True]
    costs[PGQUEUER, 6] = wal.Cost(2000.0, 0.0, 0.0)
    assert [found.holds for found in wal.findings(costs | ours)] == [False, True]
