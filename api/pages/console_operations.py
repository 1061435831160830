"""Operations: the queue, its engines and workers, and bulk orders."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, Response

from api.auth import READ_OPERATIONS, Needs, Principal
from api.deps import Transaction
from api.operations import (
    BulkCreate,
    BulkOrderer,
    BulkVerb,
    EngineVerb,
    Operator,
    drain_worker,
    engine_names,
    place_bulk,
    switch_bulk,
    switch_engine,
)
from api.pages.console import HOME, back, page
from models import bulks, catalogue, operations, workers
from models.queue import SETTLED

PAGE = f"{HOME}/operations"
STOPPED_SHOWN = timedelta(minutes=15)
Watcher = Annotated[Principal, Depends(Needs(READ_OPERATIONS))]

router = APIRouter(prefix=PAGE, include_in_schema=False)


@router.get("")
def overview(watcher: Watcher, request: Request, session: Transaction) -> Response:
    engines = operations.engine_queues(session, engine_names())
    listed = [worker for worker in workers.listed(session) if not _left_long_ago(worker.stopped_at)]
    return page(
        "operations",
        request,
        watcher,
        engines=engines,
        pending=sum(engine.pending - engine.held for engine in engines),
        held=sum(engine.held for engine in engines),
        processing=sum(engine.processing for engine in engines),
        oldest=max((engine.oldest_wait_seconds for engine in engines), default=0),
        online=sum(worker.online for worker in listed),
        latencies=operations.latencies(session),
        workers=listed,
        bulks=[_Bulk(found) for found in bulks.recent(session, 10)],
        families=catalogue.shop_families(session),
        looks=catalogue.active_looks(session),
    )


@router.post("/engines/{engine}/{verb}")
def switch(operator: Operator, engine: str, verb: EngineVerb, session: Transaction) -> Response:
    switch_engine(session, engine, verb, operator)
    return back(PAGE, f"engine-{verb}")


@router.post("/workers/{name}/drain")
def ask_worker_to_stop(operator: Operator, name: str, session: Transaction) -> Response:
    drain_worker(session, name)
    return back(PAGE, "worker-drain")


@router.post("/bulks")
def create_bulk(
    orderer: BulkOrderer,
    session: Transaction,
    families: Annotated[list[str], Form()] = [],  # noqa: B006 (pydantic copies it)
    cuts: Annotated[list[str], Form()] = [],  # noqa: B006
    quality: Annotated[Literal["preview", "final"], Form()] = "final",
) -> Response:
    """All active fabrics of the chosen families."""
    wanted = [family for family in catalogue.shop_families(session) if family.family_id in families]
    color_ids = [fabric.color_id for family in wanted for fabric in family.fabrics]
    place_bulk(session, BulkCreate(color_ids=color_ids, cuts=cuts, quality=quality), orderer)
    return back(PAGE, "bulk-place")


@router.post("/bulks/{id}/{verb}")
def change_bulk(orderer: BulkOrderer, id: UUID, verb: BulkVerb, session: Transaction) -> Response:
    switch_bulk(session, id, verb)
    return back(PAGE, f"bulk-{verb}")


def _left_long_ago(stopped_at: datetime | None) -> bool:
    """A worker that said goodbye is shown for a while: somebody may wonder where it went."""
    return stopped_at is not None and datetime.now(UTC) - stopped_at > STOPPED_SHOWN


class _Bulk:
    """A bulk order with what its bar shows."""

    def __init__(self, progress: bulks.Progress) -> None:
        self.id = progress.id
        self.paused = progress.paused
        self.created_at = progress.created_at
        self.total = sum(progress.jobs.values())
        self.completed = progress.jobs.get("completed", 0)
        self.settled = sum(progress.jobs.get(status, 0) for status in SETTLED)
        self.failed = progress.jobs.get("failed", 0)
        self.canceled = progress.jobs.get("canceled", 0)

    @property
    def is_over(self) -> bool:
        return self.settled == self.total
