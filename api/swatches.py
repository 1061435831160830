"""Swatch photos that clients upload: decoded with an allow-list, turned upright, encoded anew.

Nothing of the file itself is kept: neither its bytes (a JPEG may be a script as well), nor its
metadata (a phone writes where it was taken), nor its name.
"""

import hashlib
import io
import secrets
import threading
import warnings
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Response, UploadFile
from PIL import Image, ImageOps, UnidentifiedImageError

from api.auth import PLACE_ORDERS, ShopNeeds
from api.deps import Address, BaseUrl, Transaction, count_against_limit
from api.files import link
from api.schemas import SwatchRead
from models import swatches
from models.errors import InvalidInput
from models.settings import settings
from models.storage import storage

UPLOAD_MAX_BYTES = 10_000_000
UPLOAD_MAX_PIXELS = 40_000_000
STORED_SIDE_MAX_PX = 3000  # plenty for 30 cm of cloth at 10 px per mm
FORMATS = ["JPEG", "PNG", "WEBP"]
EMPTY = "El archivo está vacío."
TOO_LARGE = f"La foto pesa demasiado; el máximo son {UPLOAD_MAX_BYTES // 1_000_000} MB."
TOO_MANY_PIXELS = f"La foto es demasiado grande; el máximo son {UPLOAD_MAX_PIXELS // 10**6} MP."
UNREADABLE = "No pudimos abrir la foto. Usa JPEG, PNG o WebP."
ANIMATED = "La imagen tiene movimiento; sube una foto fija."

# 40 MP take about 250 MB while they are turned and scaled: one at a time keeps memory bounded.
decoding = threading.BoundedSemaphore(1)


class UploadRefused(InvalidInput):
    """The file cannot be used as a swatch; the message says why."""

    code = "swatch-unreadable"

    def __init__(self, message: str) -> None:
        super().__init__(message, "file")


@dataclass(frozen=True)
class Photo:
    """A clean JPEG: upright, RGB, without metadata."""

    content: bytes
    width_px: int
    height_px: int


def clean_photo(upload: bytes) -> Photo:
    """Decode and encode anew. Raises UploadRefused, which says what is wrong in Spanish."""
    if not upload:
        raise UploadRefused(EMPTY)
    if len(upload) > UPLOAD_MAX_BYTES:
        raise UploadRefused(TOO_LARGE)
    with decoding, warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow only warns about a bomb until it is twice as large
        try:
            return _encoded(_decoded(upload))
        except (
            UnidentifiedImageError,
            OSError,
            ValueError,
            SyntaxError,
            Warning,
            Image.DecompressionBombError,
        ):
            raise UploadRefused(UNREADABLE) from None


def _decoded(upload: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(upload), formats=FORMATS)
    if image.width * image.height > UPLOAD_MAX_PIXELS:
        raise UploadRefused(TOO_MANY_PIXELS)
    if getattr(image, "is_animated", False):
        raise UploadRefused(ANIMATED)
    image.draft("RGB", (STORED_SIDE_MAX_PX, STORED_SIDE_MAX_PX))  # JPEG: decode at a smaller scale
    image.thumbnail((STORED_SIDE_MAX_PX, STORED_SIDE_MAX_PX), Image.Resampling.LANCZOS)
    return ImageOps.exif_transpose(_on_white(image))


def _on_white(image: Image.Image) -> Image.Image:
    """RGB; what is transparent becomes white."""
    if not image.has_transparency_data:
        rgb = image.convert("RGB")
    else:
        rgba = image.convert("RGBA")
        rgb = Image.new("RGB", image.size, "white")
        rgb.paste(rgba, mask=rgba.getchannel("A"))
    rgb.info["exif"] = image.info.get("exif", b"")
    return rgb


def _encoded(image: Image.Image) -> Photo:
    clean = Image.frombytes("RGB", image.size, image.tobytes())  # pixels only
    out = io.BytesIO()
    clean.save(out, "JPEG", quality=95, subsampling=0)
    return Photo(out.getvalue(), *clean.size)


def keep_photo(
    session: Transaction, address: str, upload: bytes, width_mm: float | None
) -> swatches.Swatch:
    """Clean, store and remember one uploaded photo. Raises UploadRefused and RateLimited."""
    count_against_limit("upload", address, settings().uploads_per_minute)
    photo = clean_photo(upload)
    key = f"swatches/{secrets.token_urlsafe(24).replace('-', '_')}.jpg"
    storage().put(key, photo.content, "image/jpeg")
    sha256 = hashlib.sha256(photo.content).hexdigest()
    return swatches.add(session, key, sha256, (photo.width_px, photo.height_px), width_mm)


def read_capped(file: UploadFile) -> bytes:
    """The upload's bytes, never more than one over the limit."""
    return file.file.read(UPLOAD_MAX_BYTES + 1)


WidthMm = Annotated[float | None, Form(ge=5, le=3000, description="how wide the photo is in cloth")]
router = APIRouter(prefix="/api/v1/swatches", tags=["swatches"])


@router.post("", status_code=201, dependencies=[Depends(ShopNeeds(PLACE_ORDERS))])
def upload(
    session: Transaction,
    address: Address,
    base: BaseUrl,
    response: Response,
    file: UploadFile,
    width_mm: WidthMm = None,
) -> SwatchRead:
    """Upload a photo of cloth; it can be ordered until `expires_at`."""
    swatch = keep_photo(session, address, read_capped(file), width_mm)
    response.headers["Location"] = (url := link(base, swatch.object_key))
    return SwatchRead(
        id=swatch.id,
        url=url,
        width=swatch.width_px,
        height=swatch.height_px,
        width_mm=swatch.width_mm,
        expires_at=swatch.expires_at,
    )
