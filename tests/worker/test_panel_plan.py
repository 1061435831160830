"""panels.json: what it means in centimetres, and the faults that only the grain line tells."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.errors import InvalidInput
from tests.panel_plans import PLAN, SIZE_PX, changed, with_panel
from worker.photo_look.grain import beside, grain_line
from worker.photo_look.panels import PanelMap, panel_map
from worker.photo_look.plan import PanelPlan, load_plan, plan_of

CLOTH = np.zeros(SIZE_PX[::-1], bool)
CLOTH[20:281, 20:181] = True


def laid(plan: dict[str, Any]) -> PanelMap:
    return panel_map(plan_of(plan, SIZE_PX), CLOTH)


def test_a_stated_panel_length_gives_the_scale() -> None:
    assert plan_of(PLAN, SIZE_PX).px_per_cm == pytest.approx(10, rel=0.01)


def test_a_stated_height_between_two_points_gives_the_scale() -> None:
    scale = {"from": [10, 10], "to": [10, 290], "length_mm": 560}
    assert plan_of(PLAN | {"scale": scale}, SIZE_PX).px_per_cm == pytest.approx(5)


def test_marks_set_on_a_smaller_copy_are_enlarged() -> None:
    plan = plan_of(PLAN | {"size_px": [200, 300]}, (400, 600))
    assert plan.px_per_cm == pytest.approx(20, rel=0.01)
    assert plan.marks[0].outline.max() == 560


def test_u_and_v_are_centimetres_across_and_up_the_grain() -> None:
    found = laid(PLAN)
    assert found.ids[150, 70] == 1
    assert found.u[150, 90] == pytest.approx(2, abs=0.02)
    assert found.u[40, 40] == pytest.approx(-3, abs=0.02)
    assert found.v[100, 70] - found.v[200, 70] == pytest.approx(10, abs=0.1)
    assert not found.u[~CLOTH].any()


def test_checks_meet_from_panel_to_panel_at_one_level() -> None:
    found = laid(PLAN)
    assert found.v[180, 119] == pytest.approx(found.v[180, 122], abs=0.05)
    assert found.v[150, 70] == pytest.approx(0, abs=0.1)  # the middle of the cloth


def test_a_round_panel_shows_more_cloth_towards_its_edges() -> None:
    u = laid(PLAN).u[150]
    middle, edge = u[155] - u[150], u[179] - u[174]
    assert middle == pytest.approx(0.5, abs=0.03)
    assert edge > 1.6 * middle


def test_panels_that_share_a_grain_line_are_one_piece_of_cloth() -> None:
    pocket = {"key": "flap", "outline": [[30, 100], [90, 100], [90, 140], [30, 140]]}
    whole, flapped = (
        laid(PLAN),
        laid(changed(lambda plan: plan["panels"].append(pocket | {"grain": "front"}))),
    )
    assert flapped.ids[120, 60] == 3
    assert np.array_equal(whole.u, flapped.u)
    assert np.array_equal(whole.v, flapped.v)


def test_a_stated_length_of_its_own_corrects_a_panel_along_the_grain() -> None:
    found = laid(with_panel(1, length_mm=300))
    assert found.v[100, 150] - found.v[200, 150] == pytest.approx(12.5, rel=0.01)
    assert found.v[100, 70] - found.v[200, 70] == pytest.approx(10, rel=0.01)


def test_a_bent_grain_line_keeps_right_angles_and_lengths() -> None:
    angles = np.radians(np.linspace(-30, 30, 7))
    line = grain_line(np.stack([300 * np.cos(angles), 300 * np.sin(angles)], axis=1))
    assert line.length_px == pytest.approx(300 * np.pi / 3, rel=1e-3)
    points = np.array([[310.0, 0.0], [280.0, 0.0]])
    across, along, clear = beside(line, points)
    assert clear
    assert across == pytest.approx([10, -20], abs=0.1)
    assert along == pytest.approx(line.length_px / 2, abs=0.1)


def test_cloth_just_beyond_an_outline_belongs_to_the_nearest_panel() -> None:
    outline = [[20, 20], [112, 20], [112, 280], [20, 280]]
    found = laid(with_panel(0, outline=outline))
    assert (found.ids[CLOTH] > 0).all()
    assert found.ids[150, 114] == 1
    assert found.ids[150, 118] == 2


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown word": (PLAN | {"paneles": []}, "paneles"),
    "grain elsewhere": (with_panel(1, grain=[[10, 30], [10, 90]]), "«rsl», grain"),
    "length in cm": (with_panel(1, length_mm=24), "«rsl», length_mm"),
    "scale in µm": (PLAN | {"scale": {"panel": "front", "length_mm": 24_000}}, "milímetros"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_its_panel(fault: str) -> None:
    plan, words = FAULTS[fault]
    with pytest.raises(InvalidInput) as refusal:
        plan_of(plan, SIZE_PX)
    assert words in str(refusal.value)


def test_a_file_that_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "panels.json").write_text("{")
    with pytest.raises(InvalidInput, match="JSON"):
        load_plan(tmp_path / "panels.json", SIZE_PX)


def test_a_plan_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "panels.json").write_text(json.dumps(PLAN))
    found: PanelPlan = load_plan(tmp_path / "panels.json", SIZE_PX)
    assert [mark.key for mark in found.marks] == ["front", "rsl"]


def test_cloth_that_no_panel_claims_is_refused_with_its_place() -> None:
    narrow = [[20, 20], [60, 20], [60, 280], [20, 280]]
    with pytest.raises(InvalidInput, match="no está en ningún panel, por ejemplo en"):
        laid(with_panel(0, outline=narrow, grain=[[40, 30], [40, 270]]))


def test_a_panel_without_cloth_is_refused_by_name() -> None:
    outside = {"outline": [[185, 20], [199, 20], [199, 90]], "grain": [[195, 22], [195, 60]]}
    with pytest.raises(InvalidInput, match=r"«cuff».*no tiene tela"):
        laid(changed(lambda plan: plan["panels"].append({"key": "cuff"} | outside)))


def test_a_grain_line_bent_sharper_than_its_panel_is_wide_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match=r"«front», grain.*se dobla"):
        laid(with_panel(0, grain=[[70, 30], [110, 140], [108, 150], [70, 270]], length_mm=240))


def test_cloth_farther_than_a_pack_can_hold_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match=r"«rsl».*level"):
        laid(with_panel(1, level=-600))
