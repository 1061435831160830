"""What a swatch shows, as the JSON API and the fabric's page in the console tell it."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from models import profiles, queue
from models.database import transaction
from models.profiles import Profile, Tint
from tests.console import Document, signed_in
from tests.orders import sql
from tests.wire import a_photo

SEEN = Profile(
    ground=Tint(hex="#22304F", share=0.9),
    accents=[Tint(hex="#C9CDD4", share=0.1)],
    weave="stripe",
    confidence=0.87,
    repeat_across_px=53.4,
    repeat_down_px=None,
    repeat_across_mm=13.3,
    repeat_down_mm=None,
    angle_deg=90.0,
    degraded=[],
)
BLANK = '{"ground": {}, "weave": ""}'


@pytest.fixture
def fabric(clean: None) -> Iterator[int]:
    """A fabric that is the only one to wait for its profile."""
    id: int = sql("SELECT min(id) FROM fabrics")
    sql(f"UPDATE fabrics SET profile = '{BLANK}' WHERE id <> :id", id=id)
    yield id
    sql("UPDATE fabrics SET profile = NULL")


def settle(failed: bool = False) -> None:
    """A worker reads what waits; each shows SEEN."""
    with transaction() as session:
        profiles.enqueue_unread(session, quiet_seconds=0)
        held = profiles.claim(session, "a")
        assert held is not None
        if failed:
            queue.fail(session, held, "swatch-unreadable", "La imagen está dañada.")
        else:
            profiles.complete(session, held, SEEN)


def upload(client: httpx.Client) -> dict[str, Any]:
    files = {"file": ("tela.png", a_photo(), "image/png")}
    answer = client.post("/api/v1/swatches", files=files, data={"width_mm": "80"})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_a_fabric_tells_its_profile_once_it_is_read(owner: httpx.Client, fabric: int) -> None:
    address = f"/api/v1/fabrics/{fabric}"
    before = owner.get(address).json()
    assert (before["profile"], before["profile_error"]) == (None, None)
    settle()
    after = owner.get(address).json()
    assert after["profile"] == SEEN.model_dump()
    assert after["updated_at"] == before["updated_at"]


def test_a_fabric_tells_why_it_could_not_be_read(owner: httpx.Client, fabric: int) -> None:
    settle(failed=True)
    told = owner.get(f"/api/v1/fabrics/{fabric}").json()
    assert told["profile"] is None
    assert told["profile_error"] == {
        "code": "swatch-unreadable",
        "detail": "La imagen está dañada.",
    }


def test_lists_of_fabrics_tell_no_profiles(owner: httpx.Client, fabric: int) -> None:
    listed = owner.get("/api/v1/fabrics").json()
    assert listed
    assert all("profile" not in row for row in listed)


def test_an_upload_can_be_read_again_with_its_profile(client: httpx.Client, fabric: int) -> None:
    sql(f"UPDATE fabrics SET profile = '{BLANK}'")
    uploaded = upload(client)
    address = f"/api/v1/swatches/{uploaded['id']}"
    waiting = client.get(address)
    assert waiting.status_code == 200
    assert waiting.json() == uploaded | {"profile": None, "profile_error": None}
    settle()
    told = client.get(address).json()
    assert told["profile"] == SEEN.model_dump()
    assert (told["width_mm"], told["expires_at"]) == (80, uploaded["expires_at"])


def test_an_upload_that_is_not_there_is_not_found(client: httpx.Client) -> None:
    answer = client.get("/api/v1/swatches/00000000-0000-7000-8000-000000000000")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


# --- the console ----------------------------------------------------------------------------------


def page_of(base_url: str, fabric: int, lang: str = "es") -> Document:
    with signed_in(base_url) as browser:
        answer = browser.get(f"/console/catalogue/fabrics/{fabric}?lang={lang}")
    assert answer.status_code == 200, answer.text
    return Document(answer.text)


def test_the_fabric_s_page_shows_ground_accents_and_weave(base_url: str, fabric: int) -> None:
    settle()
    page = page_of(base_url, fabric)
    filled = [rect["fill"] for rect in page.all("rect") if rect.get("fill", "").startswith("#")]
    assert [SEEN.ground.hex, SEEN.accents[0].hex] == filled[:2]
    words = " ".join(page.words.split())
    for told in ("Fondo #22304F · 90 %", "Acento #C9CDD4 · 10 %", "Raya 87 % de certeza"):
        assert told in words
    assert "13.3 mm a lo ancho" in words
    assert "90°" in words


def test_the_page_speaks_english_too(base_url: str, fabric: int) -> None:
    settle()
    words = " ".join(page_of(base_url, fabric, "en").words.split())
    assert "Ground #22304F · 90 %" in words
    assert "Stripe 87 % sure" in words
    assert "13.3 mm across" in words


def test_the_page_says_that_a_swatch_is_not_read_yet(base_url: str, fabric: int) -> None:
    assert "Un taller libre leerá sus colores" in page_of(base_url, fabric).words


def test_the_page_says_why_a_swatch_could_not_be_read(base_url: str, fabric: int) -> None:
    settle(failed=True)
    words = page_of(base_url, fabric).words
    assert "No se pudo leer la muestra. La imagen está dañada." in words
    assert "swatch-unreadable" in words
