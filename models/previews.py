"""Previews: where a slow picture can be seen while it is made. Objects without a row.

They lie beside the picture that their claim will publish, so they end with it: once the claim is
dead nobody is led to them, and `python -m worker.sweep` deletes them like any other orphan.
"""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.errors import NotFound

# Index jobs_generation. A job that nobody holds has no claim, and so no preview.
FINAL = text("""
SELECT id, claim FROM jobs
 WHERE generation_id = :generation_id AND cut = :cut AND stage = 'final'
""")


def prefix(job_id: UUID, claim: UUID) -> str:
    """What the keys of this claim's previews start with; a one-digit number and .jpg follow."""
    return f"renders/{job_id}/{claim}/preview-"


def prefix_of(session: Session, generation_id: UUID, cut: str) -> str | None:
    """The same for the cut of an order; None while nobody is painting it. Raises NotFound for a cut
    that has no final picture to come."""
    asked = {"generation_id": generation_id, "cut": cut}
    final = session.execute(FINAL, asked).one_or_none()
    if final is None:
        raise NotFound("No existe ese pedido.")
    return None if final.claim is None else prefix(final.id, final.claim)
