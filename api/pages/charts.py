"""Charts as geometry, in the units of an SVG's viewBox; the templates draw them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from api.pages import spoken

WIDTH, HEIGHT, LEFT, BASE = 960.0, 240.0, 44.0, 212.0
TOP = 12.0
GAP_SHARE = 0.35  # of a bar's place that stays free
LABELS_MOST = 8


@dataclass(frozen=True)
class Line:
    value: int
    y: float


@dataclass(frozen=True)
class Bar:
    label: str
    is_labelled: bool
    x: float
    y: float
    width: float
    height: float
    failed_height: float
    orders: int
    failed: int


@dataclass(frozen=True)
class Chart:
    bars: list[Bar]
    lines: list[Line]
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    base: float = BASE


def day_chart(days: Sequence[tuple[date, int, int]]) -> Chart:
    """Bars of (day, orders, failed), the failed ones within; lines at round numbers."""
    top = round_top(max((orders for _, orders, _ in days), default=0))
    scale = (BASE - TOP) / top
    place = (WIDTH - LEFT) / max(1, len(days))
    every = -(-len(days) // LABELS_MOST)
    bars = [
        Bar(
            label=spoken.day_short(day),
            is_labelled=(len(days) - 1 - n) % every == 0,
            x=round(LEFT + place * (n + GAP_SHARE / 2), 2),
            y=round(BASE - orders * scale, 2),
            width=round(place * (1 - GAP_SHARE), 2),
            height=round(orders * scale, 2),
            failed_height=round(failed * scale, 2),
            orders=orders,
            failed=failed,
        )
        for n, (day, orders, failed) in enumerate(days)
    ]
    values = sorted({0, top // 2, top})
    return Chart(bars, [Line(value, round(BASE - value * scale, 2)) for value in values])


def round_top(most: int) -> int:
    """The next of 2, 4, 10, 20, 40, 100 … so that half of it is whole as well."""
    step = 1
    while True:
        for factor in (2, 4, 10):
            if factor * step >= most:
                return factor * step
        step *= 10
