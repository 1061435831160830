"""Every page in small, for docs/pages.md: python -m bench.screens.

The product runs as `make run` starts it, in a folder of its own; a browser orders suits, fills a
client book, shares a lookbook, and goes from page to page.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from playwright.sync_api import Browser, Page, ViewportSize, expect

from bench.chromium import running_chromium
from bench.stack import running

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "screens"
PASSWORD = "una-clave-para-las-fotos"
TABLET = ViewportSize(width=1180, height=820)
UPRIGHT = ViewportSize(width=820, height=1180)
PHONE = ViewportSize(width=390, height=844)
SHOWN_PX = {1180: 800, 820: 480, 390: 320}  # by the width of the screen
BYTES_MOST = 60_000
PATIENCE_MS = 180_000  # nothing waits this long but on a machine that is busy with other things
QUALITIES = (80, 70, 60, 50, 40)
# What was ordered in a quarter of an hour, as if over three weeks: for the chart of the statistics.
SPREAD = """
from sqlalchemy import text
from models.database import transaction
with transaction() as session:
    session.execute(text("UPDATE generations SET created_at = created_at - interval '1 day' * n"
        " FROM (SELECT id, row_number() OVER (ORDER BY id) * 7 % 19 AS n FROM generations) placed"
        " WHERE placed.id = generations.id"))
"""
CLOTHS = ("Azul Medianoche", "Gris Perla", "Verde Salvia", "Vino Borgoña")


def main() -> None:
    data = Path(tempfile.mkdtemp(prefix="estilista-screens-"))
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        house = running(data_dir=data, ADMIN_PASSWORD=PASSWORD)
        with house as (url, _), running_chromium() as browser:
            photograph(browser, url, data)
    finally:
        shutil.rmtree(data, ignore_errors=True)


def photograph(browser: Browser, url: str, data: Path) -> None:
    """Room after room; each leaves behind what the next one shows."""
    with a_screen(browser, url, TABLET) as page:
        floor(page)
        gallery(page)
        shared = clients(page)
        tags(page)
        console(page)
        account(page)
        spread_orders(data)
        statistics(page)
    with a_screen(browser, url, TABLET) as page:
        doors(page)
    with a_screen(browser, url, UPRIGHT, "dark") as page:
        suit(page, CLOTHS[1])
        keep(page, "floor-upright-dark")
    with a_screen(browser, url, PHONE) as page:
        suit(page, CLOTHS[0])
        keep(page, "floor-phone")
        page.goto(shared)
        keep(page, "shared-phone")


@contextmanager
def a_screen(
    browser: Browser, url: str, viewport: ViewportSize, theme: Literal["light", "dark"] = "light"
) -> Iterator[Page]:
    expect.set_options(timeout=PATIENCE_MS)
    with browser.new_context(
        base_url=url,
        viewport=viewport,
        color_scheme=theme,
        locale="es-MX",
        reduced_motion="reduce",
    ) as context:
        context.set_default_timeout(PATIENCE_MS)
        yield context.new_page()


# --- room after room ------------------------------------------------------------------------------


def suit(page: Page, cloth: str, cut: int = 0) -> None:
    """The sales floor with a finished suit."""
    page.goto("/")
    page.locator("#search").fill(cloth)
    page.locator("#found [role=option]").first.click()
    page.locator("#search").fill("")
    page.locator("#cuts .cut").nth(cut).click()
    page.locator("#see").click()
    expect(page.locator(".caption-acts")).not_to_have_count(0)


def floor(page: Page) -> None:
    page.goto("/")
    keep(page, "floor")
    page.locator("#facets-open").click()
    page.locator("#search").fill("principe")
    expect(page.locator("#found [role=option]").first).to_be_visible()
    keep(page, "floor-search")
    page.goto("/")
    page.locator("#tab-photo").click()
    keep(page, "floor-own-swatch")
    page.goto("/")
    page.get_by_role("option", name=re.compile(CLOTHS[0])).first.click()
    expect(page.locator("#bolt-cloth.loaded")).to_be_visible()
    keep(page, "floor-cloth")
    for cloth in CLOTHS[1:]:
        suit(page, cloth)
    suit(page, CLOTHS[0], cut=-1)
    expect(page.locator(".suit-picture")).to_have_count(2)
    keep(page, "floor-two-suits")
    suit(page, CLOTHS[0])
    keep(page, "floor-suit")
    page.locator(".suit-open").click()
    expect(page.locator("#viewer-zoom")).to_have_text(re.compile(r"\d"))
    keep(page, "viewer")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Presentar").click()
    keep(page, "presenting")


def gallery(page: Page) -> None:
    page.goto("/gallery")
    page.get_by_role("button", name=re.compile("^Estrella")).first.click()
    page.locator("[name=image]").nth(0).check()
    page.locator("[name=image]").nth(3).check()
    keep(page, "gallery")
    page.locator("#compare").click()
    expect(page.locator("#zoom")).to_have_text(re.compile(r"\d"))
    keep(page, "compare")
    page.locator("#slider").click()
    keep(page, "compare-slider")


def clients(page: Page) -> str:
    """Somebody's book, and a lookbook of theirs; returns the link that shares it."""
    suit(page, CLOTHS[0])
    page.get_by_role("link", name="Guardar para un cliente").click()
    sign_in(page)
    page.get_by_role("link", name="Nuevo cliente").click()
    page.get_by_label("Nombre", exact=True).fill("Sofía Núñez")
    page.get_by_label("Teléfono", exact=True).fill("55 1234 5678")
    page.get_by_label("Nota", exact=True).fill("Solapa ancha; telas ligeras para el jardín.")
    page.get_by_label("Está de acuerdo").check()
    page.get_by_role("button", name="Guardar en el libro").click()
    sofia = page.url.split("?")[0]
    for cloth in CLOTHS[1:3]:
        suit(page, cloth)
        page.get_by_role("link", name="Guardar para un cliente").click()
        keep(page, "client-chooser")
        page.get_by_role("button", name=re.compile("^Guardar el traje")).click()
    page.goto(sofia)
    keep(page, "client")
    page.get_by_label("Título", exact=True).fill("Para la boda de junio")
    page.get_by_role("button", name="Empezar").click()
    puts = page.get_by_role("button", name=re.compile("^Poner "))
    for left in (2, 1, 0):
        puts.first.click()
        expect(puts).to_have_count(left)
    page.get_by_label("Nota para el cliente").first.fill("Ligero, para el jardín.")
    page.get_by_role("button", name="Guardar el lookbook").click()
    lookbook = page.url.split("?")[0]
    keep(page, "lookbook")
    page.get_by_role("button", name="Crear un enlace").click()
    shared = page.locator("[data-link]").input_value()
    page.locator("#share").scroll_into_view_if_needed()
    keep(page, "lookbook-share")
    page.goto(f"{lookbook}/print")
    keep(page, "lookbook-print")
    return shared


def sign_in(page: Page, username: str = "owner") -> None:
    page.get_by_label("Usuario").fill(username)
    page.get_by_label("Contraseña").fill(PASSWORD)
    page.get_by_role("button", name="Entrar").click()
    expect(page.get_by_role("button", name="Salir")).to_be_visible()


def console(page: Page) -> None:
    for name, path in (
        ("console-orders", "orders"),
        ("console-catalogue", "catalogue"),
        ("console-looks", "catalogue/looks"),
        ("console-import", "catalogue/import"),
        ("console-operations", "operations"),
        ("console-people", "people"),
    ):
        page.goto(f"/console/{path}")
        keep(page, name)
    page.goto("/console/orders")
    page.locator(".work").first.click()
    keep(page, "console-order")
    page.goto("/console/catalogue?q=Gales")
    page.locator(".with-swatch").first.click()
    keep(page, "console-fabric")


def tags(page: Page) -> None:
    """Some cloths are tagged together, in the console."""
    for words, tag in (("Gris", "temporada, nuevo"), ("Azul", "temporada")):
        page.goto(f"/console/catalogue?q={words}")
        page.get_by_label("Elegir todas").check()
        page.locator(".bulk [name=tag]").fill(tag)
        page.get_by_role("button", name="Etiquetar").click()
        expect(page.get_by_role("button", name="Deshacer")).to_be_visible()
    keep(page, "console-bulk")
    page.goto("/console/catalogue?tag=nuevo")
    keep(page, "console-tags")


def account(page: Page) -> None:
    """One's own, with a token that a program has used."""
    page.goto("/console/account")
    page.get_by_label("Para qué programa").fill("Caja de la tienda")
    page.get_by_label("Ver el catálogo").check()
    page.get_by_role("button", name="Crear el token").click()
    token = page.locator("code.token").inner_text()
    keep(page, "console-token")
    page.request.get("/api/v1/fabrics", headers={"Authorization": f"Bearer {token}"})
    page.goto("/console/account")
    page.locator("#tokens").scroll_into_view_if_needed()
    keep(page, "console-account")
    page.goto("/console/people/audit")
    keep(page, "console-audit")
    page.goto("/console/people")
    page.get_by_label("Usuario").fill("mostrador")
    page.get_by_label(re.compile("^Contraseña")).fill(PASSWORD)
    page.locator("[name=role][value=viewer]").check()
    page.get_by_role("button", name="Crear la cuenta").click()
    expect(page.get_by_role("link", name="mostrador")).to_be_visible()


def spread_orders(data: Path) -> None:
    environment = os.environ | {"DATA_DIR": str(data)}
    subprocess.run([sys.executable, "-c", SPREAD], env=environment, cwd=ROOT, check=True)


def statistics(page: Page) -> None:
    page.goto("/console/orders/statistics")
    keep(page, "console-statistics")


def doors(page: Page) -> None:
    """Where one comes in, and where one does not."""
    page.goto("/console")
    keep(page, "sign-in")
    sign_in(page, "mostrador")
    page.goto("/console/people")
    keep(page, "refused")
    page.goto("/console/catalogue/fabrics/999999")
    keep(page, "not-found")
    page.goto("/s/un-enlace-que-ya-vencio")
    keep(page, "link-over")


# --- small pictures -------------------------------------------------------------------------------


def keep(page: Page, name: str) -> None:
    """The screen as it is now, once its pictures are there, as docs/screens/<name>.webp."""
    page.wait_for_load_state("networkidle")
    pixels = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None, "a screenshot is a PNG"
    content = in_small(pixels)
    (FOLDER / f"{name}.webp").write_bytes(content)
    print(f"{name}: {len(content) // 1000} kB", flush=True)


def in_small(screen: np.ndarray) -> bytes:
    """As WebP at the width that docs/pages.md shows; as good as BYTES_MOST allows."""
    height_px, width_px = screen.shape[:2]
    shown_px = SHOWN_PX[width_px]
    size = (shown_px, round(height_px * shown_px / width_px))
    small = cv2.resize(screen, size, interpolation=cv2.INTER_AREA)
    for quality in QUALITIES:
        content = cv2.imencode(".webp", small, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()
        if len(content) <= BYTES_MOST:
            break
    return content


if __name__ == "__main__":
    main()
