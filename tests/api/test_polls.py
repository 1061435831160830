"""Polls share reads: whoever asks is told what was read after it asked, and only its own order."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

import httpx
import pytest

from api.polls import MOST, Together
from models import queue
from models.database import Session, transaction
from models.errors import DatabaseUnavailable, NotFound
from models.generations import read, states
from tests.orders import LEASE_SECONDS, an_image, claim, place, sql

pytestmark = pytest.mark.usefixtures("clean")
WAIT_SECONDS = 30.0
NOBODY, BROKEN = UUID(int=0), UUID(int=1)


@dataclass(frozen=True)
class Found:
    id: UUID


class Reads:
    """A read that notes what it is asked, stops at its first call until it may go on, and finds
    all orders but NOBODY's."""

    def __init__(self, error: Exception | None = None) -> None:
        self.batches: list[set[UUID]] = []
        self.started, self.may_go_on = threading.Event(), threading.Event()
        self.error = error

    def __call__(self, session: Session, ids: Sequence[UUID]) -> list[Found]:
        self.batches.append(set(ids))
        self.started.set()
        assert self.may_go_on.wait(WAIT_SECONDS)
        if self.error is not None and BROKEN in ids:
            raise self.error
        return [Found(id) for id in ids if id != NOBODY]


Answers = list[Found | BaseException | None]


def _ask(reads: Reads, first: UUID, *others: UUID) -> Answers:
    """Ask for the first; while it is being read, for the others. All answers, errors included."""

    async def asking() -> Answers:
        together = Together(reads)
        tasks = [asyncio.create_task(together.find(first))]
        assert await asyncio.to_thread(reads.started.wait, WAIT_SECONDS)
        tasks += [asyncio.create_task(together.find(id)) for id in others]
        await asyncio.sleep(0)  # all of them have asked
        reads.may_go_on.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(asking())


def test_who_asks_while_a_read_is_under_way_shares_the_next() -> None:
    reads, (a, b, c) = Reads(), (uuid4(), uuid4(), uuid4())
    assert _ask(reads, a, b, c, b) == [Found(a), Found(b), Found(c), Found(b)]
    assert reads.batches == [{a}, {b, c}]


def test_an_order_that_was_read_a_moment_ago_is_read_again() -> None:
    reads, a = Reads(), uuid4()
    assert _ask(reads, a, a) == [Found(a), Found(a)]
    assert reads.batches == [{a}, {a}]


def test_a_read_is_bounded() -> None:
    reads, many = Reads(), [uuid4() for _ in range(MOST + 1)]
    assert _ask(reads, uuid4(), *many)[1:] == [Found(id) for id in many]
    assert [len(batch) for batch in reads.batches] == [1, MOST, 1]


def test_what_breaks_for_one_order_does_not_break_the_others() -> None:
    reads, a = Reads(error=RuntimeError("broken")), uuid4()
    first, one, other, none = _ask(reads, uuid4(), a, BROKEN, NOBODY)
    assert isinstance(first, Found)
    assert one == Found(a)
    assert isinstance(other, RuntimeError)
    assert none is None


def test_a_database_that_is_away_is_said_to_all_at_once() -> None:
    reads = Reads(error=DatabaseUnavailable("away"))
    _, one, other = _ask(reads, uuid4(), uuid4(), BROKEN)
    assert isinstance(one, DatabaseUnavailable)
    assert isinstance(other, DatabaseUnavailable)
    assert len(reads.batches) == 2


def _run(asking: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await asking()

    asyncio.run(main())


def test_a_client_that_goes_away_takes_no_other_with_it() -> None:
    reads, a = Reads(), uuid4()

    async def asking() -> None:
        together = Together(reads)
        leaving, staying = (asyncio.create_task(together.find(a)) for _ in range(2))
        assert await asyncio.to_thread(reads.started.wait, WAIT_SECONDS)
        leaving.cancel()
        reads.may_go_on.set()
        assert await staying == Found(a)
        assert leaving.cancelled()

    _run(asking)


def test_an_order_that_is_not_there_is_not_found() -> None:
    reads = Reads()
    reads.may_go_on.set()

    async def asking() -> None:
        with pytest.raises(NotFound):
            await Together(reads).get(NOBODY)

    _run(asking)


# --- through the API ------------------------------------------------------------------------------


def _move(held: queue.Claim, progress: int) -> None:
    with transaction() as session:
        queue.renew(session, held, LEASE_SECONDS, progress)


def test_every_move_is_seen_by_the_next_poll(client: httpx.Client) -> None:
    id = place()
    path, old = f"/api/v1/generations/{id}", f"/jobs/{id}"
    assert client.get(path).json()["status"] == "pending"
    held = claim()
    for progress in (10, 60):
        _move(held, progress)
        assert client.get(path).json()["cuts"][0]["progress"] == progress
        assert client.get(old).json()["meta"]["progress"] == str(progress)
    with transaction() as session:
        queue.complete(session, held, an_image(held))
    assert client.get(path).json()["status"] == client.get(old).json()["status"] == "completed"


def test_an_order_that_waits_is_told_its_place_anew_each_time(client: httpx.Client) -> None:
    first, second = place(), place()
    path = f"/api/v1/generations/{second}"
    before = client.get(path)
    assert before.json()["queue"]["ahead"] == 1
    assert claim().generation_id == first
    after = client.get(path, headers={"If-None-Match": before.headers["etag"]})
    assert after.json()["queue"]["ahead"] == 0


def test_a_deleted_order_is_gone_for_pollers_too(client: httpx.Client) -> None:
    id = place()
    claim()
    path = f"/api/v1/generations/{id}"
    etag = client.get(path).headers["etag"]
    sql("DELETE FROM generations WHERE id = :id", id=id)
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 404
    assert client.get(f"/jobs/{id}").status_code == 404


def test_the_state_of_an_order_says_what_its_view_says() -> None:
    waiting, moving, done = place(), place(("recto", "cruzado")), place()
    for id in (moving, done):
        sql("UPDATE jobs SET priority = 99 WHERE generation_id = :id", id=id)
    held = [claim() for _ in range(3)]
    for one in held:
        _move(one, 50)
    with transaction() as session:
        queue.complete(session, held[2], an_image(held[2]))
        found = {state.id: state for state in states(session, [waiting, moving, done, uuid4()])}
        assert set(found) == {moving, done}
        for state in found.values():
            view = read(session, state.id)
            assert (state.version, state.settled) == (view.version, view.settled_at is not None)
