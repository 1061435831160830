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
LARGE_PX = 800  # a phone across
QUALITY = 82
MEDIA_TYPE = "image/jpeg"
KEPT = Kept(256)  # of some 30 kB, the large ones 80
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
    content = of_stored(image.object_key)
    return Response(content, media_type=MEDIA_TYPE, headers={"Cache-Control": CACHED})


def url(id: UUID) -> str:
    return f"{router.prefix}/{id}/thumbnail"


def of_stored(key: str, width_px: int = WIDTH_PX) -> bytes:
    """The stored picture in small, made now or kept. Raises NotFound and StorageError."""
    return KEPT.get((key, width_px), lambda: in_small(storage().get(key), width_px))


def in_small(picture: bytes, width_px: int = WIDTH_PX) -> bytes:
    """As a JPEG of this width, or as it is where that is less. Raises StorageError for bytes that
    are no picture of ours."""
    out = io.BytesIO()
    try:
        with Pixels.open(io.BytesIO(picture), formats=["JPEG"]) as image:
            size = (width_px, image.height * width_px // image.width)
            image.draft("RGB", size)  # decoded at a smaller scale
            image.thumbnail(size, Pixels.Resampling.LANCZOS)
            image.save(out, "JPEG", quality=QUALITY, optimize=True)
    except (OSError, ValueError) as error:
        raise StorageError("a stored picture cannot be decoded") from error
    return out.getvalue()
