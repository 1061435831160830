"""Pages in a real browser for tests: screens, signing in, and what must hold of every page."""

from playwright.sync_api import Page, ViewportSize, expect

from tests.conftest import OWNER_PASSWORD

UPRIGHT, TABLET = ViewportSize(width=820, height=1180), ViewportSize(width=1180, height=820)
PHONE, DESKTOP = ViewportSize(width=390, height=844), ViewportSize(width=1440, height=900)
TOO_WIDE_PX = "document.documentElement.scrollWidth - window.innerWidth"
# 44 px, less what a fractional layout rounds away.
SMALL_TARGETS = """
() => [...document.querySelectorAll("a, button, input, select, summary, textarea")]
  .map((e) => (["checkbox", "radio", "file"].includes(e.type) ? e.closest("label") : e))
  .filter((e) => e.offsetParent && !e.matches(".skip, .unseen, .picture-cloth a"))
  .filter((e) => { const r = e.getBoundingClientRect(); return r.height < 43.5 || r.width < 43.5; })
  .map((e) => e.outerHTML.slice(0, 120))
"""


def sign_in(page: Page, path: str = "/console/orders") -> Page:
    """As the owner, on the way to this page."""
    page.goto(path)
    page.get_by_label("Usuario").fill("owner")
    page.get_by_label("Contraseña").fill(OWNER_PASSWORD)
    page.get_by_role("button", name="Entrar").click()
    expect(page.get_by_role("button", name="Salir")).to_be_visible()
    return page
