"""Photos of suits whose light, cloth and grain are known, made into looks: all three are found."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from bench.photo_looks import (
    Photo,
    grain_errors,
    light_error,
    made,
    pattern_left,
    photographed,
    picture_of,
    source_cloth,
)
from bench.pictures import cloth_named, dressed
from models.errors import InvalidInput
from models.settings import ROOT
from tests.conftest import run_python
from worker.colour import LINEAR_OF_LEVEL
from worker.looks import Look, load_look
from worker.photo_look.command import main
from worker.photo_look.coverage import coverage_of
from worker.photo_look.pack import photo_look
from worker.photo_look.plan import plan_of
from worker.truth import expected_of, judged, stage_of

LOOKS = ROOT / "assets" / "looks"
SOURCES = ("light", "dark", "pinstripe", "glen")
FACING = ("rf", "lf", "rleg", "lleg", "rlap", "llap")
WORN = ("worsted-pinstripe-navy", "flannel-windowpane-cobalt", "flannel-pearl-grey")

Make = Callable[[str], Look]


@cache
def known() -> Look:
    return load_look(LOOKS / "recto")


@cache
def photo(source: str) -> Photo:
    return photographed(known(), source_cloth(source))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("looks")


@pytest.fixture(scope="module")
def look(folder: Path) -> Make:
    """The look made of each source's photo, made once."""
    return cache(lambda source: made(known(), photo(source), folder / source))


@pytest.mark.parametrize("source", SOURCES)
def test_pixels_outside_the_mask_are_the_photos_byte_for_byte(look: Make, source: str) -> None:
    outside = photo(source).mask == 0
    assert outside.sum() > 500_000
    picture = dressed(look(source), cloth_named("flannel-windowpane-cobalt"))
    assert np.array_equal(picture[outside], photo(source).levels[outside])


@pytest.mark.parametrize(
    ("source", "off_max"), [("light", 0.08), ("dark", 0.12), ("pinstripe", 0.12), ("glen", 0.2)]
)
def test_the_light_is_the_photos_whatever_was_worn(look: Make, source: str, off_max: float) -> None:
    off, alike = light_error(known(), photo(source), look(source))
    assert off < off_max
    assert alike > 0.9


@pytest.mark.parametrize(("source", "left_max"), [("pinstripe", 0.01), ("glen", 0.015)])
def test_the_sources_pattern_is_not_left_in_the_light(
    look: Make, source: str, left_max: float
) -> None:
    cloth = source_cloth(source)
    seen = LINEAR_OF_LEVEL[photo(source).levels].mean(axis=2)
    before = pattern_left(known(), cloth, seen)
    after = pattern_left(known(), cloth, picture_of(look(source), look(source).light))
    assert before > 0.03
    assert after < left_max
    assert after < before / 2


@pytest.mark.parametrize("source", SOURCES)
def test_stripes_keep_their_pitch_and_their_grain(look: Make, source: str) -> None:
    errors = grain_errors(known(), look(source))
    assert {*FACING, "rsl", "lsl"} <= errors.keys()
    for key, (turn, pitch) in errors.items():
        is_collar = key in ("rcol", "lcol")  # curved, and marked by a straight line of 4 cm
        assert abs(turn) < (4 if is_collar else 2), key
        if key in FACING:
            assert pitch is not None, key
            assert abs(pitch) < 0.025, key


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("stem", WORN)
def test_every_cloth_on_it_passes_the_truth_check(look: Make, source: str, stem: str) -> None:
    cloth, stage = cloth_named(stem), stage_of(look(source))
    truth = judged(dressed(look(source), cloth), stage, expected_of(stage, cloth))
    assert truth.grade == "green"
    assert truth.delta_e < 2


def test_buttons_shirt_and_the_gap_beside_the_arm_stay(look: Make) -> None:
    picture = dressed(look("dark"), cloth_named("flannel-pearl-grey"))
    holes = holes_in(photo("dark").mask)
    assert len(holes) >= 3  # two buttons and the shirt at least
    for hole in holes:
        assert np.array_equal(picture[hole], photo("dark").levels[hole])


def holes_in(mask: NDArray[np.uint8]) -> list[NDArray[np.bool_]]:
    """Pieces without cloth that do not reach the picture's border."""
    count, labels, *_ = cv2.connectedComponentsWithStats((mask == 0).astype(np.uint8))
    border = np.unique(np.r_[labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return [labels == n for n in range(1, count) if n not in border and (labels == n).sum() > 50]


def test_the_old_cloth_leaves_no_rim_around_the_new(look: Make) -> None:
    """A navy suit dressed in pearl grey: between it and the white backdrop nothing is navy."""
    picture = dressed(look("dark"), cloth_named("flannel-pearl-grey")).astype(int)
    alpha = known().alpha
    rim = (alpha > 60) & (alpha < 200)
    inside = cv2.erode((alpha == 255).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert rim.sum() > 1000
    darkest = np.percentile(picture[inside].mean(axis=1), 5)
    assert (picture[rim].mean(axis=1) < darkest - 10).mean() < 0.1


def test_a_hard_mask_is_softened_on_the_photo() -> None:
    soft = known().alpha
    generous = cv2.dilate((soft > 0).astype(np.uint8) * 255, np.ones((3, 3), np.uint8))
    linear = LINEAR_OF_LEVEL[photo("dark").levels]
    found = coverage_of(linear, np.asarray(generous, np.uint8)).alpha
    assert not found[generous == 0].any()
    backdrop = (soft == 0) & (generous > 0) & (linear.mean(axis=2) > 0.5)
    assert backdrop.sum() > 1000
    assert np.median(found[backdrop]) < 0.15
    assert np.median(found[(soft > 100) & (soft < 150)]) == pytest.approx(0.5, abs=0.25)
    assert np.median(found[soft == 255]) == 1


@pytest.mark.parametrize(
    ("source", "limits"), [("light", []), ("dark", []), ("pinstripe", ["folds-blurred"])]
)
def test_what_the_photo_did_not_tell_is_said_in_the_pack(
    look: Make, folder: Path, source: str, limits: list[str]
) -> None:
    look(source)
    about = json.loads((folder / source / "look.json").read_text())
    assert about["photo"]["limits"] == limits


@pytest.mark.parametrize(("level", "words"), [(255, "blanca"), (2, "negra")])
def test_cloth_without_light_and_shadow_is_refused(level: int, words: str) -> None:
    dark = photo("dark")
    flat = np.where(dark.mask[..., None] > 0, np.uint8(level), dark.levels)
    plan = plan_of(dark.plan, (known().width_px, known().height_px))
    with pytest.raises(InvalidInput, match=words):
        photo_look(flat, dark.mask, plan, name="mio", name_es="Mío")


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """photo.png, mask.png and panels.json of the light suit."""
    taken = photo("light")
    assert cv2.imwrite(str(tmp_path / "photo.png"), taken.levels)
    assert cv2.imwrite(str(tmp_path / "mask.png"), taken.mask)
    (tmp_path / "panels.json").write_text(json.dumps(taken.plan))
    return tmp_path


def command(files: Path, **others: str) -> list[str]:
    named = {"mask": "mask.png", "panels": "panels.json", "out": "mio"} | others
    options = [word for name, file in named.items() for word in (f"--{name}", str(files / file))]
    return ["from-photo", str(files / "photo.png"), *options]


def test_the_command_writes_an_ordinary_look(files: Path, look: Make) -> None:
    ran = run_python("-m", "worker.looks", *command(files), "--name", "Mi traje")
    assert "px por cm" in ran.stdout
    found = load_look(files / "mio")
    assert found.name_es == "Mi traje"
    assert found.version == look("light").version
    about = json.loads((files / "mio" / "look.json").read_text())
    assert (about["style"], about["photo"]["limits"]) == ("mio", [])


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"mask": "photo.jpg"}, "no se puede leer"),
        ({"mask": "panels.json"}, "no es una imagen"),
        ({"mask": "small.png"}, "deben medir lo mismo"),
        ({"mask": "empty.png"}, "no marca tela"),
        ({"panels": "photo.png"}, "JSON"),
        ({"panels": "half.json"}, "no está en ningún panel"),
        ({"out": "there"}, "ya existe"),
        ({"out": "Mi Traje"}, "minúsculas"),
    ],
)
def test_bad_input_is_told_and_nothing_is_written(
    files: Path, capsys: pytest.CaptureFixture[str], others: dict[str, str], words: str
) -> None:
    taken = photo("light")
    (files / "there").mkdir()
    assert cv2.imwrite(str(files / "small.png"), taken.mask[:700])
    assert cv2.imwrite(str(files / "empty.png"), np.zeros_like(taken.mask))
    half: dict[str, Any] = taken.plan | {
        "panels": [p for p in taken.plan["panels"] if p["key"] in ("lf", "rf")]
    }
    (files / "half.json").write_text(json.dumps(half))
    before = sorted(path.name for path in files.iterdir())
    assert main(command(files, **others)) == 1
    assert words in capsys.readouterr().err
    assert sorted(path.name for path in files.iterdir()) == before


def test_a_pack_that_does_not_read_back_is_not_left_lying(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(folder: Path) -> Look:
        raise InvalidInput("roto")

    monkeypatch.setattr("worker.photo_look.pack.load_look", broken)
    before = sorted(path.name for path in files.iterdir())
    assert main(command(files)) == 1
    assert sorted(path.name for path in files.iterdir()) == before
