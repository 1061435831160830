"""The audit log as it is read: fields and values in words, in the language of who reads it."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpx

from api.pages.changes import Change, changes
from api.pages.console import STRINGS
from models import audit
from models.audit import AUDITED, HIDDEN, UNTOLD
from models.database import transaction
from models.tables import metadata
from tests.console import Document, read
from tests.orders import sql

AT = "/console/people/audit"
SPANISH, ENGLISH = STRINGS.of["es"], STRINGS.of["en"]
# What `audit.record` is given beside the columns of rows.
RECORDED = {
    *("mode", "color_ids", "cuts", "quality", "paused", "jobs", "order", "owner"),
    *("fields", "name", "phone", "note", "looks", "share", "days", "orders", "objects"),
}


def told(kind: str, before: Any, after: Any, **names: Callable[[Any], str]) -> dict[str, Change]:
    entry = SimpleNamespace(subject_kind=kind, before=before, after=after)
    return {change.field: change for change in changes(entry, names)}


def test_every_field_that_may_be_in_the_log_has_words_in_both_languages() -> None:
    columns = {
        column.key
        for name in AUDITED
        for column in metadata.tables[name].columns
        if column.key not in UNTOLD
    }
    assert {"hex_value", "role", "scopes", "pack_version"} <= columns
    for language in (SPANISH, ENGLISH):
        assert columns | RECORDED == language["field"].keys()


def test_values_are_told_in_words() -> None:
    found = told(
        "fabric",
        {"status": "active", "pattern": None, "fabric_family_id": 1, "hex_value": "#1A2B3C"},
        {"status": "inactive", "pattern": "check", "fabric_family_id": 2, "hex_value": "#FFFFFF"},
        fabric_family_id=lambda id: f"Familia {id}",
    )
    sides = {field: (change.before.text, change.after.text) for field, change in found.items()}
    assert sides == {
        "Estado": ("Activa", "Inactiva"),
        "Dibujo": ("–", "Cuadros"),
        "Familia": ("Familia 1", "Familia 2"),
        "Color de referencia": ("#1A2B3C", "#FFFFFF"),
    }
    assert found["Color de referencia"].after.hex == "#FFFFFF"
    assert found["Estado"].after.hex is None


def test_lists_counts_truths_and_moments_are_told_in_words() -> None:
    found = told(
        "token",
        None,
        {
            "scopes": ["orders:read", "orders:place"],
            "active": False,
            "jobs": {"completed": 3, "failed": 1},
            "expires_at": "2026-11-21T20:00:00+00:00",
        },
    )
    assert found["Lo que puede"].after.text == "Ver los pedidos, Pedir y cancelar"
    assert found["Encendida"].after.text == "no"
    assert found["Trabajos"].after.text == "Listo: 3 · Falló: 1"
    assert found["Vence"].after.at is not None


def test_what_is_the_same_or_empty_is_left_out_and_a_new_password_is_not() -> None:
    same = {"name": "a", "mill": None, "tags": ["x"]}
    assert told("fabric", same, same) == told("fabric", None, {"mill": None, "tags": []}) == {}
    secret = {"password_hash": HIDDEN}
    assert told("user", secret, secret).keys() == {"Contraseña"}


def test_what_machines_read_comes_last_and_what_nobody_knows_stays_as_it_is() -> None:
    found = told("fabric", None, {"swatch_key": "a/b.jpg", "status": "asleep", "thread": "silk"})
    assert [change.field for change in found.values()] == ["Estado", "thread", SWATCH_FILE]
    assert [change.of_machines for change in found.values()] == [False, False, True]
    assert found["Estado"].after.text == "asleep"


SWATCH_FILE = SPANISH["field"]["swatch_key"]


def test_the_page_shows_a_change_as_old_and_new_in_the_readers_language(
    browser: httpx.Client,
) -> None:
    family = sql("SELECT id FROM fabric_families ORDER BY id LIMIT 1")
    name = sql("SELECT display_name FROM fabric_families WHERE id = :id", id=family)
    before = {"hex_value": "#102030", "status": "active", "fabric_family_id": 0}
    after = {"hex_value": "#405060", "status": "inactive", "fabric_family_id": family}
    with transaction() as session:
        audit.record(session, "update", ("fabric", "1"), "Gris", before, after)
    spanish = read(browser, AT)
    assert f"Estado Activa Inactiva Familia 0 {name}" in spanish.words
    assert {"#102030", "#405060"} <= {rect.get("fill") for rect in spanish.all("rect")}
    assert _first_is_open(spanish)
    browser.headers["Accept-Language"] = "en"
    english = read(browser, AT).words
    assert "Changed: cloth Gris" in english
    assert f"Bunch 0 {name} Reference colour #102030 #405060 Status Active Inactive" in english


def test_of_what_is_new_one_side_is_shown(browser: httpx.Client) -> None:
    with transaction() as session:
        audit.record(session, "create", ("user", "1"), "ana", after={"role": "ops"})
    page = read(browser, AT)
    assert "Dato Valor Papel Operación" in page.words
    assert not _first_is_open(page)


def _first_is_open(page: Document) -> bool:
    return "open" in next(found for found in page.all("details") if found["class"] == "unfold")
