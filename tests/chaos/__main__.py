"""`python -m tests.chaos`: the queue under fire. Prints the seed, the faults by kind and the
result; exits with 1 when an invariant is violated. The same arguments replay the same faults."""

import argparse
import math
import secrets
import signal
import sys
import time
from contextlib import ExitStack
from statistics import median
from typing import NoReturn

from tests.chaos import probes, recovery, trial
from tests.chaos.cluster import Cluster, Server
from tests.chaos.trial import Verdict
from tests.chaos.workloads import WORKLOADS

CLAIMS = "claims"
EVERYTHING = [*WORKLOADS, CLAIMS]


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, _leave)
    failed = 0
    with ExitStack() as stack:
        server = Server(options.port) if options.port else stack.enter_context(Cluster())
        if not options.port:
            trial.prepare(server)
        for seed in range(options.seed, options.seed + options.seeds):
            for name in options.workload:
                verdict = play(name, options, server, seed)
                report(verdict)
                failed += bool(verdict.violations)
        if options.recovery:
            failed += report_recovery(recovery.measure(server, options.seed, options.recovery))
    return 1 if failed else 0


def play(name: str, options: argparse.Namespace, server: Server, seed: int) -> Verdict:
    if name == CLAIMS:
        return trial.ask(probes.claims, server, seed)
    return trial.run(WORKLOADS[name](options), server, seed)


def report(verdict: Verdict) -> None:
    """The trial in a few lines."""
    print(
        f"seed {verdict.seed}, {verdict.workload}: {verdict.seconds:.0f} s, {verdict.looks} looks"
    )
    print(
        f"  orders attempted {verdict.attempted}, acknowledged {verdict.acknowledged}, "
        f"recovered {verdict.recovered}"
    )
    ends = ", ".join(f"{status} {count}" for status, count in sorted(verdict.ends.items()))
    print(f"  jobs {verdict.jobs}: {ends}")
    print(
        f"  COMMITs {verdict.commits}, claims {verdict.claims}, lapsed {verdict.lapses}, "
        f"came too late {verdict.refused_late}, swept {verdict.swept}, unfit {verdict.unfit}"
    )
    faults = ", ".join(f"{name} {count}" for name, count in sorted(verdict.faults.items()))
    print(f"  faults: {faults or 'none'}")
    for words in verdict.violations:
        print(f"  VIOLATED {words}")
    print(f"  {'RED' if verdict.violations else 'green'}", flush=True)


def report_recovery(seconds: list[float]) -> bool:
    """Print the times; True when the bar is missed."""
    p95 = seconds[math.ceil(0.95 * len(seconds)) - 1]
    print(
        f"SIGKILL → claimed elsewhere, {len(seconds)} kills: median {median(seconds):.1f} s, "
        f"p95 {p95:.1f} s, most {seconds[-1]:.1f} s (bar: p95 ≤ {recovery.BAR_SECONDS:.0f} s)"
    )
    return p95 > recovery.BAR_SECONDS


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--seeds", type=int, default=1, help="run so many, counting up")
    parser.add_argument("--jobs", type=int, default=10_000, help="of 4 to 20 ms")
    parser.add_argument("--long-jobs", type=int, default=800, help="about as long as the lease")
    parser.add_argument("--targeted-jobs", type=int, default=200, help="of each other workload")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--workload", nargs="+", choices=EVERYTHING, default=EVERYTHING)
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
