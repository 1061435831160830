"""`make run`: the whole product on one machine. Starts the database, migrates, seeds, then the API
and one worker; passes Ctrl-C on and waits until all of them have stopped.

Runs our commands, imports nothing of ours. With DATABASE_URL set, that database is used instead.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STOP_SECONDS = 10
READY_SECONDS = 300  # a machine that is busy with other things; who died is told at once
Process = subprocess.Popen[str]


class Stack:
    """The child processes, stopped in the reverse order of their start."""

    def __init__(self) -> None:
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.environment |= {"HOST": _host(), "PORT": _port(), "DATA_DIR": str(_data_dir())}
        self._running: list[Process] = []
        self._log = (_data_dir() / "log").open("a")

    def run(self, *command: str) -> None:
        """Run to the end. Exits with a clear message if it fails."""
        done = subprocess.run([sys.executable, *command], cwd=ROOT, env=self.environment)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)} failed; see above")

    def start(self, *command: str, read_stdout: bool = False) -> Process:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE if read_stdout else self._log,
            stderr=self._log,
            text=True,
            start_new_session=True,  # the terminal's Ctrl-C reaches us only; we pass it on
        )
        self._running.append(process)
        return process

    def died(self) -> bool:
        return any(process.poll() is not None for process in self._running)

    def stop(self) -> None:
        for process in reversed(self._running):
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def main() -> None:
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    _data_dir().mkdir(parents=True, exist_ok=True)
    stack = Stack()
    try:
        _start(stack, stopping)
        while not stopping.wait(1) and not stack.died():
            pass
    finally:
        stack.stop()
    if not stopping.is_set():
        raise SystemExit(f"a process ended by itself; see {_data_dir() / 'log'}")
    print("\nDetenido.")


def _start(stack: Stack, stopping: threading.Event) -> None:
    if not os.environ.get("DATABASE_URL"):
        database = stack.start("-m", "models.database", read_stdout=True)
        assert database.stdout is not None
        stack.environment["DATABASE_URL"] = database.stdout.readline().strip()
    stack.run("-m", "alembic", "upgrade", "head")
    stack.run("seed.py")
    stack.start("-m", "worker")
    api = ("uvicorn", "api.main:app", "--host", _host(), "--port", _port(), "--no-access-log")
    stack.start("-m", *api)
    _wait_until_ready(stack, stopping)


def _wait_until_ready(stack: Stack, stopping: threading.Event) -> None:
    url = f"http://{'127.0.0.1' if _host() == '0.0.0.0' else _host()}:{_port()}"
    deadline = time.monotonic() + READY_SECONDS
    while not stopping.is_set() and not stack.died():
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(f"{url}/readyz", timeout=10).read()
            lines = ("", f"Estilista virtual   {url}", _sign_in(), "Ctrl-C para detener", "")
            print("\n  ".join(lines), flush=True)
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"not ready after {READY_SECONDS} s; see {_data_dir() / 'log'}")
        time.sleep(0.1)


def _sign_in() -> str:
    if os.environ.get("ADMIN_PASSWORD"):
        return "Acceso              owner / ADMIN_PASSWORD"
    return f"Acceso (desarrollo) owner / {(_data_dir() / 'owner-password').read_text()}"


def _host() -> str:
    return os.environ.get("HOST") or "127.0.0.1"


def _port() -> str:
    return os.environ.get("PORT") or "8000"


def _data_dir() -> Path:
    return Path(os.environ.get("DATA_DIR") or ROOT / "var").resolve()


if __name__ == "__main__":
    main()
