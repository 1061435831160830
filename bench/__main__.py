"""`make bench`: all measurements one after the other, with the machine that they were taken on;
at the end one table of what was measured against its bar. `python -m bench claims swaps` runs two.

Each runs in a process of its own. One that cannot run says so, and the others go on."""

import argparse
import importlib.metadata
import os
import platform
import subprocess
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

from bench import alone
from bench.queue_peers import PEERS_PYTHON
from bench.server import POSTGRES
from bench.table import Finding, table

HOUSE = ("drape", "moire", "order", "startup")
QUEUE = ("recovery", "wal", "claims", "queue_peers", "pick_up", "polling", "swaps")
PEERS = "from importlib.metadata import version as v; print(*(f'{n} {v(n)}' for n in %r), sep=', ')"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", nargs="*", default=HOUSE + QUEUE, help=", ".join(HOUSE + QUEUE))
    names = parser.parse_args().name
    if unknown := set(names) - {*HOUSE, *QUEUE}:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    print(conditions(), flush=True)
    found: list[Finding] = []
    broken = []
    for name in names:
        started = time.monotonic()
        print(f"\n## bench.{name}\n", flush=True)
        try:
            found += alone.findings(name)
        except (Exception, SystemExit):
            traceback.print_exc()
            broken.append(name)
        print(f"\n({time.monotonic() - started:.0f} s)", flush=True)
    if found:
        print(f"\n## Measured and wanted\n\n{table(found)}")
    if broken:
        print(f"\nNot measured: {', '.join(broken)}")
    return 1 if broken else 0


def conditions() -> str:
    load = os.getloadavg()[0]
    return "\n".join(
        [
            f"{datetime.now(UTC):%Y-%m-%d}; {_processor()}, {os.cpu_count()} cores;"
            f" load {load:.1f} before it began" + (" (the machine is busy)" if load > 1 else ""),
            f"Python {platform.python_version()}, {_postgres()},"
            f" psycopg {importlib.metadata.version('psycopg')}, {_peers()}",
        ]
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _postgres() -> str:
    said = subprocess.run([POSTGRES, "--version"], check=True, capture_output=True, text=True)
    return said.stdout.strip().replace("postgres (PostgreSQL)", "PostgreSQL")


def _peers() -> str:
    if not PEERS_PYTHON.exists():
        return "peers not installed (make bench)"
    ask = [str(PEERS_PYTHON), "-c", PEERS % (("procrastinate", "pgqueuer", "asyncpg"),)]
    return subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
