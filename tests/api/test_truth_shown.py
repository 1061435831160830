"""The truth badge as v1 shows it: what the worker measured, or null where it measured nothing."""

from typing import Any

import httpx
import pytest

from tests.wire import some_cloth
from tests.workers import drape_loop, loop_with
from worker.engines.mock import MockEngine
from worker.loop import Loop

V1 = "/api/v1/generations"
pytestmark = pytest.mark.usefixtures("clean")


class Placeholder(MockEngine):
    """The mock engine under the name that is ordered."""

    name = "drape"


def image_by(loop: Loop, client: httpx.Client) -> dict[str, Any]:
    order = {"color_id": some_cloth(client)["color_id"], "cuts": ["recto"]}
    placed = client.post(V1, json=order).json()
    assert loop.work_once()
    (image,) = client.get(f"{V1}/{placed['id']}").json()["images"]
    assert isinstance(image, dict)
    return image


def test_an_image_tells_how_true_it_is(client: httpx.Client) -> None:
    truth = image_by(drape_loop(), client)["truth"]
    assert truth["grade"] == "green"
    assert truth["delta_e"] < 1.5
    assert set(truth) == {"grade", "delta_e", "scale_error", "angle_error"}


def test_a_placeholder_claims_no_truth(client: httpx.Client) -> None:
    assert image_by(loop_with(Placeholder()), client)["truth"] is None
