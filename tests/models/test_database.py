"""Sessions: one statement that commits by itself, and connections that died while nobody looked."""

import psycopg
import pytest
from sqlalchemy import text

from models import database
from models.database import engine, one_statement, transaction
from models.errors import Conflict, DatabaseUnavailable
from tests.orders import sql

pytestmark = pytest.mark.usefixtures("migrated")
MODES = text("SELECT count(*) FROM engine_modes")
ADD_MODE = text("INSERT INTO engine_modes (engine, mode, set_by) VALUES ('x', 'paused', 'y')")


def test_one_statement_commits_by_itself() -> None:
    with one_statement() as session:
        session.execute(ADD_MODE)
        assert sql("SELECT count(*) FROM engine_modes WHERE engine = 'x'") == 1
    sql("DELETE FROM engine_modes")


def test_one_statement_refuses_a_second() -> None:
    with one_statement() as session:
        session.scalar(MODES)
        with pytest.raises(RuntimeError, match="transaction"):
            session.scalar(MODES)


def test_one_statement_raises_our_errors() -> None:
    sql(ADD_MODE.text)
    with pytest.raises(Conflict), one_statement() as session:
        session.execute(ADD_MODE)
    sql("DELETE FROM engine_modes")


@pytest.mark.parametrize("begin", [transaction, one_statement])
def test_every_statement_is_bounded(begin: type) -> None:
    with begin() as session:
        assert session.scalar(text("SELECT current_setting('statement_timeout')")) == "5s"


def test_a_transaction_after_one_statement_still_rolls_back() -> None:
    with one_statement() as session:
        session.scalar(MODES)
    with transaction() as session:
        session.execute(ADD_MODE)
        session.rollback()
    assert sql("SELECT count(*) FROM engine_modes") == 0


def test_statements_sent_often_are_prepared_by_the_server() -> None:
    with transaction() as session:
        for _ in range(database.PREPARE_AFTER_USES + 1):
            session.scalar(MODES)
        prepared = session.scalar(text("SELECT count(*) FROM pg_prepared_statements"))
    assert prepared


def _kill_all_idle_connections() -> None:
    """As a server that restarted: every pooled connection is dead, and nobody was told."""
    with psycopg.connect(database.url().replace("+psycopg", ""), autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_connection_that_died_while_idle_is_replaced_unseen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert sql("SELECT 1") == 1
    _kill_all_idle_connections()
    monkeypatch.setattr(database, "PING_AFTER_IDLE_SECONDS", 0.0)
    assert sql("SELECT 1") == 1


def test_a_connection_that_died_in_use_is_told_once_and_then_replaced() -> None:
    assert sql("SELECT 1") == 1
    _kill_all_idle_connections()
    with pytest.raises(DatabaseUnavailable):
        sql("SELECT 1")
    assert sql("SELECT 1") == 1


@pytest.mark.parametrize(("idle_seconds", "pings"), [(0.0, 1), (60.0, 0)])
def test_only_a_connection_that_was_idle_is_asked_whether_it_lives(
    idle_seconds: float, pings: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql("SELECT 1")
    asked: list[object] = []
    monkeypatch.setattr(database, "PING_AFTER_IDLE_SECONDS", idle_seconds)
    monkeypatch.setattr(engine().dialect, "do_ping", asked.append)
    sql("SELECT 1")
    assert len(asked) == pings


def test_a_connection_that_leads_to_a_replica_is_told_once_and_then_replaced() -> None:
    sql("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")  # as where a failover left it
    with pytest.raises(DatabaseUnavailable), one_statement() as session:
        session.execute(ADD_MODE)
    sql(ADD_MODE.text)
    sql("DELETE FROM engine_modes")
