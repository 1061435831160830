"""The surface of a cloth: told by the draft, carried by the tile, assumed of a photo."""

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest

from worker.cloth import from_hex, from_photo, from_tile
from worker.draft import load_draft
from worker.engines.drape_surface import lobe
from worker.looks import gleam_of_level
from worker.surface import ASSUMED, Surface, labelled, surface_of
from worker.swatch_file import levels_of
from worker.weave import weave

CLOTHS = sorted((Path(__file__).parents[2] / "assets" / "cloth").glob("*.toml"))
SATIN = Surface(sheen=0.9, roughness=0.35)


def picture(extension: str = ".png") -> bytes:
    levels = np.arange(64 * 64 * 3).reshape(64, 64, 3) % 251
    return cv2.imencode(extension, levels.astype(np.uint8))[1].tobytes()


def test_a_tile_tells_the_surface_of_its_draft() -> None:
    draft = load_draft(next(path for path in CLOTHS if path.stem == "silk-satin-tuxedo"))
    tile = weave(draft)
    assert from_tile(tile.png(), tile.width_mm).surface == draft.finish.surface == SATIN


def test_telling_the_surface_changes_no_pixel() -> None:
    told = labelled(picture(), SATIN)
    assert surface_of(told) == SATIN
    assert np.array_equal(levels_of(told), levels_of(picture()))


@pytest.mark.parametrize("extension", [".png", ".jpg", ".webp"])
def test_a_picture_that_tells_nothing_is_taken_for_a_plain_worsted(extension: str) -> None:
    assert surface_of(picture(extension)) == ASSUMED
    assert from_hex("#1B2440").surface == ASSUMED


def test_an_uploaded_photo_is_taken_for_a_plain_worsted() -> None:
    tile = weave(
        load_draft(next(path for path in CLOTHS if path.stem == "tweed-barleycorn-heather"))
    )
    photo = labelled(tile.png(), SATIN)
    assert from_photo(photo, 100.0).surface == ASSUMED


@pytest.mark.parametrize("kept", [0, 8, 20, 40, 60, 200])
def test_a_file_cut_short_tells_nothing_and_does_no_harm(kept: int) -> None:
    assert surface_of(labelled(picture(), SATIN)[:kept]) in (ASSUMED, SATIN)


@pytest.mark.parametrize("text", [b"sheen 2 roughness 0.5", b"sheen 0.5", b"", b"\xff\xfe"])
def test_nonsense_about_a_surface_is_not_believed(text: bytes) -> None:
    told = labelled(picture(), SATIN)
    broken = told.replace(b"sheen 0.9 roughness 0.35", text.ljust(24)[:24])
    assert broken != told
    assert surface_of(broken) == ASSUMED


def test_matt_cloths_are_matt_and_silks_shine() -> None:
    surfaces = {path.stem: load_draft(path).finish.surface for path in CLOTHS}

    def sheens(kind: str) -> list[float]:
        return [one.sheen for name, one in surfaces.items() if name.startswith(kind)]

    assert max(sheens("flannel") + sheens("tweed") + sheens("linen")) < min(sheens("worsted"))
    assert max(sheens("worsted")) < min(sheens("mohair")) <= max(sheens("silk")) <= 1
    assert surfaces["silk-satin-tuxedo"] == SATIN
    matt, shiny = surfaces["flannel-midnight"], surfaces["mohair-tonic-sapphire"]
    assert matt.roughness > surfaces["worsted-twill-navy"].roughness > shiny.roughness


def test_every_starter_cloth_tells_its_own_surface() -> None:
    for path in CLOTHS:
        text = path.read_text(encoding="utf-8")
        assert "\nsheen = " in text
        assert "\nroughness = " in text


def test_a_rougher_surface_gleams_more_widely() -> None:
    lobes = [lobe(roughness) for roughness in (0.35, 0.5, 0.7, 0.95)]
    for narrow, wide in itertools.pairwise(lobes):
        assert (wide >= narrow).all()
        assert wide[128] > narrow[128] + 0.05
    assert np.allclose(lobes[1], gleam_of_level(), atol=1e-5)
    for one in lobes:
        assert (np.diff(one) > 0).all()
        assert one[255] == pytest.approx(1, abs=0.05)
