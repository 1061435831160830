"""Who is asking and what they may do: JWT bearer from POST /auth/token, or an API token.

Deny by default: every route names the permission it needs, and a test walks all routes.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import jwt
from fastapi import APIRouter, Depends, Form, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from api.deps import Address, Transaction, count_against_limit
from models import accounts, database
from models.errors import Forbidden, Unauthorized
from models.settings import settings

AUDIENCE = "estilista"
SIGN_IN_WINDOW_SECONDS = 300
SIGN_INS_PER_WINDOW = 10  # per user, and per address
READ_CATALOGUE, WRITE_CATALOGUE = "catalogue:read", "catalogue:write"
READ_ORDERS, WRITE_ORDERS, PLACE_ORDERS = "orders:read", "orders:write", "orders:place"
READ_OPERATIONS = "operations:read"
EVERYTHING = frozenset(
    {READ_CATALOGUE, WRITE_CATALOGUE, READ_ORDERS, WRITE_ORDERS, PLACE_ORDERS, READ_OPERATIONS}
)
PERMISSIONS: dict[str, frozenset[str]] = {
    "owner": EVERYTHING,
    "merchandiser": frozenset({READ_CATALOGUE, WRITE_CATALOGUE, READ_ORDERS, PLACE_ORDERS}),
    "stylist": frozenset({READ_CATALOGUE, READ_ORDERS, PLACE_ORDERS}),
    "ops": frozenset({READ_CATALOGUE, READ_OPERATIONS}),  # sees no client's orders
    "viewer": frozenset({READ_CATALOGUE}),
}


@dataclass(frozen=True)
class Principal:
    """Who is asking. `owner` is what an order is stored under."""

    owner: str
    permissions: frozenset[str]

    def need(self, permission: str) -> None:
        """Raises Forbidden."""
        if permission not in self.permissions:
            raise Forbidden("Tu cuenta no tiene permiso para hacer esto.")


ANYONE = Principal("shop", frozenset({PLACE_ORDERS, READ_ORDERS, READ_CATALOGUE, READ_OPERATIONS}))
bearer = HTTPBearer(auto_error=False, description="JWT from /auth/token, or an API token")
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


def _principal(credentials: Bearer) -> Principal | None:
    """None without a credential. Raises Unauthorized for one that is not good.

    In a transaction of its own: a request that held a connection while it waits for the one that
    counts it against a limit could starve itself, were there enough of them."""
    if credentials is None:
        return None
    token = credentials.credentials
    with database.transaction() as session:
        if token.startswith(accounts.TOKEN_PREFIX):
            user = accounts.token_user(session, token)
        else:
            user = accounts.active_user(session, _user_id(token))
        return Principal(f"user:{user.id}", PERMISSIONS[user.role])


Asking = Annotated[Principal | None, Depends(_principal)]


class Needs:
    """Dependency of a route: a signed-in principal that has this permission."""

    def __init__(self, permission: str) -> None:
        self.permission = permission

    def __call__(self, asking: Asking) -> Principal:
        if asking is None:
            raise Unauthorized("Inicia sesión para continuar.")
        asking.need(self.permission)
        return asking


class ShopNeeds(Needs):
    """The same for shop routes: where SHOP_ACCESS is open, nobody needs to sign in."""

    def __call__(self, asking: Asking) -> Principal:
        if asking is None and settings().shop_is_open:
            return ANYONE
        return super().__call__(asking)


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
            options={"require": ["exp", "iat", "sub", "aud"]},
        )
        return int(claims["sub"])
    except (jwt.InvalidTokenError, ValueError):
        raise Unauthorized("La sesión no es válida o ya venció.") from None


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
    for subject in (f"address:{address}", f"user:{username}"):
        count_against_limit("sign-in", subject, SIGN_INS_PER_WINDOW, SIGN_IN_WINDOW_SECONDS)
    user = accounts.sign_in(session, username, password)
    response.headers["Cache-Control"] = "no-store"
    return Token(access_token=make_token(user.id), expires_in=settings().token_minutes * 60)
