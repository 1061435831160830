"""The page's own files (styles, modules, fonts, pictures), held in memory and served for ever.

A file's address carries a hash of the whole folder, `/static/<version>/floor.js`, so that relative
imports between modules keep it and a browser may cache everything until the next release.
"""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fastapi import APIRouter, HTTPException, Request, Response

FOLDER = Path(__file__).parent / "static"
CONSOLE_FOLDER = Path(__file__).parent / "static_console"
CLIENTS_FOLDER = Path(__file__).parent / "static_clients"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
TEXT = {".css", ".js", ".svg", ".txt"}
FOR_EVER = "public, max-age=31536000, immutable"

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class StaticFile:
    """One file as it is sent; `gzipped` only where compressing helps."""

    media_type: str
    plain: bytes
    gzipped: bytes | None


class Bundle:
    """Every file of a folder by its name (`"looks/recto.webp"`), and the version of them all."""

    def __init__(self, folder: Path) -> None:
        paths = sorted(path for path in folder.rglob("*") if path.suffix in MEDIA_TYPES)
        self._files = {path.relative_to(folder).as_posix(): _read(path) for path in paths}
        self.version = _version(self._files)

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def file(self, name: str) -> StaticFile | None:
        return self._files.get(name)

    def url(self, name: str) -> str:
        """Raises KeyError for a file that does not exist: a page never links to nothing."""
        if name not in self._files:
            raise KeyError(name)
        return f"/static/{self.version}/{name}"

    def modules(self) -> list[str]:
        """The names of all JavaScript modules."""
        return [name for name in self._files if PurePosixPath(name).suffix == ".js"]


def _read(path: Path) -> StaticFile:
    plain = path.read_bytes()
    gzipped = gzip.compress(plain, mtime=0) if path.suffix in TEXT else None
    return StaticFile(MEDIA_TYPES[path.suffix], plain, gzipped)


def _version(files: dict[str, StaticFile]) -> str:
    digest = hashlib.sha256()
    for name, file in files.items():
        digest.update(name.encode() + b"\0" + file.plain)
    return digest.hexdigest()[:12]


BUNDLE = Bundle(FOLDER)
CONSOLE_BUNDLE = Bundle(CONSOLE_FOLDER)  # of its own: the sales floor does not wait for it
CLIENTS_BUNDLE = Bundle(CLIENTS_FOLDER)
BUNDLES = {bundle.version: bundle for bundle in (BUNDLE, CONSOLE_BUNDLE, CLIENTS_BUNDLE)}


@router.get("/static/{version}/{name:path}")
def static_file(version: str, name: str, request: Request) -> Response:
    """An old version's address answers 404, never with the bytes of another version."""
    bundle = BUNDLES.get(version)
    file = bundle.file(name) if bundle else None
    if file is None:
        raise HTTPException(404, "No existe ese archivo.")
    headers = {"Cache-Control": FOR_EVER, "Vary": "Accept-Encoding"}
    if file.gzipped and "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(file.gzipped, media_type=file.media_type, headers=headers)
    return Response(file.plain, media_type=file.media_type, headers=headers)
