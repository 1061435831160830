"""What one 60 s job costs the write-ahead log, and how many of its updates are HOT, beside
procrastinate and pgqueuer with as many heartbeats: python -m bench.wal.

Every library runs its own statements, one job after the other, 600 B of payload in each. Full-page
images and autovacuum are off: they depend on the time of day, not on the queue. The log itself is
read (pg_waldump), so each record is counted under the table that it is about: the rows of an order
and of its picture belong to the product, a queue alone would not have them.
"""

import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from bench.queue_peers import CONTENDERS, HOUSE, Contender
from bench.server import POSTGRES, row, running_server
from bench.table import Finding

JOBS, WARM_UP_JOBS = 200, 30
RENEWALS = (6, 12)  # of a 60 s job: one every 10 s, one every 5 s
BARS_BYTES = {6: 3100, 12: 4000}
HOT_BAR_PERCENT = 75
PRODUCT_TABLES = ("generations", "images")
STATISTICS_SECONDS = 1.5  # until the server has counted what a closed session did
QUIET = ("full_page_writes = off", "autovacuum = off", "max_wal_size = '4GB'")
HERE = "SELECT pg_current_wal_insert_lsn()::text"
UPDATES = """
SELECT coalesce(sum(n_tup_upd), 0)::float8, coalesce(sum(n_tup_hot_upd), 0)::float8
  FROM pg_stat_user_tables
"""
FILES = """
SELECT i.relfilenode::text, coalesce(t.relname, i.relname) FROM pg_class i
  LEFT JOIN pg_index x ON x.indexrelid = i.oid LEFT JOIN pg_class t ON t.oid = x.indrelid
 WHERE i.relfilenode <> 0
"""
RECORD = re.compile(r"len \(rec/tot\): +\d+/ +(\d+).*?(?:rel \d+/\d+/(\d+)|$)")
WALDUMP = POSTGRES.with_name("pg_waldump")


@dataclass(frozen=True)
class Cost:
    """Per job."""

    queue_bytes: float
    product_bytes: float
    hot_percent: float


def cost(contender: Contender, server_url: str, renewals: int) -> Cost:
    url = contender.database(server_url)
    render(contender, url, WARM_UP_JOBS, renewals)
    start, (updated_before, hot_before) = row(url, HERE)[0], row(url, UPDATES)
    render(contender, url, JOBS, renewals)
    end, (updated, hot) = row(url, HERE)[0], row(url, UPDATES)
    by_table = written(url, start, end)
    product = sum(by_table[table] for table in PRODUCT_TABLES)
    return Cost(
        (by_table.total() - product) / JOBS,
        product / JOBS,
        100 * (hot - hot_before) / (updated - updated_before),
    )


def render(contender: Contender, url: str, jobs: int, renewals: int) -> None:
    program = contender.start(url, "render", jobs, renewals)
    if program.wait() != 0:
        raise SystemExit(f"{contender.name} failed")
    time.sleep(STATISTICS_SECONDS)


def written(url: str, start: str, end: str) -> Counter[str]:
    """Bytes of log between two positions, by table; commits are under ''."""
    folder = Path(str(make_url(url).query["host"])) / "pg_wal"
    command = [str(WALDUMP), "--path", str(folder), "--start", start, "--end", end]
    dump = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    with psycopg.connect(url) as connection:
        tables: dict[str, str] = dict(connection.execute(FILES).fetchall())
    return counted(dump.splitlines(), tables)


def counted(lines: Iterable[str], tables: dict[str, str]) -> Counter[str]:
    bytes_of: Counter[str] = Counter()
    for line in lines:
        if (found := RECORD.search(line)) is not None:
            bytes_of[tables.get(found[2], "")] += int(found[1])
    return bytes_of


def quieten(server_url: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        for setting in QUIET:
            connection.execute(f"ALTER SYSTEM SET {setting}")
        connection.execute("SELECT pg_reload_conf()")


def findings(costs: dict[tuple[Contender, int], Cost]) -> list[Finding]:
    return [_finding(costs, renewals) for renewals in RENEWALS]


def _finding(costs: dict[tuple[Contender, int], Cost], renewals: int) -> Finding:
    ours = costs[HOUSE, renewals]
    peers = {one.name: costs[one, renewals].queue_bytes for one in CONTENDERS if one != HOUSE}
    beside = ", ".join(f"{name} {bytes_:.0f} B" for name, bytes_ in peers.items())
    return Finding(
        f"WAL of one 60 s job at {renewals} renewals",
        f"{ours.queue_bytes:.0f} B, HOT {ours.hot_percent:.0f} % ({beside})",
        f"≤ {BARS_BYTES[renewals]} B, HOT ≥ {HOT_BAR_PERCENT} %, below the others",
        ours.queue_bytes <= min(BARS_BYTES[renewals], *peers.values())
        and ours.hot_percent >= HOT_BAR_PERCENT,
    )


def main() -> list[Finding]:
    costs = {}
    print("| one 60 s job | renewals | WAL of the queue, B | with product rows, B | HOT |")
    print("|---|---|---|---|---|")
    with running_server() as server_url:
        quieten(server_url)
        for renewals in RENEWALS:
            for contender in CONTENDERS:
                found = costs[contender, renewals] = cost(contender, server_url, renewals)
                print(
                    f"| {contender.name} | {renewals} | {found.queue_bytes:.0f} |"
                    f" {found.queue_bytes + found.product_bytes:.0f} |"
                    f" {found.hot_percent:.0f} % |",
                    flush=True,
                )
    return findings(costs)


if __name__ == "__main__":
    main()
