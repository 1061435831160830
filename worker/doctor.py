"""`python -m worker.doctor`: is this machine ready to work? Says what it finds; exits 0 or 1.

Device, memory, weights, storage, database, clock, and one dry render by each configured engine.
Where a photoreal engine is meant to run without a GPU, minutes or hours a picture: --allow-cpu.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from models import queue
from models.database import transaction
from models.errors import StylistError
from models.settings import ROOT, settings
from models.storage import storage
from worker.engines import engine_named, trial_letter
from worker.looks import load_look
from worker.weights import needed, shelf

LOOKS: Path = ROOT / "assets" / "looks"
CLOCK_APART_MAX_SECONDS = 5.0  # leases do not care, signed links and storage signatures do
PHOTOREAL = {"sdxl_inpaint", "sdxl_full"}


class Unwell(Exception):
    """What was looked at is not as it must be; the message says what and what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Look at everything, also after a finding; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m worker.doctor", description=__doc__)
    parser.add_argument("--allow-cpu", action="store_true", help="no GPU is no finding")
    asked = parser.parse_args(arguments)
    well = [_looked_at(name, look) for name, look in examinations(asked.allow_cpu)]
    return 0 if all(well) else 1


def examinations(allow_cpu: bool = False) -> Iterator[tuple[str, Callable[[], str]]]:
    """What is looked at, in order: a name, and a function that tells what it finds or raises."""
    engines = dict.fromkeys([settings().draft_engine, settings().chosen_final_engine])
    if PHOTOREAL & engines.keys():
        yield "device", partial(device, allow_cpu)
        yield "weights", partial(weights, settings().chosen_final_engine)
    yield "storage", stored
    yield "database", database
    yield "clock", clock
    for engine in engines:
        yield f"render {engine}", partial(dry_render, engine)


def _looked_at(name: str, look: Callable[[], str]) -> bool:
    started = time.perf_counter()
    try:
        found, well = look(), True
    except (Unwell, StylistError, ImportError) as error:
        found, well = str(error), False
    seconds = time.perf_counter() - started
    print(f"{'ok  ' if well else 'FAIL'}  {name:22} {seconds:6.2f} s  {found}", flush=True)
    return well


def device(allow_cpu: bool = False) -> str:
    """Card, driver, memory, and the number type that will be used."""
    import torch

    if not torch.cuda.is_available():
        seen = f"torch {torch.__version__} sees no CUDA device"
        if allow_cpu:
            return f"{seen}: the CPU, float32, as was allowed"
        raise Unwell(f"{seen}: check the driver")
    about = torch.cuda.get_device_properties(0)
    free, total = torch.cuda.mem_get_info(0)
    ids = needed(settings().chosen_final_engine, settings(), shelf())
    wanted_gb = sum(shelf().named(name).vram_gb for name in ids)
    told = (
        f"{about.name}, driver {_driver()}, torch {torch.__version__}, float16, "
        f"{free / 1e9:.1f} of {total / 1e9:.1f} GB free, weights take {wanted_gb:.1f} GB"
    )
    if free / 1e9 < wanted_gb:
        raise Unwell(told)
    return told


def _driver() -> str:
    ask = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(ask, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return answer.stdout.splitlines()[0].strip()


def weights(engine: str) -> str:
    """All that the engine needs is on disk as the manifest says. Raises WeightsMissing."""
    here = shelf()
    ids = needed(engine, settings(), here)
    here.require(ids, engine)
    return f"{', '.join(ids)} in {here.root}"


def stored() -> str:
    """The store can be written to."""
    storage().check()
    return settings().storage_backend


def database() -> str:
    """The database answers; tells the time of one round trip."""
    with transaction() as session:
        started = time.perf_counter()
        queue.clock_in(session, 0)
        return f"{(time.perf_counter() - started) * 1000:.1f} ms a round trip"


def clock() -> str:
    """This machine's clock and the database's agree."""
    with transaction() as session:
        theirs = queue.clock_in(session, 0)
    apart = (datetime.now(UTC) - theirs).total_seconds()
    if abs(apart) > CLOCK_APART_MAX_SECONDS:
        raise Unwell(f"this clock is {apart:+.1f} s from the database's: set it by NTP")
    return f"{apart:+.2f} s from the database's"


def dry_render(name: str) -> str:
    """One picture of the first look in plain grey; nothing is stored."""
    engine = engine_named(name, LOOKS)
    engine.setup()
    look = load_look(sorted(path.parent for path in LOOKS.glob("*/look.json"))[0])
    letter = trial_letter(look.name, look.version, (look.width_px, look.height_px))
    started = time.perf_counter()
    picture = engine.render(letter, None, lambda _: None).picture
    if not picture.any():
        raise Unwell("the picture is black")
    height, width = picture.shape[:2]
    return f"{width} x {height} px in {time.perf_counter() - started:.2f} s, set up"


if __name__ == "__main__":
    sys.exit(main())
