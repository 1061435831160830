"""Signing in and out of the console: a session in a cookie that scripts cannot read."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from api.auth import count_sign_in, refuse_other_sites, session_cookie
from api.deps import Address, Transaction
from api.pages.console import HOME, NAV, SIGN_IN, STRINGS, Anybody, back, local, page
from models import accounts, database, sessions
from models.errors import RateLimited, Unauthorized
from models.settings import settings

router = APIRouter(prefix=HOME, include_in_schema=False)
Text = Annotated[str, Form(max_length=200)]


@router.get("")
def home(asking: Anybody) -> RedirectResponse:
    """To the first page that this account may see."""
    return RedirectResponse(next(url for _, need, url in NAV if asking.may(need)), 303)


@router.get("/sign-in")
def sign_in_page(request: Request, next: str = HOME) -> Response:
    return page("sign_in", request, None, next=local(next), error="", username="")


@router.post("/sign-in", dependencies=[Depends(refuse_other_sites)])
def sign_in(
    request: Request,
    address: Address,
    username: Text,
    password: Annotated[str, Form(max_length=1000)],
    next: Annotated[str, Form(max_length=2000)] = HOME,
) -> Response:
    """Start a session; every try counts against the limits."""
    try:
        count_sign_in(address, username)
        token = _start(username, password, address, request.headers.get("user-agent", ""))
    except (Unauthorized, RateLimited) as error:
        limited = isinstance(error, RateLimited)
        words = {"next": local(next), "error": str(error), "username": username}
        answer = page("sign_in", request, None, 429 if limited else 401, **words)
        if isinstance(error, RateLimited):
            answer.headers["Retry-After"] = str(error.retry_after_seconds)
        return answer
    signed_in = RedirectResponse(local(next), 303)
    _set_cookie(signed_in, token)
    return signed_in


@router.post("/sign-out", dependencies=[Depends(refuse_other_sites)])
def sign_out(request: Request, session: Transaction) -> Response:
    """Also for a session that is already over."""
    sessions.end(session, request.cookies.get(session_cookie(), ""))
    answer = back(SIGN_IN, "signed-out")
    answer.delete_cookie(session_cookie(), path="/", secure=_over_tls(), httponly=True)
    return answer


def _start(username: str, password: str, address: str, client: str) -> str:
    with database.transaction() as session:
        user = accounts.sign_in(session, username, password)
        return sessions.start(session, user.id, address, client or STRINGS["people"]["no_client"])


def _set_cookie(response: Response, token: str) -> None:
    response.set_cookie(
        session_cookie(),
        token,
        max_age=sessions.SESSION_DAYS * 86400,
        path="/",
        secure=_over_tls(),
        httponly=True,
        samesite="lax",
    )


def _over_tls() -> bool:
    return settings().environment == "production"
