"""What tests share: a real PostgreSQL with a database of its own, a catalogue, a real server.

TEST_DATABASE_URL names a server to use instead of the embedded one; its role must be allowed to
create databases.
"""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA_DIR = Path(tempfile.mkdtemp(prefix="estilista-test-"))
OWNER_PASSWORD = "una-clave-de-pruebas"
BROWSER_WAIT_MS = 30_000  # for a busy machine; nothing waits this long otherwise
ISOLATED = {
    "DATABASE_DIRECT_URL",
    "FINAL_ENGINE",
    "GENERATOR_MODE",
    "PUBLIC_BASE_URL",
    "SHOP_ACCESS",
    "STORAGE_BACKEND",
    "USE_MOCK_GENERATOR",
}
for name in list(os.environ):  # a developer's own settings must not change what is tested
    if name in ISOLATED or name.startswith("R2_"):
        del os.environ[name]
os.environ |= {
    "ENVIRONMENT": "test",
    "DATA_DIR": str(DATA_DIR),
    "ADMIN_PASSWORD": OWNER_PASSWORD,
    "JWT_SECRET": secrets.token_urlsafe(48),
    "LOG_LEVEL": "WARNING",
    "ORDERS_PER_MINUTE": "100000",
    "UPLOADS_PER_MINUTE": "100000",
    "SHARE_RESULTS": "false",  # most tests order the same cloth again and again
    "PROFILE_SWATCHES": "false",  # tests count jobs; those of profiles read swatches themselves
}

import psycopg  # noqa: E402
from psycopg import sql  # noqa: E402
from sqlalchemy import text  # noqa: E402

from models import database, storage  # noqa: E402
from models.settings import settings  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A PostgreSQL server in which databases can be made, as a postgresql:// URL."""
    given = os.environ.get("TEST_DATABASE_URL")
    yield given or database.embedded_url(DATA_DIR)
    database.forget()
    shutil.rmtree(DATA_DIR / "files", ignore_errors=True)


@pytest.fixture(scope="session")
def empty_database(server_url: str) -> Iterator[Callable[[], str]]:
    """Makes empty databases; each call returns the URL of a new one. Dropped at the end."""
    made: list[str] = []

    def make() -> str:
        name = f"test_{secrets.token_hex(6)}"
        _execute(server_url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        made.append(name)
        return _with_database(server_url, name)

    yield make
    database.engine().dispose()
    for name in made:
        drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
        _execute(server_url, drop)


@pytest.fixture(scope="session")
def migrated(empty_database: Callable[[], str]) -> str:
    """The URL of the test run's main database, migrated; the settings point to it."""
    os.environ["DATABASE_URL"] = empty_database()
    forget_settings()
    run_python("-m", "alembic", "upgrade", "head")
    return os.environ["DATABASE_URL"]


@pytest.fixture(scope="session")
def seeded(migrated: str) -> str:
    """The main database with the starter catalogue in it."""
    run_python("seed.py")
    return migrated


TRANSIENT = (
    "clients",
    "doomed_objects",
    "jobs",
    "images",
    "generations",
    "bulks",
    "swatches",
    "workers",
    "engine_modes",
    "sessions",
    "hits",
)


@pytest.fixture
def clean(seeded: str) -> Iterator[None]:
    """Orders, uploads and limits are gone afterwards; the catalogue stays."""
    yield
    with database.transaction() as session:
        for table in TRANSIENT:
            session.execute(text(f"DELETE FROM {table}"))


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Change settings for one test: `setting(shop_access="token")`."""

    def change(**values: Any) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name.upper(), str(value))
        settings.cache_clear()

    yield change
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture(scope="session")
def base_url(seeded: str) -> Iterator[str]:
    """The real application behind a real server on a free port of the loopback."""
    import uvicorn

    from api.main import app

    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def client(base_url: str, clean: None) -> Iterator[httpx.Client]:
    """Somebody without credentials, as the old shop client is."""
    with httpx.Client(base_url=base_url, trust_env=False, verify=False, timeout=30) as client:
        yield client


@pytest.fixture
def owner(client: httpx.Client, base_url: str) -> Iterator[httpx.Client]:
    """The first owner, signed in."""
    form = {"username": "owner", "password": OWNER_PASSWORD}
    token = client.post("/auth/token", data=form).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(
        base_url=base_url, trust_env=False, verify=False, timeout=30, headers=headers
    ) as owner:
        yield owner


@pytest.fixture(scope="module")
def chromium() -> "Iterator[Browser]":
    """A browser without pages; each test opens its own."""
    from bench.chromium import running_chromium

    with running_chromium() as browser:
        yield browser


@pytest.fixture
def opened(chromium: "Browser", base_url: str, clean: None) -> "Iterator[Callable[..., Page]]":
    """Makes pages on which nothing moves, each in a browser of its own: a tablet in Spanish unless
    it is told otherwise. Whatever a page complains of fails the test."""
    from playwright.sync_api import expect

    from tests.browsing import TABLET

    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def make(**options: Any) -> "Page":
        options = {"viewport": TABLET, "locale": "es-MX", "reduced_motion": "reduce"} | options
        context = chromium.new_context(base_url=base_url, **options)
        contexts.append(context)
        context.set_default_timeout(BROWSER_WAIT_MS)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        context.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        return context.new_page()

    expect.set_options(timeout=BROWSER_WAIT_MS)
    yield make
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def browser(client: httpx.Client, base_url: str) -> Iterator[httpx.Client]:
    """The owner's browser in the console, without a browser: its cookie."""
    from tests.console import signed_in

    with signed_in(base_url) as browser:
        yield browser


@pytest.fixture
def as_role(client: httpx.Client, base_url: str) -> Iterator[Callable[[str], httpx.Client]]:
    """The same of new accounts with other roles, who are gone afterwards."""
    from tests.console import PASSWORD, add_account, signed_in

    with ExitStack() as opened:

        def sign_in(role: str) -> httpx.Client:
            add_account(role)
            return opened.enter_context(signed_in(base_url, f"prueba-{role}", PASSWORD))

        yield sign_in
    with database.transaction() as session:
        session.execute(text("DELETE FROM users WHERE username LIKE 'prueba-%'"))


@pytest.fixture
def work(clean: None) -> Callable[[], int]:
    """Runs a drape worker in this process until nothing is due; returns how many jobs it did."""
    from tests.workers import drape_loop

    def until_idle() -> int:
        loop = drape_loop()
        done = 0
        while loop.work_once():
            done += 1
        return done

    return until_idle


def forget_settings() -> None:
    """After the environment changed: the next use reads it anew."""
    settings.cache_clear()
    database.forget()
    storage.storage.cache_clear()


def run_python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """One of our commands in a process of its own; raises with its output if it fails."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def _execute(url: str, statement: sql.Composed) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def _with_database(url: str, name: str) -> str:
    head, _, query = url.partition("?")
    return f"{head.rsplit('/', 1)[0]}/{name}" + (f"?{query}" if query else "")
