"""Logs: one JSON object a line on standard error, with the ids that follow an order around."""

import json
import logging
import sys
from datetime import UTC, datetime

from models.settings import settings

STANDARD = set(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}


class JsonLines(logging.Formatter):
    """A record's `extra` fields become fields of the line; a trace becomes one string."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
        }
        line |= {key: str(value) for key, value in vars(record).items() if key not in STANDARD}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def start_logging() -> None:
    """Send everything from LOG_LEVEL up to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=settings().log_level, handlers=[handler], force=True)
    # Its lines hold queries, and so what somebody searched for; the API writes lines of its own.
    logging.getLogger("uvicorn.access").disabled = True
