"""Which migration the database is at, and which one this code was written for."""

from functools import lru_cache

from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.orm import Session

from models.settings import ROOT


@lru_cache
def head() -> str | None:
    """The newest migration in alembic/versions."""
    return ScriptDirectory(str(ROOT / "alembic")).get_current_head()


def are_applied(session: Session) -> bool:
    """True when the database is at the head; false when it is behind, ahead or empty."""
    if session.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return False
    return bool(session.scalar(text("SELECT version_num FROM alembic_version")) == head())
