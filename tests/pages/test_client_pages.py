"""The client book's pages: what each shows, what its forms do, and who sees them."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from api.pages import bundle, clients, environment
from tests.console import done, read
from tests.orders import BOTH, place, sql
from tests.pictures import finished_order, stored

SOFIA = {"name": "Sofía Núñez", "phone": "55 1234 5678", "note": "Solapa ancha", "consents": "yes"}
FOLDER = environment.TEMPLATES
TEMPLATES = "\n".join(
    path.read_text() for path in (*FOLDER.glob("clients/*.html"), FOLDER / "document.html")
)
SOURCES = "\n".join(path.read_text() for path in Path(clients.__file__).parent.glob("clients*.py"))


@pytest.fixture
def stylist(as_role: Callable[[str], httpx.Client]) -> httpx.Client:
    """A stylist's browser."""
    return as_role("stylist")


@pytest.fixture
def sofia(stylist: httpx.Client) -> str:
    """The address of a client's page."""
    answer = stylist.post("/clients", data=SOFIA)
    assert done(answer) == "client-add"
    return httpx.URL(answer.headers["location"]).path


def with_look(stylist: httpx.Client, sofia: str, cuts: tuple[str, ...] = ("recto",)) -> UUID:
    order = finished_order(cuts)
    assert done(stylist.post(f"{sofia}/looks", data={"orders": str(order)})) == "look-attach"
    return order


def keys(branch: dict[str, Any], before: str = "") -> Iterator[str]:
    for name, value in branch.items():
        if isinstance(value, dict):
            yield from keys(value, f"{before}{name}.")
        else:
            yield f"{before}{name}"


@pytest.mark.parametrize("url", ["/clients", "/clients/new", "{sofia}", "{sofia}/looks"])
@pytest.mark.parametrize("lang", ["es", "en", "pseudo"])
def test_every_page_is_one_heading_and_holds_nothing_inline(
    stylist: httpx.Client, sofia: str, url: str, lang: str
) -> None:
    with_look(stylist, sofia)
    finished_order()
    page = read(stylist, f"{url.format(sofia=sofia)}?lang={lang}")
    assert len(page.all("h1")) == 1
    assert all(script.get("src") for script in page.all("script"))
    names = {name for _, attributes in page.elements for name in attributes}
    assert not page.all("style")
    assert not {name for name in names if name == "style" or name.startswith("on")}
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))


def test_the_book_is_searched_without_accents(stylist: httpx.Client, sofia: str) -> None:
    assert "Sofía Núñez" in read(stylist, "/clients?q=nunez").words
    assert "Sofía Núñez" in read(stylist, "/clients?q=1234").words
    page = read(stylist, "/clients?q=zzz")
    assert "Nadie con ese nombre" in page.words
    assert {"href": "/clients/new?q=zzz"}.items() <= next(
        a.items() for a in page.all("a") if a.get("id") == "new"
    )


def test_whoever_was_not_found_is_written_down_with_what_was_typed(stylist: httpx.Client) -> None:
    assert read(stylist, "/clients/new?q=Luis").value("name") == "Luis"
    assert read(stylist, "/clients/new?q=55%201234").value("phone") == "55 1234"


def test_without_consent_what_was_typed_stays_on_the_form(stylist: httpx.Client) -> None:
    answer = stylist.post("/clients", data=SOFIA | {"consents": ""})
    assert answer.status_code == 422
    assert 'value="Sofía Núñez"' in answer.text
    assert "Sin su consentimiento" in answer.text
    assert sql("SELECT count(*) FROM clients") == 0


def test_an_order_is_kept_in_the_book_of_somebody_new(stylist: httpx.Client) -> None:
    order = finished_order()
    assert "¿Para quién es este traje?" in read(stylist, f"/clients?look={order}").words
    assert read(stylist, f"/clients/new?look={order}").value("look") == str(order)
    assert done(stylist.post("/clients", data=SOFIA | {"look": str(order)})) == "client-add"
    assert sql("SELECT generation_id FROM client_looks") == order


def test_an_order_is_kept_in_the_book_of_somebody_known(stylist: httpx.Client, sofia: str) -> None:
    order = finished_order()
    page = read(stylist, f"/clients?look={order}&q=sofia")
    assert f"{sofia}/looks" in [form["action"] for form in page.all("form")]
    assert [a["value"] for a in page.all("button") if a.get("name") == "orders"] == [str(order)]


def test_only_finished_orders_that_are_not_in_the_book_are_offered(
    stylist: httpx.Client, sofia: str
) -> None:
    mine, other = with_look(stylist, sofia), finished_order(BOTH)
    waiting = place()
    page = read(stylist, f"{sofia}/looks")
    offered = [a["value"] for a in page.all("input") if a.get("name") == "orders"]
    assert offered == [str(other)]
    assert {str(mine), str(waiting)}.isdisjoint(offered)


def test_a_stale_card_is_refused_and_shows_what_was_typed(
    stylist: httpx.Client, sofia: str
) -> None:
    assert done(stylist.post(sofia, data=SOFIA | {"note": "uno", "version": "1"})) == "client-save"
    answer = stylist.post(sofia, data=SOFIA | {"note": "dos", "version": "1"})
    assert answer.status_code == 409
    assert "dos</textarea>" in answer.text
    assert sql("SELECT note FROM clients") == "uno"


def test_withdrawn_consent_takes_the_forms_away(stylist: httpx.Client, sofia: str) -> None:
    with_look(stylist, sofia)
    answer = stylist.post(f"{sofia}/consent", data={"given": "no"})
    assert done(answer) == "client-withdraw"
    page = read(stylist, sofia)
    actions = {form["action"] for form in page.all("form")}
    assert {f"{sofia}/export", f"{sofia}/erase", f"{sofia}/consent"} <= actions
    assert actions.isdisjoint({sofia, f"{sofia}/lookbooks"})
    read(stylist, f"{sofia}/looks", status=409)
    assert done(stylist.post(f"{sofia}/consent", data={"given": "yes"})) == "client-consent"


def test_a_client_is_exported_and_erased_with_a_form_each(
    stylist: httpx.Client, sofia: str
) -> None:
    before = stored("renders/")
    with_look(stylist, sofia, BOTH)
    export = stylist.post(f"{sofia}/export")
    assert export.headers["content-type"] == "application/zip"
    assert "attachment" in export.headers["content-disposition"]
    assert done(stylist.post(f"{sofia}/erase")) == "client-erase"
    read(stylist, sofia, status=404)
    assert stored("renders/") == before
    assert sql("SELECT count(*) FROM generations") == 0


def test_forms_of_another_site_are_refused(stylist: httpx.Client, sofia: str) -> None:
    for path in ("/clients", f"{sofia}/erase", f"{sofia}/export", f"{sofia}/looks"):
        answer = stylist.post(path, data=SOFIA, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403
        assert "<html" in answer.text
    assert sql("SELECT count(*) FROM clients") == 1


def test_who_is_not_signed_in_comes_back_after_signing_in(client: httpx.Client) -> None:
    answer = client.get("/clients?q=a")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/console/sign-in?next=%2Fclients%3Fq%3Da"


def test_a_form_after_the_session_is_over_says_that_nothing_was_kept(client: httpx.Client) -> None:
    page = f"{client.base_url}/clients/new?look=1"
    answer = client.post("/clients", data=SOFIA, headers={"Referer": page})
    assert done(answer) == "session-over"
    assert httpx.URL(answer.headers["location"]).params["next"] == "/clients/new"
    assert "Tu sesión terminó" in client.get(answer.headers["location"]).text
    elsewhere = client.post("/clients", data=SOFIA, headers={"Referer": "https://other.example/x"})
    assert httpx.URL(elsewhere.headers["location"]).params["next"] == "/clients"


def test_pages_about_clients_are_never_cached(stylist: httpx.Client, sofia: str) -> None:
    for path in ("/clients", sofia):
        assert stylist.get(path).headers["cache-control"] == "private, no-store"


def test_what_is_typed_is_never_markup(stylist: httpx.Client) -> None:
    evil = '"><script>alert(1)</script>'
    answer = stylist.post("/clients", data=SOFIA | {"name": f"Ana{evil}", "note": evil})
    page = stylist.get(answer.headers["location"]).text + stylist.get(f"/clients?q={evil}").text
    assert "alert(1)" in page
    assert "<script>" not in page


def test_no_sentence_is_left_that_nothing_says() -> None:
    said = re.compile(r"\bt\.([a-z_]+(?:\.[a-z_]+)?)")
    used = set(said.findall(TEMPLATES))
    used |= {
        f"said.{name}"
        for name in re.findall(r'"((?:client|look|lookbook|share)-[a-z-]+)"', SOURCES)
    }
    used |= {f"shared.{name}" for name in re.findall(r'words\["([a-z_]+)"\]', SOURCES)}
    used |= {f"share.{name}" for name in re.findall(r'\["share"\]\["([a-z_]+)"\]', SOURCES)}
    found = {
        key
        for key in keys(clients.STRINGS.of["es"])
        if not key.startswith(("share.day_", "problem."))  # looked up by a number
    }
    assert found - used == set()


def test_every_module_and_picture_of_the_room_is_served(client: httpx.Client) -> None:
    for name in ("clients.css", "shared.css", "icons.svg", *bundle.CLIENTS_BUNDLE.modules()):
        assert client.get(bundle.CLIENTS_BUNDLE.url(name)).status_code == 200
    icons = (bundle.CLIENTS_FOLDER / "icons.svg").read_text()
    used = set(re.findall(r'icon\("([a-z-]+)"', TEMPLATES)) | {"heart", "heart-full"}
    assert used == set(re.findall(r'<symbol id="([a-z-]+)"', icons))
