"""/files: catalogue pictures are public, everything else needs a signed link that expires."""

import http.client
import time
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest

from api.files import link
from models.settings import settings
from models.storage import storage
from tests.wire import a_photo, old_error

PRIVATE_KEY = "renders/de-un-cliente.jpg"
BASE = "http://casa.example"


@pytest.fixture(autouse=True)
def _stored(client: httpx.Client) -> None:
    storage().put(PRIVATE_KEY, b"la foto de un cliente", "image/jpeg")


def signed(key: str = PRIVATE_KEY) -> str:
    """Path and query of our own link to this key."""
    return link(BASE, key).removeprefix(BASE)


def raw_get(client: httpx.Client, path: str) -> tuple[int, bytes]:
    """GET exactly this path: nothing on the way makes it tidy."""
    address = urlsplit(str(client.base_url))
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=10)
    try:
        connection.putrequest("GET", path, skip_accept_encoding=True)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_catalogue_pictures_are_public_and_never_change(client: httpx.Client) -> None:
    url = client.get("/catalog").json()["families"][0]["colors"][0]["swatch_url"]
    assert not urlsplit(url).query
    answer = client.get(url)
    assert answer.status_code == 200
    assert answer.content.startswith(b"\x89PNG")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"


def test_a_client_s_picture_needs_our_signature(client: httpx.Client) -> None:
    refused = client.get(f"/files/{PRIVATE_KEY}")
    old_error(refused, 403)
    assert b"la foto" not in refused.content
    answer = client.get(signed())
    assert (answer.status_code, answer.content) == (200, b"la foto de un cliente")
    assert answer.headers["cache-control"].startswith("private")
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_uploaded_swatches_are_not_public(client: httpx.Client) -> None:
    photo = {"file": ("x.png", a_photo(), "image/png")}
    url = urlsplit(client.post("/upload-swatch", files=photo).json()["swatch_url"])
    old_error(client.get(url.path), 403)
    assert client.get(f"{url.path}?{url.query}").status_code == 200


def test_a_signed_link_holds_for_a_day_and_then_expires(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = signed()
    expires = int(parse_qs(urlsplit(url).query)["expires"][0])
    hours = settings().file_link_hours
    assert hours * 3600 < expires - time.time() <= (hours + 1) * 3600
    monkeypatch.setattr(time, "time", lambda: expires - 1.0)
    assert client.get(url).status_code == 200
    monkeypatch.setattr(time, "time", lambda: expires + 1.0)
    assert "venció" in old_error(client.get(url), 403)


def test_links_made_within_an_hour_are_the_same_so_that_browsers_can_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "time", lambda: 3600 * 500_000 + 5.0)
    first = signed()
    monkeypatch.setattr(time, "time", lambda: 3600 * 500_000 + 3595.0)
    assert signed() == first
    monkeypatch.setattr(time, "time", lambda: 3600 * 500_001 + 5.0)
    assert signed() != first


def test_a_forged_link_is_403(client: httpx.Client) -> None:
    path, query = signed().split("?")
    fields = {name: values[0] for name, values in parse_qs(query).items()}
    later = str(int(fields["expires"]) + 3600)
    other = parse_qs(urlsplit(signed("renders/otra.jpg")).query)["signature"][0]
    for forged in (
        f"expires={later}&signature={fields['signature']}",
        f"expires={'9' * 400}&signature={fields['signature']}",
        f"expires=-1&signature={fields['signature']}",
        f"expires={fields['expires']}&signature={other}",
        f"expires={fields['expires']}&signature={fields['signature'][:-1]}",
        f"expires={fields['expires']}&signature={fields['signature'].upper()}",
        f"expires={fields['expires']}&signature=",
        f"expires={fields['expires']}&signature=%C3%B1%00",
        f"expires={fields['expires']}",
        f"signature={fields['signature']}",
    ):
        old_error(client.get(f"{path}?{forged}"), 403)
    old_error(client.get(f"{path}?expires=ayer&signature={fields['signature']}"), 422)


def test_a_signature_is_worth_nothing_after_the_secret_changed(
    client: httpx.Client, setting: object
) -> None:
    url = signed()
    assert callable(setting)
    setting(jwt_secret="otro secreto de treinta y dos letras o más")
    old_error(client.get(url), 403)


@pytest.mark.parametrize(
    "key",
    [
        "../signing-secret",
        "catalogue/../signing-secret",
        "catalogue/../../etc/passwd",
        f"catalogue/../{PRIVATE_KEY}",
        "catalogue/%2e%2e/" + PRIVATE_KEY,
        "catalogue/..%2f" + PRIVATE_KEY,
        "catalogue%2f..%2f" + quote(PRIVATE_KEY, safe=""),
        "catalogue/./" + PRIVATE_KEY,
        "catalogue//etc/passwd",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "catalogue/\\..\\" + PRIVATE_KEY,
        "catalogue/%00",
        "catalogue/x%00.png",
        "catalogue/.oculto",
        "catalogue/~root",
        "catalogue/%ff%fe",
        "catalogue/",
        "catalogue",
        "",
        "catalogue/" + "x" * 300,
        "catalogue/" + "x/" * 400 + "x",
        "catalogue/" + "x" * 5000,
    ],
)
def test_no_path_leaves_the_public_folder(client: httpx.Client, key: str) -> None:
    status, content = raw_get(client, f"/files/{key}")
    assert status in (403, 404), content
    assert b"foto de un cliente" not in content
    assert b"root:" not in content


def test_even_a_signed_path_cannot_leave_the_store(client: httpx.Client) -> None:
    for key in ("../signing-secret", "renders/../../signing-secret", "/etc/passwd", ".", ".."):
        status, content = raw_get(client, signed(key))
        assert status == 404, content


def test_what_is_not_there_is_404_and_secret_until_signed(client: httpx.Client) -> None:
    old_error(client.get("/files/catalogue/no-existe.png"), 404)
    old_error(client.get("/files/renders/no-existe.jpg"), 403)
    old_error(client.get(signed("renders/no-existe.jpg")), 404)
