"""Times, durations and numbers as a person reads them, in the language of the request."""

from datetime import UTC, date, datetime
from typing import Any

from api.language import Sentences

STRINGS = Sentences("strings")
MINUTE, HOUR, DAY = 60, 3600, 86400
UNITS = (("seconds_ago", MINUTE, 1), ("minutes_ago", HOUR, MINUTE), ("hours_ago", DAY, HOUR))


def ago(at: datetime) -> str:
    """How long ago: «hace 3 min»; a date where it is more than a week."""
    seconds, words = (datetime.now(UTC) - at).total_seconds(), STRINGS["spoken"]
    if seconds < 5:
        return str(words["now"])
    for key, below, unit in (*UNITS, ("days_ago", 7 * DAY, DAY)):
        if seconds < below:
            return str(words[key].format(n=int(seconds // unit)))
    return day(at)


def day(at: datetime) -> str:
    at = at.astimezone(UTC)
    parts = {"day": at.day, "month": month(at), "year": at.year}
    return str(STRINGS["spoken"]["day"].format(**parts))


def day_short(at: date) -> str:
    """Without the year: «3 nov»."""
    return str(STRINGS["spoken"]["day_short"].format(day=at.day, month=month(at)))


def month(at: date) -> str:
    return str(STRINGS["spoken"]["months"][at.month - 1])


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
    if value in (None, "", []):
        return "–"
    if isinstance(value, bool):
        return str(STRINGS["spoken"]["yes" if value else "no"])
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return " · ".join(f"{name}: {shown(part)}" for name, part in value.items())
    return ", ".join(map(shown, value)) if isinstance(value, list) else str(value)
