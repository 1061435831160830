"""Edges and depth of a look: made once, kept beside the pack, and asked for when missing."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.errors import InvalidInput, LookUnavailable
from models.settings import ROOT
from tests.worker.sdxl_tiny import RECIPE, shelf
from worker.engines.sdxl_inpaint import SdxlInpaintEngine
from worker.engines.sdxl_maps import (
    LOOKS,
    import_depth,
    in_plain_cloth,
    load_maps,
    make_edges,
    maps_of_upload,
)
from worker.looks import load_look, pack_version


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A look without maps."""
    source = ROOT / "assets" / "looks" / "recto"
    return Path(shutil.copytree(source, tmp_path / "recto", ignore=shutil.ignore_patterns("maps")))


@pytest.mark.parametrize("name", sorted(path.parent.name for path in LOOKS.glob("*/look.json")))
def test_every_starter_look_has_the_edges_of_its_version(name: str) -> None:
    look = load_look(LOOKS / name)
    edges = load_maps(LOOKS / name, look.version, ["edges"])["edges"]
    assert edges.shape == look.panels.shape
    assert 0.002 < (edges > 0).mean() < 0.1


def test_edges_are_made_again_as_they_are_kept(pack: Path) -> None:
    made = make_edges(pack)
    kept = load_maps(LOOKS / "recto", load_look(pack).version, ["edges"])["edges"]
    assert np.array_equal(made > 0, kept > 0)


def test_a_pack_that_was_uploaded_has_its_edges_found_and_no_depth(pack: Path) -> None:
    look = load_look(pack)
    found = maps_of_upload(pack, look, ["edges"])["edges"]
    with pytest.raises(LookUnavailable, match="sdxl_maps depth"):
        maps_of_upload(pack, look, ["edges", "depth"])
    assert np.array_equal(found > 0, make_edges(pack) > 0)


def test_edges_follow_the_seams_and_not_the_weave() -> None:
    """Most lines lie where the panels meet, or where cloth ends."""
    look = load_look(LOOKS / "recto")
    edges = load_maps(LOOKS / "recto", look.version, ["edges"])["edges"] > 0
    border = cv2.morphologyEx(look.panels, cv2.MORPH_GRADIENT, np.ones((3, 3))) > 0
    near = cv2.dilate(border.astype(np.uint8), np.ones((25, 25))) > 0
    inside = look.panels > 0
    assert near[edges & inside].mean() > 0.75
    assert near[inside].mean() < 0.5


def test_maps_do_not_change_the_version_of_the_pack(pack: Path) -> None:
    before = pack_version(pack)
    import_depth(pack, depth_picture(pack))
    assert pack_version(pack) == before


def depth_picture(pack: Path) -> Path:
    panels = load_look(pack).panels
    path = pack.parent / "depth.png"
    cv2.imwrite(str(path), np.where(panels > 0, 40000, 9000).astype(np.uint16))
    return path


def test_a_depth_picture_is_kept_with_near_as_white(pack: Path) -> None:
    import_depth(pack, depth_picture(pack))
    look = load_look(pack)
    depth = load_maps(pack, look.version, ["depth"])["depth"]
    assert (depth[look.panels > 0].min(), depth[look.panels == 0].max()) == (255, 0)


def test_a_depth_picture_that_shows_nothing_or_does_not_fit_is_refused(pack: Path) -> None:
    path = pack.parent / "flat.png"
    for picture in (np.zeros((1536, 1024), np.uint8), np.eye(20, dtype=np.uint8)):
        cv2.imwrite(str(path), picture)
        with pytest.raises(InvalidInput):
            import_depth(pack, path)


def test_a_missing_or_stale_map_stops_the_engine_with_the_way_to_make_it(pack: Path) -> None:
    engine = SdxlInpaintEngine(pack.parent, shelf(), RECIPE, ())
    with pytest.raises(LookUnavailable, match="sdxl_maps edges recto"):
        engine.setup()
    import_depth(pack, depth_picture(pack))
    with pytest.raises(LookUnavailable, match="sdxl_maps depth recto FILE"):
        load_maps(pack, "another version", ["depth"])


def test_plain_cloth_has_no_weave() -> None:
    look = load_look(LOOKS / "recto")
    grey = in_plain_cloth(look)
    fine = np.abs(grey - cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 2))
    deep = cv2.erode((look.panels > 0).astype(np.uint8), np.ones((9, 9))) > 0
    assert np.median(fine[deep]) < 0.5
    assert np.percentile(fine[deep], 90) < 3  # what is left are folds and seams
