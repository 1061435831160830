"""Runs the migrations on the direct database URL, one at a time, waiting for locks in bounds."""

from alembic import context
from sqlalchemy import create_engine, text

from models import tables
from models.database import CONNECT, direct_url

MIGRATION_LOCK = 0x5A57  # two deployments at once: the second waits for the first


def run() -> None:
    engine = create_engine(direct_url(), connect_args=CONNECT)
    with engine.connect() as connection, connection.begin():
        connection.execute(text("SET LOCAL lock_timeout = '10s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        context.configure(
            connection=connection,
            target_metadata=tables.metadata,
            compare_server_default=True,
        )
        context.run_migrations()
    engine.dispose()


run()
