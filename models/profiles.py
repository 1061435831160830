"""Profiles: what a swatch shows. Its colours, weave, repeat and angle, read by idle workers.

The rows are the list of what is to be read: whatever has a swatch and no profile is enqueued by the
next idle worker, as a job without an order, behind all that clients wait for. A job that is done
leaves the queue in the statement that writes the profile down; one that failed stays for a day, to
be seen, and is then tried anew.
"""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import queue

ENGINE = "profile"
VERSION = 1  # raise it when the same swatch gives another profile; a migration forgets the old ones
OWNER = "house"
PRIORITY = -10  # behind bulk orders, and not counted with what clients wait for
MAX_ATTEMPTS = 5
LEASE_SECONDS = 120.0  # a swatch is read in a second or two, without a renewal
QUIET_SECONDS = 20.0  # who uploads a photo orders it next: that goes first
ENQUEUE_MOST = 200
# What a row says of its profile, where {swatch} is the column that names the swatch.
PROFILE_CHECK = (
    "profile IS NULL OR ({swatch} IS NOT NULL"
    " AND coalesce(jsonb_typeof(profile->'ground') = 'object'"
    " AND jsonb_typeof(profile->'weave') = 'string', false))"
)

WeaveClass = Literal["plain", "twill", "herringbone", "stripe", "check", "figure", "unknown"]


class Tint(BaseModel):
    """A colour of the cloth and how much of it has that colour."""

    model_config = ConfigDict(frozen=True)

    hex: str = Field(pattern="^#[0-9A-F]{6}$")
    share: float = Field(ge=0, le=1)


class Profile(BaseModel):
    """What a swatch shows. Repeats are null where nothing repeats that one would point at;
    millimetres are null where the scale is not known. Pixels are those of the cloth laid flat."""

    model_config = ConfigDict(frozen=True)

    ground: Tint
    accents: list[Tint]
    weave: WeaveClass
    confidence: float = Field(ge=0, le=1, description="of the weave's class")
    repeat_across_px: float | None
    repeat_down_px: float | None
    repeat_across_mm: float | None
    repeat_down_mm: float | None
    angle_deg: float | None = Field(
        ge=0, lt=180, description="of the lines one sees first, counter-clockwise from level"
    )
    degraded: list[str] = Field(description="what was assumed of a photo, as stable codes")


class SwatchLetter(BaseModel):
    """What a worker needs to read one swatch: the letter of a job without an order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    swatch_key: str
    swatch_sha256: str
    swatch_kind: Literal["tile", "photo"]
    swatch_width_mm: float | None


class Profiled:
    """A row with a swatch. Its profile is read on its own: lists do without it.

    Null: not read yet. A trigger forgets it when the row gets another swatch (migration 0008)."""

    profile: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)

    @property
    def swatch_letter(self) -> SwatchLetter | None:
        """What is there to be read; None where the row has no swatch."""
        raise NotImplementedError


@dataclass(frozen=True)
class ProfileClaim(queue.Held):
    """The right to read one swatch and to write down what it shows."""

    letter: SwatchLetter


# --- enqueue: what has a swatch and no profile ----------------------------------------------------
# Two workers that look at once are told apart by the unique index jobs_profiles.

# What names a reading, of the columns or parameters {sha256}, {kind} and {width_mm}.
FINGERPRINT = f"""
md5(concat_ws(' ', '{ENGINE}', {VERSION}, CAST({{sha256}} AS text), CAST({{kind}} AS text),
              CAST({{width_mm}} AS float8)))"""
FORGET_FAILED = text(f"""
DELETE FROM jobs WHERE generation_id IS NULL AND engine = '{ENGINE}' AND status = 'failed'
                   AND settled_at < statement_timestamp() - interval '1 day'
""")
ENQUEUE_UNREAD = text(f"""
WITH unread AS (
    SELECT swatch_key AS key, swatch_sha256 AS sha256, swatch_kind AS kind,
           swatch_width_mm AS width_mm
      FROM fabrics
     WHERE profile IS NULL AND swatch_key IS NOT NULL
       AND updated_at < statement_timestamp() - make_interval(secs => :quiet_seconds)
    UNION ALL
    SELECT object_key, sha256, 'photo', width_mm FROM swatches
     WHERE profile IS NULL AND expires_at > statement_timestamp()
       AND created_at < statement_timestamp() - make_interval(secs => :quiet_seconds)),
named AS (
    SELECT DISTINCT ON (fingerprint) *
      FROM (SELECT *, {FINGERPRINT.format(sha256="sha256", kind="kind", width_mm="width_mm")}
                   AS fingerprint FROM unread) all_of_them
     ORDER BY fingerprint)
INSERT INTO jobs (id, owner, engine, letter, fingerprint, priority, turn_at, max_attempts)
SELECT gen_random_uuid(), '{OWNER}', '{ENGINE}',
       json_build_object('swatch_key', key, 'swatch_sha256', sha256, 'swatch_kind', kind,
                         'swatch_width_mm', width_mm),
       fingerprint, {PRIORITY}, statement_timestamp(), {MAX_ATTEMPTS}
  FROM named
 WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE generation_id IS NULL
                                        AND jobs.fingerprint = named.fingerprint)
 LIMIT :most
ON CONFLICT DO NOTHING
""")


def enqueue_unread(session: Session, quiet_seconds: float = QUIET_SECONDS) -> None:
    """A job for each swatch that has no profile, has no job and was not changed just now."""
    session.execute(FORGET_FAILED)
    values = {"quiet_seconds": quiet_seconds, "most": ENQUEUE_MOST}
    session.execute(ENQUEUE_UNREAD, values)


# --- claim ----------------------------------------------------------------------------------------


def claim(session: Session, worker: str) -> ProfileClaim | None:
    """Take the next swatch to read; None when there is nothing to do."""
    row = queue.take(session, queue.Claimant(worker, [ENGINE], LEASE_SECONDS))
    if row is None:
        return None
    letter = SwatchLetter.model_validate(row.letter)
    return ProfileClaim(*queue.right_of(row), letter=letter)


# --- complete: the profile on every row that has this swatch now, and the job is gone -------------
# A row that got another swatch meanwhile is not found, and keeps what it has. The claim is the
# fence, as for pictures.

COMPLETE = text("""
WITH settled AS (
    DELETE FROM jobs WHERE claim = :claim AND generation_id IS NULL
    RETURNING letter->>'swatch_sha256' AS sha256, letter->>'swatch_kind' AS kind,
              (letter->>'swatch_width_mm')::float8 AS width_mm),
fabrics_told AS (
    UPDATE fabrics SET profile = CAST(:profile AS jsonb) FROM settled
     WHERE swatch_sha256 = settled.sha256 AND swatch_kind = settled.kind
       AND swatch_width_mm IS NOT DISTINCT FROM settled.width_mm),
uploads_told AS (
    UPDATE swatches SET profile = CAST(:profile AS jsonb) FROM settled
     WHERE swatches.sha256 = settled.sha256 AND settled.kind = 'photo'
       AND swatches.width_mm IS NOT DISTINCT FROM settled.width_mm)
SELECT 1 FROM settled
""")


def complete(session: Session, held: ProfileClaim, profile: Profile) -> None:
    """Write down what was read. Raises LeaseLost, and then nothing is written."""
    queue.settle(session, COMPLETE, held, profile=profile.model_dump_json())


# --- reading --------------------------------------------------------------------------------------

FAILURE = text(f"""
SELECT error_code, error FROM jobs
 WHERE generation_id IS NULL AND status = 'failed'
   AND fingerprint = {FINGERPRINT.format(sha256=":sha256", kind=":kind", width_mm=":width_mm")}
""")


@dataclass(frozen=True)
class Failure:
    """Why a swatch could not be read; tomorrow it is tried again."""

    code: str
    detail: str


@dataclass(frozen=True)
class Reading:
    """What a swatch shows, or why nobody can say. Neither: not read yet, or there is none."""

    profile: Profile | None = None
    failure: Failure | None = None


def reading(session: Session, row: Profiled) -> Reading:
    if row.profile is not None:
        return Reading(profile=Profile.model_validate(row.profile))
    letter = row.swatch_letter
    if letter is None:
        return Reading()
    asked = {
        "sha256": letter.swatch_sha256,
        "kind": letter.swatch_kind,
        "width_mm": letter.swatch_width_mm,
    }
    found = session.execute(FAILURE, asked).one_or_none()
    return Reading(failure=None if found is None else Failure(found.error_code, found.error or ""))
