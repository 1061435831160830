"""axe over the client book, a lookbook and what its link shows, in both languages and themes."""

from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.axe import serious
from tests.conftest import OWNER_PASSWORD
from tests.orders import BOTH
from tests.pictures import finished_order

WAIT_MS = 60_000  # for a busy machine
Form = dict[str, str | float | bool]
LANG = {"es": "es-MX", "en": "en"}
SOFIA: Form = {
    "name": "Sofía Núñez",
    "phone": "55 1234 5678",
    "note": "Solapa ancha",
    "consents": "yes",
}


def sign_in(page: Page) -> None:
    page.goto("/clients")
    page.locator("input[name=username]").fill("owner")
    page.locator("input[name=password]").fill(OWNER_PASSWORD)
    page.locator("form button[type=submit]").last.click()
    page.wait_for_url("**/clients")


def sent(page: Page, url: str, form: Form) -> str:
    """Where a form of the signed-in browser leads, without the sentence about it."""
    answer = page.request.post(url, form=form, headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.ok, answer.text()
    return answer.url.split("?")[0].split("#")[0]


@pytest.fixture
def filled(chromium: Browser, base_url: str, clean: None) -> dict[str, str]:
    """Two clients (one has withdrawn), a lookbook of two looks that was shared and answered, and
    the addresses of all of it."""
    expect.set_options(timeout=WAIT_MS)
    order, loose = finished_order(BOTH), finished_order()
    with chromium.new_context(base_url=base_url) as context:
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        sign_in(page)
        sofia = sent(page, "/clients", SOFIA | {"look": str(order)})
        gone = sent(page, "/clients", SOFIA | {"name": "Luis Ávila"})
        sent(page, f"{gone}/consent", {"given": "no"})
        lookbook = sent(page, f"{sofia}/lookbooks", {"title": "Para la boda"})
        first: Form = {"version": "1", "title": "Para la boda", "do": f"put {order}/recto"}
        sent(page, lookbook, first)
        for _ in range(2):
            sent(page, f"{lookbook}/shares", {"days": "7"})
        page.goto(lookbook)
        links = page.locator("[data-link]")
        expect(links).to_have_count(2)
        shared, ended = (links.nth(place).input_value() for place in (0, 1))
        page.locator("form[action$='/revoke'] button").nth(1).click()
        expect(links).to_have_count(1)
        page.goto(shared)
        page.locator("button.heart").click()
        expect(page.get_by_role("button", pressed=True)).to_have_count(1)
        page.locator("details.write summary").click()
        page.locator("textarea").fill("¿Con botón de nácar?")
        page.locator("details.write button").click()
        expect(page.locator(".reply")).to_have_count(1)
    return {
        "order": str(loose),
        "sofia": sofia,
        "gone": gone,
        "lookbook": lookbook,
        "shared": shared,
        "ended": ended,
    }


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("lang", ["es", "en"])
def test_no_page_has_a_serious_issue(
    chromium: Browser,
    base_url: str,
    filled: dict[str, str],
    lang: str,
    theme: Literal["light", "dark"],
) -> None:
    sofia, lookbook = filled["sofia"], filled["lookbook"]
    pages = (
        f"/clients?lang={lang}",
        f"/clients?look={filled['order']}",
        "/clients?q=nadie",
        "/clients/new",
        "/clients/no",
        sofia,
        f"{sofia}/looks",
        f"{sofia}?said=look-attach",
        filled["gone"],
        lookbook,
        f"{lookbook}/print",
        filled["shared"],
        filled["ended"],
    )
    with chromium.new_context(
        base_url=base_url,
        viewport={"width": 1180, "height": 820},
        color_scheme=theme,
        reduced_motion="reduce",
    ) as context:
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        sign_in(page)
        found = []
        for url in pages:
            found += serious(page, url)
            assert page.locator("html").get_attribute("lang") == LANG[lang], url
    assert found == []
