"""A status poll under load beside a bare FastAPI + psycopg handler that reads one row of the same
database: python -m bench.polling.

wrk, 32 connections, one API process each, started as `make run` starts ours. Each connection asks
for orders at random; every order has one cut with its picture and one that is half drawn. The
rounds are interleaved, so the machine is as busy for one as for the other; ratios are taken within
a round, and their medians reported. Orders that wait are a row of their own, without a bar.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from uuid import UUID

import httpx
from sqlalchemy import text

from bench.contenders.house import an_image
from bench.server import new_house, running_server
from bench.stack import ROOT, free_port
from bench.table import Finding
from models import generations, queue
from models.database import engine, one_statement, transaction

CONNECTIONS, ROUNDS, ROUND_SECONDS, WARM_UP_SECONDS = 32, 5, 4, 2
ORDERS, WAITING_ORDERS = 200, 20
CUTS = ("recto", "cruzado")
START_SECONDS = 60.0
LEASE_SECONDS = 3600.0  # nobody works here: nothing may lapse meanwhile
THROUGHPUT_BAR, P99_BAR = 0.8, 1.5
WRK = """
local requests = {{}}
function init()
  math.randomseed({seed})
{adds}
end
function request() return requests[math.random(#requests)] end
function done(summary, latency)
  local wrong = summary.errors
  io.write(string.format('\\nFOUND {{"requests": %d, "us": %d, "p99_us": %d, "wrong": %d}}\\n',
    summary.requests, summary.duration, latency:percentile(99),
    wrong.connect + wrong.read + wrong.write + wrong.status + wrong.timeout))
end
"""


@dataclass(frozen=True)
class Target:
    """What wrk asks for: requests as (path, headers), and the status that each must get."""

    name: str
    base: str
    requests: Sequence[tuple[str, dict[str, str]]]
    status: int = 200


@dataclass(frozen=True)
class Load:
    """One round of one target."""

    per_second: float
    p99_ms: float


@dataclass
class Loads:
    """All rounds of one target."""

    rounds: list[Load] = field(default_factory=list)

    def against(self, bare: "Loads") -> tuple[float, float]:
        """Medians over the rounds of: our requests a second ÷ its, our p99 ÷ its."""
        pairs = list(zip(self.rounds, bare.rounds, strict=True))
        return (
            median(ours.per_second / its.per_second for ours, its in pairs),
            median(ours.p99_ms / its.p99_ms for ours, its in pairs),
        )


# --- orders and servers ---------------------------------------------------------------------------


def place_orders(number: int) -> list[UUID]:
    order = generations.Order(color_id=a_fabric(), cuts=CUTS, owner="shop")
    placed = []
    for _ in range(number):
        with transaction() as session:
            placed.append(generations.place(session, order))
    return placed


def a_fabric() -> str:
    with transaction() as session:
        return str(session.scalar(text("SELECT color_id FROM fabrics ORDER BY id LIMIT 1")))


def render_half() -> list[queue.Claim]:
    """Of each order one cut gets its picture, the other is left half drawn: the claims of those."""
    drawn, held = set(), []
    with one_statement() as session:
        found = queue.claim(session, queue.Claimant("bench", ["drape"], LEASE_SECONDS))
    while found is not None:
        if found.generation_id in drawn:
            move(found, 50)
            held.append(found)
        else:
            drawn.add(found.generation_id)
            with one_statement() as session:
                queue.complete(session, found, an_image(found))
        with one_statement() as session:
            found = queue.claim(session, queue.Claimant("bench", ["drape"], LEASE_SECONDS))
    return held


def move(held: queue.Claim, progress: int) -> None:
    with one_statement() as session:
        queue.renew(session, held, LEASE_SECONDS, progress)


@contextlib.contextmanager
def serving(app: str) -> Iterator[str]:
    """A uvicorn of its own; yields its address."""
    port = free_port()
    address = ["--host", "127.0.0.1", "--port", str(port), "--no-access-log"]
    server = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", app, *address],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "LOG_LEVEL": "INFO"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until_listening(server, f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def _wait_until_listening(server: subprocess.Popen[bytes], base: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            httpx.get(base, trust_env=False)
            return
        time.sleep(0.05)
    raise SystemExit(f"{server.args!r} did not start")


# --- load -----------------------------------------------------------------------------------------


def load(target: Target, seconds: int) -> Load:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(lua(target.requests))
        script.flush()
        size = ["-t", "1", "-c", str(CONNECTIONS), "-d", f"{seconds}s", "-s", script.name]
        size += ["--timeout", "10s"]
        output = subprocess.run(
            ["wrk", *size, target.base], check=True, capture_output=True, text=True
        ).stdout
    return load_of(output, target.name)


def lua(requests: Sequence[tuple[str, dict[str, str]]]) -> str:
    adds = [
        f"  table.insert(requests, wrk.format('GET', '{path}', {{{_lua_table(headers)}}}))"
        for path, headers in requests
    ]
    return WRK.format(seed=len(requests), adds="\n".join(adds))


def _lua_table(headers: dict[str, str]) -> str:
    return ", ".join(f"['{name}'] = '{value}'" for name, value in headers.items())


def load_of(output: str, name: str) -> Load:
    """What wrk said at its end. Exits if an answer was missing or refused."""
    line = next(line for line in output.splitlines() if line.startswith("FOUND "))
    found = json.loads(line.removeprefix("FOUND "))
    if found["wrong"] or not found["requests"]:
        raise SystemExit(f"{name}: {found['wrong']} of {found['requests']} requests went wrong")
    return Load(found["requests"] / found["us"] * 1e6, found["p99_us"] / 1000)


def check(target: Target) -> None:
    """Every request gets the status that is measured. Exits if not."""
    with httpx.Client(base_url=target.base, trust_env=False) as client:
        for path, headers in target.requests:
            if (status := client.get(path, headers=headers).status_code) != target.status:
                raise SystemExit(f"{target.name}: {path} answered {status}")


def targets_of(
    bare: str, house: str, orders: Sequence[UUID], jobs: Sequence[UUID], waiting: Sequence[UUID]
) -> list[Target]:
    v1 = [f"/api/v1/generations/{id}" for id in orders]
    return [
        Target("bare handler, one row", bare, [(f"/jobs/{id}", {}) for id in jobs]),
        Target("GET /jobs/{id}", house, [(f"/jobs/{id}", {}) for id in orders]),
        Target("GET /api/v1/generations/{id}", house, [(path, {}) for path in v1]),
        Target("the same, 304", house, [(path, _known(house, path)) for path in v1], 304),
        Target("the same, waiting", house, [(f"/api/v1/generations/{id}", {}) for id in waiting]),
    ]


def _known(base: str, path: str) -> dict[str, str]:
    return {"If-None-Match": httpx.get(base + path, trust_env=False).headers["etag"]}


def main() -> list[Finding]:
    with running_server() as server_url:
        new_house(server_url, seeded=True, SHARE_RESULTS="false", QUEUE_CAP="100000")
        orders = place_orders(ORDERS)
        held = render_half()
        waiting = place_orders(WAITING_ORDERS)
        with serving("bench.contenders.bare_api:app") as bare, serving("api.main:app") as house:
            targets = targets_of(bare, house, orders, [job.job_id for job in held], waiting)
            found = measure(targets)
        engine().dispose()
    print(text_of(found))
    return findings(found)


def measure(targets: Sequence[Target]) -> dict[str, Loads]:
    for target in targets:
        check(target)
        load(target, WARM_UP_SECONDS)
    found = {target.name: Loads() for target in targets}
    for _ in range(ROUNDS):
        for target in targets:
            found[target.name].rounds.append(load(target, ROUND_SECONDS))
    return found


def text_of(found: dict[str, Loads]) -> str:
    bare = next(iter(found.values()))
    lines = ["| poll | requests/s | of bare | p99, ms | of bare |", "|---|---|---|---|---|"]
    for name, loads in found.items():
        share, p99 = loads.against(bare)
        per_second = median(one.per_second for one in loads.rounds)
        p99_ms = median(one.p99_ms for one in loads.rounds)
        lines.append(f"| {name} | {per_second:.0f} | {share:.0%} | {p99_ms:.1f} | {p99:.2f} |")
    return "\n".join(lines)


def findings(found: dict[str, Loads]) -> list[Finding]:
    bare, *polls, known, _ = found
    held = []
    for name in polls:
        share, p99 = found[name].against(found[bare])
        held.append(
            Finding(
                f"{name}, {CONNECTIONS} connections, next to a bare handler",
                f"{share:.0%} of its requests/s; p99 × {p99:.2f}",
                f"≥ {THROUGHPUT_BAR:.0%}; ≤ × {P99_BAR}",
                share >= THROUGHPUT_BAR and p99 <= P99_BAR,
            )
        )
    gain, _ = found[known].against(found[polls[-1]])
    held.append(Finding("304 next to 200", f"× {gain:.2f} requests/s", "> × 1", gain > 1))
    return held


if __name__ == "__main__":
    main()
