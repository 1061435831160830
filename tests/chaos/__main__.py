"""`python -m tests.chaos`: the queue under fire. Prints the seed, the faults by kind and the
result; exits with 1 when an invariant is violated. The same arguments replay the same faults."""

import argparse
import secrets
import signal
import sys
import time
from typing import NoReturn

from tests.chaos import trial
from tests.chaos.cluster import Cluster
from tests.chaos.trial import Verdict
from tests.chaos.workloads import WORKLOADS


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, _leave)
    failed = 0
    with Cluster() as cluster:
        trial.prepare(cluster)
        for seed in range(options.seed, options.seed + options.seeds):
            for name in options.workload:
                verdict = trial.run(WORKLOADS[name](options), cluster, seed)
                report(verdict)
                failed += bool(verdict.violations)
    return 1 if failed else 0


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
        f"  claims {verdict.claims}, lapsed {verdict.lapses}, came too late {verdict.refused_late}"
    )
    faults = ", ".join(f"{name} {count}" for name, count in sorted(verdict.faults.items()))
    print(f"  faults: {faults or 'none'}")
    for words in verdict.violations:
        print(f"  VIOLATED {words}")
    print(f"  {'RED' if verdict.violations else 'green'}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--seeds", type=int, default=1, help="run so many, counting up")
    parser.add_argument("--jobs", type=int, default=10_000, help="of 4 to 20 ms")
    parser.add_argument("--long-jobs", type=int, default=800, help="about as long as the lease")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--workload", nargs="+", choices=list(WORKLOADS), default=list(WORKLOADS))
    return parser.parse_args()


def _leave(*_: object) -> NoReturn:
    """SIGTERM ends it like Ctrl-C: nothing is left running."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    started = time.monotonic()
    code = main()
    print(f"{time.monotonic() - started:.0f} s in all")
    sys.exit(code)
