"""An upload's life: its job is fenced, its state is its job's; what is ready can be ordered."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from models import catalogue, generations, look_uploads, packs, profiles, queue
from models.database import engine, transaction
from models.errors import Conflict, InvalidInput, LeaseLost, NotFound
from models.look_uploads import LookClaim, MadePack
from models.storage import storage
from tests.looks import CUT, forget_uploads, uploaded
from tests.orders import (
    let_backoff_pass,
    let_leases_lapse,
    place,
    some_color_id,
    sql,
    until_they_wait,
)

JOBS = "SELECT count(*) FROM jobs WHERE engine = 'look'"
MADE = MadePack("looks/x/chaque-1.zip", "a" * 64, "0123456789abcdef", 256, 384, 3.05)


@pytest.fixture(autouse=True)
def no_uploads(clean: None) -> Iterator[None]:
    yield
    forget_uploads()


def take(worker: str = "a") -> LookClaim:
    with transaction() as session:
        held = look_uploads.claim(session, worker)
    assert held is not None
    return held


def complete(held: LookClaim, made: MadePack = MADE) -> None:
    with transaction() as session:
        look_uploads.complete(session, held, made)


def ready(made: MadePack = MADE) -> UUID:
    id = uploaded()
    complete(take(), replace(made, pack_key=f"looks/{id}/chaque-1.zip"))
    return id


def activate(id: UUID) -> None:
    with transaction() as session:
        look_uploads.activate(session, id)


def discard(id: UUID) -> None:
    with transaction() as session:
        look_uploads.discard(session, id)


def states() -> dict[UUID, str]:
    with transaction() as session:
        return {row.id: row.state for row in look_uploads.listed(session)}


def column(name: str) -> Any:
    return sql(f"SELECT {name} FROM look_uploads")


# --- the job --------------------------------------------------------------------------------------


def test_an_upload_is_made_by_whoever_claims_it_and_is_then_ready() -> None:
    id = uploaded()
    assert states() == {id: "making"}
    held = take()
    assert (held.letter.upload_id, held.letter.cut, held.letter.kind) == (id, CUT, "pack")
    assert states() == {id: "making"}
    complete(held)
    assert states() == {id: "ready"}
    assert column("pack_version") == MADE.pack_version
    assert sql(JOBS) == 0


def test_it_is_claimed_once_and_by_no_renderer_and_no_reader() -> None:
    uploaded()
    with transaction() as session:
        assert queue.claim(session, queue.Claimant("b", ["drape"], 15)) is None
        assert profiles.claim(session, "b") is None
    take()
    with transaction() as session:
        assert look_uploads.claim(session, "b") is None


def test_it_waits_behind_whoever_ordered_a_suit() -> None:
    uploaded()
    place()
    assert sql("SELECT engine FROM jobs ORDER BY priority DESC LIMIT 1") == "drape"
    with transaction() as session:
        assert queue.depth(session, above=queue.BULK_PRIORITY) == 1


def test_a_lost_claim_completes_nothing() -> None:
    id = uploaded()
    lost = take()
    let_leases_lapse()
    with transaction() as session:
        queue.expire(session)
    let_backoff_pass()
    with pytest.raises(LeaseLost):
        complete(lost)
    assert states() == {id: "making"}
    complete(take("b"))
    with pytest.raises(LeaseLost):
        complete(lost, replace(MADE, pack_version="other"))
    assert column("pack_version") == MADE.pack_version


def test_an_upload_that_was_discarded_is_not_completed() -> None:
    id = uploaded()
    held = take()
    discard(id)
    with pytest.raises(LeaseLost):
        complete(held)
    assert states() == {}
    assert sql(JOBS) == 0


def test_a_failed_upload_keeps_its_reason_until_it_is_discarded() -> None:
    id = uploaded()
    with transaction() as session:
        queue.fail(session, take(), "invalid-input", "Al look le falta el chaleco.")
    assert states() == {id: "failed"}
    sql("UPDATE jobs SET settled_at = settled_at - interval '3 days'")
    with transaction() as session:
        profiles.enqueue_unread(session)  # which forgets failed readings of swatches
        (row,) = look_uploads.listed(session)
    assert (row.state, row.error) == ("failed", "Al look le falta el chaleco.")
    discard(id)
    assert states() == {}


def test_a_worker_that_dies_over_it_again_and_again_fails_it() -> None:
    id = uploaded()
    for _ in range(look_uploads.MAX_ATTEMPTS):
        take()
        let_leases_lapse()
        with transaction() as session:
            queue.expire(session)
        let_backoff_pass()
    assert states() == {id: "failed"}


@pytest.mark.parametrize(("table", "rule"), [("look_uploads", "made"), ("looks", "pack_whole")])
def test_a_pack_is_whole_or_not_there(table: str, rule: str) -> None:
    uploaded()
    refused = pytest.raises(IntegrityError, match=f"{table}_{rule}_check")
    with refused, engine().begin() as connection:
        connection.exec_driver_sql(f"UPDATE {table} SET pack_key = 'x'")


# --- on the sales floor ---------------------------------------------------------------------------


def order(**changes: Any) -> UUID:
    return place((CUT,), **changes)


def letters(id: UUID) -> Any:
    return sql("SELECT letter FROM jobs WHERE generation_id = :id", id=id)


def test_what_is_activated_can_be_ordered_and_the_letter_says_where_its_pack_lies() -> None:
    id = ready()
    with pytest.raises(InvalidInput, match="no existe"):
        order()
    activate(id)
    assert states() == {id: "on"}
    letter = letters(order())
    assert letter["look"] == CUT
    assert letter["look_version"] == MADE.pack_version
    assert letter["look_key"] == f"looks/{id}/chaque-1.zip"
    assert letter["look_sha256"] == MADE.pack_sha256


def test_a_trial_needs_no_activation() -> None:
    id = ready()
    with transaction() as session:
        look = look_uploads.as_look(look_uploads.find(session, id))
        asked = generations.Order(some_color_id(), [CUT], "user:1", "preview", trial=look)
        placed = generations.place(session, asked)
    assert letters(placed)["look_sha256"] == MADE.pack_sha256
    assert sql("SELECT count(*) FROM looks WHERE pack_key IS NOT NULL") == 0


def test_what_is_being_activated_is_not_discarded() -> None:
    id = ready()
    with ThreadPoolExecutor() as threads:
        with transaction() as session:
            look_uploads.activate(session, id)
            discarded = threads.submit(discard, id)
            until_they_wait(1, unless=discarded.done)
        with pytest.raises(Conflict, match="usa esta subida"):
            discarded.result()
    assert states() == {id: "on"}


def test_who_discards_and_who_completes_take_their_rows_in_the_same_order() -> None:
    id = uploaded()
    with ThreadPoolExecutor() as threads:
        with transaction() as session:
            session.execute(
                text("SELECT 1 FROM jobs FOR UPDATE")
            )  # the first that completing takes
            discarded = threads.submit(discard, id)
            until_they_wait(1)
            session.execute(text("SELECT 1 FROM look_uploads FOR UPDATE NOWAIT"))
        discarded.result()
    assert states() == {}


def test_what_is_not_ready_is_neither_tried_nor_activated() -> None:
    id = uploaded()
    with transaction() as session, pytest.raises(Conflict, match="no está listo"):
        look_uploads.as_look(look_uploads.find(session, id))
    with pytest.raises(Conflict, match="no está listo"):
        activate(id)
    with pytest.raises(NotFound):
        discard(UUID(int=0))


def test_a_newer_pack_takes_the_older_ones_place_and_back() -> None:
    old, new = ready(), ready(replace(MADE, pack_sha256="b" * 64))
    activate(old)
    before = sql("SELECT id FROM looks WHERE cut = :cut", cut=CUT)
    activate(new)
    assert states() == {old: "ready", new: "on"}
    assert sql("SELECT id FROM looks WHERE cut = :cut", cut=CUT) == before
    activate(old)
    assert states() == {old: "on", new: "ready"}


def test_other_bytes_are_another_picture_even_where_the_version_is_the_same() -> None:
    """look.json is no part of a pack's version, and tells the scale."""
    activate(ready())
    first = order()
    activate(ready(replace(MADE, pack_sha256="b" * 64)))
    prints = [
        sql("SELECT fingerprint FROM jobs WHERE generation_id = :id", id=id)
        for id in (first, order())
    ]
    assert prints[0] != prints[1]


def test_cuts_of_the_house_are_not_replaced() -> None:
    with pytest.raises(InvalidInput, match="viene con la casa"):
        uploaded(cut="recto")
    assert sql("SELECT count(*) FROM look_uploads") == 0
    assert sql(JOBS) == 0


def test_the_seed_leaves_an_uploaded_cut_alone() -> None:
    activate(ready())
    with transaction() as session:
        catalogue.put_look(session, CUT, "De la casa", 1, {"pack_version": "other"})
    assert sql("SELECT pack_version FROM looks WHERE cut = :cut", cut=CUT) == MADE.pack_version


def test_the_pack_of_a_cut_is_not_discarded() -> None:
    id = ready()
    activate(id)
    with pytest.raises(Conflict, match="usa esta subida"):
        discard(id)


# --- what may be deleted --------------------------------------------------------------------------


def unneeded() -> set[str]:
    stored = [found.key for found in storage().list(packs.PREFIX)]
    with transaction() as session:
        return set(look_uploads.unneeded(session, stored))


def test_a_source_is_needed_until_it_is_made_or_has_failed() -> None:
    uploaded(kind="photo")
    source = column("source_key")
    assert unneeded() == set()
    held = take()
    assert unneeded() == set()
    complete(held)
    assert unneeded() == {source}


def test_a_pack_is_needed_by_its_upload_its_cut_and_orders_that_wait() -> None:
    id = uploaded()
    key = column("source_key")
    complete(take(), replace(MADE, pack_key=key))
    activate(id)
    order()
    assert unneeded() == set()
    sql("DELETE FROM looks WHERE cut = :cut", cut=CUT)
    discard(id)
    assert unneeded() == set()  # the order still wants it
    sql("DELETE FROM jobs")
    assert unneeded() == {key}
