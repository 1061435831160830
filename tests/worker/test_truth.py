"""The truth check: an honest picture is green, and every way of lying about the cloth is red."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench.drape import letter_for
from models.errors import LookUnavailable
from tests.looks import CUT, about_of, sealed, small_pack
from worker.cloth import Cloth, from_hex, from_tile
from worker.draft import load_draft
from worker.engines import Picture
from worker.engines.drape import DrapeEngine, bolt_of, form_of
from worker.engines.mock import MockEngine
from worker.looks import Look, load_look
from worker.packs import write_files
from worker.truth import Stage, Truth, TruthCheck, expected_of, judged, stage_of
from worker.weave import weave

ASSETS = Path(__file__).parents[2] / "assets"
LOOKS = ASSETS / "looks"
NAMES = ("recto", "cruzado", "tres-piezas", "esmoquin")
PATTERNED = (
    "worsted-pinstripe-navy",
    "flannel-windowpane-cobalt",
    "worsted-glen-burgundy",
    "jacketing-houndstooth-tobacco",
)


@cache
def tailor() -> DrapeEngine:
    engine = DrapeEngine(LOOKS)
    engine.setup()
    return engine


@cache
def look_of(name: str) -> Look:
    return load_look(LOOKS / name)


@cache
def stage(name: str) -> Stage:
    return stage_of(look_of(name))


@cache
def cloth(stem: str) -> Cloth:
    tile = weave(load_draft(ASSETS / "cloth" / f"{stem}.toml"))
    return from_tile(tile.png(), tile.width_mm)


def worn(name: str, cloth: Cloth) -> Picture:
    engine, look = tailor(), look_of(name)
    return engine.dress(engine._form(letter_for(look)), bolt_of(cloth, look.px_per_cm))


def verdict(name: str, shown: Cloth, ordered: Cloth) -> Truth:
    return judged(worn(name, shown), stage(name), expected_of(stage(name), ordered))


def turned(cloth: Cloth, degrees: float) -> Cloth:
    """A metre square of the cloth, turned counter-clockwise from the grain."""
    px = round(100 * cloth.px_per_cm / 4)
    y, x = np.mgrid[:px, :px].astype(np.float32) * 4
    turn = np.radians(degrees)
    height, width = cloth.tile.shape[:2]
    across = np.asarray((np.cos(turn) * x - np.sin(turn) * y) % width, np.float32)
    down = np.asarray((np.cos(turn) * y + np.sin(turn) * x) % height, np.float32)
    small = cv2.GaussianBlur(np.tile(cloth.tile, (3, 3, 1)), (0, 0), 1.6)
    small = small[height : 2 * height + 1, width : 2 * width + 1]
    tile = cv2.remap(small, across, down, cv2.INTER_LINEAR)
    return Cloth(np.asarray(tile, np.float32), cloth.px_per_cm / 4, "tile")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("stem", PATTERNED)
def test_an_honest_picture_of_a_pattern_is_green(name: str, stem: str) -> None:
    truth = verdict(name, cloth(stem), cloth(stem))
    assert truth.grade == "green"
    assert truth.delta_e < 1.5
    assert truth.delta_e_p95 < 3
    assert truth.scale_error == pytest.approx(0, abs=0.02)
    assert truth.angle_error == pytest.approx(0, abs=1)


@pytest.mark.parametrize("stem", ["flannel-pearl-grey", "silk-satin-tuxedo", "linen-plain-ivory"])
def test_plain_cloth_is_judged_by_its_colour_alone(stem: str) -> None:
    truth = verdict("recto", cloth(stem), cloth(stem))
    assert (truth.grade, truth.scale_error, truth.angle_error) == ("green", None, None)


def test_a_picture_in_another_colour_is_red() -> None:
    truth = verdict("recto", from_hex("#1B2440"), from_hex("#3A1420"))
    assert truth.grade == "red"
    assert truth.delta_e > 10


def test_a_slightly_other_shade_is_amber() -> None:
    truth = verdict("cruzado", from_hex("#50555F"), from_hex("#555F6A"))
    assert truth.grade == "amber"
    assert 3 < truth.delta_e <= 6


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("stem", PATTERNED)
@pytest.mark.parametrize("times", [0.7, 0.92, 1.08, 1.5])
def test_a_pattern_of_another_size_is_red(name: str, stem: str, times: float) -> None:
    wrong = replace(cloth(stem), px_per_cm=cloth(stem).px_per_cm / times)
    truth = verdict(name, wrong, cloth(stem))
    assert truth.grade == "red"


@pytest.mark.parametrize("times", [0.85, 1.08, 1.25])
def test_the_error_of_a_stripes_pitch_is_told(times: float) -> None:
    stripe = cloth("worsted-pinstripe-navy")
    truth = verdict("recto", replace(stripe, px_per_cm=stripe.px_per_cm / times), stripe)
    assert truth.scale_error == pytest.approx(times - 1, abs=0.02)


@pytest.mark.parametrize("degrees", [-12, 8, 15])
def test_a_pattern_off_the_grain_is_red_and_tells_by_how_much(degrees: int) -> None:
    stripe = cloth("worsted-pinstripe-navy")
    truth = verdict("recto", turned(stripe, degrees), stripe)
    assert truth.grade == "red"
    assert truth.angle_error == pytest.approx(degrees, abs=1.5)
    assert truth.delta_e < 6  # the colour alone would not have told


def test_stripes_that_run_across_are_red() -> None:
    stripe = cloth("worsted-pinstripe-navy")
    lying = replace(stripe, tile=np.ascontiguousarray(stripe.tile.transpose(1, 0, 2)))
    assert verdict("cruzado", lying, stripe).grade == "red"


def test_a_pattern_that_the_picture_lost_is_red() -> None:
    glen = cloth("worsted-glen-burgundy")
    plain = replace(glen, tile=np.broadcast_to(glen.tile.mean(axis=(0, 1)), glen.tile.shape))
    truth = verdict("recto", plain, glen)
    assert truth.delta_e < 6
    assert truth.pattern_found is not None
    assert truth.pattern_found < 0.3
    assert (truth.grade, truth.scale_error) == ("red", None)


def test_the_letter_tells_what_was_ordered() -> None:
    check, look = TruthCheck(LOOKS), look_of("recto")
    ordered = letter_for(look, "#1B2440")
    honest = tailor().render(ordered, None, lambda share: None).picture
    for colour, grade in (("#1B2440", "green"), ("#7A2F34", "red")):
        truth = check.of(honest, letter_for(look, colour), None)
        assert truth is not None
        assert truth["grade"] == grade
        assert truth["formula"] == "CIEDE2000"


def test_a_placeholder_is_not_judged() -> None:
    letter = letter_for(look_of("recto"))
    picture = MockEngine().render(letter, None, lambda share: None).picture
    assert TruthCheck(LOOKS).of(picture, letter, None) is None


def test_a_look_of_which_nothing_is_lit_as_flat_cloth_is_not_judged(tmp_path: Path) -> None:
    dark = cv2.imencode(".png", np.zeros((384, 256), np.uint8))[1].tobytes()
    files = sealed({**small_pack(), "shade.png": dark}, about_of(small_pack()))
    write_files(tmp_path / CUT, files)
    look = load_look(tmp_path / CUT)
    picture = DrapeEngine(LOOKS).dress(form_of(look), bolt_of(from_hex("#1B2440"), look.px_per_cm))
    assert TruthCheck(tmp_path).of(picture, letter_for(look), None) is None


def test_where_no_panel_is_shown_there_is_no_pattern_to_measure() -> None:
    striped = cloth(PATTERNED[0])
    bare = replace(stage("recto"), panels=())
    truth = judged(worn("recto", striped), bare, expected_of(bare, striped))
    assert (truth.grade, truth.pattern_found) == ("green", None)


def test_a_look_in_another_version_is_no_witness() -> None:
    letter = letter_for(look_of("recto")).model_copy(update={"look_version": "another"})
    with pytest.raises(LookUnavailable, match="versión another"):
        TruthCheck(LOOKS).of(worn("recto", from_hex("#1B2440")), letter, None)
