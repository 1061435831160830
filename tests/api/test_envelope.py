"""What goes around every answer."""

from collections.abc import Callable

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from api.envelope import Envelope


async def _no_app(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("not called")


def test_browsers_are_held_to_https_in_production_only(setting: Callable[..., None]) -> None:
    assert "Strict-Transport-Security" not in Envelope(_no_app).headers
    setting(
        environment="production",
        public_base_url="https://estilista.example",
        database_url="postgresql://db.example/estilista",
    )
    assert "max-age=63072000" in Envelope(_no_app).headers["Strict-Transport-Security"]


@pytest.mark.parametrize("path", ["/", "/catalog", "/healthz", "/no-such-page"])
def test_every_answer_forbids_inline_scripts_and_framing(client: httpx.Client, path: str) -> None:
    policy = client.get(path).headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "object-src 'none'" in policy


def test_pictures_may_come_from_the_public_bucket_where_there_is_one(
    setting: Callable[..., None],
) -> None:
    setting(r2_public_url="https://fotos.example/trajes")
    policy = Envelope(_no_app).headers["Content-Security-Policy"]
    assert "img-src 'self' blob: data: https://fotos.example;" in policy


def test_every_answer_has_a_request_id_of_its_own(client: httpx.Client) -> None:
    ids = {client.get("/healthz").headers["x-request-id"] for _ in range(5)}
    assert len(ids) == 5
