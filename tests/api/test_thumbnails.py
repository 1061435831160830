"""Thumbnails: a picture in small, for who may see it, and for as long as it is there."""

import io
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID, uuid4

import httpx
import pytest
from PIL import Image

from api import thumbnails
from models import queue
from models.database import transaction
from models.errors import StorageError
from models.storage import storage
from tests.orders import an_image, claim, place, sql
from tests.wire import a_photo, problem


@pytest.fixture
def image(client: httpx.Client) -> UUID:
    """A published picture of the size that the engines make."""
    place()
    held = claim()
    published = replace(an_image(held), width_px=1024, height_px=1536)
    photo = a_photo("#883311", size=(1024, 1536), kind="JPEG")
    storage().put(published.object_key, photo, "image/jpeg")
    with transaction() as session:
        queue.complete(session, held, published)
    id = sql("SELECT id FROM images")
    assert isinstance(id, UUID)
    return id


def test_a_picture_is_shown_in_small_with_its_shape_and_colour(
    client: httpx.Client, image: UUID
) -> None:
    for _ in range(2):  # made, then kept
        answer = client.get(thumbnails.url(image))
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["cache-control"].startswith("private")
        with Image.open(io.BytesIO(answer.content)) as small:
            assert small.size == (480, 720)
            pixel = small.convert("RGB").getpixel((240, 360))
        assert isinstance(pixel, tuple)
        assert max(abs(a - b) for a, b in zip(pixel, (0x88, 0x33, 0x11), strict=True)) <= 3


def test_what_is_small_already_is_not_enlarged() -> None:
    content = thumbnails.in_small(a_photo(size=(64, 96), kind="JPEG"))
    with Image.open(io.BytesIO(content)) as small:
        assert small.size == (64, 96)


def test_an_erased_picture_has_none_though_it_was_looked_at(
    client: httpx.Client, image: UUID
) -> None:
    assert client.get(thumbnails.url(image)).status_code == 200
    sql("DELETE FROM jobs")
    sql("DELETE FROM images")
    assert problem(client.get(thumbnails.url(image)), 404) == "not-found"
    assert problem(client.get(thumbnails.url(uuid4())), 404) == "not-found"


def test_bytes_that_are_no_picture_are_the_stores_fault() -> None:
    for content in (b"", b"no picture", a_photo(kind="JPEG")[:40]):
        with pytest.raises(StorageError):
            thumbnails.in_small(content)


def test_a_closed_shop_shows_them_to_staff_only(
    client: httpx.Client, owner: httpx.Client, image: UUID, setting: Callable[..., None]
) -> None:
    setting(shop_access="token")
    assert problem(client.get(thumbnails.url(image)), 401) == "unauthorized"
    assert owner.get(thumbnails.url(image)).status_code == 200
