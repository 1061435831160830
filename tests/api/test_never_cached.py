"""What is known of clients is kept by no cache: whichever route answers, and whatever it says."""

from uuid import uuid4

import httpx
from fastapi.routing import iter_route_contexts

from api.main import app
from tests.pictures import finished_order

PRIVATE = "private, no-store"
OF_CLIENTS = ("/api/v1/clients", "/api/v1/lookbooks", "/clients", "/lookbooks", "/s/")


def routes() -> list[tuple[str, str]]:
    """(method, path) of each, about something that does not exist."""
    found = []
    for route in iter_route_contexts(app.routes):
        path = route.path or ""
        if path.startswith(OF_CLIENTS):
            for name in ("{id}", "{order_id}", "{share_id}"):
                path = path.replace(name, str(uuid4()))
            path = path.replace("{token}", "nadie").replace("{page_id}", "1")
            found += [(method, path) for method in route.methods or () if method != "HEAD"]
    return found


def test_no_route_lets_an_answer_be_kept_and_no_refusal_either(
    client: httpx.Client, owner: httpx.Client
) -> None:
    assert len(routes()) > 35
    for method, path in routes():
        for who in (client, owner):
            answer = who.request(method, path, json={} if method in ("POST", "PUT") else None)
            assert answer.headers.get("cache-control") == PRIVATE, (method, path, answer)


def test_what_was_read_of_a_client_is_not_kept(owner: httpx.Client) -> None:
    body = {"name": "Sofía", "consents": True}
    at = f"/api/v1/clients/{owner.post('/api/v1/clients', json=body).json()['id']}"
    assert owner.put(f"{at}/looks/{finished_order()}").status_code == 204
    book = owner.post(f"{at}/lookbooks", json={"title": "Otoño"}).json()
    share = owner.post(f"/api/v1/lookbooks/{book['id']}/shares", json={"days": 1}).json()
    shared = httpx.URL(share["url"]).path
    for answer in (
        owner.get(at),
        owner.get(f"{at}/looks"),
        owner.get(f"/api/v1/lookbooks/{book['id']}"),
        owner.get(f"/api/v1/lookbooks/{book['id']}/shares/{share['id']}/qr"),
        owner.post(f"{at}/export"),
        owner.get(shared),
    ):
        assert answer.status_code == 200
        assert answer.headers.get_list("cache-control") == [PRIVATE]
