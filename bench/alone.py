"""A bench in a process of its own: each sets the environment and the settings as it needs them."""

import importlib
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from bench.table import Finding


def findings(name: str) -> list[Finding]:
    """What `bench.NAME` finds. Raises what it raises, SystemExit included."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as process:
        return process.submit(_findings_here, name).result()


def _findings_here(name: str) -> list[Finding]:
    """Those of the house print a table of their own, and return nothing."""
    found: list[Finding] | None = importlib.import_module(f"bench.{name}").main()
    return found or []
