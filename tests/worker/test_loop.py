"""The loop's ways out of a job: completed, failed, retried, released, or lost to somebody else."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from models import generations, queue, workers
from models.database import one_statement, transaction
from models.errors import DatabaseUnavailable, EngineFailed, StorageError, SwatchUnreadable
from models.letter import Letter
from models.storage import FolderStorage, storage
from tests.orders import claim, let_backoff_pass, let_leases_lapse, place, sql
from tests.workers import drape_loop, loop_with
from worker.engines import Order, Rendering, Tick
from worker.engines.mock import MockEngine
from worker.loop import BUSY_POLL_SECONDS, EXPIRE_SECONDS, UNFIT_AFTER_FAILURES, Loop, Unfit

pytestmark = pytest.mark.usefixtures("clean")


class ScriptedEngine(MockEngine):
    """The mock engine under the drape's name, with something happening in mid-render."""

    name = "drape"

    def __init__(self, meanwhile: Callable[[Tick], None]) -> None:
        super().__init__()
        self.meanwhile = meanwhile

    def render(self, letter: Letter, swatch: bytes | None, tick: Tick) -> Rendering:
        self.meanwhile(tick)
        return super().render(letter, swatch, tick)


def raising(error: Exception) -> Loop:
    def meanwhile(tick: Tick) -> None:
        raise error

    return loop_with(ScriptedEngine(meanwhile))


def status() -> str:
    return str(sql("SELECT status FROM jobs"))


def test_there_is_nothing_to_do_in_an_empty_queue() -> None:
    assert drape_loop().work_once() is False


def test_an_idle_worker_looks_more_often_while_somebody_else_renders() -> None:
    idle = drape_loop()
    assert idle.work_once() is False
    assert idle._pause_seconds() > BUSY_POLL_SECONDS * 1.2
    place()
    claim("somebody else")
    idle._expired_at = -EXPIRE_SECONDS
    assert idle.work_once() is False
    assert idle._pause_seconds() <= BUSY_POLL_SECONDS * 1.2


def test_a_job_ends_with_a_verified_picture_in_storage() -> None:
    id = place()
    assert drape_loop().work_once()
    with transaction() as session:
        view = generations.read(session, id)
    assert view.status == "completed"
    image = view.best[0].image
    assert image is not None
    assert (image.width_px, image.height_px) == (1024, 1536)
    assert image.watermarked
    assert image.recipe["engine"] == "drape"
    assert image.recipe["truth"]["grade"] == "green"
    content = storage().get(image.object_key)
    assert content[:3] == b"\xff\xd8\xff"
    assert sql("SELECT size_bytes FROM images") == len(content)
    assert {"load", "render", "encode", "upload"} <= set(sql("SELECT timings_ms FROM images"))


def test_the_object_key_names_the_job_and_the_claim() -> None:
    place()
    drape_loop().work_once()
    key = sql("SELECT object_key FROM images")
    assert key.startswith(
        f"renders/{sql('SELECT id FROM jobs')}/{sql('SELECT settled_by FROM jobs')}/"
    )


def test_a_bad_order_fails_at_once_with_its_reason() -> None:
    place()
    raising(SwatchUnreadable("La muestra no se puede leer.")).work_once()
    assert status() == "failed"
    assert sql("SELECT error_code FROM jobs") == "swatch-unreadable"
    assert sql("SELECT error FROM jobs") == "La muestra no se puede leer."
    assert sql("SELECT attempts FROM jobs") == 1


@pytest.mark.parametrize("error", [EngineFailed("x"), StorageError("x"), ZeroDivisionError("x")])
def test_what_broke_on_our_side_is_tried_again_and_fails_in_the_end(error: Exception) -> None:
    place()
    for attempt in (1, 2, 3):
        assert raising(error).work_once()
        assert sql("SELECT attempts FROM jobs") == attempt
        let_backoff_pass()
    assert status() == "failed"
    assert sql("SELECT count(*) FROM images") == 0


def test_an_unexpected_error_shows_no_trace_to_the_client() -> None:
    place()
    raising(ZeroDivisionError("secret /path")).work_once()
    assert "secret" not in sql("SELECT error FROM jobs")


def test_a_swatch_that_is_gone_fails_the_job_and_renders_no_other_cloth() -> None:
    place()
    sql('UPDATE jobs SET letter = CAST(letter AS jsonb) || \'{"swatch_key": "swatches/gone.jpg"}\'')
    drape_loop().work_once()
    assert (status(), sql("SELECT error_code FROM jobs")) == ("failed", "swatch-unreadable")
    assert sql("SELECT count(*) FROM images") == 0


def test_a_swatch_with_other_bytes_than_ordered_fails_the_job() -> None:
    place()
    sql(
        "UPDATE jobs SET letter = CAST(letter AS jsonb)"
        " || jsonb_build_object('swatch_sha256', repeat('0', 64))"
    )
    drape_loop().work_once()
    assert (status(), sql("SELECT error_code FROM jobs")) == ("failed", "swatch-unreadable")


def test_a_look_in_another_version_waits_for_a_worker_that_has_it() -> None:
    place()
    sql('UPDATE jobs SET letter = CAST(letter AS jsonb) || \'{"look_version": "another"}\'')
    drape_loop().work_once()
    assert (status(), sql("SELECT error_code FROM jobs")) == ("pending", "look-unavailable")


def test_a_letter_of_a_newer_release_waits_for_a_worker_that_can_read_it() -> None:
    place()
    sql('UPDATE jobs SET letter = CAST(letter AS jsonb) || \'{"buttons": "horn"}\'')
    assert loop_with(BatchingEngine()).work_once()
    assert (status(), sql("SELECT error_code FROM jobs")) == ("pending", "letter-unreadable")


def test_a_picture_that_the_database_refuses_takes_no_worker_with_it() -> None:
    class Odd(ScriptedEngine):
        def render(self, letter: Letter, swatch: bytes | None, tick: Tick) -> Rendering:
            made = super().render(letter, swatch, tick)
            return replace(made, recipe={"strength": float("nan")})

    place()
    assert loop_with(Odd(lambda tick: None)).work_once()
    assert (status(), sql("SELECT error_code FROM jobs")) == ("pending", "engine-failed")


def test_the_lease_is_looked_at_between_two_things_that_a_slow_store_is_asked_for() -> None:
    told: list[str] = []

    class Slow(FolderStorage):
        def get(self, key: str) -> bytes:
            told.append("asked")
            return super().get(key)

    loop = drape_loop()
    loop.packs.fetch = lambda letter: told.append("asked")  # type: ignore[method-assign]
    loop.storage = Slow(storage().folder)  # type: ignore[attr-defined]
    place()
    held = loop._claim()
    assert held is not None
    loop._fetched(held.letter, lambda share: told.append("tick"))
    assert told == ["asked", "tick", "asked", "tick"]


def test_a_worker_told_to_stop_hands_the_job_back_with_its_attempt() -> None:
    stopping = threading.Event()

    def meanwhile(tick: Tick) -> None:
        stopping.set()
        tick(0.5)

    engine = ScriptedEngine(meanwhile)
    place()
    loop_with(engine, stopping).work_once()
    assert status() == "pending"
    assert sql("SELECT attempts FROM jobs") == 0
    assert sql("SELECT releases FROM jobs") == 1


def test_a_worker_that_lost_its_lease_settles_nothing_and_leaves_only_an_orphan() -> None:
    def meanwhile(tick: Tick) -> None:
        let_leases_lapse()
        assert drape_loop().work_once()  # another worker takes the job back and completes it

    place()
    loop_with(ScriptedEngine(meanwhile)).work_once()
    assert status() == "completed"
    assert sql("SELECT count(*) FROM images") == 1
    assert sql("SELECT width_px FROM images") == 1024  # the other worker's picture stands
    assert sql("SELECT attempts FROM jobs") == 2


def test_a_canceled_job_stops_at_a_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    reached: list[str] = []
    monkeypatch.setattr("worker.lease.LOOK_EVERY_SECONDS", 0.0)

    def meanwhile(tick: Tick) -> None:
        with transaction() as session:
            queue.cancel(session, sql("SELECT generation_id FROM jobs"))
        tick(0.5)
        reached.append("past the tick")

    place()
    loop_with(ScriptedEngine(meanwhile)).work_once()
    assert reached == []
    assert status() == "canceled"


def test_ticks_renew_the_lease_and_tell_the_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("worker.lease.RENEW_EVERY_SECONDS", 0.0)

    def meanwhile(tick: Tick) -> None:
        let_leases_lapse()
        tick(0.5)
        seen.append(sql("SELECT progress FROM jobs"))
        seen.append(sql("SELECT lease_until > clock_timestamp() FROM jobs"))

    place()
    loop_with(ScriptedEngine(meanwhile)).work_once()
    assert seen == [49, True]
    assert status() == "completed"


class _Flaky:
    """`one_statement` whose connection breaks after (or before) some of its commits."""

    def __init__(self, breaks: list[str]) -> None:
        self.breaks = breaks

    def __call__(self) -> Any:
        import contextlib

        @contextlib.contextmanager
        def flaky() -> Any:
            how = self.breaks.pop(0) if self.breaks else "fine"
            if how == "before":
                raise DatabaseUnavailable("the connection broke before COMMIT")
            with one_statement() as session:
                yield session
            if how == "after":
                raise DatabaseUnavailable("the answer to COMMIT was lost")

        return flaky()


@pytest.mark.parametrize("first_look", ["before", "after"])
def test_a_claim_whose_answer_was_lost_is_worked_on_and_not_left_to_lapse(
    first_look: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to COMMIT is lost, and so is the first look; the second look finds the job."""
    loop = drape_loop()
    place()
    loop._expire()
    monkeypatch.setattr("worker.loop.one_statement", _Flaky(["after", first_look]))
    with pytest.raises(DatabaseUnavailable):
        loop._claim()
    assert status() == "processing"
    assert loop.work_once()
    assert status() == "completed"
    assert sql("SELECT attempts FROM jobs") == 1


@pytest.mark.parametrize("breaks", [["before"], ["after"], ["before", "before", "after"]])
def test_an_unknown_commit_ends_in_exactly_one_completion(
    breaks: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    loop = drape_loop()
    place()
    held = loop._claim()
    assert held is not None
    monkeypatch.setattr("worker.loop.time.sleep", lambda seconds: None)
    monkeypatch.setattr("worker.loop.one_statement", _Flaky(list(breaks)))
    from worker.lease import Lease

    with caplog.at_level("INFO", logger="worker.loop"):
        loop._process(held, Lease(held, 15.0, 0.0, loop.stopping))
    assert status() == "completed"
    assert sql("SELECT count(*) FROM images") == 1
    assert [record.message for record in caplog.records][-1] == "complete"


def another_makes_a_picture() -> None:
    place()
    drape_loop().work_once()
    sql("UPDATE jobs SET worker = 'another' WHERE status = 'completed'")


def test_a_worker_that_fails_where_others_succeed_takes_itself_out() -> None:
    broken = raising(EngineFailed("x"))
    for _ in range(UNFIT_AFTER_FAILURES - 1):
        place()
        broken.work_once()
    sql("UPDATE jobs SET run_at = run_at + interval '1 hour'")
    another_makes_a_picture()
    place()
    with pytest.raises(Unfit):
        broken.work_once()


def test_a_worker_that_fails_since_all_do_goes_on_although_others_succeeded_before() -> None:
    another_makes_a_picture()
    broken = raising(StorageError("x"))
    for _ in range(UNFIT_AFTER_FAILURES + 1):
        place()
        assert broken.work_once()


def test_a_worker_that_fails_as_all_do_goes_on() -> None:
    broken = raising(StorageError("x"))
    for _ in range(UNFIT_AFTER_FAILURES + 1):
        place()
        assert broken.work_once()


def test_a_drained_worker_stops_when_it_next_says_that_it_is_alive() -> None:
    loop = drape_loop()
    loop._beat()
    with transaction() as session:
        workers.drain(session, loop.name)
    loop._beat_at = -100.0
    loop._beat()
    assert loop.stopping.is_set()


class BatchingEngine(ScriptedEngine):
    """Renders up to three orders together, and remembers how many they were."""

    batch_max = 3

    def __init__(self, meanwhile: Callable[[Tick], None] = lambda tick: None) -> None:
        super().__init__(lambda tick: None)
        self.in_batch = meanwhile
        self.sizes: list[int] = []

    def render_batch(self, orders: Sequence[Order], tick: Tick) -> list[Rendering]:
        self.sizes.append(len(orders))
        self.in_batch(tick)
        return [self.render(order.letter, order.swatch, tick) for order in orders]


def test_orders_alike_are_rendered_together_and_settled_each_by_its_claim() -> None:
    for _ in range(4):
        place()
    engine = BatchingEngine()
    loop = loop_with(engine)
    while loop.work_once():
        pass
    assert engine.sizes == [3]  # and the fourth alone
    assert sql("SELECT count(*) FROM jobs WHERE status = 'completed'") == 4
    assert sql("SELECT count(DISTINCT settled_by) FROM jobs") == 4


def test_a_batch_holds_only_orders_of_one_size() -> None:
    first, other = place(), place()
    sql(
        "UPDATE jobs SET letter = CAST(letter AS jsonb) || '{\"width_px\": 2048}'"
        " WHERE generation_id = :id",
        id=other,
    )
    engine = BatchingEngine()
    loop_with(engine).work_once()
    assert engine.sizes == []
    assert sql("SELECT status FROM jobs WHERE generation_id = :id", id=first) == "completed"
    assert sql("SELECT status FROM jobs WHERE generation_id = :id", id=other) == "pending"


def test_jobs_of_a_batch_keep_their_leases_while_each_is_rendered_on_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The engine cannot render them together: while the first is rendered the others wait."""
    monkeypatch.setattr("worker.lease.RENEW_EVERY_SECONDS", 0.0)
    for _ in range(3):
        place()

    class Apart(BatchingEngine):
        def render_batch(self, orders: Sequence[Order], tick: Tick) -> list[Rendering]:
            raise EngineFailed("not together")

        def render(self, letter: Letter, swatch: bytes | None, tick: Tick) -> Rendering:
            let_leases_lapse()
            tick(0.5)
            with transaction() as session:
                assert queue.expire(session) == []
            return super().render(letter, swatch, tick)

    loop_with(Apart()).work_once()
    assert sql("SELECT count(*) FROM jobs WHERE status = 'completed' AND attempts = 1") == 3


def test_losing_one_job_of_a_batch_sinks_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.lease.LOOK_EVERY_SECONDS", 0.0)
    first, second = place(), place()

    def meanwhile(tick: Tick) -> None:
        with transaction() as session:
            queue.cancel(session, first)
        tick(0.5)

    loop_with(BatchingEngine(meanwhile)).work_once()
    assert sql("SELECT status FROM jobs WHERE generation_id = :id", id=first) == "canceled"
    assert sql("SELECT status FROM jobs WHERE generation_id = :id", id=second) == "completed"
    assert sql("SELECT count(*) FROM images") == 1


def test_a_batch_that_breaks_is_rendered_one_by_one() -> None:
    def meanwhile(tick: Tick) -> None:
        raise EngineFailed("one of them was too much")

    place()
    place()
    loop_with(BatchingEngine(meanwhile)).work_once()
    assert sql("SELECT count(*) FROM jobs WHERE status = 'completed'") == 2


def test_a_worker_told_to_stop_hands_a_whole_batch_back() -> None:
    stopping = threading.Event()

    def meanwhile(tick: Tick) -> None:
        stopping.set()
        tick(0.5)

    place()
    place()
    loop_with(BatchingEngine(meanwhile), stopping).work_once()
    assert sql("SELECT count(*) FROM jobs WHERE status = 'pending' AND attempts = 0") == 2
