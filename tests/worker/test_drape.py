"""The drape engine on the shipped packs: what it touches, its colours, its scale, its grain."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from bench.drape import letter_for, plain_picture
from bench.moire import moire
from models.errors import LookUnavailable, SwatchUnreadable
from models.letter import Letter
from worker.cloth import from_hex, from_photo, from_tile
from worker.colour import LINEAR_OF_LEVEL
from worker.draft import load_draft
from worker.engines import Engine, Picture, Rendering, engine_named
from worker.engines.drape import DrapeEngine, bolt_of, form_of
from worker.looks import Look, load_look
from worker.surface import ASSUMED, Surface
from worker.weave import weave

LOOKS = Path(__file__).parents[2] / "assets" / "looks"
NAMES = ("recto", "cruzado", "tres-piezas", "esmoquin")
COLOURS = ("#1B2440", "#121214", "#8A6F4D", "#D9CDB4", "#6E1F2B")
CLOTHS = LOOKS.parent / "cloth"
DARKEST = (
    "flannel-midnight",
    "worsted-herringbone-onyx",
    "worsted-twill-navy",
    "silk-satin-tuxedo",
)
SURFACES = (Surface(0.04, 0.8), Surface(0.18, 0.5), Surface(0.35, 0.42), Surface(0.9, 0.35))


@pytest.fixture(scope="module")
def engine() -> DrapeEngine:
    engine = DrapeEngine(LOOKS)
    engine.setup()
    return engine


@pytest.fixture(scope="module")
def looks() -> dict[str, Look]:
    return {name: load_look(LOOKS / name) for name in NAMES}


def no_tick(share: float) -> None:
    pass


def draped(engine: Engine, look: Look, colour: str) -> Picture:
    return engine.render(letter_for(look, colour), None, no_tick).picture


def with_swatch(look: Look, data: bytes, width_mm: float | None = 100.0) -> Letter:
    swatch = {
        "swatch_key": "muestras/una",
        "swatch_sha256": hashlib.sha256(data).hexdigest(),
        "swatch_kind": "photo",
        "swatch_width_mm": width_mm,
    }
    return letter_for(look).model_copy(update=swatch)


def striped_photo(extension: str, across: bool = False) -> bytes:
    """A photo of 100 x 100 mm of navy cloth with a white stripe every 10 mm."""
    picture = np.full((1000, 1000, 3), (64, 36, 27), np.uint8)
    picture[:, np.arange(1000) % 100 < 25] = (225, 220, 215)
    picture = np.ascontiguousarray(picture.transpose(1, 0, 2) if across else picture)
    done, data = cv2.imencode(extension, picture)
    assert done
    return data.tobytes()


def striped_suit(engine: Engine, look: Look, extension: str = ".png", **cut: bool) -> Picture:
    data = striped_photo(extension, **cut)
    return engine.render(with_swatch(look, data), data, no_tick).picture


def on_panels(look: Look, *keys: str) -> NDArray[np.bool_]:
    """The picture's pixels wholly inside some panels, (height, width)."""
    mask = np.zeros_like(look.panels)
    for number, key in look.panel_keys.items():
        if key in keys:
            inside = (look.panels == number).astype(np.uint8)
            mask = np.asarray(mask | (cv2.erode(inside, np.ones((9, 9))) > 0), np.uint8)
    assert mask.sum() > 1000
    return np.asarray(mask, bool)


def period_px(
    green: NDArray[Any], mask: NDArray[np.bool_], shortest: float = 8, longest: float = 18
) -> float:
    """Period of stripes along the picture's rows inside a mask, by the strongest frequency."""
    frequencies = np.linspace(1 / longest, 1 / shortest, 500)
    power = np.zeros_like(frequencies)
    for y in np.flatnonzero(mask.sum(axis=1) >= 60)[::4]:
        x = np.flatnonzero(mask[y])
        signal = green[y, x] - green[y, x].mean()
        power += np.abs(np.exp(-2j * np.pi * np.outer(frequencies, x)) @ signal) ** 2
    assert power.max() > 5 * np.median(power)
    return float(1 / frequencies[power.argmax()])


@pytest.mark.parametrize("name", NAMES)
def test_pixels_outside_the_cloth_are_the_looks_base(
    engine: DrapeEngine, looks: dict[str, Look], name: str
) -> None:
    look = looks[name]
    outside = look.panels == 0
    pictures = [draped(engine, look, colour) for colour in COLOURS]
    pictures.append(striped_suit(engine, look))
    assert outside.sum() > 500_000
    for picture in pictures:
        assert np.array_equal(picture[outside], look.base[outside])


@pytest.mark.parametrize("name", NAMES)
def test_another_cloth_changes_the_cloth_and_nothing_else(
    engine: DrapeEngine, looks: dict[str, Look], name: str
) -> None:
    look = looks[name]
    changed = (draped(engine, look, "#121214") != draped(engine, look, "#D9CDB4")).any(axis=2)
    assert not changed[look.panels == 0].any()
    assert changed[look.alpha == 255].mean() > 0.99


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_is_within_one_level_of_the_plain_maths(
    engine: DrapeEngine, looks: dict[str, Look], name: str
) -> None:
    look, cloth = looks[name], from_photo(striped_photo(".png"), 100)
    fast = engine.dress(form_of(look), bolt_of(cloth, look.px_per_cm))
    apart = np.abs(fast.astype(int) - plain_picture(look, cloth))
    assert apart.max() <= 1
    assert (apart > 0).mean() < 0.015


def test_the_same_letter_gives_the_same_bytes_on_any_number_of_threads(
    engine: DrapeEngine, looks: dict[str, Look]
) -> None:
    alone = DrapeEngine(LOOKS, threads=1)
    alone.setup()
    look = looks["cruzado"]
    first = striped_suit(engine, look)
    assert np.array_equal(first, striped_suit(engine, look))
    assert np.array_equal(first, striped_suit(alone, look))


def test_a_picture_is_its_own_and_not_a_buffer_of_the_engine(
    engine: DrapeEngine, looks: dict[str, Look]
) -> None:
    first = draped(engine, looks["recto"], "#1B2440")
    kept = first.copy()
    draped(engine, looks["recto"], "#D9CDB4")
    assert np.array_equal(first, kept)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("colour", COLOURS)
def test_fully_lit_cloth_has_the_colour_of_the_swatch(
    engine: DrapeEngine, looks: dict[str, Look], name: str, colour: str
) -> None:
    look = looks[name]
    lit = (np.abs(look.in_picture(look.light) - 1) < 0.1) & (look.alpha == 255)
    assert lit.sum() > 50_000
    seen = LINEAR_OF_LEVEL[draped(engine, look, colour)][lit].mean(axis=0)
    wanted = from_hex(colour).tile.mean(axis=(0, 1))
    assert np.linalg.norm(lab(seen) - lab(wanted)) < 2.0  # CIE 1976 colour difference


def lab(linear_bgr: NDArray[Any]) -> NDArray[Any]:
    """CIE L*a*b* of a colour in linear light."""
    xyz = cv2.cvtColor(linear_bgr.reshape(1, 1, 3).astype(np.float32), cv2.COLOR_BGR2XYZ)
    ratio = np.asarray(xyz[0, 0] / (0.95047, 1.0, 1.08883))
    bent = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.array([116 * bent[1] - 16, 500 * (bent[0] - bent[1]), 200 * (bent[1] - bent[2])])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("surface", SURFACES, ids=["felt", "worsted", "mohair", "satin"])
def test_no_surface_changes_the_colour_of_fully_lit_cloth(
    engine: DrapeEngine, looks: dict[str, Look], name: str, surface: Surface
) -> None:
    look, cloth = looks[name], replace(from_hex("#1B2440"), surface=surface)
    lit = (np.abs(look.in_picture(look.light) - 1) < 0.1) & (look.alpha == 255)
    picture = engine.dress(form_of(look), bolt_of(cloth, look.px_per_cm))
    seen = LINEAR_OF_LEVEL[picture][lit].mean(axis=0)
    assert np.linalg.norm(lab(seen) - lab(cloth.tile.mean(axis=(0, 1)))) < 2.0


def test_black_cloth_shows_its_folds(engine: DrapeEngine, looks: dict[str, Look]) -> None:
    assert ridges_over_hollows(looks["recto"], draped(engine, looks["recto"], "#121214")) > 15


@pytest.mark.parametrize("stem", DARKEST)
def test_the_darkest_cloths_of_the_catalogue_show_their_folds(
    engine: DrapeEngine, looks: dict[str, Look], stem: str
) -> None:
    look, tile = looks["recto"], weave(load_draft(CLOTHS / f"{stem}.toml"))
    cloth = from_tile(tile.png(), tile.width_mm)
    picture = engine.dress(form_of(look), bolt_of(cloth, look.px_per_cm))
    assert ridges_over_hollows(look, picture) > 12


def ridges_over_hollows(look: Look, picture: Picture) -> float:
    """How many levels the sleeves' ridges are above their hollows."""
    grey, light = picture.mean(axis=2), look.in_picture(look.light)
    sleeves = on_panels(look, "rsl", "lsl")
    ridges, hollows = grey[sleeves & (light > 1.2)], grey[sleeves & (light < 0.6)]
    assert min(len(ridges), len(hollows)) > 500
    return float(np.median(ridges) - np.median(hollows))


def test_the_shinier_the_cloth_the_brighter_it_gleams(
    engine: DrapeEngine, looks: dict[str, Look]
) -> None:
    look, form = looks["recto"], form_of(looks["recto"])
    brightest = []
    for surface in SURFACES:
        cloth = replace(from_hex("#1B2440"), surface=surface)
        picture = engine.dress(form, bolt_of(cloth, look.px_per_cm))
        brightest.append(np.percentile(picture[look.alpha == 255].mean(axis=1), 99.5))
    felt, worsted, mohair, satin = brightest
    assert worsted > felt + 3
    assert mohair > worsted + 10
    assert satin > mohair + 20


@pytest.mark.parametrize("extension", [".png", ".jpg"])
@pytest.mark.parametrize(("name", "fronts"), [("recto", ("rf", "lf")), ("cruzado", ("lf",))])
def test_stripes_of_10_mm_are_10_mm_apart_on_the_fronts(
    engine: DrapeEngine, looks: dict[str, Look], name: str, fronts: tuple[str, ...], extension: str
) -> None:
    look = looks[name]
    green = striped_suit(engine, look, extension)[..., 1].astype(float)
    faces_us = (look.panels > 0) & (np.abs(look.in_picture(look.u)) < 8)
    for front in fronts:
        mm = period_px(green, on_panels(look, front) & faces_us) / look.px_per_cm * 10
        assert mm == pytest.approx(10, rel=0.03)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("front", ["rf", "lf"])
def test_level_stripes_of_10_mm_are_10_mm_apart_down_both_fronts(
    engine: DrapeEngine, looks: dict[str, Look], name: str, front: str
) -> None:
    look = looks[name]
    green = striped_suit(engine, look, across=True)[..., 1].astype(float)
    mm = period_px(green.T, on_panels(look, front).T) / look.px_per_cm * 10
    assert mm == pytest.approx(10, rel=0.03)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("panel", ["rf", "lf"])
def test_stripes_stand_upright_on_the_fronts(
    engine: DrapeEngine, looks: dict[str, Look], name: str, panel: str
) -> None:
    stripes, grain = stripes_and_grain(engine, looks[name], panel)
    assert abs(stripes - grain) < 2
    assert abs(grain) < 5


@pytest.mark.parametrize("name", ["recto", "cruzado", "tres-piezas"])
@pytest.mark.parametrize("panel", ["rlap", "llap"])
def test_stripes_run_along_the_lapels_edge_below_the_buttonhole(
    engine: DrapeEngine, looks: dict[str, Look], name: str, panel: str
) -> None:
    stripes, grain = stripes_and_grain(engine, looks[name], panel, above=0.4)
    assert abs(stripes - grain) < 2
    assert 20 < abs(grain) < 40


def test_satin_lapels_and_collar_are_not_the_clients_cloth(looks: dict[str, Look]) -> None:
    look = looks["esmoquin"]
    shown = {look.panel_keys[number] for number in np.unique(look.panels) if number}
    assert shown.isdisjoint({"rlap", "llap", "rcol", "lcol"})
    assert {"rf", "lf", "rsl", "lsl", "rleg", "lleg"} <= shown


def test_a_three_piece_shows_its_waistcoat(looks: dict[str, Look]) -> None:
    look = looks["tres-piezas"]
    shown = {look.panel_keys[number] for number in np.unique(look.panels) if number}
    assert {"rvest", "lvest"} <= shown


@pytest.mark.parametrize("shown", [1, 2], ids=["100 %", "50 %"])
def test_a_weave_too_fine_for_the_pixels_leaves_no_moire(
    looks: dict[str, Look], shown: int
) -> None:
    tile = weave(
        load_draft(CLOTHS / "worsted-nailhead-steel.toml")
    )  # 7.5 waves a cm, pixels show 6
    cloth = from_tile(tile.png(), tile.width_mm)
    draped, plainly = (moire(looks["recto"], cloth, filtered, shown) for filtered in (True, False))
    assert draped[1] < 0.005
    assert plainly[1] > 20 * draped[1]


def stripes_and_grain(
    engine: DrapeEngine, look: Look, panel: str, above: float = 0.0
) -> tuple[float, float]:
    """Direction of stripes in a picture, and of the panel's grain, in degrees; the share `above` of
    the panel's height is left out."""
    inside = on_panels(look, panel)
    rows = np.flatnonzero(inside.any(axis=1))
    inside[: rows[0] + int(above * (rows[-1] - rows[0]))] = False
    blurred = cv2.GaussianBlur(striped_suit(engine, look)[..., 1].astype(np.float32), (0, 0), 1.5)
    stripes = direction_of_change(
        cv2.Sobel(blurred, cv2.CV_32F, 1, 0)[inside], cv2.Sobel(blurred, cv2.CV_32F, 0, 1)[inside]
    )
    grain = direction_of_change(
        look.in_picture(look.u_dx)[inside], look.in_picture(look.u_dy)[inside]
    )
    return stripes, grain


def direction_of_change(dx: NDArray[Any], dy: NDArray[Any]) -> float:
    """Degrees from level, -90 to 90, by the structure tensor."""
    twice = np.arctan2(2 * (dx * dy).mean(), (dx * dx - dy * dy).mean())
    return float(np.degrees(twice / 2))


def test_what_was_assumed_and_what_was_used_is_told(
    engine: DrapeEngine, looks: dict[str, Look]
) -> None:
    tile = weave(load_draft(CLOTHS / "jacketing-houndstooth-tobacco.toml"))
    look, data = looks["recto"], tile.png()
    plain = engine.render(letter_for(look), None, no_tick)
    assert plain.degraded == ("no-swatch",)
    unscaled = engine.render(with_swatch(look, data, width_mm=None), data, no_tick)
    assert "scale-assumed" in unscaled.degraded
    scaled = engine.render(with_swatch(look, data, tile.width_mm), data, no_tick)
    assert "scale-assumed" not in scaled.degraded
    assert scaled.recipe["look_version"] == look.version
    assert scaled.recipe["cloth"] == "photo"
    assert scaled.recipe["cloth_px_per_cm"] == pytest.approx(tile.px_per_cm, rel=1e-3)
    assert scaled.recipe["taps"] == [4, 8]
    assert (scaled.recipe["sheen"], scaled.recipe["roughness"]) == (
        ASSUMED.sheen,
        ASSUMED.roughness,
    )
    assert json.loads(json.dumps(scaled.recipe)) == scaled.recipe


def test_one_swatch_at_two_widths_is_two_cloths(
    engine: DrapeEngine, looks: dict[str, Look]
) -> None:
    look, data = looks["recto"], striped_photo(".png")
    narrow, wide = (
        engine.render(with_swatch(look, data, width), data, no_tick).picture
        for width in (100.0, 200.0)
    )
    assert not np.array_equal(narrow, wide)


def test_a_catalogue_tile_is_laid_as_it_is(engine: DrapeEngine, looks: dict[str, Look]) -> None:
    look, data = looks["recto"], striped_photo(".png")
    letter = with_swatch(look, data).model_copy(update={"swatch_kind": "tile"})
    rendering: Rendering = engine.render(letter, data, no_tick)
    assert rendering.recipe["cloth"] == "tile"
    assert rendering.recipe["cloth_repeat_mm"] == [100, 100]


def test_progress_is_told_and_never_runs_backwards(
    engine: DrapeEngine, looks: dict[str, Look]
) -> None:
    told: list[float] = []
    engine.render(letter_for(looks["recto"]), None, told.append)
    assert told == sorted(told)
    assert told[0] == 0
    assert told[-1] == 1


def test_a_tick_that_raises_stops_the_render(engine: DrapeEngine, looks: dict[str, Look]) -> None:
    def stop(share: float) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        engine.render(letter_for(looks["recto"]), None, stop)


@pytest.mark.parametrize(
    "other",
    [{"look_version": "0" * 16}, {"look": "frac"}, {"width_px": 512, "height_px": 768}],
    ids=["version", "name", "size"],
)
def test_a_look_that_is_not_here_is_never_replaced_by_another(
    engine: DrapeEngine, looks: dict[str, Look], other: dict[str, Any]
) -> None:
    letter = letter_for(looks["recto"]).model_copy(update=other)
    with pytest.raises(LookUnavailable) as refusal:
        engine.render(letter, None, no_tick)
    assert refusal.value.retryable


@pytest.mark.parametrize("swatch", [None, b"", b"not cloth"], ids=["missing", "empty", "garbage"])
def test_a_swatch_that_cannot_be_read_is_never_replaced_by_a_colour(
    engine: DrapeEngine, looks: dict[str, Look], swatch: bytes | None
) -> None:
    letter = with_swatch(looks["recto"], swatch or b"")
    with pytest.raises(SwatchUnreadable) as refusal:
        engine.render(letter, swatch, no_tick)
    assert not refusal.value.retryable


def test_a_folder_without_looks_is_said_at_setup(tmp_path: Path) -> None:
    with pytest.raises(LookUnavailable, match="No hay looks"):
        DrapeEngine(tmp_path).setup()


def test_the_engine_is_found_by_its_name() -> None:
    assert engine_named("drape", LOOKS).name == "drape"


def test_only_a_few_cloths_are_kept(looks: dict[str, Look], monkeypatch: Any) -> None:
    made: list[str] = []

    def counted(original: Callable[[str], Any]) -> Callable[[str], Any]:
        def make(colour: str) -> Any:
            made.append(colour)
            return original(colour)

        return make

    monkeypatch.setattr("worker.engines.drape.CLOTHS_KEPT", 2)
    engine = DrapeEngine(LOOKS)
    engine.setup()
    monkeypatch.setattr("worker.engines.drape.cloths.from_hex", counted(from_hex))
    for colour in ("#111111", "#222222", "#111111", "#333333", "#111111", "#222222"):
        draped(engine, looks["recto"], colour)
    assert made == ["#111111", "#222222", "#333333", "#222222"]
