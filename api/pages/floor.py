"""The sales floor: one page. An associate picks a cloth and a cut, and the client sees the suit.

The page carries the catalogue; everything after that goes through the JSON API (see static/).
"""

import gzip
from collections.abc import Sequence
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from api import kept
from api.auth import Asking
from api.deps import Transaction
from api.language import Sentences, current
from api.pages import bundle, facets
from api.pages.console import SIGN_IN
from api.pages.environment import environment
from models import catalogue
from models.catalogue import WORN, FabricFamily, Look, overlay_key
from models.settings import settings

STRINGS = Sentences("strings")
TEMPLATES = environment("", bundle.BUNDLE)
TEMPLATES.filters |= {"colour": facets.colour_of, "season": facets.season_of}

VARY = "Accept-Encoding, Accept-Language, Cookie"

router = APIRouter(include_in_schema=False)
router.include_router(bundle.router)


@router.get("/", response_class=HTMLResponse)
def floor(request: Request, transaction: Transaction, asking: Asking) -> Response:
    if asking is None and not settings().shop_is_open:
        return RedirectResponse(f"{SIGN_IN}?next=/", 303)
    packed = "gzip" in request.headers.get("accept-encoding", "")

    def make() -> bytes:
        families = catalogue.shop_families(transaction)
        page = html(families, catalogue.active_looks(transaction)).encode()
        return gzip.compress(page, compresslevel=6) if packed else page

    encoding = {"Content-Encoding": "gzip"} if packed else {}
    headers = {"Vary": VARY, "Content-Type": "text/html; charset=utf-8"} | encoding
    depends = ("floor", current(), bundle.BUNDLE.version, str(packed))
    return kept.answer(request, transaction, depends, make, headers)


@router.get("/g/{id}")
def order(id: UUID) -> RedirectResponse:
    """An order's own address, to be opened on another device."""
    return RedirectResponse(f"/?orden={id}", 303)


def html(families: Sequence[FabricFamily], looks: Sequence[Look]) -> str:
    """The whole page for this catalogue."""
    return TEMPLATES.get_template("floor.html").render(
        families=families,
        looks=looks,
        t=STRINGS["page"],
        js=STRINGS["js"],
        family_name=family_name,
        cut_name=cut_name,
        worn_key=worn_key,
        facets=facets.offered(families),
        facet_colours=facets.COLOURS,
    )


def family_name(family: FabricFamily) -> str:
    """As this language calls it; else as the catalogue does."""
    names: dict[str, str] = STRINGS["catalogue"]["family"]
    return names.get(family.family_id, family.display_name)


def worn_key(look: Look) -> str:
    """The picture of a cut that was uploaded; those of the house lie among the page's own files."""
    return overlay_key(look.pack, look.pack_version, WORN)


def cut_name(look: Look) -> str:
    names: dict[str, str] = STRINGS["catalogue"]["cut"]
    return names.get(look.cut, look.name)
