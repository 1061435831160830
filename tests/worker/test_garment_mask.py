"""Where the photoreal engines may paint, on the starter looks."""

import cv2
import numpy as np
import pytest

from models.errors import LookUnavailable
from models.settings import ROOT
from worker.engines.sdxl_mask import MARGIN_PX, Box, freedom, garment_box, pasted, scaled
from worker.engines.sdxl_recipe import FULL, INPAINT, Recipe
from worker.looks import Look, load_look

LOOKS = sorted(path.parent for path in (ROOT / "assets" / "looks").glob("*/look.json"))


@pytest.fixture(scope="module", params=LOOKS, ids=lambda path: path.name)
def look(request: pytest.FixtureRequest) -> Look:
    return load_look(request.param)


@pytest.mark.parametrize("recipe", INPAINT.values(), ids=INPAINT)
def test_the_box_holds_all_cloth_in_the_recipe_s_shape(look: Look, recipe: Recipe) -> None:
    box = garment_box(look.alpha, recipe.size_px)
    assert box.of(look.alpha).sum() == look.alpha.sum()
    shape = recipe.size_px[0] / recipe.size_px[1]
    assert box.width / box.height == pytest.approx(shape, rel=0.005)
    above = np.flatnonzero(look.alpha.any(axis=1))[0]
    assert above - box.top >= min(MARGIN_PX, above)


@pytest.mark.parametrize("recipe", [*INPAINT.values(), *FULL.values()], ids=lambda r: r.profile)
def test_sizes_suit_the_networks(recipe: Recipe) -> None:
    assert all(side % 32 == 0 for side in recipe.size_px)


def test_a_box_that_meets_the_border_stays_inside_the_picture() -> None:
    cover = np.zeros((100, 60), np.uint8)
    cover[90:, 50:] = 255
    box = garment_box(cover, (64, 64))
    assert (box.left + box.width, box.top + box.height) == (60, 100)
    assert box.of(cover).sum() == cover.sum()


def test_a_look_without_cloth_is_refused() -> None:
    with pytest.raises(LookUnavailable):
        garment_box(np.zeros((100, 60), np.uint8), (64, 64))


def test_a_single_pixel_of_cloth_frees_its_cell_and_those_around() -> None:
    cover = np.zeros((64, 64), np.uint8)
    cover[17, 30] = 1  # in cell (2, 3) of eight pixels
    free = freedom(cover, 8, feather_cells=0)
    assert free.shape == (8, 8)
    assert {tuple(cell) for cell in np.argwhere(free)} == {
        (y, x) for y in (1, 2, 3) for x in (2, 3, 4)
    }


def test_a_soft_mask_opens_towards_the_inside() -> None:
    cover = np.zeros((128, 128), np.uint8)
    cover[32:96, 32:96] = 255
    free = freedom(cover, 8, feather_cells=2)
    assert np.allclose(free[8, 2:9], [0, 1 / 3, 2 / 3, 1, 1, 1, 1])
    hard = freedom(cover, 8, feather_cells=0)
    assert np.array_equal(free > 0, hard > 0)


def test_cloth_that_leaves_the_picture_is_free_at_the_border() -> None:
    cover = np.full((64, 64), 255, np.uint8)
    assert freedom(cover, 8, feather_cells=2).min() == 1


def test_pasting_changes_no_byte_outside_and_all_levels_well_inside(look: Look) -> None:
    random = np.random.default_rng(5)
    box = garment_box(look.alpha, (768, 1408))
    painted = random.uniform(0, 255, (box.height, box.width, 3)).astype(np.float32)
    out = pasted(look.base, painted, look.alpha, box)
    assert np.array_equal(out[look.alpha == 0], look.base[look.alpha == 0])
    deep = cv2.erode(look.alpha, np.ones((21, 21))) == 255  # beyond the reach of the feather
    assert deep.mean() > 0.2
    wanted = np.zeros(look.base.shape, np.float32)
    box.of(wanted)[...] = painted
    assert np.abs(out[deep] - wanted[deep]).max() <= 1


def test_resizing_there_and_back_keeps_the_size() -> None:
    part = np.zeros((120, 66, 3), np.uint8)
    there = scaled(part, (96, 160))
    assert there.shape == (160, 96, 3)
    assert scaled(there, (66, 120)).shape == part.shape


def test_a_box_is_a_view() -> None:
    picture = np.zeros((20, 20), np.uint8)
    Box(5, 6, 3, 2).of(picture)[...] = 1
    assert picture.sum() == 6
    assert picture[6, 5] == 1
