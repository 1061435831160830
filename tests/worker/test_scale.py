"""Scale: what has a bank card's proportions tells it, what has others does not."""

import numpy as np
import pytest
from numpy.typing import NDArray

from worker.scale import Scale, px_per_cm_by_card, scale_of


def rectangle(width: float, height: float, turn_deg: float = 0.0) -> NDArray[np.float64]:
    sides = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [width / 2, height / 2]
    way = np.radians(turn_deg)
    turn = np.array([[np.cos(way), -np.sin(way)], [np.sin(way), np.cos(way)]])
    return np.asarray(sides @ turn.T + [400.0, 300.0])


@pytest.mark.parametrize(
    ("turn_deg", "size"), [(0, (856, 539.8)), (90, (856, 539.8)), (33, (856, 550))]
)
def test_a_card_tells_the_scale_however_it_lies(turn_deg: float, size: tuple[float, float]) -> None:
    found = px_per_cm_by_card(rectangle(*size, turn_deg), np.eye(3))
    assert found == pytest.approx(100, rel=0.01)


@pytest.mark.parametrize("size", [(900, 600), (900, 500), (700, 700), (1600, 800)])
def test_a_photograph_a_visiting_card_or_a_phone_is_no_bank_card(size: tuple[float, float]) -> None:
    assert px_per_cm_by_card(rectangle(*size), np.eye(3)) is None


def test_a_width_counts_only_where_the_photo_shows_what_it_spans() -> None:
    by_card = Scale(40.0, ("scale-by-card",))
    assert scale_of(800, True, 100.0, by_card) == Scale(80.0, ())
    assert scale_of(800, False, 100.0, by_card) == by_card
    assert scale_of(800, True, None, by_card) == by_card
    assert scale_of(800, False, 100.0, None).told == ("scale-assumed", "fill-assumed")
    assert scale_of(800, True, None, None).told == ("scale-assumed",)
