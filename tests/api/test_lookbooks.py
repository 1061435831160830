"""Lookbooks over HTTP: made, ordered, shared and revoked; the QR code says the link."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.orders import BOTH, place, sql
from tests.pictures import finished_order
from tests.wire import problem


@pytest.fixture
def book(owner: httpx.Client) -> dict[str, Any]:
    """A lookbook of a client with one order in two cuts."""
    body = {"name": "Sofía", "consents": True}
    client = owner.post("/api/v1/clients", json=body).json()["id"]
    order = finished_order(BOTH)
    assert owner.put(f"/api/v1/clients/{client}/looks/{order}").status_code == 204
    made = owner.post(f"/api/v1/clients/{client}/lookbooks", json={"title": "Otoño"})
    assert made.status_code == 201, made.text
    looks = [{"order_id": str(order), "cut": cut, "note": f"Nota {cut}"} for cut in BOTH]
    body = {"title": "Otoño", "looks": looks, "version": 1}
    answer = owner.put(f"/api/v1/lookbooks/{made.json()['id']}", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def body_of(book: dict[str, Any], **changes: Any) -> dict[str, Any]:
    looks = [{name: look[name] for name in ("order_id", "cut", "note")} for look in book["looks"]]
    return {"title": book["title"], "looks": looks, "version": book["version"]} | changes


def share(owner: httpx.Client, book: dict[str, Any], days: int = 7) -> dict[str, Any]:
    answer = owner.post(f"/api/v1/lookbooks/{book['id']}/shares", json={"days": days})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_looks_are_put_in_order_with_their_notes(owner: httpx.Client, book: dict[str, Any]) -> None:
    turned = body_of(book)
    turned["looks"].reverse()
    answer = owner.put(f"/api/v1/lookbooks/{book['id']}", json=turned).json()
    assert [look["cut"] for look in answer["looks"]] == ["cruzado", "recto"]
    assert [look["note"] for look in answer["looks"]] == ["Nota cruzado", "Nota recto"]
    assert owner.get(f"/api/v1/lookbooks/{book['id']}").json() == answer
    (row,) = owner.get(f"/api/v1/clients/{book['client_id']}/lookbooks").json()
    assert (row["title"], row["version"]) == ("Otoño", 3)


def test_a_stale_order_is_refused(owner: httpx.Client, book: dict[str, Any]) -> None:
    stale = body_of(book, version=1, looks=[])
    url = f"/api/v1/lookbooks/{book['id']}"
    assert problem(owner.put(url, json=stale), 409) == "edited-meanwhile"
    assert len(owner.get(url).json()["looks"]) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "  "},
        {"title": "x" * 121},
        {"looks": [{"order_id": str(uuid4()), "cut": "recto"}]},
        {"looks": [{"order_id": str(uuid4()), "cut": "recto"}] * 25},
    ],
)
def test_a_lookbook_that_cannot_be_is_refused(
    owner: httpx.Client, book: dict[str, Any], changes: dict[str, Any]
) -> None:
    answer = owner.put(f"/api/v1/lookbooks/{book['id']}", json=body_of(book, **changes))
    assert problem(answer, 422) == "invalid-input"


def test_a_look_of_nobody_s_book_does_not_come_in(
    owner: httpx.Client, book: dict[str, Any]
) -> None:
    looks = [{"order_id": str(place()), "cut": "recto"}]
    answer = owner.put(f"/api/v1/lookbooks/{book['id']}", json=body_of(book, looks=looks))
    assert problem(answer, 422) == "invalid-input"


def test_a_link_is_told_again_until_it_is_revoked(
    owner: httpx.Client, book: dict[str, Any]
) -> None:
    made = share(owner, book)
    url = f"/api/v1/lookbooks/{book['id']}"
    assert owner.get(url).json()["shares"] == [made]
    assert owner.delete(f"{url}/shares/{made['id']}").status_code == 204
    (revoked,) = owner.get(url).json()["shares"]
    assert revoked["url"] is None
    assert revoked["revoked_at"] is not None
    assert problem(owner.delete(f"{url}/shares/{uuid4()}"), 404) == "not-found"


@pytest.mark.parametrize("days", [0, 91, -1])
def test_a_link_ends_within_a_season(owner: httpx.Client, book: dict[str, Any], days: int) -> None:
    answer = owner.post(f"/api/v1/lookbooks/{book['id']}/shares", json={"days": days})
    assert problem(answer, 422) == "invalid-input"


def test_no_column_holds_what_opens_a_link(owner: httpx.Client, book: dict[str, Any]) -> None:
    made = share(owner, book)
    row = sql("SELECT CAST(s AS text) FROM lookbook_shares s")
    log = sql("SELECT string_agg(CAST(audit AS text), ' ') FROM audit")
    secret = made["url"].rpartition("/")[2][22:]  # after the share's id
    assert len(secret) >= 26
    assert secret not in row + log


def test_a_qr_code_is_there_for_as_long_as_the_link_works(
    owner: httpx.Client, book: dict[str, Any]
) -> None:
    made, other = share(owner, book), share(owner, book)
    url = f"/api/v1/lookbooks/{book['id']}/shares/{made['id']}"
    answer = owner.get(f"{url}/qr")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["cache-control"] == "private, no-store"
    assert "<script" not in answer.text
    assert owner.get(url.replace(made["id"], other["id"]) + "/qr").text != answer.text
    owner.delete(url)
    assert problem(owner.get(f"{url}/qr"), 404) == "not-found"


def test_a_deleted_lookbook_leaves_the_looks_in_the_book(
    owner: httpx.Client, book: dict[str, Any]
) -> None:
    assert owner.delete(f"/api/v1/lookbooks/{book['id']}").status_code == 204
    assert problem(owner.get(f"/api/v1/lookbooks/{book['id']}"), 404) == "not-found"
    assert len(owner.get(f"/api/v1/clients/{book['client_id']}/looks").json()) == 1
