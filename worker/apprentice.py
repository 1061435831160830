"""The apprentice: a process beside the worker that makes look packs of what was uploaded.

A photo takes seconds, and is a file that somebody sent: neither may keep a picture waiting. The
worker starts one when there is something to make; it goes when there is nothing more.
"""

import subprocess
import sys
import time

from models import look_uploads
from models.database import one_statement
from models.settings import ROOT

LOOK_EVERY_SECONDS = 2.0
GOODBYE_SECONDS = 5.0


class Apprentice:
    """At most one process; `call_when_due` now and then, `dismiss` at the end."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._looked_at = -LOOK_EVERY_SECONDS

    def call_when_due(self) -> None:
        now = time.monotonic()
        if now - self._looked_at < LOOK_EVERY_SECONDS or self._is_at_work():
            return
        self._looked_at = now
        with one_statement() as session:
            is_wanted = look_uploads.is_one_waiting(session)
        if is_wanted:
            command = [sys.executable, "-m", "worker.look_maker"]
            self._process = subprocess.Popen(command, cwd=ROOT)  # noqa: S603 (all of it is ours)

    def _is_at_work(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def dismiss(self) -> None:
        """It hands back what it has in hand; else another makes that when its lease lapses."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(GOODBYE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
