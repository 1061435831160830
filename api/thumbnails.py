"""/api/v1/images/{id}/thumbnail: a picture in small, for pages that show many.

It is made of the stored picture when somebody looks, and kept in memory for whoever looks next:
nothing more is stored, swept, or erased with a client. A picture whose row is gone has none.
"""

import io
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from PIL import Image as Pixels

from api.auth import READ_ORDERS, ShopNeeds
from api.kept import Kept
from models import database
from models.errors import NotFound, StorageError
from models.images import Image
from models.storage import storage

WIDTH_PX = 480  # twice what a tile of the gallery measures on a tablet
QUALITY = 82
KEPT = Kept(256)  # of some 30 kB
CACHED = "private, max-age=86400"  # a picture never changes

router = APIRouter(prefix="/api/v1/images", tags=["images"])


@router.get(
    "/{id}/thumbnail",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}, "description": "480 px wide at most"}},
    dependencies=[Depends(ShopNeeds(READ_ORDERS))],
)
def read_thumbnail(id: UUID) -> Response:
    """The picture in small. No transaction is open while the store is read."""
    with database.reading() as session:
        image = session.get(Image, id)
    if image is None:
        raise NotFound("No existe esa imagen.")
    key = image.object_key
    content = KEPT.get(key, lambda: in_small(storage().get(key)))
    return Response(content, media_type="image/jpeg", headers={"Cache-Control": CACHED})


def url(id: UUID) -> str:
    return f"{router.prefix}/{id}/thumbnail"


def in_small(picture: bytes) -> bytes:
    """As a JPEG, WIDTH_PX wide or as it is where that is less. Raises StorageError for bytes that
    are no picture of ours."""
    out = io.BytesIO()
    try:
        with Pixels.open(io.BytesIO(picture), formats=["JPEG"]) as image:
            size = (WIDTH_PX, image.height * WIDTH_PX // image.width)
            image.draft("RGB", size)  # decoded at a smaller scale
            image.thumbnail(size, Pixels.Resampling.LANCZOS)
            image.save(out, "JPEG", quality=QUALITY, optimize=True)
    except (OSError, ValueError) as error:
        raise StorageError("a stored picture cannot be decoded") from error
    return out.getvalue()
