"""A bound on how much of a request is ever read, whatever its Content-Length says."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.photo_folder import FOLDER_MAX_BYTES
from api.swatches import TOO_LARGE, UPLOAD_MAX_BYTES
from models.packs import PACK_MAX_BYTES

IMPORT = "/console/catalogue/import"
LOOKS = "/console/catalogue/looks/"
OLD_UPLOAD = "/upload-swatch"  # its clients know 400 for a file that is too large
BODY_MAX_BYTES = 1_000_000
ENVELOPE_MAX_BYTES = 100_000  # what multipart puts around a file


class BodyLimit:
    """ASGI middleware: stops reading at the limit of the path and refuses the request."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        left = _limit_bytes(scope)

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(400 if scope["path"] == OLD_UPLOAD else 413, TOO_LARGE)
            return message

        await self.app(scope, counted, send)


def _limit_bytes(scope: Scope) -> int:
    if not _is_upload(scope):
        return BODY_MAX_BYTES
    if scope["path"] == IMPORT:
        return FOLDER_MAX_BYTES + ENVELOPE_MAX_BYTES
    whole = PACK_MAX_BYTES if scope["path"].startswith(LOOKS) else UPLOAD_MAX_BYTES
    return whole + ENVELOPE_MAX_BYTES


def _is_upload(scope: Scope) -> bool:
    return any(
        name == b"content-type" and value.startswith(b"multipart/form-data")
        for name, value in scope["headers"]
    )
