"""Tags of fabrics: words of the house's own, "nuevo", "temporada", by which its staff finds cloths.

In lower case, with their accents, each once and in order. No comma is part of one: commas part
them in a form, in a cell of a list, and in an address.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from models import catalogue
from models.catalogue import Fabric, Outcome
from models.errors import InvalidInput

TAG_MAX_CHARACTERS = 30
TAGS_MOST = 12  # of one fabric
BETWEEN = re.compile("[,;\n]")
IN_USE = text("SELECT DISTINCT unnest(tags) AS tag FROM fabrics ORDER BY tag")


def read(words: str) -> list[str]:
    """The tags in a line that somebody typed. Raises InvalidInput."""
    return normalised(BETWEEN.split(words))


def normalised(words: Iterable[str]) -> list[str]:
    """Raises InvalidInput for a tag that is too long or is no plain text, and for too many."""
    found = sorted({tag for word in words if (tag := _tidy(word))})
    if len(found) > TAGS_MOST:
        raise InvalidInput(f"Son demasiadas etiquetas; el máximo son {TAGS_MOST}.", "tags")
    return found


def _tidy(word: str) -> str:
    tag = " ".join(unicodedata.normalize("NFC", word.lower()).split())
    if len(tag) > TAG_MAX_CHARACTERS:
        raise InvalidInput(f"Una etiqueta lleva hasta {TAG_MAX_CHARACTERS} letras.", "tags")
    if BETWEEN.search(tag) or not tag.isprintable():
        raise InvalidInput("Una etiqueta lleva letras y números, sin comas.", "tags")
    return tag


def in_use(session: Session) -> Sequence[str]:
    return session.scalars(IN_USE).all()


def put(session: Session, ids: Sequence[int], tags: Sequence[str]) -> list[Outcome]:
    """Give these tags to these fabrics. Raises InvalidInput, in the name of the fabric that would
    have too many, and then none has them."""

    def with_these(fabric: Fabric) -> dict[str, list[str]]:
        together = sorted({*fabric.tags, *tags})
        if len(together) > TAGS_MOST:
            raise InvalidInput(f"«{fabric.name}» tendría más de {TAGS_MOST} etiquetas.", "tags")
        return {"tags": together}

    return catalogue.change_each(session, ids, with_these)


def take(session: Session, ids: Sequence[int], tags: Sequence[str]) -> list[Outcome]:
    """Take these tags from these fabrics."""
    return catalogue.change_each(
        session, ids, lambda fabric: {"tags": [tag for tag in fabric.tags if tag not in tags]}
    )
