"""Links to stored files: signed and expiring on our own host, or public where R2 is; the route
streams from whatever store there is."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from api.files import key_of, link
from models.errors import InvalidInput
from models.storage import storage
from tests.s3_fake import S3Fake

HOUSE = "https://estilista.example"
PUBLIC = "https://cdn.estilista.example/taller"
KEY = "renders/7b1c/9d2e/recto-1a2b3c4d.jpg"
PICTURE = bytes(range(256)) * 3000


@pytest.fixture
def r2(setting: Callable[..., None]) -> Iterator[S3Fake]:
    """The application stores in R2, which is the fake."""
    with S3Fake() as fake:
        setting(
            storage_backend="r2",
            r2_endpoint_url=fake.url,
            r2_access_key_id=fake.access_key_id,
            r2_secret_access_key=fake.secret_access_key,
            r2_bucket_name=fake.bucket,
        )
        storage.cache_clear()
        yield fake
    storage.cache_clear()


@pytest.fixture
def folder(setting: Callable[..., None], tmp_path: Path) -> Iterator[None]:
    setting(data_dir=tmp_path)
    storage.cache_clear()
    yield
    storage.cache_clear()


@pytest.fixture(params=["folder", "r2"])
def any_store(request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(request.param)


def path(key: str) -> str:
    """Our own link to a key, without the host."""
    return link("", key)


@pytest.mark.usefixtures("any_store")
def test_a_signed_link_gives_the_bytes_and_may_be_kept_by_one_browser(
    client: httpx.Client,
) -> None:
    storage().put(KEY, PICTURE, "image/jpeg")
    answer = client.get(path(KEY))
    assert answer.content == PICTURE
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-length"] == str(len(PICTURE))
    assert answer.headers["cache-control"] == "private, max-age=3600"
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"


@pytest.mark.usefixtures("any_store")
def test_a_picture_of_the_catalogue_needs_no_signature_and_is_kept_for_good(
    client: httpx.Client,
) -> None:
    storage().put("catalogue/azul-1.png", PICTURE, "image/png")
    answer = client.get("/files/catalogue/azul-1.png")
    assert answer.content == PICTURE
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.usefixtures("any_store")
@pytest.mark.parametrize(
    "key", ["catalogue/none.png", "catalogue/../secret", "catalogue/" + "x" * 300]
)
def test_what_is_not_there_is_404(client: httpx.Client, key: str) -> None:
    assert client.get(f"/files/{key.replace('..', '%2e%2e')}").status_code == 404


def test_a_link_without_its_signature_is_403(client: httpx.Client) -> None:
    address = path(KEY)
    assert client.get(address.partition("?")[0]).status_code == 403
    assert client.get(address[:-1] + ("0" if address[-1] != "0" else "1")).status_code == 403
    assert client.get(address.replace("recto", "cruzado")).status_code == 403


def test_a_link_ends_when_it_says(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    address = path(KEY)
    assert client.get(address).status_code == 404  # signed, and there is nothing
    later = int(address.partition("expires=")[2].partition("&")[0]) + 1
    monkeypatch.setattr("api.files.time", SimpleNamespace(time=lambda: later))
    assert client.get(address).status_code == 403


def test_a_store_that_is_away_is_503_and_says_when_to_come_back(
    client: httpx.Client, r2: S3Fake
) -> None:
    storage().put(KEY, PICTURE, "image/jpeg")
    r2.secret_access_key = "changed-yesterday"
    answer = client.get(path(KEY))
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert r2.access_key_id not in answer.text


def test_half_a_picture_is_never_taken_for_a_whole_one(client: httpx.Client, r2: S3Fake) -> None:
    storage().put(KEY, PICTURE, "image/jpeg")
    r2.will("GET", "cut")
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(path(KEY))


def test_an_uploaded_swatch_goes_to_r2_and_comes_back_from_our_own_host(
    client: httpx.Client, r2: S3Fake
) -> None:
    cloth = (Path(__file__).parents[2] / "assets" / "watermark.png").read_bytes()
    answer = client.post("/api/v1/swatches", files={"file": ("a.png", cloth)})
    assert answer.status_code == 201
    (key,) = r2.objects
    assert answer.json()["url"].startswith(f"{client.base_url}/files/{key}?")
    content = client.get(answer.json()["url"]).content
    assert hashlib.sha256(content).digest() == hashlib.sha256(r2.objects[key].content).digest()


@pytest.mark.usefixtures("r2")
def test_links_stay_on_our_host_unless_a_public_one_is_set(setting: Callable[..., None]) -> None:
    assert link(HOUSE, KEY).startswith(f"{HOUSE}/files/{KEY}?expires=")
    setting(r2_public_url=f"{PUBLIC}/")
    assert link(HOUSE, KEY) == f"{PUBLIC}/{KEY}"


@pytest.mark.usefixtures("r2")
def test_both_hosts_links_name_their_key(setting: Callable[..., None]) -> None:
    ours = link(HOUSE, KEY)
    setting(r2_public_url=PUBLIC)
    assert key_of(HOUSE, ours) == KEY
    assert key_of(HOUSE, link(HOUSE, KEY)) == KEY


def test_a_public_url_without_r2_moves_nothing(setting: Callable[..., None]) -> None:
    setting(r2_public_url=PUBLIC)
    assert link(HOUSE, KEY).startswith(HOUSE)
    with pytest.raises(InvalidInput):
        key_of(HOUSE, f"{PUBLIC}/{KEY}")


@pytest.mark.usefixtures("r2")
@pytest.mark.parametrize(
    "url",
    [
        f"https://elsewhere.example/files/{KEY}",
        f"http://estilista.example/files/{KEY}",
        f"https://estilista.example.evil/files/{KEY}",
        f"https://cdn.estilista.example/{KEY}",
        f"https://cdn.estilista.example/tallerx/{KEY}",
        f"{PUBLIC}/../{KEY}",
        f"{HOUSE}/files/a/%2e%2e/b",
        f"{HOUSE}/files/",
        "file:///etc/passwd",
        "http://[",
        "",
    ],
)
def test_any_other_address_is_refused(setting: Callable[..., None], url: str) -> None:
    setting(r2_public_url=PUBLIC)
    with pytest.raises(InvalidInput):
        key_of(HOUSE, url)
