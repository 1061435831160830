"""If-Match on writes: who would change what somebody else has changed meanwhile is told so.

On the older paths it is optional: their clients do not send it, and what they write is written as
ever. Under /api/v1 it is needed.
"""

import hashlib
from typing import Annotated

from fastapi import Depends, Header

from api.deps import Transaction
from api.errors import STATUS
from api.schemas import RowKey
from models import catalogue
from models.catalogue import Fabric, FabricFamily
from models.errors import Conflict, InvalidInput

IfMatch = Annotated[str | None, Header(max_length=1000)]


class PreconditionFailed(Conflict):
    """The row is no longer as the client had read it."""

    code = "edited-meanwhile"


class PreconditionRequired(InvalidInput):
    """The client does not say which state of the row it had read."""

    code = "if-match-needed"


STATUS |= {PreconditionFailed: 412, PreconditionRequired: 428}


def etag(row: Fabric | FabricFamily) -> str:
    """Another one after each change; a family's also after a change of its fabrics."""
    parts: list[Fabric | FabricFamily] = [row]
    if isinstance(row, FabricFamily):
        parts += row.fabrics
    told = " ".join(f"{part.id} {part.updated_at.isoformat()}" for part in parts)
    return f'"{hashlib.sha256(told.encode()).hexdigest()[:20]}"'


def _family_as_read(id: RowKey, session: Transaction, if_match: IfMatch = None) -> None:
    if if_match is not None:
        _refuse_stale(if_match, catalogue.family(session, id, to_write=True))


def _fabric_as_read(id: RowKey, session: Transaction, if_match: IfMatch = None) -> None:
    if if_match is not None:
        _refuse_stale(if_match, catalogue.fabric(session, id, to_write=True))


def _refuse_stale(if_match: str, row: Fabric | FabricFamily) -> None:
    """Raises PreconditionFailed. The row is held, so that it stays as it was compared."""
    wanted = {tag.strip() for tag in if_match.split(",")}
    if not wanted & {"*", etag(row)}:
        raise PreconditionFailed("Alguien más guardó cambios mientras editabas.")


async def _if_match_needed(if_match: IfMatch = None) -> None:
    if if_match is None:
        raise PreconditionRequired("Falta If-Match: el ETag de lo que se leyó.")


IF_MATCH_NEEDED = Depends(_if_match_needed)
FAMILY_AS_READ, FABRIC_AS_READ = Depends(_family_as_read), Depends(_fabric_as_read)
