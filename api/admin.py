"""The console's older paths for orders: /admin/generations."""

from collections import Counter
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from api.auth import READ_ORDERS, WRITE_ORDERS, Needs
from api.catalogue import Limit, Offset, Part
from api.deps import BaseUrl, OrderId, Transaction, transaction_of
from api.files import link
from api.schemas import FamilyCount, GenerationJobRead, GenerationStats, OldStatus
from api.shop import OLD_STATUS
from models import audit, doomed, generations, history
from models.catalogue import Page
from models.storage import storage
from models.views import GenerationView

router = APIRouter(prefix="/admin/generations", tags=["orders"])
MAY_READ, MAY_WRITE = [Depends(Needs(READ_ORDERS))], [Depends(Needs(WRITE_ORDERS))]
TOP_FAMILIES = 10


@router.get("", dependencies=MAY_READ)
def list_orders(
    session: Transaction,
    base: BaseUrl,
    family_id: Part = None,
    color_id: Part = None,
    status_filter: OldStatus | None = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> list[GenerationJobRead]:
    statuses = [new for new, old in OLD_STATUS.items() if old == status_filter] or None
    wanted = history.Wanted(family_id, color_id, statuses)
    views = history.list_generations(session, Page(limit, offset), wanted)
    return [_order(base, view) for view in views]


@router.get("/by-fabric/{family_id}/{color_id}", dependencies=MAY_READ)
def list_completed_by_fabric(
    family_id: str,
    color_id: str,
    session: Transaction,
    base: BaseUrl,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> list[GenerationJobRead]:
    wanted = history.Wanted(family_id, color_id, ["completed"])
    views = history.list_generations(session, Page(limit), wanted)
    return [_order(base, view) for view in views]


@router.get("/stats", dependencies=MAY_READ)
def read_stats(session: Transaction) -> GenerationStats:
    rows = history.stats(session)
    by_status: Counter[OldStatus] = Counter()
    by_family: Counter[str] = Counter()
    for row in rows:
        by_status[OLD_STATUS[row.status]] += row.orders
        by_family[row.family_id] += row.orders
    top = by_family.most_common(TOP_FAMILIES)
    return GenerationStats(
        total_generations=by_status.total(),
        by_status={old: by_status[old] for old in OLD_STATUS.values()},
        by_family=[FamilyCount(family_id=family, count=count) for family, count in top],
        last_24_hours=sum(row.recent for row in rows),
    )


@router.get("/{id}", dependencies=MAY_READ)
def read_order(id: OrderId, session: Transaction, base: BaseUrl) -> GenerationJobRead:
    return _order(base, generations.read(session, id))


@router.delete("/{id}", status_code=204, dependencies=MAY_WRITE)
def delete_order(id: OrderId, request: Request) -> None:
    """Delete the order with its pictures; 204 says that nothing leads to them any more. What the
    store does not delete now is deleted later."""
    with transaction_of(request) as session:
        history.delete(session, id)
        audit.record(session, "delete", ("order", str(id)))
    doomed.delete(storage())


def _order(base: str, view: GenerationView) -> GenerationJobRead:
    return GenerationJobRead(
        id=view.number,
        job_id=view.id,
        status=OLD_STATUS[view.status],
        family_id=view.family_id,
        color_id=view.color_id,
        cuts=view.cuts,
        seed=view.noise_seed,
        result_urls=[link(base, cut.image.object_key) for cut in view.best if cut.image] or None,
        error_message=view.reasons or None,
        created_at=view.created_at,
        updated_at=_updated_at(view),
        started_at=view.started_at,
        completed_at=view.settled_at,
    )


def _updated_at(view: GenerationView) -> datetime:
    return view.settled_at or view.started_at or view.created_at
