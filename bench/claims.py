"""How long a claim takes in a deep queue: python -m bench.claims.

100,000 pending jobs of 50 owners on two engines, and a million done, made by SQL in a database of
their own. Then processes claim as a worker does, with fair share and affinity at work: one by
itself, then four at once that get in each other's way. The claim is timed from the worker's side,
with the way to the database and back; its job is completed before the next is claimed.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import sql
from sqlalchemy import text

from bench.contenders.house import ENGINES, LEASE_SECONDS, OWNERS, a_letter, an_image
from bench.contenders.line import wait_for_start
from bench.server import new_house, running_server
from bench.stack import ROOT
from bench.table import Finding, percentile
from models import queue
from models.database import one_statement

PENDING, DONE = 100_000, 1_000_000
CLAIMS, WARM_UP_CLAIMS, CLAIMERS = 1000, 100, 4
P99_BAR_MS = 10.0
EMPTY = text("SELECT 1")
# Keys in the order of time, as the product's. Four jobs to an order, one picture for all: a claim
# looks at neither, so the million checks against them are left out (session_replication_role).
MAKE = """
SET session_replication_role = replica;
INSERT INTO images (id, fingerprint, made_by, object_key, content_type, size_bytes, sha256,
                    width_px, height_px, noise_seed, engine, engine_version, recipe, degraded,
                    timings_ms, watermarked)
VALUES ('00000000-0000-0000-0000-000000000001', '0', gen_random_uuid(), 'x', 'image/jpeg', 1,
        repeat('0', 64), 1024, 1536, 1, 'drape', '1', '{{}}', '{{}}', '{{"total": 60}}', true);
CREATE TEMPORARY TABLE made AS
SELECT number, lpad(to_hex(number), 32, '0')::uuid AS id
  FROM generate_series(0, {jobs} / 4) AS number;
INSERT INTO generations (id, owner, family_id, color_id, fabric_name, fabric_hex, uploaded_swatch,
                         cuts, quality, noise_seed)
SELECT id, 'user:' || number % {owners}, 'f', 'c', 'x', '#000000', false, '{{recto,cruzado}}',
       'final', 1 FROM made;
INSERT INTO jobs (id, generation_id, owner, cut, stage, engine, letter, fingerprint, priority,
                  turn_at, max_attempts, started_at, attempts, progress, settled_at, settled_by,
                  image_id, status)
SELECT lpad(to_hex(job.number), 32, '0')::uuid, made.id, 'user:' || made.number % {owners},
       CASE WHEN job.number % 2 = 0 THEN 'recto' ELSE 'cruzado' END,
       CASE WHEN job.number % 4 < 2 THEN 'draft' ELSE 'final' END,
       (CAST({engines} AS text[]))[1 + made.number / {owners} % 2], CAST({letter} AS json),
       md5(job.number::text),
       CASE WHEN job.number % 4 < 2 THEN 20 ELSE 10 END,
       statement_timestamp() + made.number / {owners} * interval '50 ms', 3,
       CASE WHEN done THEN statement_timestamp() END, done::int, done::int * 100,
       CASE WHEN done THEN statement_timestamp() END, CASE WHEN done THEN made.id END,
       CASE WHEN done THEN '00000000-0000-0000-0000-000000000001'::uuid END,
       CASE WHEN done THEN 'completed' ELSE 'pending' END
  FROM generate_series(0, {jobs} - 1) AS job (number)
  JOIN made ON made.number = job.number / 4
 CROSS JOIN LATERAL (SELECT job.number >= {pending} AS done) which;
ANALYZE jobs;
"""


def fill(url: str, pending: int, done: int) -> None:
    values = {
        "jobs": pending + done,
        "pending": pending,
        "owners": OWNERS,
        "engines": list(ENGINES),
        "letter": a_letter().model_dump_json(),
    }
    filled = sql.SQL(MAKE).format(**{name: sql.Literal(value) for name, value in values.items()})
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(filled)


@dataclass
class Times:
    """In ms: claims, and statements that do nothing on the same way, between them."""

    claims: list[float] = field(default_factory=list)
    empty: list[float] = field(default_factory=list)


def measure(count: int) -> Times:
    """So many claims; one engine stays warm until it is the other's turn."""
    times, warm = Times(), None
    for _ in range(count):
        with timed(times.empty), one_statement() as session:
            session.execute(EMPTY)
        with timed(times.claims), one_statement() as session:
            held = queue.claim(
                session, queue.Claimant(f"bench-{os.getpid()}", ENGINES, LEASE_SECONDS, warm=warm)
            )
        if held is None:
            raise SystemExit("the queue is empty")
        warm = held.engine
        with one_statement() as session:
            queue.complete(session, held, an_image(held))
    return times


@contextlib.contextmanager
def timed(spent_ms: list[float]) -> Iterator[None]:
    started = time.perf_counter()
    yield
    spent_ms.append((time.perf_counter() - started) * 1000)


def at_once(claimers: int, claims: int) -> Times:
    """What all of them found."""
    running = [_start(claims) for _ in range(claimers)]
    for claimer in running:
        assert claimer.stdout is not None
        if claimer.stdout.readline() != "ready\n":
            raise SystemExit("a claimer did not start")
    for claimer in running:
        assert claimer.stdin is not None
        claimer.stdin.write("\n")
        claimer.stdin.flush()
    found = [Times(**json.loads(claimer.communicate()[0])) for claimer in running]
    return Times(
        [ms for times in found for ms in times.claims],
        [ms for times in found for ms in times.empty],
    )


def _start(claims: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bench.claims", "claim", str(claims)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def claim(count: int) -> None:
    measure(WARM_UP_CLAIMS)
    wait_for_start()
    print(json.dumps(vars(measure(count))))


def main() -> list[Finding]:
    with running_server() as server_url:
        fill(new_house(server_url), PENDING, DONE)
        found = {claimers: at_once(claimers, CLAIMS) for claimers in (1, CLAIMERS)}
    print("| claimers | statement | number | median, ms | p95 | p99 | most |")
    print("|---|---|---|---|---|---|---|")
    for claimers, times in found.items():
        print(line(f"{claimers} | claim", times.claims))
        print(line(f"{claimers} | an empty one beside it", times.empty))
    return [finding(claimers, times.claims) for claimers, times in found.items()]


def line(name: str, ms: Sequence[float]) -> str:
    four = " | ".join(f"{percentile(ms, percent):.2f}" for percent in (50, 95, 99, 100))
    return f"| {name} | {len(ms)} | {four} |"


def finding(claimers: int, spent_ms: Sequence[float]) -> Finding:
    p99 = percentile(spent_ms, 99)
    who = "" if claimers == 1 else f", {claimers} at once"
    what = f"claim p99, {PENDING:,} pending + {DONE:,} done, fairness and affinity on{who}"
    return Finding(what, f"{p99:.1f} ms", f"≤ {P99_BAR_MS:.0f} ms", p99 <= P99_BAR_MS)


if __name__ == "__main__":
    if sys.argv[1:2] == ["claim"]:
        claim(int(sys.argv[2]))
    else:
        main()
