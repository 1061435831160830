"""From an order until an idle worker has picked it up: python -m bench.pick_up.

A real worker process, first with a direct connection, where a notification wakes it, then as behind
a transaction pooler, where it only polls. Orders are placed one after the other, each some random
while after the last one was done, so that the worker is idle and anywhere between two polls. Both
ends are on the database's clock: the insert's statement began, the claim's was done.
"""

import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from statistics import median
from uuid import UUID

from sqlalchemy import text

from bench.polling import a_fabric
from bench.server import new_house, running_server
from bench.stack import ROOT
from bench.table import Finding, percentile
from models import generations
from models.database import one_statement, transaction

ORDERS, WARM_UP_ORDERS = 100, 3
POLL_SECONDS = 1.0
IDLE_SECONDS = (0.1, 0.3)  # between the end of an order and the next
GIVE_UP_SECONDS = 60.0
DIRECT_BAR_MS = 50.0
WAYS = {"direct connection": "false", "polling only": "true"}  # DATABASE_POOLED
PICKED_UP = text("""
SELECT settled_at IS NOT NULL AS done,
       1000 * extract(epoch FROM claimed_at - created_at)::float8 AS ms
  FROM jobs WHERE generation_id = :id
""")


@contextlib.contextmanager
def worker(**environment: str) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "worker"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def order(color_id: str) -> UUID:
    with transaction() as session:
        asked = generations.Order(color_id, ("recto",), owner="shop", quality="preview")
        return generations.place(session, asked)


def picked_up_ms(id: UUID) -> float:
    """Once the order is done. Exits if it never is."""
    give_up_at = time.monotonic() + GIVE_UP_SECONDS
    while time.monotonic() < give_up_at:
        with one_statement() as session:
            job = session.execute(PICKED_UP, {"id": id}).one()
        if job.done:
            return float(job.ms)
        time.sleep(0.02)
    raise SystemExit("no worker picked up the order")


def measure(orders: int, seed: int) -> list[float]:
    chance, color_id = random.Random(seed), a_fabric()
    found = []
    for _ in range(WARM_UP_ORDERS + orders):
        found.append(picked_up_ms(order(color_id)))
        time.sleep(chance.uniform(*IDLE_SECONDS))
    return found[WARM_UP_ORDERS:]


def main() -> list[Finding]:
    found = {}
    with running_server() as server_url:
        new_house(server_url, seeded=True, SHARE_RESULTS="false")
        for seed, (way, pooled) in enumerate(WAYS.items()):
            with worker(DATABASE_POOLED=pooled, POLL_SECONDS=str(POLL_SECONDS)):
                found[way] = measure(ORDERS, seed)
    print(text_of(found))
    bars = (DIRECT_BAR_MS, POLL_SECONDS * 1000)
    return [finding(*pair, bar) for pair, bar in zip(found.items(), bars, strict=True)]


def text_of(found: dict[str, list[float]]) -> str:
    lines = [
        "| order → picked up | orders | median, ms | p95, ms | most, ms |",
        "|---|---|---|---|---|",
    ]
    for way, ms in found.items():
        three = " | ".join(f"{one:.0f}" for one in (median(ms), percentile(ms, 95), max(ms)))
        lines.append(f"| {way} | {len(ms)} | {three} |")
    return "\n".join(lines)


def finding(way: str, ms: Sequence[float], bar_ms: float) -> Finding:
    p95 = percentile(ms, 95)
    bar = f"≤ {bar_ms:.0f} ms" + (" (poll interval)" if way == "polling only" else "")
    return Finding(f"order → picked up, {way}, p95", f"{p95:.0f} ms", bar, p95 <= bar_ms)


if __name__ == "__main__":
    main()
