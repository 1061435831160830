"""Workers for tests: in this process, or as real processes that can be killed."""

import os
import subprocess
import sys
import threading
from functools import lru_cache

from models.settings import ROOT
from models.storage import storage
from worker.engines import Engine, engine_named
from worker.loop import Loop
from worker.watermark import Watermark

LOOKS = ROOT / "assets" / "looks"


@lru_cache
def _set_up(name: str) -> Engine:
    engine = engine_named(name, LOOKS)
    engine.setup()
    return engine


def drape_loop(stopping: threading.Event | None = None) -> Loop:
    """A worker with the drape engine in this process; call `work_once`."""
    return loop_with(_set_up("drape"), stopping)


def loop_with(engine: Engine, stopping: threading.Event | None = None) -> Loop:
    watermark = Watermark(None)
    return Loop("test-worker", [engine], storage(), watermark, stopping or threading.Event())


def start_worker(**environment: str) -> subprocess.Popen[bytes]:
    """A real worker process on the test database."""
    return subprocess.Popen(
        [sys.executable, "-m", "worker"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
