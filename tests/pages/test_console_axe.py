"""axe over every page of the console, in both languages and both themes."""

from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser

from models import audit
from models.database import transaction
from tests.axe import serious
from tests.conftest import OWNER_PASSWORD
from tests.looks import forget_uploads, uploaded
from tests.orders import place, sql

PAGES = (
    "orders",
    "orders?view=table",
    "orders?q=nada-que-exista",
    "orders/statistics",
    "catalogue",
    "catalogue/families",
    "catalogue/families/new",
    "catalogue/fabrics/new",
    "catalogue/import",
    "catalogue/looks",
    "operations",
    "people",
    "people/audit",
    "account",
    "nada",
)


@pytest.fixture
def filled(clean: None) -> Iterator[str]:
    """Orders in every state, uploads of looks, a worker, an entry in the log; the path of one
    order."""
    waiting, failed = place(("recto", "cruzado")), place()
    sql(
        "UPDATE jobs SET status = 'failed', error_code = 'engine-failed', settled_at = now()"
        " WHERE generation_id = :id",
        id=failed,
    )
    sql("INSERT INTO workers (name, engines, version, device) VALUES ('a', '{drape}', '1', 'cpu')")
    with transaction() as session:
        audit.record(session, "pause", ("engine", "drape"), "drape", {"mode": "running"}, {})
    uploaded()
    sql(
        "UPDATE jobs SET status = 'failed', error_code = 'x', error = 'y', settled_at = now()"
        " WHERE engine = 'look'"
    )
    uploaded()
    yield f"orders/{waiting}"
    forget_uploads()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("lang", ["es", "en"])
def test_no_page_has_a_serious_issue(
    chromium: Browser, base_url: str, filled: str, lang: str, theme: Literal["light", "dark"]
) -> None:
    context = chromium.new_context(
        base_url=base_url,
        viewport={"width": 1180, "height": 820},
        color_scheme=theme,
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    found = serious(page, f"/console/sign-in?lang={lang}")
    page.locator("input[name=username]").fill("owner")
    page.locator("input[name=password]").fill(OWNER_PASSWORD)
    page.locator("form button[type=submit]").last.click()
    page.wait_for_url("**/console/orders")
    fabric = sql("SELECT min(id) FROM fabrics")
    for name in (*PAGES, filled, f"catalogue/fabrics/{fabric}"):
        found += serious(page, f"/console/{name}")
        assert page.locator("html").get_attribute("lang") == {"es": "es-MX", "en": "en"}[lang]
    context.close()
    assert found == []
