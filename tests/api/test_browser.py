"""The console in a real browser, Debian's Chromium: what only a browser shows."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.conftest import OWNER_PASSWORD
from tests.orders import place, sql

TABLET, PHONE = ViewportSize(width=1180, height=820), ViewportSize(width=390, height=844)
SMALLEST_TARGET_PX = 43.5  # 44, less what a fractional layout rounds away
PAGES = (
    "orders",
    "orders?view=table",
    "orders/statistics",
    "catalogue",
    "catalogue/families",
    "catalogue/fabrics/new",
    "catalogue/import",
    "catalogue/looks",
    "operations",
    "people",
    "people/audit",
    "account",
)
SMALL_TARGETS = """
() => [...document.querySelectorAll("a, button, input, select, summary")]
  .map((e) => (["checkbox", "radio"].includes(e.type) ? e.closest("label") : e))
  .filter((e) => e.offsetParent && !e.matches(".skip, .unseen"))
  .filter((e) => { const r = e.getBoundingClientRect();
                   return r.height < SMALLEST || r.width < SMALLEST; })
  .map((e) => e.outerHTML.slice(0, 120))
""".replace("SMALLEST", str(SMALLEST_TARGET_PX))


@pytest.fixture
def page(chromium: Browser, base_url: str, clean: None) -> Iterator[Page]:
    """Signed in as the owner on a tablet; whatever the browser complains of fails the test."""
    context = chromium.new_context(base_url=base_url, viewport=TABLET, locale="es-MX")
    complaints: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    sign_in(page)
    yield page
    context.close()
    assert complaints == []


@pytest.fixture
def fabric(clean: None) -> Iterator[int]:
    id = sql(
        "INSERT INTO fabrics (fabric_family_id, color_id, name, hex_value)"
        " SELECT min(id), 'prueba-gris', 'Gris de prueba', '#808080' FROM fabric_families"
        " RETURNING id"
    )
    yield id
    sql("DELETE FROM fabrics WHERE color_id = 'prueba-gris'")


def sign_in(page: Page) -> None:
    page.goto("/console")
    page.get_by_label("Usuario").fill("owner")
    page.get_by_label("Contraseña").fill(OWNER_PASSWORD)
    page.get_by_role("button", name="Entrar").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Pedidos")


def test_signing_out_closes_the_door(page: Page) -> None:
    page.get_by_role("button", name="Salir").click()
    expect(page.get_by_role("status")).to_have_text("Saliste de la consola.")
    page.goto("/console/orders")
    expect(page.get_by_role("heading", level=1)).to_have_text("Entrar")


def test_a_fabric_is_edited_by_keyboard(page: Page, fabric: int) -> None:
    page.goto("/console/catalogue?q=prueba-gris")
    page.get_by_role("link", name="Gris de prueba").focus()
    page.keyboard.press("Enter")
    name = page.get_by_label("Nombre")
    name.press("Control+a")
    name.type("Gris niebla")
    name.press("Enter")
    expect(page.get_by_role("status")).to_have_text("La tela se guardó.")
    expect(page.get_by_role("heading", level=1)).to_have_text("Gris niebla")


def test_all_boxes_are_ticked_at_once_and_changed_together(page: Page, fabric: int) -> None:
    page.goto("/console/catalogue?q=prueba-gris")
    page.get_by_label("Elegir todas").check()
    expect(page.get_by_label("Elegir Gris de prueba")).to_be_checked()
    page.get_by_role("button", name="Desactivar").click()
    expect(page.get_by_role("row", name="Gris de prueba")).to_contain_text("Cambiada")


def test_an_engine_is_paused_and_resumed(page: Page) -> None:
    page.goto("/console/operations")
    row = page.locator("[data-engine=drape]")
    page.get_by_role("button", name="Pausar Drapeado").click()
    expect(row).to_contain_text("En pausa")
    page.get_by_role("button", name="Reanudar Drapeado").click()
    expect(row).to_contain_text("En marcha")


def test_the_page_keeps_itself_fresh_until_it_is_paused(page: Page) -> None:
    page.clock.install()
    page.goto("/console/operations")
    pending = page.locator("#now dd").first
    expect(pending).to_have_text("0")
    place()
    page.clock.run_for(6_000)
    expect(pending).to_have_text("1")
    page.get_by_role("button", name="Pausar la actualización").click()
    place()
    with page.expect_response("**/console/operations") as refreshed:
        page.clock.run_for(20_000)
        page.get_by_role("button", name="Seguir actualizando").click()
        page.clock.run_for(6_000)
    assert refreshed.value.ok
    expect(pending).to_have_text("2")


def test_a_failed_order_is_placed_again(page: Page) -> None:
    id: UUID = place(noise_seed=11)
    sql("UPDATE jobs SET status='failed', error_code='engine-failed', settled_at=now()")
    page.goto(f"/console/orders/{id}")
    page.get_by_role("button", name="Pedir otra vez").click()
    expect(page.locator(".said")).to_have_text("Pedido otra vez; éste es el nuevo.")
    expect(page.locator(".order-status")).to_contain_text("En espera")
    assert str(id) not in page.url


def test_deleting_asks_first(page: Page) -> None:
    id = place()
    page.goto(f"/console/orders/{id}")
    page.get_by_text("Borrar", exact=True).click()
    assert sql("SELECT count(*) FROM generations") == 1
    page.get_by_role("button", name="Sí, borrar").click()
    expect(page.locator(".said")).to_contain_text("se borraron")
    assert sql("SELECT count(*) FROM generations") == 0


@pytest.mark.parametrize("viewport", [TABLET, PHONE], ids=["tablet", "phone"])
def test_every_page_fits_the_screen_and_every_target_a_finger(
    page: Page, viewport: ViewportSize
) -> None:
    place()
    page.set_viewport_size(viewport)
    for name in PAGES:
        page.goto(f"/console/{name}")
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, name
        assert page.evaluate(SMALL_TARGETS) == [], name


def test_a_form_works_without_javascript(chromium: Browser, base_url: str, clean: None) -> None:
    context = chromium.new_context(base_url=base_url, java_script_enabled=False, locale="es-MX")
    page = context.new_page()
    sign_in(page)
    page.goto("/console/operations")
    page.get_by_role("button", name="Pausar Drapeado").click()
    expect(page.locator("[data-engine=drape]")).to_contain_text("En pausa")
    context.close()
