"""Lookbooks as pages: put together by the stylist, opened through a link by somebody signed out."""

import io
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import pytest
from PIL import Image

from api.pages import clients_shared
from models.storage import storage
from tests.console import Document, done, read, signed_in
from tests.log_lines import written
from tests.orders import BOTH, sql
from tests.pictures import PICTURE, finished_order, stored
from tests.wire import a_photo

PERSONAL = {"name": "Sofía Núñez", "phone": "55 1234 5678", "note": "Solapa ancha"}


@dataclass(frozen=True)
class Book:
    """A lookbook of one client, with the order whose two cuts are in it."""

    url: str
    client: str
    order: UUID


@pytest.fixture
def stylist(client: httpx.Client, base_url: str) -> Iterator[httpx.Client]:
    with signed_in(base_url) as browser:
        yield browser


@pytest.fixture
def book(stylist: httpx.Client) -> Book:
    for key in stored("renders/"):
        storage().delete(key)
    order = finished_order(BOTH)
    form = PERSONAL | {"consents": "yes", "look": str(order)}
    sofia = httpx.URL(stylist.post("/clients", data=form).headers["location"]).path
    made = stylist.post(f"{sofia}/lookbooks", data={"title": "Para la boda"})
    found = Book(made.headers["location"], sofia, order)
    for version, cut in enumerate(BOTH, 1):
        save(stylist, found, list(BOTH[: version - 1]), do=f"put {order}/{cut}")
    return found


def save(stylist: httpx.Client, book: Book, cuts: list[str], **fields: str) -> None:
    assert done(send(stylist, book, cuts, **fields)) == "lookbook-save"


def send(stylist: httpx.Client, book: Book, cuts: list[str], **fields: str) -> httpx.Response:
    form = {
        "version": str(sql("SELECT version FROM lookbooks")),
        "title": "Para la boda",
        "looks": [f"{book.order}/{cut}" for cut in cuts],
        "notes": [f"Nota {cut}" for cut in cuts],
    }
    return stylist.post(book.url, data=form | fields)


def cuts(book: Book) -> list[str]:
    return list(sql("SELECT array_agg(cut ORDER BY place) FROM lookbook_pages") or [])


def shared(stylist: httpx.Client, book: Book) -> str:
    """The path of a new link."""
    answer = stylist.post(f"{book.url}/shares", data={"days": "7"})
    assert done(answer) == "share-make"
    page = read(stylist, book.url)
    url = next(a["value"] for a in page.all("input") if "data-link" in a)
    return urlsplit(url).path


def revoke(stylist: httpx.Client, book: Book) -> None:
    id = sql("SELECT id FROM lookbook_shares WHERE revoked_at IS NULL")
    assert done(stylist.post(f"{book.url}/shares/{id}/revoke")) == "share-revoke"


def page_ids(page: Document) -> list[int]:
    return [int(a["id"].removeprefix("look-")) for a in page.all("li") if "id" in a]


# --- put together ---------------------------------------------------------------------------------


def test_each_button_does_what_it_says_and_keeps_what_was_typed(
    stylist: httpx.Client, book: Book
) -> None:
    assert cuts(book) == ["recto", "cruzado"]
    save(stylist, book, ["recto", "cruzado"], do="up 1")
    assert cuts(book) == ["cruzado", "recto"]
    save(stylist, book, ["cruzado", "recto"], do="down 0")
    assert cuts(book) == ["recto", "cruzado"]
    assert "Nota cruzado" in stylist.get(book.url).text
    save(stylist, book, ["recto", "cruzado"], do="remove 0")
    assert cuts(book) == ["cruzado"]


@pytest.mark.parametrize("do", ["", "up 0", "down 9", "up x", "up ²", "sing 1", "remove -1"])
def test_a_button_that_leads_nowhere_only_saves(stylist: httpx.Client, book: Book, do: str) -> None:
    save(stylist, book, ["recto", "cruzado"], do=do)
    assert cuts(book) == ["recto", "cruzado"]


def test_a_stale_lookbook_is_refused_and_shows_what_was_typed(
    stylist: httpx.Client, book: Book
) -> None:
    answer = send(stylist, book, ["recto"], version="1", title="Otro título")
    assert answer.status_code == 409
    assert 'value="Otro título"' in answer.text
    assert "Nota recto" in answer.text
    assert cuts(book) == ["recto", "cruzado"]


def test_a_title_that_is_none_is_refused(stylist: httpx.Client, book: Book) -> None:
    assert send(stylist, book, ["recto"], title="   ").status_code == 422
    assert send(stylist, book, ["recto"], do="put nada").status_code == 422
    assert cuts(book) == ["recto", "cruzado"]


def test_the_sheet_names_each_cloth_by_its_code_and_facts(
    stylist: httpx.Client, book: Book
) -> None:
    code, composition = sql(
        "SELECT ARRAY[f.swatch_code, f.composition] FROM fabrics f"
        " JOIN generations g ON g.color_id = f.color_id"
    )
    words = read(stylist, f"{book.url}/print").words
    assert code in words
    assert composition in words
    assert "Míralo en tu teléfono" not in words
    shared(stylist, book)
    assert "Míralo en tu teléfono" in read(stylist, f"{book.url}/print").words


def test_whatsapp_gets_words_and_the_link_by_the_reader_s_own_hand(
    stylist: httpx.Client, book: Book, base_url: str
) -> None:
    path = shared(stylist, book)
    links = [a["href"] for a in read(stylist, book.url).all("a") if "wa.me" in a.get("href", "")]
    (link,) = links
    parts = urlsplit(link)
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "wa.me", "/")
    assert parse_qs(parts.query) == {"text": [f"Para la boda: {base_url}{path}"]}


# --- through the link -----------------------------------------------------------------------------


def test_signed_out_the_link_shows_the_lookbook_and_nothing_else(
    stylist: httpx.Client, client: httpx.Client, book: Book
) -> None:
    path = shared(stylist, book)
    answer = client.get(path)
    page = Document(answer.text)
    assert "Para la boda" in page.words
    assert not [word for word in PERSONAL.values() if word in answer.text]
    assert "set-cookie" not in answer.headers
    hrefs = {a.get("href", "") for a in page.all("a")}
    assert all(href.startswith(("#", path)) for href in hrefs), hrefs
    assert len(page.all("img")) == 2
    whole = [href for href in hrefs if href.startswith(f"{path}/pictures/")]
    assert [client.get(href).content for href in whole] == [PICTURE, PICTURE]


def test_a_shared_picture_is_shown_in_small_and_opened_whole(
    stylist: httpx.Client, client: httpx.Client, book: Book
) -> None:
    whole = a_photo(size=(1024, 1536), kind="JPEG")
    for key in stored("renders/"):
        storage().delete(key)
        storage().put(key, whole, "image/jpeg")
    path = shared(stylist, book)
    page = Document(client.get(path).text)
    image = page.all("img")[0]
    sizes = [part.split() for part in image["srcset"].split(", ")]
    assert image["src"] == sizes[0][0]
    for url, width in sizes:
        answer = client.get(url)
        assert answer.headers["cache-control"] == "private, no-store"
        with Image.open(io.BytesIO(answer.content)) as small:
            assert f"{small.width}w" == width
    revoke(stylist, book)
    assert {client.get(url).status_code for url, _ in sizes} == {404}


def test_a_shared_page_is_not_found_by_searching_nor_told_to_others(
    stylist: httpx.Client, client: httpx.Client, book: Book
) -> None:
    path = shared(stylist, book)
    image = Document(client.get(path).text).all("img")[0]["src"]
    for url in (path, image, "/s/nada"):
        headers = client.get(url).headers
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-robots-tag"] == "noindex, nofollow, noarchive"
        assert headers["cache-control"] == "private, no-store"
    policy = client.get(path).headers["content-security-policy"]
    assert "unsafe" not in policy
    assert '<meta name="robots" content="noindex, nofollow">' in client.get(path).text


def test_hearts_and_comments_come_back_to_the_stylist_as_plain_words(
    stylist: httpx.Client, client: httpx.Client, book: Book
) -> None:
    path = shared(stylist, book)
    first, _ = page_ids(Document(client.get(path).text))
    words = "Me gusta <script>alert(1)</script>"
    for heart in ("yes", "no", "yes"):
        answer = client.post(f"{path}/looks/{first}/heart", data={"given": heart})
        assert answer.headers["location"] == f"{path}#look-{first}"
    assert client.post(f"{path}/looks/{first}/comments", data={"words": words}).status_code == 303
    for reader, url in ((stylist, book.url), (client, path)):
        text = reader.get(url).text
        assert "alert(1)" in text
        assert "<script>" not in text
    assert "Le gusta a una persona" in stylist.get(book.url).text
    assert client.get(path).text.count('aria-pressed="true"') == 1


def test_one_link_does_not_show_what_came_through_another(
    stylist: httpx.Client, client: httpx.Client, book: Book
) -> None:
    one, other = shared(stylist, book), shared(stylist, book)
    page = page_ids(Document(client.get(one).text))[0]
    client.post(f"{one}/looks/{page}/comments", data={"words": "Entre nosotros"})
    client.post(f"{one}/looks/{page}/heart", data={"given": "yes"})
    assert one != other
    assert "Entre nosotros" in client.get(one).text
    assert "Entre nosotros" not in client.get(other).text
    assert 'aria-pressed="true"' not in client.get(other).text


def test_a_revoked_link_shows_neither_page_nor_picture_nor_takes_anything(
    stylist: httpx.Client, client: httpx.Client, book: Book
) -> None:
    path = shared(stylist, book)
    page = Document(client.get(path).text)
    image, look = page.all("img")[0]["src"], page_ids(page)[0]
    revoke(stylist, book)
    for answer in (
        client.get(path),
        client.get(image),
        client.post(f"{path}/looks/{look}/heart", data={"given": "yes"}),
        client.post(f"{path}/looks/{look}/comments", data={"words": "Hola"}),
    ):
        assert answer.status_code == 404
        assert "Este enlace ya no está disponible" in answer.text
        assert "Para la boda" not in answer.text
    assert sql("SELECT count(*) FROM lookbook_hearts") == 0


def test_an_ended_link_and_one_that_never_was_read_the_same(
    stylist: httpx.Client, client: httpx.Client, book: Book
) -> None:
    path = shared(stylist, book)
    sql("UPDATE lookbook_shares SET expires_at = now()")
    token = re.compile(re.escape(path))
    ended = token.sub("", client.get(path).text)
    assert ended == client.get("/s/nunca").text.replace("/s/nunca", "")


def test_pages_of_another_lookbook_are_not_shown_through_this_link(
    stylist: httpx.Client, client: httpx.Client, book: Book
) -> None:
    path = shared(stylist, book)
    other = stylist.post(f"{book.client}/lookbooks", data={"title": "Otro"}).headers["location"]
    form = {"version": "1", "title": "Otro", "do": f"put {book.order}/recto"}
    assert done(stylist.post(other, data=form)) == "lookbook-save"
    foreign = sql("SELECT max(id) FROM lookbook_pages")
    assert client.get(f"{path}/pictures/{foreign}").status_code == 404
    answer = client.post(f"{path}/looks/{foreign}/heart", data={"given": "yes"})
    assert answer.status_code == 404
    assert sql("SELECT count(*) FROM lookbook_hearts") == 0


def test_who_asks_too_often_is_told_to_wait(
    stylist: httpx.Client, client: httpx.Client, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shared(stylist, book)
    page = page_ids(Document(client.get(path).text))[0]
    monkeypatch.setattr(clients_shared, "WRITES_PER_MINUTE", 0)
    answer = client.post(f"{path}/looks/{page}/heart", data={"given": "yes"})
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    monkeypatch.setattr(clients_shared, "READS_PER_MINUTE", 0)
    for url in (path, "/s/nada", f"{path}/pictures/{page}"):
        refused = client.get(url)
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 60


def test_no_log_line_holds_what_opens_a_lookbook(
    stylist: httpx.Client, client: httpx.Client, book: Book, caplog: pytest.LogCaptureFixture
) -> None:
    path = shared(stylist, book)
    with caplog.at_level(logging.DEBUG):
        page = page_ids(Document(client.get(path).text))[0]
        client.get(f"{path}/pictures/{page}")
        client.post(f"{path}/looks/{page}/comments", data={"words": "canario"})
    assert '"path": "/s/…"' in written(caplog)
    assert path.rpartition("/")[2] not in written(caplog)
    assert "canario" not in written(caplog)


def test_deleting_a_lookbook_closes_its_links(
    stylist: httpx.Client, client: httpx.Client, book: Book
) -> None:
    path = shared(stylist, book)
    assert done(stylist.post(f"{book.url}/delete")) == "lookbook-delete"
    assert client.get(path).status_code == 404
    assert sql("SELECT count(*) FROM client_looks") == 1
