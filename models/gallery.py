"""Everything made: orders that have a picture, newest first, and the pictures that were starred. A
picture in detail is another look at one of these, not one more."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Row, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import clients
from models.base import Base, CreatedAt
from models.errors import NotFound
from models.generations import read_many
from models.images import Image
from models.views import GenerationView

COMPARED_MOST = 4


class Star(Base):
    """A picture that somebody of the house wants to find again."""

    __tablename__ = "stars"

    image_id: Mapped[UUID] = mapped_column(
        ForeignKey("images.id", ondelete="CASCADE"), primary_key=True
    )
    starred_at: Mapped[CreatedAt]


@dataclass(frozen=True)
class Wanted:
    """What to look for: `cloth` is a part of its name or id, accents or not; days are in UTC, both
    included; `client` is what a search in the client book would find them by; `before` is the last
    order of the page before."""

    cloth: str = ""
    since: date | None = None
    until: date | None = None
    starred: bool = False
    client: str = ""
    before: UUID | None = None


FOLDED = "translate(lower({}), 'áéíóúüñ', 'aeiouun')"
LIST = text(f"""
SELECT g.id FROM generations g
 WHERE g.quality <> 'detail'
   AND EXISTS (SELECT 1 FROM jobs j LEFT JOIN stars s ON s.image_id = j.image_id
                WHERE j.generation_id = g.id AND j.image_id IS NOT NULL
                  AND (NOT :starred OR s.image_id IS NOT NULL))
   AND (CAST(:before AS uuid) IS NULL OR g.id < :before)
   AND (:cloth = '' OR strpos({FOLDED.format("g.fabric_name || ' ' || g.color_id")},
                              {FOLDED.format(":cloth")}) > 0)
   AND (:client = '' OR EXISTS (
          SELECT 1 FROM client_looks l JOIN clients c ON c.id = l.client_id
           WHERE l.generation_id = g.id AND c.folded LIKE ALL (CAST(:parts AS text[]))))
   AND (CAST(:since AS date) IS NULL OR g.created_at >= CAST(:since AS date))
   AND (CAST(:until AS date) IS NULL OR g.created_at < CAST(:until AS date) + 1)
 ORDER BY g.id DESC LIMIT :limit
""")
OF_IMAGES = text("SELECT DISTINCT generation_id FROM jobs WHERE image_id = ANY(:ids)")
CLOTHS = text(
    "SELECT color_id, swatch_code, composition, weight_g_m2 FROM fabrics WHERE color_id = ANY(:ids)"
)
STARRED = text("SELECT image_id FROM stars WHERE image_id = ANY(:ids)")


def made(session: Session, wanted: Wanted, limit: int) -> list[GenerationView]:
    """At most `limit` orders. What is ordered meanwhile neither repeats nor hides any: a page
    begins after an order, not after a number of them."""
    values = vars(wanted) | {"parts": clients.parts(wanted.client), "limit": limit}
    ids = session.scalars(LIST, values).all()
    return read_many(session, ids) if ids else []


def of_images(session: Session, ids: Sequence[UUID]) -> list[GenerationView]:
    """The orders that these pictures belong to, newest first; unknown ids are left out."""
    found = session.scalars(OF_IMAGES, {"ids": list(ids)}).all()
    return read_many(session, found) if found else []


def cloths(session: Session, color_ids: Iterable[str]) -> dict[str, Row[Any]]:
    """What the catalogue says of these cloths, as far as it still has them."""
    rows = session.execute(CLOTHS, {"ids": list(color_ids)})
    return {row.color_id: row for row in rows}


def starred(session: Session, ids: Sequence[UUID]) -> set[UUID]:
    """Those of these pictures that have a star."""
    return set(session.scalars(STARRED, {"ids": list(ids)}))


def star(session: Session, image_id: UUID) -> None:
    """Also where it has one. Raises NotFound."""
    if session.get(Image, image_id, with_for_update=True) is None:
        raise NotFound("No existe esa imagen.")
    if session.get(Star, image_id) is None:
        session.add(Star(image_id=image_id))


def unstar(session: Session, image_id: UUID) -> None:
    """Also where there is none."""
    if (found := session.get(Star, image_id)) is not None:
        session.delete(found)
