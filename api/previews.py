"""/api/v1/generations/{id}/cuts/{cut}/preview: a photoreal picture while it is being painted."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Response

from api.auth import READ_ORDERS, ShopNeeds
from models import database, previews
from models.storage import storage

router = APIRouter(prefix="/api/v1/generations", tags=["generations"])
NEVER_KEPT = {"Cache-Control": "no-store"}
CutName = Annotated[str, Path(max_length=64, pattern="^[a-z0-9-]+$")]


@router.get(
    "/{id}/cuts/{cut}/preview",
    response_class=Response,
    responses={
        200: {"content": {"image/jpeg": {}}, "description": "the newest preview, in small"},
        204: {"description": "none yet, or none any more"},
    },
    dependencies=[Depends(ShopNeeds(READ_ORDERS))],
)
def read_preview(id: UUID, cut: CutName) -> Response:
    """The newest look at a final picture that is being painted: not the picture that will be
    published. 204 before the first one, for a picture that is made too fast to have any, and from
    the moment on that it is settled. No transaction is open while the store is read."""
    with database.transaction() as session:
        prefix = previews.prefix_of(session, id, cut)
    keys = sorted(object.key for object in storage().list(prefix)) if prefix else []
    if not keys:
        return Response(status_code=204, headers=NEVER_KEPT)
    content = storage().get(keys[-1])
    return Response(content, media_type="image/jpeg", headers=NEVER_KEPT)
