"""`python -m worker`: one worker process. SIGTERM or SIGINT: hand the job back and exit 0."""

import logging
import os
import secrets
import signal
import socket
import threading
from pathlib import Path

from models import workers
from models.database import transaction
from models.errors import DatabaseUnavailable, StylistError
from models.logs import start_logging
from models.settings import ROOT, settings
from models.storage import storage
from worker import overlays
from worker.apprentice import Apprentice
from worker.bell import Bell
from worker.engines import Engine, ShowingEngine, engine_named
from worker.loop import Loop, Unfit
from worker.swatch_reader import SwatchReader
from worker.watermark import Watermark

log = logging.getLogger("worker")
LOOKS: Path = ROOT / "assets" / "looks"


def main() -> None:
    """Set up the engines before the first claim, then work until told to stop."""
    start_logging()
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    bell = Bell()
    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    overlays.publish(storage(), LOOKS)
    watermark = Watermark(settings().watermark_path)
    engines = _engines()
    pastime = SwatchReader(name, storage()).do_when_due
    apprentice = Apprentice()
    beside = apprentice.call_when_due
    loop = Loop(name, engines, storage(), watermark, stopping, _device(engines), pastime, beside)
    log.info("ready", extra={"worker": name, "engines": list(loop.engines)})
    unfit = _run(loop, bell)
    apprentice.dismiss()
    _say_goodbye(name, unfit)
    bell.close()
    log.info("stopped", extra={"worker": name})
    if unfit is not None:
        raise SystemExit(unfit)


def _run(loop: Loop, bell: Bell) -> str | None:
    """Work until told to stop; the reason if this worker had to take itself out."""
    try:
        loop.run(bell)
    except Unfit as reason:
        log.error("unfit", extra={"worker": loop.name, "reason": reason})
        return str(reason)
    return None


def _engines() -> list[Engine]:
    """The deployment's engines, drafts first, loaded and warm."""
    names = dict.fromkeys([settings().draft_engine, settings().chosen_final_engine])
    slow = settings().mock_render_seconds
    try:
        engines = [engine_named(name, LOOKS, slow) for name in names]
        for engine in engines:
            engine.setup()
    except StylistError as error:
        raise SystemExit(str(error)) from error  # it must not render something else instead
    return engines


def _device(engines: list[Engine]) -> str:
    """What the console says that this worker works on: the card, where an engine has one."""
    cards = [engine.device for engine in engines if isinstance(engine, ShowingEngine)]
    return cards[0] if cards else "cpu"


def _say_goodbye(name: str, note: str | None) -> None:
    try:
        with transaction() as session:
            workers.stop(session, name, note)
    except DatabaseUnavailable:
        log.warning("could not say goodbye", exc_info=True)


if __name__ == "__main__":
    main()
