"""For the machines that watch us: alive, ready, and metrics that never scan a big table."""

from collections.abc import Iterator
from typing import Literal

from fastapi import APIRouter, Depends, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from pydantic import BaseModel

from api.auth import READ_OPERATIONS, ShopNeeds
from api.deps import Transaction
from models import database, migrations, operations, queue, workers
from models.errors import DatabaseUnavailable, StorageError
from models.settings import settings
from models.storage import storage

router = APIRouter(tags=["operations"])
Check = Literal["ok", "failed", "none"]
HOUR = 3600.0


class Health(BaseModel):
    ok: bool = True
    version: str


class OldHealth(BaseModel):
    status: Literal["ok"] = "ok"
    version: str


class Readiness(BaseModel):
    status: Literal["ok", "degraded", "failed"]
    checks: dict[str, Check]


@router.get("/healthz")
def healthz() -> Health:
    """Static and cheap, for platform health checks."""
    return Health(version=settings().app_version)


@router.get("/livez")
def livez() -> Health:
    """This process answers."""
    return Health(version=settings().app_version)


@router.get("/health")
@router.get("/admin/health")
def old_health() -> OldHealth:
    return OldHealth(version=settings().app_version)


@router.get("/readyz", responses={503: {"model": Readiness}})
def readyz(response: Response) -> Readiness:
    """503 unless orders can be taken: database, migrations, storage. Without a worker online it is
    degraded but ready: orders are accepted and wait."""
    checks = _checks()
    if "failed" in checks.values():
        response.status_code = 503
        return Readiness(status="failed", checks=checks)
    return Readiness(status="ok" if checks["workers"] == "ok" else "degraded", checks=checks)


def _checks() -> dict[str, Check]:
    checks: dict[str, Check] = dict.fromkeys(("database", "migrations", "storage"), "failed")
    checks["workers"] = "none"
    try:
        storage().check()
        checks["storage"] = "ok"
    except StorageError:
        pass
    try:
        with database.transaction() as session:
            applied = migrations.are_applied(session)
            checks["database"] = "ok"  # not before something was read: sessions connect late
            if applied:
                checks["migrations"] = "ok"
                checks["workers"] = "ok" if workers.online(session) else "none"
    except DatabaseUnavailable:
        pass
    return checks


class QueueMetrics(Collector):
    """The queue's state, read when it is scraped; counting stops at a bound."""

    def __init__(self, session: database.Session) -> None:
        self.session = session

    def collect(self) -> Iterator[Metric]:
        yield _gauge("queue_pending_jobs", "Jobs waiting, up to 10001", queue.depth(self.session))
        yield _gauge("queue_processing_jobs", "Jobs claimed", queue.in_progress(self.session))
        yield _gauge("workers_online", "Workers seen lately", workers.online(self.session))
        yield from self._waits()
        yield from self._renders()
        yield self._attempts()

    def _waits(self) -> Iterator[Metric]:
        next_wait = GaugeMetricFamily(
            "queue_next_wait_seconds",
            "How long the next job of an engine has waited",
            labels=["engine"],
        )
        for engine in {settings().draft_engine, settings().chosen_final_engine}:
            next_wait.add_metric([engine], queue.oldest_wait_seconds(self.session, engine))
        yield next_wait
        waits = operations.latencies(self.session, HOUR)
        meaning = "Order to first claim, last hour"
        yield _gauge("queue_wait_median_seconds", meaning, waits.wait_p50 or 0)
        yield _gauge("queue_wait_p95_seconds", meaning, waits.wait_p95 or 0)

    def _renders(self) -> Iterator[Metric]:
        meaning = "of the last thousand pictures, last hour"
        done = GaugeMetricFamily("renders_last_hour", f"Pictures {meaning}", labels=["engine"])
        seconds = GaugeMetricFamily(
            "render_seconds", f"Claim to stored picture, {meaning}", labels=["engine", "quantile"]
        )
        for row in operations.renders(self.session, HOUR):
            done.add_metric([row.engine], row.pictures)
            if row.render_p50 is not None:
                seconds.add_metric([row.engine, "0.5"], row.render_p50)
                seconds.add_metric([row.engine, "0.95"], row.render_p95)
        yield done
        yield seconds

    def _attempts(self) -> Metric:
        ended = GaugeMetricFamily(
            "attempts_ended_last_hour",
            "Claims that ended without a picture, last hour",
            labels=["verb", "error_code"],
        )
        for row in operations.attempts(self.session, HOUR):
            ended.add_metric([row.verb, row.error_code], row.attempts)
        return ended


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


@router.get(
    "/metrics",
    dependencies=[Depends(ShopNeeds(READ_OPERATIONS))],
    response_class=PlainTextResponse,
)
def metrics(session: Transaction) -> Response:
    """Prometheus text."""
    registry = CollectorRegistry()
    registry.register(QueueMetrics(session))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
