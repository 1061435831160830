"""Generations: what a client ordered; how an order is placed, read and canceled.

A generation keeps its own copy of the fabric, so that it outlives the catalogue. Its status is not
stored: it is a function of its jobs, so the two can never disagree.
"""

import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, Row, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import queue, swatches, workers
from models.base import Base, CreatedAt, UuidKey, uuid7
from models.catalogue import Fabric, Look, orderable_fabric, orderable_looks
from models.engines import ENGINES
from models.errors import Conflict, InvalidInput, NotFound, RateLimited
from models.letter import NOISE_SEED_MAX, Letter
from models.settings import settings
from models.swatches import Swatch
from models.views import CutView, GenerationView, Waiting

Quality = Literal["preview", "final", "detail"]
DETAIL_SCALE = 2  # a picture in detail is so many times as wide and high: the weave shows
KEY_HOURS = 24  # how long an idempotency key stands for the order that it came with


class IdempotencyMismatch(InvalidInput):
    """The key was used before, with another order."""

    code = "idempotency-mismatch"


class AlreadyFinished(Conflict):
    """Nothing of the order is left to cancel."""

    code = "already-finished"


class QueueFull(RateLimited):
    """More jobs wait than QUEUE_CAP allows."""

    code = "queue-full"


class Generation(Base):
    """One order: a cloth, the cuts to see it in, and the noise seed."""

    __tablename__ = "generations"
    __table_args__ = (
        CheckConstraint("cardinality(cuts) >= 1", name="cuts"),
        CheckConstraint("quality IN ('preview', 'final', 'detail')", name="quality"),
        CheckConstraint(f"noise_seed BETWEEN 0 AND {NOISE_SEED_MAX}", name="noise_seed"),
        CheckConstraint("(idempotency_key IS NULL) = (request_sha256 IS NULL)", name="idempotency"),
        Index("generations_idempotency_key", "owner", "idempotency_key", unique=True),
        Index("generations_fabric", "family_id", "color_id", "id"),
        Index("generations_bulk", "bulk_id", postgresql_where=text("bulk_id IS NOT NULL")),
    )

    id: Mapped[UuidKey]
    number: Mapped[int] = mapped_column(Identity(), unique=True)  # the older system's integer id
    owner: Mapped[str]  # who ordered: "shop", "user:3", "token:5"
    idempotency_key: Mapped[str | None]
    request_sha256: Mapped[str | None]
    family_id: Mapped[str]
    color_id: Mapped[str]
    fabric_name: Mapped[str]
    fabric_hex: Mapped[str]
    swatch_key: Mapped[str | None]
    uploaded_swatch: Mapped[bool]
    cuts: Mapped[list[str]]
    quality: Mapped[str]
    noise_seed: Mapped[int]
    bulk_id: Mapped[UUID | None] = mapped_column(ForeignKey("bulks.id", ondelete="SET NULL"))
    created_at: Mapped[CreatedAt]


class Bulk(Base):
    """One bulk order; what it consists of are ordinary generations that carry its id."""

    __tablename__ = "bulks"

    id: Mapped[UuidKey]
    owner: Mapped[str]
    paused: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[CreatedAt]


@dataclass(frozen=True)
class Order:
    """What somebody asks for. `place` checks it against the catalogue."""

    color_id: str
    cuts: Sequence[str]
    owner: str
    quality: Quality = "final"
    family_id: str | None = None
    noise_seed: int | None = None
    swatch: Swatch | None = None
    idempotency_key: str | None = None
    deadline: datetime | None = None
    bulk_id: UUID | None = None
    trial: Look | None = None  # of the one cut, where that need not be on the sales floor


# --- placing an order -----------------------------------------------------------------------------


def place(session: Session, order: Order) -> UUID:
    """Write the generation and its jobs; the id is what clients poll.

    The same idempotency key with the same order gives the same id and writes nothing, for
    KEY_HOURS, also where the swatch has expired since. Raises
    InvalidInput (names the field), IdempotencyMismatch (same key, other order) and QueueFull.
    """
    asked = _asked_sha256(order.idempotency_key, _request(order))
    if (placed := _placed_before(session, order.owner, order.idempotency_key, asked)) is not None:
        return placed
    if order.swatch is not None:
        swatches.refuse_expired(session, order.swatch)
    fabric = orderable_fabric(session, order.color_id, order.family_id)
    cuts = _checked_cuts(order.cuts)
    looks = [order.trial] if order.trial else orderable_looks(session, cuts)
    _refuse_full_queue(session, order.bulk_id)
    _refuse_draining_engines(session, order.quality)
    generation = _generation(order, fabric, asked)
    session.add(generation)
    session.flush()
    jobs = _jobs(generation, _cloth(order, fabric), looks, order.deadline)
    queue.enqueue(session, jobs, share_results=settings().share_results)
    return generation.id


def again(session: Session, id: UUID, owner: str) -> UUID:
    """Order the same once more: the cloth as it was ordered, the same cuts and noise seed; only the
    looks are today's. Raises NotFound, Conflict while the old order is not settled, InvalidInput
    when a cut is no longer there, and QueueFull."""
    old = session.get(Generation, id)
    if old is None:
        raise NotFound("No existe ese pedido.")
    if read(session, id).status not in queue.SETTLED:
        raise Conflict("El pedido todavía no termina.")
    return _place_as(session, old, _copy(old, owner))


def in_detail(session: Session, image_id: UUID, owner: str, key: str | None = None) -> UUID:
    """Order the suit of a picture in detail, for looking at the weave: the cloth as it was ordered,
    that one cut as its look is today. With an idempotency key once, as `place`. Raises NotFound,
    InvalidInput when the cut is no longer there, IdempotencyMismatch and QueueFull."""
    asked = _asked_sha256(key, {"in_detail": str(image_id)})
    if (placed := _placed_before(session, owner, key, asked)) is not None:
        return placed
    shown = session.execute(SHOWN_BY, {"image_id": image_id}).one_or_none()
    if shown is None:
        raise NotFound("No existe esa imagen.")
    old = session.get_one(Generation, shown.generation_id)
    once = {"idempotency_key": key, "request_sha256": asked}
    return _place_as(session, old, _copy(old, owner, quality="detail", cuts=[shown.cut], **once))


def _place_as(session: Session, old: Generation, generation: Generation) -> UUID:
    """Place an order in the cloth of another, as that was when it was ordered."""
    looks = orderable_looks(session, generation.cuts)
    _refuse_full_queue(session, generation.bulk_id)
    _refuse_draining_engines(session, generation.quality)
    letter: dict[str, Any] = session.scalars(LETTER, {"id": old.id}).one()
    session.add(generation)
    session.flush()
    jobs = _jobs(generation, {name: letter.get(name) for name in CLOTH}, looks)
    queue.enqueue(session, jobs, share_results=settings().share_results)
    return generation.id


# The newest order that shows it: the photo of its cloth is kept the longest.
SHOWN_BY = text("""
SELECT generation_id, cut FROM jobs
 WHERE image_id = :image_id AND generation_id IS NOT NULL ORDER BY created_at DESC, id DESC LIMIT 1
""")
CLOTH = ("fabric_hex", "swatch_key", "swatch_sha256", "swatch_kind", "swatch_width_mm")
LETTER = text("SELECT letter FROM jobs WHERE generation_id = :id LIMIT 1")


def _copy(old: Generation, owner: str, **other: Any) -> Generation:
    told = {"cuts": old.cuts, "quality": old.quality} | other
    return Generation(
        id=uuid7(),
        owner=owner,
        family_id=old.family_id,
        color_id=old.color_id,
        fabric_name=old.fabric_name,
        fabric_hex=old.fabric_hex,
        swatch_key=old.swatch_key,
        uploaded_swatch=old.uploaded_swatch,
        noise_seed=old.noise_seed,
        **told,
    )


def _checked_cuts(cuts: Sequence[str]) -> Sequence[str]:
    if not cuts:
        raise InvalidInput("Elige al menos un corte.", "cuts")
    if len(set(cuts)) < len(cuts):
        raise InvalidInput("Hay un corte repetido.", "cuts")
    if len(cuts) > settings().max_cuts:
        raise InvalidInput(f"Elige como máximo {settings().max_cuts} cortes.", "cuts")
    return cuts


def _refuse_full_queue(session: Session, bulk_id: UUID | None) -> None:
    """A bulk order neither counts nor is counted: it waits behind everybody anyway."""
    cap = settings().queue_cap
    if bulk_id is None and queue.depth(session, cap, above=queue.BULK_PRIORITY) >= cap:
        raise QueueFull("Hay demasiados pedidos en espera; intenta de nuevo en un momento.", 10)


def _refuse_draining_engines(session: Session, quality: str) -> None:
    modes = queue.modes(session)
    if any(modes.get(engine) == "draining" for _, engine in _stages(quality)):
        raise QueueFull("El taller no recibe pedidos nuevos por ahora.", 60)


def _generation(order: Order, fabric: Fabric, asked_sha256: str | None) -> Generation:
    seed = secrets.randbelow(NOISE_SEED_MAX + 1) if order.noise_seed is None else order.noise_seed
    return Generation(
        id=uuid7(),
        owner=order.owner,
        idempotency_key=order.idempotency_key,
        request_sha256=asked_sha256,
        family_id=fabric.family.family_id,
        color_id=fabric.color_id,
        fabric_name=fabric.name,
        fabric_hex=fabric.hex_value,
        swatch_key=order.swatch.object_key if order.swatch else fabric.swatch_key,
        uploaded_swatch=order.swatch is not None,
        cuts=list(order.cuts),
        quality=order.quality,
        noise_seed=seed,
        bulk_id=order.bulk_id,
    )


def _jobs(
    generation: Generation,
    cloth: dict[str, Any],
    looks: Sequence[Look],
    deadline: datetime | None = None,
) -> list[queue.NewJob]:
    return [
        queue.NewJob(
            generation_id=generation.id,
            owner=generation.owner,
            engine=engine,
            letter=(letter := _letter(generation, cloth, look, stage)),
            fingerprint=_fingerprint(letter, engine),
            max_attempts=settings().max_attempts,
            priority=queue.BULK_PRIORITY if generation.bulk_id else queue.PRIORITY[stage],
            expected_seconds=ENGINES[engine].expected_seconds,
            deadline=deadline,
        )
        for stage, engine in _stages(generation.quality)
        for look in looks
    ]


def _stages(quality: str) -> list[tuple[Literal["draft", "final"], str]]:
    """A preview is a draft; in detail the cloth itself is drawn. A final is the deployment's final
    engine, and a draft before it where that engine is slow: the client sees the suit at once."""
    draft, final = settings().draft_engine, settings().chosen_final_engine
    if quality != "final":
        return [("draft" if quality == "preview" else "final", draft)]
    return [("final", final)] if final == draft else [("draft", draft), ("final", final)]


def _cloth(order: Order, fabric: Fabric) -> dict[str, Any]:
    """The fields of a letter that say which cloth it is."""
    cloth: dict[str, Any] = {"fabric_hex": fabric.hex_value}
    if order.swatch is not None:
        cloth |= {
            "swatch_key": order.swatch.object_key,
            "swatch_sha256": order.swatch.sha256,
            "swatch_kind": "photo",
            "swatch_width_mm": order.swatch.width_mm,
        }
    elif fabric.swatch_key is not None:
        cloth |= {
            "swatch_key": fabric.swatch_key,
            "swatch_sha256": fabric.swatch_sha256,
            "swatch_kind": fabric.swatch_kind,
            "swatch_width_mm": fabric.swatch_width_mm,
        }
    return cloth


def _letter(
    generation: Generation,
    cloth: dict[str, Any],
    look: Look,
    stage: Literal["draft", "final"],
) -> Letter:
    scale = DETAIL_SCALE if generation.quality == "detail" else 1
    return Letter(
        cut=look.cut,
        look=look.pack,
        look_version=look.pack_version,
        look_key=look.pack_key,
        look_sha256=look.pack_sha256,
        width_px=scale * look.width_px,
        height_px=scale * look.height_px,
        stage=stage,
        noise_seed=generation.noise_seed,
        **cloth,
    )


def _fingerprint(letter: Letter, engine: str) -> str:
    """Names the result in 128 bits: equal for orders that must give the same picture."""
    facts = ENGINES[engine]
    left_out = {"cut", "stage", "swatch_key", "look_key"}
    left_out |= set() if facts.seeded else {"noise_seed"}
    made_by: dict[str, Any] = {"engine": engine, "engine_version": facts.version}
    if facts.has_recipe:
        made_by["recipe"] = settings().photoreal_recipe
    return _sha256(letter.model_dump(exclude=left_out) | made_by)[:32]


def _request(order: Order) -> dict[str, Any]:
    """What makes an order another one than the one before with the same idempotency key."""
    return {
        "color_id": order.color_id,
        "family_id": order.family_id,
        "cuts": list(order.cuts),
        "quality": order.quality,
        "noise_seed": order.noise_seed,
        "swatch": order.swatch.object_key if order.swatch else None,
    }


def _asked_sha256(key: str | None, request: dict[str, Any]) -> str | None:
    """What the key stands for; None without a key, which compares with nothing."""
    return None if key is None else _sha256(request)


def _sha256(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


PLACED_BEFORE = text("""
SELECT id, request_sha256 FROM generations
 WHERE owner = :owner AND idempotency_key = :idempotency_key
""")
FORGET_KEY = text(f"""
UPDATE generations SET idempotency_key = NULL, request_sha256 = NULL
 WHERE owner = :owner AND idempotency_key = :idempotency_key
   AND created_at < statement_timestamp() - interval '{KEY_HOURS} hours'
""")
SAME_KEY = text("SELECT pg_advisory_xact_lock(hashtextextended(:owner || ' ' || :key, 0))")


def _placed_before(
    session: Session, owner: str, key: str | None, request_sha256: str | None
) -> UUID | None:
    if key is None:
        return None
    # Two equal requests at once: the second waits here and then finds the first one's row.
    session.execute(SAME_KEY, {"owner": owner, "key": key})
    who = {"owner": owner, "idempotency_key": key}
    session.execute(FORGET_KEY, who)
    row = session.execute(PLACED_BEFORE, who).one_or_none()
    if row is not None and row.request_sha256 != request_sha256:
        raise IdempotencyMismatch("Esta clave de idempotencia ya se usó con otro pedido.")
    return None if row is None else row.id


# --- reading an order: raw SQL, this is what every client polls -----------------------------------


READ = text("""
SELECT g.id AS generation, g.number, g.owner, g.family_id, g.color_id, g.fabric_name, g.fabric_hex,
       g.swatch_key, g.uploaded_swatch, g.cuts, g.quality, g.noise_seed AS seed,
       g.created_at AS ordered_at,
       j.cut, coalesce(l.name, j.cut) AS cut_name, j.stage, j.status, j.progress, j.error_code,
       j.engine AS asked_engine,
       j.error, j.version, j.started_at, j.settled_at,
       i.id AS image_id, i.object_key, i.width_px, i.height_px, i.noise_seed, i.engine,
       i.engine_version, i.recipe, i.degraded, i.watermarked
  FROM generations g
  JOIN jobs j ON j.generation_id = g.id
  LEFT JOIN looks l ON l.cut = j.cut
  LEFT JOIN images i ON i.id = j.image_id
 WHERE g.id = ANY(:ids)
 ORDER BY g.id DESC, array_position(g.cuts, j.cut), j.stage
""")


def read(session: Session, id: UUID) -> GenerationView:
    """Everything a client may poll, in one statement; more while it waits. Raises NotFound."""
    views = read_many(session, [id])
    if not views:
        raise NotFound("No existe ese pedido.")
    return views[0]


STATES = text("""
SELECT generation_id, CAST(sum(version) AS bigint) AS version,
       coalesce(bool_and(settled_at IS NOT NULL) FILTER (WHERE stage = 'final'),
                bool_and(settled_at IS NOT NULL)) AS settled
  FROM jobs WHERE generation_id = ANY(:ids)
 GROUP BY generation_id HAVING NOT bool_or(status = 'pending')
""")


@dataclass(frozen=True)
class State:
    """How far an order is, in three fields of its GenerationView."""

    id: UUID
    version: int
    settled: bool


def states(session: Session, ids: Sequence[UUID]) -> list[State]:
    """From one index probe each. An order of which a job waits is left out: what clients see of it
    changes with the queue."""
    return [State(*row) for row in session.execute(STATES, {"ids": list(ids)})]


def read_many(session: Session, ids: Sequence[UUID]) -> list[GenerationView]:
    """Newest first; ids that do not exist are left out."""
    orders: dict[UUID, list[Row[Any]]] = {}
    for row in session.execute(READ, {"ids": list(ids)}):
        orders.setdefault(row.generation, []).append(row)
    pace = cache(lambda engine: _pace(session, engine))
    return [_view(rows, _waiting(session, rows, pace)) for rows in orders.values()]


def _view(rows: list[Row[Any]], waiting: Waiting | None) -> GenerationView:
    first = rows[0]
    return GenerationView(
        id=first.generation,
        number=first.number,
        owner=first.owner,
        family_id=first.family_id,
        color_id=first.color_id,
        fabric_name=first.fabric_name,
        fabric_hex=first.fabric_hex,
        swatch_key=first.swatch_key,
        uploaded_swatch=first.uploaded_swatch,
        cuts=first.cuts,
        quality=first.quality,
        noise_seed=first.seed,
        created_at=first.ordered_at,
        jobs=[_cut_view(row) for row in rows],
        waiting=waiting,
    )


Pace = tuple[int, float]  # of an engine: workers online, expected seconds of a picture


def _waiting(session: Session, rows: list[Row[Any]], pace: Callable[[str], Pace]) -> Waiting | None:
    """For an order with a pending job: its place, and the time until it is done, from how long the
    engine's last pictures took and how many workers have that engine."""
    pending = next((row for row in rows if row.status == "pending"), None)
    if pending is None:
        return None
    ahead = queue.ahead(session, pending.generation)
    online, seconds = pace(pending.asked_engine)
    return Waiting(ahead, online, (ahead + 1) * seconds / online if online else None)


def _pace(session: Session, engine: str) -> Pace:
    return workers.online(session, engine), expected_seconds(session, engine)


LAST_RENDERS = text("""
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FROM (
    SELECT (timings_ms->>'total')::float8 AS ms
      FROM (SELECT engine, timings_ms FROM images ORDER BY id DESC LIMIT 100) lately
     WHERE engine = :engine) renders
""")


def expected_seconds(session: Session, engine: str) -> float:
    """The median of the engine's renders among the last 100 pictures; a guess before the first."""
    median_ms: float | None = session.scalar(LAST_RENDERS, {"engine": engine})
    return ENGINES[engine].expected_seconds if median_ms is None else median_ms / 1000


def _cut_view(row: Row[Any]) -> CutView:
    return CutView(
        cut=row.cut,
        cut_name=row.cut_name,
        stage=row.stage,
        status=row.status,
        progress=row.progress,
        error_code=row.error_code,
        error=row.error,
        version=row.version,
        started_at=row.started_at,
        settled_at=row.settled_at,
        image=row if row.image_id else None,
    )


def cancel(session: Session, id: UUID) -> GenerationView:
    """Cancel what is left of it. Raises NotFound, and AlreadyFinished when all is settled."""
    before = read(session, id)
    if queue.cancel(session, id) == 0:
        raise AlreadyFinished(f"El pedido ya terminó ({before.status}).")
    return read(session, id)
