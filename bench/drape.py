"""How fast a suit is draped, beside the plain form of the same maths: python -m bench.drape.

Prints a Markdown table: medians of RUNS runs, best of REPEATS repeats, because a shared machine
only ever makes a run slower. `plain_picture` is also what the tests compare the engine with.
"""

import os
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

from models.letter import Letter
from worker.cloth import Cloth, from_hex
from worker.colour import toned
from worker.engines import Picture
from worker.engines.drape import EIGHT_ROOKS, FOUR_ROOKS, DrapeEngine, Rooks, shown_tile, slanted
from worker.engines.drape_surface import lit_level, matt_light, polish_of
from worker.looks import Look, load_look

LOOKS = Path(__file__).parent.parent / "assets" / "looks"
RUNS, REPEATS = 30, 3
PLAIN_RUNS = 5
BUDGET_MS, LOAD_BUDGET_MS, DOUBLE_BUDGET_MS = 25.0, 150.0, 110.0

Floats = NDArray[np.float64]


def plain_picture(look: Look, cloth: Cloth) -> Picture:
    """The drape engine's maths in plain numpy, 64-bit: slow, and nothing in it is clever."""
    many = slanted(look.u_dx, look.u_dy, look.v_dx, look.v_dy, look.px_per_cm)[..., None]
    albedo = np.where(
        many, plain_albedo(look, cloth, EIGHT_ROOKS), plain_albedo(look, cloth, FOUR_ROOKS)
    )
    polish = polish_of(cloth.surface, lit_level(look))
    gleam = np.maximum(polish.of_level[look.gleam] - polish.known * look.light, 0)
    linear = albedo * look.light[..., None] + matt_light(look) + gleam[..., None]
    levels = np.round(toned(linear) * 255).astype(np.uint8)
    picture = look.base.copy()
    picture.reshape(-1, 3)[look.at] = levels.reshape(-1, 3)[: len(look.at)]
    return picture


def plain_albedo(look: Look, cloth: Cloth, rooks: Rooks) -> Floats:
    """The mean of samples at these places and their mirror images."""
    tile = shown_tile(cloth, look.px_per_cm)
    albedo = np.zeros((*look.light.shape, 3))
    for dx, dy in (place for x, y in rooks for place in ((x, y), (-x, -y))):
        u = look.u.astype(np.float64) + dx * look.u_dx + dy * look.u_dy
        v = look.v.astype(np.float64) + dx * look.v_dx + dy * look.v_dy
        albedo += plain_sample(tile, u / cloth.size_cm[0], -v / cloth.size_cm[1])
    return albedo / (2 * len(rooks))


def plain_sample(tile: NDArray[np.float32], across: Floats, down: Floats) -> Floats:
    """Bilinear samples of a tile that repeats; positions in repeats."""
    height, width = tile.shape[:2]
    x, y = (across % 1) * width, (down % 1) * height
    left, top = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    right_share, bottom_share = (x - left)[..., None], (y - top)[..., None]
    left, right = left % width, (left + 1) % width
    top, bottom = top % height, (top + 1) % height
    upper = tile[top, left] * (1 - right_share) + tile[top, right] * right_share
    lower = tile[bottom, left] * (1 - right_share) + tile[bottom, right] * right_share
    return np.asarray(upper * (1 - bottom_share) + lower * bottom_share)


def letter_for(look: Look, colour: str = "#1B2440") -> Letter:
    return Letter(
        cut=look.name,
        look=look.name,
        look_version=look.version,
        width_px=look.width_px,
        height_px=look.height_px,
        stage="draft",
        fabric_hex=colour,
        noise_seed=0,
    )


def doubled_letter(letter: Letter) -> Letter:
    """The same order at twice the size."""
    size = {"width_px": 2 * letter.width_px, "height_px": 2 * letter.height_px}
    return letter.model_copy(update=size)


def median_ms(call: Callable[[], object], runs: int, repeats: int = 1) -> float:
    """Median of `runs`; the best of `repeats` such medians."""
    return min(median(_milliseconds(call) for _ in range(runs)) for _ in range(repeats))


def _milliseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000


def machine() -> str:
    """Processor, cores and versions in one line."""
    info = Path("/proc/cpuinfo")
    models = [
        line.split(":", 1)[1].strip()
        for line in (info.read_text().splitlines() if info.exists() else ())
        if line.startswith("model name")
    ]
    cores = len(os.sched_getaffinity(0))
    return (
        f"{models[0] if models else platform.processor()}, {cores} cores;"
        f" Python {platform.python_version()}, numpy {np.__version__}, OpenCV {cv2.__version__}"
    )


def main() -> None:
    engine = DrapeEngine(LOOKS, threads=2)
    engine.setup()
    print(f"{machine()}; {datetime.now(UTC):%Y-%m-%d}\n")
    print(
        "| look | render, ms | plain numpy, ms | ratio | levels apart, at most |"
        " pack load, ms | at twice the size, ms |\n|---|---|---|---|---|---|---|"
    )
    for folder in sorted(path.parent for path in LOOKS.glob("*/look.json")):
        print(row(engine, folder))
    print(
        f"\nMedian of {RUNS} runs, best of {REPEATS} repeats, 2 threads, cloth in the cache."
        f" Bars: render ≤ {BUDGET_MS:.0f} ms, pack load ≤ {LOAD_BUDGET_MS:.0f} ms,"
        f" twice the size ≤ {DOUBLE_BUDGET_MS:.0f} ms."
    )


def row(engine: DrapeEngine, folder: Path) -> str:
    look = load_look(folder)
    letter = letter_for(look)
    cloth = from_hex(letter.fabric_hex)

    def render(letter: Letter = letter) -> Picture:
        return engine.render(letter, None, lambda share: None).picture

    double = doubled_letter(letter)
    render(double)
    apart = np.abs(render().astype(int) - plain_picture(look, cloth)).max()
    render_ms = median_ms(render, RUNS, REPEATS)
    plain_ms = median_ms(lambda: plain_picture(look, cloth), PLAIN_RUNS)
    load_ms = median_ms(lambda: load_look(folder), PLAIN_RUNS, REPEATS)
    double_ms = median_ms(lambda: render(double), PLAIN_RUNS, REPEATS)
    size = f"{look.name} {look.width_px} x {look.height_px}"
    ratio = f"{plain_ms / render_ms:.0f} x"
    return (
        f"| {size} | {render_ms:.1f} | {plain_ms:.0f} | {ratio} | {apart} |"
        f" {load_ms:.0f} | {double_ms:.0f} |"
    )


if __name__ == "__main__":
    main()
