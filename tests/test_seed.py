"""The seed: a whole starter catalogue, and twice is the same as once."""

import hashlib
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Row, text

from models import catalogue
from models.catalogue import active_looks, shop_families
from models.database import transaction
from models.storage import storage
from tests.conftest import run_python

pytestmark = pytest.mark.usefixtures("seeded")
TABLES = ("fabric_families", "fabrics", "looks", "users")


def _rows() -> dict[str, Sequence[Row[Any]]]:
    with transaction() as session:
        return {
            table: session.execute(text(f"SELECT * FROM {table} ORDER BY id")).all()
            for table in TABLES
        }


def test_the_catalogue_has_five_families_of_five_fabrics_with_swatches() -> None:
    with transaction() as session:
        families = shop_families(session)
        assert {"lana-cachemir", "lana-normal", "lino-premium", "algodon-tech", "seda-lux"} <= {
            family.family_id for family in families
        }
        for family in families:
            assert len(family.fabrics) >= 5
            for fabric in family.fabrics:
                assert fabric.swatch_key is not None
                assert fabric.thumbnail_key is not None
                content = storage().get(fabric.swatch_key)
                assert hashlib.sha256(content).hexdigest() == fabric.swatch_sha256
                assert fabric.swatch_kind == "tile"
                assert 20 < (fabric.swatch_width_mm or 0) < 200
                assert storage().get(fabric.thumbnail_key)[:2] == b"\xff\xd8"


def test_no_two_swatches_are_the_same() -> None:
    with transaction() as session:
        hashes = [f.swatch_sha256 for family in shop_families(session) for f in family.fabrics]
    assert len(set(hashes)) == len(hashes)


def test_the_looks_are_the_packs_in_assets() -> None:
    with transaction() as session:
        looks = active_looks(session)
    assert [look.cut for look in looks] == ["recto", "cruzado", "tres-piezas", "esmoquin"]
    assert all((look.width_px, look.height_px) == (1024, 1536) for look in looks)


def test_seeding_twice_changes_nothing() -> None:
    before = _rows()
    run_python("seed.py")
    assert _rows() == before


def test_seeding_keeps_what_a_merchandiser_changed() -> None:
    with transaction() as session:
        session.execute(text("UPDATE fabrics SET name = 'Otro' WHERE id = 1"))
        session.execute(text("UPDATE fabric_families SET status = 'inactive' WHERE id = 1"))
    changed = _rows()
    run_python("seed.py")
    assert _rows() == changed
    with transaction() as session:
        session.execute(text("UPDATE fabric_families SET status = 'active' WHERE id = 1"))


def test_a_second_owner_is_never_made() -> None:
    before = _rows()["users"]
    run_python("seed.py", ADMIN_PASSWORD="otra-clave-distinta")
    assert _rows()["users"] == before
    assert [user.role for user in before].count("owner") == 1


def test_every_starter_fabric_says_what_its_cloth_is() -> None:
    with transaction() as session:
        fabrics = [fabric for family in shop_families(session) for fabric in family.fabrics]
    assert {fabric.pattern for fabric in fabrics} == {"plain", "stripe", "check", "texture"}
    assert all("%" in (fabric.composition or "") for fabric in fabrics)
    assert all(100 < (fabric.weight_g_m2 or 0) < 600 for fabric in fabrics)


def test_facts_are_added_to_older_rows_that_nobody_edited() -> None:
    nothing = {"pattern": None, "composition": None, "weight_g_m2": None}
    facts = {"pattern": "plain", "composition": "100 % lana", "weight_g_m2": 250}
    with transaction() as session:
        family = shop_families(session)[0]
        untouched, edited = family.fabrics[:2]
        session.execute(
            text(
                "UPDATE fabrics SET pattern = NULL, composition = NULL, weight_g_m2 = NULL,"
                " updated_at = CASE WHEN id = :edited THEN created_at + interval '1 s'"
                " ELSE created_at END WHERE id IN (:untouched, :edited)"
            ),
            {"untouched": untouched.id, "edited": edited.id},
        )
        session.expire_all()
        for fabric in (untouched, edited):
            catalogue.add_facts(session, fabric.color_id, facts)
        session.flush()
        assert {name: getattr(untouched, name) for name in nothing} == facts
        assert {name: getattr(edited, name) for name in nothing} == nothing
        session.rollback()
