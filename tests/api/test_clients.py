"""The client book over HTTP: what it keeps, hands out and erases, and what it never says."""

import io
import json
import logging
import zipfile
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from models import clients, doomed
from models.database import transaction
from models.errors import DatabaseUnavailable, StorageError
from models.storage import FolderStorage, storage
from tests.log_lines import without_chance, written
from tests.orders import BOTH, place, sql
from tests.pictures import PICTURE, finished_order, stored
from tests.wire import problem

BOOK = "/api/v1/clients"
NAME, PHONE, NOTE = "Sofía Canario", "+52 55 7654 3210", "Canario: solapa ancha"


@pytest.fixture(autouse=True)
def empty_storage(clean: None) -> None:
    for key in stored("renders/"):
        storage().delete(key)


@pytest.fixture
def sofia(owner: httpx.Client) -> dict[str, Any]:
    answer = owner.post(BOOK, json=facts(consents=True))
    assert answer.status_code == 201, answer.text
    written: dict[str, Any] = answer.json()
    return written


def facts(**more: Any) -> dict[str, Any]:
    return {"name": NAME, "phone": PHONE, "note": NOTE} | more


def attach(owner: httpx.Client, client: dict[str, Any], order: UUID) -> None:
    assert owner.put(f"{BOOK}/{client['id']}/looks/{order}").status_code == 204


def test_a_client_is_written_down_found_and_read(
    owner: httpx.Client, sofia: dict[str, Any]
) -> None:
    assert sofia["consented_at"].endswith("Z")
    assert sofia["consent_withdrawn_at"] is None
    (row,) = owner.get(BOOK, params={"q": "sofia 7654"}).json()
    assert (row["id"], row["name"], row["looks"]) == (sofia["id"], NAME, 0)
    answer = owner.get(f"{BOOK}/{sofia['id']}")
    assert answer.json() == sofia
    assert answer.headers["cache-control"] == "private, no-store"


def test_without_consent_nobody_is_written_down(owner: httpx.Client) -> None:
    answer = owner.post(BOOK, json=facts(consents=False))
    assert problem(answer, 422) == "invalid-input"
    assert answer.json()["errors"][0]["pointer"] == "/consents"
    assert owner.get(BOOK).json() == []


def test_a_stale_change_is_refused(owner: httpx.Client, sofia: dict[str, Any]) -> None:
    url = f"{BOOK}/{sofia['id']}"
    assert owner.put(url, json=facts(note="a", version=1)).json()["version"] == 2
    assert problem(owner.put(url, json=facts(note="b", version=1)), 409) == "edited-meanwhile"
    assert owner.get(url).json()["note"] == "a"


def test_withdrawn_consent_ends_what_is_added(owner: httpx.Client, sofia: dict[str, Any]) -> None:
    url = f"{BOOK}/{sofia['id']}"
    withdrawn = owner.put(f"{url}/consent", json={"given": False}).json()
    assert withdrawn["consent_withdrawn_at"] is not None
    assert problem(owner.put(url, json=facts(version=2)), 409) == "no-consent"
    assert problem(owner.put(f"{url}/looks/{place()}"), 409) == "no-consent"
    assert owner.put(f"{url}/consent", json={"given": True}).json()["consent_withdrawn_at"] is None
    assert owner.put(url, json=facts(version=3)).status_code == 200


def test_looks_are_attached_and_detached_and_the_order_stays_as_it_was(
    owner: httpx.Client, client: httpx.Client, sofia: dict[str, Any]
) -> None:
    order = finished_order()
    before = client.get(f"/jobs/{order}").json()
    attach(owner, sofia, order)
    (look,) = owner.get(f"{BOOK}/{sofia['id']}/looks").json()
    assert look["order"]["id"] == str(order)
    assert owner.delete(f"{BOOK}/{sofia['id']}/looks/{order}").status_code == 204
    assert owner.get(f"{BOOK}/{sofia['id']}/looks").json() == []
    assert problem(owner.delete(f"{BOOK}/{sofia['id']}/looks/{order}"), 404) == "not-found"
    after = client.get(f"/jobs/{order}").json()
    assert [cut["cut"] for cut in after["images"]] == [cut["cut"] for cut in before["images"]]
    assert problem(owner.put(f"{BOOK}/{sofia['id']}/looks/{uuid4()}"), 404) == "not-found"


def test_an_export_holds_what_is_written_and_every_picture(
    owner: httpx.Client, sofia: dict[str, Any]
) -> None:
    attach(owner, sofia, finished_order(BOTH))
    answer = owner.post(f"{BOOK}/{sofia['id']}/export")
    assert answer.headers["content-type"] == "application/zip"
    assert NAME not in str(answer.headers)
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    about = json.loads(archive.read("client.json"))
    assert about["client"]["phone"] == PHONE
    assert about["missing"] == []
    (look,) = about["looks"]
    assert len(look["files"]) == 2
    assert all(archive.read(name) == PICTURE for name in look["files"])
    assert sorted(archive.namelist()) == sorted([*look["files"], "client.json"])


def test_an_export_names_the_picture_that_is_missing(
    owner: httpx.Client, sofia: dict[str, Any]
) -> None:
    attach(owner, sofia, finished_order())
    for key in stored("renders/"):
        storage().delete(key)
    answer = owner.post(f"{BOOK}/{sofia['id']}/export")
    about = json.loads(zipfile.ZipFile(io.BytesIO(answer.content)).read("client.json"))
    assert about["missing"] == about["looks"][0]["files"]


def test_erasing_leaves_nothing_to_read_and_no_object(
    owner: httpx.Client, client: httpx.Client, sofia: dict[str, Any]
) -> None:
    order = finished_order()
    attach(owner, sofia, order)
    picture = client.get(f"/jobs/{order}").json()["images"][0]["url"]
    assert client.get(picture).status_code == 200
    answer = owner.delete(f"{BOOK}/{sofia['id']}")
    assert answer.json() == {"objects_left": 0}
    assert client.get(picture).status_code == 404
    assert client.get(f"/jobs/{order}").status_code == 404
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/export"), ("GET", "/looks")):
        again = owner.request(method, f"{BOOK}/{sofia['id']}{path}")
        assert problem(again, 404) == "not-found"
    assert stored("renders/") == set()


def test_a_store_that_fails_while_erasing_is_asked_again(
    owner: httpx.Client, sofia: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    attach(owner, sofia, finished_order())

    def refuse(self: FolderStorage, key: str) -> None:
        raise StorageError("out of order")

    with monkeypatch.context() as broken:
        broken.setattr(FolderStorage, "delete", refuse)
        assert owner.delete(f"{BOOK}/{sofia['id']}").json() == {"objects_left": 1}
    assert owner.get(BOOK).json() == []
    assert len(stored("renders/")) == 1
    assert doomed.delete(storage()) == 0
    assert stored("renders/") == set()


def test_no_log_line_and_no_audit_row_holds_anything_personal(
    owner: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Canaries: a name, a number and a note go through every route, and through an error."""
    with caplog.at_level(logging.DEBUG):
        sofia = owner.post(BOOK, json=facts(consents=True)).json()
        url = f"{BOOK}/{sofia['id']}"
        owner.get(BOOK, params={"q": "Canario"})
        owner.put(url, json=facts(note=f"{NOTE} y botones", version=1))
        owner.put(url, json=facts(note=f"{NOTE}\x00", version=2))
        owner.post(f"{url}/lookbooks", json={"title": f"Canario {PHONE}"})
        owner.post(f"{url}/export")
        owner.delete(url)
        _fail_in_the_database()
    said = written(caplog) + sql("SELECT string_agg(CAST(audit AS text), ' ') FROM audit")
    assert '"path": "/api/v1/clients"' in said
    told = without_chance(said)
    assert not [word for word in ("Canario", "canario", "7654", "5576543210") if word in told]


def _fail_in_the_database() -> None:
    """A statement with personal values fails as one does that the server gave up on, and its trace
    is logged, as api/errors.py does."""
    with transaction() as other:
        other.connection().exec_driver_sql("LOCK clients")
        with pytest.raises(DatabaseUnavailable) as failed:
            _add_without_waiting()
    assert isinstance(failed.value.__cause__, OperationalError)
    assert "INSERT INTO clients" in str(failed.value.__cause__)
    logging.getLogger("api.errors").error("unavailable", exc_info=failed.value)


def _add_without_waiting() -> None:
    with transaction() as session:
        session.connection().exec_driver_sql("SET LOCAL lock_timeout = '1ms'")
        clients.add(session, clients.Facts(NAME, PHONE, NOTE), True, "user:1")
