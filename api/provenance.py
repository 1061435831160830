"""/api/v1/images/{id}/provenance: how a picture was made, checked on its stored bytes."""

import hashlib
from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from api.auth import READ_ORDERS, ShopNeeds
from models import database, xmp
from models.errors import InvalidInput, NotFound
from models.images import Image
from models.storage import storage

router = APIRouter(prefix="/api/v1/images", tags=["images"])


class ProvenanceRead(BaseModel):
    """Public facts only: whoever may see the picture may know how it was made."""

    id: UUID
    created_at: datetime
    engine: str
    sha256: str
    intact: bool = Field(description="the stored bytes are those that were published")
    watermarked: bool
    title: str | None = Field(description="as the file itself says; null: it says nothing")
    creator_tool: str | None
    digital_source_type: str | None = Field(description="a term of IPTC's NewsCodes")
    c2pa: bool = Field(description="the file carries a C2PA manifest; verify it with the file")


@router.get("/{id}/provenance", dependencies=[Depends(ShopNeeds(READ_ORDERS))])
def read_provenance(id: UUID) -> ProvenanceRead:
    """What the stored file says about its making, and whether it is still what was published.

    No transaction is open while the store is read."""
    with database.transaction() as session:
        image = session.get(Image, id)
    if image is None:
        raise NotFound("No existe esa imagen.")
    content = storage().get(image.object_key)
    intact = hashlib.sha256(content).hexdigest() == image.sha256
    statement, sealed = _said(content) if intact else (None, False)
    return ProvenanceRead(
        id=image.id,
        created_at=image.created_at,
        engine=image.engine,
        sha256=image.sha256,
        intact=intact,
        watermarked=image.watermarked,
        title=statement.title if statement else None,
        creator_tool=statement.creator_tool if statement else None,
        digital_source_type=statement.source_uri if statement else None,
        c2pa=sealed,
    )


def _said(content: bytes) -> tuple[xmp.Statement | None, bool]:
    """Pictures published before provenance was say nothing."""
    try:
        return xmp.read(content), xmp.has_c2pa(content)
    except InvalidInput:
        return None, False
