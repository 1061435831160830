"""Files: links to stored bytes on our own host, and the route that serves them from any store.

Catalogue pictures are public. Everything else needs a signed link, which expires. Links stay on
our host whatever the store is: older clients show pictures from no other. Only R2_PUBLIC_URL moves
them, to a public address of everything that is stored.
"""

import hashlib
import hmac
import mimetypes
import time
from urllib.parse import urlsplit

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from models.errors import Forbidden, InvalidInput, NotFound
from models.settings import settings
from models.storage import PUBLIC_PREFIX as PUBLIC_PREFIX
from models.storage import cache_control, checked_key, storage

FOREIGN = "La dirección de la muestra no es de esta casa; sube la foto aquí."

router = APIRouter(tags=["files"])


@router.get("/files/{key:path}", response_class=StreamingResponse)
def read_file(key: str, expires: int = 0, signature: str = "") -> StreamingResponse:
    """The bytes under this key as they come; 403 for a link that is not signed or has expired."""
    if not key.startswith(PUBLIC_PREFIX):
        _check_link(key, expires, signature)
    reading = storage().open(key)
    headers = {
        "Cache-Control": cache_control(key),
        "Content-Length": str(reading.size_bytes),  # less than that is no whole picture
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    media_type = mimetypes.guess_type(key)[0] or "application/octet-stream"
    return StreamingResponse(reading.chunks, headers=headers, media_type=media_type)


def link(base_url: str, key: str) -> str:
    """An absolute URL for this key. It stays the same for an hour, so that browsers can cache."""
    if (elsewhere := settings().public_files_url) is not None:
        return f"{elsewhere}/{key}"
    address = f"{base_url}/files/{key}"
    if key.startswith(PUBLIC_PREFIX):
        return address
    expires = (link_hour() + 1 + settings().file_link_hours) * 3600
    return f"{address}?expires={expires}&signature={_signature(key, expires)}"


def link_hour() -> int:
    """Links are signed anew each hour: an answer with links is another one then."""
    return int(time.time()) // 3600


def key_of(base_url: str, url: str) -> str:
    """The key that one of our own links names; its signature does not matter. Raises InvalidInput
    for any other address: nothing is ever fetched from a URL."""
    for home in (f"{base_url}/files", settings().public_files_url):
        if home is not None and (key := _key_under(home, url)) is not None:
            return key
    raise InvalidInput(FOREIGN, "swatch_url")


def _key_under(home: str, url: str) -> str | None:
    try:
        ours, given = urlsplit(f"{home}/"), urlsplit(url)
        same_host = (given.scheme, given.netloc) == (ours.scheme, ours.netloc)
        if same_host and given.path.startswith(ours.path):
            return checked_key(given.path.removeprefix(ours.path))
    except (ValueError, NotFound):  # not an address at all, or no key
        pass
    return None


def _check_link(key: str, expires: int, signature: str) -> None:
    if not hmac.compare_digest(_signature(key, expires).encode(), signature.encode()):
        raise Forbidden("Este enlace no es válido.")
    if expires < time.time():
        raise Forbidden("Este enlace ya venció.")


def _signature(key: str, expires: int) -> str:
    secret = settings().signing_secret.encode()
    return hmac.new(secret, f"file {expires} {key}".encode(), hashlib.sha256).hexdigest()
