"""What every store promises, checked on each: a folder, R2 on our strict fake, R2 on moto.

moto is somebody else's reading of S3's shapes; it checks neither hashes nor credentials. The fake
checks both. None of this has been run against R2 itself.
"""

import hashlib
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from models.errors import NotFound, StorageError
from models.r2 import R2Storage, r2_client
from models.settings import R2Access
from models.storage import FolderStorage, Storage, put_named_by_hash
from tests.s3_fake import S3Fake

PICTURE = bytes(range(256)) * 3000  # 768 kB: several chunks and packets, as a render has
OTHER = PICTURE[::-1]
KEY = "renders/7b1c/9d2e/recto-1a2b3c4d.jpg"
PAGE = 3  # objects in one answer of the fake's listings


@pytest.fixture(scope="module")
def on_fake() -> Iterator[tuple[S3Fake, R2Storage]]:
    with S3Fake() as fake:
        yield fake, r2_at(fake.url, fake.access_key_id, fake.secret_access_key)


@pytest.fixture(scope="module")
def on_moto() -> Iterator[R2Storage]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    httpx.put(f"http://{host}:{port}/estilista", trust_env=False).raise_for_status()
    yield r2_at(f"http://{host}:{port}", "id", "clave")
    server.stop()


@pytest.fixture(params=["folder", "r2 on the fake", "r2 on moto"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    match request.param:
        case "folder":
            yield FolderStorage(tmp_path / "files")
        case "r2 on the fake":
            fake, store = request.getfixturevalue("on_fake")
            fake.reset()
            fake.page_size = PAGE
            yield store
        case _:
            store = request.getfixturevalue("on_moto")
            yield store
            for stored in store.list(""):
                store.delete(stored.key)


def r2_at(url: str, access_key_id: str, secret_access_key: str) -> R2Storage:
    secrets = SecretStr(access_key_id), SecretStr(secret_access_key)
    return R2Storage(r2_client(R2Access(url, *secrets, "estilista")), "estilista")


def keys(store: Storage, prefix: str) -> list[str]:
    return sorted(stored.key for stored in store.list(prefix))


@pytest.mark.parametrize("content", [PICTURE, b"", b"\r\n\0"], ids=["picture", "empty", "odd"])
def test_what_was_put_is_got_byte_for_byte(store: Storage, content: bytes) -> None:
    store.put(KEY, content, "image/jpeg")
    assert store.get(KEY) == content


def test_an_object_is_read_in_chunks_and_its_size_is_known_first(store: Storage) -> None:
    store.put(KEY, PICTURE, "image/jpeg")
    reading = store.open(KEY)
    assert reading.size_bytes == len(PICTURE)
    chunks = list(reading.chunks)
    assert b"".join(chunks) == PICTURE
    assert len(chunks) > 1


def test_the_same_bytes_again_are_no_error(store: Storage) -> None:
    store.put(KEY, PICTURE, "image/jpeg")
    store.put(KEY, PICTURE, "image/jpeg")
    assert store.get(KEY) == PICTURE


def test_an_object_never_changes(store: Storage) -> None:
    store.put(KEY, PICTURE, "image/jpeg")
    with pytest.raises(StorageError, match="recto-1a2b3c4d"):
        store.put(KEY, OTHER, "image/jpeg")
    assert store.get(KEY) == PICTURE


def test_a_broken_copy_under_a_name_made_of_the_hash_is_replaced(store: Storage) -> None:
    store.put(KEY, PICTURE[:1000], "image/jpeg")
    put_named_by_hash(store, KEY, PICTURE, "image/jpeg")
    assert store.get(KEY) == PICTURE
    put_named_by_hash(store, KEY, PICTURE, "image/jpeg")
    assert store.get(KEY) == PICTURE


def test_of_many_that_put_under_one_key_at_once_one_wins(store: Storage) -> None:
    contents = [hashlib.sha256(bytes([n])).digest() * 500 for n in range(12)]
    won: list[bytes] = []
    start = threading.Barrier(len(contents))

    def put(content: bytes) -> None:
        start.wait(10)
        try:
            store.put(KEY, content, "image/jpeg")
        except StorageError:
            return
        won.append(content)

    threads = [threading.Thread(target=put, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert won == [store.get(KEY)]


def test_what_is_not_there_is_not_found(store: Storage) -> None:
    with pytest.raises(NotFound):
        store.get(KEY)
    with pytest.raises(NotFound):
        store.open(KEY)


def test_a_key_that_is_only_the_start_of_another_is_not_found(store: Storage) -> None:
    store.put(KEY, PICTURE, "image/jpeg")
    with pytest.raises(NotFound):
        store.get(KEY.rpartition("/")[0])


def test_a_deleted_object_is_gone_and_may_be_deleted_again(store: Storage) -> None:
    store.put(KEY, PICTURE, "image/jpeg")
    store.delete(KEY)
    with pytest.raises(NotFound):
        store.get(KEY)
    store.delete(KEY)


@pytest.mark.parametrize(
    "key",
    ["", "../secret", "a/../b", "/etc/passwd", "a//b", "a/", ".hidden", "a b", "ñ"],
)
def test_what_is_no_key_reaches_no_store(store: Storage, key: str) -> None:
    for use in (store.get, store.open, store.delete, lambda k: store.put(k, b"x", "text/plain")):
        with pytest.raises(NotFound):
            use(key)
    assert keys(store, "") == []


@pytest.mark.parametrize("longest", ["x" * 255, "/".join(["x" * 127] * 4)])
def test_a_key_may_be_so_long_and_no_longer(store: Storage, longest: str) -> None:
    store.put(longest, b"x", "text/plain")
    assert store.get(longest) == b"x"
    with pytest.raises(NotFound):
        store.get(longest + "/x" if "/" in longest else longest + "x")


def test_a_listing_has_every_object_under_the_prefix_and_no_other(store: Storage) -> None:
    wanted = [f"renders/a/{n}.jpg" for n in range(2 * PAGE + 1)]  # several pages, the last not full
    for key in [*wanted, "renders/ab.jpg", "renders/b.jpg", "swatches/a.jpg"]:
        store.put(key, key.encode(), "image/jpeg")
    assert keys(store, "renders/a/") == wanted
    assert keys(store, "renders/a") == [*wanted, "renders/ab.jpg"]
    assert len(keys(store, "")) == len(wanted) + 3
    assert keys(store, "nothing/here/") == []


def test_a_page_that_is_just_full_is_the_last(store: Storage) -> None:
    for n in range(PAGE):
        store.put(f"renders/{n}", b"x", "text/plain")
    assert keys(store, "renders/") == ["renders/0", "renders/1", "renders/2"]


def test_a_listing_gives_size_and_time(store: Storage) -> None:
    store.put(KEY, PICTURE, "image/jpeg")
    (stored,) = store.list("renders/")
    assert stored.size_bytes == len(PICTURE)
    assert abs(stored.modified_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_store_that_works_passes_its_check_every_time(store: Storage) -> None:
    store.check()
    store.check()


def test_a_folder_makes_the_names_durable_that_lead_to_an_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(
        "os.fsync", lambda fd: synced.append(Path(os.readlink(f"/proc/self/fd/{fd}")))
    )
    FolderStorage(tmp_path).put("renders/job/x.jpg", PICTURE, "image/jpeg")
    assert synced == [tmp_path / "renders" / "job", tmp_path / "renders", tmp_path]
