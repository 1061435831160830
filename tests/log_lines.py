"""What was logged during a test, line by line as it is written, with every extra field."""

import pytest

from models.logs import JsonLines

OWN_CLIENT = ("httpx", "httpcore")  # the tests' own side of the wire


def written(caplog: pytest.LogCaptureFixture) -> str:
    """The lines of the application; what the test's client logged is left out."""
    lines = JsonLines()
    ours = [record for record in caplog.records if not record.name.startswith(OWN_CLIENT)]
    return "\n".join(map(lines.format, ours))
