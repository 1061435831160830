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

UPLOADED_LOOK_AND_ITS_ORDER = """
INSERT INTO looks (cut, name, pack, pack_version, pack_key, pack_sha256, width_px, height_px,
                   px_per_cm)
VALUES ('chaque', 'Chaqué', 'chaque', '0', 'looks/1.zip', '0', 10, 10, 1);
WITH ordered AS (
    INSERT INTO generations (id, owner, family_id, color_id, fabric_name, fabric_hex,
                             uploaded_swatch, cuts, quality, noise_seed)
    VALUES (gen_random_uuid(), 'shop', 'lino', 'azul', 'Azul', '#000000', false, '{chaque}',
            'detail', 1)
    RETURNING id)
INSERT INTO jobs (id, generation_id, owner, cut, stage, engine, letter, fingerprint, priority,
                  turn_at, max_attempts)
SELECT gen_random_uuid(), id, 'shop', 'chaque', 'final', 'drape', '{"look_key": "looks/1.zip"}',
       'x', 0, now(), 3
  FROM ordered
"""
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
    with psycopg.connect(url) as connection:
        connection.execute(UPLOADED_LOOK_AND_ITS_ORDER)
    _alembic(url, "downgrade", "0011")
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT status, (SELECT count(*) FROM looks) FROM jobs")
        assert found.fetchall() == [("canceled", 0)]
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
