"""Errors on the wire: RFC 9457 problem documents under /api/v1, the older shape everywhere else."""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.language import told
from models.errors import (
    Conflict,
    DatabaseUnavailable,
    Forbidden,
    InvalidInput,
    NotFound,
    RateLimited,
    StorageError,
    StylistError,
    Unauthorized,
)

log = logging.getLogger(__name__)
V1 = "/api/v1"
PROBLEM = "application/problem+json"


class BadRequest(InvalidInput):
    """Bad input on a path whose older clients expect 400 where the others say 422."""


STATUS: dict[type, int] = {
    BadRequest: 400,
    InvalidInput: 422,
    NotFound: 404,
    Conflict: 409,
    Unauthorized: 401,
    Forbidden: 403,
    RateLimited: 429,
    StorageError: 503,
    DatabaseUnavailable: 503,
}
# A path's beginning: how errors are told there. The console registers its own page of words.
told_by: dict[str, Callable[[Request, int, str], Response]] = {}
BROKEN = "Algo falló de nuestro lado. Intenta de nuevo en un momento."
AWAY = "El servicio está ocupado. Intenta de nuevo en un momento."


def add_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(StylistError, _domain_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)


def status_of(error: StylistError) -> int:
    """The nearest class in STATUS decides."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


async def _domain_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, StylistError)  # noqa: S101 (registered for this type)
    status = status_of(error)
    details = []
    if isinstance(error, InvalidInput) and error.field is not None:
        details = [{"pointer": f"/{error.field}", "detail": str(error)}]
    headers = {}
    if status == 503:  # what broke is for the log; the client can only come back later
        log.error("unavailable", exc_info=error)
        return answer(request, status, error.code, AWAY, headers={"Retry-After": "2"})
    if isinstance(error, RateLimited):
        headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    return answer(request, status, error.code, str(error), details, headers)


async def _invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    details = [
        {"pointer": _encodable("/" + "/".join(map(str, e["loc"][1:]))), "detail": e["msg"]}
        for e in error.errors()
    ]
    message = "; ".join(f"{d['pointer'].lstrip('/') or 'cuerpo'}: {d['detail']}" for d in details)
    return answer(request, 422, "invalid-input", f"Datos no válidos: {message}", details)


def _encodable(text: str) -> str:
    """JSON may name a field with half a surrogate pair, which UTF-8 cannot say."""
    return text.encode("utf-8", "replace").decode()


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_allowed(request))
    return answer(request, error.status_code, code, str(error.detail), headers=headers)


def _allowed(request: Request) -> list[str]:
    """Every method that this address takes: the router names those of its first route only."""
    matching = [
        route
        for route in iter_route_contexts(request.app.routes)
        if route.path and compile_path(route.path)[0].match(request.url.path)
    ]
    here = [route.methods or set() for route in matching if route.path == matching[0].path]
    return sorted(set().union(*here))


class LastResort:
    """ASGI middleware: what nobody expected becomes a 500 in the path's shape, and its trace goes
    to the log only. The framework's own handler sits outside all middleware: its answers would
    lack CORS headers, and a browser could not read them."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception:
            if scope["type"] != "http" or started:
                raise
            log.exception("unexpected error", extra={"path": scope["path"]})
            response = answer(Request(scope), 500, "internal", BROKEN)
            await response(scope, receive, send)


def answer(
    request: Request,
    status: int,
    code: str,
    message: str,
    details: list[dict[str, Any]] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """One error in the shape that this path speaks; the older paths speak Spanish only."""
    for beginning, tell in told_by.items():
        if request.url.path.startswith(beginning):
            page = tell(request, status, told(message))
            if page.status_code == status:  # and not the way to where one signs in
                page.headers.update(headers or {})
            return page
    if request.url.path.startswith(V1):
        body: dict[str, Any] = {
            "type": f"urn:estilista:problem:{code}",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": told(message, code),
            "code": code,
        }
        if details:
            body["errors"] = [found | {"detail": told(found["detail"])} for found in details]
        return JSONResponse(body, status, headers, media_type=PROBLEM)
    old: dict[str, Any] = {"code": status, "message": message}
    if details:
        old["details"] = details
    return JSONResponse({"error": old}, status, headers)
