"""A strict S3 server on the loopback, as R2 is where R2 is stricter, with faults on request.

It checks what moto lets pass: the whole AWS signature (version 4, header and query), every hash
that is sent, and the headers that R2 does not have. `will(operation, fault)` scripts what breaks.
"""

import hashlib
import hmac
import re
import socket
import struct
import sys
import threading
import time
from base64 import b64encode
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, Self
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

Operation = Literal["PUT", "GET", "HEAD", "DELETE", "LIST"]
Fault = Literal[
    "500", "503", "hang", "cut", "answer-lost", "lost", "truncated", "corrupted", "garbled",
    "wrong-etag", "slow",
]  # fmt: skip
HANG_SECONDS = 10.0  # at most; stopping the server ends it at once
SLOW_BYTE_SECONDS = 0.02
SKEW_SECONDS = 15 * 60
EXPIRES_SECONDS_MAX = 7 * 24 * 3600
UNSIGNED = "UNSIGNED-PAYLOAD"
ALGORITHM = "AWS4-HMAC-SHA256"
CREDENTIAL = re.compile(r"(?P<id>[^/]+)/(?P<date>\d{8})/auto/s3/aws4_request")
AUTHORIZATION = re.compile(
    ALGORITHM + r" Credential=(?P<credential>\S+), "
    r"SignedHeaders=(?P<signed>[a-z0-9;-]+), Signature=(?P<signature>[0-9a-f]{64})"
)
NOT_IN_R2 = re.compile(r"x-amz-(acl|grant-.*|tagging|object-lock-.*|expected-bucket-owner|trailer)")


class Refusal(Exception):
    """An answer in S3's error format."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}")
        self.status, self.code = status, code


@dataclass(frozen=True)
class Object:
    content: bytes
    headers: dict[str, str]
    modified: datetime

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.content, usedforsecurity=False).hexdigest()}"'


@dataclass(frozen=True)
class Request:
    """One request as it came in; header names in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def bucket(self) -> str:
        return unquote(self.path).split("/")[1]

    @property
    def key(self) -> str:
        return unquote(self.path).partition("/")[2].partition("/")[2]

    @property
    def operation(self) -> str:
        return "LIST" if self.method == "GET" and not self.key else self.method


@dataclass
class S3Fake:
    """One bucket. Use as a context manager; `objects` and `asked` may be looked at any time."""

    bucket: str = "estilista"
    access_key_id: str = "id-0123456789abcdef"
    secret_access_key: str = "clave-secreta-0123456789"
    page_size: int = 1000
    now_seconds: float | None = None  # None: the real time
    objects: dict[str, Object] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    _faults: dict[str, deque[Fault]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.fake = self
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def reset(self) -> None:
        """As if just started: empty, nothing scripted, and whatever hangs hung up."""
        self.closing.set()
        self.closing = threading.Event()
        self.now_seconds, self.page_size = None, 1000
        with self._lock:
            self.objects, self.asked, self._faults = {}, [], {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def will(self, operation: Operation, fault: Fault, times: int = 1) -> None:
        """The next `times` requests of this operation, after those already scripted, break so."""
        self._faults.setdefault(operation, deque()).extend([fault] * times)

    def operations(self) -> list[str]:
        return [request.operation for request in self.asked]

    def next_fault(self, request: Request) -> Fault | None:
        with self._lock:
            self.asked.append(request)
            scripted = self._faults.get(request.operation)
            return scripted.popleft() if scripted else None

    def now(self) -> float:
        return time.time() if self.now_seconds is None else self.now_seconds

    # --- what a request must be -------------------------------------------------------------------

    def check(self, request: Request) -> None:
        """Raises Refusal, in the order in which a store would look."""
        self._check_supported(request)
        self._check_signature(request)
        _check_hashes(request)
        if request.bucket != self.bucket:
            raise Refusal(404, "NoSuchBucket")

    def _check_supported(self, request: Request) -> None:
        headers = request.headers
        streamed = "aws-chunked" in headers.get("content-encoding", "")
        streamed |= headers.get("x-amz-content-sha256", "").startswith("STREAMING-")
        other_sums = {
            name
            for name in headers
            if name.startswith("x-amz-checksum-") and name != "x-amz-checksum-sha256"
        }
        if request.method not in ("GET", "HEAD", "PUT", "DELETE") or streamed or other_sums:
            raise Refusal(501, "NotImplemented")
        if any(NOT_IN_R2.fullmatch(name) for name in headers):
            raise Refusal(501, "NotImplemented")
        if request.method == "PUT" and "content-length" not in headers:
            raise Refusal(411, "MissingContentLength")

    def _check_signature(self, request: Request) -> None:
        if "X-Amz-Signature" in request.query:
            self._check_signed_query(request)
            return
        given = AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
        stamp = request.headers.get("x-amz-date", "")
        if given is None:
            raise Refusal(403, "AccessDenied")
        if abs(_seconds_of(stamp) - self.now()) > SKEW_SECONDS:
            raise Refusal(403, "RequestTimeTooSkewed")
        payload = request.headers.get("x-amz-content-sha256", "")
        self._compare(
            request, given["credential"], given["signed"], stamp, payload, given["signature"]
        )

    def _check_signed_query(self, request: Request) -> None:
        query = request.query
        expires, stamp = int(query.get("X-Amz-Expires", 0)), query.get("X-Amz-Date", "")
        if query.get("X-Amz-Algorithm") != ALGORITHM or not 1 <= expires <= EXPIRES_SECONDS_MAX:
            raise Refusal(400, "AuthorizationQueryParametersError")
        if self.now() > _seconds_of(stamp) + expires:
            raise Refusal(403, "AccessDenied")
        credential, signed = query["X-Amz-Credential"], query["X-Amz-SignedHeaders"]
        self._compare(request, credential, signed, stamp, UNSIGNED, query["X-Amz-Signature"])

    def _compare(
        self, request: Request, credential: str, signed: str, stamp: str, payload: str, given: str
    ) -> None:
        who = CREDENTIAL.fullmatch(credential)
        if who is None or who["date"] != stamp[:8]:
            raise Refusal(400, "AuthorizationHeaderMalformed")
        if who["id"] != self.access_key_id:
            raise Refusal(403, "InvalidAccessKeyId")
        names = signed.split(";")
        must_be_signed = {"host"} | {n for n in request.headers if n.startswith("x-amz-")}
        if not must_be_signed <= set(names) or names != sorted(names):
            raise Refusal(403, "AccessDenied")
        canonical = _canonical_request(request, names, payload)
        if not hmac.compare_digest(self._signature(canonical, stamp, who["date"]), given):
            raise Refusal(403, "SignatureDoesNotMatch")

    def _signature(self, canonical: str, stamp: str, date: str) -> str:
        hashed = hashlib.sha256(canonical.encode()).hexdigest()
        to_sign = f"{ALGORITHM}\n{stamp}\n{date}/auto/s3/aws4_request\n{hashed}"
        key = f"AWS4{self.secret_access_key}".encode()
        for part in (date, "auto", "s3", "aws4_request", to_sign):
            key = hmac.digest(key, part.encode(), "sha256")
        return key.hex()

    # --- what it does -----------------------------------------------------------------------------

    def put(self, request: Request, fault: Fault | None) -> Object:
        """Store, unless the key is taken and the client minds."""
        if request.headers.get("if-none-match", "*") != "*":
            raise Refusal(501, "NotImplemented")
        with self._lock:
            if "if-none-match" in request.headers and request.key in self.objects:
                raise Refusal(412, "PreconditionFailed")
            content = _as_stored(request.body, fault)
            stored = Object(content, dict(request.headers), datetime.fromtimestamp(self.now(), UTC))
            if fault != "lost":
                self.objects[request.key] = stored
            return stored

    def get(self, key: str) -> Object:
        if key not in self.objects:
            raise Refusal(404, "NoSuchKey")
        return self.objects[key]

    def page(self, query: Mapping[str, str]) -> bytes:
        """ListObjectsV2; the token is the last key of the page before."""
        if query.get("list-type") != "2":
            raise Refusal(501, "NotImplemented")
        prefix, after = query.get("prefix", ""), query.get("continuation-token", "")
        keys = sorted(k for k in list(self.objects) if k.startswith(prefix) and k > after)
        shown = keys[: self.page_size]
        entries = "".join(_entry(key, self.objects[key]) for key in shown)
        more = len(keys) > len(shown)
        token = (
            f"<NextContinuationToken>{escape(shown[-1])}</NextContinuationToken>" if more else ""
        )
        truncated = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        return f"<ListBucketResult>{truncated}{token}{entries}</ListBucketResult>".encode()


def _check_hashes(request: Request) -> None:
    body, headers = request.body, request.headers
    sha256 = hashlib.sha256(body)
    payload = headers.get("x-amz-content-sha256", UNSIGNED)
    if payload not in (UNSIGNED, sha256.hexdigest()):
        raise Refusal(400, "XAmzContentSHA256Mismatch")
    md5 = hashlib.md5(body, usedforsecurity=False)
    sums = {"x-amz-checksum-sha256": sha256.digest(), "content-md5": md5.digest()}
    for name, digest in sums.items():
        if headers.get(name, b64encode(digest).decode()) != b64encode(digest).decode():
            raise Refusal(400, "BadDigest")
    if request.method == "PUT" and payload == UNSIGNED and not set(sums) & set(headers):
        raise Refusal(400, "InvalidRequest")  # nothing at all would vouch for the body


def _canonical_request(request: Request, names: list[str], payload: str) -> str:
    """As in AWS's "Create a signed AWS API request"; S3 encodes the path once."""
    pairs = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in request.query.items()
        if name != "X-Amz-Signature"
    )
    lines = [
        request.method,
        quote(unquote(request.path), safe="/-_.~"),
        "&".join(f"{name}={value}" for name, value in pairs),
        *(f"{name}:{' '.join(request.headers.get(name, '').split())}" for name in names),
    ]
    return "\n".join([*lines, "", ";".join(names), payload])


def _seconds_of(stamp: str) -> float:
    try:
        return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise Refusal(403, "AccessDenied") from None


def _as_stored(content: bytes, fault: Fault | None) -> bytes:
    if fault == "truncated":
        return content[: len(content) // 2]
    return _flipped(content, -1) if fault == "corrupted" else content


def _flipped(content: bytes, at: int) -> bytes:
    """One bit of it is another; in the store (-1) not the same as on the way (0): two wrongs must
    not make a right."""
    flipped = bytearray(content)
    flipped[at] ^= 1
    return bytes(flipped)


def _entry(key: str, stored: Object) -> str:
    return (
        f"<Contents><Key>{escape(key)}</Key><Size>{len(stored.content)}</Size>"
        f"<LastModified>{stored.modified:%Y-%m-%dT%H:%M:%S.000Z}</LastModified></Contents>"
    )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    fake: S3Fake

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is part of many tests; anything else is an error of the fake."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self) -> None:
        request = self._read_request()
        fake = self.server.fake
        fault = fake.next_fault(request)
        if fault == "hang":
            fake.closing.wait(HANG_SECONDS)
        if fault == "hang" or (fault == "cut" and request.method != "GET"):
            self._hang_up()
            return
        if fault == "garbled" and request.method == "PUT":
            request = replace(request, body=_flipped(request.body, 0))
        try:
            if fault in ("500", "503"):
                raise Refusal(int(fault), {"500": "InternalError", "503": "SlowDown"}[fault])
            fake.check(request)
            self._act(request, fault)
        except Refusal as refusal:
            body = f"<Error><Code>{refusal.code}</Code><Message>no</Message></Error>".encode()
            self._answer(refusal.status, b"" if request.method == "HEAD" else body)

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = _serve  # noqa: N815

    def _read_request(self) -> Request:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        return Request(self.command, url.path, query, headers, body)

    def _act(self, request: Request, fault: Fault | None) -> None:
        fake = self.server.fake
        match request.operation:
            case "PUT":
                stored = fake.put(request, fault)
                etag = (
                    '"00000000000000000000000000000000"' if fault == "wrong-etag" else stored.etag
                )
                self._answer(200, b"", {"ETag": etag}, fault)
            case "DELETE":
                fake.objects.pop(request.key, None)
                self._answer(204, b"", {}, fault)
            case "LIST":
                self._answer(200, fake.page(request.query), {}, fault)
            case _:
                stored = fake.get(request.key)
                headers = {
                    "ETag": stored.etag,
                    "Last-Modified": format_datetime(stored.modified, usegmt=True),
                    "Content-Type": stored.headers.get("content-type", ""),
                }
                self._answer(200, stored.content, headers, fault)

    def _answer(
        self,
        status: int,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        fault: Fault | None = None,
    ) -> None:
        if fault == "answer-lost":
            self._hang_up()
            return
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self._send(body, fault)

    def _send(self, body: bytes, fault: Fault | None) -> None:
        if fault == "cut":
            self.wfile.write(body[: len(body) // 2])
            self._hang_up()
        elif fault == "slow":
            self._dribble(body)
        else:
            self.wfile.write(_flipped(body, 0) if fault == "garbled" else body)

    def _dribble(self, body: bytes) -> None:
        with suppress(OSError):
            for byte in body:
                if self.server.fake.closing.wait(SLOW_BYTE_SECONDS):
                    break
                self.wfile.write(bytes([byte]))
        self._hang_up()

    def _hang_up(self) -> None:
        """Reset the connection."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
