"""What goes around every answer: security headers, a request id, one line in the log."""

import logging
import secrets
import time
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.settings import settings

log = logging.getLogger("api")
OPENS = "/s/"  # what follows opens a lookbook: a secret, and no log line holds it
HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}


HSTS = {"Strict-Transport-Security": "max-age=63072000; includeSubDomains"}


class Envelope:
    """ASGI middleware; a route's own headers win."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.headers = HEADERS | {"Content-Security-Policy": _policy()}
        if settings().environment == "production":
            self.headers |= HSTS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        state = scope.setdefault("state", {})
        fields = {"request_id": secrets.token_hex(8), "method": scope["method"], "status": 500}

        async def enveloped(message: Message) -> None:
            if message["type"] == "http.response.start":
                fields["status"] = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = fields["request_id"]
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
                if state.get("never_cached"):
                    headers.setdefault("Cache-Control", "private, no-store")
            await send(message)

        try:
            await self.app(scope, receive, enveloped)
        finally:
            duration_ms = round((time.perf_counter() - started) * 1000, 1)
            path = f"{OPENS}…" if scope["path"].startswith(OPENS) else scope["path"]
            log.info("request", extra=fields | {"path": path, "duration_ms": duration_ms})


def _policy() -> str:
    """Everything from our own origin; pictures also from where R2_PUBLIC_URL serves them."""
    pictures = " ".join(["'self'", "blob:", "data:", *filter(None, [_origin_of_pictures()])])
    return (
        f"default-src 'self'; img-src {pictures}; object-src 'none'; base-uri 'none'; "
        "frame-ancestors 'none'; form-action 'self'"
    )


def _origin_of_pictures() -> str | None:
    public_url = settings().r2_public_url
    if public_url is None:
        return None
    parts = urlsplit(public_url)
    return f"{parts.scheme}://{parts.netloc}"
