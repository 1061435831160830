"""What the API must know of the engines without importing one. Workers check that it is true."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EngineFacts:
    """`version` and `seeded` go into the fingerprint; `expected_seconds` spaces an owner's turns
    until there are measured times."""

    version: str
    seeded: bool  # the noise seed changes the picture
    expected_seconds: float
    has_recipe: bool = False  # settings shape the picture: see Settings.photoreal_recipe


ENGINES = {
    "drape": EngineFacts(version="3", seeded=False, expected_seconds=0.1),
    "mock": EngineFacts(version="1", seeded=True, expected_seconds=0.1),
    "sdxl_inpaint": EngineFacts("2", seeded=True, expected_seconds=10.0, has_recipe=True),
    "sdxl_full": EngineFacts("2", seeded=True, expected_seconds=20.0, has_recipe=True),
}
