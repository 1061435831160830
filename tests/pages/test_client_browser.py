"""The client book in a real browser, Debian's Chromium: from an order to a lookbook on somebody's
phone, and to nothing left."""

import re
from collections.abc import Callable
from uuid import UUID

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from models.storage import storage
from tests.browsing import PHONE, SMALL_TARGETS, TOO_WIDE_PX, UPRIGHT, sign_in
from tests.orders import BOTH, place, sql
from tests.pictures import finished_order, stored


@pytest.fixture
def stylist(opened: Callable[..., Page]) -> Page:
    """Signed in, on the book's first page."""
    return sign_in(opened(viewport=UPRIGHT), "/clients")


def write_down(page: Page, name: str = "Sofía Núñez") -> str:
    """Somebody new; returns the address of their page."""
    page.goto("/clients/new")
    page.get_by_label("Nombre", exact=True).fill(name)
    page.get_by_label("Teléfono", exact=True).fill("55 1234 5678")
    page.get_by_label("Está de acuerdo").check()
    page.get_by_role("button", name="Guardar en el libro").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    return re.sub(r"\?.*", "", page.url)


def keep(page: Page, client: str, *orders: UUID) -> None:
    """Into their book, by tapping the pictures."""
    page.goto(f"{client}/looks")
    for order in orders:
        page.locator(f"label:has(input[value='{order}'])").click()
    page.get_by_role("button", name="Agregar los elegidos").click()
    expect(page.get_by_role("status")).to_have_text("Guardado en su libro.")


def a_lookbook(page: Page, client: str, title: str = "Para la boda") -> str:
    """With every look of the client; returns its address."""
    page.goto(client)
    page.get_by_label("Título", exact=True).fill(title)
    page.get_by_role("button", name="Empezar").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    puts = page.get_by_role("button", name=re.compile("^Poner "))
    for left in range(puts.count() - 1, -1, -1):
        puts.first.click()
        expect(puts).to_have_count(left)
    return re.sub(r"[?#].*", "", page.url)


def share(page: Page, lookbook: str) -> str:
    page.goto(lookbook)
    page.get_by_role("button", name="Crear un enlace").click()
    return page.locator("[data-link]").input_value()


def cuts() -> list[str]:
    return list(sql("SELECT array_agg(cut ORDER BY place) FROM lookbook_pages"))


def forget_pictures() -> None:
    for key in stored("renders/"):
        storage().delete(key)


def test_from_an_order_to_a_lookbook_on_their_phone_and_to_nothing_left(
    stylist: Page, opened: Callable[..., Page], work: Callable[[], int]
) -> None:
    forget_pictures()
    order = place(BOTH)
    assert work() == 2
    client = write_down(stylist)
    keep(stylist, client, order)
    lookbook = a_lookbook(stylist, client)
    stylist.get_by_label("Nota para el cliente").first.fill("Ligero, para el jardín.")
    stylist.get_by_role("button", name="Guardar el lookbook").click()
    expect(stylist.get_by_role("status")).to_have_text("El lookbook se guardó.")
    url = share(stylist, lookbook)

    phone = opened(viewport=PHONE)
    phone.goto(url)
    expect(phone.get_by_role("heading", level=1)).to_have_text("Para la boda")
    expect(phone.get_by_text("Ligero, para el jardín.")).to_be_visible()
    for picture in phone.get_by_role("img").all():
        picture.scroll_into_view_if_needed()
        phone.wait_for_function("(e) => e.naturalWidth > 0", arg=picture.element_handle())
    phone.get_by_role("button", name=re.compile("^Me gusta")).first.click()
    expect(phone.get_by_role("button", pressed=True)).to_have_count(1)
    phone.get_by_text("Escribir un comentario").first.click()
    phone.get_by_role("textbox").first.fill("¿Con botón de nácar?")
    phone.get_by_role("button", name="Enviar").first.click()
    expect(phone.get_by_text("¿Con botón de nácar?")).to_be_visible()

    stylist.goto(lookbook)
    expect(stylist.get_by_text("Le gusta a una persona")).to_have_count(1)
    expect(stylist.get_by_text("¿Con botón de nácar?")).to_be_visible()
    stylist.goto(client)
    stylist.get_by_text("Borrar al cliente", exact=True).click()
    assert sql("SELECT count(*) FROM clients") == 1
    stylist.get_by_role("button", name="Sí, borrar todo").click()
    expect(stylist.get_by_role("status")).to_have_text("El cliente y todo lo suyo se borraron.")
    assert stored("renders/") == set()
    assert sql("SELECT count(*) FROM generations") == 0
    assert phone.request.get(url).status == 404


def test_an_order_is_kept_for_somebody_found_as_one_types(stylist: Page) -> None:
    order = finished_order()
    write_down(stylist, "Beatriz Cárdenas")
    write_down(stylist)
    stylist.goto(f"/clients?look={order}")
    expect(stylist.locator(".person")).to_have_count(2)
    stylist.get_by_role("searchbox").type("nunez")
    expect(stylist.locator(".person")).to_have_count(1)
    stylist.get_by_role("button", name="Guardar el traje en el libro de Sofía Núñez").click()
    expect(stylist.get_by_role("status")).to_have_text("Guardado en su libro.")
    back = stylist.get_by_role("link", name="Volver al traje")
    expect(back).to_have_attribute("href", f"/?orden={order}")
    expect(stylist.get_by_role("heading", level=1)).to_have_text("Sofía Núñez")


def test_whoever_is_not_found_is_written_down_with_the_look_they_came_for(stylist: Page) -> None:
    order = finished_order()
    stylist.goto(f"/clients?look={order}")
    stylist.get_by_role("searchbox").type("Luis Ávila")
    expect(stylist.get_by_text("Nadie con ese nombre")).to_be_visible()
    stylist.get_by_role("link", name="Nuevo cliente").click()
    expect(stylist.get_by_label("Nombre", exact=True)).to_have_value("Luis Ávila")
    stylist.get_by_label("Está de acuerdo").check()
    stylist.get_by_role("button", name="Guardar en el libro").click()
    expect(stylist.get_by_role("heading", level=1)).to_have_text("Luis Ávila")
    assert sql("SELECT generation_id FROM client_looks") == order


def test_looks_are_put_in_order_by_dragging_and_notes_are_kept(stylist: Page) -> None:
    client = write_down(stylist)
    keep(stylist, client, finished_order(BOTH))
    a_lookbook(stylist, client)
    assert cuts() == ["recto", "cruzado"]
    stylist.get_by_label("Nota para el cliente").last.fill("Para la noche.")
    first, last = (stylist.locator("[data-handle]").nth(n) for n in (0, 1))
    last.scroll_into_view_if_needed()
    start, end = last.bounding_box(), first.bounding_box()
    assert start
    assert end
    stylist.mouse.move(start["x"] + 40, start["y"] + 40)
    stylist.mouse.down()
    stylist.mouse.move(end["x"] + 40, end["y"] + 60, steps=8)
    stylist.mouse.up()
    expect(stylist.get_by_role("status")).to_have_text("El lookbook se guardó.")
    assert cuts() == ["cruzado", "recto"]
    expect(stylist.get_by_label("Nota para el cliente").first).to_have_value("Para la noche.")


def test_looks_are_put_in_order_by_keyboard(stylist: Page) -> None:
    client = write_down(stylist)
    keep(stylist, client, finished_order(BOTH))
    a_lookbook(stylist, client)
    stylist.get_by_role("button", name=re.compile("^Bajar ")).first.press("Enter")
    expect(stylist.get_by_role("status")).to_have_text("El lookbook se guardó.")
    assert cuts() == ["cruzado", "recto"]


def test_enter_in_a_field_saves_and_presses_no_other_button(stylist: Page) -> None:
    client = write_down(stylist)
    keep(stylist, client, finished_order(BOTH))
    a_lookbook(stylist, client)
    stylist.get_by_label("Título", exact=True).fill("Otro título")
    stylist.get_by_label("Título", exact=True).press("Enter")
    expect(stylist.get_by_role("heading", level=1)).to_have_text("Otro título")
    assert cuts() == ["recto", "cruzado"]


def test_everything_works_without_javascript(opened: Callable[..., Page]) -> None:
    page = sign_in(opened(viewport=UPRIGHT, java_script_enabled=False), "/clients")
    client = write_down(page)
    keep(page, client, finished_order(BOTH))
    lookbook = a_lookbook(page, client)
    page.get_by_role("button", name=re.compile("^Subir ")).last.click()
    assert cuts() == ["cruzado", "recto"]
    page.goto(share(page, lookbook))
    page.get_by_role("button", name=re.compile("^Me gusta")).first.click()
    expect(page.get_by_role("button", pressed=True)).to_have_count(1)


@pytest.mark.parametrize("looks", [1, 3, 7])
def test_a_lookbook_prints_on_one_page(stylist: Page, looks: int) -> None:
    client = write_down(stylist)
    keep(stylist, client, *(finished_order() for _ in range(looks)))
    lookbook = a_lookbook(stylist, client, "Un título bastante largo para la boda de junio")
    sql("UPDATE lookbook_pages SET note = repeat('Ligero, para el jardín. ', 6)")
    share(stylist, lookbook)
    stylist.goto(f"{lookbook}/print")
    pdf = stylist.pdf(prefer_css_page_size=True, print_background=True)
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
    stylist.emulate_media(media="print")
    hidden = """() => [...document.querySelectorAll(".a4-look")].filter((e) => {
      const page = document.querySelector(".a4").getBoundingClientRect();
      const words = e.querySelector(".a4-words").getBoundingClientRect();
      return words.bottom > page.bottom || e.querySelector("img").clientHeight < 60;
    }).length"""
    assert stylist.evaluate(hidden) == 0


def test_every_page_fits_the_screen_and_every_target_a_finger(stylist: Page) -> None:
    client = write_down(stylist, "Ignacio Maximiliano Fernández de Córdoba y Villaseñor")
    order = finished_order(BOTH)
    keep(stylist, client, order)
    finished_order()
    lookbook = a_lookbook(stylist, client)
    url = share(stylist, lookbook)
    stylist.goto(url)
    stylist.get_by_role("button", name=re.compile("^Me gusta")).first.click()
    pages = ("/clients", f"/clients?look={order}", "/clients/new", client, f"{client}/looks")
    for viewport in (UPRIGHT, PHONE, ViewportSize(width=320, height=640)):
        stylist.set_viewport_size(viewport)
        for path in (*pages, lookbook, f"{lookbook}/print", url):
            stylist.goto(path)
            assert stylist.evaluate(TOO_WIDE_PX) <= 0, (path, viewport)
            assert stylist.evaluate(SMALL_TARGETS) == [], (path, viewport)
