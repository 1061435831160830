"""What may be deleted: objects that nothing points at, swatches past their time, old orders.

Each statement decides and returns; the bytes are deleted by the caller (`python -m worker.sweep`).
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

PRUNE_BATCH = 100

# A dead claim never comes back: once no row points at the object and its claim is not live, nobody
# ever will. Both are tested in one statement. Index images_object_key_key and jobs_claim.
ORPHANS = text("""
SELECT key FROM unnest(CAST(:keys AS text[]), CAST(:claims AS uuid[])) AS stored (key, claim)
 WHERE NOT EXISTS (SELECT 1 FROM images WHERE object_key = stored.key)
   AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.claim = stored.claim)
""")
UNKNOWN_SWATCHES = text("""
SELECT key FROM unnest(CAST(:keys AS text[])) AS stored (key)
 WHERE NOT EXISTS (SELECT 1 FROM swatches WHERE object_key = stored.key)
""")
FORGET_SWATCHES = text("""
DELETE FROM swatches WHERE id = ANY (ARRAY(
    SELECT id FROM swatches
     WHERE expires_at < clock_timestamp() - interval '1 day'
       AND NOT EXISTS (SELECT 1 FROM jobs WHERE status = 'pending'
                                            AND letter->>'swatch_key' = swatches.object_key)
       AND NOT EXISTS (SELECT 1 FROM jobs WHERE claim IS NOT NULL
                                            AND letter->>'swatch_key' = swatches.object_key)
     LIMIT :batch))
RETURNING object_key
""")
OLD_ORDERS = text("""
SELECT g.id FROM generations g
 WHERE g.created_at < :before
   AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.generation_id = g.id
                                         AND j.status IN ('pending', 'processing'))
   AND NOT EXISTS (SELECT 1 FROM client_looks l WHERE l.generation_id = g.id)
   AND NOT EXISTS (SELECT 1 FROM jobs j JOIN stars s ON s.image_id = j.image_id
                    WHERE j.generation_id = g.id)
 ORDER BY g.id LIMIT :batch
""")


def orphans(session: Session, claim_by_key: dict[str, UUID]) -> list[str]:
    """Those keys that no image row holds and whose claim is not live."""
    values = {"keys": list(claim_by_key), "claims": list(claim_by_key.values())}
    return list(session.scalars(ORPHANS, values).all())


def unknown_swatches(session: Session, keys: list[str]) -> list[str]:
    """Those keys that no row of swatches holds."""
    return list(session.scalars(UNKNOWN_SWATCHES, {"keys": keys}).all())


def forget_swatches(session: Session) -> list[str]:
    """Delete the rows of uploads past their time that no live job needs; returns their keys."""
    return list(session.scalars(FORGET_SWATCHES, {"batch": PRUNE_BATCH}).all())


def old_orders(session: Session, before: datetime) -> list[UUID]:
    """The oldest settled orders from before then, one batch. What is in a client's book stays for
    as long as the client is in it, and what has a star for as long as it has."""
    return list(session.scalars(OLD_ORDERS, {"before": before, "batch": PRUNE_BATCH}).all())
