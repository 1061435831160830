"""The client book: search, consent, erasing; lookbooks, their links and what comes back."""

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Row

from models import clients, doomed, dossiers, erasures, gallery, lookbooks, retention
from models.catalogue import EditedMeanwhile, Page
from models.clients import Facts
from models.database import transaction
from models.errors import InvalidInput, NotFound, StorageError
from models.lookbooks import Chosen
from models.storage import FolderStorage, storage
from models.tables import metadata
from tests.log_lines import without_chance
from tests.orders import BOTH, place, sql
from tests.pictures import finish, finished_order, stored

NUNEZ = Facts("Sofía Núñez", "+52 (55) 1234-5678", "Prefiere solapa ancha.")


@pytest.fixture(autouse=True)
def empty_storage(clean: None) -> None:
    """Pictures in storage are of one test only."""
    for key in stored("renders/") | stored("swatches/"):
        storage().delete(key)


def a_client(facts: Facts = NUNEZ) -> UUID:
    with transaction() as session:
        return clients.add(session, facts, True, "user:1").id


def attach(client: UUID, order: UUID) -> None:
    with transaction() as session:
        clients.attach(session, client, order, "user:1")


def erase(client: UUID) -> erasures.Erased:
    with transaction() as session:
        erased = erasures.erase(session, client)
    assert doomed.delete(storage()) == 0
    return erased


def found(q: str) -> list[str]:
    with transaction() as session:
        return [row.name for row in clients.search(session, q, Page())]


def a_lookbook(client: UUID, *chosen: Chosen) -> UUID:
    with transaction() as session:
        id = lookbooks.add(session, client, "Otoño", "user:1").id
        lookbooks.update(session, id, 1, "Otoño", chosen)
        return id


def share(lookbook: UUID, days: int = 7) -> lookbooks.Link:
    with transaction() as session:
        return lookbooks.share(session, lookbook, days, "user:1")


def open_link(token: str) -> Row[Any]:
    with transaction() as session:
        return lookbooks.opened(session, token)


def pages(lookbook: UUID) -> list[lookbooks.Shown]:
    with transaction() as session:
        return lookbooks.pages(session, lookbook)


# --- who is in the book ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "q", ["sofia nunez", "NÚÑEZ", "ofi", "5512345678", "55 1234", "(55) 12-34", "nunez 5678", ""]
)
def test_a_client_is_found_without_accents_and_by_parts_of_the_number(q: str) -> None:
    a_client()
    a_client(Facts("Álvaro Peña", "81 9999 0000"))
    assert "Sofía Núñez" in found(q)
    assert ("Álvaro Peña" in found(q)) == (q == "")


@pytest.mark.parametrize("q", ["nunes", "%", "_", "\\\\", "sofia 99"])
def test_a_search_finds_nobody_else_and_knows_no_wildcards(q: str) -> None:
    a_client()
    assert found(q) == []


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        (Facts("  "), "name"),
        (Facts("x" * 121), "name"),
        (Facts("Ana", "55-ana"), "phone"),
        (Facts("Ana", "1" * 41), "phone"),
        (Facts("Ana", "", "x" * 2001), "note"),
    ],
)
def test_facts_that_cannot_be_are_refused_by_field(facts: Facts, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        a_client(facts)
    assert refused.value.field == field


def test_nobody_is_written_down_without_consent() -> None:
    with pytest.raises(InvalidInput), transaction() as session:
        clients.add(session, NUNEZ, False, "user:1")
    assert sql("SELECT count(*) FROM clients") == 0


def test_a_second_editor_does_not_overwrite_the_first() -> None:
    id = a_client()
    with transaction() as session:
        clients.update(session, id, replace(NUNEZ, phone="55"), 1)
    with pytest.raises(EditedMeanwhile), transaction() as session:
        clients.update(session, id, replace(NUNEZ, note="otra"), 1)
    assert sql("SELECT phone || note FROM clients") == f"55{NUNEZ.note}"
    assert found("55") == ["Sofía Núñez"]
    assert found("1234") == []


def test_after_consent_is_withdrawn_nothing_is_added_and_links_are_dead() -> None:
    id = a_client()
    order = finished_order()
    attach(id, order)
    book = a_lookbook(id, Chosen(order, "recto"))
    link = share(book)
    assert open_link(link.token).title == "Otoño"
    with transaction() as session:
        clients.withdraw_consent(session, id)
    with pytest.raises(NotFound):
        open_link(link.token)
    for adding in (lambda: attach(id, order), lambda: share(book), lambda: a_lookbook(id)):
        with pytest.raises(clients.NoConsent):
            adding()
    with transaction() as session:
        clients.give_consent(session, id)
    share(book)
    with pytest.raises(NotFound):
        open_link(link.token)


# --- their looks ----------------------------------------------------------------------------------


def test_a_look_is_attached_once_and_detached_from_lookbooks_too() -> None:
    id, order = a_client(), finished_order()
    attach(id, order)
    attach(id, order)
    book = a_lookbook(id, Chosen(order, "recto"))
    with transaction() as session:
        assert [look.order.id for look in clients.looks(session, id)] == [order]
        clients.detach(session, id, order)
        assert clients.looks(session, id) == []
    assert pages(book) == []
    assert sql("SELECT count(*) FROM generations") == 1


def test_only_an_order_that_exists_is_attached() -> None:
    id = a_client()
    with pytest.raises(NotFound):
        attach(id, uuid4())


def test_old_orders_are_kept_for_as_long_as_a_client_has_them() -> None:
    id, mine, other = a_client(), finished_order(), finished_order()
    attach(id, mine)
    sql("UPDATE generations SET created_at = now() - interval '2 years'")
    with transaction() as session:
        late = sql("SELECT now()")
        assert retention.old_orders(session, late) == [other]


def test_old_orders_are_kept_for_as_long_as_a_picture_of_theirs_has_a_star() -> None:
    starred, other = finished_order(), finished_order()
    picture = sql("SELECT image_id FROM jobs WHERE generation_id = :id LIMIT 1", id=starred)
    with transaction() as session:
        gallery.star(session, picture)
    sql("UPDATE generations SET created_at = now() - interval '2 years'")
    with transaction() as session:
        late = sql("SELECT now()")
        assert retention.old_orders(session, late) == [other]
        gallery.unstar(session, picture)
        assert retention.old_orders(session, late) == [starred, other]


# --- erasing --------------------------------------------------------------------------------------


def tables_about_clients() -> set[str]:
    """Every table from which foreign keys lead to clients."""
    about, grown = {"clients"}, True
    while grown:
        more = {
            table.name
            for table in metadata.tables.values()
            for key in table.foreign_keys
            if key.column.table.name in about
        }
        grown, about = not more <= about, about | more
    return about


def test_an_erased_client_is_gone_with_rows_and_objects() -> None:
    id, order = a_client(), finished_order(BOTH)
    attach(id, order)
    link = share(a_lookbook(id, Chosen(order, "recto", "Para la boda.")))
    with transaction() as session:
        page = lookbooks.pages(session, open_link(link.token).lookbook_id)[0].id
        lookbooks.set_heart(session, link.id, page, True)
        lookbooks.comment(session, link.id, page, "Me encanta.")
    about = tables_about_clients()
    assert about > {"clients", "client_looks", "lookbook_comments", "lookbook_hearts"}
    assert all(sql(f"SELECT count(*) FROM {table}") for table in about)
    assert len(stored("renders/")) == 2
    assert erase(id) == erasures.Erased(orders=1, objects=2)
    gone = about | {"generations", "jobs", "images", "doomed_objects"}
    assert {table: sql(f"SELECT count(*) FROM {table}") for table in gone} == dict.fromkeys(gone, 0)
    assert stored("renders/") == set()


def test_the_log_keeps_that_somebody_was_erased_but_not_who_it_was() -> None:
    id = a_client()
    with transaction() as session:
        clients.update(session, id, replace(NUNEZ, note="otra"), 1)
    erase(id)
    about = "FROM audit WHERE subject_kind = 'client' AND subject_id = :id"
    actions = sql(f"SELECT array_agg(action ORDER BY id) {about}", id=str(id))
    assert actions == ["create", "update", "erase"]
    said = sql(f"SELECT string_agg(CAST(audit AS text), ' ') {about}", id=str(id))
    told = without_chance(said)
    assert not any(word in told for word in ("Sof", "Núñez", "1234", "solapa", "otra"))


def test_an_order_that_another_client_has_survives() -> None:
    id, other, order = a_client(), a_client(Facts("Otro")), finished_order()
    attach(id, order)
    attach(other, order)
    assert erase(id) == erasures.Erased(orders=0, objects=0)
    with transaction() as session:
        (look,) = clients.looks(session, other)
    assert look.order.best[0].image is not None
    assert len(stored("renders/")) == 1
    assert erase(other).objects == 1
    assert stored("renders/") == set()


def test_a_picture_that_an_equal_order_shows_survives(setting: Any) -> None:
    setting(share_results="true")
    id, order = a_client(), finished_order()
    attach(id, order)
    equal = place()  # answered at once with the same picture
    assert sql("SELECT count(*) FROM images") == 1
    assert erase(id) == erasures.Erased(orders=1, objects=0)
    assert sql("SELECT count(*) FROM jobs WHERE image_id IS NOT NULL") == 1
    assert sql("SELECT count(*) FROM generations WHERE id = :id", id=equal) == 1
    assert len(stored("renders/")) == 1


def test_an_equal_order_that_waits_is_rendered_all_the_same(setting: Any) -> None:
    setting(share_results="true")
    id, order = a_client(), place()
    attach(id, order)
    place()
    assert sql("SELECT count(*) FROM jobs WHERE leader_id IS NOT NULL") == 1
    erase(id)
    finish()
    assert sql("SELECT array_agg(status) FROM jobs") == ["completed"]


def a_swatch(key: str) -> None:
    storage().put(key, b"cloth", "image/jpeg")
    sql(
        "INSERT INTO swatches (id, object_key, sha256, width_px, height_px, expires_at) VALUES"
        " (gen_random_uuid(), :key, 'x', 1, 1, now() + interval '1 hour')",
        key=key,
    )


def test_a_photo_of_their_cloth_goes_too_unless_somebody_else_ordered_it() -> None:
    id = a_client()
    orders = [finished_order(), finished_order(), finished_order()]
    for order, key in zip(orders, ("own", "shared", "shared"), strict=True):
        sql(
            "UPDATE generations SET uploaded_swatch = true, swatch_key = :key WHERE id = :id",
            key=f"swatches/{key}.jpg",
            id=order,
        )
    a_swatch("swatches/own.jpg")
    a_swatch("swatches/shared.jpg")
    attach(id, orders[0])
    attach(id, orders[1])
    erase(id)
    assert stored("swatches/") == {"swatches/shared.jpg"}
    assert sql("SELECT array_agg(object_key) FROM swatches") == ["swatches/shared.jpg"]


class Refusing(FolderStorage):
    """Deletes nothing but what is named."""

    def __init__(self, allowed: set[str]) -> None:
        super().__init__(storage().folder)  # type: ignore[attr-defined]
        self.allowed = allowed

    def delete(self, key: str) -> None:
        if key not in self.allowed:
            raise StorageError("out of order")
        super().delete(key)


def test_what_the_store_refuses_to_delete_is_remembered_and_deleted_later() -> None:
    id, order = a_client(), finished_order(BOTH)
    attach(id, order)
    one, other = sorted(stored("renders/"))
    with transaction() as session:
        erasures.erase(session, id)
    assert doomed.delete(Refusing({other})) == 1
    assert sql("SELECT array_agg(object_key) FROM doomed_objects") == [one]
    assert sql("SELECT count(*) FROM clients") == sql("SELECT count(*) FROM images") == 0
    assert doomed.delete(storage()) == 0
    assert stored("renders/") == set()


def test_an_erasure_that_does_not_commit_erases_nothing() -> None:
    id, order = a_client(), finished_order()
    attach(id, order)
    with transaction() as session:
        erasures.erase(session, id)
        session.rollback()
    assert doomed.delete(storage()) == 0
    assert sql("SELECT count(*) FROM client_looks") == 1
    assert len(stored("renders/")) == 1


# --- everything held about them -------------------------------------------------------------------


def test_a_dossier_holds_every_column_about_the_client() -> None:
    id, order = a_client(), finished_order(BOTH)
    attach(id, order)
    link = share(a_lookbook(id, Chosen(order, "cruzado", "Para la boda.")))
    with transaction() as session:
        page = lookbooks.pages(session, open_link(link.token).lookbook_id)[0].id
        lookbooks.comment(session, link.id, page, "¿Y en lino?")
        dossier = dossiers.compile_dossier(session, id)
    inner = {"folded", "version"}  # made from the others
    assert set(dossier.about["client"]) == set(metadata.tables["clients"].columns.keys()) - inner
    (look,) = dossier.about["looks"]
    assert sorted(look["files"]) == sorted(dossier.pictures)
    assert set(dossier.pictures.values()) == stored("renders/")
    (book,) = dossier.about["lookbooks"]
    assert book["looks"][0]["note"] == "Para la boda."
    assert book["looks"][0]["comments"][0]["words"] == "¿Y en lino?"
    assert link.token not in str(dossier.about)


# --- lookbooks ------------------------------------------------------------------------------------


def test_looks_keep_their_hearts_when_they_are_put_in_another_order() -> None:
    id, one, two = a_client(), finished_order(BOTH), finished_order()
    attach(id, one)
    attach(id, two)
    first, second = Chosen(one, "cruzado"), Chosen(two, "recto", "Mi favorito.")
    book = a_lookbook(id, first, second)
    link = share(book)
    with transaction() as session:
        lookbooks.set_heart(session, link.id, lookbooks.pages(session, book)[1].id, True)
        lookbooks.update(session, book, 2, "Invierno", [second, Chosen(one, "recto")])
    shown = pages(book)
    assert [(page.order.id, page.cut, page.hearts) for page in shown] == [
        (two, "recto", 1),
        (one, "recto", 0),
    ]
    assert shown[0].note == "Mi favorito."


def test_only_looks_of_the_client_come_into_the_lookbook() -> None:
    id, mine, other = a_client(), finished_order(), finished_order()
    attach(id, mine)
    for chosen in (
        [Chosen(other, "recto")],
        [Chosen(mine, "cruzado")],
        [Chosen(mine, "recto"), Chosen(mine, "recto")],
        [Chosen(mine, "recto", "x" * 401)],
    ):
        with pytest.raises(InvalidInput):
            a_lookbook(id, *chosen)


def test_a_second_stylist_does_not_undo_the_first_one_s_order() -> None:
    book = a_lookbook(a_client())
    with pytest.raises(EditedMeanwhile), transaction() as session:
        lookbooks.update(session, book, 1, "Otro", [])
    assert sql("SELECT title FROM lookbooks") == "Otoño"


def test_a_link_works_until_it_ends_or_is_revoked() -> None:
    book = a_lookbook(a_client())
    link = share(book)
    assert open_link(link.token).lookbook_id == book
    sql("UPDATE lookbook_shares SET expires_at = now()")
    with pytest.raises(NotFound):
        open_link(link.token)
    again = share(book)
    with transaction() as session:
        lookbooks.revoke(session, book, again.id)
    with pytest.raises(NotFound):
        open_link(again.token)


def test_no_other_token_opens_anything() -> None:
    book = a_lookbook(a_client())
    link, other = share(book), share(book)
    assert link.token != other.token
    forged = other.token[:21] + link.token[21:]
    for token in ("", "x", "ñ" * 48, link.token[:-1], link.token[:-4], str(link.id), forged):
        with pytest.raises(NotFound):
            open_link(token)


def test_a_token_made_with_another_secret_opens_nothing(setting: Any) -> None:
    link = share(a_lookbook(a_client()))
    setting(jwt_secret="another secret, long enough to be one of ours")
    with pytest.raises(NotFound):
        open_link(link.token)


def test_what_comes_back_is_bounded_and_of_this_lookbook_only() -> None:
    id, order = a_client(), finished_order(BOTH)
    attach(id, order)
    book = a_lookbook(id, Chosen(order, "recto"))
    elsewhere = a_lookbook(id, Chosen(order, "cruzado"))
    link, page, foreign = share(book), pages(book)[0].id, pages(elsewhere)[0].id
    with transaction() as session:
        for _ in range(2):
            lookbooks.set_heart(session, link.id, page, True)
        for _ in range(lookbooks.COMMENTS_MAX):
            lookbooks.comment(session, link.id, page, "Sí")
        assert lookbooks.hearts(session, link.id) == {page}
    for words, refusal in ((" ", InvalidInput), ("x" * 501, InvalidInput)):
        with pytest.raises(refusal), transaction() as session:
            lookbooks.comment(session, link.id, page, words)
    with pytest.raises(lookbooks.CommentsFull), transaction() as session:
        lookbooks.comment(session, link.id, page, "otro")
    with pytest.raises(NotFound), transaction() as session:
        lookbooks.set_heart(session, link.id, foreign, True)
    (shown,) = pages(book)
    assert (shown.hearts, len(shown.comments)) == (1, lookbooks.COMMENTS_MAX)
