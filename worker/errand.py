"""Errands: what a worker does beside pictures, as jobs without an order. Claim, do, settle once.

The claim's lease is long and is not renewed: what a dead worker held is done by another when it
lapses, what one that was told to stop held at once.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

from models import queue
from models.database import Session, transaction
from models.errors import DatabaseUnavailable, LeaseLost, StylistError
from models.storage import Storage

log = logging.getLogger(__name__)
Held = TypeVar("Held", bound=queue.Held)
Done = Callable[[Session], None]  # writes down what was done, under the claim's fence


class Errand(ABC, Generic[Held]):
    """One kind of errand of one worker."""

    broken: ClassVar[tuple[str, str]]  # code and sentence where it failed through a fault of ours

    def __init__(self, worker: str, storage: Storage) -> None:
        self.worker = worker
        self.storage = storage

    @abstractmethod
    def _claimed(self) -> Held | None:
        """The next one; None when there is nothing to do."""

    @abstractmethod
    def _done(self, held: Held) -> Done:
        """Do it. Raises StylistError, which is told to whoever asked for it."""

    def do_once(self) -> bool:
        """Do the next one; False when there is none."""
        held = self._claimed()
        if held is None:
            return False
        code, sentence = self.broken
        try:
            done = self._done(held)
        except DatabaseUnavailable:
            raise
        except StylistError as error:
            move = queue.retry if error.retryable else queue.fail
            code, sentence = error.code, str(error)
            self._settle(held, move.__name__, lambda s: move(s, held, code, sentence))
        except Exception:
            log.exception("errand broke", extra=_ids(held))
            self._settle(held, "retry", lambda s: queue.retry(s, held, code, sentence))
        except SystemExit:  # told to stop
            self._settle(held, "release", lambda s: queue.release(s, held))
            raise
        else:
            self._settle(held, "complete", done)
        return True

    def _settle(self, held: Held, verb: str, move: Done) -> None:
        """Once: if the answer is lost the job is gone, or its lease lapses and it is done again."""
        try:
            with transaction() as session:
                move(session)
        except LeaseLost:
            log.warning("lease lost before it was settled", extra=_ids(held) | {"verb": verb})
        else:
            log.info(verb, extra=_ids(held))


def _ids(held: queue.Held) -> dict[str, object]:
    return {"job_id": held.job_id, "claim": held.claim, "attempt": held.attempts}
