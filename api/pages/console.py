"""The console's frame: who sees which page, the sentences, and how a refusal is told.

Every page is a form or a list that works without JavaScript; what moves by itself is in
static_console/. Pages call the same functions as the JSON API.
"""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any
from urllib.parse import quote, urlencode, urlsplit

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from api.auth import (
    MANAGE_CLIENTS,
    MANAGE_PEOPLE,
    READ_CATALOGUE,
    READ_OPERATIONS,
    READ_ORDERS,
    Needs,
    Principal,
)
from api.errors import told_by
from api.language import Sentences, told
from api.pages.bundle import CONSOLE_BUNDLE
from api.pages.environment import environment

HOME = "/console"
SIGN_IN = f"{HOME}/sign-in"
STRINGS = Sentences("console")
NAV = (  # page, permission to see it, address
    ("orders", READ_ORDERS, f"{HOME}/orders"),
    ("clients", MANAGE_CLIENTS, "/clients"),  # a room of its own: clients.py
    ("catalogue", READ_CATALOGUE, f"{HOME}/catalogue"),
    ("operations", READ_OPERATIONS, f"{HOME}/operations"),
    ("people", MANAGE_PEOPLE, f"{HOME}/people"),
)
Anybody = Annotated[Principal, Depends(Needs(READ_CATALOGUE))]  # which every role may
TEMPLATES = environment("console", CONSOLE_BUNDLE, t=STRINGS, home=HOME, told=told)

router = APIRouter(prefix=HOME, include_in_schema=False)


def page(
    name: str, request: Request, principal: Principal | None, status: int = 200, **values: Any
) -> HTMLResponse:
    """One page of the console. `?said=` names the sentence about what was just done."""
    said = STRINGS["said"].get(request.query_params.get("said", ""), "")
    if values.get("error"):  # a refusal from below, to be said on a form
        values["error"] = told(values["error"])
    html = TEMPLATES.get_template(f"{name}.html").render(
        principal=principal,
        nav=[(key, url) for key, permission, url in NAV if principal and principal.may(permission)],
        path=request.url.path,
        here=quote(f"{request.url.path}?{request.url.query}", safe=""),
        said=said,
        undo=_undo(request) if said else None,
        url_with=partial(url_with, request),
        **values,
    )
    return HTMLResponse(html, status, {"Cache-Control": "private, no-store"})


def _undo(request: Request) -> str | None:
    """The entry of the audit log that the sentence about what was just done can take back."""
    entry = request.query_params.get("undo", "")
    return entry if entry.isascii() and entry.isdigit() else None


def back(url: str, said: str, **values: Any) -> RedirectResponse:
    """After a form: to a page that can be reloaded. Raises KeyError for a sentence that is not."""
    _ = STRINGS["said"][said]
    query = urlencode({"said": said} | {k: v for k, v in values.items() if v is not None})
    return RedirectResponse(f"{url}{'&' if '?' in url else '?'}{query}", 303)


def url_with(request: Request, **changes: Any) -> str:
    """This page's address with some of its query changed; None takes a part out."""
    query: Mapping[str, Any] = (
        dict(request.query_params) | {"said": None, "undo": None, "lang": None} | changes
    )
    kept = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{request.url.path}?{urlencode(kept)}" if kept else request.url.path


def local(url: str, otherwise: str = HOME) -> str:
    """A path of this host, or `otherwise`: nobody is sent elsewhere by a link that looks ours."""
    plain = url.startswith("/") and not url.startswith(("//", "/\\")) and url.isprintable()
    return url if plain and "\\" not in url else otherwise


def to_sign_in(request: Request, home: str) -> RedirectResponse:
    """Who signs in comes back to this page; after a form, which was not kept and is said so, to the
    page that it was on."""
    if request.method != "GET":
        at = urlencode({"next": _page_of_form(request, home)})
        return back(f"{SIGN_IN}?{at}", "session-over")
    query = request.url.query
    asked = f"{request.url.path}?{query}" if query else request.url.path
    return RedirectResponse(f"{SIGN_IN}?{urlencode({'next': local(asked, home)})}", 303)


def _page_of_form(request: Request, home: str) -> str:
    """Without its query, which may say what was done before."""
    came = urlsplit(request.headers.get("referer", ""))
    return local(came.path, home) if came.netloc == request.url.netloc else home


def _tell(request: Request, status: int, message: str) -> Response:
    """A refusal as a page; who is not signed in is sent to sign in and comes back."""
    if status == 401:
        return to_sign_in(request, HOME)
    principal = getattr(request.state, "principal", None)
    return page("problem", request, principal, status, message=message, code=status)


told_by[HOME] = _tell
