"""Jobs a second from enqueue to completion, one job a claim, beside procrastinate and pgqueuer on
the same PostgreSQL in the same run: python -m bench.queue_peers.

Four processes add the jobs one at a time, each durable (synchronous_commit on, fsync on); then four
worker processes work them off. The clock of the second phase is the database's, from the start to
the last completion that the library itself wrote down. Every round runs all three on fresh
databases, in turn; the ratios are medians over the rounds.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import LiteralString

from bench.server import new_database, new_house, row, running_server
from bench.stack import ROOT
from bench.table import Finding

JOBS, PROCESSES, ROUNDS = 1000, 4, 5
PEERS_PYTHON = Path(sys.prefix) / "bench" / "bin" / "python"  # made by `make bench`


@dataclass(frozen=True)
class Contender:
    """A queue: its program in bench/contenders, and how it writes down that jobs are done."""

    name: str
    finished: LiteralString  # SELECT count, time of the last

    @property
    def _python(self) -> str:
        return sys.executable if self.name == "house" else str(PEERS_PYTHON)

    def database(self, server_url: str) -> str:
        url = new_house(server_url) if self.name == "house" else new_database(server_url)
        self.start(url, "install").wait()
        return url

    def start(self, url: str, command: str, *numbers: int) -> subprocess.Popen[str]:
        """Run one of its commands."""
        module = f"bench.contenders.{self.name}"
        return subprocess.Popen(
            [self._python, "-m", module, command, url, *map(str, numbers)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )


HOUSE = Contender("house", "SELECT count(*), max(settled_at) FROM jobs WHERE status = 'completed'")
PROCRASTINATE = Contender(
    "procrastinate", "SELECT count(*), max(at) FROM procrastinate_events WHERE type = 'succeeded'"
)
PGQUEUER = Contender(
    "pgqueuer", "SELECT count(*), max(created) FROM pgqueuer_log WHERE status = 'successful'"
)
CONTENDERS = (PGQUEUER, PROCRASTINATE, HOUSE)
Rounds = dict[Contender, list[tuple[float, float]]]  # seconds to enqueue, and to work off
BARS = {PROCRASTINATE: 1.5, PGQUEUER: 1.0}


def race(runners: list[subprocess.Popen[str]]) -> tuple[float, float]:
    """Start all at once when all are ready: the seconds until the last has finished, and when it
    was started (seconds since 1970: the database's clock is this machine's)."""
    for runner in runners:
        assert runner.stdout is not None
        if runner.stdout.readline() != "ready\n":
            raise SystemExit(f"{runner.args!r} did not start")
    started, started_at = time.monotonic(), time.time()
    for runner in runners:
        assert runner.stdin is not None
        runner.stdin.write("\n")
        runner.stdin.flush()
    ended = [float(runner.communicate()[0]) for runner in runners]
    return max(ended) - started, started_at


def round_of(contender: Contender, server_url: str) -> tuple[float, float]:
    """Seconds to enqueue JOBS, and to work them off."""
    url = contender.database(server_url)
    share = JOBS // PROCESSES
    enqueued, _ = race([contender.start(url, "enqueue", share) for _ in range(PROCESSES)])
    _, started_at = race([contender.start(url, "work") for _ in range(PROCESSES)])
    done, last_at = row(url, contender.finished)
    if done != JOBS:
        raise SystemExit(f"{contender.name} finished {done} of {JOBS} jobs")
    return enqueued, last_at.timestamp() - started_at


def table(rounds: Rounds) -> list[str]:
    """Medians over the rounds."""
    lines = [
        "| jobs a second, one job a claim | enqueue | claim → complete | all three |"
        " ours is so many times faster | bar |",
        "|---|---|---|---|---|---|",
    ]
    for contender, times in rounds.items():
        enqueue, work = (JOBS / median(column) for column in zip(*times, strict=True))
        whole = JOBS / median(map(sum, times))
        ratio, bar = "", ""
        if contender in BARS:
            found = ratios(rounds, contender)
            ratio = f"{median(found):.2f} ({min(found):.2f} to {max(found):.2f})"
            bar = f"≥ {BARS[contender]}"
        lines.append(
            f"| {contender.name} | {enqueue:.0f} | {work:.0f} | {whole:.0f} | {ratio} | {bar} |"
        )
    return lines


def ratios(rounds: Rounds, contender: Contender) -> list[float]:
    """How many times faster ours is, each taken within its round, where the machine was as busy for
    one as for the other."""
    pairs = zip(rounds[contender], rounds[HOUSE], strict=True)
    return [sum(theirs) / sum(own) for theirs, own in pairs]


def findings(rounds: Rounds) -> list[Finding]:
    found = []
    for contender, bar in BARS.items():
        ratio = median(ratios(rounds, contender))
        what = f"enqueue → claim → complete, one job a claim, {PROCESSES} workers, next to "
        found.append(
            Finding(what + contender.name, f"× {ratio:.2f} jobs/s", f"≥ × {bar}", ratio >= bar)
        )
    return found


def main() -> list[Finding]:
    rounds: Rounds = {one: [] for one in CONTENDERS}
    with running_server() as server_url:
        for number in range(ROUNDS):
            for contender in CONTENDERS[number % 3 :] + CONTENDERS[: number % 3]:
                rounds[contender].append(round_of(contender, server_url))
    print("\n".join(table(rounds)))
    print(
        f"\nMedians of {ROUNDS} rounds of {JOBS} jobs of 600 B; {PROCESSES} processes enqueue, then"
        f" {PROCESSES} workers. fsync and synchronous_commit are on, as the server has them; ours"
        " waits for the disk when it enqueues and completes, and not when it claims."
    )
    return findings(rounds)


if __name__ == "__main__":
    main()
