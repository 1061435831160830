"""The console's families and fabrics: /admin/fabrics and /admin/colors, to the letter."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from models.database import transaction
from models.storage import storage
from tests.orders import sql
from tests.wire import UTC_TIME, a_photo, old_error, rows_of_orders

FAMILY_KEYS = [
    "id",
    "family_id",
    "display_name",
    "status",
    "colors",
    "created_at",
    "updated_at",
]
COLOR_KEYS = [
    "id",
    "color_id",
    "name",
    "hex_value",
    "swatch_code",
    "swatch_url",
    "status",
    "fabric_family_id",
    "created_at",
    "updated_at",
]
NOT_AN_ID = str(2**63 - 1), str(10**30), "0", "-5", str(-(10**30)), "1.5", "uno", "%00", "9" * 5000


@pytest.fixture
def made(owner: httpx.Client) -> Iterator[None]:
    """Families whose id begins with `prueba` are gone afterwards."""
    yield
    mine = "SELECT id FROM fabric_families WHERE family_id LIKE 'prueba%'"
    sql(f"DELETE FROM fabrics WHERE fabric_family_id IN ({mine}) OR color_id LIKE 'prueba%'")
    sql("DELETE FROM fabric_families WHERE family_id LIKE 'prueba%'")


def color(id: str, /, **fields: Any) -> dict[str, Any]:
    return {"color_id": f"prueba-{id}", "name": id.title(), "hex_value": "#1a2B3c"} | fields


@pytest.fixture
def family(owner: httpx.Client, made: None) -> dict[str, Any]:
    """A family of our own: `prueba`, with the colours azul (A-1, inactive) and rojo."""
    body = {
        "family_id": "prueba",
        "display_name": "Prueba",
        "colors": [color("azul", swatch_code="A-1", status="inactive"), color("rojo")],
    }
    answer = owner.post("/admin/fabrics", json=body)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


def read(owner: httpx.Client, path: str) -> Any:
    answer = owner.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


# --- families: lists ------------------------------------------------------------------------------


def test_families_have_exactly_the_contract_s_keys_and_come_by_name(owner: httpx.Client) -> None:
    families = read(owner, "/admin/fabrics")
    assert len(families) >= 5
    names = sql("SELECT array_agg(display_name ORDER BY display_name, id) FROM fabric_families")
    assert [family["display_name"] for family in families] == names
    for family in families:
        assert list(family) == FAMILY_KEYS
        assert type(family["id"]) is int
        assert UTC_TIME.fullmatch(family["created_at"])
        assert UTC_TIME.fullmatch(family["updated_at"])
        for fabric in family["colors"]:
            assert list(fabric) == COLOR_KEYS
            assert fabric["fabric_family_id"] == family["id"]
            assert type(fabric["id"]) is int
            assert UTC_TIME.fullmatch(fabric["created_at"])


def test_the_console_sees_inactive_colours(owner: httpx.Client, family: dict[str, Any]) -> None:
    listed = read(owner, "/admin/fabrics?q=prueba")
    assert [fabric["status"] for fabric in listed[0]["colors"]] == ["inactive", "active"]


def test_families_are_found_by_part_of_id_or_name_in_any_case(owner: httpx.Client) -> None:
    for part in ("CACHEMIR", "lana-cach", "Lana y cachemir"):
        found = read(owner, f"/admin/fabrics?q={part}")
        assert [family["family_id"] for family in found] == ["lana-cachemir"], part


def test_signs_of_the_query_language_are_taken_literally(owner: httpx.Client) -> None:
    for part in ("%25", "_", "%25%25", "l_na", "\\", "%5C%25", "'", "lana%25"):
        assert read(owner, f"/admin/fabrics?q={part}") == [], part
        assert read(owner, f"/admin/colors?q={part}") == [], part


def test_a_percent_sign_in_a_name_can_be_searched(
    owner: httpx.Client, family: dict[str, Any]
) -> None:
    owner.patch(f"/admin/fabrics/{family['id']}", json={"display_name": "100% lana_fría"})
    for part in ("100%25", "_fr", "0% l"):
        found = read(owner, f"/admin/fabrics?q={part}")
        assert [row["id"] for row in found] == [family["id"]]


def test_families_are_filtered_by_status(owner: httpx.Client, family: dict[str, Any]) -> None:
    owner.post(f"/admin/fabrics/{family['id']}/deactivate")
    inactive = read(owner, "/admin/fabrics?status_filter=inactive")
    active = read(owner, "/admin/fabrics?status_filter=active")
    assert [row["id"] for row in inactive] == [family["id"]]
    assert family["id"] not in [row["id"] for row in active]


@pytest.mark.parametrize("path", ["/admin/fabrics", "/admin/colors"])
def test_pages_join_without_gap_or_repeat(owner: httpx.Client, path: str) -> None:
    whole = [row["id"] for row in read(owner, f"{path}?limit=200")]
    paged: list[int] = []
    for offset in range(0, len(whole) + 2, 2):
        paged += [row["id"] for row in read(owner, f"{path}?limit=2&offset={offset}")]
    assert paged == whole
    assert len(set(whole)) == len(whole) >= 5


@pytest.mark.parametrize("path", ["/admin/fabrics", "/admin/colors", "/admin/generations"])
def test_bounds_of_lists_are_checked(owner: httpx.Client, path: str) -> None:
    for query in (
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=abc",
        f"limit={10**30}",
        "offset=-1",
        f"offset={10**30}",
        "status_filter=banana",
        "q=%00" if path != "/admin/generations" else "family_id=%00",
        f"q={'x' * 300}" if path != "/admin/generations" else f"color_id={'x' * 300}",
    ):
        old_error(owner.get(f"{path}?{query}"), 422)
    for query in ("limit=1", "limit=200", "offset=0", "offset=1000000"):
        assert owner.get(f"{path}?{query}").status_code == 200


# --- families: one --------------------------------------------------------------------------------


def test_creating_a_family_keeps_code_status_and_colour(family: dict[str, Any]) -> None:
    assert list(family) == FAMILY_KEYS
    assert family["status"] == "active"
    azul, rojo = family["colors"]
    assert (azul["swatch_code"], azul["status"], azul["hex_value"]) == (
        "A-1",
        "inactive",
        "#1A2B3C",
    )
    assert (rojo["swatch_code"], rojo["status"], rojo["swatch_url"]) == (None, "active", None)


def test_what_creating_answers_is_what_reading_answers(
    owner: httpx.Client, family: dict[str, Any]
) -> None:
    assert read(owner, f"/admin/fabrics/{family['id']}") == family


BAD_FAMILIES: list[dict[str, Any]] = [
    {"status": "banana"},
    {"status": None},
    {"family_id": ""},
    {"family_id": "../prueba"},
    {"family_id": "prueba con espacio"},
    {"family_id": "prueba\n"},
    {"family_id": "prueba" + "x" * 100},
    {"display_name": ""},
    {"display_name": "   "},
    {"display_name": "a\x00b"},
    {"display_name": 5},
    {"colors": None},
    {"colors": [color("x", hex_value="zzz")]},
    {"colors": [color("x", hex_value="#12345")]},
    {"colors": [color("x", hex_value="#1234567")]},
    {"colors": [color("x", hex_value="#12345\u0661")]},
    {"colors": [color("x", hex_value="red")]},
    {"colors": [color("x", status="banana")]},
    {"colors": [color("x", name="")]},
    {"colors": [color("x", name="a\x00")]},
    {"colors": [color("x", color_id="a/b")]},
    {"colors": [color("x", swatch_code="\x00")]},
    {"colors": [color("x", swatch_url="http://169.254.169.254/x.png")]},
    {"colors": [color("x", swatch_url="file:///etc/passwd")]},
    {"colors": [{"color_id": "prueba-x"}]},
    {"colors": ["azul"]},
]


@pytest.mark.usefixtures("made")
def test_a_bad_family_is_refused_and_not_kept(owner: httpx.Client) -> None:
    for change in BAD_FAMILIES:
        body = {"family_id": "prueba", "display_name": "Prueba"} | change
        old_error(owner.post("/admin/fabrics", json=body), 422)
        assert sql("SELECT count(*) FROM fabric_families WHERE family_id LIKE '%prueba%'") == 0


def test_ids_that_are_taken_are_409(owner: httpx.Client, family: dict[str, Any]) -> None:
    same = {"family_id": "prueba", "display_name": "Otra"}
    old_error(owner.post("/admin/fabrics", json=same), 409)
    other = {"family_id": "prueba-2", "display_name": "Otra", "colors": [color("azul")]}
    assert "prueba-azul" in old_error(owner.post("/admin/fabrics", json=other), 409)
    twice = other | {"colors": [color("x"), color("x")]}
    old_error(owner.post("/admin/fabrics", json=twice), 409)
    assert sql("SELECT count(*) FROM fabric_families WHERE family_id = 'prueba-2'") == 0


@pytest.mark.usefixtures("made")
def test_of_equal_families_created_at_once_one_stands_and_the_others_are_409(
    owner: httpx.Client,
) -> None:
    body = {"family_id": "prueba-3", "display_name": "Prueba", "colors": [color("y")]}
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: owner.post("/admin/fabrics", json=body), range(6)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409, 409]


def test_changing_a_family_keeps_the_rows_whose_color_id_stays(
    owner: httpx.Client, family: dict[str, Any]
) -> None:
    azul, _rojo = family["colors"]
    body = {"display_name": "Otra", "colors": [color("azul", name="Azul noche"), color("verde")]}
    answer = owner.patch(f"/admin/fabrics/{family['id']}", json=body)
    assert answer.status_code == 200, answer.text
    changed = answer.json()
    assert changed == read(owner, f"/admin/fabrics/{family['id']}")
    assert changed["display_name"] == "Otra"
    kept, new = changed["colors"]
    assert (kept["id"], kept["name"]) == (azul["id"], "Azul noche")
    assert (kept["created_at"], new["color_id"]) == (azul["created_at"], "prueba-verde")
    assert sql("SELECT count(*) FROM fabrics WHERE color_id = 'prueba-rojo'") == 0


def test_fields_that_a_change_does_not_name_stay_as_they_are(
    owner: httpx.Client, family: dict[str, Any]
) -> None:
    """Above all the status: naming an inactive colour must not put it back on sale."""
    url = f"/admin/fabrics/{family['id']}"
    changed = owner.patch(url, json={"colors": [color("azul"), color("rojo")]}).json()
    azul = changed["colors"][0]
    assert (azul["status"], azul["swatch_code"]) == ("inactive", "A-1")
    assert owner.patch(url, json={"display_name": "Sola"}).json()["colors"] == changed["colors"]
    assert owner.patch(url, json={}).json()["display_name"] == "Sola"


def test_a_change_moves_the_time_of_the_change(owner: httpx.Client, family: dict[str, Any]) -> None:
    changed = owner.patch(f"/admin/fabrics/{family['id']}", json={"display_name": "Otra"}).json()
    assert changed["created_at"] == family["created_at"]
    assert changed["updated_at"] > family["updated_at"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"nuevo": 1}, 422),
        ({"\ud800": 1}, 422),
        ({"status": "banana"}, 422),
        ({"family_id": "lana-cachemir"}, 409),
        ({"colors": [color("azul"), color("azul")]}, 409),
        ({"colors": [color("x"), color("x")]}, 409),
        ({"colors": [color("azul", color_id="azul-marino-imperial")]}, 409),
    ],
)
def test_a_bad_change_of_a_family_changes_nothing(
    owner: httpx.Client, family: dict[str, Any], change: dict[str, Any], status: int
) -> None:
    url = f"/admin/fabrics/{family['id']}"
    headers = {"Content-Type": "application/json"}
    old_error(owner.patch(url, content=json.dumps(change), headers=headers), status)
    assert read(owner, url) == family


def test_a_family_can_be_switched_off_and_on(owner: httpx.Client, family: dict[str, Any]) -> None:
    url = f"/admin/fabrics/{family['id']}"
    assert owner.patch(f"{url}/status", json={"status": "inactive"}).json()["status"] == "inactive"
    assert owner.patch(f"{url}/status", json={"status": "active"}).json()["status"] == "active"
    off = owner.post(f"{url}/deactivate")
    assert (off.status_code, list(off.json()), off.json()["status"]) == (
        200,
        FAMILY_KEYS,
        "inactive",
    )
    for bad in ({"status": "banana"}, {}, {"status": None}, {"status": "active", "x": 1}):
        old_error(owner.patch(f"{url}/status", json=bad), 422)


def test_a_deleted_family_is_gone_with_its_colours(
    owner: httpx.Client, family: dict[str, Any]
) -> None:
    url = f"/admin/fabrics/{family['id']}"
    answer = owner.delete(url)
    assert (answer.status_code, answer.content) == (204, b"")
    old_error(owner.get(url), 404)
    old_error(owner.delete(url), 404)
    assert sql("SELECT count(*) FROM fabrics WHERE color_id LIKE 'prueba%'") == 0


def test_a_family_s_preview_is_kept_as_a_public_picture(
    owner: httpx.Client, family: dict[str, Any]
) -> None:
    url = f"/admin/fabrics/{family['id']}/preview"
    answer = owner.post(url, files={"file": ("x.png", a_photo(), "image/png")})
    assert (answer.status_code, list(answer.json())) == (200, FAMILY_KEYS)
    key = sql("SELECT preview_key FROM fabric_families WHERE family_id = 'prueba'")
    assert owner.get(f"/files/{key}", headers={"Authorization": ""}).status_code == 200
    old_error(owner.post(url, files={"file": ("x.png", b"no", "image/png")}), 422)
    old_error(owner.post(url), 422)


def test_changes_and_deletions_at_once_end_in_200_or_404(
    owner: httpx.Client, family: dict[str, Any]
) -> None:
    url = f"/admin/fabrics/{family['id']}"

    def one(number: int) -> int:
        if number == 3:
            return owner.delete(url).status_code
        return owner.patch(url, json={"colors": [color("azul", name=f"A{number}")]}).status_code

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(one, range(8)))
    assert codes[3] == 204
    assert set(codes) <= {200, 204, 404}


# --- fabrics --------------------------------------------------------------------------------------


def test_colours_have_exactly_the_contract_s_keys_and_come_by_name(owner: httpx.Client) -> None:
    colors = read(owner, "/admin/colors?limit=200")
    assert len(colors) >= 25
    assert [row["name"] for row in colors] == sql(
        "SELECT array_agg(name ORDER BY name, id) FROM fabrics"
    )
    for row in colors:
        assert list(row) == COLOR_KEYS
    for row in colors[:3]:
        assert row == read(owner, f"/admin/colors/{row['id']}")


def test_colours_are_found_by_id_name_or_code_and_filtered(
    owner: httpx.Client, family: dict[str, Any]
) -> None:
    for query in ("q=PRUEBA-azul", "q=a-1", "q=azu&family_id=prueba", "status_filter=inactive"):
        found = read(owner, f"/admin/colors?{query}")
        assert [row["color_id"] for row in found] == ["prueba-azul"], query
    of_family = read(owner, "/admin/colors?family_id=prueba")
    assert [row["color_id"] for row in of_family] == ["prueba-azul", "prueba-rojo"]
    assert read(owner, "/admin/colors?family_id=no-existe") == []


def test_a_colour_s_fields_can_be_changed_one_by_one(
    owner: httpx.Client, family: dict[str, Any]
) -> None:
    url = f"/admin/colors/{family['colors'][0]['id']}"
    before = read(owner, url)
    for change in (
        {"name": "Azul rey"},
        {"hex_value": "#ABCDEF"},
        {"color_id": "prueba-celeste"},
        {"swatch_code": "B-2"},
        {"swatch_code": None},
        {"status": "active"},
    ):
        answer = owner.patch(url, json=change)
        assert answer.status_code == 200, answer.text
        after = answer.json()
        assert after["updated_at"] > before["updated_at"]
        assert after | {"updated_at": 0} == before | change | {"updated_at": 0}
        before = after
    assert read(owner, url) == before
    assert owner.patch(url, json={"name": None}).json()["name"] == "Azul rey"


BAD_CHANGES: list[tuple[dict[str, Any], int]] = [
    ({"status": "banana"}, 422),
    ({"hex_value": "zzz"}, 422),
    ({"name": ""}, 422),
    ({"name": "\x00"}, 422),
    ({"color_id": "a b"}, 422),
    ({"otro": 1}, 422),
    ({"id": 7}, 422),
    ({"color_id": "prueba-rojo"}, 409),
    ({"fabric_family_id": 10**15}, 404),
    ({"fabric_family_id": 10**30}, 422),
    ({"fabric_family_id": "x"}, 422),
    ({"swatch_url": "http://169.254.169.254/"}, 422),
    ({"swatch_url": "file:///etc/passwd"}, 422),
    ({"swatch_url": "http://["}, 422),
]


def test_a_bad_change_of_a_colour_changes_nothing(
    owner: httpx.Client, family: dict[str, Any]
) -> None:
    url = f"/admin/colors/{family['colors'][0]['id']}"
    before = read(owner, url)
    for change, status in BAD_CHANGES:
        old_error(owner.patch(url, json=change), status)
        assert read(owner, url) == before


def test_a_colour_s_status_can_be_set(owner: httpx.Client, family: dict[str, Any]) -> None:
    url = f"/admin/colors/{family['colors'][1]['id']}/status"
    answer = owner.patch(url, json={"status": "inactive"})
    assert (answer.status_code, answer.json()["status"]) == (200, "inactive")
    for bad in ({"status": "banana"}, {}, {"status": None}):
        old_error(owner.patch(url, json=bad), 422)


def test_a_colour_moves_to_another_family(owner: httpx.Client, family: dict[str, Any]) -> None:
    target = owner.post("/admin/fabrics", json={"family_id": "prueba-9", "display_name": "Z"})
    azul = family["colors"][0]
    url = f"/admin/colors/{azul['id']}/move"
    answer = owner.post(url, json={"fabric_family_id": target.json()["id"]})
    assert (answer.status_code, list(answer.json())) == (200, COLOR_KEYS)
    moved = read(owner, f"/admin/fabrics/{target.json()['id']}")["colors"]
    assert [row["id"] for row in moved] == [azul["id"]]
    for missing in ({}, {"fabric_family_id": None}):
        old_error(owner.post(url, json=missing), 400)
    old_error(owner.post(url, json={"fabric_family_id": 10**15}), 404)
    old_error(owner.post("/admin/colors/0/move", json={"fabric_family_id": family["id"]}), 404)
    old_error(owner.post(url, json={"fabric_family_id": 2**70}), 422)


def test_an_order_keeps_its_colour_when_the_colour_is_renamed_and_deleted(
    owner: httpx.Client, family: dict[str, Any]
) -> None:
    rojo = family["colors"][1]
    order = {"family_id": "prueba", "color_id": "prueba-rojo"}
    id = owner.post("/generate", json=order).json()["request_id"]
    owner.patch(f"/admin/colors/{rojo['id']}", json={"color_id": "prueba-otro", "name": "Otro"})
    assert owner.delete(f"/admin/colors/{rojo['id']}").status_code == 204
    old_error(owner.get(f"/admin/colors/{rojo['id']}"), 404)
    old_error(owner.delete(f"/admin/colors/{rojo['id']}"), 404)
    kept = read(owner, f"/admin/generations/{id}")
    assert (kept["family_id"], kept["color_id"]) == ("prueba", "prueba-rojo")
    assert read(owner, f"/api/v1/generations/{id}")["fabric"]["name"] == "Rojo"
    before = rows_of_orders()
    old_error(owner.post("/generate", json=order), 422)
    assert rows_of_orders() == before


def test_an_uploaded_photo_becomes_the_catalogue_s_own_for_good(
    owner: httpx.Client, family: dict[str, Any]
) -> None:
    photo = {"file": ("x.png", a_photo("#AA3344"), "image/png")}
    uploaded = owner.post("/upload-swatch", files=photo, data={"width_mm": "80"}).json()
    url = f"/admin/colors/{family['colors'][1]['id']}"
    changed = owner.patch(url, json={"swatch_url": uploaded["swatch_url"]}).json()
    path = urlsplit(changed["swatch_url"]).path
    assert path.startswith("/files/catalogue/swatch-")
    storage().delete(urlsplit(uploaded["swatch_url"]).path.removeprefix("/files/"))
    assert owner.get(path, headers={"Authorization": ""}).status_code == 200
    kept = "SELECT swatch_width_mm FROM fabrics WHERE color_id = 'prueba-rojo'"
    assert sql(kept) == 80
    again = owner.patch(url, json={"swatch_url": changed["swatch_url"]})  # as it was read
    assert again.json()["swatch_url"] == changed["swatch_url"]
    assert sql(kept) == 80
    assert owner.patch(url, json={"swatch_url": None}).json()["swatch_url"] is None


def test_ids_that_name_nothing_are_404_or_422(owner: httpx.Client) -> None:
    for answer in chain.from_iterable(answers_about(owner, id) for id in NOT_AN_ID):
        assert answer.status_code in (404, 422), answer.request.url
        old_error(answer, answer.status_code)


def answers_about(owner: httpx.Client, id: str) -> Iterator[httpx.Response]:
    """What each route with an id in its path says about this one."""
    status = {"status": "active"}
    yield from (
        owner.get(f"/admin/fabrics/{id}"),
        owner.patch(f"/admin/fabrics/{id}", json={"display_name": "X"}),
        owner.delete(f"/admin/fabrics/{id}"),
        owner.patch(f"/admin/fabrics/{id}/status", json=status),
        owner.post(f"/admin/fabrics/{id}/deactivate"),
        owner.post(f"/admin/fabrics/{id}/preview", files={"file": ("x", a_photo())}),
        owner.get(f"/admin/colors/{id}"),
        owner.patch(f"/admin/colors/{id}", json={"name": "X"}),
        owner.patch(f"/admin/colors/{id}/status", json=status),
        owner.delete(f"/admin/colors/{id}"),
    )


def test_a_refused_request_leaves_the_database_usable(owner: httpx.Client) -> None:
    """NUL in a text is found by the driver, in the middle of a transaction."""
    for _ in range(20):
        old_error(owner.get("/admin/colors?family_id=%00"), 422)
    with transaction() as session:
        assert session.connection() is not None
    assert owner.get("/admin/colors").status_code == 200


# --- If-Match, which is optional ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["fabrics", "colors"])
def test_a_write_with_if_match_is_refused_once_somebody_else_wrote(
    owner: httpx.Client, family: dict[str, Any], kind: str
) -> None:
    row, name = (family, "display_name") if kind == "fabrics" else (family["colors"][0], "name")
    at = f"/admin/{kind}/{row['id']}"
    tag = owner.get(at).headers["etag"]
    mine = owner.patch(at, json={name: "Mío"}, headers={"If-Match": tag})
    assert mine.status_code == 200
    assert mine.headers["etag"] == owner.get(at).headers["etag"] != tag
    for method, path, body in (
        ("PATCH", at, {name: "De otro"}),
        ("PATCH", f"{at}/status", {"status": "inactive"}),
        ("DELETE", at, None),
    ):
        stale = owner.request(method, path, json=body, headers={"If-Match": tag})
        assert "Alguien más guardó cambios" in old_error(stale, 412)
    assert owner.get(at).json()[name] == "Mío"
    several = {"If-Match": f'"otra", {mine.headers["etag"]}'}
    assert owner.patch(at, json={name: "Mío otra vez"}, headers=several).status_code == 200
    assert owner.patch(at, json={name: "De nadie"}, headers={"If-Match": "*"}).status_code == 200
    assert owner.patch(at, json={name: "Como siempre"}).status_code == 200


def test_a_familys_etag_changes_with_its_fabrics(
    owner: httpx.Client, family: dict[str, Any]
) -> None:
    at = f"/admin/fabrics/{family['id']}"
    tag = owner.get(at).headers["etag"]
    fabric = family["colors"][0]["id"]
    assert owner.patch(f"/admin/colors/{fabric}", json={"name": "Otro"}).status_code == 200
    assert owner.get(at).headers["etag"] != tag


def test_if_match_says_nothing_to_who_may_not_write(client: httpx.Client) -> None:
    old_error(client.delete("/admin/fabrics/1", headers={"If-Match": '"x"'}), 401)
