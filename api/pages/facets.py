"""By what a cloth can be looked for beside its words: colour, pattern, season by weight, tags."""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import atan2, degrees, hypot

from models.catalogue import Fabric, FabricFamily

COLOURS = {  # facet: a typical one, to be shown beside its name
    "white": "#F1EEE6",
    "beige": "#CDB892",
    "grey": "#8A8A8C",
    "black": "#1C1C1E",
    "blue": "#27407A",
    "green": "#4B5E3C",
    "brown": "#6B4A32",
    "wine": "#6A1F2E",
    "red": "#B0392E",
    "orange": "#C0673C",
    "yellow": "#C79A2E",
    "pink": "#D9A5A5",
    "purple": "#5D3F66",
}
PATTERNS = ("plain", "texture", "stripe", "check")
SEASONS = {"summer": (0, 240), "all_year": (241, 310), "winter": (311, 10_000)}  # g/m²
TAGS_OFFERED = 12
NEUTRAL_CHROMA = 0.022
PALE_PINK_HUE = 52  # up to here what is pale is pink, beyond it is beige
HUES = (  # OKLCH degrees, up to which; the last wraps around to the first
    (12, "pink"),
    (38, "red"),
    (62, "orange"),
    (100, "yellow"),
    (195, "green"),
    (290, "blue"),
    (345, "purple"),
    (360, "pink"),
)


def colour_of(hex_value: str) -> str:
    """The facet of a colour `#RRGGBB`, by lightness, chroma and hue in OKLCH."""
    lightness, chroma, hue = _oklch(hex_value)
    if chroma < NEUTRAL_CHROMA:
        return "black" if lightness < 0.32 else "white" if lightness > 0.87 else "grey"
    named = next(name for limit, name in HUES if hue <= limit)
    if named in ("red", "pink") or (hue < PALE_PINK_HUE and lightness > 0.72):
        return _red(lightness, chroma)
    if named in ("orange", "yellow"):
        return _warm(named, lightness, chroma)
    return named


def _warm(named: str, lightness: float, chroma: float) -> str:
    """What is neither bright nor dark of these is beige; what is dark, brown."""
    if lightness > 0.87 and chroma < 0.05:
        return "white"
    if lightness > 0.64 and chroma < 0.095:
        return "beige"
    return "brown" if lightness < 0.55 or chroma < 0.07 else named


def _red(lightness: float, chroma: float) -> str:
    if lightness < 0.42:
        return "wine"
    if lightness > 0.66:
        return "pink"
    return "red" if chroma > 0.1 else "brown"


def season_of(weight_g_m2: int | None) -> str:
    """Empty where the weight is not known."""
    if weight_g_m2 is None:
        return ""
    return next(name for name, (low, high) in SEASONS.items() if low <= weight_g_m2 <= high)


def offered(families: Sequence[FabricFamily]) -> dict[str, list[str]]:
    """The facets that tell some of these fabrics from others, in their own order; of the tags those
    that most fabrics have."""
    fabrics: list[Fabric] = [fabric for family in families for fabric in family.fabrics]
    found: dict[str, tuple[Iterable[str], set[str | None]]] = {
        "colour": (COLOURS, {colour_of(fabric.hex_value) for fabric in fabrics}),
        "pattern": (PATTERNS, {fabric.pattern for fabric in fabrics}),
        "season": (SEASONS, {season_of(fabric.weight_g_m2) for fabric in fabrics}),
    }
    kept = {
        kind: [name for name in order if name in there] for kind, (order, there) in found.items()
    }
    apart = {kind: names for kind, names in kept.items() if len(names) > 1}
    tags = _tags_apart(fabrics)
    return apart | {"tag": tags} if tags else apart


def _tags_apart(fabrics: Sequence[Fabric]) -> list[str]:
    worn = Counter(tag for fabric in fabrics for tag in fabric.tags)
    common = [tag for tag, times in worn.most_common() if times < len(fabrics)]
    return sorted(common[:TAGS_OFFERED])


def _oklch(hex_value: str) -> tuple[float, float, float]:
    """Lightness 0 to 1, chroma, hue in degrees (Ottosson 2020, "A perceptual color space")."""
    r, g, b = (_linear(int(hex_value[place : place + 2], 16) / 255) for place in (1, 3, 5))
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    medium = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    lightness = 0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short
    a = 1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short
    b = 0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short
    return lightness, hypot(a, b), degrees(atan2(b, a)) % 360


def _linear(level: float) -> float:
    return level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4
