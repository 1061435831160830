"""Debian's PgBouncer in transaction mode, on a free port of the loopback before a PostgreSQL."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import URL, make_url

from bench.stack import free_port

POOL_SIZE = 4  # fewer than the clients of the tests: they do share server connections
START_SECONDS = 20.0
CONFIGURATION = """
[databases]
* = {server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
query_wait_timeout = 10
server_login_retry = 1
pool_mode = transaction
default_pool_size = {pool_size}
server_idle_timeout = 5
max_client_conn = 200
logfile = {folder}/log
"""


@contextmanager
def running_pgbouncer(server_url: str, folder: Path) -> Iterator[int]:
    """Yields its port; any database of the server can be reached through it."""
    program = _program()
    server, port = make_url(server_url), free_port()
    settings = folder / "pgbouncer.ini"
    values = {"server": _server(server), "port": port, "pool_size": POOL_SIZE, "folder": folder}
    settings.write_text(CONFIGURATION.format_map(values), encoding="utf-8")
    as_user = []
    if os.geteuid() == 0:  # it refuses to run as root
        as_user = ["-u", user := _ordinary_user(server)]
        shutil.chown(folder, user)
        _let_in(folder)
    process = subprocess.Popen([program, "-q", *as_user, str(settings)])
    try:
        _wait_until_ready(process, server.set(host="127.0.0.1", port=port, query={}))
        yield port
    finally:
        process.terminate()
        process.wait(10)


def through(port: int, url: str) -> str:
    """The same database, through the pooler."""
    pooled = make_url(url).set(host="127.0.0.1", port=port, query={})
    return pooled.render_as_string(hide_password=False)


def _program() -> str:
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None and os.geteuid() != 0:
        pytest.skip("pgbouncer is not installed, and we may not install it")
    assert program is not None, "pgbouncer is missing: apt-get install pgbouncer"
    return program


def _server(url: URL) -> str:
    host = url.query.get("host") or url.host or "127.0.0.1"
    password = f" password={url.password}" if url.password else ""
    return f"host={host} port={url.port or 5432} user={url.username or 'postgres'}{password}"


def _ordinary_user(server: URL) -> str:
    """One who may open the server's socket."""
    folder = server.query.get("host")
    return Path(str(folder)).owner() if folder else "nobody"


def _let_in(folder: Path) -> None:
    """The ordinary user must be able to walk to its own folder."""
    for parent in folder.parents:
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)


def _wait_until_ready(process: subprocess.Popen[bytes], url: URL) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(url.render_as_string(hide_password=False)).close()
            return
        except psycopg.OperationalError:
            assert process.poll() is None, "pgbouncer ended by itself"
            assert time.monotonic() < deadline, "pgbouncer does not answer"
            time.sleep(0.02)
