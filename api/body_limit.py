"""A bound on how much of a request is ever read, whatever its Content-Length says."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.swatches import TOO_LARGE, UPLOAD_MAX_BYTES

OLD_UPLOAD = "/upload-swatch"  # its clients know 400 for a file that is too large
BODY_MAX_BYTES = 1_000_000
UPLOAD_BODY_MAX_BYTES = UPLOAD_MAX_BYTES + 100_000  # the file and its multipart envelope


class BodyLimit:
    """ASGI middleware: stops reading at the limit of the path and refuses the request."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        left = UPLOAD_BODY_MAX_BYTES if _is_upload(scope) else BODY_MAX_BYTES

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(400 if scope["path"] == OLD_UPLOAD else 413, TOO_LARGE)
            return message

        await self.app(scope, counted, send)


def _is_upload(scope: Scope) -> bool:
    return any(
        name == b"content-type" and value.startswith(b"multipart/form-data")
        for name, value in scope["headers"]
    )
