"""The letter in a job row: everything a worker needs to render one cut, written when it is ordered.

The worker reads no catalogue and fetches no URL: names, versions, storage keys and hashes only.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

NOISE_SEED_MAX = 2**32 - 1


class Letter(BaseModel):
    """One cut of one order. Pixels in px, cloth in millimetres, hashes as lower-case hex."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cut: str
    look: str = Field(description="name of the look pack, a folder of assets/looks")
    look_version: str
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
