"""Edges and depth of a look: made once, kept beside the pack, and asked for when missing."""

import json
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

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
    maps_of,
    maps_of_upload,
)
from worker.looks import DEPTH, Look, load_look, pack_version

FARTHEST = 64  # level of what lies farthest of a figure, as devops/looks/depth.py has it
NAMES = sorted(path.parent.name for path in LOOKS.glob("*/look.json"))


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A look without maps."""
    source = ROOT / "assets" / "looks" / "recto"
    return Path(shutil.copytree(source, tmp_path / "recto", ignore=shutil.ignore_patterns("maps")))


@pytest.mark.parametrize("name", NAMES)
def test_every_starter_look_has_the_edges_of_its_version(name: str) -> None:
    look = load_look(LOOKS / name)
    edges = load_maps(LOOKS / name, look.version, ["edges"])["edges"]
    assert edges.shape == look.panels.shape
    assert 0.002 < (edges > 0).mean() < 0.1


def test_edges_are_made_again_as_they_are_kept(pack: Path) -> None:
    made = make_edges(pack)
    kept = load_maps(LOOKS / "recto", load_look(pack).version, ["edges"])["edges"]
    assert np.array_equal(made > 0, kept > 0)


def test_a_pack_that_was_uploaded_has_its_edges_found_and_the_depth_that_it_brought(
    pack: Path,
) -> None:
    look = load_look(pack)
    found = maps_of_upload(pack, look, ["depth", "edges"])
    assert set(found) == {"edges"}
    assert np.array_equal(found["edges"] > 0, make_edges(pack) > 0)
    shutil.copy(LOOKS / "recto" / DEPTH, pack / "maps")
    assert set(maps_of_upload(pack, look, ["depth"])) == {"depth"}
    assert maps_of_upload(pack, look, []) == {}


def test_a_photo_in_the_house_has_no_depth_unless_one_is_imported(pack: Path) -> None:
    look = load_look(pack)
    with pytest.raises(LookUnavailable, match="--depth recto"):
        maps_of(pack, look, ["depth"])
    about = json.loads((pack / "look.json").read_text(encoding="utf-8"))
    (pack / "look.json").write_text(json.dumps(about | {"photo": {}}), encoding="utf-8")
    assert maps_of(pack, look, ["depth"]) == {}
    import_depth(pack, depth_picture(pack))
    assert set(maps_of(pack, look, ["depth"])) == {"depth"}


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
    with pytest.raises(LookUnavailable, match='make looks LOOKS="--depth recto"'):
        engine.setup()
    import_depth(pack, depth_picture(pack))
    with pytest.raises(LookUnavailable, match="sdxl_maps edges recto"):
        maps_of(pack, load_look(pack), ["depth", "edges"])
    with pytest.raises(LookUnavailable, match="sdxl_maps depth recto FILE"):
        load_maps(pack, "another version", ["depth"])


def test_plain_cloth_has_no_weave() -> None:
    look = load_look(LOOKS / "recto")
    grey = in_plain_cloth(look)
    fine = np.abs(grey - cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 2))
    deep = cv2.erode((look.panels > 0).astype(np.uint8), np.ones((9, 9))) > 0
    assert np.median(fine[deep]) < 0.5
    assert np.percentile(fine[deep], 90) < 3  # what is left are folds and seams


# --- the depth that ships: from the renderer, and of the very pixels of the pack ------------------


@dataclass(frozen=True, eq=False)
class Shipped:
    look: Look
    depth: NDArray[np.uint8]
    edges: NDArray[np.bool_]

    @property
    def cloth(self) -> NDArray[np.bool_]:
        """All of the pixel."""
        return np.asarray((self.look.panels > 0) & (self.look.alpha == 255))

    @property
    def figure(self) -> NDArray[np.bool_]:
        """Nearer than the backdrop by half of what the figure's farthest place is."""
        return self.depth > FARTHEST / 2

    @property
    def step(self) -> NDArray[np.float32]:
        """How much a pixel differs from the slope that it lies on, in levels."""
        return np.asarray(np.abs(cv2.Laplacian(self.depth.astype(np.float32), cv2.CV_32F)))

    def borders(self, *keys: str) -> NDArray[np.bool_]:
        """Within two pixels of where cloth of these panels meets other cloth."""
        ids = [number for number, key in self.look.panel_keys.items() if key in keys]
        part = np.isin(self.look.panels, ids).astype(np.uint8)
        other = (self.cloth & (part == 0)).astype(np.uint8)
        near = np.ones((5, 5), np.uint8)
        return np.asarray((cv2.dilate(part, near) > 0) & (cv2.dilate(other, near) > 0))


@cache
def shipped(name: str) -> Shipped:
    look = load_look(LOOKS / name)
    maps = load_maps(LOOKS / name, look.version, ["depth", "edges"])
    return Shipped(look, maps["depth"], maps["edges"] > 0)


@pytest.mark.parametrize("name", NAMES)
def test_the_depth_of_a_starter_look_is_the_renderers_and_the_suit_has_most_of_its_range(
    name: str,
) -> None:
    about = json.loads((LOOKS / name / "maps" / "maps.json").read_text(encoding="utf-8"))["depth"]
    found = shipped(name)
    assert about["maker"].startswith("Blender")
    assert 400 < about["nearest_cm"] < about["farthest_cm"] < 560  # the camera is 520 cm away
    assert found.depth.shape == found.look.panels.shape
    assert (found.depth[:50].max(), found.depth.max()) == (0, 255)
    low, high = np.percentile(found.depth[found.cloth], (1, 99))
    assert high - low > 0.6 * 255


@pytest.mark.parametrize("name", NAMES)
def test_depth_and_pack_are_of_one_silhouette(name: str) -> None:
    found = shipped(name)
    assert (found.cloth & ~found.figure).mean() < 1e-5
    rows = np.flatnonzero(found.cloth.any(axis=1))
    below = slice(int(np.percentile(rows, 70)), rows[-1] + 1)  # all that stands there is suit
    both = (found.cloth & found.figure)[below].sum()
    assert both / (found.cloth | found.figure)[below].sum() > 0.99


@pytest.mark.parametrize("name", NAMES)
def test_the_depth_of_the_suit_has_no_hole_and_a_soft_silhouette(name: str) -> None:
    found = shipped(name)
    deep = cv2.erode(found.cloth.astype(np.uint8), np.ones((7, 7))) > 0
    assert found.depth[deep].min() >= FARTHEST
    between = (found.depth > 0) & (found.depth < FARTHEST)
    rim = cv2.morphologyEx(found.figure.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3))) > 0
    assert between.sum() > 0.3 * rim.sum()
    assert (between & rim).sum() > 0.9 * between.sum()


@pytest.mark.parametrize("name", NAMES)
def test_lapels_and_pockets_are_steps_where_the_edges_are(name: str) -> None:
    found = shipped(name)
    inside = cv2.erode(found.cloth.astype(np.uint8), np.ones((9, 9))) > 0
    away = cv2.dilate(found.edges.astype(np.uint8), np.ones((15, 15))) == 0
    quiet = found.step[inside & away].mean()
    for keys, times in ((("rlap", "llap"), 4), (("rpk", "lpk", "welt"), 2)):
        seams = found.edges & inside & found.borders(*keys)
        if name != "esmoquin" or "welt" in keys:  # its lapels are satin, which is no cloth
            assert seams.sum() > 1000
            assert found.step[seams].mean() > times * quiet


@pytest.mark.parametrize("name", NAMES)
def test_depth_and_edges_lie_on_each_other_to_the_pixel(name: str) -> None:
    """Moved by two pixels any way, the edges meet less of the steps."""
    found = shipped(name)
    step = np.minimum(found.step, 10)  # so that the silhouette does not drown the seams
    met = {
        (x, y): float(step[np.roll(found.edges, (y, x), (0, 1))].mean())
        for x in (-2, 0, 2)
        for y in (-2, 0, 2)
    }
    assert max(met, key=lambda way: met[way]) == (0, 0)
