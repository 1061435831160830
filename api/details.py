"""/api/v1/images/{id}/detail: a suit drawn twice as large, to look at its weave with a client."""

from uuid import UUID

from fastapi import APIRouter

from api.generations import Desk
from api.schemas import GenerationRead
from models import generations

router = APIRouter(prefix="/api/v1/images", tags=["images"])


@router.post("/{id}/detail", status_code=202)
def order_detail(id: UUID, desk: Desk) -> GenerationRead:
    """Order the cut of this picture in detail, once per key; where that was drawn before it is
    there at once."""
    desk.admit()
    owner, key = desk.orderer.owner, desk.idempotency_key
    return desk.placed(generations.in_detail(desk.session, id, owner, key))
