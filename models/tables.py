"""Every table in one place: importing this module registers all rows with the metadata."""

from models import accounts, catalogue, generations, limits, queue, swatches, workers
from models.base import Base

__all__ = [
    "accounts",
    "catalogue",
    "generations",
    "limits",
    "metadata",
    "queue",
    "swatches",
    "workers",
]

metadata = Base.metadata
