"""The whole product, started as `make run` starts it, on a free port and in a folder of its own."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import httpx

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 600.0  # longer than `make run` itself waits: what it says is then told


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    checkout: Path = ROOT, data_dir: Path | None = None, **environment: str
) -> Iterator[tuple[str, float]]:
    """`make run` in `checkout`; yields the URL and the seconds until /readyz answered 200."""
    folder = data_dir or Path(tempfile.mkdtemp(prefix="estilista-bench-"))
    port = free_port()
    wanted = {"PORT": str(port), "DATA_DIR": str(folder), "ORDERS_PER_MINUTE": "100000"}
    inherited = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "MAKEFLAGS")}
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen(
            ["make", "run"],
            cwd=checkout,
            env=inherited | wanted | environment,
            stdout=subprocess.DEVNULL,
            stderr=told,
            start_new_session=True,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_ready(url, process, told)
            yield url, time.monotonic() - started
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(30)
            if data_dir is None:
                shutil.rmtree(folder, ignore_errors=True)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], told: IO[str]) -> None:
    """Raises SystemExit with the last that `make run` said."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/readyz", trust_env=False, timeout=30).status_code == 200:
                return
        time.sleep(0.05)
    told.seek(0)
    raise SystemExit(f"make run did not become ready: {told.read()[-500:]}")
