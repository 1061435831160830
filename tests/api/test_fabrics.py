"""/api/v1/families and /api/v1/fabrics: all that is known of a cloth, and no lost update."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.orders import sql
from tests.wire import problem

FACTS = {
    "swatch_code": "PR-01",
    "swatch_width_mm": 82.5,
    "mill": "Paños de prueba",
    "composition": "85 % lana, 15 % cachemir",
    "weight_g_m2": 280,
    "pattern": "check",
}
UNREAD = {"profile": None, "profile_error": None}  # what one fabric tells beside what lists do


@pytest.fixture
def family(owner: httpx.Client) -> Iterator[dict[str, Any]]:
    body = {"family_id": "de-prueba", "display_name": "De prueba", "sort": 7}
    made = owner.post("/api/v1/families", json=body)
    assert made.status_code == 201
    yield made.json()
    sql("DELETE FROM fabrics WHERE fabric_family_id = :id", id=made.json()["id"])
    sql("DELETE FROM fabric_families WHERE id = :id", id=made.json()["id"])


@pytest.fixture
def fabric(owner: httpx.Client, family: dict[str, Any]) -> dict[str, Any]:
    body = {
        "fabric_family_id": family["id"],
        "color_id": "de-prueba-gris",
        "name": "Gris",
        "hex_value": "#a0a0a0",
    }
    made = owner.post("/api/v1/fabrics", json=body | FACTS)
    assert made.status_code == 201
    found: dict[str, Any] = made.json()
    return found


def tag(owner: httpx.Client, at: str) -> dict[str, str]:
    return {"If-Match": owner.get(at).headers["etag"]}


def at(kind: str, row: dict[str, Any]) -> str:
    return f"/api/v1/{kind}/{row['id']}"


def test_a_fabric_is_told_with_all_that_is_known_of_it(
    owner: httpx.Client, fabric: dict[str, Any]
) -> None:
    assert {name: fabric[name] for name in FACTS} == FACTS
    assert fabric["hex_value"] == "#A0A0A0"
    assert owner.get(at("fabrics", fabric)).json() == fabric | UNREAD
    assert owner.get("/api/v1/fabrics", params={"q": "PR-01"}).json() == [fabric]
    assert owner.get("/api/v1/fabrics", params={"family_id": "de-prueba"}).json() == [fabric]


def test_a_family_is_told_with_how_many_fabrics_it_has(
    owner: httpx.Client, family: dict[str, Any], fabric: dict[str, Any]
) -> None:
    found = owner.get(at("families", family)).json()
    assert (found["fabrics"], found["sort"]) == (1, 7)
    assert owner.get("/api/v1/families", params={"q": "de-prueba"}).json() == [found]


def test_a_null_forgets_what_was_known_and_leaves_what_must_be(
    owner: httpx.Client, fabric: dict[str, Any]
) -> None:
    here = at("fabrics", fabric)
    body = {"mill": None, "name": None, "weight_g_m2": 300}
    changed = owner.patch(here, json=body, headers=tag(owner, here)).json()
    expected = fabric | {"mill": None, "weight_g_m2": 300, "updated_at": changed["updated_at"]}
    assert changed == expected


@pytest.mark.parametrize(
    ("kind", "body"), [("fabrics", {"name": "Otro"}), ("families", {"display_name": "Otra"})]
)
def test_a_change_names_the_state_that_it_was_made_from(
    owner: httpx.Client,
    family: dict[str, Any],
    fabric: dict[str, Any],
    kind: str,
    body: dict[str, str],
) -> None:
    here = at(kind, family if kind == "families" else fabric)
    for method in ("PATCH", "DELETE"):
        unnamed = owner.request(method, here, json=body if method == "PATCH" else None)
        assert problem(unnamed, 428) == "if-match-needed"
    read = tag(owner, here)
    changed = owner.patch(here, json=body, headers=read)
    assert changed.status_code == 200
    assert changed.headers["etag"] == owner.get(here).headers["etag"] != read["If-Match"]
    for method in ("PATCH", "DELETE"):
        stale = owner.request(method, here, json=body if method == "PATCH" else None, headers=read)
        assert problem(stale, 412) == "edited-meanwhile"
    assert owner.delete(here, headers=tag(owner, here)).status_code == 204
    assert owner.get(here).status_code == 404


def test_a_family_that_got_a_fabric_meanwhile_is_not_deleted(
    owner: httpx.Client, family: dict[str, Any]
) -> None:
    here = at("families", family)
    read = tag(owner, here)
    body = {"color_id": "nueva", "name": "N", "hex_value": "#123456"}
    added = owner.post("/api/v1/fabrics", json=body | {"fabric_family_id": family["id"]})
    assert added.status_code == 201
    assert owner.delete(here, headers=read).status_code == 412


@pytest.mark.parametrize(
    "wrong",
    [
        {"weight_g_m2": 0},
        {"weight_g_m2": "280"},
        {"swatch_width_mm": 1},
        {"pattern": "espiga"},
        {"mill": "a\x00b"},
        {"mill": "x" * 201},
        {"hex_value": "gris"},
        {"color_id": "con espacio"},
        {"nada": 1},
    ],
)
def test_what_no_cloth_is_like_is_refused(
    owner: httpx.Client, fabric: dict[str, Any], wrong: dict[str, Any]
) -> None:
    here = at("fabrics", fabric)
    refused = owner.patch(here, json=wrong, headers=tag(owner, here))
    assert problem(refused, 422) == "invalid-input"
    assert owner.get(here).json() == fabric | UNREAD


def test_a_fabric_goes_to_no_family_that_is_not(
    owner: httpx.Client, fabric: dict[str, Any]
) -> None:
    here = at("fabrics", fabric)
    moved = owner.patch(here, json={"fabric_family_id": 10**9}, headers=tag(owner, here))
    assert problem(moved, 404) == "not-found"


def test_an_id_that_is_taken_is_a_conflict(
    owner: httpx.Client, family: dict[str, Any], fabric: dict[str, Any]
) -> None:
    again = {name: fabric[name] for name in ("fabric_family_id", "color_id", "name", "hex_value")}
    assert problem(owner.post("/api/v1/fabrics", json=again), 409) == "conflict"
    body = {"family_id": "de-prueba", "display_name": "Otra"}
    assert problem(owner.post("/api/v1/families", json=body), 409) == "conflict"
