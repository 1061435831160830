"""Looks: what a cut's pack holds, seen as overlays; which ones are on the sales floor; a trial."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Path, Request, Response

from api.auth import PLACE_ORDERS, READ_CATALOGUE, WRITE_CATALOGUE, Needs, Principal
from api.deps import Transaction
from api.pages.console import HOME, back, page
from models import catalogue, generations
from models.catalogue import OVERLAYS, Look, overlay_key
from models.storage import storage

PAGE = f"{HOME}/catalogue/looks"
Reader = Annotated[Principal, Depends(Needs(READ_CATALOGUE))]
Editor = Annotated[Principal, Depends(Needs(WRITE_CATALOGUE))]
Orderer = Annotated[Principal, Depends(Needs(PLACE_ORDERS))]
Cut = Annotated[str, Path(max_length=100)]

router = APIRouter(prefix=PAGE, include_in_schema=False)


@router.get("")
def list_looks(reader: Reader, request: Request, session: Transaction) -> Response:
    found = catalogue.looks(session)
    return page(
        "looks",
        request,
        reader,
        looks=[(look, _overlays(look)) for look in found],
        families=catalogue.shop_families(session),
        may_edit=reader.may(WRITE_CATALOGUE),
        may_order=reader.may(PLACE_ORDERS),
    )


@router.post("/{cut}/status")
def set_status(
    editor: Editor,
    cut: Cut,
    session: Transaction,
    status: Annotated[Literal["active", "inactive"], Form()],
) -> Response:
    catalogue.set_look_status(session, cut, status)
    return back(PAGE, f"look-{status}")


@router.post("/{cut}/try")
def try_on(
    orderer: Orderer,
    cut: Cut,
    session: Transaction,
    color_id: Annotated[str, Form(max_length=100)],
) -> Response:
    """A draft of this cut in some cloth."""
    order = generations.Order(color_id, [cut], orderer.owner, quality="preview")
    return back(f"{HOME}/orders/{generations.place(session, order)}", "look-try")


def _overlays(look: Look) -> list[tuple[str, str]]:
    """(layer, key) of each that a worker has drawn."""
    beginning = overlay_key(look.pack, look.pack_version, "")
    stored = {found.key for found in storage().list(beginning)}
    keys = [(layer, overlay_key(look.pack, look.pack_version, layer)) for layer in OVERLAYS]
    return [(layer, key) for layer, key in keys if key in stored]
