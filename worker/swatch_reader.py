"""Reading swatches while no picture is wanted: claim one, profile it, write down what it shows.

A swatch is read in a second or two, and nobody waits for it.
"""

import time

from models import profiles
from models.database import transaction
from models.profiles import ProfileClaim, SwatchLetter
from models.settings import settings
from models.storage import Storage
from worker import cloth as cloths
from worker.cloth import Cloth
from worker.errand import Done, Errand
from worker.profile import profile_of
from worker.swatch_file import stored_swatch

LOOK_EVERY_SECONDS = 5.0  # for swatches that nobody has read
FAILED = "La lectura de la muestra falló por un problema nuestro."


class SwatchReader(Errand[ProfileClaim]):
    """The part of a worker that reads swatches."""

    broken = ("profile-failed", FAILED)

    def __init__(self, worker: str, storage: Storage) -> None:
        super().__init__(worker, storage)
        self._looked_at = -LOOK_EVERY_SECONDS

    def do_when_due(self) -> bool:
        """`do_once`, but what was found to be empty is left alone for a while."""
        now = time.monotonic()
        if not settings().profile_swatches or now - self._looked_at < LOOK_EVERY_SECONDS:
            return False
        if self.do_once():
            return True
        self._looked_at = now
        return False

    def _claimed(self) -> ProfileClaim | None:
        """What waits, or else what has just been found to be unread."""
        with transaction() as session:
            held = profiles.claim(session, self.worker)
            if held is None:
                profiles.enqueue_unread(session)
                held = profiles.claim(session, self.worker)
            return held

    def _done(self, held: ProfileClaim) -> Done:
        letter = held.letter
        content = stored_swatch(self.storage, letter.swatch_key, letter.swatch_sha256)
        profile = profile_of(_cloth(letter, content))
        return lambda session: profiles.complete(session, held, profile)


def _cloth(letter: SwatchLetter, content: bytes) -> Cloth:
    """Raises SwatchUnreadable."""
    if letter.swatch_kind == "tile" and letter.swatch_width_mm is not None:
        return cloths.from_tile(content, letter.swatch_width_mm)
    return cloths.from_photo(content, letter.swatch_width_mm)
