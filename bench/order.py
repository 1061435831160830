"""From POST /generate until both cuts are completed, as a client sees it: python -m bench.order.

One drape worker, a poller at 50 ms, every order in another cloth of the catalogue.
"""

import itertools
import time
from statistics import median

import httpx

from bench.stack import running

ORDERS = 30
POLL_SECONDS = 0.05
BUDGET_MS = 400.0


def main() -> None:
    with running() as (url, _), httpx.Client(base_url=url, trust_env=False) as client:
        _wait_for_worker(client)
        times_ms = sorted(_order_ms(client, cloth) for cloth in _cloths(client, ORDERS))
    p95 = times_ms[int(0.95 * (len(times_ms) - 1))]
    print("| POST /generate → both cuts completed, 1024×1536, one drape worker | ms | bar |")
    print("|---|---|---|")
    print(f"| median of {ORDERS}, poller at 50 ms | {median(times_ms):.0f} | ≤ {BUDGET_MS:.0f} |")
    print(f"| 95th percentile | {p95:.0f} | |")


def _wait_for_worker(client: httpx.Client) -> None:
    while client.get("/readyz").json()["checks"]["workers"] != "ok":
        time.sleep(POLL_SECONDS)


def _cloths(client: httpx.Client, number: int) -> list[dict[str, str]]:
    families = client.get("/catalog").json()["families"]
    cloths = [
        {"family_id": family["family_id"], "color_id": color["color_id"]}
        for family in families
        for color in family["colors"]
    ]
    return list(itertools.islice(itertools.cycle(cloths), number))


def _order_ms(client: httpx.Client, cloth: dict[str, str]) -> float:
    started = time.perf_counter()
    id = client.post("/generate", json=cloth).raise_for_status().json()["request_id"]
    while (job := client.get(f"/jobs/{id}").json())["status"] not in ("completed", "failed"):
        time.sleep(POLL_SECONDS)
    spent_ms = (time.perf_counter() - started) * 1000
    if job["status"] != "completed" or len(job["images"]) != 2:
        raise SystemExit(f"the order failed: {job['meta']}")
    if {(image["width"], image["height"]) for image in job["images"]} != {(1024, 1536)}:
        raise SystemExit("the pictures are not 1024×1536")
    return spent_ms


if __name__ == "__main__":
    main()
