"""Overlays of look packs: what they show, and that a worker stores them once a version."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.catalogue import OVERLAYS, overlay_key
from models.errors import StorageError
from models.settings import ROOT
from models.storage import FolderStorage
from worker import overlays
from worker.looks import Look, load_look

LOOKS = ROOT / "assets" / "looks"


@pytest.fixture(scope="module")
def look() -> Look:
    return load_look(LOOKS / "recto")


@pytest.fixture(scope="module")
def drawn(look: Look) -> dict[str, overlays.Picture]:
    """The overlays, decoded."""
    found = overlays.drawn(look)
    return {
        name: np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR), np.uint8)
        for name, content in found.items()
    }


def test_every_overlay_is_a_small_picture_of_the_whole_look(
    look: Look, drawn: dict[str, overlays.Picture]
) -> None:
    assert tuple(drawn) == OVERLAYS
    for picture in drawn.values():
        height_px, width_px = picture.shape[:2]
        assert width_px == overlays.WIDTH_PX
        assert abs(height_px / width_px - look.height_px / look.width_px) < 0.01


def test_overlays_differ_from_the_picture_on_cloth_and_only_there(
    look: Look, drawn: dict[str, overlays.Picture]
) -> None:
    size = drawn["picture"].shape[1::-1]
    coverage = cv2.resize(look.alpha, size, interpolation=cv2.INTER_AREA)
    cloth = cv2.erode(coverage, np.ones((9, 9))) > 250
    beside = cv2.dilate(coverage, np.ones((17, 17))) == 0
    for name in ("mask", "panels", "grid"):
        apart = np.abs(drawn[name].astype(int) - drawn["picture"]).max(axis=2)
        assert apart[cloth].mean() > 40, name
        assert apart[beside].max() <= 12, name  # what JPEG leaves


def test_each_panel_has_a_colour_of_its_own(look: Look) -> None:
    colours = overlays._panel_colours(look)
    ids = np.unique(look.panels)
    seen = {tuple(colours[look.panels == id][0]) for id in ids if id}
    assert len(seen) == len(ids) - 1


def test_a_worker_stores_them_once_and_a_broken_store_costs_no_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStorage(tmp_path)
    overlays.publish(store, LOOKS)
    version = load_look(LOOKS / "recto").version
    stored = sorted(found.key for found in store.list(overlay_key("recto", version, "")))
    assert stored == sorted(overlay_key("recto", version, layer) for layer in OVERLAYS)

    def refuse(*_: object) -> None:
        raise StorageError("full")

    monkeypatch.setattr(FolderStorage, "put", refuse)
    overlays.publish(store, LOOKS)  # all there: nothing is drawn, nothing put
    overlays.publish(FolderStorage(tmp_path / "empty"), LOOKS)
