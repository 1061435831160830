"""What tests of the API share: the two error shapes, a small photo, and a look at the tables."""

import io
import re
from typing import Any

import httpx
from PIL import Image

from tests.orders import sql

UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")


def old_error(answer: httpx.Response, status: int) -> str:
    """The message of an error on the older paths; its shape is checked to the letter."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert list(body) == ["error"]
    assert set(body["error"]) <= {"code", "message", "details"}
    assert body["error"]["code"] == status
    message = body["error"]["message"]
    assert isinstance(message, str)
    assert message
    assert isinstance(body["error"].get("details", []), list)
    assert "Traceback" not in answer.text
    return message


def problem(answer: httpx.Response, status: int) -> str:
    """The code of an RFC 9457 problem document under /api/v1."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) - {"errors"} == {"type", "title", "status", "detail", "code"}
    assert body["status"] == status
    assert body["type"].endswith(body["code"])
    for finding in body.get("errors", []):
        assert set(finding) == {"pointer", "detail"}
        assert finding["pointer"].startswith("/")
    code = body["code"]
    assert isinstance(code, str)
    return code


def rows_of_orders() -> tuple[int, int]:
    """How many orders and jobs there are: a refusal must leave both as they were."""
    return sql("SELECT count(*) FROM generations"), sql("SELECT count(*) FROM jobs")


def a_photo(colour: str = "#335577", size: tuple[int, int] = (64, 48), kind: str = "PNG") -> bytes:
    """A flat photo of cloth, encoded."""
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, kind)
    return out.getvalue()


def some_cloth(client: httpx.Client) -> dict[str, Any]:
    """The first fabric of the catalogue, as the shop client would order it."""
    family = client.get("/catalog").json()["families"][0]
    return {"family_id": family["family_id"], "color_id": family["colors"][0]["color_id"]}
