"""A ZIP that somebody uploaded, opened without trusting a byte of it.

Nothing is ever unpacked to a file. What an entry says of its size is not believed: whoever reads
one stops at a limit of their own.
"""

import contextlib
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from models.errors import InvalidInput

BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)
ENTRY_LISTED_BYTES = 1000  # of the directory at the end, for each entry
NO_FOLDER = "No pudimos abrir el archivo ZIP."


@contextlib.contextmanager
def opened(
    content: bytes, entries_most: int, too_many: InvalidInput
) -> Iterator[tuple[zipfile.ZipFile, Sequence[zipfile.ZipInfo]]]:
    """The ZIP and its files, without folders and what operating systems leave in them.

    Raises InvalidInput for what is no ZIP, and `too_many` for more files than that."""
    _refuse_vast(content, entries_most, too_many)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as folder:
            entries = [entry for entry in folder.infolist() if not _is_beside_the_point(entry)]
            if len(entries) > entries_most:
                raise too_many
            yield folder, entries
    except BROKEN:
        raise InvalidInput(NO_FOLDER, "file") from None


def _refuse_vast(content: bytes, entries_most: int, too_many: InvalidInput) -> None:
    """A directory of a million empty files is small, and large once it is read.

    Raises InvalidInput."""
    end = content.rfind(b"PK\x05\x06")
    listed_bytes = int.from_bytes(content[end + 12 : end + 16], "little")
    is_zip64 = content[max(0, end - 20) : end].startswith(b"PK\x06\x07")
    if end < 0:
        raise InvalidInput(NO_FOLDER, "file")
    if is_zip64 or listed_bytes > ENTRY_LISTED_BYTES * entries_most:
        raise too_many


def _is_beside_the_point(entry: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    return entry.is_dir() or "__MACOSX" in path.parts or path.name.startswith(".")
