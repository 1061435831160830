"""R2Storage against a strict store on which everything breaks once, or for good.

What must hold whatever the store does: `put` returns only if the bytes are there; an error says so
in time, within four tries, and without a secret in it.
"""

import hashlib
import time
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, get_args

import httpx
import pytest
from pydantic import SecretStr, ValidationError

from models import r2
from models.errors import StorageError
from models.patience import Patience
from models.r2 import R2Storage, r2_client
from models.settings import R2Access, Settings, settings
from models.storage import FolderStorage, storage
from tests.conftest import run_python
from tests.s3_fake import EXPIRES_SECONDS_MAX, Fault, S3Fake

KEY = "renders/7b1c/9d2e/recto-1a2b3c4d.jpg"
PICTURE = bytes(range(256)) * 400
JPEG = "image/jpeg"

# Each is over at the next try. "garbled" is a bit that flips on the way to the store.
PASSING: list[Fault] = ["500", "503", "hang", "cut", "answer-lost", "garbled"]
LIES: list[Fault] = ["truncated", "corrupted"]  # answered with 200, stored otherwise


@pytest.fixture(scope="module")
def server() -> Iterator[S3Fake]:
    with S3Fake() as fake:
        yield fake


@pytest.fixture
def fake(server: S3Fake) -> Iterator[S3Fake]:
    yield server
    server.reset()


@pytest.fixture(scope="module")
def client(server: S3Fake) -> Any:
    return r2_client(access(server))


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def fault() -> Fault | None:
    """What breaks; a test that is parametrised with it overrides this."""
    return None


@pytest.fixture
def store(client: Any, fake: S3Fake, pauses: list[float], fault: Fault | None) -> R2Storage:
    """Impatient only where a test must wait for its time to be up."""
    try_seconds = 0.3 if fault in ("hang", "slow") else 5
    patience = Patience(try_seconds=try_seconds, total_seconds=10, pause=pauses.append)
    return R2Storage(client, fake.bucket, patience)


def access(fake: S3Fake, **changed: Any) -> R2Access:
    secrets = SecretStr(fake.access_key_id), SecretStr(fake.secret_access_key)
    return replace(R2Access(fake.url, *secrets, fake.bucket), **changed)


def stored(fake: S3Fake) -> bytes:
    return fake.objects[KEY].content


# --- one put --------------------------------------------------------------------------------------


def test_a_put_sends_its_hash_its_condition_and_nothing_that_r2_lacks(
    store: R2Storage, fake: S3Fake
) -> None:
    store.put(KEY, PICTURE, JPEG)
    put, get = fake.asked
    sha256 = hashlib.sha256(PICTURE)
    assert put.headers["x-amz-checksum-sha256"] == b64encode(sha256.digest()).decode()
    assert put.headers["x-amz-content-sha256"] == sha256.hexdigest()
    assert put.headers["if-none-match"] == "*"
    assert put.headers["content-type"] == JPEG
    assert "/auto/s3/aws4_request" in put.headers["authorization"]
    unwanted = ("x-amz-acl", "x-amz-trailer", "x-amz-checksum-crc32", "content-encoding")
    assert [name for name in unwanted if name in put.headers] == []
    assert "x-amz-checksum-mode" not in get.headers


def test_a_put_reads_back_what_was_stored(store: R2Storage, fake: S3Fake) -> None:
    store.put(KEY, PICTURE, JPEG)
    assert fake.operations() == ["PUT", "GET"]


@pytest.mark.parametrize(
    ("key", "cached"),
    [
        ("renders/job/claim/recto-1.jpg", "private, max-age=3600"),
        ("swatches/abc.jpg", "private, max-age=3600"),
        ("catalogue/azul-1.png", "public, max-age=31536000, immutable"),
    ],
)
def test_only_the_catalogue_may_be_kept_by_shared_caches(
    store: R2Storage, fake: S3Fake, key: str, cached: str
) -> None:
    store.put(key, PICTURE, JPEG)
    assert fake.objects[key].headers["cache-control"] == cached


def test_a_bit_that_flips_on_the_way_is_refused_by_the_store_and_sent_again(
    store: R2Storage, fake: S3Fake
) -> None:
    fake.will("PUT", "garbled")
    store.put(KEY, PICTURE, JPEG)
    assert fake.operations() == ["PUT", "PUT", "GET"]
    assert stored(fake) == PICTURE


@pytest.mark.parametrize("fault", PASSING)
def test_a_put_outlives_what_passes(store: R2Storage, fake: S3Fake, fault: Fault) -> None:
    fake.will("PUT", fault)
    store.put(KEY, PICTURE, JPEG)
    assert stored(fake) == PICTURE


@pytest.mark.parametrize("fault", ["500", "503", "hang", "cut", "slow"])
def test_a_put_outlives_a_read_back_that_breaks(
    store: R2Storage, fake: S3Fake, fault: Fault
) -> None:
    fake.will("GET", fault)
    store.put(KEY, PICTURE, JPEG)
    assert stored(fake) == PICTURE


@pytest.mark.parametrize("fault", [fault for fault in PASSING if fault != "answer-lost"])
def test_a_put_that_never_works_gives_up_after_four_tries(
    store: R2Storage, fake: S3Fake, fault: Fault
) -> None:
    fake.will("PUT", fault, times=20)
    with pytest.raises(StorageError, match="cannot store renders/7b1c"):
        store.put(KEY, PICTURE, JPEG)
    assert fake.operations() == ["PUT"] * 4
    assert fake.objects == {}


def test_a_put_whose_answer_is_lost_is_not_lost(store: R2Storage, fake: S3Fake) -> None:
    """The second try meets its own first: 412, and the bytes that are there are the right ones."""
    fake.will("PUT", "answer-lost")
    store.put(KEY, PICTURE, JPEG)
    assert fake.operations() == ["PUT", "PUT", "GET"]
    assert stored(fake) == PICTURE


def test_an_object_that_was_accepted_and_lost_is_put_again(store: R2Storage, fake: S3Fake) -> None:
    fake.will("PUT", "lost")
    store.put(KEY, PICTURE, JPEG)
    assert stored(fake) == PICTURE


def test_an_object_that_is_lost_every_time_is_an_error(store: R2Storage, fake: S3Fake) -> None:
    fake.will("PUT", "lost", times=20)
    with pytest.raises(StorageError, match="accepted and is not there"):
        store.put(KEY, PICTURE, JPEG)
    assert fake.operations() == ["PUT", "GET"] * 4


@pytest.mark.parametrize("fault", LIES)
def test_an_object_stored_otherwise_is_an_error_and_is_left_alone(
    store: R2Storage, fake: S3Fake, fault: Fault
) -> None:
    fake.will("PUT", fault)
    with pytest.raises(StorageError, match="does not hold the bytes"):
        store.put(KEY, PICTURE, JPEG)
    assert "DELETE" not in fake.operations()
    with pytest.raises(StorageError):  # the same again: the broken object is still in the way
        store.put(KEY, PICTURE, JPEG)


@pytest.mark.parametrize("fault", LIES)
def test_a_lie_whose_answer_is_lost_is_found_out_too(
    store: R2Storage, fake: S3Fake, fault: Fault
) -> None:
    fake.will("PUT", fault)
    fake.will("GET", "500")
    with pytest.raises(StorageError, match="does not hold the bytes"):
        store.put(KEY, PICTURE, JPEG)


def test_a_read_back_with_a_flipped_bit_proves_nothing(store: R2Storage, fake: S3Fake) -> None:
    fake.will("GET", "garbled")
    with pytest.raises(StorageError, match="does not hold the bytes"):
        store.put(KEY, PICTURE, JPEG)


def test_an_etag_proves_nothing_and_is_not_asked(store: R2Storage, fake: S3Fake) -> None:
    fake.will("PUT", "wrong-etag")
    store.put(KEY, PICTURE, JPEG)
    assert fake.operations() == ["PUT", "GET"]


def test_somebody_elses_object_is_never_replaced(store: R2Storage, fake: S3Fake) -> None:
    store.put(KEY, PICTURE, JPEG)
    with pytest.raises(StorageError, match="does not hold the bytes"):
        store.put(KEY, PICTURE[1:], JPEG)
    assert stored(fake) == PICTURE


# --- the lease meanwhile --------------------------------------------------------------------------


def test_ticks_run_between_tries(store: R2Storage, fake: S3Fake) -> None:
    fake.will("PUT", "503", times=3)
    ticks: list[str] = []
    store.put(KEY, PICTURE, JPEG, lambda: ticks.append("tick"))
    assert len(ticks) == 3


@pytest.mark.parametrize("fault", ["503", "hang"])
def test_a_worker_told_to_stop_does_not_try_again(
    store: R2Storage, fake: S3Fake, fault: Fault
) -> None:
    class Stopping(Exception):
        pass

    def tick() -> None:
        raise Stopping

    fake.will("PUT", fault, times=3)
    with pytest.raises(Stopping):
        store.put(KEY, PICTURE, JPEG, tick)
    assert fake.operations() == ["PUT"]


def test_tries_come_back_at_different_times(
    store: R2Storage, fake: S3Fake, pauses: list[float]
) -> None:
    fake.will("PUT", "503", times=3)
    store.put(KEY, PICTURE, JPEG)
    assert len(pauses) == 3
    assert pauses != [0.2, 0.4, 0.8]
    assert sum(pauses) < 1.4


def test_a_store_that_hangs_for_good_costs_no_more_than_the_total(
    client: Any, fake: S3Fake
) -> None:
    impatient = R2Storage(client, fake.bucket, Patience(try_seconds=0.1, total_seconds=0.3))
    fake.will("PUT", "hang", times=9)
    started = time.monotonic()
    with pytest.raises(StorageError, match="no answer in time"):
        impatient.put(KEY, PICTURE, JPEG)
    assert time.monotonic() - started < 2


def test_the_clients_own_timeouts_are_under_a_lease_of_15_s_and_it_tries_once(client: Any) -> None:
    config = client.meta.config
    assert (config.connect_timeout, config.read_timeout) == (3.0, 5.0)
    assert config.retries["total_max_attempts"] == 1
    assert client.meta.region_name == "auto"


def test_the_client_adds_no_checksums_of_its_own_and_signs_bodies_over_tls_as_well(
    client: Any,
) -> None:
    """The fake speaks no TLS, under which boto3's defaults are others."""
    config = client.meta.config
    assert config.request_checksum_calculation == "when_required"
    assert config.response_checksum_validation == "when_required"
    assert config.s3["payload_signing_enabled"] is True


# --- reading, listing, deleting, checking ---------------------------------------------------------


@pytest.mark.parametrize("fault", ["500", "503", "hang", "cut", "slow"])
def test_a_read_outlives_what_passes(store: R2Storage, fake: S3Fake, fault: Fault) -> None:
    store.put(KEY, PICTURE, JPEG)
    fake.will("GET", fault)
    assert store.get(KEY) == PICTURE


@pytest.mark.parametrize("fault", ["500", "503", "hang", "cut", "slow"])
def test_a_read_that_never_works_is_an_error_and_never_half_an_object(
    store: R2Storage, fake: S3Fake, fault: Fault
) -> None:
    store.put(KEY, PICTURE, JPEG)
    fake.will("GET", fault, times=20)
    with pytest.raises(StorageError, match="cannot read"):
        store.get(KEY)
    assert fake.operations()[2:] == ["GET"] * 4


def test_a_stream_that_is_cut_raises_instead_of_ending(store: R2Storage, fake: S3Fake) -> None:
    store.put(KEY, PICTURE, JPEG)
    fake.will("GET", "cut")
    reading = store.open(KEY)
    assert reading.size_bytes == len(PICTURE)
    with pytest.raises(StorageError, match="cannot read"):
        list(reading.chunks)


def test_an_object_that_trickles_is_given_up_in_time(client: Any, fake: S3Fake) -> None:
    store = R2Storage(client, fake.bucket, Patience(tries_max=1, try_seconds=0.1))
    store.put(KEY, PICTURE, JPEG)
    fake.will("GET", "slow")
    started = time.monotonic()
    with pytest.raises(StorageError, match="no answer in time"):
        store.get(KEY)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("fault", ["500", "503", "hang", "cut", "answer-lost"])
def test_a_delete_outlives_what_passes(store: R2Storage, fake: S3Fake, fault: Fault) -> None:
    store.put(KEY, PICTURE, JPEG)
    fake.will("DELETE", fault)
    store.delete(KEY)
    assert fake.objects == {}


@pytest.mark.parametrize("fault", ["500", "503", "hang"])
def test_a_listing_outlives_what_passes_in_mid_pages(
    store: R2Storage, fake: S3Fake, fault: Fault
) -> None:
    wanted = [f"renders/{n}" for n in range(5)]
    for key in wanted:
        store.put(key, b"x", "text/plain")
    fake.page_size = 2
    listing = store.list("renders/")
    first = next(listing)
    fake.will("LIST", fault)
    assert [first.key, *(entry.key for entry in listing)] == wanted


@pytest.mark.parametrize("fault", ["500", "503", "hang", "cut", "lost", "corrupted"])
def test_a_check_says_at_once_that_a_store_does_not_work(
    store: R2Storage, fake: S3Fake, fault: Fault
) -> None:
    fake.will("PUT", fault)
    with pytest.raises(StorageError):
        store.check()
    assert fake.operations().count("PUT") == 1


def test_a_check_finds_out_that_nothing_can_be_written(client: Any, fake: S3Fake) -> None:
    with pytest.raises(StorageError, match="NoSuchBucket"):
        R2Storage(client, "another").check()


# --- credentials ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"secret_access_key": SecretStr("wrong-but-secret-too")}, "403 SignatureDoesNotMatch"),
        ({"access_key_id": SecretStr("id-of-somebody-else")}, "403 InvalidAccessKeyId"),
    ],
)
def test_a_wrong_key_is_refused_once_and_is_no_missing_object(
    fake: S3Fake, changed: dict[str, Any], code: str
) -> None:
    store = R2Storage(r2_client(access(fake, **changed)), fake.bucket)
    with pytest.raises(StorageError, match=code):
        store.put(KEY, PICTURE, JPEG)
    with pytest.raises(StorageError, match=code):
        store.get(KEY)
    assert fake.operations() == ["PUT", "GET"]
    assert fake.objects == {}


def test_an_unknown_bucket_is_an_error_and_no_missing_object(client: Any, fake: S3Fake) -> None:
    with pytest.raises(StorageError, match="404 NoSuchBucket"):
        R2Storage(client, "another").get(KEY)


@pytest.mark.parametrize("fault", ["503", "cut", "hang", "truncated", None])
def test_no_error_shows_a_secret_an_address_or_an_account(
    store: R2Storage, fake: S3Fake, fault: Fault | None
) -> None:
    wrong = access(fake, secret_access_key=SecretStr("wrong-but-secret-too"))
    broken = store if fault else R2Storage(r2_client(wrong), fake.bucket)
    if fault:
        fake.will("PUT", fault, times=20)
    with pytest.raises(StorageError) as caught:
        broken.put(KEY, PICTURE, JPEG)
    shown = "".join(traceback.format_exception(caught.value))
    for secret in (fake.secret_access_key, fake.access_key_id, "wrong-but-secret-too", "127.0.0.1"):
        assert secret not in shown


# --- signed links ---------------------------------------------------------------------------------


def test_a_signed_link_reads_without_credentials_until_it_expires(
    store: R2Storage, fake: S3Fake
) -> None:
    store.put(KEY, PICTURE, JPEG)
    url = store.signed_get(KEY, 60)
    fake.now_seconds = time.time() + 50
    assert httpx.get(url, trust_env=False).content == PICTURE
    fake.now_seconds = time.time() + 70
    assert httpx.get(url, trust_env=False).status_code == 403


def test_a_signed_link_opens_no_other_object_and_no_other_verb(
    store: R2Storage, fake: S3Fake
) -> None:
    store.put(KEY, PICTURE, JPEG)
    store.put("renders/other.jpg", PICTURE, JPEG)
    url = store.signed_get(KEY, 60)
    moved = url.replace(KEY, "renders/other.jpg")
    assert httpx.get(moved, trust_env=False).status_code == 403
    assert httpx.delete(url, trust_env=False).status_code == 403
    assert len(fake.objects) == 2


@pytest.mark.parametrize(("asked", "given"), [(10**9, EXPIRES_SECONDS_MAX), (0, 1), (-5, 1)])
def test_a_signed_link_lives_between_a_second_and_seven_days(
    store: R2Storage, asked: int, given: int
) -> None:
    url = httpx.URL(store.signed_get(KEY, asked))
    assert url.params["X-Amz-Expires"] == str(given)


def signed_put(store: R2Storage) -> r2.SignedPut:
    return store.signed_put(KEY, JPEG, len(PICTURE), hashlib.sha256(PICTURE).digest(), 60)


def test_a_signed_put_stores_these_bytes_once(store: R2Storage, fake: S3Fake) -> None:
    signed = signed_put(store)
    first = httpx.put(signed.url, headers=signed.headers, content=PICTURE, trust_env=False)
    again = httpx.put(signed.url, headers=signed.headers, content=PICTURE, trust_env=False)
    assert (first.status_code, again.status_code) == (200, 412)
    assert stored(fake) == PICTURE


@pytest.mark.parametrize(
    ("content", "changed"),
    [
        (PICTURE + b"more", {"Content-Length": str(len(PICTURE) + 4)}),
        (PICTURE[::-1], {}),
        (PICTURE, {"Content-Type": "text/html"}),
        (PICTURE, {"If-None-Match": '"etag"'}),
    ],
    ids=["longer", "other bytes", "other type", "no condition"],
)
def test_a_signed_put_stores_nothing_else(
    store: R2Storage, fake: S3Fake, content: bytes, changed: dict[str, str]
) -> None:
    signed = signed_put(store)
    headers = signed.headers | changed
    answer = httpx.put(signed.url, headers=headers, content=content, trust_env=False)
    assert answer.status_code in (400, 403)
    assert fake.objects == {}


# --- the fake is strict ---------------------------------------------------------------------------


def test_the_fake_refuses_a_wrong_sha256_and_a_wrong_md5(client: Any, fake: S3Fake) -> None:
    wrong: dict[str, Callable[[bytes], Any]] = {
        "ChecksumSHA256": hashlib.sha256,
        "ContentMD5": hashlib.md5,
    }
    for name, algorithm in wrong.items():
        given = {name: b64encode(algorithm(b"other").digest()).decode()}
        with pytest.raises(client.exceptions.ClientError, match="BadDigest"):
            client.put_object(Bucket=fake.bucket, Key=KEY, Body=PICTURE, **given)
    assert fake.objects == {}


def test_the_fake_refuses_what_r2_does_not_have(client: Any, fake: S3Fake) -> None:
    for given in ({"ACL": "private"}, {"Tagging": "a=b"}, {"ChecksumCRC32": "AAAAAA=="}):
        with pytest.raises(client.exceptions.ClientError, match="NotImplemented"):
            client.put_object(Bucket=fake.bucket, Key=KEY, Body=PICTURE, **given)
    url = f"{fake.url}/{fake.bucket}"
    streamed = {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}
    chunked = {"content-encoding": "aws-chunked"}
    assert httpx.post(url, content=b"policy", trust_env=False).status_code == 501
    for headers in (streamed, chunked, {"x-amz-trailer": "x-amz-checksum-crc32"}):
        answer = httpx.put(f"{url}/{KEY}", headers=headers, content=b"x", trust_env=False)
        assert answer.status_code == 501
    assert fake.objects == {}


def test_the_fake_refuses_a_request_without_signature_or_out_of_time(
    client: Any, fake: S3Fake
) -> None:
    url = f"{fake.url}/{fake.bucket}/{KEY}"
    assert httpx.get(url, trust_env=False).status_code == 403
    fake.now_seconds = time.time() + 3600
    with pytest.raises(client.exceptions.ClientError, match="RequestTimeTooSkewed"):
        client.get_object(Bucket=fake.bucket, Key=KEY)


def test_the_fake_refuses_a_header_changed_on_the_way(store: R2Storage, fake: S3Fake) -> None:
    store.put(KEY, PICTURE, JPEG)
    put = fake.asked[0]
    fake.objects.clear()
    url = f"{fake.url}{put.path}"
    changed = {**put.headers, "x-amz-meta-owner": "me"}
    for headers in (changed, {**put.headers, "content-type": "text/html"}):
        answer = httpx.put(url, headers=headers, content=PICTURE, trust_env=False)
        assert answer.status_code == 403
    assert httpx.put(url, headers=dict(put.headers), content=PICTURE, trust_env=False).is_success


def test_every_fault_of_the_fake_is_used_here() -> None:
    used = {*PASSING, *LIES, "slow", "lost", "wrong-etag"}
    assert used == set(get_args(Fault))


# --- settings -------------------------------------------------------------------------------------

COMPLETE = {
    "STORAGE_BACKEND": "r2",
    "R2_ACCOUNT_ID": "0a1b2c",
    "R2_ACCESS_KEY_ID": "id-canary",
    "R2_SECRET_ACCESS_KEY": "secret-canary",
    "R2_BUCKET_NAME": "estilista",
}


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Settings]]:
    def configure(**changed: str) -> Settings:
        for name, value in (COMPLETE | changed).items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()
        storage.cache_clear()
        return settings()

    yield configure
    monkeypatch.undo()
    settings.cache_clear()
    storage.cache_clear()


@pytest.mark.parametrize("missing", [name for name in COMPLETE if name != "STORAGE_BACKEND"])
@pytest.mark.parametrize("value", ["", "not-used"])
def test_an_incomplete_r2_is_refused_at_the_start_by_name(
    configured: Callable[..., Settings], missing: str, value: str
) -> None:
    with pytest.raises(ValidationError, match=missing) as caught:
        configured(**{missing: value})
    others = set(COMPLETE) - {missing, "STORAGE_BACKEND"}
    assert [name for name in others if name in str(caught.value)] == []
    assert "canary" not in str(caught.value)


def test_an_endpoint_of_its_own_needs_no_account(configured: Callable[..., Settings]) -> None:
    given = configured(
        R2_ACCOUNT_ID="", R2_ENDPOINT_URL="https://0a1b2c.eu.r2.cloudflarestorage.com"
    )
    assert given.r2_access.endpoint_url == "https://0a1b2c.eu.r2.cloudflarestorage.com"


def test_the_endpoint_is_the_accounts(configured: Callable[..., Settings]) -> None:
    assert configured().r2_access.endpoint_url == "https://0a1b2c.r2.cloudflarestorage.com"


def test_the_settings_choose_the_store(configured: Callable[..., Settings], fake: S3Fake) -> None:
    configured(
        R2_ENDPOINT_URL=fake.url,
        R2_ACCESS_KEY_ID=fake.access_key_id,
        R2_SECRET_ACCESS_KEY=fake.secret_access_key,
    )
    storage().put(KEY, PICTURE, JPEG)
    assert stored(fake) == PICTURE
    configured(STORAGE_BACKEND="local")
    assert isinstance(storage(), FolderStorage)


def test_production_does_not_publish_through_r2_dev(configured: Callable[..., Settings]) -> None:
    safe = {
        "ENVIRONMENT": "production",
        "DATABASE_URL": "postgresql://estilista@db/estilista",
        "PUBLIC_BASE_URL": "https://estilista.example",
        "JWT_SECRET": "j" * 48,
        "ADMIN_PASSWORD": "a-long-password",
    }
    with pytest.raises(ValidationError, match="R2_PUBLIC_URL"):
        configured(R2_PUBLIC_URL="https://pub-1234.r2.dev", **safe)
    allowed = configured(R2_PUBLIC_URL="https://cdn.estilista.example/", **safe)
    assert allowed.public_files_url == "https://cdn.estilista.example"


def test_no_secret_shows_in_the_settings_own_text(configured: Callable[..., Settings]) -> None:
    given = configured()
    assert "canary" not in f"{given!r} {given} {given.r2_access!r}"


def test_boto3_is_loaded_only_where_r2_is_used() -> None:
    ask = "import sys; from models.storage import storage; storage(); print('boto3' in sys.modules)"
    assert run_python("-c", ask).stdout.strip() == "False"
    assert run_python("-c", ask, **COMPLETE).stdout.strip() == "True"
