"""The existing shop client's wire contract, field for field: catalogue, order, poll, upload."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response, UploadFile

from api import kept
from api.auth import PLACE_ORDERS, READ_CATALOGUE, READ_ORDERS, Principal, ShopNeeds
from api.deps import Address, BaseUrl, OrderId, Transaction, base_url, count_against_limit
from api.errors import BadRequest
from api.files import key_of, link
from api.polls import Together
from api.schemas import (
    Catalog,
    CatalogColor,
    CatalogFamily,
    GenerateRequest,
    JobImage,
    JobResponse,
    OldStatus,
    UploadResponse,
)
from api.swatches import UploadRefused, WidthMm, keep_photo, read_capped
from models import catalogue, generations, swatches
from models.database import Session
from models.errors import InvalidInput, NotFound
from models.settings import settings
from models.swatches import Swatch
from models.views import CutView, GenerationView

router = APIRouter(tags=["shop"])
Orderer = Annotated[Principal, Depends(ShopNeeds(PLACE_ORDERS))]
orders = Together(generations.read_many)
ACCEPTED = "Pedido recibido."
OLD_STATUS: dict[str, OldStatus] = {
    "pending": "pending",
    "processing": "processing",
    "completed": "completed",
    "failed": "failed",
    "canceled": "failed",  # old clients stop on completed and failed only
    "expired": "failed",
}
END_REASONS = {"canceled": "El pedido se canceló.", "expired": "El pedido venció sin empezar."}


@router.get("/catalog", response_model=Catalog, dependencies=[Depends(ShopNeeds(READ_CATALOGUE))])
def read_catalog(request: Request, session: Transaction, base: BaseUrl) -> Response:
    """Active families with their active fabrics."""

    def make() -> bytes:
        families = [_family(base, family) for family in catalogue.shop_families(session)]
        return Catalog(families=families).model_dump_json().encode()

    headers = {"Content-Type": "application/json"}
    return kept.answer(request, session, ("catalog", base), make, headers)


@router.post("/generate", status_code=201)
def generate(
    order: GenerateRequest, session: Transaction, orderer: Orderer, address: Address, base: BaseUrl
) -> JobResponse:
    """Place an order; the answer's request_id is what GET /jobs/{id} takes."""
    count_against_limit("order", address, settings().orders_per_minute)
    id = generations.place(
        session,
        generations.Order(
            color_id=order.color_id,
            family_id=order.family_id,
            cuts=order.cuts,
            owner=orderer.owner,
            quality=order.quality,
            noise_seed=order.seed,
            swatch=_uploaded_swatch(session, base, order),
        ),
    )
    return JobResponse(
        request_id=id, status="pending", images=[], duration_ms=None, meta={"message": ACCEPTED}
    )


@router.get(
    "/jobs/{id}", response_model=JobResponse, dependencies=[Depends(ShopNeeds(READ_ORDERS))]
)
async def read_job(id: OrderId, request: Request) -> Response:
    """How an order is doing. Never rate-limited: one refusal would end an old client's wait. The
    answer is valid as it is made and goes out as it is."""
    view = await orders.get(id)
    body = job_response(view, await base_url(request)).model_dump_json()
    return Response(body, media_type="application/json")


def job_response(view: GenerationView, base: str) -> JobResponse:
    return JobResponse(
        request_id=view.id,
        status=OLD_STATUS[view.status],
        images=[_image(base, cut) for cut in view.best],
        duration_ms=_duration_ms(view),
        meta=_meta(view),
    )


@router.post("/upload-swatch", dependencies=[Depends(ShopNeeds(PLACE_ORDERS))])
def upload_swatch(
    file: UploadFile,
    session: Transaction,
    address: Address,
    base: BaseUrl,
    width_mm: WidthMm = None,
) -> UploadResponse:
    """Upload a photo of cloth. The swatch_url is the only address that /generate accepts beside
    the catalogue's own."""
    content = read_capped(file)
    try:
        swatch = keep_photo(session, address, content, width_mm)
    except UploadRefused as error:
        raise BadRequest(str(error), "file") from error
    return UploadResponse(
        swatch_url=link(base, swatch.object_key),
        filename=file.filename or "",
        size_bytes=len(content),
    )


def _uploaded_swatch(session: Session, base: str, order: GenerateRequest) -> Swatch | None:
    """The uploaded swatch that the order names, or None for the catalogue's own.

    Raises InvalidInput for a foreign, unknown or expired address, and for the swatch of a fabric
    other than the one ordered: the client must never see another cloth than it chose."""
    if order.swatch_url is None:
        return None
    key = key_of(base, order.swatch_url)
    owners = {fabric.color_id for fabric in catalogue.fabrics_with_swatch(session, key)}
    if not owners:
        return swatches.orderable_by_key(session, key)
    if order.color_id not in owners:
        raise InvalidInput("La muestra es de otra tela que la elegida.", "swatch_url")
    return None


def _family(base: str, family: catalogue.FabricFamily) -> CatalogFamily:
    return CatalogFamily(
        family_id=family.family_id,
        display_name=family.display_name,
        lora_id=family.lora_id,
        default_recipe=family.default_recipe,
        status="active",
        sort=family.sort,
        colors=[
            CatalogColor(
                color_id=fabric.color_id,
                name=fabric.name,
                hex=fabric.hex_value,
                swatch_url=link(base, fabric.swatch_key) if fabric.swatch_key else None,
            )
            for fabric in family.fabrics
        ],
    )


def _image(base: str, job: CutView) -> JobImage:
    image = job.image
    if image is None:
        raise NotFound("Este corte aún no tiene imagen.")
    meta = {
        "seed": str(image.noise_seed),
        "engine": image.engine,
        "engine_version": image.engine_version,
        "stage": job.stage,
        "degraded": ",".join(image.degraded),
    }
    return JobImage(
        cut=job.cut,
        url=link(base, image.object_key),
        width=image.width_px,
        height=image.height_px,
        watermark=image.watermarked,
        meta=meta | {f"recipe.{name}": str(value) for name, value in image.recipe.items()},
    )


def _duration_ms(view: GenerationView) -> int | None:
    if view.settled_at is None or view.started_at is None:
        return None
    return round((view.settled_at - view.started_at).total_seconds() * 1000)


def _meta(view: GenerationView) -> dict[str, str]:
    meta = {"seed": str(view.noise_seed), "progress": str(_progress(view))}
    reason = END_REASONS.get(view.status) or view.reasons
    return meta | ({"error": reason} if reason else {})


def _progress(view: GenerationView) -> int:
    return sum(job.progress for job in view.deciding) // len(view.deciding)
