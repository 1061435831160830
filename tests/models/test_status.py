"""The status of an order is a function of its jobs, and the same function in Python and in SQL."""

import itertools
from uuid import UUID

import pytest
from sqlalchemy import text

from models import generations, history
from models.catalogue import Page
from models.database import transaction
from models.engines import ENGINES
from models.settings import ROOT
from tests.orders import place, sql
from worker.engines import engine_named

pytestmark = pytest.mark.usefixtures("clean")
STATES = {
    "pending": "settled_at = NULL",
    "processing": "claim = gen_random_uuid(), lease_until = now()",
    "failed": "settled_at = now(), error_code = 'x'",
    "canceled": "settled_at = now()",
    "expired": "settled_at = now()",
    "completed": "settled_at = now(), settled_by = gen_random_uuid(), image_id = :image",
}


def _an_image() -> UUID:
    columns = (
        "fingerprint, made_by, object_key, content_type, size_bytes, sha256, width_px, height_px,"
        " noise_seed, engine, engine_version, recipe, degraded, timings_ms, watermarked"
    )
    values = (
        "'x', gen_random_uuid(), gen_random_uuid()::text, 'image/jpeg', 1, repeat('0', 64), 1, 1,"
        " 0, 'drape', '1', '{}', '{}', '{}', true"
    )
    with transaction() as session:
        insert = f"INSERT INTO images (id, {columns}) VALUES (gen_random_uuid(), {values})"
        return UUID(str(session.execute(text(f"{insert} RETURNING id")).scalar_one()))


def _put_in(generation_id: UUID, cut: str, state: str) -> None:
    values: dict[str, object] = {"id": generation_id, "cut": cut}
    if state == "completed":
        values["image"] = _an_image()
    where = "WHERE generation_id = :id AND cut = :cut"
    sql(f"UPDATE jobs SET status = '{state}', {STATES[state]} {where}", **values)


@pytest.mark.parametrize(("first", "second"), itertools.combinations_with_replacement(STATES, 2))
def test_python_and_sql_agree_on_the_status(first: str, second: str) -> None:
    id = place(("recto", "cruzado"))
    _put_in(id, "recto", first)
    _put_in(id, "cruzado", second)
    with transaction() as session:
        status = generations.read(session, id).status
        found = history.list_generations(session, Page(), history.Wanted(statuses=[status]))
        others = [s for s in STATES if s != status]
        not_found = history.list_generations(session, Page(), history.Wanted(statuses=others))
    assert [view.id for view in found] == [id]
    assert not_found == []


@pytest.mark.parametrize(
    ("states", "status"),
    [
        (("pending", "pending"), "pending"),
        (("pending", "completed"), "processing"),
        (("completed", "failed"), "completed"),
        (("failed", "canceled"), "failed"),
        (("canceled", "expired"), "canceled"),
        (("expired", "expired"), "expired"),
    ],
)
def test_the_status_of_two_cuts(states: tuple[str, str], status: str) -> None:
    id = place(("recto", "cruzado"))
    for cut, state in zip(("recto", "cruzado"), states, strict=True):
        _put_in(id, cut, state)
    with transaction() as session:
        assert generations.read(session, id).status == status


@pytest.mark.parametrize("name", ["drape", "mock"])
def test_the_api_knows_the_version_of_each_engine(name: str) -> None:
    assert engine_named(name, ROOT / "assets" / "looks").version == ENGINES[name].version
