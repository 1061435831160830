"""The reader of swatches: what it writes down, what it says of what it cannot read, its place."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast
from uuid import UUID

import pytest

from models import catalogue, profiles, queue, storage, swatches
from models.database import transaction
from models.errors import StorageError
from models.profiles import Profile, Reading
from tests.orders import let_backoff_pass, let_leases_lapse, place, sql
from tests.wire import a_photo
from tests.workers import drape_loop
from worker import loop, swatch_reader
from worker.bell import Bell
from worker.cloth import Cloth
from worker.profile import profile_of
from worker.swatch_reader import SwatchReader

JOB = "SELECT {} FROM jobs WHERE engine = 'profile'"
LEFT = JOB.format("count(*)")
BLANK = '{"ground": {}, "weave": ""}'  # of what these tests do not look at


@pytest.fixture(autouse=True)
def pinstripe(clean: None) -> Iterator[int]:
    """Of the catalogue, the navy pinstripe alone waits to be read; its id."""
    named = "color_id = 'azul-marino-raya-diplomatica'"
    sql(f"UPDATE fabrics SET profile = '{BLANK}' WHERE NOT {named}")
    look()
    id: int = sql(f"SELECT id FROM fabrics WHERE {named}")
    yield id
    sql("UPDATE fabrics SET profile = NULL")


def look() -> None:
    with transaction() as session:
        profiles.enqueue_unread(session, quiet_seconds=0)


def reader() -> SwatchReader:
    return SwatchReader("test-worker", storage.storage())


def reading_of(id: int) -> Reading:
    with transaction() as session:
        return profiles.reading(session, catalogue.fabric(session, id))


def reading_of_upload(id: UUID) -> Reading:
    with transaction() as session:
        return profiles.reading(session, swatches.read(session, id))


def upload(content: bytes, stored: bytes | None = None) -> UUID:
    """An upload that waits to be read, first; `stored`: what lies in its place."""
    sha256 = hashlib.sha256(content).hexdigest()
    key = f"swatches/{sha256}.jpg"
    storage.storage().put(key, content if stored is None else stored, "image/jpeg")
    with transaction() as session:
        id = swatches.add(session, key, sha256, (64, 48), None).id
    look()
    sql("UPDATE jobs SET priority = 0 WHERE letter->>'swatch_kind' = 'photo'")
    return id


def test_what_a_swatch_shows_is_written_down(pinstripe: int) -> None:
    assert reader().do_once()
    profile = reading_of(pinstripe).profile
    assert profile is not None
    assert profile.weave == "stripe"
    assert profile.repeat_across_mm == pytest.approx(40 / 3, rel=0.05)
    assert sql(LEFT) == 0


def test_when_all_is_read_there_is_nothing_to_do(pinstripe: int) -> None:
    assert reader().do_once()
    assert not reader().do_once()


def test_a_catalogue_older_than_profiles_is_read(pinstripe: int) -> None:
    sql("DELETE FROM jobs")
    sql("UPDATE fabrics SET updated_at = now() - interval '1 h' WHERE id = :id", id=pinstripe)
    assert reader().do_once()
    assert reading_of(pinstripe).profile is not None


def test_what_cannot_be_read_says_why_and_the_next_is_read() -> None:
    id = upload(b"no picture at all")
    assert reader().do_once()
    failure = reading_of_upload(id).failure
    assert failure is not None
    assert failure.code == "swatch-unreadable"
    assert failure.detail == "La muestra no es una imagen JPEG, PNG o WebP."
    assert sql(LEFT) == 2
    assert reader().do_once()
    assert sql(LEFT) == 1


def test_bytes_that_are_not_the_swatch_s_are_not_read() -> None:
    id = upload(a_photo("#335577", kind="JPEG"), stored=a_photo("#775533", kind="JPEG"))
    assert reader().do_once()
    failure = reading_of_upload(id).failure
    assert failure is not None
    assert failure.detail == "La muestra guardada no es la que se pidió."


class Away:
    """A store that does not answer."""

    def get(self, key: str) -> bytes:
        raise StorageError("La nube no contesta.")


def test_a_store_that_is_away_is_tried_again(pinstripe: int) -> None:
    assert SwatchReader("test-worker", cast(storage.Storage, Away())).do_once()
    assert sql(JOB.format("status")) == "pending"
    assert sql(JOB.format("error_code")) == "storage-error"
    let_backoff_pass()
    assert reader().do_once()
    assert reading_of(pinstripe).profile is not None


def test_a_reading_that_breaks_is_tried_again_and_tells_no_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(cloth: Cloth) -> Profile:
        raise ValueError("secret")

    monkeypatch.setattr(swatch_reader, "profile_of", broken)
    assert reader().do_once()
    assert sql(JOB.format("status")) == "pending"
    assert sql(JOB.format("error")) == swatch_reader.FAILED


def test_a_reader_that_lost_its_lease_writes_nothing(
    pinstripe: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(cloth: Cloth) -> Profile:
        let_leases_lapse()
        with transaction() as session:
            queue.expire(session)
        return profile_of(cloth)

    monkeypatch.setattr(swatch_reader, "profile_of", overtaken)
    assert reader().do_once()
    assert reading_of(pinstripe).profile is None
    assert sql(JOB.format("status")) == "pending"


def test_reading_can_be_switched_off(setting: Callable[..., None]) -> None:
    setting(profile_swatches="false")
    assert not reader().do_when_due()
    setting(profile_swatches="true")
    assert reader().do_when_due()


class Silence:
    """A bell that never rings; the worker goes home when it would wait."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping

    def listen(self) -> None:
        """Nobody is there."""

    def wait(self, seconds: float) -> None:
        self._stopping.set()


def work_until_idle() -> list[Any]:
    """A worker with an order, until it would wait; the order's status at each look for swatches."""
    place()
    seen: list[Any] = []

    def pastime() -> bool:
        seen.append(sql("SELECT status FROM jobs WHERE engine = 'drape'"))
        return reader().do_once()

    stopping = threading.Event()
    worker = drape_loop(stopping)
    worker.pastime = pastime
    worker.run(cast(Bell, Silence(stopping)))
    return seen


def test_a_worker_reads_when_no_picture_is_wanted(
    pinstripe: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "BUSY_AFTER_WORK_SECONDS", 0.0)
    assert set(work_until_idle()) == {"completed"}
    assert reading_of(pinstripe).profile is not None


def test_a_worker_that_rendered_lately_leaves_swatches_alone(pinstripe: int) -> None:
    assert work_until_idle() == []
    assert reading_of(pinstripe).profile is None
