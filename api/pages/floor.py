"""The sales floor: one page where an associate picks a cloth and a cut and the client sees the suit.

The page carries the catalogue; everything after that goes through the JSON API (see static/).
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api.deps import Transaction
from api.pages import bundle
from models import catalogue

HERE = Path(__file__).parent
STRINGS: dict[str, Any] = tomllib.loads((HERE / "strings_es.toml").read_text(encoding="utf-8"))
TEMPLATES = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

router = APIRouter(include_in_schema=False)
router.include_router(bundle.router)


@router.get("/", response_class=HTMLResponse)
def floor(transaction: Transaction) -> HTMLResponse:
    families = catalogue.shop_families(transaction)
    looks = catalogue.active_looks(transaction)
    return HTMLResponse(html(families, looks), headers={"Cache-Control": "private, no-cache"})


def html(families: Sequence[Any], looks: Sequence[Any]) -> str:
    """The page for this catalogue; families and looks as `models.catalogue` returns them."""
    return TEMPLATES.get_template("floor.html").render(
        families=families, looks=looks, t=STRINGS["page"], js=STRINGS["js"], bundle=bundle.BUNDLE
    )
