"""/api/v1/images/{id}/star: pictures that the house wants to find again."""

from uuid import UUID

from fastapi import APIRouter, Depends

from api.auth import PLACE_ORDERS, ShopNeeds
from api.deps import Transaction
from models import gallery

router = APIRouter(prefix="/api/v1/images", tags=["images"])
MAY = [Depends(ShopNeeds(PLACE_ORDERS))]


@router.put("/{id}/star", status_code=204, dependencies=MAY)
def star(id: UUID, session: Transaction) -> None:
    """Put a star on a picture; twice is once."""
    gallery.star(session, id)


@router.delete("/{id}/star", status_code=204, dependencies=MAY)
def unstar(id: UUID, session: Transaction) -> None:
    """Take the star off a picture, if it has one."""
    gallery.unstar(session, id)
