"""How the pages' templates are read: each room's own, over the document that all of them are."""

from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api import thumbnails
from api.files import link
from api.language import others
from api.pages import spoken
from api.pages.bundle import BUNDLE, Bundle

TEMPLATES = Path(__file__).parent / "templates"
FILTERS = {
    "ago": spoken.ago,
    "day": spoken.day,
    "duration": spoken.duration,
    "iso": spoken.iso,
    "moment": spoken.moment,
    "number": spoken.number,
    "shown": spoken.shown,
}


def environment(room: str, bundle: Bundle, **own: Any) -> Environment:
    """The templates in the folder `room` ("": the sales floor's), with that room's files and what
    else is its own. A name that nobody gave a value is an error, never an empty place."""
    made = Environment(
        loader=FileSystemLoader([TEMPLATES / room, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= FILTERS
    made.globals |= {
        "house": BUNDLE,
        "bundle": bundle,
        "languages": others,
        "link": partial(link, ""),  # a page and its pictures have one origin
        "small": lambda image: thumbnails.url(image.image_id),
    } | own
    return made
