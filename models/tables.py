"""Every table in one place: importing this module registers all rows with the metadata."""

from models import (
    accounts,
    audit,
    catalogue,
    clients,
    doomed,
    gallery,
    generations,
    images,
    limits,
    look_uploads,
    lookbooks,
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
    "clients",
    "doomed",
    "gallery",
    "generations",
    "images",
    "limits",
    "look_uploads",
    "lookbooks",
    "metadata",
    "queue",
    "sessions",
    "swatches",
    "workers",
]

metadata = Base.metadata
