"""Requests made up from the OpenAPI document, and every answer held against it.

SCHEMA_EXAMPLES says how many are made up for a route beside the edges of its schema: `make test`
sends few of them, `make fuzz` many. The same number sends the same requests every time, in one
order for who is signed in and in one for who is not: each has a house of its own there.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import negative_data_rejection

from api.main import app
from tests.conftest import OWNER_PASSWORD, ROOT, run_python

MADE_UP = settings(
    max_examples=int(os.environ.get("SCHEMA_EXAMPLES", "3")),
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
# No schema says which cloths there are: what it allows may still be refused, in words.
CHECKS = {"positive_data_acceptance": {"enabled": False}}
PATIENCE_SECONDS = 120  # on a busy machine; nothing is timed here
DOCUMENT = app.openapi()
STOCK = """
import seed
from models.database import transaction
with transaction() as session:
    seed.seed_looks(session, seed.ASSETS / "looks")
    seed.ensure_owner(session, seed.OWNER_NAME, seed.settings().owner_password)
    cloth = {"color_id": "gris", "name": "Gris", "hex_value": "#808080"}
    family = {"family_id": "lana", "display_name": "Lana"}
    seed.catalogue.create_family(session, family, [cloth])
"""


def documented(edges: bool, signed_in: bool) -> schemathesis.BaseSchema:
    """The document as a maker of requests; with those at the edges of each schema, or without. Who
    is signed in is so in every request: a credential left out would be put back."""
    phases = {"coverage": {"enabled": edges}, "fuzzing": {"enabled": True}}
    config = schemathesis.Config.from_dict(
        {"seed": 1, "checks": CHECKS, "phases": phases, "request-timeout": PATIENCE_SECONDS}
    )
    document = deepcopy(DOCUMENT)
    for operation in (one for item in document["paths"].values() for one in item.values()):
        if signed_in:
            operation.pop("security", None)
    return schemathesis.openapi.from_dict(document, config=config)


edges_and_some = documented(edges=True, signed_in=True)
some = documented(edges=False, signed_in=False)


@pytest.fixture(scope="module")
def house(empty_database: Callable[[], str]) -> Iterator[str]:
    """An API of its own on a database of its own: what is made up here changes the catalogue."""
    house = {
        "DATABASE_URL": empty_database(),
        "TOKEN_MINUTES": "60",
        "LOG_LEVEL": "ERROR",
    }
    run_python("-m", "alembic", "upgrade", "head", **house)
    run_python("-c", STOCK, **house)
    with socket.create_server(("127.0.0.1", 0)) as door:
        served = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "api.main:app", "--fd", str(door.fileno())],
            cwd=ROOT,
            env=os.environ | house,
            pass_fds=[door.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield f"http://127.0.0.1:{door.getsockname()[1]}"
        finally:
            served.terminate()
            served.wait()


@pytest.fixture(scope="module")
def signed_out(house: str) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture(scope="module")
def owner(house: str) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        form = {"username": "owner", "password": OWNER_PASSWORD}
        token = session.post(f"{house}/auth/token", data=form).json()["access_token"]
        session.headers["Authorization"] = f"Bearer {token}"
        yield session


def hold_against_the_document(case: Case[Any], answer: Any) -> None:
    """What a query holds beside what a route asks for is not looked at, so it is not refused."""
    operation = DOCUMENT["paths"][case.operation.path].get(case.method.lower(), {})
    asked = {parameter["name"] for parameter in operation.get("parameters", [])}
    unasked = set(case.query or {}) - asked
    case.validate_response(answer, excluded_checks=[negative_data_rejection] if unasked else [])


@pytest.mark.xdist_group("owner")
@edges_and_some.parametrize()
@MADE_UP
def test_every_answer_to_the_owner_is_as_documented(
    case: Case[Any], house: str, owner: requests.Session
) -> None:
    hold_against_the_document(case, case.call(base_url=house, session=owner))


@pytest.mark.xdist_group("stranger")
@some.parametrize()
@MADE_UP
def test_every_answer_to_a_stranger_is_as_documented(
    case: Case[Any], house: str, signed_out: requests.Session
) -> None:
    hold_against_the_document(case, case.call(base_url=house, session=signed_out))


def test_every_route_documents_its_errors_in_the_shape_that_its_path_sends() -> None:
    for path, item in DOCUMENT["paths"].items():
        shape = "Problem" if path.startswith("/api/v1") else "OlderProblem"
        for operation in item.values():
            (content,) = operation["responses"]["default"]["content"].values()
            assert content["schema"]["$ref"] == f"#/components/schemas/{shape}"
    assert "HTTPValidationError" not in str(DOCUMENT)
