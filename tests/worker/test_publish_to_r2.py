"""Whole jobs on a store that breaks at every turn: what is completed is there, whole and right.

Each seed replays exactly. A job may fail, when its store fails it three times; it may not lie.
"""

import hashlib
import random
import threading
from collections.abc import Iterator
from unittest.mock import Mock

import pytest
from pydantic import SecretStr

from models.patience import Patience
from models.r2 import R2Storage, r2_client
from models.settings import R2Access
from tests.orders import let_backoff_pass, place, sql
from tests.s3_fake import Fault, S3Fake
from worker.engines.mock import MockEngine
from worker.loop import Loop
from worker.watermark import Watermark

pytestmark = pytest.mark.usefixtures("clean")
JOBS = 30
FAULT_SHARE = 0.5
FAULTS: list[Fault] = [
    "500", "503", "cut", "answer-lost", "garbled", "lost", "truncated", "corrupted", "wrong-etag",
]  # fmt: skip
ROWS = """SELECT coalesce(json_agg(json_build_array(object_key, size_bytes, sha256)), '[]')
            FROM jobs JOIN images ON images.id = jobs.image_id WHERE jobs.status = 'completed'"""


class PlainEngine(MockEngine):
    """The mock under the name of the engine that orders ask for."""

    name = "drape"


@pytest.fixture
def fake() -> Iterator[S3Fake]:
    with S3Fake() as fake:
        yield fake


@pytest.fixture
def pause() -> Mock:
    """Called instead of sleeping between two tries."""
    return Mock()


@pytest.fixture
def loop(fake: S3Fake, pause: Mock) -> Loop:
    secrets = SecretStr(fake.access_key_id), SecretStr(fake.secret_access_key)
    client = r2_client(R2Access(fake.url, *secrets, fake.bucket))
    store = R2Storage(client, fake.bucket, Patience(pause=pause))
    return Loop("test-worker", [PlainEngine()], store, Watermark(None), threading.Event())


def place_without_swatches() -> None:
    """The store under test has no catalogue in it: the cloth is its plain colour."""
    for _ in range(JOBS):
        place()
    sql("""UPDATE jobs SET letter = CAST(letter AS jsonb) || '{"swatch_key": null}'""")


def break_half_of_it(fake: S3Fake, seed: int) -> set[Fault]:
    chance = random.Random(seed)
    used: set[Fault] = set()
    for _ in range(JOBS * 12):
        for operation in ("PUT", "GET"):
            fault = chance.choice(FAULTS) if chance.random() < FAULT_SHARE else "wrong-etag"
            used.add(fault)
            fake.will("PUT" if operation == "PUT" else "GET", fault)
    return used


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_behind_every_completed_job_is_its_whole_picture(
    loop: Loop, fake: S3Fake, seed: int
) -> None:
    place_without_swatches()
    assert break_half_of_it(fake, seed) == set(FAULTS)
    while sql("SELECT count(*) FROM jobs WHERE status = 'pending'"):
        loop.work_once()
        let_backoff_pass()
    completed = sql(ROWS)
    for key, size_bytes, sha256 in completed:
        content = fake.objects[key].content
        assert (len(content), hashlib.sha256(content).hexdigest()) == (size_bytes, sha256)
    failed = sql("SELECT count(*) FROM jobs WHERE status = 'failed'")
    assert len(completed) + failed == JOBS
    assert len(completed) >= JOBS / 2


def test_a_sound_store_completes_every_job_and_keeps_nothing_else(loop: Loop, fake: S3Fake) -> None:
    place_without_swatches()
    while loop.work_once():
        pass
    keys = [key for key, *_ in sql(ROWS)]
    assert len(keys) == JOBS
    assert set(keys) == set(fake.objects)


def test_a_worker_without_rights_completes_nothing(loop: Loop, fake: S3Fake) -> None:
    fake.secret_access_key = "changed-yesterday"
    place_without_swatches()
    while sql("SELECT count(*) FROM jobs WHERE status = 'pending'"):
        loop.work_once()
        let_backoff_pass()
    assert sql("SELECT count(*) FROM jobs WHERE error_code = 'storage-error'") == JOBS
    assert fake.objects == {}


def test_a_worker_told_to_stop_while_its_store_is_busy_hands_the_job_back(
    loop: Loop, fake: S3Fake, pause: Mock
) -> None:
    place()
    sql("""UPDATE jobs SET letter = CAST(letter AS jsonb) || '{"swatch_key": null}'""")
    fake.will("PUT", "503", times=9)
    pause.side_effect = lambda seconds: loop.stopping.set()
    assert loop.work_once()
    assert fake.operations() == ["PUT", "PUT"]
    assert (sql("SELECT status FROM jobs"), sql("SELECT attempts FROM jobs")) == ("pending", 0)
