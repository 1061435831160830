"""Ordering the same again: a new order from the old one's own data."""

from uuid import UUID

import pytest

from models import generations
from models.database import transaction
from models.errors import Conflict, NotFound
from tests.orders import claim, place, sql

pytestmark = pytest.mark.usefixtures("clean")


def _again(id: UUID) -> UUID:
    with transaction() as session:
        return generations.again(session, id, "user:7")


def _fail(id: UUID) -> None:
    sql(
        "UPDATE jobs SET status = 'failed', error_code = 'engine-failed', settled_at = now()"
        " WHERE generation_id = :id",
        id=id,
    )


def test_again_is_a_new_order_of_the_same_cloth_cuts_and_seed() -> None:
    old_id = place(("recto", "cruzado"), noise_seed=77)
    _fail(old_id)
    new_id = _again(old_id)
    with transaction() as session:
        new, old = generations.read(session, new_id), generations.read(session, old_id)
    assert (new.id, new.status, new.owner) == (new_id, "pending", "user:7")
    assert old.status == "failed"
    same = ("color_id", "cuts", "noise_seed", "fabric_hex", "swatch_key", "quality")
    assert [getattr(new, name) for name in same] == [getattr(old, name) for name in same]


def test_again_writes_the_letter_that_the_old_job_had() -> None:
    old_id = place(noise_seed=5)
    _fail(old_id)
    letter = "SELECT letter FROM jobs WHERE generation_id = :id"
    assert sql(letter, id=_again(old_id)) == sql(letter, id=old_id)


def test_again_keeps_the_cloth_as_ordered_when_the_catalogue_changed_since() -> None:
    old_id = place()
    _fail(old_id)
    sql("UPDATE generations SET color_id = 'ya-no-existe' WHERE id = :id", id=old_id)
    sql('UPDATE jobs SET letter = CAST(letter AS jsonb) || \'{"fabric_hex": "#010203"}\'')
    _again(old_id)
    assert claim().letter.fabric_hex == "#010203"


def test_again_renders_todays_look_where_the_old_one_is_gone() -> None:
    old_id = place()
    _fail(old_id)
    sql('UPDATE jobs SET letter = CAST(letter AS jsonb) || \'{"look_version": "gone"}\'')
    _again(old_id)
    assert claim().letter.look_version != "gone"


def test_an_order_that_still_runs_cannot_be_ordered_again() -> None:
    with pytest.raises(Conflict):
        _again(place())
    assert sql("SELECT count(*) FROM generations") == 1


def test_an_order_that_does_not_exist_cannot_be_ordered_again() -> None:
    with pytest.raises(NotFound):
        _again(UUID(int=1))
