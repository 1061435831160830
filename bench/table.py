"""What a bench found, held against its bar: a row of the table that `make bench` ends with."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One measured figure. `holds` is False where it misses its bar."""

    what: str
    measured: str
    bar: str
    holds: bool


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest value that at least so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]


def table(findings: Sequence[Finding]) -> str:
    lines = ["| what | measured | bar | holds |", "|---|---|---|---|"]
    for one in findings:
        holds = "yes" if one.holds else "**no**"
        lines.append(f"| {one.what} | {one.measured} | {one.bar} | {holds} |")
    return "\n".join(lines)
