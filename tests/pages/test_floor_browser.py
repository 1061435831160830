"""The sales floor and the gallery in Debian's Chromium: what only a browser shows."""

import re
from collections.abc import Callable, Iterator
from typing import Literal
from uuid import UUID

import pytest
from playwright.sync_api import Locator, Page, ViewportSize, expect

from models import previews, queue
from models.storage import storage
from tests.axe import issues
from tests.browsing import DESKTOP, PHONE, SMALL_TARGETS, TABLET, TOO_WIDE_PX, UPRIGHT
from tests.conftest import OWNER_PASSWORD
from tests.orders import BOTH, claim, place, sql
from tests.pictures import finish
from tests.wire import a_photo

CUT_OFF = """
() => [...document.querySelectorAll("button, label, summary, legend, p, h1, h2, output, .chip")]
  .filter((e) => e.offsetParent && !e.matches(".unseen, .mark"))
  .filter((e) => e.scrollWidth > e.clientWidth + 1)
  .map((e) => e.outerHTML.slice(0, 120))
"""
SCALE = "surface => surface.firstElementChild.getBoundingClientRect().width"
LAID_OUT = re.compile("width: .*translate")
TAPS_AT_MOST = 20


def tap_twice(surface: Locator) -> None:
    """Until the picture is larger: on a busy machine the two taps may be too far apart, and one tap
    alone does nothing to a picture that fits."""
    fit = surface.evaluate(SCALE)
    for _ in range(TAPS_AT_MOST):
        surface.dblclick(position={"x": 100, "y": 200})
        if surface.evaluate(SCALE) > fit * 1.5:
            return
    pytest.fail("two taps do not bring the picture closer")


@pytest.fixture
def page(opened: Callable[..., Page]) -> Page:
    """The sales floor on a tablet."""
    page = opened()
    page.goto("/")
    return page


@pytest.fixture
def made(clean: None, work: Callable[[], int]) -> None:
    """Three pictures in the gallery."""
    place(BOTH, noise_seed=1)
    place(noise_seed=2)
    work()


def cloth(page: Page, name: str) -> Locator:
    return page.get_by_role("option", name=re.compile(name)).locator("visible=true").first


def order(page: Page, work: Callable[[], int], tap: Locator) -> None:
    """Tap something that places an order, and let it be made."""
    with page.expect_response(lambda answer: answer.request.method == "POST") as placed:
        tap.click()
    assert placed.value.status == 202
    work()
    expect(page.locator(".suit-picture")).to_have_count(1)


# --- choosing -------------------------------------------------------------------------------------


def test_two_taps_show_a_suit_and_a_reload_shows_it_again(
    page: Page, work: Callable[[], int]
) -> None:
    cloth(page, "Azul Medianoche").click()
    order(page, work, page.get_by_role("button", name="Ver el traje"))
    expect(page.locator(".suit-caption")).to_contain_text("Azul Medianoche")
    expect(page.locator(".truth-green")).to_contain_text("Color fiel ΔE")
    page.reload()
    expect(page.locator(".suit-caption")).to_contain_text("Azul Medianoche")
    expect(cloth(page, "Azul Medianoche")).to_have_attribute("aria-selected", "true")


def test_the_same_look_in_another_cloth_or_cut_is_one_tap(
    page: Page, work: Callable[[], int]
) -> None:
    cloth(page, "Azul Medianoche").click()
    order(page, work, page.get_by_role("button", name="Ver el traje"))
    order(page, work, cloth(page, "Gris Perla"))
    expect(page.locator(".suit-caption")).to_contain_text("Gris Perla")
    both = r"/gallery/compare\?image=[\w-]{36}&image=[\w-]{36}"
    compare = page.get_by_role("link", name="Comparar con el anterior")
    expect(compare).to_have_attribute("href", re.compile(both))
    order(page, work, page.locator(".cut").nth(1))
    expect(page.locator(".suit-caption")).to_contain_text("cruzado")


def test_a_cloth_is_found_as_one_types_without_accents(page: Page) -> None:
    field = page.get_by_role("searchbox")
    found = page.locator("#found [role=option]")
    field.press_sequentially("principe de g")
    expect(page.locator("#found-count")).to_have_text("3 telas")
    expect(found.first).to_contain_text("Príncipe de Gales")
    field.fill("ln-0103")
    expect(found).to_have_count(1)
    expect(found).to_contain_text("Gris Carbón")
    field.fill("cachemir lc-01")
    expect(found.first).to_contain_text("LC-01")
    field.fill("nada de eso")
    expect(page.locator("#found-count")).to_contain_text("Ninguna tela")


def test_what_was_found_is_reached_and_chosen_by_keyboard(page: Page) -> None:
    field = page.get_by_role("searchbox")
    field.fill("espiga")
    found = page.locator("#found [role=option]")
    expect(found.nth(2)).to_be_visible()
    field.press("ArrowDown")
    expect(found.first).to_be_focused()
    found.first.press("ArrowRight")
    expect(found.nth(1)).to_be_focused()
    found.nth(1).press("Enter")
    expect(found.nth(1)).to_have_attribute("aria-selected", "true")
    field.press("Escape")
    expect(field).to_have_value("")
    expect(page.locator("#panel-found")).to_be_hidden()


def test_facets_narrow_what_was_found_and_the_address_keeps_them(page: Page) -> None:
    page.get_by_role("button", name="Filtros").click()
    page.get_by_text("Azul", exact=True).click()
    count = page.locator("#found-count")
    expect(count).to_have_text(re.compile(r"\d+ telas"))
    all_blue = int((count.text_content() or "").split()[0])
    page.get_by_text("Rayas", exact=True).click()
    expect(count).not_to_have_text(f"{all_blue} telas")
    narrowed = count.text_content() or ""
    page.wait_for_url(re.compile("colour=blue.*pattern=stripe"))
    page.reload()
    expect(count).to_have_text(narrowed)
    page.get_by_role("button", name="Quitar").click()
    expect(page.locator("#panel-found")).to_be_hidden()


def test_changing_the_language_keeps_what_was_chosen(page: Page) -> None:
    cloth(page, "Gris Perla").click()
    page.locator("#menu summary").click()
    page.get_by_role("link", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_role("button", name="See the suit")).to_be_enabled()
    expect(cloth(page, "Gris Perla")).to_have_attribute("aria-selected", "true")
    assert "lang=" not in page.url
    page.goto("/gallery")
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_a_picture_that_two_orders_share_is_whole_in_both(
    page: Page, work: Callable[[], int], setting: Callable[..., None]
) -> None:
    setting(share_results="true")
    cloth(page, "Azul Medianoche").click()
    order(page, work, page.get_by_role("button", name="Ver el traje"))
    with page.expect_response(lambda answer: answer.request.method == "POST"):
        page.locator("#cuts .cut").last.click()
    work()
    expect(page.locator(".suit-picture")).to_have_count(2)
    expect(page.locator("[data-stale]")).to_have_count(0)


# --- looking --------------------------------------------------------------------------------------


def test_the_viewer_zooms_keeps_the_focus_and_gives_it_back(page: Page, made: None) -> None:
    page.goto("/gallery")
    opener = page.locator(".picture-open").first
    opener.click()
    surface, zoom = page.locator("#viewer-surface"), page.locator("#viewer-zoom")
    expect(surface).to_be_focused()
    expect(zoom).to_have_text(re.compile(r"\d+ %"))
    fit = zoom.text_content() or ""
    tap_twice(surface)
    expect(zoom).to_have_text("100 %")
    page.keyboard.press("0")
    expect(zoom).to_have_text(fit)
    page.keyboard.press("+")
    expect(zoom).not_to_have_text(fit)
    for _ in range(20):
        page.keyboard.press("Tab")
        outside = "!document.querySelector('#viewer').contains(document.activeElement)"
        assert not page.evaluate(f"document.activeElement !== document.body && {outside}")
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    expect(opener).to_be_focused()


def test_the_weave_is_drawn_when_somebody_wants_to_see_it(
    page: Page, made: None, work: Callable[[], int]
) -> None:
    page.goto("/gallery")
    page.locator(".picture-open").first.click()
    with page.expect_response(lambda answer: answer.url.endswith("/detail")):
        page.locator("#viewer-weave").click()
    expect(page.locator("#viewer-told")).to_have_text("Dibujando el tejido…")
    work()
    expect(page.locator("#viewer-picture")).to_have_js_property("naturalWidth", 2 * 1024)
    expect(page.locator("#viewer-zoom")).to_have_text("100 %")
    expect(page.locator("#viewer-told")).to_be_empty()


def test_what_is_looked_at_closely_stays_so_when_the_tablet_is_turned(
    page: Page, made: None
) -> None:
    """Each state is waited for: the whole picture, its fit, what was asked for; and that the turn
    has reached the picture, which is narrower than the surface before and wider than it after."""
    page.goto("/gallery")
    page.locator(".picture-open").first.click()
    picture, zoom = page.locator("#viewer-picture"), page.locator("#viewer-zoom")
    expect(picture).to_have_js_property("naturalWidth", 1024)
    expect(picture).to_have_js_property("complete", True)
    expect(zoom).to_have_text(re.compile(r"\d+ %"))
    page.keyboard.press("1")
    expect(zoom).to_have_text("100 %")
    expect(picture).to_have_attribute("style", _moved_right((TABLET["width"] - 1024) // 2))
    page.set_viewport_size(UPRIGHT)
    expect(picture).to_have_attribute("style", _moved_right(0))
    expect(zoom).to_have_text("100 %")
    page.keyboard.press("0")
    expect(zoom).not_to_have_text("100 %")
    fit = zoom.text_content() or ""
    page.set_viewport_size(TABLET)
    expect(zoom).not_to_have_text(fit)


def _moved_right(px: int) -> re.Pattern[str]:
    """The style of a picture at its own size, so far from the surface's left edge."""
    return re.compile(rf"width: 1024px.*translate\({px}px,")


def test_two_fingers_bring_the_picture_closer(page: Page, made: None) -> None:
    page.goto("/gallery")
    page.locator(".picture-open").first.click()
    zoom = page.locator("#viewer-zoom")
    expect(zoom).to_have_text(re.compile(r"\d+ %"))
    before = int((zoom.text_content() or "").split()[0])
    page.evaluate(
        """() => {
          const surface = document.getElementById("viewer-surface");
          surface.setPointerCapture = () => {};
          const finger = (type, pointerId, clientX) => surface.dispatchEvent(new PointerEvent(type,
            { pointerId, clientX, clientY: 300, bubbles: true }));
          finger("pointerdown", 1, 500); finger("pointerdown", 2, 600);
          finger("pointermove", 1, 400); finger("pointermove", 2, 700);
          finger("pointerup", 1, 400); finger("pointerup", 2, 700);
        }"""
    )
    expect(zoom).not_to_have_text(f"{before} %")
    after = int((zoom.text_content() or "").split()[0])
    assert abs(after - 3 * before) <= 3  # both are rounded


def test_what_is_compared_moves_together(page: Page, made: None) -> None:
    page.goto("/gallery")
    page.get_by_label("Comparar:").nth(0).check()
    page.get_by_label("Comparar:").nth(1).check()
    expect(page.locator("#chosen-words")).to_have_text("2 elegidas")
    page.get_by_role("button", name="Comparar", exact=True).click()
    panes = page.locator(".pane-surface")
    expect(page.locator("#zoom")).to_have_text(re.compile(r"\d+ %"))
    for number in (0, 1):
        expect(panes.nth(number).locator("img")).to_have_attribute("style", LAID_OUT)
    before = panes.nth(1).evaluate(SCALE)
    fit = panes.nth(1).locator("img").get_attribute("style")
    tap_twice(panes.nth(0))
    expect(panes.nth(1).locator("img")).not_to_have_attribute("style", fit or "")
    assert panes.nth(1).evaluate(SCALE) > before * 1.5
    places = [pane.locator("img").evaluate("e => e.style.transform") for pane in panes.all()]
    assert places[0] == places[1]
    panes.nth(1).press("ArrowDown")
    moved = [pane.locator("img").evaluate("e => e.style.transform") for pane in panes.all()]
    assert moved[0] == moved[1] != places[0]


def test_a_slider_divides_two_pictures_that_lie_over_each_other(page: Page, made: None) -> None:
    page.goto("/gallery")
    for place_of_box in (0, 1):
        page.get_by_label("Comparar:").nth(place_of_box).check()
    page.get_by_role("button", name="Comparar", exact=True).click()
    page.get_by_role("button", name="Deslizar").click()
    first, second = (pane.bounding_box() for pane in page.locator(".pane-surface").all())
    assert first == second
    page.get_by_role("slider").press("Home")
    over = page.locator(".pane-surface").nth(1)
    expect(over).to_have_css("clip-path", "inset(0px 0px 0px 0%)")
    page.get_by_role("slider").press("End")
    expect(over).to_have_css("clip-path", "inset(0px 0px 0px 100%)")


def test_a_star_stays(page: Page, made: None) -> None:
    page.goto("/gallery")
    star = page.get_by_role("button", name=re.compile("^Estrella")).first
    with page.expect_response("**/star") as kept:
        star.click()
    assert kept.value.status == 204
    page.reload()
    expect(star).to_have_attribute("aria-pressed", "true")


def test_presenting_shows_the_picture_and_no_codes(page: Page, work: Callable[[], int]) -> None:
    cloth(page, "Azul Medianoche").click()
    order(page, work, page.get_by_role("button", name="Ver el traje"))
    page.get_by_role("button", name="Presentar").click()
    expect(page.locator(".chooser")).to_be_hidden()
    expect(page.locator(".suit-caption .caption-cloth")).to_have_text("Azul Medianoche")
    shown = page.locator("main :is(p, span, a, h2):not(.unseen)").locator("visible=true")
    assert shown.all_inner_texts() == ["Azul Medianoche"]
    page.keyboard.press("Escape")
    expect(page.locator(".chooser")).to_be_visible()
    expect(page.get_by_role("button", name="Presentar")).to_be_focused()


def test_a_finished_suit_is_kept_for_a_client(page: Page, work: Callable[[], int]) -> None:
    cloth(page, "Azul Medianoche").click()
    order(page, work, page.get_by_role("button", name="Ver el traje"))
    page.get_by_role("link", name="Guardar para un cliente").click()
    page.get_by_label("Usuario").fill("owner")
    page.get_by_label("Contraseña").fill(OWNER_PASSWORD)
    page.get_by_role("button", name="Entrar").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("¿Para quién es este traje?")
    expect(page.locator(".keep")).to_contain_text("Azul Medianoche")
    page.get_by_role("link", name="Nuevo cliente").click()
    page.get_by_label("Nombre", exact=True).fill("Sofía Núñez")
    page.get_by_label("Está de acuerdo").check()
    page.get_by_role("button", name="Guardar en el libro").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sofía Núñez")
    assert sql("SELECT generation_id FROM client_looks") == sql("SELECT id FROM generations")


# --- a photoreal picture comes along --------------------------------------------------------------


@pytest.fixture
def sketched(setting: Callable[..., None], clean: None) -> tuple[UUID, queue.Claim]:
    """An order whose sketch is there and whose final picture is being painted, with a preview."""
    setting(final_engine="sdxl_inpaint")
    order = place()
    finish(claim())
    held = claim(engine="sdxl_inpaint")
    preview = f"{previews.prefix(held.job_id, held.claim)}0.jpg"
    storage().put(preview, a_photo("#224466", (32, 48), "JPEG"), "image/jpeg")
    return order, held


def test_a_preview_lies_over_the_sketch_until_the_final_picture_is_there(
    page: Page, sketched: tuple[UUID, queue.Claim]
) -> None:
    order, held = sketched
    page.goto(f"/?orden={order}")
    expect(page.locator(".suit-preview")).to_be_visible()
    expect(page.locator(".status-line")).to_contain_text("Vista previa; falta la imagen final")
    expect(page.get_by_role("link", name="Guardar para un cliente")).to_have_count(0)
    finish(held)
    expect(page.locator(".status-card")).to_have_count(0)
    expect(page.get_by_role("link", name="Guardar para un cliente")).to_be_visible()
    expect(page.locator(".suit-preview")).to_have_count(0)
    expect(page.locator(".suit-picture")).to_have_count(1)


def test_a_preview_goes_when_its_picture_is_given_up(
    page: Page, sketched: tuple[UUID, queue.Claim]
) -> None:
    page.goto(f"/?orden={sketched[0]}")
    expect(page.locator(".suit-preview")).to_be_visible()
    page.get_by_role("button", name="Cancelar").click()
    expect(page.locator(".suit-preview")).to_have_count(0)
    expect(page.locator(".suit-picture")).to_have_count(1)


# --- every state, on every screen -----------------------------------------------------------------


def states(page: Page, work: Callable[[], int]) -> Iterator[str]:
    """The pages and what can be opened on them, one after the other; yields what is shown."""
    page.goto("/")
    yield "nothing chosen"
    page.locator("#menu summary").click()
    yield "menu"
    page.keyboard.press("Escape")
    page.locator("#facets-open").click()
    page.locator("#search").fill("gris")
    expect(page.locator("#found [role=option]").first).to_be_visible()
    yield "found"
    page.locator("#search").fill("nada de eso")
    expect(page.locator("#found")).to_be_hidden()
    yield "nothing found"
    page.locator("#found-clear").click()
    page.locator("#facets-open").click()
    page.locator("#tab-photo").click()
    yield "own swatch"
    page.locator(".family").first.click()
    page.locator("[data-color]").first.click()
    yield "cloth"
    order(page, work, page.locator("#see"))
    yield "suit"
    page.locator(".suit-open").click()
    yield "viewer"
    page.keyboard.press("Escape")
    page.locator(".caption-acts button").last.click()
    yield "presenting"
    page.goto("/gallery")
    page.locator("[name=image]").first.check()
    yield "gallery"
    page.goto("/gallery?q=nada")
    yield "empty gallery"
    page.goto("/gallery/compare")
    yield "too few to compare"


@pytest.mark.parametrize("viewport", [PHONE, UPRIGHT, TABLET, DESKTOP], ids=str)
def test_the_pseudo_locale_fits_every_screen(
    opened: Callable[..., Page], work: Callable[[], int], viewport: ViewportSize
) -> None:
    page = opened(viewport=viewport)
    page.goto("/?lang=pseudo")
    for state in states(page, work):
        assert page.evaluate(TOO_WIDE_PX) <= 0, state
        assert page.evaluate(CUT_OFF) == [], state


@pytest.mark.parametrize("viewport", [PHONE, UPRIGHT, TABLET], ids=str)
def test_every_target_is_large_enough_for_a_finger(
    opened: Callable[..., Page], work: Callable[[], int], viewport: ViewportSize
) -> None:
    page = opened(viewport=viewport)
    for state in states(page, work):
        assert page.evaluate(SMALL_TARGETS) == [], state


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("lang", ["es", "en"])
def test_axe_finds_nothing_serious(
    opened: Callable[..., Page],
    work: Callable[[], int],
    made: None,
    lang: str,
    theme: Literal["light", "dark"],
) -> None:
    page = opened(viewport=UPRIGHT, color_scheme=theme)
    page.goto(f"/?lang={lang}")
    found = [one for state in states(page, work) for one in issues(page, state)]
    page.goto("/gallery")
    for box in page.locator("[name=image]").all()[:2]:
        box.check()
    page.locator("#compare").click()
    expect(page.locator("#zoom")).to_have_text(re.compile(r"\d"))
    found += issues(page, "comparing")
    page.locator("#slider").click()
    assert found + issues(page, "under a slider") == []
