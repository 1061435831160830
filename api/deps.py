"""What routes depend on: one transaction a request, who is asking, and from where.

What only looks at the request is `async`: a plain function would be sent to a thread and back.
"""

import contextlib
from collections.abc import Iterator
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request

from models import database, limits
from models.database import Session
from models.errors import NotFound
from models.settings import settings


@contextlib.contextmanager
def transaction_of(request: Request) -> Iterator[Session]:
    """A transaction whose writes the audit log puts down to whoever makes this request."""
    with database.transaction() as session:
        session.info["actor"] = lambda: _actor(request)
        yield session


def _transaction(request: Request) -> Iterator[Session]:
    with transaction_of(request) as session:
        yield session


def _actor(request: Request) -> str:
    principal = getattr(request.state, "principal", None)
    return principal.owner if principal else "shop"


# scope="function": it must commit before the answer goes out, or a 201's first poll is a 404.
Transaction = Annotated[Session, Depends(_transaction, scope="function")]


async def _never_cached(request: Request) -> None:
    request.state.never_cached = True


NEVER_CACHED = Depends(_never_cached)  # no answer of this route is, refusals included: envelope.py


async def client_address(request: Request) -> str:
    """The client's address; X-Forwarded-For is believed for TRUSTED_PROXY_HOPS entries only."""
    hops = settings().trusted_proxy_hops
    forwarded = request.headers.get("x-forwarded-for", "").split(",")
    if hops and len(forwarded) >= hops and forwarded[-hops].strip():
        return forwarded[-hops].strip()
    return request.client.host if request.client else "unknown"


Address = Annotated[str, Depends(client_address)]


def count_against_limit(kind: str, address: str, at_most: int, per_seconds: int = 60) -> None:
    """Count in a transaction of its own, so that a refused request counts as well.

    Raises RateLimited."""
    with database.transaction() as session:
        limits.hit(session, f"{kind}:{address}", at_most, per_seconds)


async def order_id(id: str) -> UUID:
    """Clients of the older paths treat ids as opaque. Raises NotFound for what cannot be one."""
    try:
        return UUID(id)
    except ValueError:
        raise NotFound("No existe ese pedido.") from None


OrderId = Annotated[UUID, Depends(order_id)]


async def base_url(request: Request) -> str:
    """Where clients reach us, without a slash at the end. Older deployments set PUBLIC_BASE_URL to
    where files are served."""
    base = (settings().public_base_url or str(request.base_url)).rstrip("/")
    return base.removesuffix("/files").rstrip("/")


BaseUrl = Annotated[str, Depends(base_url)]
