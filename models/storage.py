"""Where bytes live: the Storage protocol and the folder that implements it on one machine.

Keys are relative paths of plain segments (`renders/…/recto-1a2b.jpg`); a database row holds a key,
never a URL. Every put is for a new key: a stored object never changes.
"""

import contextlib
import hashlib
import os
import re
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from models.errors import NotFound, StorageError
from models.settings import settings

KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")
KEY_MAX_CHARACTERS = 512


class Storage(Protocol):
    """Bytes by key. All methods raise StorageError when the store does not answer as it must."""

    def put(self, key: str, content: bytes, content_type: str) -> None:
        """Store durably under a key that is not in use. The same bytes again are no error:
        that is a first try whose answer was lost. Other bytes raise StorageError."""

    def get(self, key: str) -> bytes:
        """Raises NotFound."""

    def delete(self, key: str) -> None:
        """Deleting what is not there is no error."""

    def check(self) -> None:
        """Raises StorageError unless the store can be written to now."""


def checked_key(key: str) -> str:
    """The key, if it is one: no empty, dotted or absolute segments. Raises NotFound."""
    if len(key) > KEY_MAX_CHARACTERS or not KEY.fullmatch(key):
        raise NotFound("No existe ese archivo.")
    return key


class FolderStorage:
    """A folder on this machine: for a laptop, for tests, and for a shop with a single server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, key: str, content: bytes, content_type: str) -> None:
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_once(path, content)
        except FileExistsError:
            if hashlib.sha256(self.get(key)).digest() != hashlib.sha256(content).digest():
                raise StorageError(f"{key} is already stored with other bytes") from None
        except OSError as error:
            raise StorageError(f"cannot store {key}: {error.strerror}") from error

    def get(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise NotFound("No existe ese archivo.") from None
        except OSError as error:
            raise StorageError(f"cannot read {key}: {error.strerror}") from error

    def delete(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def check(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise StorageError(f"cannot write to {self.folder}: {error.strerror}") from error

    def _path(self, key: str) -> Path:
        return self.folder / checked_key(key)


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


@lru_cache
def storage() -> Storage:
    """The store that the settings choose."""
    return FolderStorage(settings().data_dir / "files")
