"""The look builder without Blender: size table, styles, the body's girths, curves and the pack."""

import dataclasses
import json
import tomllib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from devops.looks.body import Z_MIN, Z_STEP, Body
from devops.looks.curves import arc_lengths, resample, spline
from devops.looks.depth import FARTHEST, OtherGeometry, depth_of, write_depth
from devops.looks.folds import RIPPLE, creased, noise_field
from devops.looks.pack import KEY_LIGHT, described, grown, pictures, representative, write_pack
from devops.looks.panels import PANEL, PANEL_NAMES, panel_of
from devops.looks.size_table import SizeTable, load_size
from devops.looks.style import Cut, Style, load_style
from worker.looks import centimetres, light_of_shade, load_look

LOOKS = Path(__file__).parents[2] / "devops" / "looks"
SIZE_50 = LOOKS / "sizes" / "50.toml"
STYLES = sorted((LOOKS / "styles").glob("*.toml"))
ALBEDO = 0.6


@pytest.fixture(scope="module")
def size() -> SizeTable:
    return load_size(SIZE_50)


@pytest.fixture(scope="module")
def style() -> Style:
    return load_style(LOOKS / "styles" / "recto.toml")


def rewritten(path: Path, folder: Path, **values: object) -> Path:
    """A copy of a TOML file in which these keys have other values."""
    rows = tomllib.loads(path.read_text(encoding="utf-8")) | values
    copy = folder / path.name
    lines = [
        f"{key} = {json.dumps(value)}" for key, value in rows.items() if not isinstance(value, list)
    ]
    copy.write_text("\n".join(lines), encoding="utf-8")
    return copy


def test_size_50_is_chest_100_with_waist_88(size: SizeTable) -> None:
    assert (size.chest, size.waist) == (100, 88)
    assert (size.jacket_length, size.sleeve_length) == (75, 64)


@pytest.mark.parametrize("wrong", [{"chest": -100}, {"chest": "wide"}, {"inseam": 80}])
def test_a_size_that_is_no_size_is_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        load_size(rewritten(SIZE_50, tmp_path, **wrong))


def test_the_jackets_girths_are_the_bodys_and_their_ease(size: SizeTable) -> None:
    body = Body(size)
    for z, girth in size.jacket_girths.items():
        assert body.girths[round((z - Z_MIN) / Z_STEP)] == pytest.approx(girth, rel=0.01)


def test_another_size_has_a_wider_jacket_of_the_same_length(size: SizeTable) -> None:
    larger = dataclasses.replace(size, chest=108, waist=98, hip=112)
    row = round((size.chest_z - Z_MIN) / Z_STEP)
    assert Body(larger).girths[row] - Body(size).girths[row] == pytest.approx(8, abs=0.2)
    assert larger.hem_z == size.hem_z


def test_u_is_a_length_around_the_body(size: SizeTable) -> None:
    u = np.arange(0.0, 15.0, 0.1)
    points = Body(size).surface(u, np.full(len(u), size.chest_z))
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    assert np.allclose(steps, 0.1, atol=0.003)


def test_v_is_nought_at_the_waist_and_grows_upwards(size: SizeTable) -> None:
    z = np.linspace(size.hem_z, 85, 100)
    v = Body(size).v_of(np.full(100, 8.0), z)
    assert np.interp(size.waist_z, z, v) == pytest.approx(0, abs=0.01)
    assert (np.diff(v) > 0).all()


def test_what_is_drawn_in_the_front_view_is_seen_there(size: SizeTable) -> None:
    body = Body(size)
    for x, z in ((-12.0, 45.0), (0.0, 60.0), (9.5, 76.0)):
        assert body.above(x, z, 0.0) == pytest.approx([x, body.above(x, z, 0.0)[1], z], abs=0.02)


@pytest.mark.parametrize("path", STYLES, ids=lambda path: path.stem)
def test_a_style_is_named_as_its_file(path: Path) -> None:
    style = load_style(path)
    assert style.name == path.stem
    assert style.buttons


def test_styles_have_places_of_their_own() -> None:
    assert sorted(load_style(path).place for path in STYLES) == list(range(1, len(STYLES) + 1))


@pytest.mark.parametrize(
    ("name", "opens"),
    [("recto", 54.8), ("tres-piezas", 53.2), ("cruzado", None), ("esmoquin", None)],
)
def test_fronts_part_below_the_last_button_that_is_closed(
    size: SizeTable, name: str, opens: float | None
) -> None:
    cut = Cut(Body(size), load_style(LOOKS / "styles" / f"{name}.toml"))
    assert cut.opens_z == (opens if opens is None else pytest.approx(opens))


@pytest.mark.parametrize("wrong", [{"lapel": "frog"}, {"vents": 2}, {"neckwear": "scarf"}])
def test_a_style_that_no_tailor_knows_is_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        load_style(rewritten(LOOKS / "styles" / "recto.toml", tmp_path, **wrong))


def test_the_right_of_the_wearer_is_on_the_viewers_left() -> None:
    assert panel_of("f", +1) == PANEL["lf"] == 2
    assert panel_of("f", -1) == PANEL["rf"] == 1
    assert len({key for key, _ in PANEL_NAMES.values()}) == len(PANEL_NAMES)


def test_a_resampled_curve_has_equal_steps_and_the_same_ends() -> None:
    curve = resample(spline([(0, 0), (3, 4), (9, 5)]), 50)
    assert np.allclose(np.diff(arc_lengths(curve)), arc_lengths(curve)[-1] / 49, rtol=1e-3)
    assert curve[0] == pytest.approx([0, 0])
    assert curve[-1] == pytest.approx([9, 5])


def test_folds_are_the_same_each_time_and_differ_from_side_to_side() -> None:
    at = np.stack(np.meshgrid(np.arange(10.0), np.arange(20.0)), -1).reshape(-1, 2)
    strokes = ((((1.0, 4.0), (5.0, 9.0), (8.0, 15.0)), 1.0, 0.3),)
    left, again, right = (creased(strokes, at, seed) for seed in (1, 1, 2))
    assert np.array_equal(left, again)
    assert np.abs(left - right).max() > 0.05
    assert np.array_equal(noise_field(1.6, 6, seed=2)(at[:, 0], at[:, 1]), RIPPLE(*at.T))


# --- the pack -------------------------------------------------------------------------------------


def passes(size_px: tuple[int, int] = (24, 16)) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """White, black and data of a left front beside bare backdrop; light 0.5 on the cloth."""
    height, width = size_px
    black = np.full((height, width, 3), 0.7, np.float32)
    black[:, : width // 2] = 0.02
    white = black.copy()
    white[:, : width // 2] += 0.5 * ALBEDO
    data = np.zeros((2 * height, 2 * width, 3), np.float32)
    rows, columns = np.mgrid[: 2 * height, :width]
    data[:, :width] = np.stack([columns * 0.05, -rows * 0.05, 0 * rows + PANEL["lf"]], -1)
    return white, black, data


def test_a_pack_can_be_read_and_holds_what_was_rendered(tmp_path: Path, style: Style) -> None:
    images = pictures(*passes(), albedo=ALBEDO, bounce=0.12)
    write_pack(tmp_path / "recto", style, images, 12.19)
    look = load_look(tmp_path / "recto")
    assert (look.name, look.name_es, look.px_per_cm) == ("recto", "Recto", 12.19)
    inside = look.alpha == 255
    assert inside.sum() == 24 * 8
    assert np.allclose(light_of_shade(images["shade.png"])[inside], KEY_LIGHT, atol=0.01)
    u = centimetres(images["u.png"])
    assert np.allclose(np.diff(u[:, :8], axis=1), 0.1, atol=0.005)


def test_the_same_passes_make_the_same_pack(tmp_path: Path, style: Style) -> None:
    for name in ("one", "two"):
        images = pictures(*passes(), albedo=ALBEDO, bounce=0.12)
        write_pack(tmp_path / name, style, images, 12.19)
    first, second = ((tmp_path / name / "look.json").read_bytes() for name in ("one", "two"))
    assert first == second


def test_a_pixel_belongs_to_the_panel_that_most_of_its_samples_hit() -> None:
    ids = np.array([1, 2, 2, 2], np.uint8).reshape(4, 1, 1)
    u = np.array([-50.0, 1.0, 2.0, 3.0], np.float32).reshape(4, 1, 1)
    panels, mean_u, _, coverage = representative(ids, u, u)
    assert (panels.item(), mean_u.item(), coverage.item()) == (2, 2.0, 1.0)


def test_panels_grow_by_two_pixels_and_take_their_neighbours_place() -> None:
    panels = np.zeros((9, 9), np.uint8)
    panels[4, 4] = 3
    u = np.where(panels > 0, 7.5, 0).astype(np.float32)
    wider, wider_u, _ = grown(panels, u, u)
    assert wider.astype(bool).sum() == 25
    assert (wider_u[wider > 0] == 7.5).all()
    assert not u[panels == 0].any()


def test_what_look_json_tells_of_the_panels_covers_every_panel(style: Style) -> None:
    about = described(style, "0" * 16, (1024, 1536), 12.19)
    assert {int(number) for number in about["panels"]} == set(PANEL_NAMES)
    assert about["format_version"] == 1


# --- the depth ------------------------------------------------------------------------------------


def disparity(size_px: tuple[int, int] = (24, 16), from_cm: float = 500) -> NDArray[Any]:
    """Of the passes' left front, a slope from there to 20 cm further; its last column is half
    backdrop."""
    height, width = size_px
    figure = np.zeros((height, width), np.float32)
    figure[:, : width // 2] = 1
    per_cm = np.zeros_like(figure)
    per_cm[:, : width // 2] = 1 / np.linspace(from_cm, from_cm + 20, width // 2)
    seen = np.stack([per_cm, figure, figure], -1)
    seen[:, width // 2 - 1] *= 0.5
    return seen


def test_near_is_white_far_is_dark_and_the_backdrop_is_black() -> None:
    depth = depth_of(disparity())
    row = depth.levels[0].astype(int)
    assert (row[0], row[6], row[8:].max()) == (255, FARTHEST, 0)
    assert (np.diff(row[:8]) < 0).all()
    assert row[7] == pytest.approx(FARTHEST / 2, abs=FARTHEST / 2 - 1)  # a rim between the two
    assert depth.nearest_cm == pytest.approx(500, abs=0.01)
    assert depth.farthest_cm == pytest.approx(500 + 20 * 6 / 7, abs=0.01)


def test_levels_are_linear_in_disparity_not_in_distance() -> None:
    seen = disparity(from_cm=20)  # near enough that the two differ
    per_cm = seen[0, :7, 0]
    share = (per_cm - per_cm[-1]) / np.ptp(per_cm)
    expected = FARTHEST + (255 - FARTHEST) * share
    assert depth_of(seen).levels[0, :7] == pytest.approx(expected, abs=0.51)
    assert depth_of(seen).levels[0, 3] < (255 + FARTHEST) / 2 - 15  # halfway in distance


def test_the_few_places_that_turn_away_do_not_take_the_range() -> None:
    seen = np.repeat(disparity(), 10, 0)
    seen[0, :, 0] = seen[0, :, 1] / 900
    depth = depth_of(seen)
    assert depth.farthest_cm < 530
    assert (depth.levels[0, :7] == FARTHEST).all()
    assert np.array_equal(depth.levels[1:], np.repeat(depth_of(disparity()).levels, 10, 0)[1:])


@pytest.fixture
def small_pack(tmp_path: Path, style: Style) -> Path:
    images = pictures(*passes(), albedo=ALBEDO, bounce=0.12)
    write_pack(tmp_path / "recto", style, images, 12.19)
    return tmp_path / "recto"


def test_depth_is_added_to_a_pack_and_beside_its_other_maps(small_pack: Path) -> None:
    before = {path.name: path.read_bytes() for path in small_pack.iterdir()}
    (small_pack / "maps").mkdir()
    (small_pack / "maps" / "maps.json").write_text('{"edges": {"maker": "any"}}')
    seen = disparity()
    seen[:, 7] = seen[:, 6]  # the pack's cloth ends at a whole pixel
    depth = write_depth(small_pack, seen, "Blender")
    stored = cv2.imread(str(small_pack / "maps" / "depth.png"), cv2.IMREAD_UNCHANGED)
    about = json.loads((small_pack / "maps" / "maps.json").read_text())
    assert stored is not None
    assert np.array_equal(stored, depth.levels)
    assert about["edges"] == {"maker": "any"}
    assert about["depth"]["look_version"] == load_look(small_pack).version
    assert (about["depth"]["maker"], about["depth"]["nearest_cm"]) == ("Blender", 500.0)
    assert before == {p.name: p.read_bytes() for p in small_pack.iterdir() if p.is_file()}


@pytest.mark.parametrize("moved", [1, 3])
def test_the_depth_of_another_geometry_is_refused(small_pack: Path, moved: int) -> None:
    seen = disparity()
    seen[:, 7] = seen[:, 6]
    with pytest.raises(OtherGeometry, match="recto"):
        write_depth(small_pack, np.roll(seen, moved, 1), "Blender")
    with pytest.raises(OtherGeometry):
        write_depth(small_pack, seen[:-2], "Blender")
    assert not (small_pack / "maps").exists()
