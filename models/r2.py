"""R2Storage: objects in Cloudflare R2, through its S3 API and boto3.

R2 is not quite S3: region `auto`, no ACLs, no POST policies, and no checksums in trailers of a
streamed upload, which newer versions of boto3 add by themselves unless told `when_required`.
"""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
)
from botocore.exceptions import ConnectionError as NotConnected
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError as TransportError  # boto3 lets some of them through

from models.errors import NotFound, StorageError
from models.patience import Patience, Tick, TryFailed, nothing
from models.settings import R2Access, settings
from models.storage import (
    CHUNK_BYTES,
    MISSING,
    Reading,
    Stored,
    cache_control,
    checked_key,
    other_bytes,
)

T = TypeVar("T")
Client = Any  # boto3 makes its clients at run time and ships no types for them

CONNECT_SECONDS = 3.0
READ_SECONDS = 5.0
CONNECTIONS_MAX = 40  # as many as the API has threads
SIGNED_SECONDS_MAX = 7 * 24 * 3600  # the protocol's limit, which boto3 does not check
CHECK_KEY = "checks/writable"
PATIENCE = Patience()

# What the network does: another try may work.
NETWORK = (NotConnected, HTTPClientError, IncompleteReadError, ResponseParserError, TransportError)

# The store was reached and took nothing: what was sent got broken on the way, or somebody else
# was writing. A fresh try may work. (Statuses of 500 and above are all worth another try but 501.)
AGAIN_STATUSES = {408, 409, 425, 429}
AGAIN_CODES = {"BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody", "RequestTimeout"}


class _Taken(Exception):
    """There is an object under this key already."""


@dataclass(frozen=True)
class SignedPut:
    """Permission to store exactly these bytes; the headers must be sent as they are."""

    url: str
    headers: dict[str, str]


class R2Storage:
    """One private bucket. Nothing here deletes or replaces an object but `delete`."""

    def __init__(self, client: Client, bucket: str, patience: Patience = PATIENCE) -> None:
        self._client = client
        self._bucket = bucket
        self._patience = patience

    def put(self, key: str, content: bytes, content_type: str, tick: Tick = nothing) -> None:
        once = partial(self._put_and_read_back, checked_key(key), content, content_type)
        self._insist(f"store {key}", once, tick)

    def get(self, key: str) -> bytes:
        return self._insist(f"read {key}", partial(self._read, checked_key(key)))

    def open(self, key: str) -> Reading:
        answer = self._insist(f"read {key}", partial(self._ask_for, checked_key(key)))
        return Reading(answer["ContentLength"], _chunks(answer["Body"], key))

    def delete(self, key: str) -> None:
        key = checked_key(key)
        once = partial(self._ask, self._client.delete_object, Key=key)
        self._insist(f"delete {key}", once)

    def list(self, prefix: str) -> Iterator[Stored]:
        once = partial(self._ask, self._client.list_objects_v2, Prefix=prefix)
        while True:
            page = self._insist(f"list {prefix}", once)
            for entry in page.get("Contents", []):
                yield Stored(entry["Key"], entry["Size"], entry["LastModified"])
            if not page["IsTruncated"]:
                return
            once = partial(once, ContinuationToken=page["NextContinuationToken"])

    def check(self) -> None:
        """One try only: whoever asks wants to know about now."""
        impatient = R2Storage(self._client, self._bucket, replace(self._patience, tries_max=1))
        impatient.put(CHECK_KEY, b"writable", "text/plain")

    def signed_get(self, key: str, seconds: int) -> str:
        """A URL on R2's own host that reads this object for `seconds`, at most 7 days. Whoever has
        it can read; it also shows the account, the bucket and the access key's id."""
        return self._signed("get_object", seconds, Key=checked_key(key))

    def signed_put(
        self, key: str, content_type: str, size_bytes: int, sha256: bytes, seconds: int
    ) -> SignedPut:
        """Permission for somebody without credentials to store these bytes once, for at most
        7 days. R2 has no POST policies, so type, size and hash are signed as headers."""
        checksum = b64encode(sha256).decode()
        url = self._signed(
            "put_object",
            seconds,
            Key=checked_key(key),
            ContentType=content_type,
            ContentLength=size_bytes,
            ChecksumSHA256=checksum,
            IfNoneMatch="*",
        )
        headers = {
            "Content-Type": content_type,
            "Content-Length": str(size_bytes),
            "x-amz-checksum-sha256": checksum,
            "If-None-Match": "*",
        }
        return SignedPut(url, headers)

    def _signed(self, operation: str, seconds: int, **parameters: Any) -> str:
        url: str = self._client.generate_presigned_url(
            operation,
            Params={"Bucket": self._bucket, **parameters},
            ExpiresIn=min(max(seconds, 1), SIGNED_SECONDS_MAX),
        )
        return url

    def _insist(self, what: str, once: Callable[[], T], tick: Tick = nothing) -> T:
        try:
            return self._patience.insist(once, tick)
        except TryFailed as failed:
            raise StorageError(f"cannot {what}: {failed}") from failed

    def _put_and_read_back(self, key: str, content: bytes, content_type: str) -> None:
        """A key that is taken is our own first try, whose answer was lost, or somebody else's
        object: in either case the bytes in the store decide, and so they do after a plain 200."""
        with suppress(_Taken):
            self._put(key, content, content_type)
        try:
            same = self._read(key) == content
        except NotFound:
            raise TryFailed("it was accepted and is not there", again=True) from None
        if not same:
            raise other_bytes(key)

    def _put(self, key: str, content: bytes, content_type: str) -> None:
        self._ask(
            self._client.put_object,
            Key=key,
            Body=content,
            ContentType=content_type,
            CacheControl=cache_control(key),
            ChecksumSHA256=b64encode(hashlib.sha256(content).digest()).decode(),
            IfNoneMatch="*",
        )

    def _read(self, key: str) -> bytes:
        with _failures():
            content: bytes = self._ask_for(key)["Body"].read()
        return content

    def _ask_for(self, key: str) -> Any:
        return self._ask(self._client.get_object, Key=key)

    def _ask(self, operation: Callable[..., Any], **parameters: Any) -> Any:
        with _failures():
            return operation(Bucket=self._bucket, **parameters)


@contextmanager
def _failures() -> Iterator[None]:
    """boto3's exceptions as ours. Their texts may hold addresses and keys: only names are kept."""
    try:
        yield
    except ClientError as error:
        raise _meaning(error) from None
    except NETWORK as error:
        raise TryFailed(type(error).__name__, again=True) from None
    except BotoCoreError as error:
        raise TryFailed(type(error).__name__, again=False) from None


def _meaning(error: ClientError) -> Exception:
    status: int = error.response["ResponseMetadata"]["HTTPStatusCode"]
    code: str = error.response["Error"]["Code"]
    if status == 412:
        return _Taken()
    if code == "NoSuchKey":
        return NotFound(MISSING)
    again = status in AGAIN_STATUSES or code in AGAIN_CODES or (status >= 500 and status != 501)
    return TryFailed(f"{status} {code}", again=again)


def _chunks(body: Any, key: str) -> Iterator[bytes]:
    """Once bytes have gone to a client there is no second try."""
    try:
        with _failures():
            yield from body.iter_chunks(CHUNK_BYTES)
    except TryFailed as failed:
        raise StorageError(f"cannot read {key}: {failed}") from failed
    finally:
        body.close()


def r2_client(access: R2Access) -> Client:
    """A client that tries once, soon gives up, and sends nothing that R2 does not have."""
    config = Config(
        signature_version="s3v4",
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": 1},  # the tries are ours: Patience
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        max_pool_connections=CONNECTIONS_MAX,
        # Over TLS boto3 leaves the body unsigned by default; signed, the store must check it.
        s3={"addressing_style": "path", "payload_signing_enabled": True},
    )
    return Session().client(
        "s3",
        region_name="auto",
        endpoint_url=access.endpoint_url,
        aws_access_key_id=access.access_key_id.get_secret_value(),
        aws_secret_access_key=access.secret_access_key.get_secret_value(),
        config=config,
    )


def r2_storage() -> R2Storage:
    """The bucket that the settings name."""
    access = settings().r2_access
    return R2Storage(r2_client(access), access.bucket_name)
