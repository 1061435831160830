"""Tags of fabrics: how they are written, given to many at once and taken back, found and listed."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from models import tags
from models.errors import InvalidInput
from tests.console import Document, done, read
from tests.orders import sql

CATALOGUE = "/console/catalogue"


@pytest.fixture
def grey_and_blue(clean: None) -> Iterator[list[int]]:
    """Two fabrics, gone afterwards: the grey one is tagged "nuevo" already."""
    for name, tag in (("gris", "{nuevo}"), ("azul", "{}")):
        sql(
            "INSERT INTO fabrics (fabric_family_id, color_id, name, hex_value, tags)"
            " SELECT min(id), 'prueba-' || :name, :name, '#808080', CAST(:tag AS text[])"
            "   FROM fabric_families",
            name=name,
            tag=tag,
        )
    yield sql("SELECT array_agg(id ORDER BY id) FROM fabrics WHERE color_id LIKE 'prueba-%'")
    sql("DELETE FROM fabrics WHERE color_id LIKE 'prueba-%'")


def tags_of(ids: list[int]) -> list[list[str]]:
    return [sql("SELECT tags FROM fabrics WHERE id = :id", id=id) for id in ids]


def changed(browser: httpx.Client, ids: list[int], action: str, words: str = "") -> httpx.Response:
    form = {"ids": [str(id) for id in ids], "action": action, "tag": words}
    return browser.post(f"{CATALOGUE}/bulk", data=form)


def undone(browser: httpx.Client, report: httpx.Response) -> httpx.Response:
    forms = Document(report.text).all("form")
    (action,) = (form["action"] for form in forms if "/undo/" in form.get("action", ""))
    return browser.post(action)


# --- how they are written -------------------------------------------------------------------------


def test_tags_are_lower_case_with_their_accents_each_once_and_in_order() -> None:
    assert tags.read("  Otoño ,nuevo;NUEVO, fin  de\tserie,, ") == [
        "fin de serie",
        "nuevo",
        "otoño",
    ]
    assert tags.read("oton\u0303o") == ["otoño"]
    assert tags.read(" , ;") == []


@pytest.mark.parametrize(
    "words",
    [
        "x" * (tags.TAG_MAX_CHARACTERS + 1),
        ",".join(map(str, range(tags.TAGS_MOST + 1))),
        "nue\x00vo",
        "nue\u202evo",
    ],
)
def test_what_is_no_tag_is_refused(words: str) -> None:
    with pytest.raises(InvalidInput):
        tags.read(words)


def test_a_tag_as_it_is_stored_is_read_as_itself() -> None:
    for words in ("Straße", "İstanbul", "ﬁn", "ΟΔΟΣ", "e\u0301"):
        (tag,) = tags.read(words)
        assert tags.read(tag) == [tag]


# --- many at once ---------------------------------------------------------------------------------


def test_many_are_tagged_at_once_and_the_report_tells_of_each(
    browser: httpx.Client, grey_and_blue: list[int]
) -> None:
    answer = changed(browser, [*grey_and_blue, 999999999], "tag", "Nuevo")
    words = Document(answer.text).words
    assert "Poner etiquetas · cambiaron 1 de 3" in words
    assert "gris Ya estaba así azul Cambiada 999999999 Ya no existe" in words
    assert tags_of(grey_and_blue) == [["nuevo"], ["nuevo"]]
    changed(browser, grey_and_blue, "tag", "temporada, fin de serie")
    assert tags_of(grey_and_blue) == [["fin de serie", "nuevo", "temporada"]] * 2
    changed(browser, grey_and_blue, "untag", "NUEVO, otra")
    assert tags_of(grey_and_blue) == [["fin de serie", "temporada"]] * 2


def test_a_change_of_many_is_undone_for_those_that_it_changed(
    browser: httpx.Client, grey_and_blue: list[int]
) -> None:
    before = tags_of(grey_and_blue)
    report = changed(browser, grey_and_blue, "tag", "nuevo, temporada")
    assert done(undone(browser, report)) == "undone"
    assert tags_of(grey_and_blue) == before
    report = changed(browser, grey_and_blue[1:], "deactivate")
    undone(browser, report)
    assert sql("SELECT status FROM fabrics WHERE id = :id", id=grey_and_blue[1]) == "active"


def test_nothing_is_undone_that_somebody_has_changed_since(
    browser: httpx.Client, grey_and_blue: list[int]
) -> None:
    grey, blue = grey_and_blue
    report = changed(browser, grey_and_blue, "tag", "temporada")
    changed(browser, [blue], "tag", "lino")
    refused = undone(browser, report)
    assert refused.status_code == 409
    assert "«azul» cambió otra vez desde entonces." in Document(refused.text).words
    assert tags_of([grey, blue]) == [["nuevo", "temporada"], ["lino", "temporada"]]


def test_a_report_of_no_change_offers_no_undo(
    browser: httpx.Client, grey_and_blue: list[int]
) -> None:
    changed(browser, grey_and_blue, "tag", "nuevo")
    assert "/undo/" not in changed(browser, grey_and_blue, "tag", "nuevo").text


def test_where_one_would_have_too_many_none_is_tagged(
    browser: httpx.Client, grey_and_blue: list[int]
) -> None:
    grey, blue = grey_and_blue
    most = [f"{n:02d}" for n in range(tags.TAGS_MOST)]
    changed(browser, [grey], "untag", "nuevo")
    changed(browser, [grey], "tag", ",".join(most))
    refused = changed(browser, [blue, grey], "tag", "nuevo")
    assert refused.status_code == 422
    assert f"«gris» tendría más de {tags.TAGS_MOST} etiquetas." in Document(refused.text).words
    assert tags_of([grey, blue]) == [most, []]


def test_no_tag_and_a_bad_one_are_refused_in_the_reader_s_language(
    browser: httpx.Client, grey_and_blue: list[int]
) -> None:
    refused = changed(browser, grey_and_blue, "tag", " , ")
    assert refused.status_code == 422
    assert "Escribe al menos una etiqueta." in Document(refused.text).words
    browser.headers["Accept-Language"] = "en"
    refused = changed(browser, grey_and_blue, "tag", "x" * 31)
    assert "A tag has up to 30 letters." in Document(refused.text).words


def test_what_was_tagged_is_in_the_log_and_a_deleted_fabric_comes_back_with_its_tags(
    browser: httpx.Client, grey_and_blue: list[int]
) -> None:
    grey, _ = grey_and_blue
    changed(browser, [grey], "tag", "lino")
    entry: Any = sql("SELECT json_build_array(before, after) FROM audit ORDER BY id DESC LIMIT 1")
    assert entry == [{"tags": ["nuevo"]}, {"tags": ["lino", "nuevo"]}]
    undone(browser, changed(browser, [grey], "delete"))
    assert tags_of([grey]) == [["lino", "nuevo"]]


# --- one fabric -----------------------------------------------------------------------------------


def test_a_fabric_s_page_shows_its_tags_and_changes_them(
    browser: httpx.Client, grey_and_blue: list[int]
) -> None:
    grey, _ = grey_and_blue
    url = f"{CATALOGUE}/fabrics/{grey}"
    page = read(browser, url)
    assert page.value("tags") == "nuevo"
    names = ("color_id", "name", "hex_value", "seen")
    family = sql("SELECT fabric_family_id FROM fabrics WHERE id = :id", id=grey)
    form = {name: page.value(name) for name in names} | {"fabric_family_id": str(family)}
    refused = browser.post(url, data=form | {"tags": "x" * 40})
    assert refused.status_code == 422
    assert Document(refused.text).value("tags") == "x" * 40
    assert done(browser.post(url, data=form | {"tags": "Lino,  nuevo"})) == "fabric-save"
    assert tags_of([grey]) == [["lino", "nuevo"]]
    late = browser.post(url, data=form | {"tags": ""})
    assert late.status_code == 409
    assert tags_of([grey]) == [["lino", "nuevo"]]


def test_a_program_reads_and_writes_tags_and_finds_fabrics_by_one(
    owner: httpx.Client, grey_and_blue: list[int]
) -> None:
    _, blue = grey_and_blue
    url = f"/api/v1/fabrics/{blue}"
    found = owner.get(url)
    assert found.json()["tags"] == []
    if_match = {"If-Match": found.headers["etag"]}
    answer = owner.patch(url, json={"tags": ["Lino", "lino", " Año "]}, headers=if_match)
    assert answer.json()["tags"] == ["año", "lino"]
    assert owner.patch(url, json={"tags": []}, headers=if_match).status_code == 412
    if_match = {"If-Match": answer.headers["etag"]}
    refused = owner.patch(url, json={"tags": ["a,b"]}, headers=if_match)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/tags")
    ids = [row["id"] for row in owner.get("/api/v1/fabrics", params={"tag": "LINO"}).json()]
    assert ids == [blue]


# --- lists ----------------------------------------------------------------------------------------


def test_the_list_is_filtered_by_a_tag_and_exported_as_it_is_shown(
    browser: httpx.Client, grey_and_blue: list[int]
) -> None:
    changed(browser, grey_and_blue, "tag", "lino")
    page = read(browser, f"{CATALOGUE}?tag=nuevo")
    assert "Quitar filtros" in page.words
    assert [
        a["href"] for a in page.all("a") if "/fabrics/" in a["href"] and "new" not in a["href"]
    ] == [f"{CATALOGUE}/fabrics/{grey_and_blue[0]}"]
    content = browser.get(f"{CATALOGUE}/export.csv?tag=nuevo").content.decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(content))
    assert (row["color_id"], row["tags"]) == ("prueba-gris", "lino, nuevo")


def test_a_list_gives_tags_and_an_empty_cell_takes_them(
    browser: httpx.Client, grey_and_blue: list[int]
) -> None:
    rows = 'color_id,tags\nprueba-gris,\nprueba-azul,"Lino, nuevo"\n'
    plan = Document(browser.post(f"{CATALOGUE}/import", files={"file": ("l.csv", rows)}).text)
    assert "etiquetas: nuevo –" in plan.words
    assert "etiquetas: – lino, nuevo" in plan.words
    (action,) = (f["action"] for f in plan.all("form") if "/import/" in f.get("action", ""))
    browser.post(action, data={"digest": plan.value("digest")}).raise_for_status()
    assert tags_of(grey_and_blue) == [[], ["lino", "nuevo"]]


def test_a_list_with_a_bad_tag_says_in_which_row(
    browser: httpx.Client, grey_and_blue: list[int]
) -> None:
    rows = f"color_id,tags\nprueba-gris,{'x' * 40}\n"
    plan = Document(browser.post(f"{CATALOGUE}/import", files={"file": ("l.csv", rows)}).text)
    assert "No es válido: etiquetas." in plan.words


def test_the_sales_floor_offers_tags_that_tell_cloths_apart(
    client: httpx.Client, grey_and_blue: list[int]
) -> None:
    html = client.get("/").text
    assert 'name="tag" value="nuevo"' in html
    assert html.count('data-tags="nuevo"') == 1
    sql("UPDATE fabrics SET tags = '{}' WHERE id = ANY(:ids)", ids=grey_and_blue)
    assert 'name="tag"' not in client.get("/").text
