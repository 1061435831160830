"""The gallery: every picture that was made, newest first; and two to four of them side by side."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse

from api.auth import MANAGE_CLIENTS, READ_ORDERS, Principal, ShopNeeds
from api.deps import Transaction
from api.errors import told_by
from api.pages import floor, spoken
from api.pages.console import to_sign_in, url_with
from models import gallery
from models.gallery import COMPARED_MOST, Wanted
from models.views import GenerationView

HOME = "/gallery"
ORDERS_ON_A_PAGE = 24
Text = Annotated[str, Query(max_length=100)]
Day = Annotated[str, Query(max_length=10)]

Reader = Annotated[Principal, Depends(ShopNeeds(READ_ORDERS))]

router = APIRouter(prefix=HOME, include_in_schema=False)


@dataclass(frozen=True)
class Picture:
    """One picture of an order, with what stands under it."""

    order: GenerationView
    cut: str
    image: Any  # the row of the images table
    starred: bool

    @property
    def truth(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.image.recipe.get("truth")
        return found


@router.get("")
def list_pictures(
    reader: Reader,
    request: Request,
    session: Transaction,
    q: Text = "",
    since: Day = "",
    until: Day = "",
    starred: Annotated[str, Query(max_length=2)] = "",
    client: Text = "",
    before: Annotated[str, Query(max_length=36)] = "",
) -> Response:
    """Whose book a picture is in is told to those only who keep the book."""
    if client:
        reader.need(MANAGE_CLIENTS)
    days, book = (_date(since), _date(until)), client.strip()
    wanted = Wanted(q.strip(), *days, bool(starred), book, _uuid(before))
    orders = gallery.made(session, wanted, ORDERS_ON_A_PAGE + 1)
    pictures = _pictures(session, orders[:ORDERS_ON_A_PAGE])
    if wanted.starred:
        pictures = [picture for picture in pictures if picture.starred]
    return page(
        "gallery",
        request,
        pictures=pictures,
        older=orders[ORDERS_ON_A_PAGE - 1].id if len(orders) > ORDERS_ON_A_PAGE else None,
        wanted=wanted,
        filtered=any((q, *days, wanted.starred, client)),
        keeps_clients=reader.may(MANAGE_CLIENTS),
        most=COMPARED_MOST,
    )


@router.get("/compare")
def compare(
    reader: Reader,
    request: Request,
    session: Transaction,
    image: Annotated[list[str], Query(max_length=100)] = [],  # noqa: B006 (pydantic copies it)
) -> Response:
    """The pictures that the address names, in its order; what is gone is left out."""
    ids = [id for id in dict.fromkeys(map(_uuid, image)) if id is not None][:COMPARED_MOST]
    known = {p.image.image_id: p for p in _pictures(session, gallery.of_images(session, ids))}
    pictures = [known[id] for id in ids if id in known]
    orders = [picture.order for picture in pictures if not picture.order.uploaded_swatch]
    cloths = gallery.cloths(session, {order.color_id for order in orders})
    facts = {order.id: cloths.get(order.color_id) for order in orders}
    return page("compare", request, pictures=pictures, facts=facts)


def page(name: str, request: Request, status: int = 200, **values: Any) -> HTMLResponse:
    """A page of the sales floor that is made anew for each request."""
    html = floor.TEMPLATES.get_template(f"{name}.html").render(
        t=floor.STRINGS["page"],
        js=floor.STRINGS["js"],
        home=HOME,
        path=request.url.path,
        spoken=spoken,
        cut_name=_cut_name,
        url_with=partial(url_with, request),
        **values,
    )
    return HTMLResponse(html, status, {"Cache-Control": "private, no-store"})


def _pictures(session: Transaction, orders: Sequence[GenerationView]) -> list[Picture]:
    """The best picture of each cut, in the order in which they were asked for."""
    jobs = [(order, job) for order in orders for job in order.best]
    images = [job.image for _, job in jobs if job.image is not None]
    starred = gallery.starred(session, [image.image_id for image in images])
    return [
        Picture(order, _cut_name(job.cut, job.cut_name), job.image, job.image.image_id in starred)
        for order, job in jobs
        if job.image is not None
    ]


def _cut_name(cut: str, name: str) -> str:
    names: dict[str, str] = floor.STRINGS["catalogue"]["cut"]
    return names.get(cut, name)


def _date(words: str) -> date | None:
    """What a browser's date field sends; None for anything else."""
    with suppress(ValueError):
        return date.fromisoformat(words)
    return None


def _uuid(words: str) -> UUID | None:
    with suppress(ValueError):
        return UUID(words)
    return None


def _tell(request: Request, status: int, message: str) -> Response:
    """A refusal as a page; who is not signed in is sent to sign in and comes back."""
    if status == 401:
        return to_sign_in(request, HOME)
    return page("gallery_problem", request, status, message=message)


told_by[HOME] = _tell
