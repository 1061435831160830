"""The looks: their overlays, which are on the sales floor, and a trial in some cloth."""

from collections.abc import Iterator

import httpx
import pytest

from models.catalogue import OVERLAYS, overlay_key
from models.storage import storage
from tests.console import Document, done, read
from tests.orders import some_color_id, sql
from tests.wire import a_photo

AT = "/console/catalogue/looks"


@pytest.fixture
def all_active() -> Iterator[None]:
    yield
    sql("UPDATE looks SET status = 'active'")


def test_overlays_are_shown_once_a_worker_has_drawn_them(browser: httpx.Client) -> None:
    pack, version = sql(
        "SELECT json_build_array(pack, pack_version) FROM looks WHERE cut = 'recto'"
    )
    keys = [overlay_key(pack, version, layer) for layer in OVERLAYS]
    for key in keys:
        storage().delete(key)
    assert "El próximo taller que arranque" in read(browser, AT).words
    for key in keys:
        storage().put(key, a_photo(), "image/jpeg")
    sources = [image["src"] for image in read(browser, AT).all("img")]
    assert [url for url in sources if pack in url] == [f"/files/{key}" for key in keys]
    assert browser.get(sources[0]).status_code == 200
    for key in keys:
        storage().delete(key)


@pytest.mark.usefixtures("all_active")
def test_a_look_leaves_the_sales_floor_and_comes_back(browser: httpx.Client) -> None:
    form = {"status": "inactive"}
    assert done(browser.post(f"{AT}/cruzado/status", data=form)) == "look-inactive"
    order = {"color_id": some_color_id(), "cuts": ["cruzado"]}
    assert browser.post("/api/v1/generations", json=order).status_code == 422
    assert done(browser.post(f"{AT}/cruzado/status", data={"status": "active"})) == "look-active"
    assert browser.post("/api/v1/generations", json=order).status_code == 202


@pytest.mark.usefixtures("all_active")
def test_one_look_has_to_remain(browser: httpx.Client) -> None:
    cuts = sql("SELECT array_agg(cut ORDER BY cut) FROM looks")
    answers = [browser.post(f"{AT}/{cut}/status", data={"status": "inactive"}) for cut in cuts]
    assert [answer.status_code for answer in answers[:-1]] == [303] * (len(cuts) - 1)
    assert answers[-1].status_code == 409
    assert "al menos un corte activo" in Document(answers[-1].text).words
    assert browser.post(f"{AT}/vapor/status", data={"status": "active"}).status_code == 404


def test_a_cloth_is_tried_on_a_look(browser: httpx.Client) -> None:
    color_id = some_color_id()
    answer = browser.post(f"{AT}/recto/try", data={"color_id": color_id})
    assert done(answer) == "look-try"
    order = "SELECT json_build_array(color_id, cuts, quality) FROM generations"
    assert sql(order) == [color_id, ["recto"], "preview"]
    assert browser.post(f"{AT}/recto/try", data={"color_id": "vapor"}).status_code == 422
