"""Files: links to stored bytes on our own host, and the route that serves them.

Catalogue pictures are public. Everything else needs a signed link, which expires.
"""

import hashlib
import hmac
import mimetypes
import time
from urllib.parse import urlsplit

from fastapi import APIRouter, Response

from models.errors import Forbidden, InvalidInput, NotFound
from models.settings import settings
from models.storage import checked_key, storage

PUBLIC_PREFIX = "catalogue/"
FOREVER = "public, max-age=31536000, immutable"  # a stored object never changes
PRIVATE = "private, max-age=3600"
FOREIGN = "La dirección de la muestra no es de esta casa; sube la foto aquí."

router = APIRouter(tags=["files"])


@router.get("/files/{key:path}", response_class=Response)
def read_file(key: str, expires: int = 0, signature: str = "") -> Response:
    """The bytes under this key; 403 for a link that is not signed or has expired."""
    public = key.startswith(PUBLIC_PREFIX)
    if not public:
        _check_link(key, expires, signature)
    headers = {
        "Cache-Control": FOREVER if public else PRIVATE,
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    media_type = mimetypes.guess_type(key)[0] or "application/octet-stream"
    return Response(storage().get(key), headers=headers, media_type=media_type)


def link(base_url: str, key: str) -> str:
    """An absolute URL for this key. It stays the same for an hour, so that browsers can cache."""
    address = f"{base_url}/files/{key}"
    if key.startswith(PUBLIC_PREFIX):
        return address
    hour = int(time.time()) // 3600 + 1
    expires = (hour + settings().file_link_hours) * 3600
    return f"{address}?expires={expires}&signature={_signature(key, expires)}"


def key_of(base_url: str, url: str) -> str:
    """The key that one of our own links names; its signature does not matter. Raises InvalidInput
    for any other address: nothing is ever fetched from a URL."""
    try:
        ours, given = urlsplit(f"{base_url}/files/"), urlsplit(url)
    except ValueError:  # not an address at all
        raise InvalidInput(FOREIGN, "swatch_url") from None
    same_host = (given.scheme, given.netloc) == (ours.scheme, ours.netloc)
    if not same_host or not given.path.startswith(ours.path):
        raise InvalidInput(FOREIGN, "swatch_url")
    try:
        return checked_key(given.path.removeprefix(ours.path))
    except NotFound:
        raise InvalidInput(FOREIGN, "swatch_url") from None


def _check_link(key: str, expires: int, signature: str) -> None:
    if not hmac.compare_digest(_signature(key, expires).encode(), signature.encode()):
        raise Forbidden("Este enlace no es válido.")
    if expires < time.time():
        raise Forbidden("Este enlace ya venció.")


def _signature(key: str, expires: int) -> str:
    secret = settings().signing_secret.encode()
    return hmac.new(secret, f"file {expires} {key}".encode(), hashlib.sha256).hexdigest()
