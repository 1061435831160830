"""Swatch photos that clients upload: decoded with an allow-list, turned upright, encoded anew.

Nothing of the file itself is kept: neither its bytes (a JPEG may be a script as well), nor its
metadata (a phone writes where it was taken), nor its name.
"""

import contextlib
import hashlib
import io
import logging
import secrets
import threading
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Response, UploadFile
from PIL import ExifTags, Image, ImageCms, ImageOps

from api.auth import PLACE_ORDERS, ShopNeeds
from api.deps import Address, BaseUrl, Transaction, count_against_limit
from api.files import link
from api.schemas import SwatchProfiled, SwatchRead, told_of
from models import profiles, swatches
from models.errors import InvalidInput
from models.settings import settings
from models.storage import storage

UPLOAD_MAX_BYTES = 10_000_000
UPLOAD_MAX_PIXELS = 40_000_000
SIDE_MIN_PX = 32  # less shows no weave; a worker refuses it as well
STORED_SIDE_MAX_PX = 3000  # plenty for 30 cm of cloth at 10 px per mm
FORMATS = ["JPEG", "PNG", "WEBP"]
SRGB = ImageCms.createProfile("sRGB")
EMPTY = "El archivo está vacío."
TOO_LARGE = f"La foto pesa demasiado; el máximo son {UPLOAD_MAX_BYTES // 1_000_000} MB."
TOO_MANY_PIXELS = f"La foto es demasiado grande; el máximo son {UPLOAD_MAX_PIXELS // 10**6} MP."
TOO_SMALL = f"La foto es demasiado pequeña o angosta; el mínimo son {SIDE_MIN_PX} píxeles por lado."
UNREADABLE = "No pudimos abrir la foto. Usa JPEG, PNG o WebP."
ANIMATED = "La imagen tiene movimiento; sube una foto fija."

log = logging.getLogger(__name__)

# 40 MP take up to 700 MB while they are decoded and scaled (WebP; JPEG and PNG 460): one at a
# time keeps memory bounded.
decoding = threading.BoundedSemaphore(1)


class UploadRefused(InvalidInput):
    """The file cannot be used as a swatch; the message says why."""

    code = "swatch-unreadable"

    def __init__(self, message: str) -> None:
        super().__init__(message, "file")


class SwatchTooSmall(UploadRefused):
    code = "swatch-too-small"


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
    with decoding:
        try:
            return _encoded(_decoded(upload))
        except UploadRefused:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise UploadRefused(TOO_MANY_PIXELS) from None
        except Exception:  # a decoder trips over hostile bytes in any way it likes
            log.info("upload not decoded", exc_info=True)
            raise UploadRefused(UNREADABLE) from None


def upright_size(upload: bytes, formats: list[str]) -> tuple[int, int]:
    """Width and height as the camera was held, from the header alone. Raises UploadRefused."""
    try:
        with Image.open(io.BytesIO(upload), formats=formats) as image:
            width, height = image.size
            turned = image.format == "JPEG" and _is_turned(image)
    except Exception:  # as in clean_photo
        raise UploadRefused(UNREADABLE) from None
    return (height, width) if turned else (width, height)


def _is_turned(image: Image.Image) -> bool:
    """By 90 degrees, to either side. For a PNG this would decode it."""
    return image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)


def _decoded(upload: bytes) -> Image.Image:
    """Upright, opaque, sRGB, and no larger than what is stored."""
    image: Image.Image = Image.open(io.BytesIO(upload), formats=FORMATS)
    _refuse_size(image.size)
    if getattr(image, "is_animated", False):
        raise UploadRefused(ANIMATED)
    image.draft("RGB", (STORED_SIDE_MAX_PX, STORED_SIDE_MAX_PX))  # JPEG: decode at a smaller scale
    image = _continuous(image)
    image.thumbnail((STORED_SIDE_MAX_PX, STORED_SIDE_MAX_PX), Image.Resampling.LANCZOS)
    return _in_srgb(ImageOps.exif_transpose(image))


def _refuse_size(size_px: tuple[int, int]) -> None:
    """Before any pixel is decoded. Raises UploadRefused."""
    if size_px[0] * size_px[1] > UPLOAD_MAX_PIXELS:
        raise UploadRefused(TOO_MANY_PIXELS)
    scale = min(1.0, STORED_SIDE_MAX_PX / max(size_px))
    if min(size_px) * scale < SIDE_MIN_PX:
        raise SwatchTooSmall(TOO_SMALL)


def _continuous(image: Image.Image) -> Image.Image:
    """In a mode that can be scaled with a filter: palettes cannot, and 16 bits become 8."""
    if image.mode.startswith("I;16"):
        return image.point(lambda level: level * (1 / 256)).convert("L")  # convert alone clips
    if image.mode in ("P", "PA", "1"):
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image


def _in_srgb(image: Image.Image) -> Image.Image:
    """RGB in sRGB. What is transparent becomes white; a profile that cannot be used is ignored."""
    profile = image.info.get("icc_profile")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.new("RGB", image.size, "white")
        image.paste(rgba, mask=rgba.getchannel("A"))
    if profile:
        with contextlib.suppress(ImageCms.PyCMSError, OSError):
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, SRGB, outputMode="RGB")
            image = converted or image
    return image.convert("RGB")


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
    response.headers["Location"] = link(base, swatch.object_key)
    return _swatch(base, swatch)


@router.get("/{id}", dependencies=[Depends(ShopNeeds(PLACE_ORDERS))])
def read(session: Transaction, base: BaseUrl, id: UUID) -> SwatchProfiled:
    """An uploaded photo, with what it shows: its `profile` is null until a worker has read it."""
    swatch = swatches.read(session, id)
    told = told_of(profiles.reading(session, swatch))
    return SwatchProfiled(**_swatch(base, swatch).model_dump(), **told)


def _swatch(base: str, swatch: swatches.Swatch) -> SwatchRead:
    return SwatchRead(
        id=swatch.id,
        url=link(base, swatch.object_key),
        width=swatch.width_px,
        height=swatch.height_px,
        width_mm=swatch.width_mm,
        expires_at=swatch.expires_at,
    )
