"""`python -m tests.chaos`: the queue under fire. Prints the seed, the faults by kind and the
result; exits with 1 when an invariant is violated. The same arguments replay the same faults."""

import argparse
import os
import secrets
import signal
import sys
import time
from contextlib import ExitStack
from typing import NoReturn

from tests.chaos import probes, recovery, report, trial
from tests.chaos.cluster import Cluster, Server
from tests.chaos.trial import Verdict
from tests.chaos.workloads import WORKLOADS

CLAIMS = "claims"
EVERYTHING = [*WORKLOADS, CLAIMS]
# frozen is red while a worker has no time limit of its own for an answer: run it by name.
BY_DEFAULT = [name for name in EVERYTHING if name != "frozen"]


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, _leave)
    os.chdir("/")  # where no .env of a developer lies
    verdicts: list[Verdict] = []
    is_slow = False
    with ExitStack() as stack:
        server = Server(options.port) if options.port else stack.enter_context(Cluster())
        if not options.port:
            trial.prepare(server)
        for seed in range(options.seed, options.seed + options.seeds):
            for name in options.workload:
                verdicts.append(play(name, options, server, seed))
                print(*report.trial_lines(verdicts[-1]), sep="\n", flush=True)
        print(report.result_line(verdicts))
        if options.recovery:
            seconds = recovery.measure(server, options.seed, options.recovery)
            print(report.recovery_line(seconds))
            is_slow = report.p95(seconds) > report.RECOVERY_BAR_SECONDS
    return 1 if is_slow or any(verdict.violations for verdict in verdicts) else 0


def play(name: str, options: argparse.Namespace, server: Server, seed: int) -> Verdict:
    if name == CLAIMS:
        return trial.ask(probes.claims, server, seed)
    return trial.run(WORKLOADS[name](options), server, seed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--seeds", type=int, default=1, help="run so many, counting up")
    parser.add_argument("--jobs", type=int, default=10_000, help="of 4 to 20 ms")
    parser.add_argument("--long-jobs", type=int, default=800, help="about as long as the lease")
    parser.add_argument("--targeted-jobs", type=int, default=200, help="of each other workload")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--workload", nargs="+", choices=EVERYTHING, default=BY_DEFAULT)
    parser.add_argument("--recovery", type=int, default=0, help="kills to time, all at once")
    parser.add_argument("--port", type=int, help="of a server that is prepared: see trial.prepare")
    return parser.parse_args()


def _leave(*_: object) -> NoReturn:
    """SIGTERM ends it like Ctrl-C: nothing is left running."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    started = time.monotonic()
    code = main()
    print(f"{time.monotonic() - started:.0f} s in all")
    sys.exit(code)
