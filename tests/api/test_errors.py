"""Errors on the wire: one old shape and RFC 9457, whatever went wrong; and who may read them."""

import json
import re
from typing import Any

import httpx
import pytest

from api.polls import Together
from tests.orders import sql
from tests.wire import old_error, problem, rows_of_orders, some_cloth

JSON = {"Content-Type": "application/json"}
SHOP, FOREIGN = "http://localhost:3000", "https://cualquiera.vercel.app"


def test_an_unknown_path_is_404_in_the_shape_of_its_neighbours(client: httpx.Client) -> None:
    for path in ("/no-existe", "/admin/no-existe", "/api/v2/x", "/catalog/x", "/static/no"):
        old_error(client.get(path), 404)
    for path in ("/api/v1", "/api/v1/no-existe", "/api/v1/generations/1/no-existe"):
        assert problem(client.get(path), 404) == "not-found"


def test_a_wrong_method_is_405_and_says_what_is_allowed(client: httpx.Client) -> None:
    for method, path in (
        ("POST", "/catalog"),
        ("DELETE", "/generate"),
        ("PUT", "/jobs/1"),
        ("POST", "/healthz"),
        ("POST", "/admin/colors"),
    ):
        answer = client.request(method, path)
        old_error(answer, 405)
        assert answer.headers["allow"]
    answer = client.put("/api/v1/generations")
    assert problem(answer, 405) == "method-not-allowed"
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"family_id": ', b"null", b"[]", b'"x"', b"\xff", b"[" * 20_000]
)
def test_a_body_that_is_no_order_is_refused_and_enqueues_nothing(
    client: httpx.Client, body: bytes
) -> None:
    before = rows_of_orders()
    old = client.post("/generate", content=body, headers=JSON)
    assert old.status_code in (400, 422)
    old_error(old, old.status_code)
    new = client.post("/api/v1/generations", content=body, headers=JSON)
    assert new.status_code in (400, 422)
    problem(new, new.status_code)
    assert rows_of_orders() == before


def test_an_order_that_does_not_say_it_is_json_is_422(client: httpx.Client) -> None:
    body = json.dumps(some_cloth(client)).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; x"):
        answer = client.post("/generate", content=body, headers={"Content-Type": kind})
        old_error(answer, 422)
    assert rows_of_orders() == (0, 0)


def test_details_name_the_field(client: httpx.Client) -> None:
    body = some_cloth(client) | {"seed": -1, "cuts": [1]}
    details = client.post("/generate", json=body).json()["error"]["details"]
    assert {detail["pointer"] for detail in details} == {"/seed", "/cuts/0"}
    assert all(detail["detail"] for detail in details)


def test_half_a_surrogate_pair_is_422_wherever_it_stands(client: httpx.Client) -> None:
    for body in (
        b'{"color_id": "\\ud800", "cuts": ["recto"]}',
        b'{"color_id": "x", "cuts": ["\\udfff"]}',
        b'{"color_id": "x", "cuts": ["recto"], "\\ud800": 1}',
    ):
        problem(client.post("/api/v1/generations", content=body, headers=JSON), 422)


def test_a_body_that_is_too_large_is_refused(client: httpx.Client) -> None:
    def endless() -> Any:
        for _ in range(40):
            yield b'{"x": "' + b"y" * 100_000

    for path, check in (("/generate", old_error), ("/api/v1/generations", problem)):
        check(client.post(path, content=b" " * 2_000_000, headers=JSON), 413)
        check(client.post(path, content=endless(), headers=JSON), 413)


# --- 500 ------------------------------------------------------------------------------------------


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading an order trips over something that nobody expected."""

    def trip(*_: object) -> None:
        raise RuntimeError("secreto: postgres://usuario:clave@servidor")

    monkeypatch.setattr(Together, "_found", trip)


@pytest.mark.usefixtures("broken")
def test_what_nobody_expected_is_500_without_a_word_about_it(client: httpx.Client) -> None:
    id = "01234567-89ab-7def-8123-456789abcdef"
    old, new = client.get(f"/jobs/{id}"), client.get(f"/api/v1/generations/{id}")
    old_error(old, 500)
    assert problem(new, 500) == "internal"
    for answer in (old, new):
        assert "secreto" not in answer.text
        assert "RuntimeError" not in answer.text
        assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"])


@pytest.mark.usefixtures("broken")
def test_a_browser_may_read_a_500(client: httpx.Client) -> None:
    url = "/jobs/01234567-89ab-7def-8123-456789abcdef"
    answer = client.get(url, headers={"Origin": SHOP})
    old_error(answer, 500)
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_order_that_breaks_half_way_leaves_nothing_behind(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trip(*_: object, **__: object) -> None:
        raise RuntimeError("queue")

    monkeypatch.setattr("models.queue.enqueue", trip)
    old_error(client.post("/generate", json=some_cloth(client)), 500)
    assert rows_of_orders() == (0, 0)


# --- CORS and headers -----------------------------------------------------------------------------


def preflight(client: httpx.Client, origin: str, method: str, headers: str) -> httpx.Response:
    return client.options(
        "/generate",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": headers,
        },
    )


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_the_shop_s_preflights_are_answered_for_every_method(
    client: httpx.Client, method: str
) -> None:
    for origin in (SHOP, "http://127.0.0.1:3000"):
        answer = preflight(client, origin, method, "Content-Type")
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == origin
        assert method in answer.headers["access-control-allow-methods"]
        allowed = answer.headers["access-control-allow-headers"].lower()
        assert "content-type" in allowed
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    [
        FOREIGN,
        "https://localhost:3000",
        "http://localhost:3001",
        "http://localhost:3000.mala.example",
        "http://mala.example/http://localhost:3000",
        "null",
    ],
)
def test_foreign_origins_get_no_cors_headers(client: httpx.Client, origin: str) -> None:
    answers = [
        preflight(client, origin, "POST", "content-type"),
        client.get("/catalog", headers={"Origin": origin}),
        client.get("/no-existe", headers={"Origin": origin}),
    ]
    for answer in answers:
        assert "access-control-allow-origin" not in answer.headers
        assert "access-control-allow-credentials" not in answer.headers


def test_answers_and_errors_can_be_read_by_the_shop(client: httpx.Client) -> None:
    for path in ("/catalog", "/no-existe", "/jobs/1"):
        answer = client.get(path, headers={"Origin": SHOP})
        assert answer.headers["access-control-allow-origin"] == SHOP
        assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize("path", ["/", "/catalog", "/no-existe", "/api/v1/no-existe", "/healthz"])
def test_every_answer_carries_the_security_headers_and_an_id(
    client: httpx.Client, path: str
) -> None:
    answer = client.get(path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    policy = answer.headers["content-security-policy"]
    for rule in ("object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert rule in policy
    assert "unsafe" not in policy
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"])


def test_refusals_do_not_wear_the_database_out(client: httpx.Client) -> None:
    """Each refused request gives its connection back: more of them than the pool has."""
    for _ in range(20):
        old_error(client.post("/generate", json=some_cloth(client) | {"color_id": "\x00"}), 422)
    assert sql("SELECT 1") == 1
