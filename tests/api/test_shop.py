"""The existing shop client's wire contract: keys, types, order, codes, and what it refuses."""

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest

from models import queue
from models.database import transaction
from tests.orders import NOBODYS, an_image, claim, sql
from tests.wire import a_photo, old_error, rows_of_orders, some_cloth

Change = Callable[..., None]


@pytest.fixture
def cloth(client: httpx.Client) -> dict[str, Any]:
    return some_cloth(client)


@pytest.fixture
def catalogue_kept(client: httpx.Client) -> Iterator[None]:
    """Whatever a test does to the statuses, every row is active again afterwards."""
    yield
    sql("UPDATE fabric_families SET status = 'active'")
    sql("UPDATE fabrics SET status = 'active'")


def ordered(client: httpx.Client, **order: Any) -> str:
    """Place an order that must be accepted; returns its id."""
    answer = client.post("/generate", json=order)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["request_id"])


def refused(client: httpx.Client, order: Any, status: int = 422) -> str:
    """Send an order that must be refused and must leave no row behind; returns the message."""
    before = rows_of_orders()
    message = old_error(client.post("/generate", json=order), status)
    assert rows_of_orders() == before
    return message


# --- GET /healthz, GET /catalog -------------------------------------------------------------------


def test_health_says_ok_and_the_version(client: httpx.Client) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"ok": True, "version": "0.1.0"})


def test_the_catalogue_has_exactly_the_contract_s_keys_and_types(client: httpx.Client) -> None:
    answer = client.get("/catalog")
    assert answer.status_code == 200
    assert list(answer.json()) == ["families"]
    families = answer.json()["families"]
    assert len(families) >= 5
    for family in families:
        assert list(family) == [
            "family_id",
            "display_name",
            "lora_id",
            "default_recipe",
            "status",
            "sort",
            "colors",
        ]
        assert family["status"] == "active"
        assert type(family["sort"]) is int
        assert family["lora_id"] is None or isinstance(family["lora_id"], str)
        assert family["default_recipe"] is None or isinstance(family["default_recipe"], str)
        assert len(family["colors"]) >= 5
        for color in family["colors"]:
            assert list(color) == ["color_id", "name", "hex", "swatch_url"]
            assert re.fullmatch(r"#[0-9A-F]{6}", color["hex"])
            assert urlsplit(color["swatch_url"]).scheme == "http"


def test_families_come_by_sort_and_then_by_name(client: httpx.Client) -> None:
    families = client.get("/catalog").json()["families"]
    places = [(family["sort"], family["display_name"]) for family in families]
    assert places == sorted(places)
    first, second = families[0]["family_id"], families[1]["family_id"]
    swap = "UPDATE fabric_families SET sort = -:sort WHERE family_id = :id"
    sql(swap, sort=2, id=second)
    try:
        now = [family["family_id"] for family in client.get("/catalog").json()["families"]]
    finally:
        sql("UPDATE fabric_families SET sort = :sort WHERE family_id = :id", sort=1, id=second)
    assert now[:2] == [second, first]


@pytest.mark.usefixtures("catalogue_kept")
def test_inactive_colours_and_families_are_not_in_the_public_catalogue(
    client: httpx.Client, cloth: dict[str, Any]
) -> None:
    other = client.get("/catalog").json()["families"][1]["family_id"]
    sql("UPDATE fabrics SET status = 'inactive' WHERE color_id = :id", id=cloth["color_id"])
    sql("UPDATE fabric_families SET status = 'inactive' WHERE family_id = :id", id=other)
    families = client.get("/catalog").json()["families"]
    assert other not in [family["family_id"] for family in families]
    shown = [color["color_id"] for family in families for color in family["colors"]]
    assert shown
    assert cloth["color_id"] not in shown


def test_catalogue_swatches_can_be_fetched_from_the_url_that_the_catalogue_gives(
    client: httpx.Client,
) -> None:
    color = client.get("/catalog").json()["families"][0]["colors"][0]
    answer = client.get(color["swatch_url"])
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"


@pytest.mark.parametrize("base", ["https://sastre.example", "https://sastre.example/files/"])
def test_the_public_base_url_is_joined_without_saying_files_twice(
    client: httpx.Client, setting: Change, base: str
) -> None:
    setting(public_base_url=base)
    url = client.get("/catalog").json()["families"][0]["colors"][0]["swatch_url"]
    assert re.fullmatch(r"https://sastre\.example/files/catalogue/[^/]+\.png", url)


# --- POST /generate and GET /jobs/{id} ------------------------------------------------------------


def test_an_order_is_answered_with_201_and_exactly_these_keys(
    client: httpx.Client, cloth: dict[str, Any]
) -> None:
    answer = client.post("/generate", json=cloth)
    assert answer.status_code == 201
    body = answer.json()
    assert list(body) == ["request_id", "status", "images", "duration_ms", "meta"]
    UUID(body["request_id"])
    assert (body["status"], body["images"], body["duration_ms"]) == ("pending", [], None)
    assert list(body["meta"]) == ["message"]
    assert isinstance(body["meta"]["message"], str)


def test_cuts_and_quality_have_the_old_defaults(
    client: httpx.Client, cloth: dict[str, Any]
) -> None:
    id = ordered(client, **cloth)
    assert sql("SELECT cuts FROM generations WHERE id = :id", id=id) == ["recto", "cruzado"]
    assert sql("SELECT quality FROM generations WHERE id = :id", id=id) == "final"


def test_an_order_of_two_cuts_comes_back_as_two_pictures_with_their_true_size(
    client: httpx.Client, cloth: dict[str, Any], work: Callable[[], int]
) -> None:
    id = ordered(client, **cloth, cuts=["cruzado", "recto"], seed=7)
    assert work() == 2
    job: dict[str, Any] = client.get(f"/jobs/{id}").json()
    assert list(job) == ["request_id", "status", "images", "duration_ms", "meta"]
    assert (job["request_id"], job["status"]) == (id, "completed")
    assert [image["cut"] for image in job["images"]] == ["cruzado", "recto"]
    assert type(job["duration_ms"]) is int
    for image in job["images"]:
        assert list(image) == ["cut", "url", "width", "height", "watermark", "meta"]
        assert (image["width"], image["height"]) == (1024, 1536)
        assert image["watermark"] is True
        assert image["meta"]["seed"] == "7"
        assert all(isinstance(value, str) for value in image["meta"].values())
        picture = client.get(image["url"])
        assert picture.status_code == 200
        assert picture.headers["content-type"].startswith("image/")
    assert all(isinstance(value, str) for value in job["meta"].values())


def test_the_duration_is_from_start_to_finish_and_does_not_count_the_wait(
    client: httpx.Client, cloth: dict[str, Any]
) -> None:
    id = ordered(client, **cloth, cuts=["recto"])
    held = claim()
    with transaction() as session:
        queue.complete(session, held, an_image(held))
    sql(
        "UPDATE jobs SET started_at = settled_at - interval '1234 ms',"
        " created_at = settled_at - interval '1 h' WHERE generation_id = :id",
        id=id,
    )
    assert client.get(f"/jobs/{id}").json()["duration_ms"] == 1234


def test_a_job_that_waits_is_pending_and_one_that_a_worker_holds_is_processing(
    client: httpx.Client, cloth: dict[str, Any]
) -> None:
    id = ordered(client, **cloth)
    assert client.get(f"/jobs/{id}").json()["status"] == "pending"
    claim()
    job = client.get(f"/jobs/{id}").json()
    assert (job["status"], job["images"], job["duration_ms"]) == ("processing", [], None)
    assert "error" not in job["meta"]


def test_one_failed_cut_leaves_the_other_its_own_label(
    client: httpx.Client, cloth: dict[str, Any]
) -> None:
    id = ordered(client, **cloth)
    lost, kept = claim(), claim()
    with transaction() as session:
        queue.fail(session, lost, "swatch-unreadable", "La muestra no se puede leer.")
        queue.complete(session, kept, an_image(kept))
    job = client.get(f"/jobs/{id}").json()
    assert (lost.letter.cut, kept.letter.cut) == ("recto", "cruzado")
    assert job["status"] == "completed"
    assert [image["cut"] for image in job["images"]] == ["cruzado"]
    assert job["meta"]["error"] == "Recto: La muestra no se puede leer."


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("storage-error", "cannot store renders/x: No space left on device"),
        ("engine-failed", "the picture could not be encoded"),
        ("engine-failed", "RuntimeError: CUDA error: device-side assert triggered"),
    ],
)
def test_what_broke_on_our_side_is_told_in_a_plain_sentence(
    client: httpx.Client, cloth: dict[str, Any], code: str, words: str
) -> None:
    id = ordered(client, **cloth, cuts=["recto"])
    held = claim()
    with transaction() as session:
        queue.fail(session, held, code, words)
    job = client.get(f"/jobs/{id}").json()
    assert (job["status"], job["images"]) == ("failed", [])
    assert job["meta"]["error"] == "Recto: El dibujo falló por un problema nuestro."


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("canceled", "El pedido se canceló."),
        ("expired", "El pedido venció sin empezar."),
    ],
)
def test_other_ends_are_told_as_failed_with_the_reason_in_meta(
    client: httpx.Client, cloth: dict[str, Any], end: str, words: str
) -> None:
    id = ordered(client, **cloth)
    sql(
        "UPDATE jobs SET status = :end, settled_at = clock_timestamp() WHERE generation_id = :id",
        end=end,
        id=id,
    )
    job = client.get(f"/jobs/{id}").json()
    assert (job["status"], job["meta"]["error"]) == ("failed", words)


@pytest.mark.parametrize("id", [NOBODYS, "1", "no-soy-un-pedido", "%00", "x" * 3000])
def test_an_unknown_job_is_404(client: httpx.Client, id: str) -> None:
    old_error(client.get(f"/jobs/{id}"), 404)


def test_polling_is_never_rate_limited(
    client: httpx.Client, cloth: dict[str, Any], setting: Change
) -> None:
    id = ordered(client, **cloth)
    setting(orders_per_minute=1, uploads_per_minute=1)
    assert {client.get(f"/jobs/{id}").status_code for _ in range(50)} == {200}


# --- what /generate refuses, and enqueues nothing -------------------------------------------------


BAD_ORDERS: list[tuple[dict[str, Any], str | None]] = [
    ({"color_id": "no-existe"}, "color_id"),
    ({"color_id": "a\x00b"}, None),
    ({"color_id": "x" * 101}, "color_id"),
    ({"color_id": 5}, "color_id"),
    ({"color_id": None}, "color_id"),
    ({"family_id": "no-existe"}, "family_id"),
    ({"family_id": "seda-lux"}, "family_id"),
    ({"family_id": ""}, "family_id"),
    ({"cuts": []}, "cuts"),
    ({"cuts": ["recto", "recto"]}, "cuts"),
    ({"cuts": ["smoking"]}, "cuts/0"),
    ({"cuts": ["recto", "../recto"]}, "cuts/1"),
    ({"cuts": ["recto", "cruzado", "smoking"]}, "cuts"),
    ({"cuts": ["recto"] * 17}, "cuts"),
    ({"cuts": "recto"}, "cuts"),
    ({"cuts": None}, "cuts"),
    ({"cuts": [None]}, "cuts/0"),
    ({"seed": -1}, "seed"),
    ({"seed": 2**32}, "seed"),
    ({"seed": 10**400}, "seed"),
    ({"seed": 1.5}, "seed"),
    ({"seed": "azul"}, "seed"),
    ({"quality": "banana"}, "quality"),
    ({"quality": "draft"}, "quality"),
    ({"quality": None}, "quality"),
    ({"swatch_url": 7}, "swatch_url"),
    ({"swatch_url": "x" * 2001}, "swatch_url"),
]


def test_a_bad_order_is_refused_and_nothing_is_enqueued(
    client: httpx.Client, cloth: dict[str, Any]
) -> None:
    before = rows_of_orders()
    for change, field in BAD_ORDERS:
        answer = client.post("/generate", json=cloth | change)
        old_error(answer, 422)
        details = answer.json()["error"].get("details", [])
        assert field is None or f"/{field}" in [detail["pointer"] for detail in details], change
    assert rows_of_orders() == before


@pytest.mark.parametrize("missing", ["family_id", "color_id"])
def test_both_ids_are_needed(client: httpx.Client, cloth: dict[str, Any], missing: str) -> None:
    refused(client, {name: value for name, value in cloth.items() if name != missing})


@pytest.mark.usefixtures("catalogue_kept")
@pytest.mark.parametrize(
    "hide",
    [
        "UPDATE fabrics SET status = 'inactive' WHERE color_id = :color_id",
        "UPDATE fabric_families SET status = 'inactive' WHERE family_id = :family_id",
    ],
)
def test_a_colour_that_is_not_on_sale_is_refused(
    client: httpx.Client, cloth: dict[str, Any], hide: str
) -> None:
    sql(hide, **{name: value for name, value in cloth.items() if f":{name}" in hide})
    assert "no está disponible" in refused(client, cloth)


@pytest.mark.parametrize("seed", [0, 2**31, 2**32 - 1])
def test_seeds_up_to_32_bits_are_accepted_and_come_back(
    client: httpx.Client, cloth: dict[str, Any], seed: int
) -> None:
    id = ordered(client, **cloth, seed=seed)
    assert client.get(f"/jobs/{id}").json()["meta"]["seed"] == str(seed)


def test_an_order_without_a_seed_gets_one_that_is_told(
    client: httpx.Client, cloth: dict[str, Any]
) -> None:
    seeds = {
        client.get(f"/jobs/{ordered(client, **cloth, seed=None)}").json()["meta"]["seed"]
        for _ in range(3)
    }
    assert len(seeds) == 3


def test_orders_above_the_limit_of_the_address_are_429_and_enqueue_nothing(
    client: httpx.Client, cloth: dict[str, Any], setting: Change
) -> None:
    setting(orders_per_minute=2)
    sql("DELETE FROM hits")
    answers = [client.post("/generate", json=cloth) for _ in range(6)]
    accepted = [answer for answer in answers if answer.status_code == 201]
    assert len(accepted) in (2, 4)  # 4 when the minute ended in between
    assert rows_of_orders() == (len(accepted), 2 * len(accepted))
    old_error(answers[-1], 429)
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60


def test_orders_above_the_queue_s_cap_are_429_and_enqueue_nothing(
    client: httpx.Client, cloth: dict[str, Any], setting: Change
) -> None:
    ordered(client, **cloth)
    setting(queue_cap=2)
    before = rows_of_orders()
    answer = client.post("/generate", json=cloth)
    old_error(answer, 429)
    assert int(answer.headers["retry-after"]) >= 1
    assert rows_of_orders() == before


def test_the_limit_counts_clients_behind_our_own_proxy_apart(
    client: httpx.Client, cloth: dict[str, Any], setting: Change
) -> None:
    setting(orders_per_minute=1, trusted_proxy_hops=1)
    sql("DELETE FROM hits")
    spoofed = {"X-Forwarded-For": "9.9.9.9, 10.0.0.1"}  # only the last entry is our proxy's word
    other = {"X-Forwarded-For": "9.9.9.9, 10.0.0.2"}
    assert client.post("/generate", json=cloth, headers=spoofed).status_code == 201
    assert client.post("/generate", json=cloth, headers=other).status_code == 201
    counted = sql("SELECT array_agg(DISTINCT subject ORDER BY subject) FROM hits")
    assert counted == ["order:10.0.0.1", "order:10.0.0.2"]


# --- swatch_url -----------------------------------------------------------------------------------


def uploaded(client: httpx.Client) -> str:
    answer = client.post("/upload-swatch", files={"file": ("tela.png", a_photo(), "image/png")})
    assert answer.status_code == 200
    return str(answer.json()["swatch_url"])


def letter_key(id: str) -> str:
    """The storage key that the worker will read for this order."""
    query = "SELECT letter->>'swatch_key' FROM jobs WHERE generation_id = :id LIMIT 1"
    key = sql(query, id=id)
    assert isinstance(key, str)
    return key


def own_url(client: httpx.Client, cloth: dict[str, Any]) -> str:
    return str(client.get("/catalog").json()["families"][0]["colors"][0]["swatch_url"])


@pytest.mark.parametrize("query", ["", "?expires=1&signature=caducada", "#trama"])
def test_the_catalogue_s_own_url_is_accepted_with_any_query(
    client: httpx.Client, cloth: dict[str, Any], query: str
) -> None:
    id = ordered(client, **cloth, swatch_url=own_url(client, cloth) + query)
    assert sql("SELECT uploaded_swatch FROM generations WHERE id = :id", id=id) is False
    assert letter_key(id) in own_url(client, cloth)


def test_an_uploaded_swatch_is_what_the_worker_gets(
    client: httpx.Client, cloth: dict[str, Any]
) -> None:
    url = uploaded(client)
    id = ordered(client, **cloth, swatch_url=url)
    assert urlsplit(url).path == f"/files/{letter_key(id)}"
    assert sql("SELECT uploaded_swatch FROM generations WHERE id = :id", id=id) is True


def test_an_upload_is_accepted_with_a_stale_signature_as_well(
    client: httpx.Client, cloth: dict[str, Any]
) -> None:
    bare = uploaded(client).partition("?")[0]
    assert letter_key(ordered(client, **cloth, swatch_url=bare)) in bare


def test_the_catalogue_url_of_another_colour_is_refused(
    client: httpx.Client, cloth: dict[str, Any]
) -> None:
    other = client.get("/catalog").json()["families"][0]["colors"][1]["swatch_url"]
    assert "otra tela" in refused(client, cloth | {"swatch_url": other})


def test_two_colours_may_share_one_swatch_and_both_can_be_ordered(client: httpx.Client) -> None:
    family = client.get("/catalog").json()["families"][0]
    first, second = (color["color_id"] for color in family["colors"][:2])
    query = "SELECT swatch_key FROM fabrics WHERE color_id = :id"
    keys = sql(query, id=first), sql(query, id=second)
    share = "UPDATE fabrics SET swatch_key = :key WHERE color_id = :id"
    sql(share, key=keys[0], id=second)
    try:
        for color_id in (first, second):
            order = {"family_id": family["family_id"], "color_id": color_id}
            ordered(client, **order, swatch_url=family["colors"][0]["swatch_url"])
    finally:
        sql(share, key=keys[1], id=second)


def test_an_expired_upload_is_refused(client: httpx.Client, cloth: dict[str, Any]) -> None:
    url = uploaded(client)
    sql("UPDATE swatches SET expires_at = now() - interval '1 second'")
    assert "vuelve a subir" in refused(client, cloth | {"swatch_url": url})


FOREIGN = [
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "/etc/passwd",
    "http://169.254.169.254/latest/meta-data/",
    "HTTP://169.254.169.254/files/{key}",
    "http://otra.example/files/{key}",
    "https://{host}/files/{key}",
    "ftp://{host}/files/{key}",
    "//{host}/files/{key}",
    "/files/{key}",
    "{key}",
    "http://{name}:1/files/{key}",
    "http://{name}/files/{key}",
    "http://{host}@otra.example/files/{key}",
    "http://otra.example@{host}/files/{key}",
    "http://{host}.otra.example/files/{key}",
    "http://otra.example#@{host}/files/{key}",
    "http://otra.example\\@{host}/files/{key}",
    "http://{host}/files/../{key}",
    "http://{host}/files/x/../{key}",
    "http://{host}/files/..%2f{key}",
    "http://{host}/files//{key}",
    "http://{host}/files/{key}/",
    "http://{host}/archivos/{key}",
    "http://{host}/files/",
    "http://{host}/files/no-existe.jpg",
    "http://{host}/files/{key}%00",
    "http://{host}/files/{key}\x00",
    "http://[/files/{key}",
    "http://[::1",
    "http://\u2100.example/files/{key}",
    "data:image/png;base64,AAAA",
    "javascript:alert(1)",
    "",
    " ",
]


def test_a_foreign_swatch_address_is_refused_and_nothing_is_enqueued(
    client: httpx.Client, cloth: dict[str, Any]
) -> None:
    ours = urlsplit(uploaded(client))
    key = ours.path.removeprefix("/files/")
    before = rows_of_orders()
    for address in FOREIGN:
        url = address.format(host=ours.netloc, name=ours.hostname, key=key)
        answer = client.post("/generate", json=cloth | {"swatch_url": url})
        assert answer.status_code == 422, url
        old_error(answer, 422)
    assert rows_of_orders() == before


def test_another_host_s_address_is_refused_even_when_the_request_names_that_host(
    client: httpx.Client, cloth: dict[str, Any], setting: Change
) -> None:
    setting(public_base_url="https://sastre.example")
    key = urlsplit(uploaded(client)).path
    order = cloth | {"swatch_url": f"http://mala.example{key}"}
    before = rows_of_orders()
    old_error(client.post("/generate", json=order, headers={"Host": "mala.example"}), 422)
    assert rows_of_orders() == before
