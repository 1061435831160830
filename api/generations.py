"""/api/v1/generations: place an order once per Idempotency-Key, read it with ETag, cancel it."""

import hashlib
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request, Response

from api.auth import PLACE_ORDERS, READ_ORDERS, Principal, ShopNeeds
from api.deps import Address, BaseUrl, Transaction, base_url, count_against_limit
from api.files import link, link_hour
from api.language import told
from api.polls import Together
from api.schemas import (
    CutRead,
    ErrorRead,
    GenerationCreate,
    GenerationRead,
    GenerationUrls,
    ImageRead,
    OrderedFabric,
    QueueRead,
)
from models import generations, queue, swatches
from models.settings import settings
from models.views import CutView, GenerationView, Waiting

router = APIRouter(prefix="/api/v1/generations", tags=["generations"])
Orderer = Annotated[Principal, Depends(ShopNeeds(PLACE_ORDERS))]
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=255)]
CancelAfter = Annotated[float | None, Header(ge=1, le=7 * 86400)]
orders, states = Together(generations.read_many), Together(generations.states)
POLL_SECONDS = 1  # what Retry-After says while an order is not settled


@dataclass(frozen=True)
class OrderDesk:
    """Where an order is placed: in one transaction, by whom, from where, under which key; and the
    answer, which says where to poll it."""

    session: Transaction
    orderer: Orderer
    address: Address
    base: BaseUrl
    response: Response
    idempotency_key: IdempotencyKey = None

    def admit(self) -> None:
        """Raises RateLimited."""
        count_against_limit("order", self.address, settings().orders_per_minute)

    def placed(self, id: UUID) -> GenerationRead:
        self.response.headers["Location"] = f"{router.prefix}/{id}"
        return answer(generations.read(self.session, id), self.base, self.response)


Desk = Annotated[OrderDesk, Depends()]


@router.post("", status_code=202)
def create(order: GenerationCreate, desk: Desk, cancel_after: CancelAfter = None) -> GenerationRead:
    """Place an order. The same key with the same body answers with the same order.

    After `Cancel-After` seconds it expires if nobody has started it, and is canceled if somebody
    has."""
    desk.admit()
    session = desk.session
    id = generations.place(
        session,
        generations.Order(
            color_id=order.color_id,
            cuts=order.cuts,
            owner=desk.orderer.owner,
            quality=order.quality,
            noise_seed=order.seed,
            swatch=swatches.uploaded(session, order.swatch_id) if order.swatch_id else None,
            idempotency_key=desk.idempotency_key,
            deadline=queue.clock_in(session, cancel_after) if cancel_after else None,
        ),
    )
    return desk.placed(id)


@router.get(
    "/{id}",
    response_model=GenerationRead,
    responses={304: {"description": "nothing changed since If-None-Match"}},
    dependencies=[Depends(ShopNeeds(READ_ORDERS))],
)
async def read(
    id: UUID, request: Request, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """How an order is doing; cheap to poll with If-None-Match: then one small query says whether
    there is anything to tell. The answer is valid as it is made and goes out as it is."""
    if if_none_match is not None and (state := await states.find(id)) is not None:
        etag = _etag(id, state.version, None)
        if etag in if_none_match:
            return Response(status_code=304, headers=_headers(etag, state.settled))
    view = await orders.get(id)
    headers = _headers_of(view)
    if if_none_match is not None and headers["ETag"] in if_none_match:
        return Response(status_code=304, headers=headers)
    body = generation_read(view, await base_url(request)).model_dump_json()
    return Response(body, headers=headers, media_type="application/json")


@router.post("/{id}/cancel", responses={409: {"description": "already settled"}})
def cancel(
    id: UUID, session: Transaction, orderer: Orderer, base: BaseUrl, response: Response
) -> GenerationRead:
    """Stop what is left of the order; cuts that have their picture keep it."""
    return answer(generations.cancel(session, id), base, response)


def answer(view: GenerationView, base: str, response: Response) -> GenerationRead:
    response.headers.update(_headers_of(view))
    return generation_read(view, base)


def _headers_of(view: GenerationView) -> dict[str, str]:
    return _headers(_etag(view.id, view.version, view.waiting), view.status in queue.SETTLED)


def _headers(etag: str, settled: bool) -> dict[str, str]:
    retry = {} if settled else {"Retry-After": str(POLL_SECONDS)}
    return {"ETag": etag, "Cache-Control": "private, no-cache"} | retry


def _etag(id: UUID, version: int, waiting: Waiting | None) -> str:
    """Weak: changes with every move of a job, with the place in the queue, and with the links."""
    place = waiting and (waiting.ahead, waiting.workers_online)
    told = f"{id} {version} {place} {link_hour()}"
    return f'W/"{hashlib.sha256(told.encode()).hexdigest()[:20]}"'


def generation_read(view: GenerationView, base: str) -> GenerationRead:
    itself = f"{router.prefix}/{view.id}"
    without_worker = view.waiting is not None and view.waiting.workers_online == 0
    errors = [_error(job) for job in view.failures]
    return GenerationRead.model_validate(
        {
            "id": view.id,
            "status": view.status,
            "version": view.version,
            "created_at": view.created_at,
            "settled_at": view.settled_at,
            "quality": view.quality,
            "fabric": OrderedFabric(
                family_id=view.family_id,
                color_id=view.color_id,
                name=view.fabric_name,
                hex=view.fabric_hex,
                swatch_url=link(base, view.swatch_key) if view.swatch_key else None,
                uploaded_swatch=view.uploaded_swatch,
            ),
            "cuts": [_cut(job) for job in view.deciding],
            "images": [_image(base, job) for job in view.best],
            "seed": view.noise_seed,
            "queue": _queue(view.waiting),
            "warnings": ["no-workers"] if without_worker else [],
            "error": errors[0] if view.status == "failed" and errors else None,
            "urls": GenerationUrls(self=itself, cancel=f"{itself}/cancel"),
        }
    )


def _queue(waiting: Waiting | None) -> QueueRead:
    if waiting is None:
        return QueueRead(ahead=None, workers_online=None, eta_seconds=None)
    eta = None if waiting.eta_seconds is None else round(waiting.eta_seconds, 1)
    return QueueRead(ahead=waiting.ahead, workers_online=waiting.workers_online, eta_seconds=eta)


def _cut(job: CutView) -> CutRead:
    return CutRead.model_validate(
        {
            "cut": job.cut,
            "name": job.cut_name,
            "status": job.status,
            "progress": job.progress,
            "error": _error(job) if job.status == "failed" else None,
        }
    )


def _error(job: CutView) -> ErrorRead:
    code = job.error_code or "error"
    return ErrorRead(code=code, detail=told(job.reason, code))


def _image(base: str, job: CutView) -> ImageRead:
    image = job.image
    assert image is not None  # noqa: S101 (GenerationView.best has only those with one)
    return ImageRead.model_validate(
        {
            "id": image.image_id,
            "cut": job.cut,
            "name": job.cut_name,
            "stage": job.stage,
            "url": link(base, image.object_key),
            "width": image.width_px,
            "height": image.height_px,
            "seed": image.noise_seed,
            "engine": image.engine,
            "degraded": image.degraded,
            "truth": image.recipe.get("truth"),
        }
    )
