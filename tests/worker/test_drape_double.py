"""Looks at twice their size: the same suit, its cloth in finer detail, clean borders."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from bench.drape import doubled_letter, letter_for
from worker.cloth import Cloth, from_tile
from worker.colour import LINEAR_OF_LEVEL
from worker.draft import load_draft
from worker.engines import Picture
from worker.engines.drape import DrapeEngine, bolt_of, form_of
from worker.engines.drape_double import doubled
from worker.looks import Look, load_look
from worker.weave import weave

ASSETS = Path(__file__).parents[2] / "assets"
NAMES = ("recto", "esmoquin")


@cache
def look_of(name: str) -> Look:
    return load_look(ASSETS / "looks" / name)


@cache
def double_of(name: str) -> Look:
    return doubled(look_of(name))


@cache
def pinstripe() -> Cloth:
    tile = weave(load_draft(ASSETS / "cloth" / "worsted-pinstripe-navy.toml"))
    return from_tile(tile.png(), tile.width_mm)


@pytest.fixture(scope="module")
def engine() -> DrapeEngine:
    engine = DrapeEngine(ASSETS / "looks")
    engine.setup()
    return engine


def dressed(engine: DrapeEngine, look: Look) -> Picture:
    return engine.dress(form_of(look), bolt_of(pinstripe(), look.px_per_cm))


def halved(picture: NDArray[np.generic]) -> NDArray[np.float64]:
    size = (picture.shape[1] // 2, picture.shape[0] // 2)
    return np.asarray(cv2.resize(picture.astype(np.float64), size, interpolation=cv2.INTER_AREA))


def inside(look: Look, px: int = 5) -> NDArray[np.bool_]:
    """Cloth that has only its own panel around it."""
    square = np.ones((px, px), np.uint8)
    same = cv2.erode(look.panels, square) == cv2.dilate(look.panels, square)
    return np.asarray(same & (look.panels > 0) & (look.alpha == 255))


@pytest.mark.parametrize("name", NAMES)
def test_it_is_the_same_suit_at_twice_the_size(engine: DrapeEngine, name: str) -> None:
    look, double = look_of(name), double_of(name)
    assert (double.width_px, double.height_px) == (2048, 3072)
    assert double.px_per_cm == 2 * look.px_per_cm
    large, small = (LINEAR_OF_LEVEL[dressed(engine, one)] for one in (double, look))
    seen, known = (cv2.GaussianBlur(one, (0, 0), 2.5) for one in (halved(large), small))
    apart = np.abs(seen - known).mean(axis=2)
    deep = inside(look, px=21)
    assert deep.sum() > 200_000
    assert apart[deep].mean() < 0.03 * known[deep].mean()
    assert apart[look.panels == 0].mean() < 0.005


@pytest.mark.parametrize("name", NAMES)
def test_pixels_outside_the_cloth_are_the_enlarged_base(engine: DrapeEngine, name: str) -> None:
    double = double_of(name)
    outside = double.panels == 0
    assert outside.sum() > 2_000_000
    assert np.array_equal(dressed(engine, double)[outside], double.base[outside])
    assert not double.panels[0].any()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("axis", ["u", "v"])
def test_the_cloth_lies_where_it_lay(name: str, axis: str) -> None:
    look, double = look_of(name), double_of(name)
    before = look.in_picture(getattr(look, axis))
    after = halved(double.in_picture(getattr(double, axis)))
    deep = inside(look)
    assert deep.sum() > 300_000
    assert np.abs(after - before)[deep].max() < 0.02  # cm: half a thread
    slope = double.in_picture(getattr(double, f"{axis}_dx"))
    assert np.allclose(halved(slope)[deep], look.in_picture(getattr(look, f"{axis}_dx"))[deep] / 2)


def test_no_panel_is_lost_and_none_is_made_up() -> None:
    for name in NAMES:
        counts, finer = (
            np.bincount(look.panels.ravel(), minlength=32)
            for look in (look_of(name), double_of(name))
        )
        assert np.array_equal(counts > 0, finer > 0)
        assert (np.abs(finer / 4 - counts) < 0.1 * counts + 30).all()


def test_borders_are_drawn_finer_than_the_packs_pixels() -> None:
    """Enlarged pixel by pixel, every border would lie between two of the pack's pixels."""
    panels = double_of("recto").panels
    row, column = np.nonzero(panels[:, 1:] != panels[:, :-1])
    assert len(row) > 5000
    assert (column % 2 == 0).mean() > 0.15


def test_the_finer_picture_shows_more_of_the_weave(engine: DrapeEngine) -> None:
    look, double = look_of("recto"), double_of("recto")
    fine = dressed(engine, double)[..., 2].astype(np.float32)
    plain = cv2.resize(dressed(engine, look)[..., 2].astype(np.float32), fine.shape[::-1])
    deep = inside(double)
    detail = [np.abs(cv2.Laplacian(one, cv2.CV_32F))[deep].mean() for one in (fine, plain)]
    assert detail[0] > 1.5 * detail[1]


def test_an_order_of_twice_the_size_is_answered_in_that_size(engine: DrapeEngine) -> None:
    letter = doubled_letter(letter_for(look_of("recto")))
    rendering = engine.render(letter, None, lambda share: None)
    assert rendering.picture.shape == (3072, 2048, 3)
    assert rendering.recipe["look_px_per_cm"] == pytest.approx(24.38)
