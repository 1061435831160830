"""Profile of a cloth: its ground and accent colours, the class of its weave, repeat and direction.

It tells what the picture shows, as a person sees it at arm's length. The classes are asked for in
turn, each by a measure over its threshold; what is near one is called unknown.
"""

from models.profiles import Profile, Tint, WeaveClass
from worker.cloth import Cloth
from worker.lines import Lines, lines_of
from worker.tints import tints_of
from worker.weave import blurred

ONE_TINT_MM = 0.14  # sigma of what the eye melts to one colour
LINE_MIN = 1.8  # CIELAB units that a column's or a row's mean differs: uneven yarns make half of it
LINES_SHARE = 0.35  # of all contrast is in the lines of a stripe or a check
ONE_WAY = 2.5  # a stripe's lines over those across them
LEAN_MIN = 0.4  # of a diagonal
FIGURE_MM = 1.25  # of the repeat: what is smaller is the weave of plain cloth
FIGURE_MIN = 1.6  # CIELAB units of its contrast
CHECK_MM = 2.0  # a check that is smaller is a small figure
CERTAIN = 0.6


def profile_of(cloth: Cloth) -> Profile:
    """Read a cloth that repeats."""
    px_per_mm = cloth.px_per_cm / 10
    lines = lines_of(cloth.tile, px_per_mm)
    weave, confidence = weave_of(lines, px_per_mm)
    across, down = _repeats_px(cloth, lines, weave)
    known = "scale-assumed" not in cloth.degraded
    ground, *accents = (
        Tint(hex=hex, share=round(share, 3))
        for hex, share in tints_of(blurred(cloth.tile, ONE_TINT_MM * px_per_mm))
    )
    return Profile(
        ground=ground,
        accents=accents,
        weave=weave if confidence >= CERTAIN else "unknown",
        confidence=round(confidence, 2),
        repeat_across_px=_rounded(across),
        repeat_down_px=_rounded(down),
        repeat_across_mm=_rounded(across, px_per_mm if known else None),
        repeat_down_mm=_rounded(down, px_per_mm if known else None),
        angle_deg=_angle_deg(weave, lines),
        degraded=list(cloth.degraded),
    )


def weave_of(lines: Lines, px_per_mm: float) -> tuple[WeaveClass, float]:
    """The first class whose measure is over its threshold, and how clearly it and no other is."""
    doubt = 1.0
    for weave, measure in _measures(lines, px_per_mm):
        clear = measure**2 / (1 + measure**2)
        if measure >= 1:
            return weave, min(doubt, clear)
        doubt = min(doubt, 1 - clear)
    return "plain", doubt


def _measures(lines: Lines, px_per_mm: float) -> list[tuple[WeaveClass, float]]:
    """Of each class, over its threshold."""
    less, more = sorted((lines.upright, lines.level))
    share = (less**2 + more**2) / max(lines.contrast**2, 1e-6) / LINES_SHARE
    lean = max(lines.lean_by_column, lines.lean_by_row)
    size_mm = min(px or 0.0 for px in lines.repeats_px) / px_per_mm
    is_small = 0 < size_mm < CHECK_MM
    check = min(less / LINE_MIN, share)
    return [
        ("figure" if is_small else "check", check),
        ("stripe", min(more / LINE_MIN, more / max(less, 1e-6) / ONE_WAY, share)),
        ("twill", abs(lines.lean) / LEAN_MIN),
        ("herringbone", lean / LEAN_MIN),
        ("figure", min(size_mm / FIGURE_MM, lines.contrast / FIGURE_MIN)),
    ]


def _repeats_px(cloth: Cloth, lines: Lines, weave: WeaveClass) -> tuple[float | None, float | None]:
    """Across and down, where one would point at it: nowhere on plain cloth, nor along a stripe. A
    photo's is known from the whole photo; what repeats only with its tile has the tile's size."""
    if weave == "plain":
        return None, None
    if cloth.kind == "photo":
        found = [None if cm is None else cm * cloth.px_per_cm for cm in cloth.repeat_cm]
    else:
        sides = (cloth.tile.shape[1], cloth.tile.shape[0])
        whole = weave in ("check", "stripe", "herringbone")
        found = [
            px or (side if whole else None)
            for px, side in zip(lines.repeats_px, sides, strict=True)
        ]
    if weave == "stripe":
        found[1 if lines.upright > lines.level else 0] = None
    return found[0], found[1]


def _angle_deg(weave: WeaveClass, lines: Lines) -> float | None:
    """Of a stripe, of a twill's diagonal, of the rising one of a herringbone."""
    if weave == "stripe":
        return 90.0 if lines.upright > lines.level else 0.0
    if weave == "twill":
        return round(lines.slope_deg, 1)
    if weave == "herringbone":
        return round(min(lines.slope_deg, 180 - lines.slope_deg), 1)
    return None


def _rounded(px: float | None, px_per_mm: float | None = 1.0) -> float | None:
    return None if px is None or px_per_mm is None else round(px / px_per_mm, 2)
