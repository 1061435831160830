"""Jobs that read swatches: enqueued for what has no profile, fenced, never of an old swatch."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from models import catalogue, profiles, queue, swatches
from models.catalogue import Fabric
from models.database import engine, transaction
from models.errors import LeaseLost
from models.profiles import Profile, ProfileClaim, Tint
from tests.orders import LEASE_SECONDS, claim, let_backoff_pass, let_leases_lapse, place, sql

OLD, NEW = "a" * 64, "b" * 64
JOBS = "SELECT count(*) FROM jobs WHERE engine = 'profile'"


def a_profile(ground: str = "#102030") -> Profile:
    return Profile(
        ground=Tint(hex=ground, share=1.0),
        accents=[],
        weave="plain",
        confidence=0.9,
        repeat_across_px=None,
        repeat_down_px=None,
        repeat_across_mm=None,
        repeat_down_mm=None,
        angle_deg=None,
        degraded=[],
    )


@pytest.fixture
def fabric(clean: None) -> Iterator[int]:
    """A fabric of its own with the swatch OLD, the only one that nobody has read."""
    with transaction() as session:
        read = {"profile": a_profile().model_dump_json()}
        session.execute(text("UPDATE fabrics SET profile = CAST(:profile AS jsonb)"), read)
        family = catalogue.list_families(session, catalogue.Page(1))[0]
        id = catalogue.create_fabric(
            session,
            {
                "fabric_family_id": family.id,
                "color_id": "tela-de-prueba",
                "name": "Tela de prueba",
                "hex_value": "#102030",
                "swatch_key": "catalogue/prueba.jpg",
                "swatch_sha256": OLD,
                "swatch_kind": "photo",
                "swatch_width_mm": 100.3,
            },
        ).id
    yield id
    sql("DELETE FROM fabrics WHERE color_id = 'tela-de-prueba'")
    sql("UPDATE fabrics SET profile = NULL")


def look(quiet_seconds: float = 0.0) -> int:
    """Enqueue what is unread; how many swatches then wait."""
    with transaction() as session:
        profiles.enqueue_unread(session, quiet_seconds)
    count: int = sql(f"{JOBS} AND status = 'pending'")
    return count


def take() -> ProfileClaim:
    with transaction() as session:
        held = profiles.claim(session, "a")
    assert held is not None
    return held


def complete(held: ProfileClaim, profile: Profile | None = None) -> None:
    with transaction() as session:
        profiles.complete(session, held, profile or a_profile())


def reading(id: int) -> profiles.Reading:
    with transaction() as session:
        return profiles.reading(session, catalogue.fabric(session, id))


def upload(sha256: str = NEW) -> Any:
    with transaction() as session:
        return swatches.add(session, f"swatches/{sha256}.jpg", sha256, (64, 48), None).id


# --- enqueue --------------------------------------------------------------------------------------


def test_a_swatch_without_a_profile_is_enqueued_once(fabric: int) -> None:
    assert look() == 1
    assert look() == 1
    letter = take().letter
    assert letter.model_dump() == {
        "swatch_key": "catalogue/prueba.jpg",
        "swatch_sha256": OLD,
        "swatch_kind": "photo",
        "swatch_width_mm": 100.3,
    }
    assert look() == 0  # it is being read


def test_what_was_read_is_not_enqueued_again(fabric: int) -> None:
    look()
    complete(take())
    assert look() == 0
    assert sql(JOBS) == 0


def test_equal_swatches_are_read_once_and_told_to_all(fabric: int) -> None:
    ids = [upload()]
    with transaction() as session:
        ids.append(swatches.add(session, "swatches/again.jpg", NEW, (64, 48), None).id)
    assert look() == 2  # the fabric's and theirs
    for _ in range(2):
        complete(take())
    for id in ids:
        with transaction() as session:
            told = profiles.reading(session, swatches.read(session, id))
        assert told.profile == a_profile()


def test_a_photo_is_left_alone_until_it_can_have_been_ordered(fabric: int) -> None:
    sql("UPDATE fabrics SET updated_at = now() - interval '1 h' WHERE id = :id", id=fabric)
    upload()
    assert look(profiles.QUIET_SECONDS) == 1  # the fabric
    sql("UPDATE swatches SET created_at = now() - interval '30 s'")
    assert look(profiles.QUIET_SECONDS) == 2


def test_an_expired_upload_is_not_read(fabric: int) -> None:
    upload()
    sql("UPDATE swatches SET expires_at = now() - interval '1 s'")
    assert look() == 1  # the fabric alone


def test_the_database_holds_one_job_for_a_swatch_whoever_asks(fabric: int) -> None:
    look()
    twice = """INSERT INTO jobs (id, owner, engine, letter, fingerprint, priority, turn_at,
                                 max_attempts)
               SELECT gen_random_uuid(), owner, engine, letter, fingerprint, priority, turn_at, 3
                 FROM jobs WHERE engine = 'profile'"""
    with pytest.raises(IntegrityError, match="jobs_profiles"), engine().begin() as connection:
        connection.exec_driver_sql(twice)


# --- beside orders --------------------------------------------------------------------------------


def test_workers_that_render_never_claim_a_swatch(fabric: int) -> None:
    look()
    with transaction() as session:
        engines = ["drape", "mock", "sdxl_inpaint", "sdxl_full"]
        assert queue.claim(session, queue.Claimant("a", engines, LEASE_SECONDS)) is None


def test_swatches_to_be_read_are_not_in_the_way_of_orders(fabric: int) -> None:
    look()
    order = place()
    with transaction() as session:
        assert queue.depth(session) == 1  # the order's own job
        assert queue.ahead(session, order) == 0
    assert claim().generation_id == order


# --- the fence ------------------------------------------------------------------------------------


def test_a_profile_is_written_down_by_the_claim_and_the_job_is_gone(fabric: int) -> None:
    look()
    complete(take(), a_profile("#445566"))
    assert reading(fabric).profile == a_profile("#445566")
    assert sql(JOBS) == 0


def test_writing_a_profile_down_is_no_edit_of_the_fabric(fabric: int) -> None:
    before = sql("SELECT updated_at FROM fabrics WHERE id = :id", id=fabric)
    look()
    complete(take())
    assert sql("SELECT updated_at FROM fabrics WHERE id = :id", id=fabric) == before


def test_who_lost_the_lease_writes_nothing(fabric: int) -> None:
    look()
    lost = take()
    let_leases_lapse()
    with transaction() as session:
        assert lost.job_id in queue.expire(session)
    let_backoff_pass()
    again = take()
    with pytest.raises(LeaseLost):
        complete(lost, a_profile("#000000"))
    assert reading(fabric).profile is None
    complete(again, a_profile("#445566"))
    assert reading(fabric).profile == a_profile("#445566")


def test_a_swatch_is_settled_once(fabric: int) -> None:
    look()
    held = take()
    complete(held)
    with pytest.raises(LeaseLost):
        complete(held)


def test_a_worker_that_dies_again_and_again_fails_the_swatch_for_all_to_see(fabric: int) -> None:
    look()
    for _ in range(profiles.MAX_ATTEMPTS):
        take()
        let_leases_lapse()
        with transaction() as session:
            queue.expire(session)
        let_backoff_pass()
    told = reading(fabric)
    assert (told.profile, told.failure) == (None, profiles.Failure("worker-lost", ""))


# --- another swatch -------------------------------------------------------------------------------


def change(id: int, **values: Any) -> None:
    with transaction() as session:
        catalogue.update_fabric(session, id, values)


def test_the_profile_of_an_old_swatch_is_not_put_on_the_new_one(fabric: int) -> None:
    look()
    held = take()
    change(fabric, swatch_sha256=NEW)
    complete(held)
    assert reading(fabric).profile is None
    assert look() == 1
    assert take().letter.swatch_sha256 == NEW


@pytest.mark.parametrize(
    "values", [{"swatch_sha256": NEW}, {"swatch_width_mm": 50.0}, {"swatch_width_mm": None}]
)
def test_another_swatch_or_scale_is_read_anew(fabric: int, values: dict[str, Any]) -> None:
    look()
    complete(take())
    change(fabric, **values)
    assert reading(fabric).profile is None
    assert look() == 1


def test_other_edits_keep_the_profile(fabric: int) -> None:
    look()
    complete(take())
    change(fabric, name="Otro nombre", hex_value="#000000", swatch_width_mm=100.3)
    assert reading(fabric).profile == a_profile()


def test_without_a_swatch_there_is_no_profile(fabric: int) -> None:
    look()
    complete(take())
    names = ("swatch_key", "swatch_sha256", "swatch_kind", "swatch_width_mm")
    change(fabric, **dict.fromkeys(names))
    assert reading(fabric) == profiles.Reading()
    assert look() == 0


# --- failures -------------------------------------------------------------------------------------


def test_a_failed_reading_is_told_and_tried_again_after_a_day(fabric: int) -> None:
    look()
    held = take()
    with transaction() as session:
        queue.fail(session, held, "swatch-unreadable", "No se distingue el tejido.")
    failure = profiles.Failure("swatch-unreadable", "No se distingue el tejido.")
    assert reading(fabric).failure == failure
    assert look() == 0
    aged = "UPDATE jobs SET settled_at = settled_at - :age WHERE engine = 'profile'"
    sql(aged, age=timedelta(hours=25))
    assert look() == 1
    assert reading(fabric) == profiles.Reading()


def test_a_broken_worker_is_tried_again_later(fabric: int) -> None:
    look()
    held = take()
    with transaction() as session:
        queue.retry(session, held, "storage-error", "Ahora no.")
    assert sql("SELECT run_at > now() - interval '1 s' FROM jobs WHERE engine = 'profile'")
    let_backoff_pass()
    assert take().attempts == 2


# --- what the database refuses --------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["cut = 'recto'", "stage = 'final'"])
def test_a_job_has_a_whole_order_or_none(fabric: int, bad: str) -> None:
    look()
    refused = pytest.raises(IntegrityError, match="jobs_order_check")
    with refused, engine().begin() as connection:
        connection.exec_driver_sql(f"UPDATE jobs SET {bad} WHERE engine = 'profile'")


@pytest.mark.parametrize("bad", ["[]", '"x"', '{"weave": "plain"}', '{"ground": {}, "weave": 1}'])
def test_what_is_no_profile_is_refused(fabric: int, bad: str) -> None:
    upload()
    for table in ("fabrics", "swatches"):
        refused = pytest.raises(IntegrityError, match=f"{table}_profile_check")
        with refused, engine().begin() as connection:
            connection.exec_driver_sql(f"UPDATE {table} SET profile = %s", (bad,))


def test_lists_of_fabrics_do_without_profiles(fabric: int) -> None:
    with transaction() as session:
        listed = catalogue.list_fabrics(session, catalogue.Page(5))
        assert all("profile" not in row.__dict__ for row in listed)
        assert isinstance(listed[0], Fabric)
