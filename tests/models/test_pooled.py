"""Everything through PgBouncer in transaction mode, as on a pooled URL: with a direct URL beside it
for LISTEN and migrations, and without."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy import text

from models import database, generations
from models.database import one_statement, transaction
from models.errors import DatabaseUnavailable
from tests.conftest import forget_settings, run_python
from tests.models.test_queue import (  # noqa: F401 (the same tests, on a pooled engine)
    _shared,
    test_a_claim_takes_one_job_under_any_plan,
    test_a_claim_takes_the_job_and_counts_the_attempt,
    test_a_follower_takes_the_place_of_a_leader_without_a_picture,
    test_a_job_waits_a_while_for_a_worker_that_need_not_change_its_weights,
    test_a_lapsed_lease_puts_the_job_back_and_keeps_the_attempt,
    test_a_lost_claim_can_settle_nothing,
    test_a_warm_engine_goes_first_but_never_past_its_bound,
    test_cancel_ends_what_is_left_and_the_worker_learns_it,
    test_claimers_at_once_never_share_a_job,
    test_two_orders_at_once_are_rendered_once,
)
from tests.orders import BOTH, place, sql
from tests.pgbouncer import POOL_SIZE, running_pgbouncer, through
from tests.workers import start_worker

pytestmark = pytest.mark.usefixtures("pooled", "clean")
WAIT_SECONDS = 60.0
LISTENING = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"


@pytest.fixture(scope="session")
def pooler_port(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with running_pgbouncer(server_url, tmp_path_factory.mktemp("pgbouncer")) as port:
        yield port


@pytest.fixture
def pooled(
    seeded: str, pooler_port: int, request: pytest.FixtureRequest, setting: Callable[..., None]
) -> Iterator[None]:
    """DATABASE_URL is the pooler's; the server's own is there as well, unless the test says no."""
    direct = getattr(request, "param", "with a direct URL") == "with a direct URL"
    database.engine().dispose()
    setting(
        database_url=through(pooler_port, seeded),
        database_direct_url=seeded if direct else "",
        database_pooled="" if direct else "true",
    )
    forget_settings()
    yield
    database.engine().dispose()
    for name in ("DATABASE_DIRECT_URL", "DATABASE_POOLED"):
        os.environ.pop(name, None)
    os.environ["DATABASE_URL"] = seeded
    forget_settings()


both_ways = pytest.mark.parametrize("pooled", ["with a direct URL", "pooled only"], indirect=True)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Look every 20 ms; the limit only ends a test that is broken."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited too long until {what}"
        time.sleep(0.02)


def status_of(id: object) -> str:
    with transaction() as session:
        return generations.read(session, id).status  # type: ignore[arg-type]


@both_ways
def test_orders_are_placed_worked_and_polled_through_the_pooler(seeded: str) -> None:
    ids = [place(BOTH) for _ in range(3)]
    worker = start_worker(POLL_SECONDS="0.2")
    try:
        wait_until(lambda: all(status_of(id) == "completed" for id in ids), "all are completed")
        with psycopg.connect(seeded) as direct:
            listening = direct.execute(LISTENING).fetchone()
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
    assert sql("SELECT count(*) FROM images") == 6
    # LISTEN takes a connection of one's own: a pooler would hand it to the next client.
    assert listening == (1 if os.environ["DATABASE_DIRECT_URL"] else 0,)


@both_ways
@pytest.mark.parametrize("begin", [transaction, one_statement])
def test_a_statement_through_the_pooler_is_bounded(begin: type) -> None:
    with begin() as session:
        assert session.scalar(text("SELECT current_setting('statement_timeout')")) == "5s"


def test_our_limits_do_not_leak_to_other_clients_of_the_pooler(pooler_port: int) -> None:
    for _ in range(3 * POOL_SIZE):
        with transaction() as session:
            session.execute(text("SELECT 1"))
    with psycopg.connect(database.url().replace("+psycopg", ""), autocommit=True) as other:
        for _ in range(3 * POOL_SIZE):
            found = other.execute("SELECT current_setting('statement_timeout')").fetchone()
            assert found == ("0",)


def test_statements_sent_often_by_many_clients_meet_no_foreign_preparation() -> None:
    """With prepared statements two in five of these fail."""

    def many_times(number: int) -> int:
        done = 0
        for _ in range(50):
            with one_statement() as session:
                done += session.scalar(text("SELECT 1 + :zero"), {"zero": 0 * number})
        return done

    with ThreadPoolExecutor(2 * POOL_SIZE) as clients:
        assert list(clients.map(many_times, range(2 * POOL_SIZE))) == [50] * 2 * POOL_SIZE


def test_migrations_run_through_a_pooler_alone(
    empty_database: Callable[[], str], pooler_port: int
) -> None:
    url = through(pooler_port, empty_database())
    environment = {"DATABASE_URL": url, "DATABASE_DIRECT_URL": "", "DATABASE_POOLED": "true"}
    run_python("-m", "alembic", "upgrade", "head", **environment)
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(*) FROM alembic_version").fetchone()
    assert found == (1,)


def test_a_pooler_that_nobody_told_us_about_refuses_at_once(
    setting: Callable[..., None],
) -> None:
    """Rather than breaking prepared statements and leaking settings later."""
    setting(database_direct_url="", database_pooled="")
    forget_settings()
    with pytest.raises(DatabaseUnavailable), transaction() as session:
        session.execute(text("SELECT 1"))
    setting(database_pooled="true")
    forget_settings()
