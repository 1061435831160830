"""`python -m worker.sweep`: delete what nobody can need any more, and nothing else, ever.

orphans      pictures without a row, whose claim is dead, older than the grace period
swatches     clients' photos past their time, and their bytes
imports      lists that were uploaded to be imported, and left lying
looks        look packs that nothing names any more, and what finished ones were made of
overlays     pictures of uploaded packs that are neither an upload's nor a cut's any more
old orders   settled before RETENTION_DAYS, with their pictures; off unless that is set
doomed       objects whose rows are gone, and that the store has not deleted yet
"""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from uuid import UUID

from models import doomed, history, look_uploads, packs, retention
from models.catalogue import OVERLAY_PREFIX, overlay_of
from models.database import transaction
from models.logs import start_logging
from models.settings import settings
from models.storage import Storage, Stored, storage

log = logging.getLogger("worker.sweep")
GRACE = timedelta(hours=1)  # far longer than a lease and the longest upload
BATCH = 500
PRUNE_BATCHES_MAX = 1000


def main() -> None:
    start_logging()
    now = datetime.now(UTC)
    done = {
        "orphans": sweep_orphans(storage(), now),
        "swatches": sweep_swatches(storage(), now),
        "imports": sweep_imports(storage(), now),
        "looks": sweep_looks(storage(), now),
        "overlays": sweep_overlays(storage(), now),
        "orders": prune(now),
        "doomed_left": doomed.delete(storage()),
    }
    log.info("swept", extra=done)


def sweep_orphans(store: Storage, now: datetime) -> int:
    """Delete pictures that no row points at; returns how many."""
    deleted = 0
    for batch in _batches(_past_grace(store, "renders/", now)):
        claims = {key: claim for key in batch if (claim := _claim_in(key)) is not None}
        with transaction() as session:
            found = retention.orphans(session, claims)
        deleted += _delete(store, found)
    return deleted


def sweep_swatches(store: Storage, now: datetime) -> int:
    """Delete uploads past their time, and uploads whose row was never written."""
    with transaction() as session:
        deleted = _delete(store, retention.forget_swatches(session))
    for batch in _batches(_past_grace(store, "swatches/", now)):
        with transaction() as session:
            found = retention.unknown_swatches(session, batch)
        deleted += _delete(store, found)
    return deleted


def sweep_imports(store: Storage, now: datetime) -> int:
    """Delete lists that were uploaded to be imported and left lying."""
    return sum(_delete(store, batch) for batch in _batches(_past_grace(store, "imports/", now)))


def sweep_looks(store: Storage, now: datetime) -> int:
    """Delete packs that neither an upload, a cut nor a waiting order names, and photos that were
    made into packs or could not be."""
    deleted = 0
    for batch in _batches(_past_grace(store, packs.PREFIX, now)):
        with transaction() as session:
            found = look_uploads.unneeded(session, batch)
        deleted += _delete(store, found)
    return deleted


def sweep_overlays(store: Storage, now: datetime) -> int:
    """Delete pictures of packs that neither an upload nor a cut has; those of the house's stay."""
    deleted = 0
    for batch in _batches(_past_grace(store, OVERLAY_PREFIX, now)):
        drawn = {key: of for key in batch if (of := overlay_of(key)) is not None}
        with transaction() as session:
            found = look_uploads.unshown(session, drawn)
        deleted += _delete(store, found)
    return deleted


def prune(now: datetime) -> int:
    """Delete old orders in small transactions; their objects are doomed."""
    days = settings().retention_days
    if days is None:
        return 0
    before = now - timedelta(days=days)
    deleted = 0
    for _ in range(PRUNE_BATCHES_MAX):
        with transaction() as session:
            batch = retention.old_orders(session, before)
            history.lock_pictures(session, batch)
            for id in batch:
                history.delete(session, id)
        deleted += len(batch)
        if not batch:
            break
    return deleted


def _past_grace(store: Storage, prefix: str, now: datetime) -> Iterator[Stored]:
    return (object for object in store.list(prefix) if object.modified_at < now - GRACE)


def _batches(objects: Iterator[Stored]) -> Iterator[list[str]]:
    while batch := [object.key for object in islice(objects, BATCH)]:
        yield batch


def _claim_in(key: str) -> UUID | None:
    """The claim in `renders/<job>/<claim>/<file>`; None for a key that is not ours to judge."""
    try:
        _, _, claim, _ = key.split("/")
        return UUID(claim)
    except ValueError:
        return None


def _delete(store: Storage, keys: list[str]) -> int:
    for key in keys:
        store.delete(key)
        log.info("deleted", extra={"key": key})
    return len(keys)


if __name__ == "__main__":
    main()
