"""Previews: where a slow picture can be seen while it is made. Objects without a row.

They lie beside the picture that their claim will publish, so they end with it: once the claim is
dead nobody is led to them, and `python -m worker.sweep` deletes them like any other orphan.
"""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

# Index jobs_generation. A job that nobody holds has no claim, and so no preview.
HELD = text("""
SELECT id, claim FROM jobs
 WHERE generation_id = :generation_id AND cut = :cut AND stage = 'final' AND claim IS NOT NULL
""")


def prefix(job_id: UUID, claim: UUID) -> str:
    """What the keys of this claim's previews start with; a one-digit number and .jpg follow."""
    return f"renders/{job_id}/{claim}/preview-"


def prefix_of(session: Session, generation_id: UUID, cut: str) -> str | None:
    """The same for the cut of an order that is being painted now; None when it is not."""
    asked = {"generation_id": generation_id, "cut": cut}
    held = session.execute(HELD, asked).one_or_none()
    return None if held is None else prefix(held.id, held.claim)
