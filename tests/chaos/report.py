"""What a run prints: each trial in a few lines, and the result of all of them in one."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from statistics import median

from tests.chaos.trial import Verdict
from tests.chaos.victim import STORAGE_FAULTS

SHOWN = 4  # violations of one invariant that are named; the rest are counted
PROMISES = {  # what a promise is called, and the words of its violations
    "lost": "lost:|deleted:",
    "completed twice": "completed twice",
    "stale writes accepted": "stale write|result of another claim",
    "orphans after the sweep": "orphan",
    "sha mismatches": "sha mismatch",
}
RECOVERY_BAR_SECONDS = 20.0


def trial_lines(verdict: Verdict) -> list[str]:
    lines = [
        f"seed {verdict.seed}, {verdict.workload}: {verdict.seconds:.0f} s",
        f"  orders attempted {verdict.attempted}, acknowledged {verdict.acknowledged}, "
        f"recovered {verdict.recovered}; looked at {verdict.looks} times",
        f"  jobs {verdict.jobs}: {_counts(verdict.ends)}",
        f"  COMMITs {verdict.commits}, claims {verdict.claims}, lapsed {verdict.lapses}, "
        f"came too late {verdict.refused_late}, swept {verdict.swept}, unfit {verdict.unfit}",
        f"  faults: {_counts(verdict.faults)}",
        *_violation_lines(verdict.violations),
        "  RED" if verdict.violations else "  green",
    ]
    return lines if verdict.attempted else [lines[0], *lines[5:]]


def result_line(verdicts: Sequence[Verdict]) -> str:
    """Everything together: how much was tried, and how often each promise was broken."""
    faults: Counter[str] = Counter()
    for verdict in verdicts:
        faults.update(verdict.faults)
    seeds = sorted({verdict.seed for verdict in verdicts})
    violated = [words for verdict in verdicts for words in verdict.violations]
    broken = ", ".join(
        f"{promise} {sum(bool(re.search(words, line)) for line in violated)}"
        for promise, words in PROMISES.items()
    )
    return (
        f"seeds {seeds[0]} to {seeds[-1]}: {sum(verdict.jobs for verdict in verdicts)} jobs, "
        f"SIGKILL {_sum(faults, 'SIGKILL|poison')}, restarts {_sum(faults, 'restart|refuses')}, "
        f"zombies {_sum(faults, 'SIGSTOP|hung')}, "
        f"COMMITs cut {_sum(faults, 'COMMIT cut')} of {sum(v.commits for v in verdicts)}, "
        f"storage faults {sum(faults[fault] for fault in STORAGE_FAULTS)}: "
        f"{broken}; violations {len(violated)}"
    )


def recovery_line(seconds: Sequence[float]) -> str:
    return (
        f"SIGKILL → claimed elsewhere, {len(seconds)} kills: median {median(seconds):.1f} s, "
        f"p95 {p95(seconds):.1f} s, most {max(seconds):.1f} s "
        f"(bar: p95 ≤ {RECOVERY_BAR_SECONDS:.0f} s)"
    )


def p95(values: Sequence[float]) -> float:
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def _violation_lines(violations: Sequence[str]) -> list[str]:
    """The first few of each kind: the words before the colon."""
    kinds: dict[str, list[str]] = {}
    for words in violations:
        kinds.setdefault(re.split(r": (?=\D)|$", words)[0], []).append(words)
    lines = []
    for kind, found in kinds.items():
        lines += [f"  VIOLATED {words}" for words in found[:SHOWN]]
        if len(found) > SHOWN:
            lines.append(f"  and {len(found) - SHOWN} more of {kind}")
    return lines


def _counts(numbers: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(numbers.items())) or "none"


def _sum(faults: Counter[str], names: str) -> int:
    return sum(count for name, count in faults.items() if re.search(names, name))
