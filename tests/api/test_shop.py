"""The existing shop client's wire contract: shapes, codes and refusals."""

from collections.abc import Callable
from typing import Any

import httpx


def test_an_order_of_two_cuts_comes_back_as_two_pictures(
    client: httpx.Client, work: Callable[[], int]
) -> None:
    family = client.get("/catalog").json()["families"][0]
    order = {"family_id": family["family_id"], "color_id": family["colors"][0]["color_id"]}
    answer = client.post("/generate", json=order)
    assert answer.status_code == 201
    assert work() == 2
    job: dict[str, Any] = client.get(f"/jobs/{answer.json()['request_id']}").json()
    assert job["status"] == "completed"
    assert [image["cut"] for image in job["images"]] == ["recto", "cruzado"]
