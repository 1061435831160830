"""What was logged during a test, line by line as it is written, with every extra field."""

import re

import pytest

from models.logs import JsonLines

BY_CHANCE = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,}|0x[0-9a-f]+"
    r"|\d{4}-\d\d-\d\d[T ][\d:.+]+|\d+\.\d+"
)
OWN_CLIENT = ("httpx", "httpcore")  # the tests' own side of the wire


def written(caplog: pytest.LogCaptureFixture) -> str:
    """The lines of the application; what the test's client logged is left out."""
    lines = JsonLines()
    ours = [record for record in caplog.records if not record.name.startswith(OWN_CLIENT)]
    return "\n".join(map(lines.format, ours))


def without_chance(said: str) -> str:
    """Without ids, hashes, addresses, moments and durations: any few digits are in one of them now
    and then."""
    return BY_CHANCE.sub("", said)
