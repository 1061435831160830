"""`python -m worker.health`: what a worker's container is asked."""

import socket

import pytest

from models import workers
from models.database import transaction
from tests.orders import sql
from worker.health import main

pytestmark = pytest.mark.usefixtures("clean")


def beat(name: str) -> None:
    with transaction() as session:
        workers.beat(session, name, ["drape"], "1")


def test_a_machine_is_well_while_a_worker_of_it_is_seen() -> None:
    assert main() == 1
    beat(f"{socket.gethostname()}-1-abc")
    assert main() == 0
    sql("UPDATE workers SET last_seen_at = clock_timestamp() - interval '5 minutes'")
    assert main() == 1


def test_a_worker_of_another_machine_does_not_count() -> None:
    beat(f"another-{socket.gethostname()}-1-abc")
    assert main() == 1


def test_a_worker_that_said_goodbye_does_not_count() -> None:
    name = f"{socket.gethostname()}-1-abc"
    beat(name)
    with transaction() as session:
        workers.stop(session, name)
    assert main() == 1


def test_a_registry_that_cannot_be_read_is_no_good_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    from models.errors import DatabaseUnavailable

    def away() -> None:
        raise DatabaseUnavailable("away")

    monkeypatch.setattr("worker.health.transaction", away)
    assert main() == 1
