"""Sessions of browsers: how one starts and ends, what the cookie is worth, and from where."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.auth import SIGN_INS_PER_WINDOW
from models.settings import settings
from tests.conftest import OWNER_PASSWORD
from tests.console import read
from tests.orders import sql

RIGHT = {"username": "owner", "password": OWNER_PASSWORD}
HOME = "/console/catalogue"


def is_let_in(client: httpx.Client) -> bool:
    return client.get(HOME).status_code == 200


def test_signing_in_gives_a_cookie_that_scripts_cannot_read(client: httpx.Client) -> None:
    answer = client.post("/console/sign-in", data=RIGHT)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("session=")
    for part in ("httponly", "samesite=lax", "path=/"):
        assert part in cookie
    assert is_let_in(client)


def test_in_production_the_cookie_belongs_to_this_host_over_tls(
    client: httpx.Client, setting: Any
) -> None:
    setting(environment="production", public_base_url="https://taller.example")
    cookie = client.post("/console/sign-in", data=RIGHT).headers["set-cookie"].lower()
    assert cookie.startswith("__host-session=")
    assert "; secure" in cookie
    assert "domain=" not in cookie


def test_the_database_does_not_hold_what_the_cookie_holds(browser: httpx.Client) -> None:
    token = browser.cookies["session"]
    assert sql("SELECT count(*) FROM sessions") == 1
    assert sql("SELECT count(*) FROM sessions s WHERE s::text LIKE '%' || :t || '%'", t=token) == 0


def test_the_cookie_opens_the_json_api_as_well(browser: httpx.Client) -> None:
    assert browser.get("/admin/fabrics").status_code == 200


def test_a_wrong_password_and_an_unknown_user_are_told_in_the_same_words(
    client: httpx.Client,
) -> None:
    wrong = client.post("/console/sign-in", data=RIGHT | {"password": "nada"})
    nobody = client.post("/console/sign-in", data={"username": "nadie", "password": "nada"})
    assert wrong.status_code == nobody.status_code == 401
    assert wrong.text == nobody.text.replace("nadie", "owner")
    assert "set-cookie" not in wrong.headers


def test_tries_are_limited_even_with_the_right_password_at_last(client: httpx.Client) -> None:
    for _ in range(SIGN_INS_PER_WINDOW):
        client.post("/console/sign-in", data={"username": "owner", "password": "x"})
    answer = client.post("/console/sign-in", data=RIGHT)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert "Demasiados intentos" in answer.text
    assert not is_let_in(client)


def test_whoever_is_not_signed_in_is_sent_to_sign_in_and_comes_back(client: httpx.Client) -> None:
    to = client.get("/console/orders?status=failed").headers["location"]
    page = read(client, to)
    assert page.value("next") == "/console/orders?status=failed"
    answer = client.post("/console/sign-in", data=RIGHT | {"next": page.value("next")})
    assert answer.headers["location"] == "/console/orders?status=failed"


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/\t/x"],
)
def test_nobody_is_sent_elsewhere_after_signing_in(client: httpx.Client, elsewhere: str) -> None:
    url = httpx.URL("/console/sign-in", params={"next": elsewhere})
    assert read(client, str(url)).value("next") == "/console"
    answer = client.post("/console/sign-in", data=RIGHT | {"next": elsewhere})
    assert answer.headers["location"] == "/console"


def test_after_signing_out_the_old_cookie_is_worth_nothing(browser: httpx.Client) -> None:
    token = browser.cookies["session"]
    answer = browser.post("/console/sign-out")
    assert answer.headers["location"].startswith("/console/sign-in")
    browser.cookies.set("session", token)
    assert not is_let_in(browser)


@pytest.mark.parametrize("column", ["expires_at", "last_seen_at"])
def test_a_session_ends_by_its_age_and_by_rest(browser: httpx.Client, column: str) -> None:
    assert is_let_in(browser)
    sql(f"UPDATE sessions SET {column} = {column} - interval '8 days'")
    assert not is_let_in(browser)


def test_reading_pages_writes_when_the_session_was_seen_once_a_minute(
    browser: httpx.Client,
) -> None:
    seen = "SELECT last_seen_at FROM sessions"
    first = sql(seen)
    assert is_let_in(browser)
    assert sql(seen) == first
    sql("UPDATE sessions SET last_seen_at = last_seen_at - interval '2 minutes'")
    assert is_let_in(browser)
    assert sql(seen) >= first


def test_an_account_that_is_switched_off_is_out_at_once(
    as_role: Callable[[str], httpx.Client],
) -> None:
    browser = as_role("viewer")
    assert is_let_in(browser)
    sql("UPDATE users SET active = false WHERE username = 'prueba-viewer'")
    assert not is_let_in(browser)


# --- writes must come from our own pages ----------------------------------------------------------

FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1"},
]
PAUSE, RESUME = (f"/console/operations/engines/drape/{verb}" for verb in ("pause", "resume"))


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_write_with_a_cookie_from_another_site_is_refused(
    browser: httpx.Client, headers: dict[str, str]
) -> None:
    assert browser.post(PAUSE, headers=headers).status_code == 403
    assert browser.delete("/admin/colors/999999", headers=headers).status_code == 403
    assert sql("SELECT count(*) FROM engine_modes") == 0


def test_a_bearer_token_beside_a_cookie_does_not_exempt(
    browser: httpx.Client, owner: httpx.Client
) -> None:
    headers = {"Authorization": owner.headers["authorization"], "Sec-Fetch-Site": "cross-site"}
    assert browser.post(PAUSE, headers=headers).status_code == 403
    assert owner.post(PAUSE, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 303


def test_writes_from_our_own_pages_and_from_programs_pass(
    browser: httpx.Client, base_url: str
) -> None:
    for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": base_url}, {}):
        assert browser.post(PAUSE, headers=headers).status_code == 303
        assert browser.post(RESUME, headers=headers).status_code == 303


def test_another_site_can_read_nothing_by_it_and_may_link_to_us(browser: httpx.Client) -> None:
    answer = browser.get(HOME, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert "access-control-allow-credentials" not in answer.headers


def test_another_site_cannot_sign_a_browser_in(client: httpx.Client) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert client.post("/console/sign-in", data=RIGHT, headers=headers).status_code == 403
    assert settings().environment == "test"
    assert sql("SELECT count(*) FROM sessions") == 0
