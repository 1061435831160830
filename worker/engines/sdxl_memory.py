"""Out of memory: try again with less, say so, and give up in a way that others can go on from.

After a fault of the card, CUDA answers this process with the same error whatever it asks.
"""

import gc
import logging
import re
import signal
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from models.errors import EngineFailed

log = logging.getLogger(__name__)
FAILED_IN_A_ROW_MAX = 2
# What torch's allocator did not ask for: a library's own memory, or the driver's.
LACKING = re.compile(r"out of memory|ALLOC(ATION)?_FAILED", re.IGNORECASE)
Result = TypeVar("Result")


class Ladder:
    """Rungs of one engine: each way to render takes less memory than the one before."""

    def __init__(self) -> None:
        self.failed_in_a_row = 0

    def first_that_fits(self, ways: Sequence[Callable[[], Result]]) -> Result:
        """The result of the first way that does not run out of memory.

        Raises EngineFailed, to be tried again elsewhere, when none fits. After two such jobs the
        memory is taken to be lost, and the worker is told to stop, so that it is started afresh;
        likewise after one at which the card failed.
        """
        for number, way in enumerate(ways):
            try:
                result = way()
            except RuntimeError as error:
                if not lacks_memory(error):
                    _stop_if_of_card(error)
                    raise
                log.warning("out of memory", extra={"rung": number})
            else:
                self.failed_in_a_row = 0
                return result
            _free()  # outside the handler, whose traceback keeps the tensors alive
        self.failed_in_a_row += 1
        if self.failed_in_a_row >= FAILED_IN_A_ROW_MAX:
            _stop("out of memory twice in a row")
        raise EngineFailed("A la tarjeta le faltó memoria.")


def lacks_memory(error: RuntimeError) -> bool:
    """Whether it was memory that lacked: of torch, of cuDNN and cuBLAS, or of the driver."""
    return isinstance(error, torch.OutOfMemoryError) or bool(LACKING.search(str(error)))


def _stop_if_of_card(error: RuntimeError) -> None:
    """Raises EngineFailed, to be tried again elsewhere, for a fault of the card."""
    if isinstance(error, torch.AcceleratorError):
        _stop("the card has failed")
        raise EngineFailed("La tarjeta falló.") from error


def _stop(reason: str) -> None:
    log.error("%s: stopping to be started afresh", reason)
    signal.raise_signal(signal.SIGTERM)


def _free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
