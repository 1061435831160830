"""The seed: a whole starter catalogue, and twice is the same as once."""

import hashlib
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Row, text

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
    assert [look.cut for look in looks] == ["recto", "cruzado"]
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
