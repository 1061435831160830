"""/api/v1/generations: once per Idempotency-Key, cheap to poll, stopped on request; RFC 9457."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from api import files
from models import accounts, queue, workers
from models.database import transaction
from tests.orders import NOBODYS, an_image, claim, job, let_leases_lapse, sql
from tests.wire import UTC_TIME, a_photo, problem, rows_of_orders, some_cloth

V1 = "/api/v1/generations"
# v1 may gain fields; it never loses one.
KEYS = {
    "id",
    "status",
    "version",
    "created_at",
    "settled_at",
    "quality",
    "fabric",
    "cuts",
    "images",
    "seed",
    "queue",
    "warnings",
    "error",
    "urls",
}
IMAGE_KEYS = {
    "id",
    "cut",
    "name",
    "stage",
    "url",
    "width",
    "height",
    "seed",
    "engine",
    "degraded",
}
Change = Callable[..., None]


@pytest.fixture
def order(client: httpx.Client) -> dict[str, Any]:
    """The body of an order that is accepted."""
    return {"color_id": some_cloth(client)["color_id"], "cuts": ["recto", "cruzado"]}


def placed(client: httpx.Client, order: dict[str, Any], key: str | None = None) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    answer = client.post(V1, json=order, headers=headers)
    assert answer.status_code == 202, answer.text
    return answer


def complete_next() -> queue.Claim:
    held = claim()
    with transaction() as session:
        queue.complete(session, held, an_image(held))
    return held


# --- the answer -----------------------------------------------------------------------------------


def test_an_order_is_accepted_with_the_contract_s_keys(
    client: httpx.Client, order: dict[str, Any]
) -> None:
    answer = placed(client, order | {"seed": 5, "quality": "preview"})
    body = answer.json()
    assert set(body) >= KEYS
    assert answer.headers["location"] == f"{V1}/{UUID(body['id'])}"
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["etag"].startswith('W/"')
    assert (body["status"], body["quality"], body["seed"]) == ("pending", "preview", 5)
    assert UTC_TIME.fullmatch(body["created_at"])
    assert (body["settled_at"], body["error"], body["images"]) == (None, None, [])
    assert body["cuts"] == [
        {"cut": cut, "name": name, "status": "pending", "progress": 0, "error": None}
        for cut, name in (("recto", "Recto"), ("cruzado", "Cruzado"))
    ]
    assert {"family_id", "color_id", "name", "hex", "swatch_url"} <= set(body["fabric"])
    assert body["urls"] == {
        "self": f"{V1}/{body['id']}",
        "cancel": f"{V1}/{body['id']}/cancel",
    }
    assert client.get(body["fabric"]["swatch_url"]).status_code == 200


def test_a_picture_is_shown_as_soon_as_its_cut_is_ready(
    client: httpx.Client, order: dict[str, Any], work: Callable[[], int]
) -> None:
    url = placed(client, order).json()["urls"]["self"]
    assert work() == 2
    body = client.get(url).json()
    assert body["status"] == "completed"
    assert UTC_TIME.fullmatch(body["settled_at"])
    for image, cut in zip(body["images"], order["cuts"], strict=True):
        assert set(image) >= IMAGE_KEYS
        assert (image["cut"], image["width"], image["height"]) == (cut, 1024, 1536)
        assert image["seed"] == body["seed"]
        assert client.get(image["url"]).status_code == 200
    assert [cut["progress"] for cut in body["cuts"]] == [100, 100]


def test_an_own_swatch_is_ordered_by_its_id(client: httpx.Client, order: dict[str, Any]) -> None:
    files = {"file": ("x.png", a_photo(), "image/png")}
    swatch = client.post("/api/v1/swatches", files=files).json()
    body = placed(client, order | {"swatch_id": swatch["id"]}).json()
    assert body["fabric"]["uploaded_swatch"] is True
    path = body["fabric"]["swatch_url"].partition("?")[0]
    assert path == swatch["url"].partition("?")[0]
    sql("UPDATE swatches SET expires_at = now() - interval '1 s'")
    before = rows_of_orders()
    for gone in (swatch["id"], str(uuid4())):
        problem(client.post(V1, json=order | {"swatch_id": gone}), 422)
    assert rows_of_orders() == before


# --- refusals -------------------------------------------------------------------------------------


def test_bad_orders_are_problem_documents_and_enqueue_nothing(
    client: httpx.Client, order: dict[str, Any]
) -> None:
    cases: list[tuple[dict[str, Any], str, str | None]] = [
        ({"color_id": "no-existe"}, "unknown-color", "/color_id"),
        ({"color_id": "\x00"}, "invalid-input", None),
        ({"color_id": None}, "invalid-input", "/color_id"),
        ({"cuts": []}, "invalid-input", "/cuts"),
        ({"cuts": ["recto", "recto"]}, "invalid-input", "/cuts"),
        ({"cuts": ["smoking"]}, "invalid-input", "/cuts/0"),
        ({"cuts": ["recto", "cruzado", "x"]}, "invalid-input", "/cuts"),
        ({"seed": -1}, "invalid-input", "/seed"),
        ({"seed": 2**32}, "invalid-input", "/seed"),
        ({"quality": "banana"}, "invalid-input", "/quality"),
        ({"swatch_id": "x"}, "invalid-input", "/swatch_id"),
        ({"swatch_url": "http://169.254.169.254/"}, "invalid-input", "/swatch_url"),
        ({"otro": 1}, "invalid-input", "/otro"),
    ]
    before = rows_of_orders()
    for change, code, pointer in cases:
        answer = client.post(V1, json=order | change)
        assert problem(answer, 422) == code, change
        found = [finding["pointer"] for finding in answer.json().get("errors", [])]
        assert pointer is None or pointer in found, change
    assert rows_of_orders() == before


def test_a_full_queue_and_too_many_orders_are_429(
    client: httpx.Client, order: dict[str, Any], setting: Change
) -> None:
    placed(client, order)
    before = rows_of_orders()
    setting(queue_cap=1)
    full = client.post(V1, json=order)
    assert problem(full, 429) == "queue-full"
    assert int(full.headers["retry-after"]) >= 1
    setting(orders_per_minute=1)
    often = client.post(V1, json=order)
    assert problem(often, 429) in ("rate-limited", "queue-full")
    assert int(often.headers["retry-after"]) >= 1
    assert rows_of_orders() == before


@pytest.mark.parametrize("id", [NOBODYS, "1", "%00"])
def test_an_unknown_generation_is_a_problem_document(client: httpx.Client, id: str) -> None:
    status = 404 if len(id) == 36 else 422
    assert problem(client.get(f"{V1}/{id}"), status)
    assert problem(client.post(f"{V1}/{id}/cancel"), status)


# --- once per Idempotency-Key ---------------------------------------------------------------------


def test_the_same_key_and_body_is_the_same_order(
    client: httpx.Client, order: dict[str, Any]
) -> None:
    key = str(uuid4())
    first, second = placed(client, order, key), placed(client, order, key)
    assert first.json()["id"] == second.json()["id"]
    assert first.headers["location"] == second.headers["location"]
    assert rows_of_orders() == (1, 2)


def test_a_default_that_is_spelled_out_is_the_same_body(
    client: httpx.Client, order: dict[str, Any]
) -> None:
    first = placed(client, order, "k").json()
    spelled = order | {"quality": "final", "seed": None, "swatch_id": None}
    assert placed(client, spelled, "k").json()["id"] == first["id"]


def test_the_answer_to_a_repeated_request_is_how_the_order_stands_now(
    client: httpx.Client, order: dict[str, Any]
) -> None:
    placed(client, order | {"cuts": ["recto"]}, "k")
    complete_next()
    again = placed(client, order | {"cuts": ["recto"]}, "k")
    assert again.json()["status"] == "completed"


def test_a_repeated_request_is_answered_also_after_its_swatch_expired(
    client: httpx.Client, order: dict[str, Any]
) -> None:
    files = {"file": ("x.png", a_photo(), "image/png")}
    order |= {"swatch_id": client.post("/api/v1/swatches", files=files).json()["id"]}
    first = placed(client, order, "k").json()["id"]
    sql("UPDATE swatches SET expires_at = now() - interval '1 s'")
    assert placed(client, order, "k").json()["id"] == first
    refused = client.post(V1, json=order, headers={"Idempotency-Key": "another"})
    assert problem(refused, 422) == "invalid-input"
    assert refused.json()["errors"][0]["pointer"] == "/swatch_id"


def test_a_key_stands_for_its_order_for_a_day(client: httpx.Client, order: dict[str, Any]) -> None:
    first = placed(client, order, "k").json()["id"]
    sql("UPDATE generations SET created_at = now() - interval '23 hours 59 minutes'")
    assert placed(client, order, "k").json()["id"] == first
    sql("UPDATE generations SET created_at = now() - interval '24 hours 1 second'")
    other = order | {"cuts": ["recto"]}
    assert placed(client, other, "k").json()["id"] != first
    assert client.get(f"{V1}/{first}").status_code == 200


@pytest.mark.parametrize(
    "change", [{"cuts": ["recto"]}, {"cuts": ["cruzado", "recto"]}, {"seed": 1}]
)
def test_the_same_key_with_another_body_is_422(
    client: httpx.Client, order: dict[str, Any], change: dict[str, Any]
) -> None:
    placed(client, order, "k")
    answer = client.post(V1, json=order | change, headers={"Idempotency-Key": "k"})
    assert problem(answer, 422) == "idempotency-mismatch"
    assert rows_of_orders() == (1, 2)


def test_other_keys_and_no_key_are_other_orders(
    client: httpx.Client, order: dict[str, Any]
) -> None:
    answers = [placed(client, order, key) for key in ("a", "b", None, None)]
    assert len({answer.json()["id"] for answer in answers}) == 4


def test_keys_of_different_users_do_not_meet(
    client: httpx.Client, owner: httpx.Client, order: dict[str, Any]
) -> None:
    assert placed(client, order, "k").json()["id"] != placed(owner, order, "k").json()["id"]


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_has_1_to_255_characters(
    client: httpx.Client, order: dict[str, Any], key: str
) -> None:
    answer = client.post(V1, json=order, headers={"Idempotency-Key": key})
    assert problem(answer, 422) == "invalid-input"
    assert rows_of_orders() == (0, 0)
    assert placed(client, order, "x" * 255)


def test_equal_requests_at_once_make_one_order(client: httpx.Client, order: dict[str, Any]) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: placed(client, order, "tap"), range(8)))
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert rows_of_orders() == (1, 2)


def test_more_signed_in_orders_at_once_than_there_are_connections_all_succeed(
    owner: httpx.Client, order: dict[str, Any]
) -> None:
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda _: owner.post(V1, json=order), range(24)))
    assert [answer.status_code for answer in answers] == [202] * 24


# --- polling --------------------------------------------------------------------------------------


def test_an_unchanged_order_is_304_without_a_body(
    client: httpx.Client, order: dict[str, Any]
) -> None:
    url = placed(client, order).json()["urls"]["self"]
    first = client.get(url)
    assert first.status_code == 200
    same = client.get(url, headers={"If-None-Match": first.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["etag"] == first.headers["etag"]
    assert int(same.headers["retry-after"]) >= 1
    assert same.headers["cache-control"] == "private, no-cache"
    several = client.get(url, headers={"If-None-Match": f'"otro", {first.headers["etag"]}'})
    assert several.status_code == 304
    assert client.get(url, headers={"If-None-Match": 'W/"otro"'}).status_code == 200


def test_an_answer_whose_links_are_signed_anew_is_another_one(
    client: httpx.Client, order: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = placed(client, order | {"cuts": ["recto"]}).json()["urls"]["self"]
    held = claim()
    with transaction() as session:
        queue.complete(session, held, an_image(held))
    first = client.get(url)
    monkeypatch.setattr(files, "time", SimpleNamespace(time=lambda: time.time() + 26 * 3600))
    later = client.get(url, headers={"If-None-Match": first.headers["etag"]})
    assert later.status_code == 200  # a browser shows its own copy on 304: with links that are over
    assert later.json()["images"][0]["url"] != first.json()["images"][0]["url"]


def test_every_move_of_a_job_changes_the_etag(client: httpx.Client, order: dict[str, Any]) -> None:
    url = placed(client, order | {"cuts": ["recto"]}).json()["urls"]["self"]
    seen = [client.get(url).headers["etag"]]
    held = claim()
    seen.append(client.get(url).headers["etag"])
    with transaction() as session:
        queue.renew(session, held, 15, 40)
    seen.append(client.get(url).headers["etag"])
    assert client.get(url).json()["cuts"][0]["progress"] == 40
    with transaction() as session:
        queue.complete(session, held, an_image(held))
    seen.append(client.get(url).headers["etag"])
    assert len(set(seen)) == 4


def test_a_settled_order_asks_for_no_further_polling(
    client: httpx.Client, order: dict[str, Any]
) -> None:
    url = placed(client, order | {"cuts": ["recto"]}).json()["urls"]["self"]
    assert int(client.get(url).headers["retry-after"]) >= 1
    complete_next()
    assert "retry-after" not in client.get(url).headers


def test_a_failed_cut_says_so_itself_and_the_order_completes_with_the_other(
    client: httpx.Client, order: dict[str, Any]
) -> None:
    url = placed(client, order).json()["urls"]["self"]
    held = claim()
    with transaction() as session:
        queue.fail(session, held, "swatch-unreadable", "La muestra no se puede leer.")
    complete_next()
    body = client.get(url).json()
    assert (body["status"], body["error"]) == ("completed", None)
    assert [cut["status"] for cut in body["cuts"]] == ["failed", "completed"]
    assert body["cuts"][0]["error"] == {
        "code": "swatch-unreadable",
        "detail": "La muestra no se puede leer.",
    }
    assert [image["cut"] for image in body["images"]] == ["cruzado"]


def test_an_order_whose_cuts_all_failed_has_an_error_without_our_own_words(
    client: httpx.Client, order: dict[str, Any]
) -> None:
    url = placed(client, order | {"cuts": ["recto"]}).json()["urls"]["self"]
    held = claim()
    with transaction() as session:
        queue.fail(session, held, "storage-error", "cannot store renders/x: EIO")
    body = client.get(url).json()
    assert body["status"] == "failed"
    assert body["error"]["code"] == "storage-error"
    assert body["error"]["detail"] == "El dibujo falló por un problema nuestro."


# --- the queue, as a client sees it ---------------------------------------------------------------


def test_without_a_worker_the_order_is_accepted_with_a_warning(
    client: httpx.Client, order: dict[str, Any]
) -> None:
    body = placed(client, order).json()
    assert body["warnings"] == ["no-workers"]
    assert body["queue"]["workers_online"] == 0
    with transaction() as session:
        workers.beat(session, "uno", ["drape"], "1", "cpu")
        workers.beat(session, "dos", ["drape"], "1", "cpu")
        workers.beat(session, "mudo", ["drape"], "1", "cpu")
        workers.stop(session, "dos")
    sql("UPDATE workers SET last_seen_at = now() - interval '31 s' WHERE name = 'mudo'")
    body = client.get(body["urls"]["self"]).json()
    assert (body["warnings"], body["queue"]["workers_online"]) == ([], 1)


def test_a_worker_that_renders_for_long_is_online_although_it_says_nothing(
    client: httpx.Client, order: dict[str, Any]
) -> None:
    url = placed(client, order | {"cuts": ["recto", "cruzado"]}).json()["urls"]["self"]
    with transaction() as session:
        workers.beat(session, "uno", ["drape"], "1", "cpu")
    sql("UPDATE workers SET last_seen_at = now() - interval '1 hour'")
    claim("uno")
    body = client.get(url).json()
    assert (body["warnings"], body["queue"]["workers_online"]) == ([], 1)
    let_leases_lapse()
    assert client.get(url).json()["warnings"] == ["no-workers"]


def test_the_place_in_the_queue_counts_the_jobs_before_this_order(
    client: httpx.Client, order: dict[str, Any]
) -> None:
    urls = [placed(client, order).json()["urls"]["self"] for _ in range(3)]
    assert [client.get(url).json()["queue"]["ahead"] for url in urls] == [0, 2, 4]
    complete_next()
    complete_next()
    assert [client.get(url).json()["queue"]["ahead"] for url in urls] == [None, 0, 2]


# --- cancel ---------------------------------------------------------------------------------------


def test_what_waits_and_what_runs_can_be_canceled(
    client: httpx.Client, order: dict[str, Any]
) -> None:
    body = placed(client, order).json()
    held = claim()
    answer = client.post(body["urls"]["cancel"])
    assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    assert set(answer.json()) >= KEYS
    assert job(held).status == "canceled"
    assert client.get(body["urls"]["self"]).json()["status"] == "canceled"
    assert client.get(f"/jobs/{body['id']}").json()["status"] == "failed"


def test_a_cut_that_was_ready_keeps_its_picture_when_the_rest_is_canceled(
    client: httpx.Client, order: dict[str, Any]
) -> None:
    body = placed(client, order).json()
    complete_next()
    canceled = client.post(body["urls"]["cancel"]).json()
    assert [cut["status"] for cut in canceled["cuts"]] == ["completed", "canceled"]
    assert [image["cut"] for image in canceled["images"]] == ["recto"]


def test_canceling_what_has_finished_is_409(client: httpx.Client, order: dict[str, Any]) -> None:
    body = placed(client, order).json()
    assert client.post(body["urls"]["cancel"]).status_code == 200
    assert problem(client.post(body["urls"]["cancel"]), 409) == "already-finished"
    other = placed(client, order | {"cuts": ["recto"]}).json()
    complete_next()
    assert problem(client.post(other["urls"]["cancel"]), 409) == "already-finished"
    assert client.get(other["urls"]["self"]).json()["status"] == "completed"


def test_of_cancels_at_once_one_succeeds(client: httpx.Client, order: dict[str, Any]) -> None:
    url = placed(client, order).json()["urls"]["cancel"]
    with ThreadPoolExecutor(6) as pool:
        codes = list(pool.map(lambda _: client.post(url).status_code, range(6)))
    assert sorted(codes) == [200, 409, 409, 409, 409, 409]


def test_an_api_token_orders_as_its_user(client: httpx.Client, order: dict[str, Any]) -> None:
    with transaction() as session:
        user = accounts.add_user(session, f"programa-{uuid4()}", "una clave larga", "stylist")
        token = accounts.issue_token(session, user, "prueba")
        id = user.id
    answer = client.post(V1, json=order, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 202
    assert sql("SELECT owner FROM generations") == f"user:{id}"
