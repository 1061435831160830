"""A ZIP of swatch photos, each named by its cloth's code: read without trusting a byte of it.

Names are only compared with codes: a path in a name leads nowhere. Of an entry no more is read than
a photo may have.
"""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote

from api.swatches import UPLOAD_MAX_BYTES, Photo, UploadRefused, clean_photo
from api.uploaded_zip import BROKEN, NO_FOLDER, opened
from models.errors import InvalidInput

FOLDER_MAX_BYTES = 50_000_000
PHOTOS_MOST = 100
TOO_MANY = f"Son demasiadas fotos; el máximo son {PHOTOS_MOST}."


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
    with opened(content, PHOTOS_MOST, InvalidInput(TOO_MANY, "file")) as (folder, entries):
        yield from (_named(folder, entry) for entry in entries)


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
