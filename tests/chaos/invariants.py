"""The twelve invariants, judged from the data: the rows, the audit, the stored bytes, the logs.

Each function returns what violates it, in words; an empty list means that it holds. Numbers 3, 4
and 6 are also looked at all the time, by `Watcher`.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psycopg

from models import generations, queue
from models.database import transaction
from models.errors import Conflict, StylistError
from tests.chaos.clients import Book
from tests.chaos.crew import Member
from tests.chaos.victim import BAD_ORDER, FATES, POISON, flat_picture
from worker.watermark import Watermark

REPEATED_ORDERS = 20
JPEG_NOISE_LEVELS = 6.0
FAILED_AT_MOST = 0.01  # of all jobs, beside those that must


@dataclass(frozen=True)
class Evidence:
    """Everything that is known about one run, at rest."""

    connection: psycopg.Connection[Any]
    folder: Path
    book: Book
    members: Sequence[Member]
    outages: Sequence[tuple[float, float]]  # of the database, in epoch seconds
    lease_seconds: float
    lapses_need_a_cause: bool
    at_rest: bool  # every job was settled before the time was up

    def rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        return self.connection.execute(query, values).fetchall()

    def words(self, what: str, query: str, **values: Any) -> list[str]:
        return [f"{what}: {row}" for row in self.rows(query, **values)]


def conservation(run: Evidence) -> list[str]:
    """1. Every acknowledged order is there, whole; nothing is lost, nothing is there unasked."""
    there = dict(run.rows("SELECT generation_id, count(*) FROM jobs GROUP BY generation_id"))
    lost = [
        f"lost: order {entry.id} has {there.get(entry.id, 0)} of {len(entry.order.cuts)} jobs"
        for entry in run.book.acknowledged
        if there.get(entry.id, 0) != len(entry.order.cuts)
    ]
    attempted = {entry.order.idempotency_key for entry in run.book.entries}
    found = run.rows("SELECT idempotency_key FROM generations")
    unasked = [f"unexpected: {key}" for (key,) in found if key not in attempted]
    deleted = run.words("deleted", "SELECT job_id FROM chaos_moves WHERE verb = 'DELETE'")
    return lost + unasked + deleted


def one_completion(run: Evidence) -> list[str]:
    """2. At most one accepted completion a job; and no worker calls its own success a loss."""
    twice = run.words(
        "completed twice",
        """SELECT job_id, count(*) FROM chaos_moves
            WHERE status_after = 'completed' AND image_after IS DISTINCT FROM image_before
            GROUP BY job_id HAVING count(*) > 1""",
    )
    won = {str(claim) for (claim,) in run.rows("SELECT settled_by FROM jobs")}
    given_up = [
        line["claim"] for line in _log(run.folder) if "before it was settled" in line["event"]
    ]
    return twice + [f"won, yet called lost: {claim}" for claim in given_up if claim in won]


def one_live_claim(run: Evidence) -> list[str]:
    """3. One job a claim, one claim a job; it ends for others only when the database's clock says
    that the lease is over, and a lease is as long as it should be: it counts from a moment between
    the statement's begin, from which its worker counts, and its end."""
    shared = run.words(
        "claim taken twice",
        "SELECT claim, count(*) FROM chaos_claims GROUP BY claim HAVING count(*) > 1",
    )
    stolen = run.words(
        "claimed while it was held",
        "SELECT job_id FROM chaos_claims WHERE status_before <> 'pending'",
    )
    length = run.words(
        "lease of another length",
        """SELECT job_id, extract(epoch FROM lease_after - asked),
                  extract(epoch FROM lease_after - at) FROM chaos_moves
            WHERE lease_after IS DISTINCT FROM lease_before AND lease_after IS NOT NULL
              AND NOT lease_after - make_interval(secs => %(lease)s) BETWEEN asked AND at""",
        lease=run.lease_seconds,
    )
    return shared + stolen + length


STALE = """
SELECT job_id, app, holder, status_after FROM chaos_held
 WHERE app IS DISTINCT FROM holder AND NOT is_lapse AND NOT is_cancel"""


def fence(run: Evidence) -> list[str]:
    """4. Only the holder of the claim on the row moves the job; the result carries that claim; what
    was refused leaves no row."""
    stale = run.words("stale write accepted", STALE)
    foreign = run.words(
        "result of another claim",
        """SELECT j.id, j.settled_by, i.object_key FROM jobs j JOIN images i ON i.id = j.image_id
            WHERE position(j.settled_by::text IN i.object_key) = 0""",
    )
    unclaimed = run.words(
        "settled by a claim that neither it had nor a job that orders the same",
        """SELECT j.id, j.settled_by FROM jobs j WHERE settled_by IS NOT NULL AND NOT EXISTS
           (SELECT FROM chaos_claims c JOIN jobs same ON same.id = c.job_id
             WHERE c.claim = j.settled_by AND same.fingerprint = j.fingerprint)""",
    )
    trace = run.words(
        "image of no job",
        "SELECT id FROM images i WHERE NOT EXISTS (SELECT FROM jobs j WHERE j.image_id = i.id)",
    )
    return stale + foreign + unclaimed + trace


def bounded_work(run: Evidence) -> list[str]:
    """5. Claims made = attempts + attempts given back, both capped; a job that kills its workers
    ends failed; a bad order is tried once; no claim lapses while its worker is well."""
    counted = run.words(
        "claims do not add up",
        """SELECT j.id, c.made, j.attempts, g.given
             FROM jobs j,
                  LATERAL (SELECT count(*) made FROM chaos_claims c WHERE c.job_id = j.id) c,
                  LATERAL (SELECT coalesce(sum(attempts_before - attempts_after), 0) given
                             FROM chaos_moves m
                            WHERE m.job_id = j.id AND attempts_after < attempts_before) g
            WHERE c.made <> j.attempts + g.given OR j.attempts > j.max_attempts
               OR g.given > %(cap)s""",
        cap=queue.RELEASES_MAX,
    )
    poison = run.words(
        "poison job not failed",
        """SELECT id, status, attempts FROM jobs
            WHERE (letter->>'noise_seed')::bigint %% %(fates)s = %(poison)s
              AND status NOT IN ('failed', 'canceled', 'expired')""",
        fates=FATES,
        poison=POISON,
    )
    bad = run.words(
        "bad order not failed at once",
        """SELECT id, status FROM jobs
            WHERE (letter->>'noise_seed')::bigint %% %(fates)s = %(bad)s
              AND (status = 'completed' OR status = 'failed'
                   AND error_code NOT IN ('swatch-unreadable', 'worker-lost'))""",
        fates=FATES,
        bad=BAD_ORDER,
    )
    return counted + poison + bad + _lapses_without_a_cause(run)


def _lapses_without_a_cause(run: Evidence) -> list[str]:
    if not run.lapses_need_a_cause:
        return []
    hurt = {member.name: [*member.hurt, *run.outages] for member in run.members}
    lapses = run.rows(
        """SELECT job_id, holder, extract(epoch FROM claimed_at)::float8,
                  extract(epoch FROM at)::float8 FROM chaos_held WHERE is_lapse"""
    )
    return [
        f"left to lapse by a healthy worker: job {job_id} of {holder}"
        for job_id, holder, start, end in lapses
        if not any(begun < end and start < over for begun, over in hurt[holder])
    ]


def terminal_stays(run: Evidence) -> list[str]:
    """6. What is settled never changes."""
    return run.words(
        "changed after it was settled",
        """SELECT job_id, status_before, status_after, app FROM chaos_moves
            WHERE verb = 'UPDATE'
              AND status_before IN ('completed', 'failed', 'canceled', 'expired')""",
    )


def stored_as_recorded(run: Evidence) -> list[str]:
    """7. The picture of every completed job is there, with the recorded size and SHA-256."""
    bad = []
    for key, size, sha256 in run.rows("SELECT object_key, size_bytes, sha256 FROM images"):
        content = _stored(run.folder, key)
        if len(content) != size or hashlib.sha256(content).hexdigest() != sha256:
            bad.append(f"sha mismatch: {key} holds {len(content)} bytes of {size}")
    return bad


def all_or_none(run: Evidence) -> list[str]:
    """8. Completed and with the picture that was ordered, or neither."""
    foreign = run.words(
        "picture of another order",
        """SELECT j.id FROM jobs j JOIN images i ON i.id = j.image_id
            WHERE i.fingerprint <> j.fingerprint""",
    )
    return foreign + run.words(
        "half published",
        """SELECT j.id, j.status, i.id FROM jobs j LEFT JOIN images i ON i.id = j.image_id
            WHERE (j.status = 'completed') <> (i.id IS NOT NULL)""",
    )


def no_orphans(run: Evidence) -> list[str]:
    """9. After the sweep every stored picture is one that a row points at. (That none which a row
    points at was deleted is number 7.)"""
    known = {key for (key,) in run.rows("SELECT object_key FROM images")}
    files = run.folder / "files"
    stored = {str(path.relative_to(files)) for path in files.rglob("*") if path.is_file()}
    return [f"orphan: {key}" for key in stored - known]


def same_key_same_order(run: Evidence) -> list[str]:
    """10. The same key again gives the same order and writes nothing; with another order it is
    refused."""
    wrong = run.words(
        "key used twice",
        """SELECT owner, idempotency_key FROM generations GROUP BY 1, 2 HAVING count(*) > 1""",
    )
    before = run.rows("SELECT count(*) FROM jobs")
    for entry in run.book.acknowledged[:: max(1, len(run.book.acknowledged) // REPEATED_ORDERS)]:
        wrong += _repeated(entry.order, entry.id)
    if run.rows("SELECT count(*) FROM jobs") != before:
        wrong.append("repeating an order wrote jobs")
    return wrong


def _repeated(order: generations.Order, id: Any) -> list[str]:
    with transaction() as session:
        if generations.place(session, order) != id:
            return [f"another order for the same key: {order.idempotency_key}"]
    other = vars(order) | {"noise_seed": (order.noise_seed or 0) + 1}
    try:
        with transaction() as session:
            generations.place(session, generations.Order(**other))
    except Conflict:
        return []
    except StylistError as refusal:
        return [] if "idempot" in refusal.code else [f"refused as {refusal.code}"]
    return [f"another order accepted under the same key: {order.idempotency_key}"]


def progress(run: Evidence) -> list[str]:
    """11. Once the faults stop, every job is settled in bounded time; and hardly any has failed
    that is not meant to fail, or doing nothing would pass for doing it right."""
    failed = run.rows(
        """SELECT error_code, error, count(*) FROM jobs
            WHERE status = 'failed' AND (letter->>'noise_seed')::bigint %% %(fates)s < %(poison)s
            GROUP BY error_code, error""",
        fates=FATES,
        poison=POISON,
    )
    tolerated = FAILED_AT_MOST * run.book.jobs + 1
    if sum(count for _, _, count in failed) > tolerated:
        return [f"more than {tolerated:.0f} jobs failed: {row}" for row in failed]
    if run.at_rest:
        return []
    left = run.rows(
        """SELECT status, count(*), max(attempts), min(lease_until - clock_timestamp())
             FROM jobs WHERE settled_at IS NULL GROUP BY status"""
    )
    return [f"still {row}" for row in left]


def marked(run: Evidence) -> list[str]:
    """12. A completed picture bears the mark, on the bytes that are stored."""
    plain = flat_picture("#808080").astype(np.float32)
    wanted = Watermark(None).apply(flat_picture("#808080")).astype(np.float32)
    bad = run.words("not watermarked", "SELECT id FROM images WHERE NOT watermarked")
    for (key,) in run.rows("SELECT object_key FROM images"):
        content = np.frombuffer(_stored(run.folder, key), np.uint8)
        picture = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
        if picture is None or _distance(picture, wanted) > min(
            JPEG_NOISE_LEVELS, _distance(picture, plain)
        ):
            bad.append(f"stored without the mark: {key}")
    return bad


def _distance(one: Any, other: Any) -> float:
    return float(np.abs(np.asarray(one, np.float32) - other).mean())


INVARIANTS: dict[int, Callable[[Evidence], list[str]]] = {
    1: conservation,
    2: one_completion,
    3: one_live_claim,
    4: fence,
    5: bounded_work,
    6: terminal_stays,
    7: stored_as_recorded,
    8: all_or_none,
    9: no_orphans,
    10: same_key_same_order,
    11: progress,
    12: marked,
}


def violations(run: Evidence) -> list[str]:
    """Every violation of every invariant, in words."""
    return [
        f"invariant {number}: {words}"
        for number, holds in INVARIANTS.items()
        for words in holds(run)
    ]


class Watcher:
    """Looks at the live rows again and again; what it sees wrong, it keeps."""

    def __init__(self, lease_seconds: float) -> None:
        self.settled = 0
        self.looks = 0
        self.seen: list[str] = []
        self._lease_seconds = lease_seconds

    def look(self, connection: psycopg.Connection[Any]) -> None:
        """One consistent look. Raises psycopg.OperationalError while the database is away."""
        row = connection.execute(
            """SELECT count(*) FILTER (WHERE settled_at IS NOT NULL),
                      count(*) FILTER (WHERE lease_until > clock_timestamp()
                                             + make_interval(secs => %s)),
                      count(claim) - count(DISTINCT claim),
                      count(*) FILTER (WHERE (status = 'processing') <> (claim IS NOT NULL))
                 FROM jobs""",
            (self._lease_seconds,),
        ).fetchone()
        assert row is not None
        settled, long, shared, bare = row
        self.looks += 1
        self._expect(settled >= self.settled, "invariant 6: fewer jobs are settled than before")
        self._expect(long == 0, "invariant 3: a lease ends too late")
        self._expect(shared == 0, "invariant 3: two jobs under one claim")
        self._expect(bare == 0, "invariant 3: processing without a claim")
        stale = connection.execute(f"{STALE} AND seq > (SELECT max(seq) - 1000 FROM chaos_moves)")
        self._expect(not stale.fetchall(), "invariant 4: a stale write was accepted")
        self.settled = settled

    def _expect(self, holds: bool, otherwise: str) -> None:
        if not holds and otherwise not in self.seen:
            self.seen.append(otherwise)


def _stored(folder: Path, key: str) -> bytes:
    path = folder / "files" / key
    return path.read_bytes() if path.is_file() else b""


def _log(folder: Path) -> list[dict[str, str]]:
    """The workers' log lines; what is no JSON (a half line of a killed one) is left out."""
    lines = []
    for line in (folder / "workers.log").read_text(errors="replace").splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            continue
    return lines
