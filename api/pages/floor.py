"""The sales floor: one page. An associate picks a cloth and a cut, and the client sees the suit.

The page carries the catalogue; everything after that goes through the JSON API (see static/).
"""

import gzip
import tomllib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api.auth import Asking
from api.deps import Transaction
from api.files import link
from api.pages import bundle
from api.pages.console import SIGN_IN
from models import catalogue
from models.catalogue import FabricFamily, Look
from models.settings import settings

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
def floor(request: Request, transaction: Transaction, asking: Asking) -> Response:
    if asking is None and not settings().shop_is_open:
        return RedirectResponse(f"{SIGN_IN}?next=/", 303)
    families = catalogue.shop_families(transaction)
    looks = catalogue.active_looks(transaction)
    headers = {"Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}
    page = html(families, looks).encode()
    if "gzip" in request.headers.get("accept-encoding", ""):
        page, headers["Content-Encoding"] = gzip.compress(page, compresslevel=6), "gzip"
    return HTMLResponse(page, headers=headers)


def html(families: Sequence[FabricFamily], looks: Sequence[Look]) -> str:
    """The whole page for this catalogue."""
    return TEMPLATES.get_template("floor.html").render(
        families=families,
        looks=looks,
        t=STRINGS["page"],
        js=STRINGS["js"],
        bundle=bundle.BUNDLE,
        link=partial(link, ""),  # the page and its pictures have one origin
    )
