"""Every table in one place: importing this module registers all rows with the metadata."""

from models import (
    accounts,
    audit,
    catalogue,
    generations,
    images,
    limits,
    queue,
    sessions,
    swatches,
    workers,
)
from models.base import Base

__all__ = [
    "accounts",
    "audit",
    "catalogue",
    "generations",
    "images",
    "limits",
    "metadata",
    "queue",
    "sessions",
    "swatches",
    "workers",
]

metadata = Base.metadata
