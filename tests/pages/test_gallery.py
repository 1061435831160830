"""The gallery: everything made, newest first, page by page; stars; pictures side by side."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest

from api.pages import gallery as pages
from tests.orders import place, sql

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def made(work: Callable[[], int]) -> list[UUID]:
    """Three orders of one cut with their pictures, the newest first."""
    ids = [place(cuts=("recto",), noise_seed=seed) for seed in (1, 2, 3)]
    assert work() >= 3
    return ids[::-1]


def image_of(order: UUID) -> UUID:
    found = sql(f"SELECT image_id FROM jobs WHERE generation_id = '{order}' AND stage = 'final'")
    assert isinstance(found, UUID)
    return found


def shown(html: str) -> list[UUID]:
    """The orders whose pictures a page shows, in its order."""
    return [UUID(id) for id in re.findall(r'class="picture-open" href="/\?orden=([\w-]+)"', html)]


def compared(html: str) -> list[UUID]:
    links = re.findall(r'class="picture-cloth"><a href="/\?orden=([\w-]+)"', html)
    return [UUID(id) for id in links]


def test_the_newest_is_first(client: httpx.Client, made: list[UUID]) -> None:
    assert shown(client.get("/gallery").text) == made


def test_an_order_without_a_picture_is_not_there(client: httpx.Client) -> None:
    place()
    assert "Todavía no se ha hecho ningún traje." in client.get("/gallery").text


def test_pages_neither_repeat_nor_hide_what_is_made_meanwhile(
    client: httpx.Client,
    made: list[UUID],
    work: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pages, "ORDERS_ON_A_PAGE", 2)
    first = client.get("/gallery").text
    assert shown(first) == made[:2]
    place(cuts=("recto",), noise_seed=4)
    work()
    next_page = re.search(r'href="(/gallery\?before=[\w-]+)"', first)
    assert next_page
    assert shown(client.get(next_page[1]).text) == made[2:]


def test_a_cloth_is_found_without_its_accents(client: httpx.Client, made: list[UUID]) -> None:
    sql(f"UPDATE generations SET fabric_name = 'Páramo Espiga' WHERE id = '{made[1]}' RETURNING 1")
    assert shown(client.get("/gallery", params={"q": "paramo ES"}).text) == [made[1]]
    assert "Ningún traje con esos filtros." in client.get("/gallery?q=zzz").text


def test_pictures_are_shown_in_small_and_opened_whole(
    client: httpx.Client, made: list[UUID]
) -> None:
    html = client.get("/gallery").text
    small = re.findall(r'<img src="(/api/v1/images/[\w-]+/thumbnail)"', html)
    whole = re.findall(r'data-url="([^"]+)"', html)
    assert len(small) == len(whole) == len(made)
    pictures = [client.get(url.replace("&amp;", "&")).content for url in (small[0], whole[0])]
    assert len(pictures[0]) < 50_000 < len(pictures[1])


def test_who_keeps_the_book_finds_a_clients_pictures(owner: httpx.Client, made: list[UUID]) -> None:
    body = {"name": "Sofía Núñez", "phone": "55 1234 5678", "consents": True}
    sofia = owner.post("/api/v1/clients", json=body).json()["id"]
    owner.put(f"/api/v1/clients/{sofia}/looks/{made[1]}").raise_for_status()
    for words in ("nunez", "NÚÑ sof", "5512"):
        assert shown(owner.get("/gallery", params={"client": words}).text) == [made[1]]
    assert shown(owner.get("/gallery?client=luis").text) == []
    assert 'name="client"' in owner.get("/gallery").text


def test_whose_book_a_picture_is_in_is_told_to_nobody_else(
    client: httpx.Client, made: list[UUID]
) -> None:
    assert 'name="client"' not in client.get("/gallery").text
    refused = client.get("/gallery?client=nunez")
    assert refused.status_code == 403
    assert shown(refused.text) == []


def test_days_are_whole_and_include_both_ends(client: httpx.Client, made: list[UUID]) -> None:
    day = datetime.now(UTC).date() - timedelta(days=9)
    late = f"{day} 23:59:59+00"
    sql(f"UPDATE generations SET created_at = '{late}' WHERE id = '{made[2]}' RETURNING 1")
    asked = {"since": str(day), "until": str(day)}
    assert shown(client.get("/gallery", params=asked).text) == [made[2]]
    assert made[2] not in shown(client.get("/gallery?since=" + str(day + timedelta(1))).text)


@pytest.mark.parametrize(
    "query", ["since=9999-99-99", "before=nonsense", "until=%00", "q=%00", "starred=xx", "q='--"]
)
def test_nonsense_in_the_address_filters_nothing_and_breaks_nothing(
    client: httpx.Client, query: str
) -> None:
    assert client.get(f"/gallery?{query}").status_code < 500


def test_a_star_is_kept_and_found_again(client: httpx.Client, made: list[UUID]) -> None:
    image = image_of(made[1])
    for _ in range(2):
        assert client.put(f"/api/v1/images/{image}/star").status_code == 204
    page = client.get("/gallery?starred=1").text
    assert shown(page) == [made[1]]
    assert f'data-star="{image}" aria-pressed="true"' in page
    for _ in range(2):
        assert client.delete(f"/api/v1/images/{image}/star").status_code == 204
    assert shown(client.get("/gallery?starred=1").text) == []


def test_what_does_not_exist_gets_no_star(client: httpx.Client) -> None:
    assert client.put(f"/api/v1/images/{uuid4()}/star").status_code == 404


def test_a_star_goes_with_its_picture(client: httpx.Client, made: list[UUID]) -> None:
    image = image_of(made[0])
    client.put(f"/api/v1/images/{image}/star")
    sql(f"DELETE FROM jobs WHERE image_id = '{image}' RETURNING 1")
    sql(f"DELETE FROM images WHERE id = '{image}' RETURNING 1")
    assert sql("SELECT count(*) FROM stars") == 0


def test_pictures_are_compared_in_the_order_of_the_address(
    client: httpx.Client, made: list[UUID]
) -> None:
    asked = [made[2], made[0]]
    images = [str(image_of(order)) for order in asked]
    html = client.get("/gallery/compare", params={"image": [*images, str(uuid4()), "x"]}).text
    assert compared(html) == asked
    assert 'data-count="2"' in html
    assert "Deslizar" in html
    code, composition = sql(
        "SELECT ARRAY[f.swatch_code, f.composition] FROM fabrics f"
        f" JOIN generations g ON g.color_id = f.color_id WHERE g.id = '{made[0]}'"
    )
    assert html.count(f"Recto · <span>{code}</span> · <span>") == 2
    assert html.count(f">{composition}</p>") == 2
    assert f'href="/clients?look={made[0]}"' in html


def test_one_picture_is_not_compared(client: httpx.Client, made: list[UUID]) -> None:
    image = image_of(made[0])
    for images in ([], [image], [image, image]):
        html = client.get("/gallery/compare", params={"image": [str(id) for id in images]}).text
        assert "hacen falta al menos dos" in html


def test_no_more_than_four_are_compared(client: httpx.Client, work: Callable[[], int]) -> None:
    orders = [place(cuts=("recto",), noise_seed=seed) for seed in range(5)]
    work()
    params = {"image": [str(image_of(order)) for order in orders]}
    assert compared(client.get("/gallery/compare", params=params).text) == orders[:4]


def test_each_picture_says_how_true_it_is(client: httpx.Client, made: list[UUID]) -> None:
    html = client.get("/gallery").text
    assert html.count('<p class="truth truth-green">') == len(made)
    assert len(re.findall(r"ΔE \d\.\d", html)) == len(made)


def test_a_closed_shop_shows_its_gallery_to_staff_only(
    client: httpx.Client, owner: httpx.Client, setting: Callable[..., None]
) -> None:
    setting(shop_access="token")
    refused = client.get("/gallery?q=azul")
    assert refused.status_code == 303
    assert refused.headers["location"] == "/console/sign-in?next=%2Fgallery%3Fq%3Dazul"
    assert owner.get("/gallery").status_code == 200
    assert client.put(f"/api/v1/images/{uuid4()}/star").status_code == 401


def test_the_gallery_speaks_english_too(client: httpx.Client, made: list[UUID]) -> None:
    html = client.get("/gallery", headers={"Accept-Language": "en"}).text
    assert "Single-breasted" in html
    assert "Colour true" in html
    assert "Galería" not in html
