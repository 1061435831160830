"""Undo of deletions in the catalogue, and what is done to many orders at once."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.console import Document, done, read
from tests.orders import place, sql

CATALOGUE, ORDERS = "/console/catalogue", "/console/orders"
# Copies of what the log tells of these fabrics, an hour apart; the first one's id.
RESTORED = """
WITH restored AS (
    INSERT INTO audit (at, actor, action, subject_kind, subject_id, subject_name, before, after)
    SELECT at - (row_number() OVER (ORDER BY id DESC)) * interval '1 hour',
           actor, action, subject_kind, subject_id, subject_name, before, after
      FROM audit WHERE action = 'update' AND subject_id = ANY(:ids) ORDER BY id
    RETURNING id)
SELECT min(id) FROM restored
"""


@pytest.fixture
def stylist(as_role: Callable[[str], httpx.Client]) -> httpx.Client:
    """The browser of somebody who orders, and deletes nothing."""
    return as_role("stylist")


@pytest.fixture
def family(clean: None) -> Iterator[int]:
    """A family of two fabrics, gone afterwards whatever became of it."""
    id: int = sql(
        "INSERT INTO fabric_families (family_id, display_name, sort)"
        " VALUES ('prueba', 'Prueba', 7) RETURNING id"
    )
    for name in ("gris", "azul"):
        sql(
            "INSERT INTO fabrics (fabric_family_id, color_id, name, hex_value, swatch_width_mm)"
            " VALUES (:id, 'prueba-' || :name, :name, '#808080', 96.5)",
            id=id,
            name=name,
        )
    yield id
    sql("DELETE FROM fabrics WHERE color_id LIKE 'prueba-%'")
    sql("DELETE FROM fabric_families WHERE family_id = 'prueba'")


def fabrics_of(id: int) -> list[Any]:
    found: list[Any] = sql(
        "SELECT coalesce(json_agg(json_build_array(id, color_id, name, swatch_width_mm)"
        " ORDER BY id), '[]') FROM fabrics WHERE fabric_family_id = :id",
        id=id,
    )
    return found


def undo(browser: httpx.Client, answer: httpx.Response) -> httpx.Response:
    """Press the button of the page that follows."""
    page = Document(browser.get(answer.headers["location"]).text)
    (action,) = (form["action"] for form in page.all("form") if "/undo/" in form.get("action", ""))
    return browser.post(action)


def test_a_deleted_fabric_comes_back_as_it_was(browser: httpx.Client, family: int) -> None:
    before = fabrics_of(family)
    answer = browser.post(f"{CATALOGUE}/fabrics/{before[0][0]}/delete")
    assert done(answer) == "fabric-delete"
    assert fabrics_of(family) == before[1:]
    assert done(undo(browser, answer)) == "undone"
    assert fabrics_of(family) == before


def test_a_deleted_family_comes_back_with_its_fabrics(browser: httpx.Client, family: int) -> None:
    before = fabrics_of(family)
    answer = browser.post(f"{CATALOGUE}/families/{family}/delete")
    assert sql("SELECT count(*) FROM fabric_families WHERE family_id = 'prueba'") == 0
    assert done(undo(browser, answer)) == "undone"
    assert sql("SELECT sort FROM fabric_families WHERE id = :id", id=family) == 7
    assert fabrics_of(family) == before


def test_fabrics_deleted_together_come_back_together(browser: httpx.Client, family: int) -> None:
    before = fabrics_of(family)
    form = {"ids": [str(row[0]) for row in before] + ["999999999"], "action": "delete"}
    page = Document(browser.post(f"{CATALOGUE}/bulk", data=form).text)
    assert "cambiaron 2 de 3" in page.words
    assert fabrics_of(family) == []
    (action,) = (form["action"] for form in page.all("form") if "/undo/" in form.get("action", ""))
    assert done(browser.post(action)) == "undone"
    assert fabrics_of(family) == before
    assert browser.post(action).status_code == 409  # it is back already


def test_what_another_took_the_place_of_does_not_come_back(
    browser: httpx.Client, family: int
) -> None:
    id, color_id, *_ = fabrics_of(family)[0]
    answer = browser.post(f"{CATALOGUE}/fabrics/{id}/delete")
    form = {
        "color_id": color_id,
        "name": "Otra",
        "hex_value": "#111111",
        "fabric_family_id": str(family),
    }
    assert done(browser.post(f"{CATALOGUE}/fabrics", data=form)) == "fabric-save"
    assert undo(browser, answer).status_code == 409
    assert [row[2] for row in fabrics_of(family)] == ["azul", "Otra"]


def test_only_deletions_and_changes_in_the_catalogue_can_be_undone(
    browser: httpx.Client, family: int
) -> None:
    form = {
        "color_id": "prueba-otra",
        "name": "Otra",
        "hex_value": "#111111",
        "fabric_family_id": str(family),
    }
    assert done(browser.post(f"{CATALOGUE}/fabrics", data=form)) == "fabric-save"
    made = sql("SELECT max(id) FROM audit WHERE action = 'create' AND subject_kind = 'fabric'")
    assert made is not None
    for entry in (made, 999999999):
        assert browser.post(f"{CATALOGUE}/undo/{entry}").status_code == 404


def test_changes_that_a_backup_brought_back_together_are_still_undone_one_by_one(
    browser: httpx.Client, family: int
) -> None:
    ids = [row[0] for row in fabrics_of(family)]
    for id in ids:
        browser.post(f"{CATALOGUE}/bulk", data={"ids": [str(id)], "action": "deactivate"})
    first: int = sql(RESTORED, ids=[str(id) for id in ids])
    assert done(browser.post(f"{CATALOGUE}/undo/{first}")) == "undone"
    statuses_of = "SELECT array_agg(status ORDER BY id) FROM fabrics WHERE fabric_family_id = :id"
    assert sql(statuses_of, id=family) == ["active", "inactive"]


# --- many orders ----------------------------------------------------------------------------------


def statuses() -> list[str]:
    found: list[str] = sql("SELECT array_agg(status ORDER BY id) FROM jobs") or []
    return found


def settle(id: UUID, status: str = "failed") -> None:
    sql(
        "UPDATE jobs SET status = :status, error_code = 'engine-failed', settled_at = now()"
        " WHERE generation_id = :id",
        id=id,
        status=status,
    )


def test_ticked_orders_are_placed_again_and_the_report_says_which_were_not(
    browser: httpx.Client,
) -> None:
    failed, waiting = place(), place()
    settle(failed)
    gone = UUID(int=1)
    form = {"action": "retry", "ids": [str(failed), str(waiting), str(gone)]}
    page = Document(browser.post(f"{ORDERS}/bulk", data=form).text)
    assert "Se pidieron otra vez 1 de 3" in page.words
    assert "El pedido todavía no termina." in page.words
    assert f"{gone} No existe ese pedido." in page.words
    assert statuses() == ["failed", "pending", "pending"]


def test_everything_that_matches_the_filter_is_canceled_and_nothing_else(
    browser: httpx.Client,
) -> None:
    color_ids = [sql(f"SELECT {one}(color_id) FROM fabrics") for one in ("min", "max")]
    for color_id in (*color_ids, color_ids[0]):
        place(color_id=color_id)
    form = {"action": "cancel", "which": "all", "q": color_ids[0], "status": "pending"}
    page = Document(browser.post(f"{ORDERS}/bulk", data=form).text)
    assert "Se cancelaron 2 de 2" in page.words
    assert statuses() == ["canceled", "pending", "canceled"]


def test_only_who_may_delete_deletes_many(browser: httpx.Client, stylist: httpx.Client) -> None:
    id = place()
    form = {"action": "delete", "ids": [str(id)]}
    assert stylist.post(f"{ORDERS}/bulk", data=form).status_code == 403
    assert statuses() == ["pending"]
    assert "Se borraron 1 de 1" in Document(browser.post(f"{ORDERS}/bulk", data=form).text).words
    assert statuses() == []
    assert "Sí, borrar" not in read(stylist, f"{ORDERS}?view=table").words


def test_nothing_ticked_is_refused_in_words(browser: httpx.Client) -> None:
    answer = browser.post(f"{ORDERS}/bulk", data={"action": "cancel"})
    assert answer.status_code == 422
    assert "Elige al menos un pedido" in Document(answer.text).words
