"""Who may come in: passwords, JWTs, API tokens, limits on guessing, and a shop that is closed."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import httpx
import jwt
import pytest
from sqlalchemy import text

from api import auth
from api.auth import AUDIENCE, CLOCKS_APART_SECONDS, make_token
from models import accounts
from models.database import transaction
from models.settings import settings
from tests.conftest import OWNER_PASSWORD
from tests.orders import sql
from tests.wire import a_photo, old_error, problem, rows_of_orders, some_cloth

PROTECTED = "/admin/fabrics"
PASSWORD = "una clave bastante larga"
Change = Callable[..., None]


@pytest.fixture
def stylist(clean: None) -> Iterator[int]:
    """The id of a user named `estilista`, who is gone afterwards."""
    with transaction() as session:
        id = accounts.add_user(session, "estilista", PASSWORD, "stylist").id
    yield id
    sql("DELETE FROM users WHERE username = 'estilista'")


def sign_in(client: httpx.Client, username: str, password: str) -> httpx.Response:
    return client.post("/auth/token", data={"username": username, "password": password})


def bearing(client: httpx.Client, token: str, path: str = PROTECTED) -> httpx.Response:
    return client.get(path, headers={"Authorization": f"Bearer {token}"})


def forged(key: str | None = None, algorithm: str = "HS256", **claims: Any) -> str:
    """A JWT of ours for user 1, with these claims changed (None: left out)."""
    now = datetime.now(UTC)
    ours = {"sub": "1", "aud": AUDIENCE, "iat": now, "exp": now + timedelta(minutes=5)} | claims
    kept = {name: value for name, value in ours.items() if value is not None}
    return jwt.encode(kept, settings().signing_secret if key is None else key, algorithm)


def owner_id() -> str:
    return str(sql("SELECT min(id) FROM users WHERE role = 'owner'"))


# --- passwords ------------------------------------------------------------------------------------


def test_the_right_password_gives_a_token_for_half_an_hour(client: httpx.Client) -> None:
    answer = sign_in(client, "owner", OWNER_PASSWORD)
    assert answer.status_code == 200
    body = answer.json()
    assert list(body) == ["access_token", "token_type", "expires_in"]
    assert (body["token_type"], body["expires_in"]) == ("bearer", 1800)
    assert answer.headers["cache-control"] == "no-store"
    claims = jwt.decode(body["access_token"], options={"verify_signature": False})
    assert set(claims) == {"sub", "aud", "iat", "exp"}
    assert claims["exp"] - claims["iat"] == 1800
    assert bearing(client, body["access_token"]).status_code == 200


def test_wrong_name_and_wrong_password_are_told_in_the_same_words(client: httpx.Client) -> None:
    wrong = sign_in(client, "owner", "no es esta clave")
    unknown = sign_in(client, "nadie", "no es esta clave")
    old_error(wrong, 401)
    assert wrong.headers["www-authenticate"] == "Bearer"
    assert (wrong.status_code, wrong.content) == (unknown.status_code, unknown.content)


def test_an_unknown_name_takes_as_long_as_a_wrong_password(client: httpx.Client) -> None:
    def seconds(username: str) -> float:
        started = time.perf_counter()
        old_error(sign_in(client, username, "no es esta clave"), 401)
        return time.perf_counter() - started

    sign_in(client, "nadie", "x")  # the first one makes the hash that nobody has
    wrong = median(seconds("owner") for _ in range(4))
    unknown = median(seconds("nadie") for _ in range(4))
    assert unknown > wrong / 2
    assert wrong > 0.01  # argon2id is not free


def test_a_user_who_was_switched_off_cannot_come_in(client: httpx.Client, stylist: int) -> None:
    token = sign_in(client, "estilista", PASSWORD).json()["access_token"]
    order = some_cloth(client)
    sql("UPDATE users SET active = false WHERE id = :id", id=stylist)
    old_error(sign_in(client, "estilista", PASSWORD), 401)
    old_error(bearing(client, token), 401)
    headers = {"Authorization": f"Bearer {token}"}
    old_error(client.post("/generate", json=order, headers=headers), 401)
    sql("DELETE FROM users WHERE id = :id", id=stylist)
    old_error(bearing(client, token), 401)


def test_more_than_ten_sign_ins_of_a_user_in_five_minutes_are_429(
    client: httpx.Client, stylist: int, setting: Change
) -> None:
    setting(trusted_proxy_hops=1)  # each try from another address: the limit is the user's
    answers = [
        client.post(
            "/auth/token",
            data={"username": "estilista", "password": "no es esta clave"},
            headers={"X-Forwarded-For": f"10.0.0.{number}"},
        )
        for number in range(22)
    ]
    assert [answer.status_code for answer in answers[:10]] == [401] * 10
    refused = [answer for answer in answers if answer.status_code == 429]
    assert 2 <= len(refused) <= 12  # 2 when the window ended in between
    for answer in refused:
        old_error(answer, 429)
        assert 1 <= int(answer.headers["retry-after"]) <= 300


def test_everybody_s_sign_ins_together_are_limited_and_the_refused_do_not_count(
    client: httpx.Client, base_url: str, setting: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting(trusted_proxy_hops=1)
    monkeypatch.setattr(auth, "SIGN_INS_OF_ALL", 14)
    monkeypatch.setattr(auth, "SIGN_IN_WINDOW_SECONDS", 3600 * 24 * 365)  # no end in between

    def tries(address: str, number: int) -> list[int]:
        headers = {"X-Forwarded-For": address}
        form = {"password": "x"}
        return [
            client.post(
                "/auth/token", data=form | {"username": f"{address}-{n}"}, headers=headers
            ).status_code
            for n in range(number)
        ]

    assert tries("10.1.0.1", 30) == [401] * 10 + [429] * 20
    assert tries("10.1.0.2", 5) == [401] * 4 + [429]
    page = client.post(
        "/console/sign-in",
        data={"username": "owner", "password": OWNER_PASSWORD},
        headers={"X-Forwarded-For": "10.1.0.3"},
    )
    assert page.status_code == 429


def test_more_than_ten_sign_ins_of_an_address_are_429_whoever_they_are_for(
    client: httpx.Client,
) -> None:
    codes = [sign_in(client, f"nadie-{number}", "x").status_code for number in range(22)]
    assert codes[:10] == [401] * 10
    assert 2 <= codes.count(429) <= 12


def test_the_right_password_does_not_help_a_user_who_is_being_guessed(
    client: httpx.Client, stylist: int
) -> None:
    sql(
        "INSERT INTO hits SELECT 'sign-in:user:estilista',"
        " to_timestamp((floor(extract(epoch FROM now()) / 300) + n) * 300), 10"
        " FROM generate_series(1, 2) n"  # this window and the next
    )
    old_error(sign_in(client, "estilista", PASSWORD), 429)
    assert sign_in(client, "owner", OWNER_PASSWORD).status_code == 200


def test_bad_sign_in_forms_are_422(client: httpx.Client) -> None:
    for form in (
        {},
        {"username": "owner"},
        {"password": "x"},
        {"username": "a\x00b", "password": "x"},
        {"username": "x" * 201, "password": "x"},
        {"username": "owner", "password": "x" * 1001},
    ):
        old_error(client.post("/auth/token", data=form), 422)
    json = {"username": "owner", "password": OWNER_PASSWORD}
    old_error(client.post("/auth/token", json=json), 422)


# --- tokens ---------------------------------------------------------------------------------------


def test_a_token_that_we_made_is_good(client: httpx.Client) -> None:
    assert bearing(client, make_token(int(owner_id()))).status_code == 200
    assert bearing(client, forged(sub=owner_id())).status_code == 200


def test_a_token_of_a_machine_whose_clock_is_a_little_ahead_is_good(client: httpx.Client) -> None:
    ahead = datetime.now(UTC) + timedelta(seconds=CLOCKS_APART_SECONDS - 1)
    assert bearing(client, forged(sub=owner_id(), iat=ahead)).status_code == 200


def test_tokens_that_are_not_ours_or_lack_a_claim_are_refused(client: httpx.Client) -> None:
    sub = owner_id()
    past = datetime.now(UTC) - timedelta(minutes=1)
    future = datetime.now(UTC) + timedelta(minutes=5)
    bad = {
        "expired": forged(sub=sub, exp=past),
        "without exp": forged(sub=sub, exp=None),
        "without aud": forged(sub=sub, aud=None),
        "without iat": forged(sub=sub, iat=None),
        "without sub": forged(sub=None),
        "for somebody else": forged(sub=sub, aud="otra-casa"),
        "from the future": forged(sub=sub, iat=future),
        "alg none": forged(key="", algorithm="none", sub=sub),
        "other algorithm": forged(algorithm="HS512", sub=sub),
        "other secret": forged(key="otro secreto de treinta y dos letras", sub=sub),
        "user is a word": forged(sub="owner"),
        "user is nobody": forged(sub="999999999"),
        "no token at all": "hola",
        "an API token that nobody has": accounts.TOKEN_PREFIX + "x" * 32,
        "an empty API token": accounts.TOKEN_PREFIX,
        "three dots": "a.b.c",
    }
    head, body, tail = forged(sub=sub).split(".")
    bad["bent signature"] = f"{head}.{body}.{tail[::-1]}"
    for what, token in bad.items():
        answer = bearing(client, token)
        assert answer.status_code == 401, what
        old_error(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"


def test_other_schemes_are_no_credentials(client: httpx.Client) -> None:
    token = make_token(int(owner_id()))
    for header in ("", "Basic b3duZXI6eA==", token, f"Token {token}", "Bearer"):
        old_error(client.get(PROTECTED, headers={"Authorization": header}), 401)


def test_a_bad_credential_is_refused_even_where_none_is_needed(client: httpx.Client) -> None:
    assert client.get("/catalog").status_code == 200
    old_error(bearing(client, "caducado", "/catalog"), 401)


def test_an_api_token_acts_for_its_user_until_it_is_revoked_or_expires(
    client: httpx.Client, stylist: int
) -> None:
    with transaction() as session:
        user = accounts.active_user(session, stylist)
        forever = accounts.issue_token(session, user, "para siempre")
        for_a_day = accounts.issue_token(session, user, "un día", days=1)
    for token in (forever, for_a_day):
        assert bearing(client, token).status_code == 200
        old_error(bearing(client, token, "/metrics"), 403)
        stored = sql("SELECT count(*) FROM api_tokens WHERE token_sha256 = :t", t=token)
        assert stored == 0  # only its hash is kept
    sql("UPDATE api_tokens SET expires_at = now() - interval '1 s' WHERE name = 'un día'")
    old_error(bearing(client, for_a_day), 401)
    sql("UPDATE api_tokens SET revoked_at = now() WHERE name = 'para siempre'")
    old_error(bearing(client, forever), 401)


def test_a_token_may_what_its_scopes_and_its_user_may_and_no_more(
    client: httpx.Client, stylist: int
) -> None:
    with transaction() as session:
        user = accounts.active_user(session, stylist)
        scopes = ["orders:read", "catalogue:write"]
        token = accounts.issue_token(session, user, "a", scopes=scopes)
    assert bearing(client, token, "/admin/generations").status_code == 200
    old_error(bearing(client, token, "/admin/fabrics"), 403)  # its user may, the token may not
    headers = {"Authorization": f"Bearer {token}"}
    refused = client.post("/admin/fabrics", json={}, headers=headers)
    old_error(refused, 403)  # the token may, its user may not
    sql("UPDATE users SET role = 'viewer' WHERE id = :id", id=stylist)
    old_error(bearing(client, token, "/admin/generations"), 403)


def test_an_api_token_is_worth_nothing_when_its_user_is_switched_off(
    client: httpx.Client, stylist: int
) -> None:
    with transaction() as session:
        token = accounts.issue_token(session, accounts.active_user(session, stylist), "x")
    sql("UPDATE users SET active = false WHERE id = :id", id=stylist)
    old_error(bearing(client, token), 401)


def of_token(column: str) -> Any:
    return sql(f"SELECT {column} FROM api_tokens WHERE name = 'caja'")


def test_a_token_tells_its_last_use_and_a_program_that_polls_writes_no_row(
    client: httpx.Client, stylist: int
) -> None:
    with transaction() as session:
        token = accounts.issue_token(session, accounts.active_user(session, stylist), "caja")
    assert of_token("last_used_at") is None
    assert bearing(client, token).status_code == 200
    assert of_token("last_used_at > now() - interval '1 minute'")
    as_written = of_token("xmin::text")
    for _ in range(3):
        assert bearing(client, token).status_code == 200
    assert of_token("xmin::text") == as_written
    long_ago = "UPDATE api_tokens SET last_used_at = now() - CAST(:by AS interval)"
    sql(f"{long_ago} WHERE name = 'caja'", by=accounts.USED_EVERY)
    assert bearing(client, token).status_code == 200
    assert of_token("last_used_at > now() - interval '1 minute'")


def test_a_token_that_is_refused_was_not_used(client: httpx.Client, stylist: int) -> None:
    with transaction() as session:
        token = accounts.issue_token(session, accounts.active_user(session, stylist), "caja")
    sql("UPDATE api_tokens SET revoked_at = now() WHERE name = 'caja'")
    old_error(bearing(client, token), 401)
    assert of_token("last_used_at") is None


def test_no_request_waits_for_the_last_use_of_a_token_to_be_written_down(
    client: httpx.Client, stylist: int
) -> None:
    with transaction() as session:
        token = accounts.issue_token(session, accounts.active_user(session, stylist), "caja")
    with transaction() as other:
        held = text("SELECT 1 FROM api_tokens WHERE name = 'caja' FOR UPDATE")
        assert other.scalar(held) == 1
        assert bearing(client, token).status_code == 200
    assert of_token("last_used_at") is None


# --- a shop that is closed ------------------------------------------------------------------------


def test_a_closed_shop_serves_nobody_without_a_credential(
    client: httpx.Client, owner: httpx.Client, setting: Change
) -> None:
    order = some_cloth(client)
    id = client.post("/generate", json=order).json()["request_id"]
    photo = {"file": ("x.png", a_photo(), "image/png")}
    setting(shop_access="token")
    before = rows_of_orders()
    old_error(client.get("/catalog"), 401)
    old_error(client.post("/generate", json=order), 401)
    old_error(client.get(f"/jobs/{id}"), 401)
    old_error(client.post("/upload-swatch", files=photo), 401)
    old_error(client.get("/metrics"), 401)
    v1 = {"color_id": order["color_id"], "cuts": ["recto"]}
    problem(client.post("/api/v1/generations", json=v1), 401)
    problem(client.get(f"/api/v1/generations/{id}"), 401)
    problem(client.post(f"/api/v1/generations/{id}/cancel"), 401)
    problem(client.post("/api/v1/swatches", files=photo), 401)
    assert rows_of_orders() == before
    assert sql("SELECT count(*) FROM swatches") == 0
    assert owner.get("/catalog").status_code == 200
    assert owner.post("/generate", json=order).status_code == 201
    assert owner.get(f"/jobs/{id}").status_code == 200
    assert owner.post("/upload-swatch", files=photo).status_code == 200


def test_what_platforms_ask_stays_open_in_a_closed_shop(
    client: httpx.Client, setting: Change
) -> None:
    setting(shop_access="token")
    for path in ("/healthz", "/livez", "/readyz", "/health", "/admin/health"):
        assert client.get(path).status_code == 200, path
