"""Who is asking and what they may do: programs bring a JWT from POST /auth/token or an API token,
browsers the cookie of a session.

Deny by default: every route names the permission it needs, and a test walks all routes. A write
that comes with a cookie must come from our own pages.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

import jwt
from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from api.deps import Address, Transaction, count_against_limit
from models import accounts, database, sessions
from models.errors import Forbidden, Unauthorized
from models.settings import settings

AUDIENCE = "estilista"
CLOCKS_APART_SECONDS = 5  # at most, of the machines of one API: a token may be from the future
SIGN_IN_WINDOW_SECONDS = 300
SIGN_INS_PER_WINDOW = 10  # per user, and per address
SIGN_INS_OF_ALL = 1000  # and of everybody together, who got past those
READ_CATALOGUE, WRITE_CATALOGUE = "catalogue:read", "catalogue:write"
READ_ORDERS, WRITE_ORDERS, PLACE_ORDERS = "orders:read", "orders:write", "orders:place"
READ_OPERATIONS, WRITE_OPERATIONS = "operations:read", "operations:write"
MANAGE_PEOPLE = "people:manage"
MANAGE_CLIENTS = "clients:manage"
EVERYTHING = frozenset(
    {
        READ_CATALOGUE,
        WRITE_CATALOGUE,
        READ_ORDERS,
        WRITE_ORDERS,
        PLACE_ORDERS,
        READ_OPERATIONS,
        WRITE_OPERATIONS,
        MANAGE_PEOPLE,
        MANAGE_CLIENTS,
    }
)
PERMISSIONS: dict[str, frozenset[str]] = {
    "owner": EVERYTHING,
    "merchandiser": EVERYTHING - {WRITE_OPERATIONS, MANAGE_PEOPLE, MANAGE_CLIENTS},
    "stylist": frozenset({READ_CATALOGUE, READ_ORDERS, PLACE_ORDERS, MANAGE_CLIENTS}),
    "ops": frozenset({READ_CATALOGUE, READ_OPERATIONS, WRITE_OPERATIONS}),  # no client's orders
    "viewer": frozenset({READ_CATALOGUE}),
}
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True)
class Principal:
    """Who is asking. `owner` is what an order is stored under; `session_id` is the browser's."""

    owner: str
    permissions: frozenset[str]
    user_id: int | None = None
    username: str = ""
    session_id: int | None = None
    is_token: bool = False

    def may(self, permission: str) -> bool:
        return permission in self.permissions

    def need(self, permission: str) -> None:
        """Raises Forbidden."""
        if not self.may(permission):
            raise Forbidden("Tu cuenta no tiene permiso para hacer esto.")


ANYONE = Principal("shop", frozenset({PLACE_ORDERS, READ_ORDERS, READ_CATALOGUE, READ_OPERATIONS}))
bearer = HTTPBearer(auto_error=False, description="JWT from /auth/token, or an API token")
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


async def _principal(request: Request, credentials: Bearer) -> Principal | None:
    """None without a credential. Raises Unauthorized for one that is not good, and Forbidden for a
    write that another site made a browser send.

    It goes to a thread only where it asks the database: who polls without a credential is spared
    the way there and back."""
    cookie = request.cookies.get(session_cookie())
    if cookie is not None:  # a bearer token beside it does not exempt
        refuse_other_sites(request)
    found = None
    if credentials is not None:
        found = await run_in_threadpool(_bearer_principal, credentials)
    elif cookie is not None:
        found = await run_in_threadpool(_browsers_principal, cookie)
    request.state.principal = found
    return found


def _bearer_principal(credentials: HTTPAuthorizationCredentials) -> Principal:
    """In a transaction of its own: a request that held a connection while it waits for the one that
    counts it against a limit could starve itself, were there enough of them."""
    token = credentials.credentials
    with database.transaction() as session:
        if token.startswith(accounts.TOKEN_PREFIX):
            return _tokens_principal(accounts.find_token(session, token))
        user = accounts.active_user(session, _user_id(token))
        return Principal(f"user:{user.id}", PERMISSIONS[user.role], user.id, user.username)


def _tokens_principal(found: accounts.ApiToken) -> Principal:
    """Its user, but no more than its scopes; a user who may less since, takes it along."""
    user, granted = found.user, PERMISSIONS[found.user.role]
    if found.scopes is not None:
        granted &= frozenset(found.scopes)
    return Principal(f"user:{user.id}", granted, user.id, user.username, is_token=True)


def _browsers_principal(cookie: str) -> Principal | None:
    """A session that is over is no credential: an open shop stays open for its browser."""
    with database.transaction() as session:
        found = sessions.find(session, cookie)
    if found is None:
        return None
    permissions = PERMISSIONS[found.role]
    owner = f"user:{found.user_id}"
    return Principal(owner, permissions, found.user_id, found.username, found.session_id)


def session_cookie() -> str:
    """The cookie's name; with __Host- browsers take it over TLS only, for this host only."""
    return "__Host-session" if settings().environment == "production" else "session"


def refuse_other_sites(request: Request) -> None:
    """Raises Forbidden for a write that a page of another site sent: Sec-Fetch-Site where the
    browser says it, else Origin. What says neither is no browser, and no page can drive it."""
    if request.method in SAFE_METHODS:
        return
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        ours = site in ("same-origin", "none")
    else:
        ours = origin is None or urlsplit(origin).netloc in _our_hosts(request)
    if not ours:
        raise Forbidden("La petición viene de otro sitio.")


def _our_hosts(request: Request) -> set[str]:
    public = urlsplit(settings().public_base_url or "").netloc
    return {request.headers.get("host", ""), public} - {""}  # an Origin may be "null"


Asking = Annotated[Principal | None, Depends(_principal)]


class Needs:
    """Dependency of a route: a signed-in principal that has this permission."""

    def __init__(self, permission: str) -> None:
        self.permission = permission

    async def __call__(self, asking: Asking) -> Principal:
        if asking is None:
            raise Unauthorized("Inicia sesión para continuar.")
        asking.need(self.permission)
        return asking


class ShopNeeds(Needs):
    """The same for shop routes: where SHOP_ACCESS is open, nobody needs to sign in."""

    async def __call__(self, asking: Asking) -> Principal:
        if asking is None and settings().shop_is_open:
            return ANYONE
        return await super().__call__(asking)


class PersonNeeds(Needs):
    """The same for what a person does with an own account. No API token: it could make itself
    another one, that may more."""

    async def __call__(self, asking: Asking) -> Principal:
        person = await super().__call__(asking)
        if person.is_token:
            raise Forbidden("Un token no abre las cuentas.")
        return person


def make_token(user_id: int) -> str:
    """A JWT for TOKEN_MINUTES; exp, iat, sub and aud are set, and required when it comes back."""
    now = datetime.now(UTC)
    claims = {
        "sub": str(user_id),
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + timedelta(minutes=settings().token_minutes),
    }
    return jwt.encode(claims, settings().signing_secret, settings().jwt_algorithm)


def _user_id(token: str) -> int:
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            settings().signing_secret,
            algorithms=[settings().jwt_algorithm],
            audience=AUDIENCE,
            leeway=CLOCKS_APART_SECONDS,
            options={"require": ["exp", "iat", "sub", "aud"]},
        )
        return int(claims["sub"])
    except (jwt.InvalidTokenError, ValueError):
        raise Unauthorized("La sesión no es válida o ya venció.") from None


def count_sign_in(address: str, username: str) -> None:
    """One try, good or bad, of this user from this address. Raises RateLimited.

    All tries together are counted last: who is refused for being one too many of his own cannot
    lock out everybody else."""
    for subject, at_most in (
        (f"address:{address}", SIGN_INS_PER_WINDOW),
        (f"user:{username}", SIGN_INS_PER_WINDOW),
        ("all", SIGN_INS_OF_ALL),
    ):
        count_against_limit("sign-in", subject, at_most, SIGN_IN_WINDOW_SECONDS)


router = APIRouter(tags=["auth"])


class Token(BaseModel):
    access_token: str
    token_type: str = "bearer"  # noqa: S105
    expires_in: int


@router.post("/auth/token")
def sign_in(
    session: Transaction,
    address: Address,
    response: Response,
    username: Annotated[str, Form(max_length=200)],
    password: Annotated[str, Form(max_length=1000)],
) -> Token:
    """Exchange name and password for a bearer token (OAuth 2 password form)."""
    count_sign_in(address, username)
    user = accounts.sign_in(session, username, password)
    response.headers["Cache-Control"] = "no-store"
    return Token(access_token=make_token(user.id), expires_in=settings().token_minutes * 60)
