"""Drafts: how a cloth is set up on the loom, as weavers write it, and what must hold to weave it.

A draft is a TOML file of assets/cloth: threading, tie-up and treadling (or a structure's name),
order and colours of the yarns, sett, finish.
"""

import math
import re
import tomllib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic import model_validator as check

from models.errors import InvalidInput
from worker.colour import LINEAR_OF_LEVEL
from worker.surface import ASSUMED, Surface

LARGEST_MM = 140.0  # of a repeat

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]

Hex = Annotated[str, StringConstraints(pattern=r"^#[0-9A-F]{6}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
_STRICT = ConfigDict(frozen=True, extra="forbid")


class Harness(NamedTuple):
    """How a loom is set up, as weavers write it: shafts and treadles count from 1.

    `tie_up[t]` are the shafts that treadle t + 1 lifts; picks count upwards from the lower edge.
    """

    threading: tuple[int, ...]
    tie_up: tuple[tuple[int, ...], ...]
    treadling: tuple[int, ...]

    def lift(self) -> Bools:
        """(picks, ends): True where the end lies over the pick, row 0 the first pick woven."""
        shafts = np.array(self.threading)
        return np.array([np.isin(shafts, self.tie_up[t - 1]) for t in self.treadling])


class Yarn(BaseModel):
    """One kind of yarn: of one dyed colour, or spun from fibres of several (`#RRGGBB` = parts)."""

    model_config = _STRICT

    hex: Hex | None = None
    fibres: dict[Hex, Annotated[float, Field(gt=0)]] = Field(
        default={}, description="in order: neighbours here lie side by side in the yarn"
    )
    blend: Share = Field(default=0.5, description="1: fibres carded to one even shade; 0: flecks")
    cover: Annotated[float, Field(ge=0.5, le=1.3)] = Field(
        default=0.95, description="diameter as a share of the space one yarn has; above 1 it crowds"
    )
    twist_deg: Annotated[float, Field(ge=0, le=45)] = 20.0
    slack: Share = Field(default=0.0, description="ends at low tension pucker, as in seersucker")

    @check(mode="after")
    def _has_one_colour(self) -> Self:
        if (self.hex is None) == (not self.fibres):
            raise ValueError("a yarn has either hex or fibres")
        return self

    @property
    def linear(self) -> Floats:
        """(fibres, 3): the fibres' colours in linear light, RGB."""
        return linear_rgb([self.hex] if self.hex else self.fibres)

    @property
    def parts(self) -> Floats:
        """(fibres,): each fibre's share of the yarn; they add up to 1."""
        parts = np.array(list(self.fibres.values()) or [1.0], np.float32)
        return np.asarray(parts / parts.sum(), np.float32)


class Weave(BaseModel):
    """Structure (a name, or threading with tie-up and treadling), sett, and order of yarns.

    A name is one of `plain`, `twill 2/2`, `herringbone 2/2 x 12` (12 ends a band), `diamond 2/2 x
    8`, `hopsack 2`, `satin 5`; runs such as 2/2 or 3/1/1/1 read over/under. An order is a list of
    `"4 dark 4 light"` or, many times over, `"9 x 4 dark 4 light"`.
    """

    model_config = _STRICT

    structure: str | None = None
    threading: tuple[Positive, ...] = ()
    tie_up: tuple[tuple[Positive, ...], ...] = ()
    treadling: tuple[Positive, ...] = ()
    ends_per_cm: Annotated[float, Field(ge=4, le=60)]
    picks_per_cm: Annotated[float, Field(ge=4, le=60)]
    warp: tuple[str, ...] = Field(min_length=1)
    weft: tuple[str, ...] = Field(min_length=1)

    @cached_property
    def harness(self) -> Harness:
        if self.structure is not None:
            return harness_of(self.structure)
        return Harness(self.threading, self.tie_up, self.treadling)

    @cached_property
    def lift(self) -> Bools:
        return self.harness.lift()

    @cached_property
    def warp_order(self) -> tuple[str, ...]:
        return _order(self.warp, "weave.warp")

    @cached_property
    def weft_order(self) -> tuple[str, ...]:
        return _order(self.weft, "weave.weft")

    @check(mode="after")
    def _can_be_woven(self) -> Self:
        explicit = bool(self.threading and self.tie_up and self.treadling)
        if (self.structure is None) != explicit or (self.structure and self.threading):
            raise ValueError("give either structure, or threading, tie_up and treadling")
        if max(self.harness.treadling) > len(self.harness.tie_up):
            raise InvalidInput("uses a treadle that tie_up does not have", "weave.treadling")
        for thread, lifts in (("end", self.lift), ("pick", self.lift.T)):
            loose = np.flatnonzero(lifts.all(axis=0) | ~lifts.any(axis=0))
            if loose.size:
                raise ValueError(f"{thread} {loose[0] + 1} is never bound: it would fall out")
        return self


class Finish(BaseModel):
    """What the mill does to the whole cloth, and how uneven its yarns are.

    `sheen` and `roughness` are those of worker.surface: how bright the cloth gleams, how widely.
    """

    model_config = _STRICT

    unevenness: Annotated[float, Field(ge=0, le=0.3)] = Field(
        default=0.03, description="standard deviation of brightness from yarn to yarn"
    )
    fuzz: Share = Field(default=0.08, description="how far milled fibres hide the weave")
    nap_mm: Annotated[float, Field(ge=0.1, le=3)] = 0.4
    slub: Share = Field(default=0.0, description="thick and thin places along the yarns")
    sheen: Share = ASSUMED.sheen
    roughness: Annotated[float, Field(ge=0.3, le=1)] = ASSUMED.roughness

    @property
    def surface(self) -> Surface:
        return Surface(self.sheen, self.roughness)


class Draft(BaseModel):
    """A cloth that can be woven, with the facts a shop tells about it."""

    model_config = _STRICT

    name: str
    pattern: Literal["plain", "stripe", "check", "texture"]
    composition: str = Field(min_length=3, description="in Spanish")
    weight_g_m2: Annotated[int, Field(ge=80, le=800)]
    weave: Weave
    yarns: dict[str, Yarn]
    finish: Finish = Finish()

    @property
    def repeat_threads(self) -> tuple[int, int]:
        """Ends and picks after which both the weave and the colour order begin anew."""
        picks, ends = self.weave.lift.shape
        return math.lcm(ends, len(self.weave.warp_order)), math.lcm(
            picks, len(self.weave.weft_order)
        )

    @property
    def repeat_mm(self) -> tuple[float, float]:
        """Width and height of one repeat."""
        ends, picks = self.repeat_threads
        return 10 * ends / self.weave.ends_per_cm, 10 * picks / self.weave.picks_per_cm

    @check(mode="after")
    def _orders_fit(self) -> Self:
        for key, order, repeat_mm in (
            ("weave.warp", self.weave.warp_order, self.repeat_mm[0]),
            ("weave.weft", self.weave.weft_order, self.repeat_mm[1]),
        ):
            unknown = sorted(set(order) - set(self.yarns))
            if unknown:
                raise InvalidInput(f"yarn {unknown[0]!r} is not among the yarns", key)
            if repeat_mm > LARGEST_MM:
                raise InvalidInput(
                    f"{len(order)} threads meet the weave again only after {repeat_mm:.0f} mm; "
                    f"at most {LARGEST_MM:.0f} mm fit a tile",
                    key,
                )
        unused = sorted(set(self.yarns) - {*self.weave.warp_order, *self.weave.weft_order})
        if unused:
            raise InvalidInput("is woven nowhere", f"yarns.{unused[0]}")
        return self


def load_draft(path: Path) -> Draft:
    """Read and validate a draft; its name is the file's stem.

    Raises InvalidInput, naming file and key, when it cannot be read or woven.
    """
    try:
        return Draft(name=path.stem, **tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path.name}: cannot be read: {error}") from error
    except InvalidInput as error:
        raise InvalidInput(f"{path.name}: {error.field}: {error}", error.field) from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(f"{path.name}: {key}: {first['msg']}", key) from error


def harness_of(structure: str) -> Harness:
    """Expand a named structure to threading, tie-up and treadling; InvalidInput if unknown."""
    runs = r"(?P<runs>\d+(?:/\d+)+)"
    if structure == "plain":
        return _twill((1, 1))
    if found := re.fullmatch(rf"twill {runs}", structure):
        return _twill(_runs(found))
    if found := re.fullmatch(rf"herringbone {runs} x (?P<band>\d+)", structure):
        return _herringbone(_runs(found), int(found["band"]))
    if found := re.fullmatch(rf"diamond {runs} x (?P<band>\d+)", structure):
        return _diamond(_runs(found), int(found["band"]))
    if found := re.fullmatch(r"hopsack (?P<size>[2-6])", structure):
        return _hopsack(int(found["size"]))
    if found := re.fullmatch(r"satin (?P<shafts>5|7|8|9|10|11|12)", structure):
        return _satin(int(found["shafts"]))
    raise InvalidInput(f"unknown structure {structure!r}", "weave.structure")


def _runs(found: re.Match[str]) -> tuple[int, ...]:
    runs = tuple(int(run) for run in found["runs"].split("/"))
    if len(runs) % 2 or 0 in runs:
        raise InvalidInput(f"{found['runs']!r} is not over/under", "weave.structure")
    return runs


def _twill(runs: tuple[int, ...]) -> Harness:
    count = sum(runs)
    over = np.repeat(np.arange(len(runs)) % 2 == 0, runs)
    straight = tuple(range(1, count + 1))
    lifted = [np.flatnonzero(np.roll(over, pick)) + 1 for pick in range(count)]
    return Harness(straight, tuple(tuple(shafts.tolist()) for shafts in lifted), straight)


def _herringbone(runs: tuple[int, ...], band: int) -> Harness:
    """Bands rise and fall; each turn skips half the shafts, the clean cut of a herringbone."""
    straight = _twill(runs)
    shafts = len(straight.threading)
    if band % shafts:
        raise InvalidInput(f"a band of {band} ends is no multiple of {shafts}", "weave.structure")
    rising = [end % shafts + 1 for end in range(band)]
    falling = [(shafts // 2 - 1 - end) % shafts + 1 for end in range(band)]
    return straight._replace(threading=(*rising, *falling))


def _diamond(runs: tuple[int, ...], band: int) -> Harness:
    """A twill threaded and trodden to a point and back, `band` threads each way."""
    straight = _twill(runs)
    shafts = len(straight.threading)
    point = [end % shafts + 1 for end in (*range(band), *range(band, 0, -1))]
    return straight._replace(threading=tuple(point), treadling=tuple(point))


def _hopsack(size: int) -> Harness:
    order = (1,) * size + (2,) * size
    return Harness(order, ((1,), (2,)), order)


def _satin(shafts: int) -> Harness:
    """Warp-faced satin: each pick passes over one end, the smallest regular step apart."""
    step = next(s for s in range(2, shafts) if math.gcd(s, shafts) == 1)
    straight = tuple(range(1, shafts + 1))
    below = [(pick * step) % shafts + 1 for pick in range(shafts)]
    tie_up = tuple(tuple(s for s in straight if s != bound) for bound in below)
    return Harness(straight, tie_up, straight)


def _order(items: Iterable[str], key: str) -> tuple[str, ...]:
    order: list[str] = []
    for item in items:
        if not re.fullmatch(r"(?:\d+ x )?\d+ [a-z]+(?: \d+ [a-z]+)*", item):
            raise InvalidInput(f"{item!r} does not read like '4 dark 4 light' or '9 x 2 dark'", key)
        times, _, threads = item.rpartition(" x ")
        pairs = re.findall(r"(\d+) ([a-z]+)", threads)
        order += [name for count, name in pairs for _ in range(int(count))] * int(times or 1)
    if not order:
        raise InvalidInput("no threads at all", key)
    return tuple(order)


def linear_rgb(colours: Iterable[str]) -> Floats:
    """(n, 3) linear light 0..1 of `#RRGGBB` colours."""
    levels = np.array([list(bytes.fromhex(colour[1:])) for colour in colours])
    return np.asarray(LINEAR_OF_LEVEL[levels])
