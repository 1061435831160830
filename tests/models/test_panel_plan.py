"""panels.json as it was marked: what is read of it, and every fault named by its panel."""

from typing import Any

import pytest

from api.language import told
from models.errors import InvalidInput
from models.panel_plan import POINTS_MAX, read_plan
from tests.panel_plans import FRONT, PLAN, SIZE_PX, changed, with_panel


def test_what_was_left_out_is_filled_in_by_the_panels_key() -> None:
    front, sleeve = read_plan(PLAN, SIZE_PX).panels
    assert (front.name, front.turn_deg, front.level) == ("front", (0, 0), None)
    assert sleeve.turn_deg == (75, 75)


def test_a_panel_on_anothers_grain_line_has_no_marks_of_its_own() -> None:
    flap = FRONT | {"key": "flap", "grain": "front"}
    plan = read_plan(changed(lambda plan: plan["panels"].append(flap)), SIZE_PX)
    assert (plan.panels[2].grain, plan.panels[2].grain_of) == ((), "front")


def test_marks_set_on_a_smaller_copy_are_in_pixels_of_the_photo() -> None:
    plan = read_plan(with_panel(0, level=150), (400, 600))
    assert plan.panels[0].outline[2] == (240, 560)
    assert plan.panels[0].level == 300


def test_marks_set_twice_in_one_place_are_one() -> None:
    twice = with_panel(0, grain=[[70, 30], [70, 30], [70, 270]])
    assert read_plan(twice, SIZE_PX).panels[0].grain == ((70, 30), (70, 270))


SCALE = {"from": [10, 10], "to": [10, 290], "length_mm": 560}
HUGE = 10**400  # JSON has such numbers, floats have not
FAULTS: dict[str, tuple[Any, str]] = {
    "no object": ([], "panels.json: debe ser un objeto JSON"),
    "almost nothing": ({"panels": []}, "falta format_version, scale"),
    "version": (PLAN | {"format_version": 2}, "format_version debe ser 1"),
    "no panels": (PLAN | {"panels": []}, "de 1 a"),
    "panels in words": (PLAN | {"panels": "front"}, "de 1 a"),
    "very many panels": (PLAN | {"panels": [FRONT] * 101}, "de 1 a 100"),
    "unknown word": (PLAN | {"paneles": []}, "no se conoce paneles"),
    "an unspeakable word": (PLAN | {"\ud800": []}, r"no se conoce \ud800"),
    "a panel of nothing": (PLAN | {"panels": [None]}, "panel 1: debe ser un objeto"),
    "unknown word in a panel": (with_panel(0, grian=1), "panel 1: no se conoce grian"),
    "key": (with_panel(1, key="Manga D"), "la clave del panel 2 es 'Manga D'"),
    "a key that is long": (with_panel(1, key="x" * 5000), "la clave del panel 2"),
    "a key that is none": (with_panel(1, key=["rsl"]), "la clave del panel 2"),
    "twice": (with_panel(1, key="front"), "«front» está dos veces"),
    "name": (with_panel(0, name="\ud800"), "«front», name"),
    "outline of two": (with_panel(0, outline=[[1, 1], [2, 2]]), "«front», outline"),
    "outline of nothing": (with_panel(1, outline=[[1, 1], [5, 1], [9, 1]]), "«rsl», outline"),
    "outline of words": (with_panel(0, outline=["a"]), "«front», outline: debe ser una lista"),
    "outline of truths": (with_panel(0, outline=[[True, 1], [2, 2], [9, 1]]), "una lista"),
    "outline not finite": (with_panel(0, outline=[[1, 1], [float("nan"), 3], [4, 4]]), "«front»"),
    "outline of huge numbers": (with_panel(0, outline=[[1, 1], [HUGE, 3], [4, 4]]), "una lista"),
    "outline without end": (
        with_panel(0, outline=[[n % 100, n % 7] for n in range(POINTS_MAX + 2)]),
        "«front», outline: lleva más de",
    ),
    "grain of one point": (with_panel(0, grain=[[70, 30], [70, 30]]), "«front», grain"),
    "grain far away": (with_panel(1, grain=[[150, 30], [150, 90_000]]), "muy lejos de la foto"),
    "grain of nobody": (with_panel(1, grain="back"), "remite a «back»"),
    "grain of a borrower": (
        changed(lambda plan: [panel.update(grain="front") for panel in plan["panels"]]),
        "«front», grain: remite a «front»",
    ),
    "turn": (with_panel(1, turn_deg=[90, 0]), "«rsl», turn_deg: cada lado va de 0 a 85"),
    "turn of one": (with_panel(1, turn_deg=[30]), "«rsl», turn_deg: debe ser"),
    "turn in words": (with_panel(1, turn_deg=["a", 0]), "«rsl», turn_deg: es 'a'"),
    "level": (with_panel(1, level="high"), "«rsl», level: es 'high', no un número"),
    "a huge level": (with_panel(1, level=HUGE), "«rsl», level"),
    "length": (with_panel(1, length_mm=-1), "«rsl», length_mm es -1"),
    "scale in cm": (PLAN | {"scale": {"panel": "front", "length_mm": 24}}, "milímetros"),
    "distance in cm": (PLAN | {"scale": SCALE | {"length_mm": 5.6}}, "la escala da 500.00"),
    "distance in µm": (PLAN | {"scale": SCALE | {"length_mm": 56_000}}, "la escala da 0.05"),
    "no distance": (PLAN | {"scale": SCALE | {"to": [10, 10]}}, "2 puntos distintos"),
    "scale of nobody": (PLAN | {"scale": {"panel": "back", "length_mm": 240}}, "panel 'back'"),
    "scale of a list": (PLAN | {"scale": {"panel": ["rsl"], "length_mm": 240}}, "['rsl']"),
    "scale of nothing": (PLAN | {"scale": {"length_mm": 24}}, "falta from, to"),
    "scale in words": (PLAN | {"scale": "1:10"}, "scale: debe ser un objeto JSON"),
    "size": (PLAN | {"size_px": [100, 100]}, "proporción"),
    "size of nothing": (PLAN | {"size_px": [0, 0]}, "proporción"),
    "size in words": (PLAN | {"size_px": "grande" * 9000}, "proporción"),
    "a huge size": (PLAN | {"size_px": [HUGE, HUGE]}, "proporción"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_its_panel_in_either_language(fault: str) -> None:
    plan, words = FAULTS[fault]
    with pytest.raises(InvalidInput) as refusal:
        read_plan(plan, SIZE_PX)
    message = str(refusal.value)
    assert words in message
    assert len(message) < 300
    assert message.encode()  # every letter can be sent
    assert told.english(message) not in (None, message)
