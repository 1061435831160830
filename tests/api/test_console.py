"""The console's pages: what each shows, what its forms do, and who sees them."""

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy.exc import DBAPIError

from api.auth import EVERYTHING
from api.pages import bundle, charts, console, spoken
from models import generations, queue
from models.database import transaction
from tests.console import PASSWORD, Document, done, read, signed_in
from tests.orders import claim, place, sql
from tests.wire import a_photo

PAGES = (
    "/console/orders",
    "/console/orders?view=table&status=failed",
    "/console/orders/statistics",
    "/console/catalogue",
    "/console/catalogue/fabrics/new",
    "/console/catalogue/families",
    "/console/catalogue/families/new",
    "/console/catalogue/import",
    "/console/catalogue/looks",
    "/console/operations",
    "/console/people",
    "/console/people/audit",
    "/console/account",
)
TEMPLATES = {
    path.name: path.read_text()
    for path in (Path(console.__file__).parent / "templates" / "console").glob("*.html")
}
MODULES = {
    name: (bundle.CONSOLE_FOLDER / name).read_text() for name in bundle.CONSOLE_BUNDLE.modules()
}
SOURCES = "\n".join(path.read_text() for path in Path(console.__file__).parent.glob("*.py"))


@pytest.fixture
def fabric(clean: None) -> Iterator[int]:
    """A fabric of the first family, gone afterwards whatever became of it."""
    id = sql(
        "INSERT INTO fabrics (fabric_family_id, color_id, name, hex_value, swatch_width_mm)"
        " SELECT min(id), 'prueba-gris', 'Gris de prueba', '#808080', 96.470588235 "
        " FROM fabric_families RETURNING id"
    )
    yield id
    sql("DELETE FROM fabrics WHERE color_id LIKE 'prueba-%'")


def of(id: int | UUID, column: str, table: str = "fabrics") -> Any:
    return sql(f"SELECT {column} FROM {table} WHERE id = :id", id=id)


def last_audit() -> tuple[str, str, str]:
    """(actor, action, subject) of the newest entry."""
    columns = "actor || ' ' || action || ' ' || subject_kind"
    actor, action, kind = sql(f"SELECT {columns} FROM audit ORDER BY id DESC LIMIT 1").split(" ")
    return actor, action, kind


def failed_order(**order: Any) -> UUID:
    id = place(**order)
    sql(
        "UPDATE jobs SET status = 'failed', error_code = 'engine-failed', settled_at = now()"
        " WHERE generation_id = :id",
        id=id,
    )
    return id


# --- the frame ------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", PAGES)
def test_every_page_is_one_heading_in_spanish_and_holds_nothing_inline(
    browser: httpx.Client, url: str
) -> None:
    page = read(browser, url)
    assert page.all("html")[0]["lang"] == "es-MX"
    assert len(page.all("h1")) == 1
    assert all(script.get("src") for script in page.all("script"))
    names = {name for _, attributes in page.elements for name in attributes}
    assert not page.all("style")
    assert "style" not in names
    assert not {name for name in names if name.startswith("on")}
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("url", PAGES)
def test_every_field_of_every_page_has_a_name_that_is_read_out(
    browser: httpx.Client, url: str
) -> None:
    html = browser.get(url).text
    labelled = re.sub(r"<label.*?</label>", "", html, flags=re.DOTALL)
    for tag, attributes in Document(labelled).elements:
        if tag in ("select", "textarea") or (tag == "input" and attributes["type"] != "hidden"):
            assert "aria-label" in attributes or attributes.get("aria-hidden") == "true", attributes


def pages_of(page: Document) -> set[str]:
    """Where its links lead, but to files."""
    return {a["href"] for a in page.all("a") if "download" not in a}


def test_every_page_is_reached_from_the_navigation(browser: httpx.Client) -> None:
    start = browser.get("/console", follow_redirects=True)
    seen, ahead = {"/console"}, pages_of(Document(start.text))
    while ahead:
        url = ahead.pop().split("#")[0]
        if url.startswith("/console") and url.split("?")[0] not in seen:
            seen.add(url.split("?")[0])
            ahead |= pages_of(read(browser, url))
    assert {url.split("?")[0] for url in PAGES} <= seen


@pytest.mark.parametrize(
    ("role", "sees"),
    [
        ("viewer", {"catalogue"}),
        ("ops", {"catalogue", "operations"}),
        ("stylist", {"orders", "clients", "catalogue"}),
        ("merchandiser", {"orders", "catalogue", "operations"}),
    ],
)
def test_each_role_sees_only_its_pages(
    as_role: Callable[[str], httpx.Client], role: str, sees: set[str]
) -> None:
    browser = as_role(role)
    page = read(browser, "/console/account")
    for key, _, url in console.NAV:
        assert (url in {a["href"] for a in page.all("a")}) == (key in sees)
        assert browser.get(url).status_code == (200 if key in sees else 403)


def test_a_viewer_is_offered_nothing_to_change(as_role: Callable[[str], httpx.Client]) -> None:
    page = read(as_role("viewer"), "/console/catalogue")
    assert "/console/catalogue/fabrics/new" not in {a["href"] for a in page.all("a")}
    assert {f["action"] for f in page.all("form") if f.get("method") == "post"} <= {
        "/console/sign-out",
        "/console/catalogue/bulk",
    }
    assert not page.all("fieldset")


def test_a_refusal_is_a_page_of_words(browser: httpx.Client) -> None:
    assert "Aquí no hay nada" in read(browser, "/console/nada", 404).words
    assert "No existe ese pedido" in read(browser, f"/console/orders/{UUID(int=1)}", 404).words
    assert read(browser, "/console/orders?status=roto", 422).all("h1")


def test_files_of_the_console_are_served_and_weigh_little(browser: httpx.Client) -> None:
    page = read(browser, "/console/operations")
    links = {a.get("href") or a.get("src", "") for _, a in page.elements}
    ours = {url.split("#")[0] for url in links if url.startswith("/static/")}
    sizes = {url: len(browser.get(url).content) for url in ours if not url.endswith("woff2")}
    assert any(url.endswith("console.js") for url in sizes)
    assert sum(sizes.values()) < 60_000
    present = {p.name for p in bundle.CONSOLE_FOLDER.iterdir()}
    assert present <= {url.rsplit("/")[-1] for url in ours} | {"icons.svg"}


# --- operations -----------------------------------------------------------------------------------


def test_an_engine_is_paused_and_resumed_and_the_log_says_by_whom(browser: httpx.Client) -> None:
    assert done(browser.post("/console/operations/engines/drape/pause")) == "engine-pause"
    assert sql("SELECT mode FROM engine_modes") == "paused"
    assert "En pausa" in read(browser, "/console/operations").words
    actor, action, kind = last_audit()
    assert (action, kind) == ("pause", "engine")
    assert actor.startswith("user:")
    assert done(browser.post("/console/operations/engines/drape/resume")) == "engine-resume"
    assert sql("SELECT count(*) FROM engine_modes") == 0


def test_an_engine_that_is_none_cannot_be_paused(browser: httpx.Client) -> None:
    assert browser.post("/console/operations/engines/vapor/pause").status_code == 404
    assert sql("SELECT count(*) FROM engine_modes") == 0


def test_the_queue_is_told_alike_to_people_and_programs(
    browser: httpx.Client, owner: httpx.Client
) -> None:
    place(("recto", "cruzado"))
    claim("taller-uno")
    sql("INSERT INTO workers (name, engines, version, device) VALUES ('a', '{drape}', '1', 'cpu')")
    body = owner.get("/api/v1/ops/queue").json()
    engine = next(found for found in body["engines"] if found["engine"] == "drape")
    assert (engine["pending"], engine["processing"], engine["workers_online"]) == (1, 1, 1)
    assert engine["mode"] == "running"
    words = read(browser, "/console/operations").words
    assert "En espera 1 Espera más larga" in words
    assert "En proceso 1 Talleres en línea 1" in words


def test_no_worker_online_is_said_first(browser: httpx.Client) -> None:
    assert "Ningún taller en línea" in read(browser, "/console/operations").words


def test_a_worker_is_asked_to_stop(browser: httpx.Client, owner: httpx.Client) -> None:
    sql("INSERT INTO workers (name, engines, version, device) VALUES ('a', '{drape}', '1', 'cpu')")
    assert done(browser.post("/console/operations/workers/a/drain")) == "worker-drain"
    assert owner.get("/api/v1/ops/workers").json()[0]["draining"] is True


def test_a_bulk_order_is_placed_paused_resumed_and_canceled(
    browser: httpx.Client, owner: httpx.Client
) -> None:
    form = {"families": "seda-lux", "cuts": ["recto"], "quality": "preview"}
    assert done(browser.post("/console/operations/bulks", data=form)) == "bulk-place"
    (bulk,) = owner.get("/api/v1/bulks").json()
    fabrics = sql(
        "SELECT count(*) FROM fabrics f JOIN fabric_families y ON y.id = f.fabric_family_id"
        " WHERE y.family_id = 'seda-lux' AND f.status = 'active'"
    )
    assert bulk["jobs"] == {"pending": fabrics}
    at = f"/console/operations/bulks/{bulk['id']}"
    assert done(browser.post(f"{at}/pause")) == "bulk-pause"
    assert owner.get(f"/api/v1/bulks/{bulk['id']}").json()["paused"] is True
    assert f"y {fabrics} en pausa" in read(browser, "/console/operations").words
    assert done(browser.post(f"{at}/resume")) == "bulk-resume"
    assert done(browser.post(f"{at}/cancel")) == "bulk-cancel"
    assert owner.get(f"/api/v1/bulks/{bulk['id']}").json()["jobs"] == {"canceled": fabrics}


def test_a_bulk_order_of_nothing_orders_nothing(browser: httpx.Client, owner: httpx.Client) -> None:
    assert browser.post("/console/operations/bulks", data={"cuts": ["recto"]}).status_code == 422
    assert browser.post("/console/operations/bulks", data={"families": "x"}).status_code == 422
    assert owner.post("/api/v1/bulks", json={"cuts": []}).status_code == 422
    assert sql("SELECT count(*) FROM bulks") == 0


# --- orders ---------------------------------------------------------------------------------------


def test_orders_are_listed_newest_first_and_filtered(browser: httpx.Client) -> None:
    older, newer = place(), failed_order(cuts=("cruzado",))

    def listed(query: str) -> list[str]:
        links = [a["href"] for a in read(browser, f"/console/orders?view=table{query}").all("a")]
        return [found for found in map(_order_id, links) if found]

    assert listed("") == [str(newer), str(older)]
    assert listed("&status=failed") == [str(newer)]
    assert listed("&q=no-hay-tal-tela") == []
    assert listed("&family=seda-lux") == []
    assert listed(f"&since={date.today() + timedelta(days=2)}") == []
    name = of(newer, "fabric_name", "generations").upper()
    assert listed(f"&q={name}") == [str(newer), str(older)]


def _order_id(url: str) -> str | None:
    found = re.fullmatch(r"/console/orders/([0-9a-f-]{36})", url)
    return found[1] if found else None


def test_a_long_list_is_read_in_pages(browser: httpx.Client) -> None:
    ids = [str(place()) for _ in range(25)]
    first = read(browser, "/console/orders")
    following = next(a["href"] for a in first.all("a") if a.get("rel") == "next")
    second = read(browser, following)
    shown = [_order_id(a["href"]) for page in (first, second) for a in page.all("a")]
    assert [id for id in shown if id] == ids[::-1]


def test_an_order_shows_its_pictures_its_story_and_its_recipe(
    browser: httpx.Client, work: Callable[[], int]
) -> None:
    id = place(("recto", "cruzado"), noise_seed=42)
    assert work() == 2
    page = read(browser, f"/console/orders/{id}")
    pictures = [a for a in page.all("img") if "/files/renders/" in a["src"]]
    assert len(pictures) == 2
    assert all(a["alt"].startswith("Traje de corte") for a in pictures)
    assert browser.get(pictures[0]["src"]).headers["content-type"].startswith("image/")
    for word in ("Tomado", "Listo", "test-worker", "42", "look_version", "fingerprint"):
        assert word in page.words


def test_the_story_tells_every_attempt_and_why_it_ended(browser: httpx.Client) -> None:
    id = place()
    with transaction() as session:
        held = queue.claim(session, queue.Claimant("taller-uno", ["drape"], 15.0))
        assert held is not None
        queue.retry(session, held, "storage-error", "No se pudo guardar.")
    words = read(browser, f"/console/orders/{id}").words
    assert "Falló; se intentará otra vez" in words
    assert "storage-error No se pudo guardar." in words
    assert "taller-uno" in words


def test_a_failed_order_is_placed_again_as_a_new_one(browser: httpx.Client) -> None:
    old = failed_order(noise_seed=7)
    answer = browser.post(f"/console/orders/{old}/retry")
    assert done(answer) == "order-retry"
    new = UUID(answer.headers["location"].split("?")[0].rsplit("/")[-1])
    assert new != old
    assert of(new, "noise_seed", "generations") == 7
    assert of(new, "owner", "generations").startswith("user:")
    assert last_audit()[1:] == ("again", "order")


def test_an_order_is_canceled_once(browser: httpx.Client) -> None:
    id = place()
    assert done(browser.post(f"/console/orders/{id}/cancel")) == "order-cancel"
    again = browser.post(f"/console/orders/{id}/cancel")
    assert again.status_code == 409
    assert "ya terminó" in again.text
    assert browser.post(f"/console/orders/{place()}/retry").status_code == 409


def test_a_deleted_order_is_gone_with_its_pictures(
    browser: httpx.Client, work: Callable[[], int]
) -> None:
    id = place()
    work()
    with transaction() as session:
        image = generations.read(session, id).best[0].image
    assert image is not None
    url = read(browser, f"/console/orders/{id}").all("img")[0]["src"]
    assert browser.get(url).status_code == 200
    assert done(browser.post(f"/console/orders/{id}/delete")) == "order-delete"
    assert browser.get(url).status_code == 404
    assert read(browser, f"/console/orders/{id}", 404)
    assert last_audit()[1:] == ("delete", "order")


def test_a_stylist_may_order_again_but_not_delete(as_role: Callable[[str], httpx.Client]) -> None:
    id = failed_order()
    stylist = as_role("stylist")
    assert stylist.post(f"/console/orders/{id}/delete").status_code == 403
    assert done(stylist.post(f"/console/orders/{id}/retry")) == "order-retry"


def test_statistics_count_orders_by_day_and_family(browser: httpx.Client) -> None:
    place()
    failed_order()
    sql("UPDATE generations SET created_at = created_at - interval '40 days'")
    failed_order()
    page = read(browser, "/console/orders/statistics?days=30")
    assert "Pedidos 1 Listos 0 0 % Fallidos 1 100.0 %" in page.words
    assert len([a for a in page.all("rect") if a.get("class") == "chart-failed"]) == 1
    assert "Pedidos 3 " in read(browser, "/console/orders/statistics?days=90").words


def test_bars_stand_on_the_base_and_the_tallest_reaches_its_value() -> None:
    day = date(2026, 1, 30)
    chart = charts.day_chart([(day, 10, 4), (day + timedelta(1), 0, 0), (day + timedelta(2), 5, 5)])
    assert [bar.y + bar.height for bar in chart.bars] == [chart.base] * 3
    assert [bar.height for bar in chart.bars] == [200.0, 0.0, 100.0]
    assert chart.bars[0].failed_height == pytest.approx(80.0)
    assert [line.value for line in chart.lines] == [0, 5, 10]
    assert chart.bars[-1].label == "1 feb"


@pytest.mark.parametrize(("most", "top"), [(0, 2), (2, 2), (3, 4), (5, 10), (11, 20), (101, 200)])
def test_the_top_of_a_chart_is_round_and_even(most: int, top: int) -> None:
    assert charts.round_top(most) == top


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),
        (0.0481, "48 ms"),
        (3.21, "3.2 s"),
        (48, "48 s"),
        (250, "4 min"),
        (7500, "2 h 5 min"),
        (200_000, "2 d"),
    ],
)
def test_durations_are_said_as_people_say_them(seconds: float | None, words: str) -> None:
    assert spoken.duration(seconds) == words


# --- catalogue ------------------------------------------------------------------------------------


def edit(browser: httpx.Client, id: int, **changes: str) -> httpx.Response:
    """Open the fabric's form, change some fields, send it."""
    page = read(browser, f"/console/catalogue/fabrics/{id}")
    names = ("seen", "name", "swatch_code", "color_id", "hex_value", "swatch_width_mm")
    facts = ("mill", "composition", "weight_g_m2")
    form = {name: page.value(name) for name in (*names, *facts)}
    form |= {"fabric_family_id": str(of(id, "fabric_family_id")), "status": of(id, "status")}
    form |= {"pattern": of(id, "pattern") or ""}
    return browser.post(f"/console/catalogue/fabrics/{id}", data=form | changes)


def test_a_fabric_is_found_by_a_part_of_its_name_code_or_id(
    browser: httpx.Client, fabric: int
) -> None:
    link = f"/console/catalogue/fabrics/{fabric}"
    for query, found in (("q=de+PRUEBA", True), ("q=prueba-g", True), ("q=nada-así", False)):
        links = {a["href"] for a in read(browser, f"/console/catalogue?{query}").all("a")}
        assert (link in links) == found
    inactive = read(browser, "/console/catalogue?q=prueba-gris&status=inactive")
    assert link not in {a["href"] for a in inactive.all("a")}


def test_editing_a_fabric_changes_what_was_typed_and_nothing_else(
    browser: httpx.Client, fabric: int
) -> None:
    assert done(edit(browser, fabric, name="Gris Perla Dos", hex_value="#a1b2c3")) == "fabric-save"
    assert of(fabric, "name") == "Gris Perla Dos"
    assert of(fabric, "hex_value") == "#A1B2C3"
    assert of(fabric, "swatch_width_mm") == 96.470588235  # shown rounded, kept exact
    entry = sql("SELECT before || after FROM audit ORDER BY id DESC LIMIT 1")
    assert entry == {"name": "Gris Perla Dos", "hex_value": "#A1B2C3"}
    assert sql("SELECT before->>'name' FROM audit ORDER BY id DESC LIMIT 1") == "Gris de prueba"


def test_two_editors_do_not_overwrite_each_other_unknowingly(
    browser: httpx.Client, fabric: int
) -> None:
    seen = read(browser, f"/console/catalogue/fabrics/{fabric}").value("seen")
    assert done(edit(browser, fabric, name="La primera")) == "fabric-save"
    answer = edit(browser, fabric, name="La segunda", seen=seen)
    assert answer.status_code == 409
    assert of(fabric, "name") == "La primera"
    page = Document(answer.text)
    assert "Alguien más guardó cambios" in page.words
    assert page.value("name") == "La segunda"  # what was typed is not lost
    assert done(edit(browser, fabric, name="La segunda", seen=page.value("seen"))) == "fabric-save"


def test_what_is_known_of_a_cloth_is_edited_and_forgotten(
    browser: httpx.Client, fabric: int
) -> None:
    facts = {"mill": " Santa Lana ", "composition": "100 % lana", "weight_g_m2": "270"}
    assert done(edit(browser, fabric, **facts, pattern="check")) == "fabric-save"
    page = read(browser, f"/console/catalogue/fabrics/{fabric}")
    shown = [page.value(name) for name in ("mill", "composition", "weight_g_m2")]
    assert shown == ["Santa Lana", "100 % lana", "270"]
    chosen = [a["value"] for a in page.all("option") if "selected" in a]
    assert "check" in chosen
    assert done(edit(browser, fabric, mill="", pattern="", weight_g_m2="")) == "fabric-save"
    assert (of(fabric, "mill"), of(fabric, "pattern"), of(fabric, "weight_g_m2")) == (None,) * 3
    assert of(fabric, "composition") == "100 % lana"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("weight_g_m2", "mucho", "gramos por m²"),
        ("weight_g_m2", "0", "gramos por m²"),
        ("mill", "dos\nrenglones", "en una línea"),
        ("composition", "x" * 201, "hasta 200 letras"),
        ("name", "  ", "Falta el nombre"),
        ("hex_value", "rojo", "El color se escribe como"),
        ("color_id", "con acentó", "letras sin acento"),
        ("swatch_width_mm", "0", "en milímetros"),
        ("swatch_width_mm", "nan", "en milímetros"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_saved(
    browser: httpx.Client, fabric: int, field: str, value: str, words: str
) -> None:
    before = sql("SELECT f::text FROM fabrics f WHERE id = :id", id=fabric)
    answer = edit(browser, fabric, **{field: value})
    assert answer.status_code == 422
    assert words in Document(answer.text).words
    assert (
        next(a for a in Document(answer.text).all("input") if a.get("aria-invalid") == "true")[
            "name"
        ]
        == field
    )
    assert sql("SELECT f::text FROM fabrics f WHERE id = :id", id=fabric) == before


def test_a_new_fabric_with_a_photo_can_be_ordered(browser: httpx.Client, fabric: int) -> None:
    form = {
        "name": "Con foto",
        "color_id": "prueba-foto",
        "hex_value": "#335577",
        "status": "active",
        "fabric_family_id": str(of(fabric, "fabric_family_id")),
        "swatch_width_mm": "120,5",
    }
    file = {"file": ("tela.png", a_photo(), "image/png")}
    assert done(browser.post("/console/catalogue/fabrics", data=form, files=file)) == "fabric-save"
    id = sql("SELECT id FROM fabrics WHERE color_id = 'prueba-foto'")
    assert (of(id, "swatch_kind"), of(id, "swatch_width_mm")) == ("photo", 120.5)
    swatch = f"/files/{of(id, 'swatch_key')}"
    assert browser.get(swatch).headers["content-type"] == "image/jpeg"
    order = {"color_id": "prueba-foto", "cuts": ["recto"]}
    assert browser.post("/api/v1/generations", json=order).status_code == 202


def test_a_file_that_is_no_photo_is_refused_and_the_swatch_stays(
    browser: httpx.Client, fabric: int
) -> None:
    form = {"name": "x", "color_id": "prueba-gris", "hex_value": "#335577"}
    form |= {"fabric_family_id": str(of(fabric, "fabric_family_id"))}
    file = {"file": ("tela.png", b"no soy una foto", "image/png")}
    url = f"/console/catalogue/fabrics/{fabric}"
    answer = browser.post(url, data=form, files=file)
    assert answer.status_code == 422
    assert "No pudimos abrir la foto" in answer.text
    assert of(fabric, "swatch_key") is None


def test_a_taken_color_id_is_refused(browser: httpx.Client, fabric: int) -> None:
    taken = sql("SELECT color_id FROM fabrics WHERE id <> :id LIMIT 1", id=fabric)
    answer = edit(browser, fabric, color_id=taken)
    assert answer.status_code == 409
    assert of(fabric, "color_id") == "prueba-gris"


def test_many_fabrics_change_at_once_with_a_report_of_each(
    browser: httpx.Client, fabric: int
) -> None:
    form = {"ids": [str(fabric), "999999999"], "action": "deactivate"}
    answer = browser.post("/console/catalogue/bulk", data=form)
    assert answer.status_code == 200
    words = Document(answer.text).words
    assert "cambiaron 1 de 2" in words
    assert "Gris de prueba Cambiada" in words
    assert "999999999 Ya no existe" in words
    assert of(fabric, "status") == "inactive"
    again = Document(browser.post("/console/catalogue/bulk", data=form).text).words
    assert "Gris de prueba Ya estaba así" in again


def test_fabrics_are_moved_together_or_not_at_all(browser: httpx.Client, fabric: int) -> None:
    to = sql("SELECT max(id) FROM fabric_families")
    form = {"ids": str(fabric), "action": "move", "to_family": "999999999"}
    assert browser.post("/console/catalogue/bulk", data=form).status_code == 404
    assert of(fabric, "fabric_family_id") != to
    answer = browser.post("/console/catalogue/bulk", data=form | {"to_family": str(to)})
    assert answer.status_code == 200
    assert of(fabric, "fabric_family_id") == to
    assert browser.post("/console/catalogue/bulk", data={"action": "activate"}).status_code == 422


def test_a_deleted_fabric_is_gone_and_the_log_keeps_what_it_was(
    browser: httpx.Client, fabric: int
) -> None:
    url = f"/console/catalogue/fabrics/{fabric}/delete"
    assert done(browser.post(url)) == "fabric-delete"
    assert sql("SELECT count(*) FROM fabrics WHERE id = :id", id=fabric) == 0
    assert last_audit()[1:] == ("delete", "fabric")
    assert sql("SELECT before->>'color_id' FROM audit ORDER BY id DESC LIMIT 1") == "prueba-gris"


def test_a_family_is_made_changed_and_deleted(browser: httpx.Client) -> None:
    form = {"family_id": "prueba", "display_name": "Prueba", "sort": "9", "status": "inactive"}
    assert done(browser.post("/console/catalogue/families", data=form)) == "family-save"
    id = sql("SELECT id FROM fabric_families WHERE family_id = 'prueba'")
    assert browser.post("/console/catalogue/families", data=form).status_code == 409
    url = f"/console/catalogue/families/{id}"
    seen = read(browser, url).value("seen")
    change = form | {"display_name": "Otra", "seen": seen}
    assert done(browser.post(url, data=change)) == "family-save"
    assert browser.post(url, data=change).status_code == 409  # seen is old by now
    assert of(id, "display_name", "fabric_families") == "Otra"
    assert done(browser.post(f"{url}/delete")) == "family-delete"


def test_names_are_text_and_never_markup(browser: httpx.Client, fabric: int) -> None:
    hostile = "\"><script>alert('tela')</script>"
    assert done(edit(browser, fabric, name=hostile)) == "fabric-save"
    for url in (f"/console/catalogue/fabrics/{fabric}", "/console/catalogue?q=prueba-gris"):
        assert hostile not in browser.get(url).text
        assert hostile in read(browser, url).words


# --- people ---------------------------------------------------------------------------------------


@pytest.fixture
def stylist(as_role: Callable[[str], httpx.Client]) -> httpx.Client:
    return as_role("stylist")


def id_of(username: str) -> int:
    found: int = sql("SELECT id FROM users WHERE username = :u", u=username)
    return found


def test_an_account_is_made_and_given_another_role(
    browser: httpx.Client, stylist: httpx.Client
) -> None:
    form = {"username": "prueba-nueva", "password": PASSWORD, "role": "viewer"}
    assert done(browser.post("/console/people", data=form)) == "person-add"
    assert browser.post("/console/people", data=form).status_code == 409
    short = browser.post("/console/people", data=form | {"username": "b", "password": "corta"})
    assert short.status_code == 422
    url = f"/console/people/{id_of('prueba-stylist')}"
    assert stylist.get("/console/orders").status_code == 200
    assert done(browser.post(url, data={"role": "viewer", "active": "yes"})) == "person-save"
    assert stylist.get("/console/orders").status_code == 403


def test_the_last_owner_can_neither_leave_nor_be_switched_off(browser: httpx.Client) -> None:
    url = f"/console/people/{id_of('owner')}"
    for change in ({"role": "viewer", "active": "yes"}, {"role": "owner", "active": "no"}):
        answer = browser.post(url, data=change)
        assert answer.status_code == 409
        assert "al menos una cuenta activa de dueño" in answer.text
    assert browser.get("/console/people").status_code == 200


def test_who_is_switched_off_is_signed_out(browser: httpx.Client, stylist: httpx.Client) -> None:
    url = f"/console/people/{id_of('prueba-stylist')}"
    assert done(browser.post(url, data={"role": "stylist", "active": "no"})) == "person-save"
    assert stylist.get("/console/account").status_code == 303


def test_a_new_password_ends_the_other_sessions(stylist: httpx.Client, base_url: str) -> None:
    with signed_in(base_url, "prueba-stylist", PASSWORD) as other:
        form = {"current": "no es ésa", "password": "otra clave muy larga"}
        assert stylist.post("/console/account/password", data=form).status_code == 422
        form["current"] = PASSWORD
        assert done(stylist.post("/console/account/password", data=form)) == "password-save"
        assert other.get("/console/account").status_code == 303
    assert stylist.get("/console/account").status_code == 200


def test_one_s_own_sessions_can_be_ended_and_nobody_else_s(
    browser: httpx.Client, stylist: httpx.Client
) -> None:
    owners = sql("SELECT id FROM sessions WHERE user_id = :id", id=id_of("owner"))
    assert stylist.post(f"/console/account/sessions/{owners}/revoke").status_code == 404
    assert browser.get("/console/account").status_code == 200
    own = sql("SELECT id FROM sessions WHERE user_id = :id", id=id_of("prueba-stylist"))
    url = f"/console/people/{id_of('prueba-stylist')}/sessions/{own}/revoke"
    assert done(browser.post(url)) == "session-revoke"
    assert stylist.get("/console/account").status_code == 303


def test_a_token_is_shown_once_works_and_can_be_revoked(
    stylist: httpx.Client, client: httpx.Client
) -> None:
    form = {"name": "caja", "days": "30", "scopes": ["orders:read"]}
    answer = stylist.post("/console/account/tokens", data=form)
    (token,) = re.findall(r"estilista_[\w-]{32}", answer.text)
    assert answer.headers["cache-control"] == "private, no-store"
    assert token not in stylist.get("/console/account").text
    headers = {"Authorization": f"Bearer {token}"}
    assert read(stylist, "/console/account").words.count("Sin usar") == 1
    assert client.get("/admin/generations", headers=headers).status_code == 200
    assert client.get("/admin/colors", headers=headers).status_code == 403
    words = read(stylist, "/console/account").words
    assert "caja Ver los pedidos" in words
    assert "Sin usar" not in words
    id = sql("SELECT max(id) FROM api_tokens")
    assert done(stylist.post(f"/console/account/tokens/{id}/revoke")) == "token-revoke"
    assert client.get("/admin/generations", headers=headers).status_code == 401


@pytest.mark.parametrize("scopes", [[], ["people:manage"], ["orders:read", "x"]])
def test_nobody_makes_a_token_of_nothing_or_of_more_than_the_own_account_may(
    stylist: httpx.Client, scopes: list[str]
) -> None:
    before = sql("SELECT count(*) FROM api_tokens")
    answer = stylist.post("/console/account/tokens", data={"name": "caja", "scopes": scopes})
    assert answer.status_code == 422
    assert "Elige lo que el token puede hacer." in Document(answer.text).words
    assert sql("SELECT count(*) FROM api_tokens") == before


def test_a_token_cannot_make_itself_another_that_may_more(
    stylist: httpx.Client, client: httpx.Client
) -> None:
    form = {"name": "caja", "scopes": ["catalogue:read"]}
    answer = stylist.post("/console/account/tokens", data=form)
    (token,) = re.findall(r"estilista_[\w-]{32}", answer.text)
    headers = {"Authorization": f"Bearer {token}"}
    assert client.get("/console/catalogue", headers=headers).status_code == 200
    assert client.get("/console/account", headers=headers).status_code == 403
    more = {"name": "más", "scopes": ["catalogue:read"]}
    assert client.post("/console/account/tokens", data=more, headers=headers).status_code == 403


def test_every_permission_has_its_words_and_the_matrix_tells_every_role(
    browser: httpx.Client,
) -> None:
    assert set(console.STRINGS["permission"]) == EVERYTHING
    page = read(browser, "/console/people")
    assert "Ver el catálogo sí sí sí sí sí" in page.words
    assert "Llevar las cuentas sí – – – –" in page.words


def test_the_log_tells_who_changed_what_and_no_secret(
    browser: httpx.Client, stylist: httpx.Client
) -> None:
    form = {"name": "caja", "scopes": ["orders:read", "orders:place"]}
    stylist.post("/console/account/tokens", data=form)
    words = read(browser, "/console/people/audit?kind=token").words
    assert "Alta de token caja prueba-stylist" in words
    assert "•••" in words
    hashes = sql("SELECT string_agg(token_sha256, '|') FROM api_tokens")
    logged = sql("SELECT string_agg(concat(before, after), ' ') FROM audit")
    assert not re.search(f"{hashes}|argon2", logged)


def test_changes_through_the_json_api_are_in_the_log_as_well(
    owner: httpx.Client, fabric: int
) -> None:
    answer = owner.patch(f"/admin/colors/{fabric}", json={"name": "Por la API"})
    assert answer.status_code == 200
    assert last_audit() == (f"user:{id_of('owner')}", "update", "fabric")
    refused = owner.patch(f"/admin/colors/{fabric}", json={"fabric_family_id": 999999999})
    assert refused.status_code == 404
    assert sql("SELECT after->>'name' FROM audit ORDER BY id DESC LIMIT 1") == "Por la API"


def test_an_order_deleted_through_the_json_api_is_in_the_log_as_well(owner: httpx.Client) -> None:
    assert owner.delete(f"/admin/generations/{place()}").status_code == 204
    assert last_audit() == (f"user:{id_of('owner')}", "delete", "order")


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'x'", "DELETE FROM audit"])
def test_the_log_is_never_rewritten(browser: httpx.Client, statement: str) -> None:
    browser.post("/console/operations/engines/drape/pause")
    with pytest.raises(DBAPIError, match="never changed"):
        sql(statement)


# --- sentences ------------------------------------------------------------------------------------


def _keys(branch: dict[str, Any], before: str = "") -> Iterator[str]:
    for name, value in branch.items():
        if isinstance(value, dict):
            yield from _keys(value, f"{before}{name}.")
        else:
            yield f"{before}{name}"


def _is_used(key: str, sources: str) -> bool:
    """By its own name, or as one of a group that is looked up by a value: t.status[name]."""
    group, _, name = key.rpartition(".")
    if re.search(rf"\bt\.{re.escape(key)}\b", sources) or f'"{name}"' in SOURCES:
        return True
    if f'STRINGS["{group}"]' in SOURCES:
        return True
    return bool(group and re.search(rf"\bt\.{re.escape(group)}(\[|\.get\(|\.items| \|)", sources))


def test_no_sentence_is_left_that_nothing_says() -> None:
    sources = "\n".join(TEMPLATES.values())
    keys = set(_keys(console.STRINGS.of["es"]))
    assert len(keys) > 200
    unused = {key for key in keys if not _is_used(key, sources)}
    by_verb = ("said.engine-", "said.bulk-")  # back(PAGE, f"engine-{verb}")
    assert {key for key in unused if not key.startswith(by_verb)} == set()


def test_every_sentence_that_a_template_says_is_there() -> None:
    sentences = console.STRINGS.of["es"]
    keys = set(_keys(sentences)) | set(sentences)
    keys |= {key.rpartition(".")[0] for key in keys}
    for name, template in TEMPLATES.items():
        said = re.findall(
            r"\bt\.((?:[a-z_]+\.)*[a-z_]+)", re.sub(r"\.(format|get|items)\b", " ", template)
        )
        assert {key for key in said if key not in keys} == set(), name


def test_templates_and_modules_hold_no_sentences_of_their_own() -> None:
    for name, template in TEMPLATES.items():
        bare = re.sub(r"{#.*?#}|{%.*?%}|{{.*?}}", "", template, flags=re.DOTALL)
        words = set(re.findall(r"[^\W\d_]{2,}", Document(bare).words))
        assert words <= {"mm", "fingerprint", "ΔE", "door"}, name
    for name, source in MODULES.items():
        literals = re.findall(r'"([^"\n]*)"', re.sub(r"//.*", "", source))
        assert not [text for text in literals if re.search(r"[áéíóúñ¿¡]", text)], name
