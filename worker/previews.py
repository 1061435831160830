"""Previews of a slow picture, in small for whoever waits: few, far between, never published."""

import logging
import time
from collections.abc import Callable

import cv2

from models import previews
from models.errors import LeaseLost, StorageError
from models.queue import Claim
from models.storage import Storage
from worker.engines import Picture
from worker.lease import Lease

log = logging.getLogger(__name__)
MOST = 4
APART_SECONDS = 2.0  # a picture that takes less has no preview, and pays nothing for it
SIDE_PX = 480  # height: some 30 kB
QUALITY = 80


class Previews:
    """The previews of one claim."""

    def __init__(self, lease: Lease, storage: Storage) -> None:
        self._lease = lease
        self._storage = storage
        self._kept = 0
        self._kept_at = time.monotonic()

    def show(self, make: Callable[[], Picture]) -> None:
        """Make a preview and keep it, unless the last one is fresh or there are enough. A store
        that fails is no reason to stop painting, and a lease that is lost concerns this picture
        alone, not the batch: the engine's own tick tells it. Raises Stopping."""
        if self._kept >= MOST or time.monotonic() - self._kept_at < APART_SECONDS:
            return
        key = f"{_prefix(self._lease.held)}{self._kept}.jpg"
        try:
            self._storage.put(key, _in_small(make()), "image/jpeg", lambda: self._lease.tick(0.0))
        except (StorageError, LeaseLost):
            log.warning("preview not kept", exc_info=True, extra={"key": key})
        self._kept += 1
        self._kept_at = time.monotonic()


def _prefix(held: Claim) -> str:
    return previews.prefix(held.job_id, held.claim)


def _in_small(picture: Picture) -> bytes:
    height, width = picture.shape[:2]
    size = (round(width * SIDE_PX / height), SIDE_PX)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
