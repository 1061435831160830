"""Looks uploaded in the console: from the form to the sales floor, and what is refused."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from models import packs
from models.storage import storage
from tests.console import Document, done, read, signed_in
from tests.looks import CUT, forget_uploads, small_pack, uploaded, zipped
from tests.orders import some_color_id, sql
from tests.panel_plans import PLAN, with_panel
from tests.wire import a_photo, rows_of_orders
from worker.look_maker import LookMaker

AT = "/console/catalogue/looks"
OF_THE_PHOTO = {"size_px": [225, 300]}  # as the marks have it, of 96 × 128 px
PANELS, NO_PANELS = (
    json.dumps(plan | OF_THE_PHOTO).encode() for plan in (PLAN, with_panel(1, grain="back"))
)


@pytest.fixture
def browser(client: httpx.Client, base_url: str) -> Iterator[httpx.Client]:
    """The owner's browser."""
    with signed_in(base_url) as browser:
        yield browser
    forget_uploads()


def upload(browser: httpx.Client, content: bytes) -> httpx.Response:
    return browser.post(f"{AT}/packs", files={"file": ("chaque.zip", content)})


def upload_photo(
    browser: httpx.Client, mask: bytes, name: str = "Frac", panels: bytes = PANELS
) -> httpx.Response:
    files = {
        "photo": ("p.png", a_photo(size=(96, 128))),
        "mask": ("m.png", mask),
        "panels": ("panels.json", panels),
    }
    return browser.post(f"{AT}/photos", files=files, data={"name": name})


def make() -> None:
    assert LookMaker("test-worker", storage()).do_once()


def form(page: Document, ending: str) -> str:
    """Where the page's form whose address ends so leads."""
    actions = [f["action"] for f in page.all("form") if f.get("action", "").endswith(ending)]
    return next(action for action in actions if "/uploads/" in action)


def test_a_pack_goes_from_the_form_to_the_sales_floor(
    browser: httpx.Client, client: httpx.Client, work: Callable[[], int]
) -> None:
    assert done(upload(browser, zipped(small_pack(), "chaque/"))) == "look-upload"
    waiting = read(browser, AT)
    assert "Corte Chaqué Haciéndose" in waiting.words
    assert [e for e in waiting.elements if "data-live" in e[1]]
    make()
    ready = read(browser, AT)
    assert "Corte Chaqué Por activar" in ready.words
    assert not [e for e in ready.elements if "data-live" in e[1]]
    pictures = [image["src"] for image in ready.all("img") if f"look-{CUT}-" in image["src"]]
    assert len(pictures) == 4
    assert all(browser.get(url).status_code == 200 for url in pictures)
    trial = browser.post(form(ready, "/try"), data={"color_id": some_color_id()})
    assert done(trial) == "look-try"
    assert work() == 1
    tried = httpx.URL(trial.headers["location"]).path
    assert "Listo" in read(browser, tried).words
    assert "Chaqué" not in client.get("/").text
    assert done(browser.post(form(ready, "/activate"))) == "look-active"
    floor = client.get("/").text
    assert f'value="{CUT}"' in floor
    (picture,) = re.findall(rf'src="(/files/catalogue/look-{CUT}-\w+-worn\.jpg)"', floor)
    assert client.get(picture).status_code == 200
    order = {"color_id": some_color_id(), "cuts": [CUT]}
    placed = client.post("/api/v1/generations", json=order)
    assert placed.status_code == 202
    assert work() == 1
    assert client.get(placed.headers["location"]).json()["status"] == "completed"


def test_every_step_is_in_the_audit_log(browser: httpx.Client) -> None:
    upload(browser, zipped(small_pack()))
    make()
    browser.post(form(read(browser, AT), "/activate"))
    upload(browser, zipped(small_pack()))
    browser.post(form(read(browser, AT), "/discard"))
    last = "SELECT array_agg(action || ' ' || subject_kind ORDER BY id) FROM (SELECT * FROM audit"
    assert sql(f"{last} ORDER BY id DESC LIMIT 4) last") == [
        "create look_upload",
        "create look",
        "create look_upload",
        "delete look_upload",
    ]
    assert sql("SELECT actor FROM audit ORDER BY id DESC LIMIT 1").startswith("user:")
    assert "Baja de subida de corte Chaqué" in read(browser, "/console/people/audit").words


REFUSED: dict[str, Any] = {
    "no zip": (lambda b: upload(b, b"x"), "No pudimos abrir el archivo ZIP."),
    "a way out": (lambda b: upload(b, zipped({"../u.png": b""})), "una ruta que no se acepta"),
    "a bomb": (lambda b: upload(b, zipped({"u.png": bytes(50_000_000)})), "pesa demasiado"),
    "a cut of the house": (
        lambda b: upload(b, zipped(_renamed("recto"))),
        "El corte «recto» viene con la casa",
    ),
    "another mask": (lambda b: upload_photo(b, a_photo(size=(60, 128))), "deben medir lo mismo"),
    "no panels": (
        lambda b: upload_photo(b, a_photo(size=(96, 128)), panels=NO_PANELS),
        "panels.json: panel «rsl», grain: remite a «back»",
    ),
    "no name": (lambda b: upload_photo(b, a_photo(size=(96, 128)), " "), "El nombre del corte"),
}


def _renamed(cut: str) -> dict[str, bytes]:
    about = json.loads(small_pack()["look.json"]) | {"style": cut}
    return {**small_pack(), "look.json": json.dumps(about).encode()}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused_is_said_and_nothing_is_stored_or_enqueued(
    browser: httpx.Client, kind: str
) -> None:
    send, words = REFUSED[kind]
    before = rows_of_orders()
    answer = send(browser)
    assert answer.status_code == 422
    page = Document(answer.text)
    assert words in page.words
    assert [details for details in page.all("details") if "open" in details]
    assert rows_of_orders() == before
    assert sql("SELECT count(*) FROM look_uploads") == 0
    assert list(storage().list(packs.PREFIX)) == []


def test_a_refusal_is_said_in_english_and_the_name_stays_typed(browser: httpx.Client) -> None:
    browser.headers["Accept-Language"] = "en"
    page = Document(upload_photo(browser, b"no mask", "Tailcoat").text)
    assert "mask.png is not a PNG, or is damaged." in page.words
    assert page.value("name") == "Tailcoat"


def test_an_upload_that_cannot_be_made_says_why_in_either_language(browser: httpx.Client) -> None:
    assert done(upload_photo(browser, a_grey_mask())) == "look-upload"
    make()
    assert "de la tela de la máscara no está en ningún panel" in read(browser, AT).words
    english = read(browser, f"{AT}?lang=en").words
    assert "of the mask's cloth is in no panel" in english
    assert done(browser.post(form(read(browser, AT), "/discard"))) == "look-discard"
    assert "Frac" not in read(browser, AT).words


def a_grey_mask() -> bytes:
    import cv2
    import numpy as np

    return cv2.imencode(".png", np.full((128, 96), 255, np.uint8))[1].tobytes()


def test_what_is_not_there_or_not_ready_is_refused(browser: httpx.Client) -> None:
    id = uploaded()
    for verb, data in (("activate", {}), ("try", {"color_id": some_color_id()})):
        assert browser.post(f"{AT}/uploads/{id}/{verb}", data=data).status_code == 409
    nobody = "00000000-0000-0000-0000-000000000000"
    assert browser.post(f"{AT}/uploads/{nobody}/activate").status_code == 404
    assert browser.post(f"{AT}/uploads/nobody/activate").status_code == 422


def test_uploads_are_limited_and_come_from_our_own_pages(
    browser: httpx.Client, setting: Callable[..., None]
) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert browser.post(f"{AT}/packs", files={"file": b"x"}, headers=headers).status_code == 403
    setting(uploads_per_minute=1)
    assert [upload(browser, b"x").status_code for _ in range(2)] == [422, 429]
