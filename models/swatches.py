"""Swatches that clients uploaded: photographs of cloth, kept for a while, orderable until then."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, func, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, CreatedAt, UuidKey, uuid7
from models.errors import InvalidInput, NotFound
from models.profiles import PROFILE_CHECK, Profiled, SwatchLetter
from models.settings import settings

GONE = "Esa muestra ya no está disponible; vuelve a subir la foto."


class Swatch(Profiled, Base):
    """One uploaded photo, re-encoded by us. The object key is unguessable and ours."""

    __tablename__ = "swatches"
    __table_args__ = (
        CheckConstraint("width_px > 0 AND height_px > 0", name="size"),
        CheckConstraint("width_mm > 0", name="width_mm"),
        CheckConstraint(PROFILE_CHECK.format(swatch="object_key"), name="profile"),
    )

    id: Mapped[UuidKey]
    object_key: Mapped[str] = mapped_column(unique=True)
    sha256: Mapped[str]
    width_px: Mapped[int]
    height_px: Mapped[int]
    width_mm: Mapped[float | None]  # how wide the photo is in the cloth; None: not known
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime]

    @property
    def swatch_letter(self) -> SwatchLetter:
        return SwatchLetter(
            swatch_key=self.object_key,
            swatch_sha256=self.sha256,
            swatch_kind="photo",
            swatch_width_mm=self.width_mm,
        )


def add(
    session: Session,
    object_key: str,
    sha256: str,
    size_px: tuple[int, int],
    width_mm: float | None,
) -> Swatch:
    """Remember an uploaded swatch; it can be ordered for SWATCH_HOURS."""
    swatch = Swatch(
        id=uuid7(),
        object_key=object_key,
        sha256=sha256,
        width_px=size_px[0],
        height_px=size_px[1],
        width_mm=width_mm,
        expires_at=func.now() + text(f"interval '{settings().swatch_hours} hours'"),
    )
    session.add(swatch)
    session.flush()
    session.refresh(swatch)
    return swatch


def uploaded(session: Session, id: UUID) -> Swatch:
    """Raises InvalidInput when it is unknown. It may have expired: see `refuse_expired`."""
    swatch = session.get(Swatch, id)
    if swatch is None:
        raise InvalidInput(GONE, "swatch_id")
    return swatch


def read(session: Session, id: UUID) -> Swatch:
    """An upload that may have expired. Raises NotFound."""
    swatch = session.get(Swatch, id)
    if swatch is None:
        raise NotFound(GONE)
    return swatch


def refuse_expired(session: Session, swatch: Swatch) -> None:
    """Raises InvalidInput when it can no longer be ordered."""
    _fresh(session, Swatch.id == swatch.id, "swatch_id")


def orderable_by_key(session: Session, object_key: str) -> Swatch:
    """Raises InvalidInput when it is unknown or expired."""
    return _fresh(session, Swatch.object_key == object_key, "swatch_url")


def _fresh(session: Session, which: ColumnElement[bool], field: str) -> Swatch:
    query = select(Swatch).where(which, Swatch.expires_at > func.now())
    swatch = session.scalar(query)
    if swatch is None:
        raise InvalidInput(GONE, field)
    return swatch
