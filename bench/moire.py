"""How much moiré the drape leaves in fine weaves: python -m bench.moire.

A picture is also sampled four times as finely each way, by the same filter. What this finer one
holds above the frequencies that the shown pixels can carry comes back in the shown picture at
frequencies that the cloth does not have. Printed as the root mean square of that, in percent of the
cloth's mean light, in all and of waves of four pixels or longer, which the eye sees as bands.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.drape import LOOKS, plain_sample
from bench.pictures import cloth_named
from bench.table import Finding
from worker.cloth import Cloth
from worker.engines.drape import EIGHT_ROOKS, FOUR_ROOKS, shown_tile, slanted
from worker.looks import Look, load_look

Array = NDArray[np.float64]

CLOTHS = (
    "worsted-herringbone-onyx",
    "silk-herringbone-plum",
    "worsted-birdseye-charcoal",
    "worsted-nailhead-steel",
)
PANELS = ("lf", "rsl", "lleg")  # flat, turning away, hanging
SIDE_PX = 96  # of a patch
FINER = 4  # samples a pixel, each way
SLOW_PX = 4.0  # the shortest wave that counts as a band
BAR_PERCENT = 1.0  # of such waves, at 100 % and at 50 %: what the eye does not find


@dataclass(frozen=True, eq=False)
class Patch:
    """A square inside one panel: cloth coordinates in repeats, by place in picture pixels."""

    at: tuple[Array, Array]  # (SIDE_PX, SIDE_PX) cm: u, v
    dx: tuple[Array, Array]  # cm a pixel
    dy: tuple[Array, Array]

    def shifted(self, x_px: float, y_px: float) -> tuple[Array, Array]:
        u, v = (
            at + x_px * dx + y_px * dy for at, dx, dy in zip(self.at, self.dx, self.dy, strict=True)
        )
        return u, v


def main() -> list[Finding]:
    look = load_look(LOOKS / "recto")
    print("| cloth | filter | 100 %: all | bands | 50 %: all | bands |\n|---|---|---|---|---|---|")
    findings: list[Finding] = []
    for stem in CLOTHS:
        cloth = cloth_named(stem)
        for name, filtered in (("drape", True), ("plain sampling", False)):
            whole, half = (moire(look, cloth, filtered, shown) for shown in (1, 2))
            cells = " | ".join(f"{100 * one:.2f} %" for one in (*whole, *half))
            print(f"| {stem} | {name} | {cells} |", flush=True)
            if filtered:
                findings += _findings(stem, whole[1], half[1])
    print(f"\nWorst of the panels {', '.join(PANELS)} of recto.")
    return findings


def _findings(stem: str, whole: float, half: float) -> Iterator[Finding]:
    for scale, share in (("100 %", whole), ("50 %", half)):
        percent = 100 * share
        holds = percent <= BAR_PERCENT
        yield Finding(
            f"moiré bands, {stem}, {scale}", f"{percent:.2f} %", f"≤ {BAR_PERCENT:g} %", holds
        )


def moire(look: Look, cloth: Cloth, filtered: bool, shown: int) -> tuple[float, float]:
    """Moiré of a picture shown at 1 / `shown` of its size, in all and as bands; the worst panel's.

    Browsers make a picture smaller by averaging squares of its levels.
    """
    found = []
    for key in PANELS:
        fine = _fine_picture(patch(look, key), cloth, look.px_per_cm, filtered)
        for axis in (0, 1):
            moved = [np.roll(fine, -FINER * step, axis) for step in range(shown)]
            fine = np.mean(moved, axis=0)
        found.append(_folded(fine, FINER * shown))
    return max(one[0] for one in found), max(one[1] for one in found)


def _folded(fine: Array, every: int) -> tuple[float, float]:
    """What comes back at wrong frequencies if one sample in `every` is shown: all, and bands."""
    window = np.outer(*[np.hanning(size) for size in fine.shape])
    mean = (fine * window).sum() / window.sum()
    spectrum = np.fft.fft2((fine - mean) * window)
    speeds = np.meshgrid(*[np.fft.fftfreq(size) for size in fine.shape], indexing="ij")
    limit = 0.5 / every
    too_fast = (np.abs(speeds[0]) > limit) | (np.abs(speeds[1]) > limit)
    back = [(speed + limit) % (2 * limit) - limit for speed in speeds]
    slow = np.hypot(*back) <= 2 * limit / SLOW_PX
    power = np.abs(spectrum) ** 2 / (fine.size * (window**2).sum())
    rms = [float(np.sqrt(power[chosen].sum())) for chosen in (too_fast, too_fast & slow)]
    return rms[0] / mean, rms[1] / mean


def _fine_picture(patch: Patch, cloth: Cloth, px_per_cm: float, filtered: bool) -> Array:
    """Green light of the cloth alone, FINER samples a pixel each way."""
    if not filtered:
        return _sampled(patch, cloth, cloth.tile, [(0.0, 0.0)])
    tile = shown_tile(cloth, px_per_cm)
    four, eight = (
        _sampled(patch, cloth, tile, [(s * dx, s * dy) for dx, dy in rooks for s in (1, -1)])
        for rooks in (FOUR_ROOKS, EIGHT_ROOKS)
    )
    many = slanted(patch.dx[0], patch.dy[0], patch.dx[1], patch.dy[1], px_per_cm)
    return np.where(np.kron(many, np.ones((FINER, FINER), bool)), eight, four)


def _sampled(
    patch: Patch, cloth: Cloth, tile: NDArray[np.float32], taps: Sequence[tuple[float, float]]
) -> Array:
    fine = np.zeros((SIDE_PX * FINER, SIDE_PX * FINER))
    width_cm, height_cm = cloth.size_cm
    for row, column in np.ndindex(FINER, FINER):
        for dx, dy in taps:
            u, v = patch.shifted(column / FINER + dx, row / FINER + dy)
            green = plain_sample(tile[..., 1:2], u / width_cm, -v / height_cm)[..., 0]
            fine[row::FINER, column::FINER] += green / len(taps)
    return fine


def patch(look: Look, key: str) -> Patch:
    """The square around the middle of a panel's pixels that lies in it; the look's own geometry."""
    number = next(number for number, name in look.panel_keys.items() if name == key)
    inside = look.panels == number
    sums = inside.cumsum(0).cumsum(1)
    whole = sums[SIDE_PX:, SIDE_PX:] - sums[:-SIDE_PX, SIDE_PX:]
    whole = whole - sums[SIDE_PX:, :-SIDE_PX] + sums[:-SIDE_PX, :-SIDE_PX]
    best = np.unravel_index(int(whole.argmax()), whole.shape)
    square = tuple(slice(int(start) + 1, int(start) + 1 + SIDE_PX) for start in best)
    if not inside[square].all():
        raise ValueError(f"{look.name}: no square of {SIDE_PX} px lies in {key}")
    u, v, u_dx, v_dx, u_dy, v_dy = (
        look.in_picture(rows)[square].astype(np.float64)
        for rows in (look.u, look.v, look.u_dx, look.v_dx, look.u_dy, look.v_dy)
    )
    return Patch((u, v), (u_dx, v_dx), (u_dy, v_dy))


if __name__ == "__main__":
    main()
