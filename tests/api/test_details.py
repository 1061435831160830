"""/api/v1/images/{id}/detail: the suit of a picture again, twice as large, in the same cloth."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.orders import NOBODYS, sql
from tests.wire import problem, some_cloth

Work = Callable[[], int]


@pytest.fixture
def picture(client: httpx.Client, work: Work) -> dict[str, Any]:
    """Of an order that a worker has rendered."""
    order = {"color_id": some_cloth(client)["color_id"], "cuts": ["recto", "cruzado"]}
    placed = client.post("/api/v1/generations", json=order).json()
    work()
    images = client.get(placed["urls"]["self"]).json()["images"]
    found: dict[str, Any] = next(image for image in images if image["cut"] == "cruzado")
    return found


def in_detail(client: httpx.Client, picture: dict[str, Any], key: str | None = None) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    answer = client.post(f"/api/v1/images/{picture['id']}/detail", headers=headers)
    assert answer.status_code == 202, answer.text
    return answer.json()


def test_a_picture_in_detail_is_the_same_suit_twice_as_large(
    client: httpx.Client, picture: dict[str, Any], work: Work
) -> None:
    placed = in_detail(client, picture)
    assert (placed["quality"], [cut["cut"] for cut in placed["cuts"]]) == ("detail", ["cruzado"])
    letters = "SELECT letter::jsonb - '{width_px,height_px,stage}'::text[] FROM jobs WHERE "
    of_picture = sql(f"{letters} image_id = :id", id=picture["id"])
    assert sql(f"{letters} generation_id = :id", id=placed["id"]) == of_picture
    work()
    [image] = client.get(placed["urls"]["self"]).json()["images"]
    assert (image["width"], image["height"]) == (2 * picture["width"], 2 * picture["height"])
    assert image["truth"]["grade"] == "green"


def test_a_picture_in_detail_is_not_one_more_in_the_gallery(
    client: httpx.Client, picture: dict[str, Any], work: Work
) -> None:
    before = client.get("/gallery").text.count('class="picture-open"')
    in_detail(client, picture)
    work()
    assert client.get("/gallery").text.count('class="picture-open"') == before == 2


def test_the_same_key_asks_for_the_same_detail(
    client: httpx.Client, picture: dict[str, Any]
) -> None:
    key = str(uuid4())
    assert in_detail(client, picture, key)["id"] == in_detail(client, picture, key)["id"]
    assert in_detail(client, picture)["id"] != in_detail(client, picture, key)["id"]


def test_a_key_that_was_used_for_another_order_is_refused(
    client: httpx.Client, picture: dict[str, Any]
) -> None:
    key = str(uuid4())
    order = {"color_id": some_cloth(client)["color_id"], "cuts": ["recto"]}
    client.post("/api/v1/generations", json=order, headers={"Idempotency-Key": key})
    url = f"/api/v1/images/{picture['id']}/detail"
    refused = client.post(url, headers={"Idempotency-Key": key})
    assert problem(refused, 422) == "idempotency-mismatch"


def test_a_picture_that_does_not_exist_has_no_detail(client: httpx.Client) -> None:
    assert client.post(f"/api/v1/images/{NOBODYS}/detail").status_code == 404
    assert sql("SELECT count(*) FROM jobs") == 0


def test_a_picture_that_equal_orders_share_is_drawn_in_detail_in_the_cloth_of_the_newest(
    client: httpx.Client, picture: dict[str, Any], work: Work, setting: Callable[..., None]
) -> None:
    """The same photo may have been uploaded twice: the older copy is swept first."""
    setting(share_results="true")
    order = {"color_id": some_cloth(client)["color_id"], "cuts": ["cruzado"]}
    newest = client.post("/api/v1/generations", json=order).json()
    assert newest["images"][0]["id"] == picture["id"]
    sql(
        'UPDATE jobs SET letter = CAST(letter AS jsonb) || \'{"swatch_key": "swatches/new.jpg"}\''
        " WHERE generation_id = :id",
        id=newest["id"],
    )
    placed = in_detail(client, picture)
    key = "SELECT letter->>'swatch_key' FROM jobs WHERE generation_id = :id"
    assert sql(key, id=placed["id"]) == "swatches/new.jpg"
