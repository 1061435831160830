"""Reading swatches while no picture is wanted: claim one, profile it, write down what it shows.

A swatch is read in a second or two and nobody waits for it, so the claim's lease is long and is not
renewed: what a dead worker held is read by another when it lapses.
"""

import logging
import time
from collections.abc import Callable

from models import profiles, queue
from models.database import Session, transaction
from models.errors import DatabaseUnavailable, LeaseLost, StylistError
from models.profiles import ProfileClaim, SwatchLetter
from models.settings import settings
from models.storage import Storage
from worker import cloth as cloths
from worker.cloth import Cloth
from worker.profile import profile_of
from worker.swatch_file import stored_swatch

log = logging.getLogger(__name__)
LOOK_EVERY_SECONDS = 5.0  # for swatches that nobody has read
FAILED = "La lectura de la muestra falló por un problema nuestro."


class SwatchReader:
    """The part of a worker that reads swatches."""

    def __init__(self, worker: str, storage: Storage) -> None:
        self.worker = worker
        self.storage = storage
        self._looked_at = -LOOK_EVERY_SECONDS

    def read_when_due(self) -> bool:
        """`read_once`, but what was found to be empty is left alone for a while."""
        now = time.monotonic()
        if not settings().profile_swatches or now - self._looked_at < LOOK_EVERY_SECONDS:
            return False
        if self.read_once():
            return True
        self._looked_at = now
        return False

    def read_once(self) -> bool:
        """Read the next swatch; False when all are read."""
        held = self._claimed()
        if held is None:
            return False
        try:
            profile = profile_of(_cloth(held.letter, self._content(held.letter)))
        except DatabaseUnavailable:
            raise
        except StylistError as error:
            move = queue.retry if error.retryable else queue.fail
            code, message = error.code, str(error)
            self._settle(held, move.__name__, lambda s: move(s, held, code, message))
        except Exception:
            log.exception("reading broke", extra=_ids(held))
            self._settle(held, "retry", lambda s: queue.retry(s, held, "profile-failed", FAILED))
        else:
            self._settle(held, "complete", lambda s: profiles.complete(s, held, profile))
        return True

    def _claimed(self) -> ProfileClaim | None:
        """What waits, or else what has just been found to be unread."""
        with transaction() as session:
            held = profiles.claim(session, self.worker)
            if held is None:
                profiles.enqueue_unread(session)
                held = profiles.claim(session, self.worker)
            return held

    def _content(self, letter: SwatchLetter) -> bytes:
        return stored_swatch(self.storage, letter.swatch_key, letter.swatch_sha256)

    def _settle(self, held: ProfileClaim, verb: str, move: Callable[[Session], None]) -> None:
        """Once: if the answer is lost the job is gone, or its lease lapses and it is read again."""
        try:
            with transaction() as session:
                move(session)
        except LeaseLost:
            log.warning("lease lost before it was settled", extra=_ids(held) | {"verb": verb})
        else:
            log.info(verb, extra=_ids(held))


def _cloth(letter: SwatchLetter, content: bytes) -> Cloth:
    """Raises SwatchUnreadable."""
    if letter.swatch_kind == "tile" and letter.swatch_width_mm is not None:
        return cloths.from_tile(content, letter.swatch_width_mm)
    return cloths.from_photo(content, letter.swatch_width_mm)


def _ids(held: ProfileClaim) -> dict[str, object]:
    return {"job_id": held.job_id, "claim": held.claim, "attempt": held.attempts}
