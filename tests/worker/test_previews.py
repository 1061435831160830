"""Previews: few, far between, seen while the picture is painted, and swept afterwards."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from unittest.mock import Mock
from uuid import UUID

import cv2
import httpx
import numpy as np
import pytest

from models.errors import StorageError
from models.patience import Tick, nothing
from models.storage import FolderStorage, storage
from tests.orders import claim, place, sql
from worker import previews, sweep
from worker.engines import Picture
from worker.lease import Lease, Stopping
from worker.previews import MOST, SIDE_PX, Previews

pytestmark = pytest.mark.usefixtures("clean")
PICTURE: Picture = np.full((1536, 1024, 3), (30, 90, 150), np.uint8)


@pytest.fixture
def photoreal(setting: Callable[..., None]) -> None:
    """Orders get a final picture of the slow engine."""
    setting(final_engine="sdxl_inpaint")


@pytest.fixture
def order(photoreal: None) -> UUID:
    return place()


@pytest.fixture
def lease(order: UUID) -> Lease:
    return Lease(claim(engine="sdxl_inpaint"), 15.0, time.monotonic(), threading.Event())


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Previews may follow each other at once."""
    monkeypatch.setattr(previews, "APART_SECONDS", 0.0)


@pytest.fixture(autouse=True)
def _nothing_left_over() -> None:
    for object in list(storage().list("renders/")):
        storage().delete(object.key)


def kept() -> list[str]:
    return sorted(object.key for object in storage().list("renders/"))


def url(order: UUID) -> str:
    return f"/api/v1/generations/{order}/cuts/recto/preview"


@pytest.mark.usefixtures("hasty")
def test_the_newest_preview_is_seen_in_small_while_the_picture_is_painted(
    client: httpx.Client, order: UUID, lease: Lease
) -> None:
    early = client.get(url(order))
    assert (early.status_code, early.headers["cache-control"]) == (204, "no-store")
    seen = Previews(lease, storage())
    for level in (50, 200):
        seen.show(partial(np.full_like, PICTURE, level))
    answer = client.get(url(order))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert answer.headers["cache-control"] == "no-store"
    small = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert small is not None
    assert small.shape == (SIDE_PX, 320, 3)
    assert abs(float(small.mean()) - 200) < 2
    assert len(answer.content) < 60_000


def test_an_order_or_a_cut_that_is_not_has_no_previews(client: httpx.Client, order: UUID) -> None:
    assert client.get(url(UUID(int=1))).status_code == 404
    assert client.get(url(order).replace("recto", "cruzado")).status_code == 404


@pytest.mark.usefixtures("hasty")
def test_there_are_never_many(lease: Lease) -> None:
    make = Mock(return_value=PICTURE)
    seen = Previews(lease, storage())
    for _ in range(3 * MOST):
        seen.show(make)
    assert len(kept()) == make.call_count == MOST


def test_a_picture_that_is_made_fast_has_none_and_none_is_computed(lease: Lease) -> None:
    make = Mock(return_value=PICTURE)
    Previews(lease, storage()).show(make)
    make.assert_not_called()
    assert kept() == []


@pytest.mark.usefixtures("hasty")
def test_a_store_that_fails_stops_no_picture(lease: Lease) -> None:
    class Broken(FolderStorage):
        def put(self, key: str, content: bytes, content_type: str, tick: Tick = nothing) -> None:
            raise StorageError("away")

    Previews(lease, Broken(storage().folder)).show(lambda: PICTURE)  # type: ignore[attr-defined]
    assert kept() == []


@pytest.mark.usefixtures("hasty")
def test_a_worker_told_to_stop_stops_also_while_a_preview_is_stored(lease: Lease) -> None:
    class Slow(FolderStorage):
        def put(self, key: str, content: bytes, content_type: str, tick: Tick = nothing) -> None:
            lease._stopping.set()
            tick()

    with pytest.raises(Stopping):
        Previews(lease, Slow(storage().folder)).show(lambda: PICTURE)  # type: ignore[attr-defined]


@pytest.mark.usefixtures("hasty")
def test_when_the_claim_is_dead_nobody_is_led_there_and_the_sweeper_deletes_it(
    client: httpx.Client, order: UUID, lease: Lease
) -> None:
    Previews(lease, storage()).show(lambda: PICTURE)
    later = datetime.now(UTC) + timedelta(hours=5)
    assert sweep.sweep_orphans(storage(), later) == 0
    assert len(kept()) == 1
    client.post(f"/api/v1/generations/{order}/cancel")
    assert client.get(url(order)).status_code == 204
    assert sweep.sweep_orphans(storage(), later) == 1
    assert kept() == []


@pytest.mark.usefixtures("hasty", "lease")
def test_a_preview_is_no_picture_of_the_order(client: httpx.Client, order: UUID) -> None:
    images = client.get(f"/api/v1/generations/{order}").json()["images"]
    assert images == []
    assert sql("SELECT count(*) FROM images") == 0
