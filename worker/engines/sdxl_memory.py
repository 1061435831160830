"""Out of memory: try again with less, say so, and give up in a way that others can go on from."""

import gc
import logging
import signal
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from models.errors import EngineFailed

log = logging.getLogger(__name__)
FAILED_IN_A_ROW_MAX = 2
Result = TypeVar("Result")


class Ladder:
    """Rungs of one engine: each way to render takes less memory than the one before."""

    def __init__(self) -> None:
        self.failed_in_a_row = 0

    def first_that_fits(self, ways: Sequence[Callable[[], Result]]) -> Result:
        """The result of the first way that does not run out of memory.

        Raises EngineFailed, to be tried again elsewhere, when none fits. After two such jobs the
        memory is taken to be lost, and the worker is told to stop, so that it is started afresh.
        """
        for number, way in enumerate(ways):
            try:
                result = way()
            except torch.OutOfMemoryError:
                log.warning("out of memory", extra={"rung": number})
            else:
                self.failed_in_a_row = 0
                return result
            _free()  # outside the handler, whose traceback keeps the tensors alive
        self.failed_in_a_row += 1
        if self.failed_in_a_row >= FAILED_IN_A_ROW_MAX:
            log.error("out of memory twice in a row: stopping to be started afresh")
            signal.raise_signal(signal.SIGTERM)
        raise EngineFailed("A la tarjeta le faltó memoria.")


def _free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
