"""The letter in a job row: everything a worker needs to render one cut, written when it is ordered.

The worker reads no catalogue and fetches no URL: names, versions, storage keys and hashes only.
"""

from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

NOISE_SEED_MAX = 2**32 - 1
STORED_LOOK = ("look_key", "look_sha256")


class Letter(BaseModel):
    """One cut of one order. Pixels in px, cloth in millimetres, hashes as lower-case hex."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cut: str
    look: str = Field(description="name of the look pack, a folder of assets/looks")
    look_version: str
    look_key: str | None = Field(
        default=None, description="storage key of an uploaded pack; None: one of assets/looks"
    )
    look_sha256: str | None = None
    width_px: int
    height_px: int
    stage: Literal["draft", "final"]
    fabric_hex: str = Field(description="#RRGGBB; the cloth when there is no swatch")
    swatch_key: str | None = Field(default=None, description="storage key of the swatch's bytes")
    swatch_sha256: str | None = None
    swatch_kind: Literal["tile", "photo"] | None = Field(
        default=None, description="tile: repeats seamlessly; photo: a flat photograph of cloth"
    )
    swatch_width_mm: float | None = Field(
        default=None, description="how wide the swatch is in the cloth; None: unknown, assumed"
    )
    noise_seed: int = Field(ge=0, le=NOISE_SEED_MAX)

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A look of the house has no place in the store: its letters are as they always were, for
        workers that know no other, and for fingerprints."""
        fields: dict[str, Any] = write(self)
        kept = self.look_key is not None
        return {name: value for name, value in fields.items() if kept or name not in STORED_LOOK}
