"""Finished orders for tests, with pictures that are really in storage."""

import hashlib
from dataclasses import replace
from typing import Any
from uuid import UUID

from models import queue
from models.database import transaction
from models.storage import storage
from tests.orders import an_image, claim, place
from tests.wire import a_photo

PICTURE = a_photo(size=(64, 96), kind="JPEG")


def finish(held: queue.Claim | None = None) -> None:
    """Complete this job, or the next in turn, with a small picture."""
    held = held or claim()
    image = replace(
        an_image(held), sha256=hashlib.sha256(PICTURE).hexdigest(), size_bytes=len(PICTURE)
    )
    storage().put(image.object_key, PICTURE, "image/jpeg")
    with transaction() as session:
        queue.complete(session, held, image)


def finished_order(cuts: tuple[str, ...] = ("recto",), **order: Any) -> UUID:
    """An order whose every cut has its picture."""
    id = place(cuts, **order)
    for _ in cuts:
        finish()
    return id


def stored(prefix: str = "") -> set[str]:
    """The keys of everything in storage under this prefix."""
    return {found.key for found in storage().list(prefix)}
