"""Times, durations and numbers as a person in Mexico reads them."""

from datetime import UTC, datetime
from typing import Any

MONTHS = ["ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"]
MINUTE, HOUR, DAY = 60, 3600, 86400


def ago(at: datetime) -> str:
    """How long ago: «hace 3 min»; a date where it is more than a week."""
    seconds = (datetime.now(UTC) - at).total_seconds()
    if seconds < 5:
        return "ahora"
    if seconds < MINUTE:
        return f"hace {seconds:.0f} s"
    if seconds < HOUR:
        return f"hace {seconds // MINUTE:.0f} min"
    if seconds < DAY:
        return f"hace {seconds // HOUR:.0f} h"
    return f"hace {seconds // DAY:.0f} d" if seconds < 7 * DAY else day(at)


def day(at: datetime) -> str:
    at = at.astimezone(UTC)
    return f"{at.day} {MONTHS[at.month - 1]} {at.year}"


def moment(at: datetime) -> str:
    """A date and time in UTC; the browser says it in its own zone."""
    return f"{day(at)}, {at.astimezone(UTC):%H:%M:%S} UTC"


def iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def duration(seconds: float | None) -> str:
    """Two significant parts at most: «48 ms», «3.2 s», «4 min», «2 h 5 min»."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < MINUTE:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE:.0f} min"
    if seconds < DAY:
        return f"{seconds // HOUR:.0f} h {seconds % HOUR // MINUTE:.0f} min"
    return f"{seconds // DAY:.0f} d"


def number(value: int) -> str:
    return f"{value:,}"


def shown(value: Any) -> str:
    """A value of a recipe or of the audit log."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "sí" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return " · ".join(f"{name}: {shown(part)}" for name, part in value.items())
    return ", ".join(map(shown, value)) if isinstance(value, list) else str(value)
