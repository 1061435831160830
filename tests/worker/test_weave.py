"""Woven tiles: seamless, true in colour and scale, and as different as the cloths they are."""

import itertools
import math
import re
import statistics
import tomllib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import InvalidInput
from worker.draft import Draft, harness_of, linear_rgb, load_draft
from worker.weave import WovenTile, weave

ASSETS = Path(__file__).parents[2] / "assets"
CLOTHS = sorted((ASSETS / "cloth").glob("*.toml"))
FAMILIES = ["lana-cachemir", "lana-normal", "lino-premium", "algodon-tech", "seda-lux"]

Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def drafts() -> dict[str, Draft]:
    return {path.stem: load_draft(path) for path in CLOTHS}


@pytest.fixture(scope="module")
def tiles(drafts: dict[str, Draft]) -> dict[str, WovenTile]:
    return {name: weave(draft) for name, draft in drafts.items()}


@pytest.fixture(scope="module")
def catalogue() -> list[dict[str, Any]]:
    families: list[dict[str, Any]] = tomllib.loads(
        (ASSETS / "catalogue.toml").read_text(encoding="utf-8")
    )["family"]
    return families


def draft_of(structure: str = "twill 2/2", **changes: Any) -> Draft:
    """A clean two-coloured worsted; `changes` go into weave, finish or the yarns by key."""
    weave_keys = {"ends_per_cm": 30, "picks_per_cm": 28, "warp": ["1 light"], "weft": ["1 dark"]}
    finish = {"unevenness": 0.0, "fuzz": 0.0}
    return Draft.model_validate(
        {
            "name": changes.get("name", "sample"),
            "pattern": "plain",
            "composition": "100 % lana",
            "weight_g_m2": 260,
            "weave": {"structure": structure}
            | {key: changes.get(key, value) for key, value in weave_keys.items()},
            "yarns": {"light": {"hex": "#D0D0D0"}, "dark": {"hex": "#303030"}},
            "finish": {key: changes.get(key, value) for key, value in finish.items()},
        }
    )


def linear(tile: WovenTile) -> Array:
    table = linear_rgb(f"#{level:02X}0000" for level in range(256))[:, 0]
    return table[tile.levels].astype(np.float64)


def lab(encoded: NDArray[Any]) -> Array:
    """CIELAB of sRGB levels (rows, columns, 3)."""
    share = np.asarray(encoded / 255, np.float32)
    return np.asarray(cv2.cvtColor(share, cv2.COLOR_RGB2Lab), np.float64)


def decoded(image: bytes) -> NDArray[np.uint8]:
    """An encoded picture as RGB levels."""
    bgr = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None
    return np.asarray(bgr[..., ::-1], np.uint8)


def lab_of_linear(rgb: Array) -> Array:
    encoded = np.where(
        rgb <= 0.0031308, 12.92 * rgb, 1.055 * np.maximum(rgb, 0) ** (1 / 2.4) - 0.055
    )
    return np.asarray(lab(255 * encoded.reshape(1, 1, 3))[0, 0])


def worst_seam(levels: NDArray[np.uint8]) -> float:
    """Step across the wrap-around over the largest step between neighbours inside, both axes."""
    ratios = []
    for axis in (0, 1):
        closed = np.concatenate([levels, levels.take([0], axis)], axis).astype(np.float64)
        steps = np.abs(np.diff(closed, axis=axis)).mean(axis=(1 - axis, 2))
        ratios.append(steps[-1] / steps[:-1].max())
    return float(max(ratios))


def period_px(profile: Array) -> int:
    """Lag of the first high peak of the circular autocorrelation, by FFT."""
    spectrum = np.fft.rfft(profile - profile.mean())
    correlation = np.fft.irfft(np.abs(spectrum) ** 2, len(profile))
    low = int(np.argmin(correlation > 0))
    high = low + int(np.argmax(correlation[low:] > 0.6 * correlation[low:-low].max()))
    end = high + int(np.argmin(correlation[high:] > 0))
    return high + int(np.argmax(correlation[high:end]))


def spectrum_of(tile: WovenTile, columns: slice = slice(None)) -> tuple[Array, Array, Array]:
    """Power, and the frequencies in cycles per cm to the right and upwards."""
    grey = linear(tile)[:, columns].mean(axis=2)
    window = np.hanning(grey.shape[0])[:, None] * np.hanning(grey.shape[1])[None, :]
    power = np.abs(np.fft.fft2((grey - grey.mean()) * window)) ** 2
    up = -np.fft.fftfreq(grey.shape[0])[:, None] * tile.px_per_cm
    right = np.fft.fftfreq(grey.shape[1])[None, :] * tile.px_per_cm
    return power, np.broadcast_to(right, power.shape), np.broadcast_to(up, power.shape)


def diagonal_deg(tile: WovenTile, columns: slice = slice(None)) -> float:
    """Angle of the strongest line pattern, counter-clockwise from the pick, -90..90."""
    power, right, up = spectrum_of(tile, columns)
    strongest = np.unravel_index(np.argmax(power * (np.hypot(right, up) > 2)), power.shape)
    angle = math.degrees(math.atan2(up[strongest], right[strongest])) + 90
    return (angle + 90) % 180 - 90


def runs(row: NDArray[np.bool_]) -> set[int]:
    """Lengths of equal neighbours in a row that wraps around."""
    turns = np.flatnonzero(row != np.roll(row, 1))
    return {int(n) for n in np.diff(np.append(turns, turns[0] + len(row)))}


# --- every cloth of the house --------------------------------------------------------------------


def test_the_house_shows_at_least_forty_cloths(drafts: dict[str, Draft]) -> None:
    assert len(drafts) >= 40
    assert {draft.pattern for draft in drafts.values()} == {"plain", "stripe", "check", "texture"}


def test_every_tile_wraps_without_a_seam(tiles: dict[str, WovenTile]) -> None:
    seams = {name: worst_seam(tile.levels) for name, tile in tiles.items()}
    assert {name: seam for name, seam in seams.items() if seam > 1.2} == {}


def test_the_measure_of_seams_sees_a_tile_that_is_cut_short() -> None:
    wave = 128 + 100 * np.sin(2 * np.pi * np.arange(256) / 64)
    tile = ((wave[:, None, None] + wave[None, :, None]) / 2).astype(np.uint8).repeat(3, axis=2)
    assert worst_seam(tile) < 1.2
    assert worst_seam(tile[:, :-16]) > 4
    assert worst_seam(tile[:-16]) > 4


def test_every_tile_has_square_pixels_at_about_forty_per_cm(tiles: dict[str, WovenTile]) -> None:
    for name, tile in tiles.items():
        height, width = tile.levels.shape[:2]
        assert 240 <= min(height, width) <= max(height, width) <= 800, name
        assert abs((width / tile.width_mm) / (height / tile.height_mm) - 1) < 0.002, name
        assert 39.5 <= tile.px_per_cm <= 42.5, name


def test_every_tile_holds_whole_repeats(
    drafts: dict[str, Draft], tiles: dict[str, WovenTile]
) -> None:
    for name, draft in drafts.items():
        for size_mm, repeat_mm in zip(
            (tiles[name].width_mm, tiles[name].height_mm), draft.repeat_mm, strict=True
        ):
            assert math.isclose(size_mm / repeat_mm, round(size_mm / repeat_mm)), name


def test_the_mean_colour_is_what_the_yarns_predict(
    drafts: dict[str, Draft], tiles: dict[str, WovenTile]
) -> None:
    errors = {}
    for name, draft in drafts.items():
        ends, picks = draft.repeat_threads
        lift = draft.weave.lift
        warp_up = np.tile(lift, (picks // lift.shape[0], ends // lift.shape[1]))[..., None]
        yarn = {key: yarn.parts @ yarn.linear for key, yarn in draft.yarns.items()}
        warp = np.resize([yarn[key] for key in draft.weave.warp_order], (ends, 3))
        weft = np.resize([yarn[key] for key in draft.weave.weft_order], (picks, 3))
        predicted = np.where(warp_up, warp[None], weft[:, None]).mean(axis=(0, 1))
        woven = linear(tiles[name]).mean(axis=(0, 1))
        errors[name] = float(np.linalg.norm(lab_of_linear(woven) - lab_of_linear(predicted)))
    assert statistics.median(errors.values()) < 1
    assert max(errors.values()) < 5, max(errors, key=lambda name: errors[name])


REPEATS_MM = {
    r"-glen-": (55, 90),
    r"jacketing-houndstooth": (8, 12),
    r"-pinstripe-": (8, 20),
    r"-chalk-stripe-": (15, 25),
    r"-windowpane-": (40, 60),
    r"-birdseye-": (1.5, 2),
    r"-nailhead-": (1, 1.5),
    r"worsted-herringbone|silk-herringbone": (2 * 8, 2 * 20),  # a rising and a falling band
    r"-seersucker-": (6, 12),
}


@pytest.mark.parametrize("kind", REPEATS_MM)
def test_repeats_have_the_size_that_mills_weave(kind: str, drafts: dict[str, Draft]) -> None:
    found = [draft for name, draft in drafts.items() if re.search(kind, name)]
    assert found
    for draft in found:
        assert REPEATS_MM[kind][0] <= draft.repeat_mm[0] <= REPEATS_MM[kind][1], draft.name


def test_the_same_draft_gives_the_same_bytes(drafts: dict[str, Draft]) -> None:
    for name in ("linen-plain-sand", "worsted-glen-burgundy", "flannel-pearl-grey"):
        assert weave(drafts[name]).png() == weave(drafts[name]).png()


def test_two_bolts_of_one_recipe_differ_in_their_yarns(drafts: dict[str, Draft]) -> None:
    bolt = drafts["flannel-pearl-grey"]
    other = weave(bolt.model_copy(update={"name": "another-bolt"}))
    assert not np.array_equal(weave(bolt).levels, other.levels)


# --- scale and structure -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "worsted-pinstripe-navy",
        "flannel-chalk-stripe-oxford",
        "linen-stripe-riviera",
        "cotton-seersucker-blue",
    ],
)
def test_stripes_repeat_at_the_drafts_distance(
    name: str, drafts: dict[str, Draft], tiles: dict[str, WovenTile]
) -> None:
    profile = linear(tiles[name]).mean(axis=(0, 2))
    expected = drafts[name].repeat_mm[0] / 10 * tiles[name].px_per_cm
    assert abs(period_px(profile) - expected) <= 1


@pytest.mark.parametrize(("ends_per_cm", "picks_per_cm"), [(24, 24), (30, 20), (18, 24)])
def test_a_twill_rises_to_the_right_at_the_angle_of_its_sett(
    ends_per_cm: float, picks_per_cm: float
) -> None:
    tile = weave(draft_of("twill 2/2", ends_per_cm=ends_per_cm, picks_per_cm=picks_per_cm))
    assert diagonal_deg(tile) == pytest.approx(
        math.degrees(math.atan(ends_per_cm / picks_per_cm)), abs=1.5
    )


def test_the_bands_of_a_herringbone_mirror_each_other() -> None:
    lift = harness_of("herringbone 2/2 x 12").lift()
    rising, falling = lift[:, :12], lift[:, 12:]
    # the clean cut: seen in a mirror, each band shows warp where the other shows weft
    assert np.array_equal(falling[:, ::-1], ~rising)

    tile = weave(draft_of("herringbone 2/2 x 40", ends_per_cm=20, picks_per_cm=20))
    band_px = round(40 / 20 * tile.px_per_cm)
    rising_deg = diagonal_deg(tile, slice(0, band_px))
    falling_deg = diagonal_deg(tile, slice(band_px, 2 * band_px))
    assert rising_deg == pytest.approx(45, abs=3)
    assert falling_deg == pytest.approx(-45, abs=3)


def test_plain_weave_is_a_chequerboard() -> None:
    lift = harness_of("plain").lift()
    assert np.array_equal(lift, ~np.roll(lift, 1, axis=0))
    assert np.array_equal(lift, ~np.roll(lift, 1, axis=1))


@pytest.mark.parametrize("over", [1, 2, 3])
def test_a_twill_steps_one_end_to_the_right_with_each_pick(over: int) -> None:
    lift = harness_of(f"twill {over}/2").lift()
    assert np.array_equal(lift, np.roll(np.roll(lift, 1, axis=0), 1, axis=1))
    assert all(runs(pick) == {over, 2} for pick in lift)


def test_a_hopsack_is_a_plain_weave_of_pairs() -> None:
    assert np.array_equal(
        harness_of("hopsack 2").lift(), np.kron(harness_of("plain").lift(), [[True] * 2] * 2)
    )


@pytest.mark.parametrize("shafts", [5, 7, 8])
def test_a_satin_binds_each_end_once_and_never_beside_its_neighbour(shafts: int) -> None:
    below = ~harness_of(f"satin {shafts}").lift()
    assert (below.sum(axis=0) == 1).all()
    assert (below.sum(axis=1) == 1).all()
    places = np.argmax(below, axis=1)
    steps = np.abs(places - np.roll(places, 1)) % shafts
    assert not np.isin(steps, (0, 1, shafts - 1)).any()


def test_an_explicit_draft_weaves_what_its_name_would() -> None:
    named = draft_of("twill 2/2")
    spelt = named.weave.model_dump() | {
        "structure": None,
        "threading": [1, 2, 3, 4],
        "tie_up": [[1, 2], [2, 3], [3, 4], [4, 1]],
        "treadling": [1, 2, 3, 4],
    }
    explicit = Draft.model_validate(named.model_dump() | {"weave": spelt})
    assert np.array_equal(weave(explicit).levels, weave(named).levels)


@pytest.mark.parametrize(
    ("structure", "ends_per_cm", "picks_per_cm"),
    [("plain", 33, 31), ("plain", 44, 40), ("twill 2/2", 33, 29), ("satin 5", 56, 36)],
)
def test_cloth_finer_than_its_pixels_averages_instead_of_beating(
    structure: str, ends_per_cm: float, picks_per_cm: float
) -> None:
    draft = draft_of(structure, ends_per_cm=ends_per_cm, picks_per_cm=picks_per_cm)
    tile = weave(draft)
    grey = linear(tile).mean(axis=2)
    power = np.abs(np.fft.fft2(grey - grey.mean())) ** 2
    frequency = tile.px_per_cm * np.hypot(
        np.fft.fftfreq(grey.shape[0])[:, None], np.fft.fftfreq(grey.shape[1])[None, :]
    )
    picks, ends = draft.weave.lift.shape
    slowest = min(ends_per_cm / ends, picks_per_cm / picks)
    moire = math.sqrt(power[frequency < 0.7 * slowest].sum()) / grey.size
    assert moire < 0.01 * grey.mean()


# --- yarn and finish -----------------------------------------------------------------------------


def test_milling_hides_the_weave() -> None:
    crisp, milled = (weave(draft_of(fuzz=fuzz)) for fuzz in (0.0, 0.9))
    assert linear(milled).std() < 0.5 * linear(crisp).std()


def test_uneven_yarns_show_and_even_ones_do_not() -> None:
    def between_ends(unevenness: float) -> float:
        return float(linear(weave(draft_of(unevenness=unevenness))).mean(axis=(0, 2)).std())

    assert between_ends(0.1) > 3 * between_ends(0.0)


def test_fibres_spun_together_show_their_mean_and_their_flecks() -> None:
    def woven(blend: float) -> WovenTile:
        yarn = {"fibres": {"#202020": 1, "#E0E0E0": 1}, "blend": blend, "twist_deg": 0}
        sample = draft_of().model_dump() | {"yarns": {"light": yarn, "dark": yarn}}
        return weave(Draft.model_validate(sample))

    mean = linear_rgb(["#202020", "#E0E0E0"]).mean()
    heather, even = linear(woven(0.2)), linear(woven(1.0))
    assert heather.mean() == pytest.approx(mean, rel=0.05)
    assert even.mean() == pytest.approx(mean, rel=0.01)
    assert heather.std() > 2 * even.std()


def test_only_the_slack_stripes_of_a_seersucker_pucker(
    drafts: dict[str, Draft], tiles: dict[str, WovenTile]
) -> None:
    tile = tiles["cotton-seersucker-blue"]
    slow = cv2.blur(linear(tile).mean(axis=2), (1, 9))[9:-9]
    ripple = slow.std(axis=0) / slow.mean(axis=0)
    end = (np.arange(len(ripple)) + 0.5) * 3.0 / tile.px_per_cm * 10
    order = np.array(drafts["cotton-seersucker-blue"].weave.warp_order)
    stripe = order[end.astype(int) % len(order)]
    assert np.median(ripple[stripe == "blue"]) > 3 * np.median(ripple[stripe == "white"])


def test_slubs_bend_the_rows_of_a_linen(drafts: dict[str, Draft]) -> None:
    slubby = drafts["linen-plain-ivory"]
    even = slubby.finish.model_copy(update={"slub": 0.0})
    straight = slubby.model_copy(update={"finish": even})

    def straightness(draft: Draft) -> float:
        """How much of the picks' rhythm is left after averaging whole rows."""
        tile = weave(draft)
        rows = linear(tile).mean(axis=(1, 2))
        picks = round(tile.height_mm / 10 * draft.weave.picks_per_cm)
        return float(np.abs(np.fft.rfft(rows))[picks])

    assert straightness(slubby) < 0.8 * straightness(straight)


# --- what leaves this house ----------------------------------------------------------------------


def test_a_png_holds_the_tile_bit_for_bit(tiles: dict[str, WovenTile]) -> None:
    tile = tiles["worsted-glen-burgundy"]
    assert np.array_equal(decoded(tile.png()), tile.levels)


def test_a_thumbnail_is_a_small_square_of_the_same_colour(tiles: dict[str, WovenTile]) -> None:
    tile = tiles["flannel-burgundy"]
    thumbnail = decoded(tile.thumbnail_jpeg(96))
    assert thumbnail.shape == (96, 96, 3)
    colour = lab(thumbnail).mean(axis=(0, 1))
    assert np.linalg.norm(colour - lab(tile.levels).mean(axis=(0, 1))) < 2


def test_the_mean_is_taken_in_linear_light() -> None:
    levels = np.zeros((4, 4, 3), np.uint8)
    levels[::2] = 255
    assert WovenTile(levels, 1, 1).mean_hex() == "#BCBCBC"


# --- the catalogue -------------------------------------------------------------------------------


def test_the_catalogue_has_the_five_families_in_order(catalogue: list[dict[str, Any]]) -> None:
    assert [family["family_id"] for family in catalogue] == FAMILIES
    assert all(len(family["fabric"]) >= 5 for family in catalogue)


def test_every_fabric_points_to_a_cloth_and_every_cloth_is_sold(
    catalogue: list[dict[str, Any]], drafts: dict[str, Draft]
) -> None:
    sold = [fabric["cloth"] for family in catalogue for fabric in family["fabric"]]
    assert sorted(sold) == sorted(drafts)


def test_names_and_codes_of_fabrics_are_unique(catalogue: list[dict[str, Any]]) -> None:
    fabrics = [fabric for family in catalogue for fabric in family["fabric"]]
    for key in ("color_id", "name", "swatch_code"):
        assert len({fabric[key] for fabric in fabrics}) == len(fabrics), key
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", fabric["color_id"]) for fabric in fabrics)


def signature(tile: WovenTile) -> tuple[Array, Array]:
    """Mean CIELAB, and how much L, a and b vary in each octave from single yarns to checks."""
    rest = lab(tile.levels).astype(np.float32)
    mean, contrast = rest.mean(axis=(0, 1)), []
    for _ in range(5):
        padded = np.pad(rest, ((8, 8), (8, 8), (0, 0)), mode="wrap")
        smooth = np.asarray(cv2.GaussianBlur(padded, (0, 0), 1.2), np.float32)[8:-8, 8:-8]
        contrast.append((rest - smooth).std(axis=(0, 1)))
        rest = smooth[::2, ::2]
    return mean, np.concatenate([*contrast, rest.std(axis=(0, 1))])


def test_no_two_fabrics_look_alike(tiles: dict[str, WovenTile]) -> None:
    """Distance: ΔE76 of the means and of the octave contrasts, root of the sum of squares.

    2 to 3 is just noticeable side by side; 6 tells two cloths apart across the shop.
    """
    signatures = {name: signature(tile) for name, tile in tiles.items()}
    distances = {
        (a, b): math.dist(np.concatenate(signatures[a]), np.concatenate(signatures[b]))
        for a, b in itertools.combinations(signatures, 2)
    }
    assert {pair: d for pair, d in distances.items() if d < 6} == {}


# --- drafts that cannot be woven -----------------------------------------------------------------

SOUND = (ASSETS / "cloth" / "worsted-pinstripe-navy.toml").read_text(encoding="utf-8")


def test_the_draft_that_is_spoilt_below_is_sound(tmp_path: Path) -> None:
    (tmp_path / "cloth.toml").write_text(SOUND, encoding="utf-8")
    assert load_draft(tmp_path / "cloth.toml").pattern == "stripe"


@pytest.mark.parametrize(
    ("sound", "spoilt", "key", "says"),
    [
        ('pattern = "stripe"', 'pattern = "dots"', "pattern", "stripe"),
        ("weight_g_m2 = 270", "weight_g_m2 = 5", "weight_g_m2", "80"),
        ("weight_g_m2 = 270", "", "weight_g_m2", "required"),
        ('"twill 2/2"', '"twill 2"', "weave.structure", "unknown structure"),
        ('"twill 2/2"', '"twill 2/2/1"', "weave.structure", "over/under"),
        ('"twill 2/2"', '"twill 2/0"', "weave.structure", "over/under"),
        ('"twill 2/2"', '"herringbone 2/2 x 13"', "weave.structure", "no multiple of 4"),
        ("ends_per_cm = 30", "ends_per_cm = 300", "weave.ends_per_cm", "60"),
        ("39 navy 1 white", "39 navy 1 pink", "weave.warp", "'pink'"),
        ("39 navy 1 white", "navy", "weave.warp", "does not read like"),
        ("39 navy 1 white", "0 navy", "weave.warp", "no threads"),
        ("39 navy 1 white", "996 navy 1 white", "weave.warp", "at most 140 mm"),
        ("39 navy 1 white", "40 navy", "yarns.white", "woven nowhere"),
        ('"#1A2440"', '"blue"', "yarns.night.hex", "pattern"),
        ('"#1A2440"', '"#1A2440", sheen = 2', "yarns.night.sheen", "not permitted"),
        ('hex = "#1A2440"', "cover = 1.0", "yarns.night", "either hex or fibres"),
        (
            'structure = "twill 2/2"',
            "threading = [1, 2]\ntie_up = [[1], [1]]\ntreadling = [1, 2]",
            "weave",
            "end 1 is never bound",
        ),
        (
            'structure = "twill 2/2"',
            "threading = [1, 2]\ntie_up = [[1], [2]]\ntreadling = [1, 3]",
            "weave.treadling",
            "tie_up does not have",
        ),
        ('structure = "twill 2/2"', "threading = [1, 2]", "weave", "either structure"),
    ],
)
def test_a_draft_that_cannot_be_woven_is_refused_by_its_key(
    sound: str, spoilt: str, key: str, says: str, tmp_path: Path
) -> None:
    assert sound in SOUND
    path = tmp_path / "cloth.toml"
    path.write_text(SOUND.replace(sound, spoilt), encoding="utf-8")
    with pytest.raises(InvalidInput) as refused:
        load_draft(path)
    assert refused.value.field == key
    assert str(refused.value).startswith(f"cloth.toml: {key}: ")
    assert says in str(refused.value)


@pytest.mark.parametrize("text", [None, "pattern = ", "[weave]\nwarp = 'x'"])
def test_a_file_that_is_no_draft_is_refused_by_name(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "cloth.toml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"^cloth\.toml: "):
        load_draft(path)
