"""/api/v1/ops and /api/v1/bulks: the queue and its workers, watched and switched; bulk orders."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from pydantic import Field

from api.auth import (
    READ_OPERATIONS,
    WRITE_OPERATIONS,
    WRITE_ORDERS,
    Needs,
    Principal,
)
from api.deps import Transaction
from api.schemas import Cuts, Strict
from models import audit, bulks, operations, queue, workers
from models.engines import ENGINES
from models.errors import InvalidInput, NotFound
from models.settings import settings

MAY_READ = [Depends(Needs(READ_OPERATIONS))]
Operator = Annotated[Principal, Depends(Needs(WRITE_OPERATIONS))]
BulkOrderer = Annotated[Principal, Depends(Needs(WRITE_ORDERS))]
EngineVerb = Literal["pause", "drain", "resume"]
BulkVerb = Literal["pause", "resume", "cancel"]
ColorIds = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=5000)]
WorkerName = Annotated[str, Path(max_length=200)]

router = APIRouter(prefix="/api/v1", tags=["operations"])


class EngineRead(Strict):
    engine: str
    mode: Literal["running", "paused", "draining"]
    set_by: str | None
    set_at: datetime | None
    pending: int
    held: int
    processing: int
    oldest_wait_seconds: float
    workers_online: int


class LatenciesRead(Strict):
    """Seconds, over the last `pictures` ones; null before the first."""

    pictures: int
    wait_p50: float | None
    wait_p95: float | None
    render_p50: float | None
    render_p95: float | None


class QueueOverview(Strict):
    engines: list[EngineRead]
    latencies: LatenciesRead


class WorkerRead(Strict):
    name: str
    engines: list[str]
    version: str
    device: str
    draining: bool
    note: str | None
    online: bool
    last_seen_at: datetime
    stopped_at: datetime | None
    job_id: UUID | None
    progress: int | None


class BulkCreate(Strict):
    """`color_ids` null: all active fabrics; `cuts` null: all looks."""

    color_ids: ColorIds | None = None
    cuts: Cuts | None = None
    quality: Literal["preview", "final"] = "final"


class BulkRead(Strict):
    id: UUID
    owner: str
    paused: bool
    created_at: datetime
    jobs: dict[str, int]


# --- the queue and its workers --------------------------------------------------------------------


def engine_names() -> list[str]:
    """The engines that this deployment orders from."""
    return sorted({settings().draft_engine, settings().chosen_final_engine})


def switch_engine(session: Transaction, engine: str, verb: EngineVerb, by: Principal) -> None:
    """Pause, drain or resume. Raises NotFound for an engine that is none."""
    if engine not in ENGINES:
        raise NotFound("No existe ese motor.")
    before = {"mode": queue.modes(session).get(engine, "running")}
    if verb == "resume":
        queue.resume(session, engine)
    else:
        {"pause": queue.pause, "drain": queue.drain}[verb](session, engine, by.owner)
    after = {"mode": queue.modes(session).get(engine, "running")}
    audit.record(session, verb, ("engine", engine), engine, before, after)


def drain_worker(session: Transaction, name: str) -> None:
    """Ask it to finish what it has and stop. Raises NotFound."""
    workers.drain(session, name)
    audit.record(session, "drain", ("worker", name), name)


@router.get("/ops/queue", dependencies=MAY_READ)
def read_queue(session: Transaction) -> QueueOverview:
    """Each engine's queue, and how fast the last pictures came."""
    engines = [
        EngineRead.model_validate(vars(found) | {"mode": found.mode or "running"})
        for found in operations.engine_queues(session, engine_names())
    ]
    latencies = LatenciesRead.model_validate(vars(operations.latencies(session)))
    return QueueOverview(engines=engines, latencies=latencies)


@router.get("/ops/workers", dependencies=MAY_READ)
def list_workers(session: Transaction) -> list[WorkerRead]:
    """Last seen first, with the job that each holds."""
    fields = set(WorkerRead.model_fields)
    rows = [row._mapping for row in workers.listed(session)]
    return [WorkerRead.model_validate({name: row[name] for name in fields}) for row in rows]


@router.post("/ops/workers/{name}/drain", status_code=204)
def ask_worker_to_stop(operator: Operator, name: WorkerName, session: Transaction) -> None:
    drain_worker(session, name)


@router.post("/ops/engines/{engine}/{verb}", status_code=204)
def switch(operator: Operator, engine: str, verb: EngineVerb, session: Transaction) -> None:
    """pause: nothing more is claimed. drain: no new orders are taken. resume: both again."""
    switch_engine(session, engine, verb, operator)


# --- bulk orders ----------------------------------------------------------------------------------


def place_bulk(session: Transaction, order: BulkCreate, by: Principal) -> UUID:
    """Raises InvalidInput, and then nothing is ordered."""
    if order.cuts is not None and not order.cuts:
        raise InvalidInput("Elige al menos un corte.", "cuts")
    id = bulks.place(session, by.owner, order.color_ids, order.cuts, order.quality)
    audit.record(session, "place", ("bulk", str(id)), after=order.model_dump())
    return id


def switch_bulk(session: Transaction, id: UUID, verb: BulkVerb) -> bulks.Progress:
    """Pause, resume or cancel what is not settled. Raises NotFound."""
    before = vars(bulks.progress(session, id))
    if verb == "cancel":
        found = bulks.cancel(session, id)
    else:
        found = bulks.set_paused(session, id, verb == "pause")
    audit.record(session, verb, ("bulk", str(id)), "", _told(before), _told(vars(found)))
    return found


def _told(progress: dict[str, object]) -> dict[str, object]:
    """What the audit log keeps of a bulk order."""
    return {name: progress[name] for name in ("paused", "jobs")}


@router.get("/bulks", dependencies=MAY_READ)
def list_bulks(session: Transaction) -> list[BulkRead]:
    """The last ones, newest first."""
    return [BulkRead.model_validate(vars(bulk)) for bulk in bulks.recent(session)]


@router.post("/bulks", status_code=201)
def create_bulk(orderer: BulkOrderer, order: BulkCreate, session: Transaction) -> BulkRead:
    """Order many fabrics at the lowest priority: everybody else goes first."""
    return BulkRead.model_validate(
        vars(bulks.progress(session, place_bulk(session, order, orderer)))
    )


@router.get("/bulks/{id}", dependencies=MAY_READ)
def read_bulk(id: UUID, session: Transaction) -> BulkRead:
    return BulkRead.model_validate(vars(bulks.progress(session, id)))


@router.post("/bulks/{id}/{verb}")
def change_bulk(orderer: BulkOrderer, id: UUID, verb: BulkVerb, session: Transaction) -> BulkRead:
    """pause, resume, or cancel what is not settled yet."""
    return BulkRead.model_validate(vars(switch_bulk(session, id, verb)))
