"""/api/v1/images/{id}/detail: a suit drawn twice as large, to look at its weave with a client."""

from uuid import UUID

from fastapi import APIRouter, Response

from api.deps import Address, BaseUrl, Transaction, count_against_limit
from api.generations import IdempotencyKey, Orderer, answer
from api.schemas import GenerationRead
from models import generations
from models.settings import settings

router = APIRouter(prefix="/api/v1/images", tags=["images"])


@router.post("/{id}/detail", status_code=202)
def order_detail(
    id: UUID,
    session: Transaction,
    orderer: Orderer,
    address: Address,
    base: BaseUrl,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> GenerationRead:
    """Order the cut of this picture in detail, once per key; where that was drawn before it is
    there at once."""
    count_against_limit("order", address, settings().orders_per_minute)
    placed = generations.in_detail(session, id, orderer.owner, idempotency_key)
    response.headers["Location"] = f"/api/v1/generations/{placed}"
    return answer(generations.read(session, placed), base, response)
