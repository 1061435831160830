"""Images: the published pictures. The bytes are in storage, under the row's object key."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, CreatedAt, UuidKey


class Image(Base):
    """One published picture. Written by queue.complete, together with the job that it completes;
    jobs with the same fingerprint share it, and it lives as long as one of them."""

    __tablename__ = "images"
    __table_args__ = (
        CheckConstraint("width_px > 0 AND height_px > 0 AND size_bytes > 0", name="size"),
        CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256"),
        Index(None, "fingerprint"),
    )

    id: Mapped[UuidKey]
    fingerprint: Mapped[str]
    made_by: Mapped[UUID]  # the claim that made it: it is part of the object key
    object_key: Mapped[str] = mapped_column(unique=True)
    content_type: Mapped[str]
    size_bytes: Mapped[int]
    sha256: Mapped[str]
    width_px: Mapped[int]
    height_px: Mapped[int]
    noise_seed: Mapped[int]
    engine: Mapped[str]
    engine_version: Mapped[str]
    recipe: Mapped[dict[str, Any]]
    degraded: Mapped[list[str]]
    timings_ms: Mapped[dict[str, Any]]
    watermarked: Mapped[bool]
    created_at: Mapped[CreatedAt]
