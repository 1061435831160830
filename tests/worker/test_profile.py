"""Profiles of the starter cloths against their drafts, and of cloths that are drawn to be clear."""

from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.profiles import CLOTHS, WITHIN, WITHIN_DEG, cloth_of, judged
from worker.cloth import Cloth, from_hex
from worker.draft import load_draft
from worker.profile import profile_of
from worker.tints import tints_of

PX_PER_CM = 40.0


def woven(name: str) -> Cloth:
    return cloth_of(load_draft(next(path for path in CLOTHS if path.stem == name)))


def drawn(light: float | NDArray[np.floating[Any]]) -> Cloth:
    """8 cm of grey cloth, of one light or of a picture of it."""
    grey = np.broadcast_to(np.asarray(light, np.float32), (320, 320))
    return Cloth(np.repeat(grey[..., None], 3, axis=2).copy(), PX_PER_CM, "tile")


# --- all starter cloths ---------------------------------------------------------------------------


def test_of_ten_cloths_nine_are_called_by_their_name() -> None:
    wrong = [(one.name, one.profile.weave) for one in judged() if not one.class_is_right]
    assert len(judged()) >= 47
    assert len(wrong) <= 0.1 * len(judged()), wrong


def test_what_is_called_wrong_is_called_so_without_certainty() -> None:
    assert {one.profile.weave for one in judged() if not one.class_is_right} <= {"unknown"}


def test_repeats_are_those_of_the_drafts() -> None:
    errors = {(one.name, error) for one in judged() for error in one.repeat_errors}
    assert len(errors) >= 20
    assert {(name, error) for name, error in errors if error > WITHIN} == set()


def test_lines_run_as_the_draft_s_ends_and_picks_make_them() -> None:
    errors = {one.name: one.angle_error for one in judged() if one.angle_error is not None}
    assert len(errors) >= 15
    assert {name: error for name, error in errors.items() if error > WITHIN_DEG} == {}


def test_grounds_are_colours_of_the_yarns() -> None:
    """As they look in cloth: a pale yarn between dark ones is not the pale of its cone."""
    apart = [one.delta_e for one in judged()]
    assert median(apart) <= 1.5
    assert np.percentile(apart, 90) <= 6
    assert max(apart) <= 10


def test_shares_are_of_the_whole_and_the_ground_has_the_largest() -> None:
    for one in judged():
        shares = [tint.share for tint in (one.profile.ground, *one.profile.accents)]
        assert sum(shares) == pytest.approx(1, abs=0.005), one.name
        assert shares == sorted(shares, reverse=True), one.name


# --- one at a time --------------------------------------------------------------------------------


def test_the_same_cloth_has_the_same_profile() -> None:
    assert profile_of(woven("jacketing-gun-club-moss")) == profile_of(
        woven("jacketing-gun-club-moss")
    )


def test_where_the_scale_is_assumed_there_are_no_millimetres() -> None:
    cloth = replace(woven("worsted-pinstripe-navy"), degraded=("scale-assumed",))
    profile = profile_of(cloth)
    assert profile.repeat_across_mm is None
    assert profile.repeat_across_px == pytest.approx(40 / 3 * cloth.px_per_cm / 10, rel=0.01)
    assert profile.degraded == ["scale-assumed"]


def test_a_photo_has_the_repeat_that_was_found_in_the_whole_of_it() -> None:
    cloth = replace(woven("worsted-pinstripe-navy"), kind="photo", repeat_cm=(1.31, None))
    assert profile_of(cloth).repeat_across_mm == pytest.approx(13.1)


def test_stripes_that_lie_are_told_from_stripes_that_stand() -> None:
    standing = woven("cotton-seersucker-blue")
    lying = replace(standing, tile=np.ascontiguousarray(standing.tile.transpose(1, 0, 2)))
    profile = profile_of(lying)
    assert (profile.weave, profile.angle_deg) == ("stripe", 0)
    assert profile.repeat_across_mm is None
    assert profile.repeat_down_mm == pytest.approx(8, rel=0.01)


def test_a_twill_that_leans_the_other_way_has_the_other_angle() -> None:
    right = woven("cotton-denim-indigo")
    left = replace(right, tile=np.ascontiguousarray(right.tile[:, ::-1]))
    angles = [profile_of(cloth).angle_deg for cloth in (right, left)]
    assert angles == [pytest.approx(55.3, abs=1), pytest.approx(180 - 55.3, abs=1)]


def test_cloth_of_one_colour_is_plain_and_has_no_accent() -> None:
    profile = profile_of(drawn(0.2))
    assert (profile.weave, profile.accents, profile.angle_deg) == ("plain", [], None)
    assert (profile.ground.hex, profile.ground.share) == ("#7C7C7C", 1)
    assert (profile.repeat_across_px, profile.repeat_down_px) == (None, None)


def test_a_cloth_without_a_swatch_can_be_read_too() -> None:
    assert profile_of(from_hex("#335577")).ground.share > 0.5


def test_lines_that_are_hardly_seen_are_called_unknown() -> None:
    """Between what is a stripe and what is none, nobody can tell."""
    columns = np.tile(np.arange(320) // 40 % 2, (320, 1))
    steps = (0.0, 0.036, 0.2)
    classes = [profile_of(drawn(0.2 + step * columns)).weave for step in steps]
    assert classes == ["plain", "unknown", "stripe"]


# --- tints ----------------------------------------------------------------------------------------


def test_two_colours_are_found_with_their_shares() -> None:
    light = np.full((200, 200, 3), (0.5, 0.1, 0.05), np.float32)
    light[:, :50] = (0.6, 0.6, 0.6)
    (ground, most), (accent, least) = tints_of(light)
    assert (ground, accent) == ("#3F59BC", "#CBCBCB")
    assert [most, least] == pytest.approx([0.75, 0.25], abs=0.03)


def test_the_border_between_two_colours_is_no_third_one() -> None:
    ramp = np.clip(np.linspace(-1, 2, 300), 0, 1)[None, :, None]
    light = (0.02 * (1 - ramp) + 0.7 * ramp) * np.ones((100, 1, 3))
    found = tints_of(light.astype(np.float32))
    assert len(found) == 2
    dark, pale = sorted(int(hex[1:3], 16) for hex, _ in found)
    assert [dark, pale] == pytest.approx([0x27, 0xDA], abs=8)
