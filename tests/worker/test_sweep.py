"""The sweeper deletes what nobody can need any more, and nothing else, ever."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from models import doomed
from models.storage import storage
from tests.orders import claim, place, sql
from tests.workers import drape_loop
from worker import sweep

pytestmark = pytest.mark.usefixtures("clean")
LATER = datetime.now(UTC) + timedelta(hours=5)  # everything stored by now is past its grace


def keys(prefix: str) -> set[str]:
    return {object.key for object in storage().list(prefix)}


def put(key: str) -> str:
    storage().put(key, b"bytes", "image/jpeg")
    return key


@pytest.fixture(autouse=True)
def _nothing_left_over() -> None:
    for prefix in ("renders/", "swatches/"):
        for key in keys(prefix):
            storage().delete(key)


def test_an_orphan_past_its_grace_is_deleted() -> None:
    put(f"renders/{uuid4()}/{uuid4()}/recto-00.jpg")
    assert sweep.sweep_orphans(storage(), LATER) == 1
    assert keys("renders/") == set()


def test_an_orphan_within_its_grace_is_left_alone() -> None:
    put(f"renders/{uuid4()}/{uuid4()}/recto-00.jpg")
    assert sweep.sweep_orphans(storage(), datetime.now(UTC)) == 0


def test_a_published_picture_is_never_deleted() -> None:
    place()
    drape_loop().work_once()
    before = keys("renders/")
    assert sweep.sweep_orphans(storage(), LATER) == 0
    assert keys("renders/") == before != set()


def test_what_a_live_claim_has_stored_so_far_is_never_deleted() -> None:
    place()
    held = claim()
    put(f"renders/{held.job_id}/{held.claim}/recto-00.jpg")
    assert sweep.sweep_orphans(storage(), LATER) == 0
    sql("UPDATE jobs SET status = 'canceled', settled_at = now(), claim = NULL, lease_until = NULL")
    assert sweep.sweep_orphans(storage(), LATER) == 1


def test_a_key_of_another_shape_is_not_ours_to_judge() -> None:
    put("renders/readme.txt")
    put(f"renders/{uuid4()}/not-a-claim/x.jpg")
    assert sweep.sweep_orphans(storage(), LATER) == 0


def upload(expires: str) -> str:
    key = put(f"swatches/{uuid4().hex}.jpg")
    sql(
        "INSERT INTO swatches (id, object_key, sha256, width_px, height_px, expires_at) VALUES"
        f" (gen_random_uuid(), :key, 'x', 1, 1, now() {expires})",
        key=key,
    )
    return key


def test_a_clients_photo_goes_when_its_time_is_over() -> None:
    upload("- interval '2 days'")
    kept = upload("+ interval '2 hours'")
    put("swatches/never_written.jpg")
    assert sweep.sweep_swatches(storage(), LATER) == 2
    assert keys("swatches/") == {kept}


def test_a_photo_that_a_waiting_order_needs_is_kept() -> None:
    key = upload("- interval '2 days'")
    place()
    sql(
        "UPDATE jobs SET letter = CAST(letter AS jsonb)"
        " || jsonb_build_object('swatch_key', CAST(:key AS text))",
        key=key,
    )
    assert sweep.sweep_swatches(storage(), LATER) == 0


def test_old_orders_go_with_their_pictures_only_where_retention_is_set(
    setting: Callable[..., None],
) -> None:
    place()
    drape_loop().work_once()
    waiting = place()
    sql("UPDATE generations SET created_at = now() - interval '40 days'")
    assert sweep.prune(datetime.now(UTC)) == 0
    setting(retention_days=30)
    assert sweep.prune(datetime.now(UTC)) == 1
    assert doomed.delete(storage()) == 0
    assert keys("renders/") == set()
    assert sql("SELECT id FROM generations") == waiting
