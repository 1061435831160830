"""The console's orders: /admin/generations, which the existing system answered with 500."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx
import pytest

from models import doomed, queue
from models.database import transaction
from models.errors import StorageError
from models.storage import FolderStorage, storage
from tests.orders import NOBODYS, an_image, claim, sql
from tests.wire import UTC_TIME, old_error, rows_of_orders, some_cloth

KEYS = [
    "id",
    "job_id",
    "status",
    "family_id",
    "color_id",
    "cuts",
    "seed",
    "result_urls",
    "error_message",
    "created_at",
    "updated_at",
    "started_at",
    "completed_at",
]


@pytest.fixture
def cloth(owner: httpx.Client) -> dict[str, Any]:
    return some_cloth(owner)


def place(owner: httpx.Client, cloth: dict[str, Any], **order: Any) -> str:
    answer = owner.post("/generate", json=cloth | {"cuts": ["recto"]} | order)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["request_id"])


def complete_next() -> None:
    """As a worker would, without drawing."""
    held = claim()
    with transaction() as session:
        queue.complete(session, held, an_image(held))


def fail_next() -> None:
    held = claim()
    with transaction() as session:
        queue.fail(session, held, "swatch-unreadable", "La muestra no se puede leer.")


def listed(owner: httpx.Client, query: str = "") -> list[Any]:
    answer = owner.get(f"/admin/generations{query}")
    assert answer.status_code == 200, answer.text
    rows: list[Any] = answer.json()
    return rows


def test_an_order_that_waits_has_exactly_these_keys(
    owner: httpx.Client, cloth: dict[str, Any]
) -> None:
    id = place(owner, cloth, seed=2**32 - 1, cuts=["cruzado", "recto"])
    [row] = listed(owner)
    assert list(row) == KEYS
    assert type(row["id"]) is int
    assert (row["job_id"], row["status"]) == (id, "pending")
    assert {"family_id": row["family_id"], "color_id": row["color_id"]} == cloth
    assert (row["cuts"], row["seed"]) == (["cruzado", "recto"], 2**32 - 1)
    for name in ("result_urls", "error_message", "started_at", "completed_at"):
        assert row[name] is None
    assert UTC_TIME.fullmatch(row["created_at"])
    assert UTC_TIME.fullmatch(row["updated_at"])


def test_a_completed_order_names_its_pictures_and_its_times(
    owner: httpx.Client, cloth: dict[str, Any], work: Callable[[], int]
) -> None:
    id = place(owner, cloth)
    work()
    row = owner.get(f"/admin/generations/{id}").json()
    assert row["status"] == "completed"
    [url] = row["result_urls"]
    assert owner.get(url, headers={"Authorization": ""}).status_code == 200
    times = [row[name] for name in ("created_at", "started_at", "completed_at", "updated_at")]
    assert all(UTC_TIME.fullmatch(time) for time in times)
    assert times == sorted(times, key=datetime.fromisoformat)


def test_a_failed_order_says_why(owner: httpx.Client, cloth: dict[str, Any]) -> None:
    id = place(owner, cloth)
    fail_next()
    row = owner.get(f"/admin/generations/{id}").json()
    assert (row["status"], row["result_urls"]) == ("failed", None)
    assert row["error_message"] == "Recto: La muestra no se puede leer."


def test_orders_come_newest_first_and_by_pages(owner: httpx.Client, cloth: dict[str, Any]) -> None:
    ids = [place(owner, cloth) for _ in range(5)]
    assert [row["job_id"] for row in listed(owner)] == ids[::-1]
    assert [row["job_id"] for row in listed(owner, "?limit=2&offset=1")] == ids[3:1:-1]
    assert listed(owner, "?offset=5") == []
    numbers = [row["id"] for row in listed(owner)]
    assert numbers == sorted(set(numbers), reverse=True)


def test_orders_are_filtered_by_cloth_and_by_the_four_old_words(
    owner: httpx.Client, cloth: dict[str, Any]
) -> None:
    family = owner.get("/catalog").json()["families"][1]
    other = {"family_id": family["family_id"], "color_id": family["colors"][2]["color_id"]}
    first = place(owner, cloth)
    complete_next()
    second = place(owner, other)
    fail_next()
    third = place(owner, cloth)
    end_all_pending = "UPDATE jobs SET status = :end, settled_at = now() WHERE status = 'pending'"
    sql(end_all_pending, end="canceled")
    fourth = place(owner, cloth)
    sql(end_all_pending, end="expired")
    fifth = place(owner, other)
    claim()
    sixth = place(owner, other)
    wanted = {
        f"?family_id={cloth['family_id']}": {first, third, fourth},
        f"?color_id={other['color_id']}": {second, fifth, sixth},
        f"?family_id={cloth['family_id']}&color_id={other['color_id']}": set(),
        "?status_filter=completed": {first},
        "?status_filter=failed": {second, third, fourth},
        "?status_filter=processing": {fifth},
        "?status_filter=pending": {sixth},
        f"?status_filter=failed&color_id={other['color_id']}": {second},
    }
    for query, ids in wanted.items():
        assert {row["job_id"] for row in listed(owner, query)} == ids, query
    old_error(owner.get("/admin/generations?status_filter=canceled"), 422)


def test_completed_orders_of_a_fabric_come_newest_first(
    owner: httpx.Client, cloth: dict[str, Any]
) -> None:
    ids = []
    for _ in range(3):
        ids.append(place(owner, cloth))
        complete_next()
    place(owner, cloth)
    url = f"/admin/generations/by-fabric/{cloth['family_id']}/{cloth['color_id']}"
    rows = owner.get(url).json()
    assert [row["job_id"] for row in rows] == ids[::-1]
    assert list(rows[0]) == KEYS
    assert [row["job_id"] for row in owner.get(f"{url}?limit=1").json()] == ids[2:]
    for limit in ("0", "101", "x", str(10**30)):
        old_error(owner.get(f"{url}?limit={limit}"), 422)
    assert owner.get(f"{url}?limit=100").status_code == 200
    assert owner.get("/admin/generations/by-fabric/no/existe").json() == []
    old_error(owner.get("/admin/generations/by-fabric/%00/x"), 422)


def test_stats_of_nothing_are_zeros(owner: httpx.Client) -> None:
    assert owner.get("/admin/generations/stats").json() == {
        "total_generations": 0,
        "by_status": {"pending": 0, "processing": 0, "completed": 0, "failed": 0},
        "by_family": [],
        "last_24_hours": 0,
    }


def test_stats_count_orders_by_status_family_and_day(
    owner: httpx.Client, cloth: dict[str, Any]
) -> None:
    other = owner.get("/catalog").json()["families"][1]
    place(owner, cloth, cuts=["recto", "cruzado"])
    complete_next()
    complete_next()
    sql("UPDATE generations SET created_at = now() - interval '25 hours'")
    place(owner, cloth)
    sql("UPDATE jobs SET status = 'expired', settled_at = now() WHERE status = 'pending'")
    place(owner, {"family_id": other["family_id"], "color_id": other["colors"][0]["color_id"]})
    stats = owner.get("/admin/generations/stats").json()
    assert stats["total_generations"] == 3
    assert stats["by_status"] == {"pending": 1, "processing": 0, "completed": 1, "failed": 1}
    assert stats["by_family"] == [
        {"family_id": cloth["family_id"], "count": 2},
        {"family_id": other["family_id"], "count": 1},
    ]
    assert stats["last_24_hours"] == 2


def test_the_list_s_status_is_the_order_s_own_status(
    owner: httpx.Client, cloth: dict[str, Any]
) -> None:
    """The rule stands in SQL for the filter and in Python for the answer; they must agree."""
    ends = ("completed", "failed", "canceled", "expired", "pending", "processing")
    for first in ends:
        for second in ends:
            id = place(owner, cloth, cuts=["recto", "cruzado"])
            for cut, end in (("recto", first), ("cruzado", second)):
                _put_into_state(id, cut, end)
    rows = listed(owner, "?limit=200")
    assert len(rows) == 36
    for word in ("pending", "processing", "completed", "failed"):
        by_filter = {row["job_id"] for row in listed(owner, f"?status_filter={word}&limit=200")}
        assert by_filter == {row["job_id"] for row in rows if row["status"] == word}
        assert by_filter


def _put_into_state(id: str, cut: str, status: str) -> None:
    """One job of the order into this state; every other job that waits goes on waiting."""
    sql("UPDATE jobs SET run_at = now() + interval '1 h' WHERE status = 'pending'")
    of_job = {"id": id, "cut": cut}
    where = "WHERE generation_id = :id AND cut = :cut"
    if status in ("canceled", "expired"):
        sql(f"UPDATE jobs SET status = :s, settled_at = now() {where}", s=status, **of_job)
    elif status != "pending":
        sql(f"UPDATE jobs SET run_at = now() - interval '1 s' {where}", **of_job)
        settle: dict[str, Callable[[], object]] = {
            "completed": complete_next,
            "failed": fail_next,
            "processing": claim,
        }
        settle[status]()


def test_a_deleted_order_is_gone_with_its_rows_and_its_pictures(
    owner: httpx.Client, cloth: dict[str, Any], work: Callable[[], int]
) -> None:
    id = place(owner, cloth, cuts=["recto", "cruzado"])
    work()
    keys = sql("SELECT array_agg(object_key) FROM images")
    assert len([storage().get(key) for key in keys]) == 2
    answer = owner.delete(f"/admin/generations/{id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert rows_of_orders() == (0, 0)
    assert sql("SELECT count(*) FROM images") == 0
    store = storage()
    assert isinstance(store, FolderStorage)
    assert not any((store.folder / key).exists() for key in keys)
    old_error(owner.get(f"/admin/generations/{id}"), 404)
    old_error(owner.get(f"/jobs/{id}"), 404)
    old_error(owner.delete(f"/admin/generations/{id}"), 404)


def test_a_store_that_fails_in_the_middle_leaves_no_order_with_half_of_its_pictures(
    owner: httpx.Client,
    cloth: dict[str, Any],
    work: Callable[[], int],
    setting: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setting(share_results="true")
    id = place(owner, cloth, cuts=["recto", "cruzado"])
    work()
    delete, deleted = FolderStorage.delete, list[str]()

    def delete_one(self: FolderStorage, key: str) -> None:
        if deleted:
            raise StorageError("away")
        deleted.append(key)
        delete(self, key)

    with monkeypatch.context() as patched:
        patched.setattr(FolderStorage, "delete", delete_one)
        assert owner.delete(f"/admin/generations/{id}").status_code == 204
    assert rows_of_orders() == (0, 0)
    place(owner, cloth, cuts=["recto", "cruzado"])
    assert work() == 2
    for key in sql("SELECT array_agg(object_key) FROM images"):
        assert storage().get(key)
    assert sql("SELECT count(*) FROM doomed_objects") == 1
    assert doomed.delete(storage()) == 0


@pytest.mark.parametrize("id", [NOBODYS, "1", "stats2", "%00", "x" * 3000])
def test_an_order_that_does_not_exist_is_404(owner: httpx.Client, id: str) -> None:
    old_error(owner.get(f"/admin/generations/{id}"), 404)
    old_error(owner.delete(f"/admin/generations/{id}"), 404)
