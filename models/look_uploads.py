"""Looks that merchandisers upload: a finished pack, or a photo with its mask and marked panels.

A worker makes the pack and draws what is shown of it, as a job without an order: the API has no
pixels. What becomes of an upload is not stored twice: it is ready when its pack is there, and until
then it is what its job is. Cuts that ship with the house follow its releases, not uploads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy import CheckConstraint, Row, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import queue
from models.base import Base, CreatedAt, UuidKey, uuid7
from models.catalogue import ACTIVE, Look
from models.database import Executor
from models.errors import Conflict, InvalidInput, NotFound

ENGINE = "look"
OWNER = "house"
PRIORITY = -5  # behind bulk orders; before swatches, for which nobody waits
MAX_ATTEMPTS = 3
LEASE_SECONDS = 300.0  # the largest photo takes a minute or so, without a renewal
SORT = 100  # among the cuts: behind those that ship
MOST = 50  # uploads that are listed

Kind = Literal["pack", "photo"]


class LookUpload(Base):
    """One upload. The last columns are the pack that a worker made of it: all or none."""

    __tablename__ = "look_uploads"
    __table_args__ = (
        CheckConstraint("kind IN ('pack', 'photo')", name="kind"),
        CheckConstraint(
            "num_nulls(pack_key, pack_sha256, pack_version, width_px, height_px, px_per_cm)"
            " IN (0, 6)",
            name="made",
        ),
    )

    id: Mapped[UuidKey]
    cut: Mapped[str]
    name: Mapped[str]
    kind: Mapped[str]
    source_key: Mapped[str]  # what was uploaded, as models/packs.py bundles it
    source_sha256: Mapped[str]
    created_by: Mapped[str]
    created_at: Mapped[CreatedAt]
    pack_key: Mapped[str | None]
    pack_sha256: Mapped[str | None]
    pack_version: Mapped[str | None]
    width_px: Mapped[int | None]
    height_px: Mapped[int | None]
    px_per_cm: Mapped[float | None]
    limits: Mapped[list[str]] = mapped_column(server_default=text("'{}'"), default=list)


class LookLetter(BaseModel):
    """What a worker needs to make one pack: the letter of a job without an order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    upload_id: UUID
    cut: str
    name: str
    kind: Kind
    source_key: str
    source_sha256: str


@dataclass(frozen=True)
class LookClaim(queue.Held):
    """The right to make one pack and to say so."""

    letter: LookLetter


@dataclass(frozen=True)
class MadePack:
    """A pack that is stored, and what photos do not tell (docs/photo-look.md)."""

    pack_key: str
    pack_sha256: str
    pack_version: str
    width_px: int
    height_px: int
    px_per_cm: float
    limits: tuple[str, ...] = ()


# --- submit: the row and its job, both or neither -------------------------------------------------

ENQUEUE = text(f"""
INSERT INTO jobs (id, owner, engine, letter, fingerprint, priority, turn_at, max_attempts)
VALUES (:id, '{OWNER}', '{ENGINE}', CAST(:letter AS json), :fingerprint, {PRIORITY},
        statement_timestamp(), {MAX_ATTEMPTS})
""")


def submit(session: Session, letter: LookLetter, created_by: str) -> None:
    """Remember an upload and ask for its pack. Raises InvalidInput for a cut of the house."""
    refuse_house_cut(session, letter.cut)
    fields = letter.model_dump(exclude={"upload_id"})
    session.add(LookUpload(id=letter.upload_id, created_by=created_by, **fields))
    session.flush()
    job = {"id": uuid7(), "letter": letter.model_dump_json()}
    session.execute(ENQUEUE, job | {"fingerprint": _fingerprint(letter.upload_id)})
    session.execute(queue.NOTIFY)


def refuse_house_cut(session: Session, cut: str) -> None:
    """Raises InvalidInput."""
    look = session.scalar(select(Look).where(Look.cut == cut))
    if look is not None and look.pack_key is None:
        raise InvalidInput(f"El corte «{cut}» viene con la casa; usa otro nombre.", "name")


def _fingerprint(id: UUID) -> str:
    """Names the job; the unique index of jobs without an order allows one."""
    return f"{ENGINE} {id}"


# --- claim and complete: as every job, with the same fence ----------------------------------------


WAITING = text(f"""
SELECT EXISTS (SELECT 1 FROM jobs WHERE status = 'pending' AND leader_id IS NULL
                                    AND engine = '{ENGINE}' AND run_at <= statement_timestamp())
""")


def is_one_waiting(session: Executor) -> bool:
    return bool(session.scalar(WAITING))


def claim(session: Session, worker: str) -> LookClaim | None:
    """Take the next pack to make; None when there is nothing to do."""
    row = queue.take(session, queue.Claimant(worker, [ENGINE], LEASE_SECONDS))
    if row is None:
        return None
    return LookClaim(*queue.right_of(row), letter=LookLetter.model_validate(row.letter))


COMPLETE = text("""
WITH settled AS (
    DELETE FROM jobs WHERE claim = :claim AND generation_id IS NULL
    RETURNING CAST(letter->>'upload_id' AS uuid) AS upload_id)
UPDATE look_uploads
   SET pack_key = :pack_key, pack_sha256 = :pack_sha256, pack_version = :pack_version,
       width_px = :width_px, height_px = :height_px, px_per_cm = :px_per_cm,
       limits = CAST(:limits AS text[])
  FROM settled WHERE look_uploads.id = settled.upload_id
RETURNING 1
""")


def complete(session: Session, held: LookClaim, made: MadePack) -> None:
    """The pack is ready, and its job is gone. Raises LeaseLost, and then nothing is written."""
    queue.settle(session, COMPLETE, held, **vars(made) | {"limits": list(made.limits)})


# --- reading --------------------------------------------------------------------------------------

LIST = text("""
SELECT u.id, u.cut, u.name, u.kind, u.pack_version, u.width_px, u.height_px, u.px_per_cm, u.limits,
       u.created_by, u.created_at, j.error_code, j.error,
       CASE WHEN l.id IS NOT NULL THEN 'on'
            WHEN u.pack_key IS NOT NULL THEN 'ready'
            WHEN j.status IN ('pending', 'processing') THEN 'making'
            ELSE 'failed' END AS state
  FROM look_uploads u
  LEFT JOIN jobs j ON j.generation_id IS NULL AND j.fingerprint = :engine || ' ' || u.id
  LEFT JOIN looks l ON l.cut = u.cut AND l.pack_key = u.pack_key
 ORDER BY u.id DESC LIMIT :most
""")


def listed(session: Session) -> Sequence[Row[Any]]:
    """The newest MOST uploads, each with its `state`: making, failed (with the error), ready, or
    on: its cut's pack now."""
    return session.execute(LIST, {"engine": ENGINE, "most": MOST}).all()


def find(session: Session, id: UUID, to_write: bool = False) -> LookUpload:
    """`to_write` holds the row until the transaction ends. Raises NotFound."""
    found = session.get(LookUpload, id, with_for_update=to_write)
    if found is None:
        raise NotFound("No existe esa subida.")
    return found


def as_look(upload: LookUpload) -> Look:
    """The look that an upload would be, in no session: for a trial. Raises Conflict."""
    return Look(cut=upload.cut, name=upload.name, **_pack(upload))


def _pack(upload: LookUpload) -> dict[str, Any]:
    if upload.pack_key is None:
        raise Conflict("El corte todavía no está listo.")
    names = ("pack_version", "width_px", "height_px", "px_per_cm", "pack_key", "pack_sha256")
    return {"pack": upload.cut} | {name: getattr(upload, name) for name in names}


# --- what becomes of it ---------------------------------------------------------------------------


def activate(session: Session, id: UUID) -> Look:
    """Put the upload's pack on the sales floor: as a new cut, or in place of that cut's older pack.

    Raises NotFound, Conflict while it is not ready, InvalidInput for a cut of the house."""
    upload = find(session, id, to_write=True)
    fields = _pack(upload) | {"name": upload.name, "status": ACTIVE}
    refuse_house_cut(session, upload.cut)
    look = session.scalar(select(Look).where(Look.cut == upload.cut).with_for_update())
    if look is None:
        look = Look(cut=upload.cut, sort=SORT)
        session.add(look)
    for name, value in fields.items():
        setattr(look, name, value)
    session.flush()
    return look


def discard(session: Session, id: UUID) -> None:
    """Forget an upload; who is making its pack loses the claim. Its objects are swept. Raises
    NotFound, and Conflict for the pack of a cut."""
    session.execute(FORGET_JOB, {"fingerprint": _fingerprint(id)})  # first, as `complete` does
    upload = find(session, id, to_write=True)
    in_use = select(Look.id).where(Look.pack_key == upload.pack_key)
    if upload.pack_key is not None and session.scalar(in_use) is not None:
        raise Conflict("Ese corte usa esta subida; sube otra en su lugar o desactívalo.")
    session.delete(upload)
    session.flush()


FORGET_JOB = text("DELETE FROM jobs WHERE generation_id IS NULL AND fingerprint = :fingerprint")
# An object of looks/ is needed by the row that names it: a pack always, a source until it is made
# or has failed.
UNNEEDED = text("""
SELECT key FROM unnest(CAST(:keys AS text[])) AS stored (key)
 WHERE NOT EXISTS (SELECT 1 FROM look_uploads WHERE pack_key = stored.key)
   AND NOT EXISTS (SELECT 1 FROM looks WHERE pack_key = stored.key)
   AND NOT EXISTS (SELECT 1 FROM jobs WHERE generation_id IS NULL
                                        AND status IN ('pending', 'processing')
                                        AND letter->>'source_key' = stored.key)
   AND NOT EXISTS (SELECT 1 FROM jobs WHERE status IN ('pending', 'processing')
                                        AND letter->>'look_key' = stored.key)
""")


# Pictures of a pack are shown with its upload and with its cut, and are there shortly before the
# upload is ready. Of a cut of the house every version stays: workers of several releases draw them.
UNSHOWN = text(f"""
SELECT key FROM unnest(CAST(:keys AS text[]), CAST(:packs AS text[]), CAST(:versions AS text[]))
             AS drawn (key, pack, version)
 WHERE NOT EXISTS (SELECT 1 FROM look_uploads u
                    WHERE u.cut = drawn.pack AND u.pack_version = drawn.version)
   AND NOT EXISTS (SELECT 1 FROM looks l WHERE l.pack = drawn.pack
                      AND (l.pack_key IS NULL OR l.pack_version = drawn.version))
   AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.generation_id IS NULL AND j.engine = '{ENGINE}'
                      AND j.status IN ('pending', 'processing') AND j.letter->>'cut' = drawn.pack)
""")


def unneeded(session: Session, keys: list[str]) -> list[str]:
    """Those keys of looks/ that nobody will read again."""
    return list(session.scalars(UNNEEDED, {"keys": keys}).all())


def unshown(session: Session, drawn: Mapping[str, tuple[str, str]]) -> list[str]:
    """Those pictures, by key (pack, version), that no page shows again."""
    packs, versions = ([of[part] for of in drawn.values()] for part in (0, 1))
    values = {"keys": list(drawn), "packs": packs, "versions": versions}
    return list(session.scalars(UNSHOWN, values).all())
