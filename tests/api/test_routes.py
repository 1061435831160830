"""Every route of the application: who may use it, and that no value sent to it breaks it.

A route that is not in the table below fails the test: somebody has to say who may use it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from api.auth import PERMISSIONS, make_token
from api.main import app
from models import accounts
from models.database import transaction
from tests.orders import sql
from tests.wire import a_photo

PUBLIC = "public"
PLACE, READ, WRITE = "orders:place", "orders:read", "orders:write"
SEE, EDIT = "catalogue:read", "catalogue:write"
WATCH, RUN = "operations:read", "operations:write"
PEOPLE = "people:manage"
CLIENTS = "clients:manage"


@dataclass(frozen=True)
class Shop:
    """A shop route: open to everybody where SHOP_ACCESS is open, else it needs the permission."""

    permission: str


TABLE: dict[str, str | Shop] = {
    "GET /openapi.json": PUBLIC,
    "GET /": Shop(SEE),
    "GET /g/{id}": PUBLIC,  # it leads to the floor, which asks
    "GET /gallery": Shop(READ),
    "GET /gallery/compare": Shop(READ),
    "GET /static/{version}/{name:path}": PUBLIC,
    "GET /healthz": PUBLIC,
    "GET /livez": PUBLIC,
    "GET /readyz": PUBLIC,
    "GET /health": PUBLIC,
    "GET /admin/health": PUBLIC,
    "POST /auth/token": PUBLIC,
    "GET /files/{key:path}": PUBLIC,  # by its own signature: see test_files.py
    "GET /catalog": Shop(SEE),
    "POST /generate": Shop(PLACE),
    "GET /jobs/{id}": Shop(READ),
    "POST /upload-swatch": Shop(PLACE),
    "POST /api/v1/generations": Shop(PLACE),
    "GET /api/v1/generations/{id}": Shop(READ),
    "POST /api/v1/generations/{id}/cancel": Shop(PLACE),
    "GET /api/v1/generations/{id}/cuts/{cut}/preview": Shop(READ),
    "GET /api/v1/images/{id}/provenance": Shop(READ),
    "GET /api/v1/images/{id}/thumbnail": Shop(READ),
    "PUT /api/v1/images/{id}/star": Shop(PLACE),
    "DELETE /api/v1/images/{id}/star": Shop(PLACE),
    "POST /api/v1/images/{id}/detail": Shop(PLACE),
    "POST /api/v1/swatches": Shop(PLACE),
    "GET /api/v1/swatches/{id}": Shop(PLACE),
    "GET /metrics": Shop(WATCH),
    "GET /api/v1/families": SEE,
    "POST /api/v1/families": EDIT,
    "GET /api/v1/families/{id}": SEE,
    "PATCH /api/v1/families/{id}": EDIT,
    "DELETE /api/v1/families/{id}": EDIT,
    "GET /api/v1/fabrics": SEE,
    "POST /api/v1/fabrics": EDIT,
    "GET /api/v1/fabrics/{id}": SEE,
    "PATCH /api/v1/fabrics/{id}": EDIT,
    "DELETE /api/v1/fabrics/{id}": EDIT,
    "GET /admin/fabrics": SEE,
    "POST /admin/fabrics": EDIT,
    "GET /admin/fabrics/{id}": SEE,
    "PATCH /admin/fabrics/{id}": EDIT,
    "DELETE /admin/fabrics/{id}": EDIT,
    "PATCH /admin/fabrics/{id}/status": EDIT,
    "POST /admin/fabrics/{id}/deactivate": EDIT,
    "POST /admin/fabrics/{id}/preview": EDIT,
    "GET /admin/colors": SEE,
    "GET /admin/colors/{id}": SEE,
    "PATCH /admin/colors/{id}": EDIT,
    "PATCH /admin/colors/{id}/status": EDIT,
    "POST /admin/colors/{id}/move": EDIT,
    "DELETE /admin/colors/{id}": EDIT,
    "GET /admin/generations": READ,
    "GET /admin/generations/by-fabric/{family_id}/{color_id}": READ,
    "GET /admin/generations/stats": READ,
    "GET /admin/generations/{id}": READ,
    "DELETE /admin/generations/{id}": WRITE,
    "GET /api/v1/ops/queue": WATCH,
    "GET /api/v1/ops/workers": WATCH,
    "POST /api/v1/ops/workers/{name}/drain": RUN,
    "POST /api/v1/ops/engines/{engine}/{verb}": RUN,
    "GET /api/v1/bulks": WATCH,
    "POST /api/v1/bulks": WRITE,
    "GET /api/v1/bulks/{id}": WATCH,
    "POST /api/v1/bulks/{id}/{verb}": WRITE,
    "GET /api/v1/clients": CLIENTS,
    "POST /api/v1/clients": CLIENTS,
    "GET /api/v1/clients/{id}": CLIENTS,
    "PUT /api/v1/clients/{id}": CLIENTS,
    "DELETE /api/v1/clients/{id}": CLIENTS,
    "PUT /api/v1/clients/{id}/consent": CLIENTS,
    "POST /api/v1/clients/{id}/export": CLIENTS,
    "GET /api/v1/clients/{id}/looks": CLIENTS,
    "PUT /api/v1/clients/{id}/looks/{order_id}": CLIENTS,
    "DELETE /api/v1/clients/{id}/looks/{order_id}": CLIENTS,
    "GET /api/v1/clients/{id}/lookbooks": CLIENTS,
    "POST /api/v1/clients/{id}/lookbooks": CLIENTS,
    "GET /api/v1/lookbooks/{id}": CLIENTS,
    "PUT /api/v1/lookbooks/{id}": CLIENTS,
    "DELETE /api/v1/lookbooks/{id}": CLIENTS,
    "POST /api/v1/lookbooks/{id}/shares": CLIENTS,
    "DELETE /api/v1/lookbooks/{id}/shares/{share_id}": CLIENTS,
    "GET /api/v1/lookbooks/{id}/shares/{share_id}/qr": CLIENTS,
    "GET /clients": CLIENTS,
    "POST /clients": CLIENTS,
    "GET /clients/new": CLIENTS,
    "GET /clients/{id}": CLIENTS,
    "POST /clients/{id}": CLIENTS,
    "POST /clients/{id}/consent": CLIENTS,
    "POST /clients/{id}/export": CLIENTS,
    "POST /clients/{id}/erase": CLIENTS,
    "GET /clients/{id}/looks": CLIENTS,
    "POST /clients/{id}/looks": CLIENTS,
    "POST /clients/{id}/looks/{order_id}/detach": CLIENTS,
    "POST /clients/{id}/lookbooks": CLIENTS,
    "GET /lookbooks/{id}": CLIENTS,
    "POST /lookbooks/{id}": CLIENTS,
    "POST /lookbooks/{id}/delete": CLIENTS,
    "POST /lookbooks/{id}/shares": CLIENTS,
    "POST /lookbooks/{id}/shares/{share_id}/revoke": CLIENTS,
    "GET /lookbooks/{id}/print": CLIENTS,
    "GET /s/{token}": PUBLIC,  # by the link itself: see tests/pages/test_lookbook_pages.py
    "GET /s/{token}/pictures/{page_id}": PUBLIC,
    "POST /s/{token}/looks/{page_id}/heart": PUBLIC,
    "POST /s/{token}/looks/{page_id}/comments": PUBLIC,
    "GET /console/sign-in": PUBLIC,
    "POST /console/sign-in": PUBLIC,
    "POST /console/sign-out": PUBLIC,
    "GET /console": SEE,
    "GET /console/orders": READ,
    "GET /console/orders/statistics": READ,
    "GET /console/orders/{id}": READ,
    "POST /console/orders/bulk": PLACE,
    "POST /console/orders/{id}/retry": PLACE,
    "POST /console/orders/{id}/cancel": PLACE,
    "POST /console/orders/{id}/delete": WRITE,
    "GET /console/catalogue": SEE,
    "GET /console/catalogue/export.csv": SEE,
    "GET /console/catalogue/import": EDIT,
    "POST /console/catalogue/import": EDIT,
    "POST /console/catalogue/import/{token}": EDIT,
    "GET /console/catalogue/looks": SEE,
    "POST /console/catalogue/looks/{cut}/status": EDIT,
    "POST /console/catalogue/looks/{cut}/try": PLACE,
    "POST /console/catalogue/looks/packs": EDIT,
    "POST /console/catalogue/looks/photos": EDIT,
    "POST /console/catalogue/looks/uploads/{id}/try": PLACE,
    "POST /console/catalogue/looks/uploads/{id}/activate": EDIT,
    "POST /console/catalogue/looks/uploads/{id}/discard": EDIT,
    "POST /console/catalogue/bulk": EDIT,
    "POST /console/catalogue/undo/{entry}": EDIT,
    "GET /console/catalogue/fabrics/new": EDIT,
    "POST /console/catalogue/fabrics": EDIT,
    "GET /console/catalogue/fabrics/{id}": SEE,
    "POST /console/catalogue/fabrics/{id}": EDIT,
    "POST /console/catalogue/fabrics/{id}/delete": EDIT,
    "GET /console/catalogue/families": SEE,
    "GET /console/catalogue/families/new": EDIT,
    "POST /console/catalogue/families": EDIT,
    "GET /console/catalogue/families/{id}": SEE,
    "POST /console/catalogue/families/{id}": EDIT,
    "POST /console/catalogue/families/{id}/delete": EDIT,
    "GET /console/operations": WATCH,
    "POST /console/operations/engines/{engine}/{verb}": RUN,
    "POST /console/operations/workers/{name}/drain": RUN,
    "POST /console/operations/bulks": WRITE,
    "POST /console/operations/bulks/{id}/{verb}": WRITE,
    "GET /console/people": PEOPLE,
    "POST /console/people": PEOPLE,
    "GET /console/people/audit": PEOPLE,
    "GET /console/people/{id}": PEOPLE,
    "POST /console/people/{id}": PEOPLE,
    "POST /console/people/{id}/password": PEOPLE,
    "POST /console/people/{id}/sessions/{session_id}/revoke": PEOPLE,
    "POST /console/people/{id}/tokens/{token_id}/revoke": PEOPLE,
    "GET /console/account": SEE,
    "POST /console/account/password": SEE,
    "POST /console/account/tokens": SEE,
    "POST /console/account/tokens/{id}/revoke": SEE,
    "POST /console/account/sessions/{id}/revoke": SEE,
}
MAY: dict[str, set[str]] = {
    "owner": {SEE, EDIT, READ, WRITE, PLACE, WATCH, RUN, PEOPLE, CLIENTS},
    "merchandiser": {SEE, EDIT, READ, WRITE, PLACE, WATCH},
    "stylist": {SEE, READ, PLACE, CLIENTS},
    "ops": {SEE, WATCH, RUN},  # sees no client's orders
    "viewer": {SEE},
}


def routes() -> Iterator[str]:
    """Every route as "METHOD path"."""
    for route in iter_route_contexts(app.routes):
        methods = getattr(route, "methods", None) or {"MOUNT"}
        yield from (f"{method} {route.path}" for method in methods if method != "HEAD")


def needed(permission: str | Shop) -> str | None:
    """The permission that a closed shop asks for; None for a public route."""
    if isinstance(permission, Shop):
        return permission.permission
    return None if permission == PUBLIC else permission


def ask(client: httpx.Client, route: str, token: str | None = None) -> httpx.Response:
    """One request to this route, about something that does not exist."""
    method, path = route.split(" ", 1)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    for name in ("{id}", "{key:path}", "{version}", "{name:path}", "{family_id}", "{color_id}"):
        path = path.replace(name, "999999999")
    if method in ("POST", "PATCH"):
        return client.request(method, path, headers=headers, json={})
    return client.request(method, path, headers=headers)


def wants_sign_in(answer: httpx.Response) -> bool:
    """The API says 401; a page of the console sends to where one signs in."""
    to = answer.headers.get("location", "")
    return answer.status_code == 401 or (answer.status_code == 303 and "/sign-in?next=" in to)


@pytest.fixture
def tokens(client: httpx.Client) -> Iterator[dict[str, str]]:
    """A JWT for each role."""
    with transaction() as session:
        users = {
            role: accounts.add_user(session, f"papel-{role}", "una clave bien larga", role).id
            for role in accounts.ROLES
        }
    yield {role: make_token(id) for role, id in users.items()}
    sql("DELETE FROM users WHERE username LIKE 'papel-%'")


def test_every_route_is_in_the_table_and_the_table_has_no_other() -> None:
    found = list(routes())
    assert len(found) == len(set(found))
    assert sorted(found) == sorted(TABLE)


def test_the_roles_have_exactly_these_permissions() -> None:
    assert {role: set(granted) for role, granted in PERMISSIONS.items()} == MAY
    assert set(MAY) == set(accounts.ROLES)


def test_without_a_credential_only_public_routes_answer(client: httpx.Client, setting: Any) -> None:
    setting(shop_access="token")
    for route, permission in TABLE.items():
        closed = needed(permission) is not None
        assert wants_sign_in(ask(client, route)) == closed, route


def test_an_open_shop_opens_the_shop_s_routes_and_no_other(client: httpx.Client) -> None:
    for route, permission in TABLE.items():
        closed = isinstance(permission, str) and permission != PUBLIC
        assert wants_sign_in(ask(client, route)) == closed, route


def test_the_document_says_where_a_sign_in_may_be_left_out() -> None:
    documented = {f"{method} {path}": operation for method, path, operation in operations()}
    optional = {route for route, found in documented.items() if {} in found.get("security", [])}
    shop = {route for route, permission in TABLE.items() if isinstance(permission, Shop)}
    assert optional == shop & documented.keys() != set()


def test_each_role_may_use_exactly_the_routes_that_its_permissions_name(
    client: httpx.Client, tokens: dict[str, str], setting: Any
) -> None:
    setting(shop_access="token")
    for role, token in tokens.items():
        for route, permission in TABLE.items():
            want = needed(permission)
            if want is None:
                continue
            code = ask(client, route, token).status_code
            assert code != 401, (role, route)
            assert (code == 403) == (want not in MAY[role]), (role, route, code)


# --- nothing that is sent may break a route -------------------------------------------------------

NASTY_TEXT = [
    "%00",
    "..%2f..%2fetc",
    "9" * 40,
    "-1",
    "%ff%fe",
    "%F0%9F%A7%B5",
    "' OR 1=1 --",
    "NaN",
]
NASTY: list[Any] = [
    None,
    True,
    -1,
    10**400,
    1.5,
    float("nan"),
    float("inf"),
    "",
    "\x00",
    "\ud800",
    "x" * 10_000,
    "http://[",
    [],
    [None],
    {"a": {}},
]
BODIES = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'"x"',
    b"\xff\xfe",
    b"[" * 50_000,
    b'{"\\ud800": 1, "": 2}',
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b"1" * 5_000,
]


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(method, path, operation) of everything in openapi.json."""
    for path, item in app.openapi()["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def body_fields(operation: dict[str, Any], media_type: str) -> list[str]:
    content = operation.get("requestBody", {}).get("content", {}).get(media_type)
    if content is None:
        return []
    name = content["schema"]["$ref"].rpartition("/")[2]
    return list(app.openapi()["components"]["schemas"][name]["properties"])


def nasty_requests(method: str, path: str, operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Keyword arguments for httpx's request."""
    parameters = operation.get("parameters", [])
    plain = path.replace("{", "").replace("}", "")
    for value in NASTY_TEXT:
        url = path
        for parameter in parameters:
            url = url.replace(f"{{{parameter['name']}}}", value)
        query = "&".join(f"{p['name']}={value}" for p in parameters if p["in"] == "query")
        yield {"url": f"{url}?{query}"}
    for parameter in parameters:
        if parameter["in"] == "query":
            yield from ({"url": f"{plain}?{parameter['name']}={v}"} for v in NASTY_TEXT)
        if parameter["in"] == "header":
            headers = {parameter["name"]: 'W/"x", *, "' + "y" * 300}
            yield {"url": plain, "headers": headers}
    if "requestBody" in operation:
        kind = {"Content-Type": "application/json"}
        yield from ({"url": plain, "content": body, "headers": kind} for body in BODIES)
        yield {"url": plain, "content": b"{}", "headers": {"Content-Type": "text/plain"}}
        yield {"url": plain, "content": b"x", "headers": {"Content-Type": "multipart/form-data"}}
        names = body_fields(operation, "application/json")
        for value in NASTY:
            bodies = [dict.fromkeys(names, value), *({name: value} for name in names)]
            for body in bodies:
                yield {"url": plain, "content": json.dumps(body), "headers": kind}
        for name in body_fields(operation, "multipart/form-data"):
            for text in ("\x00", "nan", "", "x" * 3000):
                yield {"url": plain, "data": {name: text}, "files": {"file": ("\x00", a_photo())}}
                yield {"url": plain, "files": {name: (text or "x", b"", "image/png")}}


@pytest.mark.parametrize(
    ("method", "path", "operation"), [pytest.param(*o, id=f"{o[0]} {o[1]}") for o in operations()]
)
def test_no_value_breaks_the_route(
    owner: httpx.Client, method: str, path: str, operation: dict[str, Any]
) -> None:
    sent = 0
    for request in nasty_requests(method, path, operation):
        answer = owner.request(method, **request)
        sent += 1
        assert answer.status_code < 500, (request, answer.text)
    assert sent >= len(NASTY_TEXT)
