"""The console in a real browser, Debian's Chromium: what only a browser shows."""

from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.browsing import PHONE, SMALL_TARGETS, TABLET, TOO_WIDE_PX, sign_in
from tests.orders import place, sql

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


@pytest.fixture
def page(opened: Callable[..., Page]) -> Page:
    """Signed in as the owner on a tablet."""
    return sign_in(opened())


@pytest.fixture
def fabric(clean: None) -> Iterator[int]:
    id = sql(
        "INSERT INTO fabrics (fabric_family_id, color_id, name, hex_value)"
        " SELECT min(id), 'prueba-gris', 'Gris de prueba', '#808080' FROM fabric_families"
        " RETURNING id"
    )
    yield id
    sql("DELETE FROM fabrics WHERE color_id = 'prueba-gris'")


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
        assert page.evaluate(TOO_WIDE_PX) <= 0, name
        assert page.evaluate(SMALL_TARGETS) == [], name


def test_a_form_works_without_javascript(opened: Callable[..., Page]) -> None:
    page = sign_in(opened(java_script_enabled=False))
    page.goto("/console/operations")
    page.get_by_role("button", name="Pausar Drapeado").click()
    expect(page.locator("[data-engine=drape]")).to_contain_text("En pausa")
