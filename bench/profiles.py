"""Profiles of all starter cloths against the drafts that they were woven from.

    python -m bench.profiles

What is right: the class that the draft's structure and colours make (a milled or self-coloured
twill may be called plain, a basket or a sharkskin either of two names); the repeat of the draft
within 5 %, where it has one that a person would point at (stripes across, checks both ways, figures
and herringbones from 5 mm on); the slope of the diagonal, ends over picks, within 2°; the ground
within the CIEDE2000 that is printed of a colour that covers much of the face.
"""

import math
import time
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from statistics import median

import numpy as np

from models.profiles import Profile
from worker.cloth import Cloth, from_tile
from worker.colour import bgr_of_hex
from worker.delta_e import delta_e_2000, lab_of_linear
from worker.draft import Draft, load_draft
from worker.profile import profile_of
from worker.weave import weave

CLOTHS = sorted((Path(__file__).parent.parent / "assets" / "cloth").glob("*.toml"))
VISIBLE_MM = 5.0  # a repeat that is shorter is the weave's own
WITHIN, WITHIN_DEG = 0.05, 2.0
MILLED = 0.5  # fuzz that hides a diagonal


@dataclass(frozen=True)
class Judged:
    """One cloth. Errors are shares and degrees; None where the draft has nothing to be right about,
    infinite where the profile has nothing to say of what is there."""

    name: str
    profile: Profile
    classes: frozenset[str]
    delta_e: float
    repeat_errors: tuple[float, ...]
    angle_error: float | None
    milliseconds: float

    @property
    def class_is_right(self) -> bool:
        return self.profile.weave in self.classes


@cache
def judged() -> list[Judged]:
    """Every cloth, woven, stored as a tile and read."""
    return [_judged(load_draft(path)) for path in CLOTHS]


def _judged(draft: Draft) -> Judged:
    cloth = cloth_of(draft)
    start = time.process_time()
    profile = profile_of(cloth)
    milliseconds = (time.process_time() - start) * 1000
    classes = classes_of(draft)
    return Judged(
        draft.name,
        profile,
        classes,
        ground_error(profile, draft),
        repeat_errors(profile, draft, classes),
        angle_error(profile, draft, classes),
        milliseconds,
    )


def cloth_of(draft: Draft) -> Cloth:
    tile = weave(draft)
    return from_tile(tile.png(), tile.width_mm)


# --- what the draft says --------------------------------------------------------------------------


def classes_of(draft: Draft) -> frozenset[str]:
    """The names that are right."""
    if draft.pattern in ("stripe", "check"):
        return frozenset({draft.pattern})
    several = [len(set(order)) > 1 for order in (draft.weave.warp_order, draft.weave.weft_order)]
    structure = (draft.weave.structure or "drawn").split()[0]
    if structure == "twill":
        if any(several):
            return frozenset({"twill", "figure"})  # sharkskin: steps of two colours
        hidden = len(draft.yarns) == 1 or draft.finish.fuzz >= MILLED
        return frozenset({"twill", "plain"} if hidden else {"twill"})
    if structure == "herringbone":
        return frozenset({"herringbone"})
    if structure == "hopsack" and not any(several):
        return frozenset({"plain", "figure"})
    if all(several) and structure == "plain":
        return frozenset({"check"})  # ripstop: a grid
    return frozenset({"figure" if structure in ("diamond", "drawn", "hopsack") else "plain"})


def repeat_errors(profile: Profile, draft: Draft, classes: frozenset[str]) -> tuple[float, ...]:
    """Across and down, where one would point at a repeat."""
    found = (profile.repeat_across_mm, profile.repeat_down_mm)
    ways = {
        "stripe": (True, False),
        "check": (True, True),
        "herringbone": (True, False),
        "figure": (True, True),
    }
    (wanted, *others) = classes
    if others or wanted not in ways:
        return ()
    least = 0.0 if wanted in ("stripe", "check") else VISIBLE_MM
    return tuple(
        math.inf if mm is None else abs(mm / true - 1)
        for mm, true, shows in zip(found, draft.repeat_mm, ways[wanted], strict=True)
        if shows and true >= least
    )


def angle_error(profile: Profile, draft: Draft, classes: frozenset[str]) -> float | None:
    """Degrees; a stripe stands upright, a diagonal climbs a pick an end."""
    if classes == {"stripe"}:
        true = 90.0
    elif classes in ({"twill"}, {"herringbone"}):
        true = math.degrees(math.atan2(draft.weave.ends_per_cm, draft.weave.picks_per_cm))
    else:
        return None
    if profile.angle_deg is None:
        return math.inf
    return abs((profile.angle_deg - true + 90) % 180 - 90)


def ground_error(profile: Profile, draft: Draft) -> float:
    """CIEDE2000 to the nearest of the colours that cover much of the face."""
    ground = lab_of_linear(bgr_of_hex(profile.ground.hex))
    return min(float(delta_e_2000(ground, lab_of_linear(c))) for c in _grounds(draft))


def _grounds(draft: Draft) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    """Linear BGR of each pair of warp and weft yarn that is about as frequent as any, as the eye
    mixes them by what lies on top; and of each yarn that covers two fifths of the face."""
    raised = float(draft.weave.lift.mean())
    orders = (draft.weave.warp_order, draft.weave.weft_order)
    shares = [{name: order.count(name) / len(order) for name in set(order)} for order in orders]
    light = {
        name: (yarn.parts @ yarn.linear)[::-1].astype(float) for name, yarn in draft.yarns.items()
    }
    pairs = {(a, b): shares[0][a] * shares[1][b] for a, b in product(*shares)}
    often = [pair for pair, share in pairs.items() if share >= 0.45 * max(pairs.values())]
    mixed = [raised * light[a] + (1 - raised) * light[b] for a, b in often]
    cover = {
        name: raised * shares[0].get(name, 0) + (1 - raised) * shares[1].get(name, 0)
        for name in light
    }
    return mixed + [light[name] for name, share in cover.items() if share >= 0.4]


# --- what is printed ------------------------------------------------------------------------------


def main() -> None:
    found = judged()
    for one in found:
        print(_line(one))
    errors = [error for one in found for error in one.repeat_errors]
    angles = [one.angle_error for one in found if one.angle_error is not None]
    apart = sorted(one.delta_e for one in found)
    right = sum(one.class_is_right for one in found)
    print(f"class right          {right} of {len(found)}")
    print(f"repeat within 5 %    {sum(e <= WITHIN for e in errors)} of {len(errors)}")
    print(f"angle within 2°      {sum(a <= WITHIN_DEG for a in angles)} of {len(angles)}")
    print(f"ground, CIEDE2000    median {median(apart):.2f}, largest {apart[-1]:.2f}")
    took = sorted(one.milliseconds for one in found)
    print(f"processor time       median {median(took):.0f} ms, largest {took[-1]:.0f} ms")


def _line(one: Judged) -> str:
    seen = one.profile
    wrong = "" if one.class_is_right else f"  MISSED: {' or '.join(sorted(one.classes))}"
    sizes = "×".join("-" if mm is None else f"{mm:.1f}" for mm in _repeats(seen))
    angle = "-" if seen.angle_deg is None else f"{seen.angle_deg:.1f}°"
    off = " ".join(f"{error:+.1%}" for error in one.repeat_errors)
    return (
        f"{one.name:30} {seen.weave:12}{seen.confidence:4.2f} {sizes:>13} mm {off:14} {angle:>7}"
        f"  {seen.ground.hex} ΔE {one.delta_e:4.1f} +{len(seen.accents)}{wrong}"
    )


def _repeats(seen: Profile) -> tuple[float | None, float | None]:
    return seen.repeat_across_mm, seen.repeat_down_mm


if __name__ == "__main__":
    main()
