"""What machines that watch us ask: alive, ready or not and why, metrics."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from models import database, workers
from models.database import transaction
from models.storage import storage
from tests.conftest import forget_settings
from tests.orders import claim, sql
from tests.wire import old_error, problem, some_cloth

CHECKS = ["database", "migrations", "storage", "workers"]
Change = Callable[..., None]


@pytest.fixture
def move_database(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], None]]:
    """Point the running application to another database; afterwards it is back at its own."""

    def move(url: str) -> None:
        database.engine().dispose()
        monkeypatch.setenv("DATABASE_URL", url)
        forget_settings()

    yield move
    database.engine().dispose()
    monkeypatch.undo()
    forget_settings()


@pytest.fixture
def no_database(move_database: Callable[[str], None]) -> None:
    """Nobody listens on the discard port of the loopback."""
    move_database("postgresql://nadie@127.0.0.1:9/nada")


def readiness(client: httpx.Client, status: int) -> dict[str, Any]:
    answer = client.get("/readyz")
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    assert list(body) == ["status", "checks"]
    assert list(body["checks"]) == CHECKS
    return body


def beat() -> None:
    with transaction() as session:
        workers.beat(session, "uno", ["drape"], "1", "cpu")


def test_without_a_worker_we_are_degraded_but_ready(client: httpx.Client) -> None:
    body = readiness(client, 200)
    assert body["status"] == "degraded"
    assert [body["checks"][name] for name in CHECKS] == ["ok", "ok", "ok", "none"]


def test_with_a_worker_all_is_well(client: httpx.Client) -> None:
    beat()
    body = readiness(client, 200)
    assert (body["status"], set(body["checks"].values())) == ("ok", {"ok"})
    sql("UPDATE workers SET last_seen_at = now() - interval '1 h'")
    assert readiness(client, 200)["status"] == "degraded"


@pytest.mark.usefixtures("no_database")
def test_without_a_database_we_are_not_ready(client: httpx.Client) -> None:
    body = readiness(client, 503)
    assert body["status"] == "failed"
    assert [body["checks"][name] for name in CHECKS] == ["failed", "failed", "ok", "none"]


@pytest.mark.usefixtures("no_database")
def test_without_a_database_we_are_alive_and_orders_are_told_to_come_back(
    client: httpx.Client,
) -> None:
    for path in ("/healthz", "/livez", "/health", "/admin/health"):
        assert client.get(path).status_code == 200
    id = "01234567-89ab-7def-8123-456789abcdef"
    old = client.get(f"/jobs/{id}")
    new = client.get(f"/api/v1/generations/{id}")
    for answer in (old, new):
        assert int(answer.headers["retry-after"]) >= 1
        assert "127.0.0.1" not in answer.text
    old_error(old, 503)
    assert problem(new, 503) == "database-unavailable"
    old_error(client.get("/catalog"), 503)


def test_with_migrations_behind_we_are_not_ready(client: httpx.Client) -> None:
    beat()
    head = sql("SELECT version_num FROM alembic_version")
    sql("UPDATE alembic_version SET version_num = '0000'")
    try:
        body = readiness(client, 503)
    finally:
        sql("UPDATE alembic_version SET version_num = :head", head=head)
    assert [body["checks"][name] for name in CHECKS] == ["ok", "failed", "ok", "none"]
    assert readiness(client, 200)["status"] == "ok"


def test_an_empty_database_is_not_ready(
    client: httpx.Client,
    move_database: Callable[[str], None],
    empty_database: Callable[[], str],
) -> None:
    move_database(empty_database())
    assert readiness(client, 503)["checks"]["migrations"] == "failed"


def test_where_nothing_can_be_stored_we_are_not_ready(
    client: httpx.Client, setting: Change, tmp_path: Path
) -> None:
    (tmp_path / "files").write_text("a file where the folder should be")
    setting(data_dir=tmp_path)
    storage.cache_clear()
    try:
        body = readiness(client, 503)
    finally:
        storage.cache_clear()
    assert [body["checks"][name] for name in CHECKS] == ["ok", "ok", "failed", "none"]


def test_idle_connections_that_the_server_closed_are_replaced_unseen(
    client: httpx.Client, seeded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PING_AFTER_IDLE_SECONDS", 0.0)  # as if they had been idle
    assert client.get("/catalog").status_code == 200
    others = "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with psycopg.connect(seeded, autocommit=True) as connection:
        closed = connection.execute(
            f"SELECT pg_terminate_backend(pid, 5000) FROM {others}"
        ).fetchall()
    assert (True,) in closed
    for _ in range(5):
        assert client.get("/catalog").status_code == 200


def test_the_older_health_paths_say_ok(client: httpx.Client) -> None:
    for path in ("/health", "/admin/health"):
        assert client.get(path).json() == {"status": "ok", "version": "0.1.0"}
    assert client.get("/livez").json() == {"ok": True, "version": "0.1.0"}


def test_the_version_is_a_setting(client: httpx.Client, setting: Change) -> None:
    setting(app_version="7.8.9")
    assert client.get("/healthz").json() == {"ok": True, "version": "7.8.9"}


def samples(client: httpx.Client) -> dict[str, float]:
    """Every sample of /metrics by name and labels."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    found = {}
    for family in text_string_to_metric_families(answer.text):
        assert family.documentation
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_metrics_are_prometheus_text_and_true(client: httpx.Client) -> None:
    client.post("/generate", json=some_cloth(client))
    claim()
    beat()
    sql("UPDATE jobs SET run_at = now() - interval '100 s' WHERE status = 'pending'")
    found = samples(client)
    assert found["queue_pending_jobs"] == 1
    assert found["queue_processing_jobs"] == 1
    assert found["workers_online"] == 1
    assert 99 < found["queue_next_wait_seconds{engine=drape}"] < 130


def test_metrics_name_no_client_and_no_cloth(client: httpx.Client) -> None:
    order = some_cloth(client)
    id = client.post("/generate", json=order).json()["request_id"]
    text = client.get("/metrics").text
    assert order["color_id"] not in text
    assert id not in text
    assert not re.search(r"[0-9a-f]{32}", text)
