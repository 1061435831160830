"""What goes over the wire. The older paths' shapes are kept to the letter; /api/v1 has its own."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from models.errors import InvalidInput
from models.generations import Quality
from models.letter import NOISE_SEED_MAX
from models.profiles import Profile, Reading
from models.tags import TAG_MAX_CHARACTERS, TAGS_MOST, normalised

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]
Hex = Annotated[str, Field(pattern=r"^#[0-9A-Fa-f]{6}$"), AfterValidator(str.upper)]
Pattern = Literal["plain", "stripe", "check", "texture"]
WidthMm = Annotated[float, Field(ge=5, le=3000)]  # of cloth, that a swatch shows
WeightGsm = Annotated[int, Field(ge=1, le=5000)]
BIGINT_MAX = 2**63 - 1
RowId = Annotated[int, Field(ge=0, le=BIGINT_MAX)]
RowKey = Annotated[int, Path(ge=0, le=BIGINT_MAX)]
RowStatus = Literal["active", "inactive"]
OldStatus = Literal["pending", "processing", "completed", "failed"]
Status = Literal["pending", "processing", "completed", "failed", "canceled", "expired"]
Seed = Annotated[int, Field(ge=0, le=NOISE_SEED_MAX)]
Cuts = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=16)]


def _without_controls(text: str) -> str:
    """Raises ValueError."""
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("control characters")
    return text


def _as_tags(words: list[str]) -> list[str]:
    """Raises ValueError."""
    try:
        return normalised(words)
    except InvalidInput as error:
        raise ValueError(str(error)) from error


OneLine = AfterValidator(_without_controls)
Text = Annotated[str, Field(max_length=200), OneLine]
LineName = Annotated[Name, OneLine]
Tags = Annotated[
    list[Annotated[str, Field(max_length=TAG_MAX_CHARACTERS)]],
    Field(max_length=TAGS_MOST),
    AfterValidator(_as_tags),
]
SwatchCode = Annotated[str, Field(max_length=100), OneLine]


class ErrorRead(BaseModel):
    code: str
    detail: str


class ProfileTold(BaseModel):
    """What a swatch shows: null until a worker has read it; or why it could not."""

    profile: Profile | None
    profile_error: ErrorRead | None


def told_of(reading: Reading) -> dict[str, Any]:
    """The fields of ProfileTold."""
    failure = reading.failure
    error = None if failure is None else ErrorRead(code=failure.code, detail=failure.detail)
    return {"profile": reading.profile, "profile_error": error}


class Strict(BaseModel):
    """A body that refuses fields it does not know."""

    model_config = ConfigDict(extra="forbid")

    def changes(self, *nullable: str, but: tuple[str, ...] = ()) -> dict[str, Any]:
        """The fields that were sent, without `but`. A null says "leave it", save where it is itself
        a value of that field."""
        sent = self.model_dump(exclude_unset=True, exclude=set(but))
        return {name: sent[name] for name in sent if sent[name] is not None or name in nullable}


# --- the shop's older paths -----------------------------------------------------------------------


class CatalogColor(BaseModel):
    color_id: str
    name: str
    hex: str
    swatch_url: str | None


class CatalogFamily(BaseModel):
    family_id: str
    display_name: str
    lora_id: str | None
    default_recipe: str | None
    status: RowStatus
    sort: int
    colors: list[CatalogColor]


class Catalog(BaseModel):
    families: list[CatalogFamily]


class GenerateRequest(BaseModel):
    family_id: Annotated[str, Field(max_length=100)]
    color_id: Annotated[str, Field(max_length=100)]
    cuts: Cuts = ["recto", "cruzado"]
    seed: Seed | None = None
    quality: Literal["preview", "final"] = "final"
    swatch_url: str | None = Field(default=None, max_length=2000)


class JobImage(BaseModel):
    cut: str
    url: str
    width: int
    height: int
    watermark: bool
    meta: dict[str, str]


class JobResponse(BaseModel):
    request_id: UUID
    status: OldStatus
    images: list[JobImage]
    duration_ms: int | None
    meta: dict[str, str]


class UploadResponse(BaseModel):
    swatch_url: str
    filename: str
    size_bytes: int


# --- the console's older paths --------------------------------------------------------------------


class ColorRead(BaseModel):
    id: int
    color_id: str
    name: str
    hex_value: str
    swatch_code: str | None
    swatch_url: str | None
    status: RowStatus
    fabric_family_id: int
    created_at: datetime
    updated_at: datetime


class FabricRead(BaseModel):
    id: int
    family_id: str
    display_name: str
    status: RowStatus
    colors: list[ColorRead]
    created_at: datetime
    updated_at: datetime


class ColorCreate(BaseModel):
    color_id: Identifier
    name: Name
    hex_value: Hex
    swatch_code: Annotated[str, Field(max_length=100)] | None = None
    swatch_url: Annotated[str, Field(max_length=2000)] | None = None
    status: RowStatus = "active"


class FabricCreate(BaseModel):
    family_id: Identifier
    display_name: Name
    status: RowStatus = "active"
    colors: list[ColorCreate] = []


class FabricPatch(Strict):
    family_id: Identifier | None = None
    display_name: Name | None = None
    status: RowStatus | None = None
    colors: list[ColorCreate] | None = None


class ColorPatch(Strict):
    color_id: Identifier | None = None
    name: Name | None = None
    hex_value: Hex | None = None
    swatch_code: Annotated[str, Field(max_length=100)] | None = None
    swatch_url: Annotated[str, Field(max_length=2000)] | None = None
    status: RowStatus | None = None
    fabric_family_id: RowId | None = None


class StatusPatch(Strict):
    status: RowStatus


class ColorMove(BaseModel):
    fabric_family_id: RowId | None = None


class GenerationJobRead(BaseModel):
    id: int
    job_id: UUID
    status: OldStatus
    family_id: str
    color_id: str
    cuts: list[str]
    seed: int | None
    result_urls: list[str] | None
    error_message: str | None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


class FamilyCount(BaseModel):
    family_id: str
    count: int


class GenerationStats(BaseModel):
    total_generations: int
    by_status: dict[OldStatus, int]
    by_family: list[FamilyCount]
    last_24_hours: int


# --- /api/v1 --------------------------------------------------------------------------------------


class GenerationCreate(Strict):
    color_id: Annotated[str, Field(max_length=100)]
    cuts: Cuts
    swatch_id: UUID | None = None
    seed: Seed | None = None
    quality: Quality = "final"


class OrderedFabric(BaseModel):
    family_id: str
    color_id: str
    name: str
    hex: str
    swatch_url: str | None
    uploaded_swatch: bool


class CutRead(BaseModel):
    cut: str
    name: str
    status: Status
    progress: int
    error: ErrorRead | None


class TruthRead(BaseModel):
    """What the worker measured on the finished picture; errors are null for a plain cloth."""

    grade: Literal["green", "amber", "red"]
    delta_e: float  # CIEDE2000, median over lit cloth
    scale_error: float | None  # share: 0.05 is 5 % too large
    angle_error: float | None  # degrees


class ImageRead(BaseModel):
    id: UUID
    cut: str
    name: str
    stage: Literal["draft", "final"]
    url: str
    width: int
    height: int
    seed: int
    engine: str
    degraded: list[str]
    truth: TruthRead | None


class QueueRead(BaseModel):
    ahead: int | None
    workers_online: int | None
    eta_seconds: float | None


class GenerationUrls(BaseModel):
    self: str
    cancel: str


class GenerationRead(BaseModel):
    id: UUID
    status: Status
    version: int
    created_at: datetime
    settled_at: datetime | None
    quality: Quality
    fabric: OrderedFabric
    cuts: list[CutRead]
    images: list[ImageRead]
    seed: int
    queue: QueueRead
    warnings: list[str]
    error: ErrorRead | None
    urls: GenerationUrls


class SwatchRead(BaseModel):
    id: UUID
    url: str
    width: int
    height: int
    width_mm: float | None
    expires_at: datetime


class SwatchProfiled(SwatchRead, ProfileTold):
    """An upload with what it shows."""
