"""A ZIP of swatch photos, each named by its cloth's code: read without trusting a byte of it.

Nothing is ever unpacked to a file, and names are only compared with codes: a path in a name leads
nowhere. What an entry says of its size is not believed: no more than a photo's limit is read.
"""

import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote

from api.swatches import UPLOAD_MAX_BYTES, Photo, UploadRefused, clean_photo
from models.errors import InvalidInput

FOLDER_MAX_BYTES = 50_000_000
PHOTOS_MOST = 100
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)
LISTED_MAX_BYTES = 1000 * PHOTOS_MOST  # of the directory at its end
TOO_MANY = f"Son demasiadas fotos; el máximo son {PHOTOS_MOST}."
NO_FOLDER = "No pudimos abrir el archivo ZIP."


@dataclass(frozen=True)
class Named:
    """One entry: the code that it is named by, and its photo or why there is none."""

    file: str
    code: str
    photo: Photo | None
    refusal: str = ""


def is_folder(content: bytes) -> bool:
    return content.startswith(b"PK\x03\x04")


def read(content: bytes) -> Iterator[Named]:
    """One photo at a time. Raises InvalidInput for what is no ZIP, or holds too many files."""
    _refuse_vast(content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as folder:
            entries = [entry for entry in folder.infolist() if not _is_beside_the_point(entry)]
            if len(entries) > PHOTOS_MOST:
                raise InvalidInput(TOO_MANY, "file")
            yield from (_named(folder, entry) for entry in entries)
    except BROKEN:
        raise InvalidInput(NO_FOLDER, "file") from None


def _refuse_vast(content: bytes) -> None:
    """A directory of a million empty files is small, and large once it is read.

    Raises InvalidInput."""
    end = content.rfind(b"PK\x05\x06")
    listed_bytes = int.from_bytes(content[end + 12 : end + 16], "little")
    is_zip64 = content[max(0, end - 20) : end].startswith(b"PK\x06\x07")
    if end < 0:
        raise InvalidInput(NO_FOLDER, "file")
    if is_zip64 or listed_bytes > LISTED_MAX_BYTES:
        raise InvalidInput(TOO_MANY, "file")


def _is_beside_the_point(entry: zipfile.ZipInfo) -> bool:
    """Folders, and what operating systems leave in them."""
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    return entry.is_dir() or "__MACOSX" in path.parts or path.name.startswith(".")


def _named(folder: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Named:
    name = PurePosixPath(entry.filename.replace("\\", "/")).name
    code = unquote(name.rpartition(".")[0] or name)
    try:
        with folder.open(entry) as file:
            content = file.read(UPLOAD_MAX_BYTES + 1)
        return Named(name, code, clean_photo(content))
    except UploadRefused as error:
        return Named(name, code, None, str(error))
    except BROKEN:
        return Named(name, code, None, NO_FOLDER)
