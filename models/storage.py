"""Where bytes live: the Storage protocol and the folder that implements it on one machine.

Keys are relative paths of plain segments (`renders/…/recto-1a2b.jpg`); a database row holds a key,
never a URL. Every put is for a new key: a stored object never changes.
"""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from models.errors import NotFound, StorageError
from models.once import Once
from models.patience import Tick, nothing
from models.settings import settings

SEGMENT = r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,254}"  # a file's name has 255 bytes at most
KEY = re.compile(f"{SEGMENT}(/{SEGMENT})*")
KEY_MAX_CHARACTERS = 512
CHUNK_BYTES = 256 * 1024
MISSING = "No existe ese archivo."

PUBLIC_PREFIX = "catalogue/"
FOREVER = "public, max-age=31536000, immutable"  # a stored object never changes
PRIVATE = "private, max-age=3600"


@dataclass(frozen=True)
class Stored:
    """One object in a listing."""

    key: str
    size_bytes: int
    modified_at: datetime  # by the store's clock, with its time zone


@dataclass(frozen=True)
class Reading:
    """An object being read: its size is known before its bytes have come."""

    size_bytes: int
    chunks: Iterator[bytes]  # raises StorageError when the bytes stop coming


class Storage(Protocol):
    """Bytes by key. All methods raise StorageError when the store does not answer as it must.

    `tick` is called now and then while a slow store is waited for; what it raises ends the wait.
    """

    def put(self, key: str, content: bytes, content_type: str, tick: Tick = nothing) -> None:
        """Store durably under a key that is not in use, and read back what was stored: after this
        returns, `get` has given exactly `content`. The same bytes again are no error: that is a
        first try whose answer was lost. Other bytes raise StorageError and change nothing."""

    def get(self, key: str) -> bytes:
        """Raises NotFound."""

    def open(self, key: str) -> Reading:
        """The same bytes, a chunk at a time. Raises NotFound."""

    def delete(self, key: str) -> None:
        """Deleting what is not there is no error."""

    def list(self, prefix: str) -> Iterator[Stored]:
        """Every object whose key starts with `prefix`, in no promised order."""

    def check(self) -> None:
        """Raises StorageError unless the store can be written to now."""


def checked_key(key: str) -> str:
    """The key, if it is one: no empty, dotted or absolute segments. Raises NotFound."""
    if len(key) > KEY_MAX_CHARACTERS or not KEY.fullmatch(key):
        raise NotFound(MISSING)
    return key


def cache_control(key: str) -> str:
    """How long caches may keep this object. Only pictures of the catalogue are public."""
    return FOREVER if key.startswith(PUBLIC_PREFIX) else PRIVATE


def other_bytes(key: str) -> StorageError:
    """What `put` raises when the bytes read back are not those that were sent."""
    return StorageError(f"{key} does not hold the bytes that were sent")


def put_named_by_hash(store: Storage, key: str, content: bytes, content_type: str) -> None:
    """`put` for a key that names its content: other bytes under it can only be a broken copy, so
    they are replaced. Raises StorageError."""
    try:
        store.put(key, content, content_type)
    except StorageError:
        if not _is_held_broken(store, key, content):
            raise
        store.delete(key)
        store.put(key, content, content_type)


def _is_held_broken(store: Storage, key: str, content: bytes) -> bool:
    try:
        return store.get(key) != content
    except NotFound:
        return False


class FolderStorage:
    """A folder on this machine: for a laptop, for tests, and for a shop with a single server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, key: str, content: bytes, content_type: str, tick: Tick = nothing) -> None:
        path = self._path(key)
        with _failing_as(f"cannot store {key}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                _write_once(path, content)
            _make_names_durable(path.parent, self.folder)
        if not self._holds(key, content):
            raise other_bytes(key)

    def get(self, key: str) -> bytes:
        return b"".join(self.open(key).chunks)

    def open(self, key: str) -> Reading:
        path = self._path(key)
        if not path.is_file():
            raise NotFound(MISSING)
        with _failing_as(f"cannot read {key}"):
            return Reading(path.stat().st_size, _chunks(path, key))

    def delete(self, key: str) -> None:
        with _failing_as(f"cannot delete {key}"):
            self._path(key).unlink(missing_ok=True)

    def list(self, prefix: str) -> Iterator[Stored]:
        """A file that a crash left half written is an object here, like any other orphan."""
        with _failing_as(f"cannot list {prefix}"):
            for path in (self.folder / prefix.rpartition("/")[0]).rglob("*"):
                key = path.relative_to(self.folder).as_posix()
                with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
                    if key.startswith(prefix) and path.is_file():
                        yield _stored(key, path)

    def check(self) -> None:
        with _failing_as(f"cannot write to {self.folder}"):
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass

    def _holds(self, key: str, content: bytes) -> bool:
        try:
            return self.get(key) == content
        except NotFound:
            return False

    def _path(self, key: str) -> Path:
        return self.folder / checked_key(key)


@contextlib.contextmanager
def _failing_as(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{what}: {error.strerror}") from error


def _write_once(path: Path, content: bytes) -> None:
    """Write beside the target, then link it into place: readers see all of it or nothing, and a
    name that is taken stays as it is. Raises FileExistsError."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fdatasync(file.fileno())
            os.chmod(file.name, 0o644)
            os.link(file.name, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(file.name)


def _make_names_durable(folder: Path, top: Path) -> None:
    """A file's bytes outlive a power cut only together with the names that lead to it."""
    for path in (folder, *folder.parents):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if path == top:
            return


def _chunks(path: Path, key: str) -> Iterator[bytes]:
    """Opens the file with the first chunk: a client that goes away before leaves none open."""
    with _failing_as(f"cannot read {key}"), path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _stored(key: str, path: Path) -> Stored:
    status = path.stat()
    return Stored(key, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))


@Once
def storage() -> Storage:
    """The store that the settings choose. boto3 is loaded only where it is used."""
    if settings().storage_backend == "r2":
        from models.r2 import r2_storage

        return r2_storage()
    return FolderStorage(settings().data_dir / "files")
