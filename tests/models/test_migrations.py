"""Migrations: up, down, up again; and what they build is what the models say."""

from collections.abc import Callable

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from models import migrations
from models.database import transaction
from models.tables import metadata
from tests.conftest import run_python

PERCENT_IN_PASSWORD = "postgres:p%40ss%25"


def _tables(url: str) -> set[str]:
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    with psycopg.connect(url) as connection:
        return {name for (name,) in connection.execute(query)}


def _alembic(url: str, *arguments: str) -> None:
    run_python("-m", "alembic", *arguments, DATABASE_URL=url)


def test_migrations_go_up_down_and_up_again(empty_database: Callable[[], str]) -> None:
    url = empty_database()
    _alembic(url, "upgrade", "head")
    built = _tables(url)
    assert {"jobs", "generations", "images", "fabrics", "looks"} <= built
    _alembic(url, "downgrade", "base")
    assert _tables(url) == {"alembic_version"}
    _alembic(url, "upgrade", "head")
    assert _tables(url) == built


def test_the_migrations_build_what_the_models_say(migrated: str) -> None:
    engine = create_engine(migrated.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_a_url_with_percent_signs_migrates(empty_database: Callable[[], str]) -> None:
    url = empty_database().replace("postgres:@", f"{PERCENT_IN_PASSWORD}@", 1)
    if PERCENT_IN_PASSWORD not in url:
        pytest.skip("TEST_DATABASE_URL has a user and password of its own")
    _alembic(url, "upgrade", "head")


def test_readiness_knows_whether_migrations_are_applied(migrated: str) -> None:
    with transaction() as session:
        assert migrations.are_applied(session)
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
        assert not migrations.are_applied(session)
        session.rollback()
