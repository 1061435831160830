"""Uploaded look packs on this machine: fetched from the store by key and hash, kept for a while.

Looks that ship lie in assets/looks. An uploaded one is unpacked once into a folder named by its
hash, which the workers of a machine share; those used longest ago make room for new ones.
"""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from models import packs
from models.errors import LookUnreadable, NotFound
from models.letter import Letter
from models.settings import settings
from models.storage import Storage
from worker.looks import pack_version

KEPT_MOST = 8  # of up to 40 MB each


def folder_of(letter: Letter, looks_dir: Path) -> Path:
    """Where a letter's pack lies: among those that ship, or where `Packs.fetch` has put it."""
    if letter.look_key is None:
        return looks_dir / letter.look
    return _kept() / str(letter.look_sha256) / letter.look


def _kept() -> Path:
    return settings().data_dir / "packs"


class Packs:
    """Brings the packs that letters ask for to this machine."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._proved: set[Path] = set()  # by this process: a crash may leave half a file behind

    def fetch(self, letter: Letter) -> None:
        """After this the letter's pack is there. Raises LookUnreadable when it is gone from the
        store or is not what was uploaded, and StorageError."""
        if letter.look_key is None:
            return
        place = _kept() / str(letter.look_sha256)
        if not self._is_whole(place / letter.look, letter.look_version):
            shutil.rmtree(place, ignore_errors=True)
            _unpack(place, letter.look, self._content(letter))
            _make_room(place.parent)
        with contextlib.suppress(FileNotFoundError):  # another worker has made room meanwhile
            os.utime(place)

    def _is_whole(self, folder: Path, version: str) -> bool:
        if folder not in self._proved and pack_version(folder) == version:
            self._proved.add(folder)
        return folder in self._proved and folder.exists()

    def _content(self, letter: Letter) -> bytes:
        try:
            content = self._storage.get(str(letter.look_key))
        except NotFound:
            raise LookUnreadable(f"El look «{letter.look}» ya no está guardado.") from None
        if packs.sha256_of(content) != letter.look_sha256:
            raise LookUnreadable(f"El look «{letter.look}» guardado está dañado.")
        return content


def _unpack(place: Path, name: str, content: bytes) -> None:
    """Beside its place, then renamed: who finds it finds all of it. Another worker may be first."""
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".", dir=place.parent))
    try:
        write_files(aside / name, packs.unbundled(content))
        aside.rename(place)
    except OSError:
        shutil.rmtree(aside, ignore_errors=True)
        if not place.exists():
            raise


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)


def _make_room(kept: Path) -> None:
    """A pack that somebody is reading meanwhile is fetched again: its job is tried again."""
    found = sorted(kept.glob("[0-9a-f]*"), key=lambda place: place.stat().st_mtime, reverse=True)
    for place in found[KEPT_MOST:]:
        shutil.rmtree(place, ignore_errors=True)
