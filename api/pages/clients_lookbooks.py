"""A lookbook's pages for the stylist: its looks in their order, its links, and a sheet to print.

The form holds the whole lookbook; each of its buttons saves all of it, so that nothing typed is
lost, with JavaScript or without.
"""

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response

from api.auth import Principal
from api.clients import Keeper
from api.deps import NEVER_CACHED, BaseUrl, Transaction, transaction_of
from api.lookbooks import url_of
from api.pages.clients import BOOK, LOOKBOOKS, STRINGS, Version, Words, back, names_of, page
from models import clients, lookbooks
from models.database import Session
from models.errors import Conflict, InvalidInput, StylistError
from models.lookbooks import LOOKS_MAX, Chosen, Link, Lookbook
from models.views import CutView, GenerationView

ON_A_SHEET = 6
DAYS = (7, 14, 30, 90)
Texts = Annotated[list[str], Form(max_length=LOOKS_MAX + 1)]

router = APIRouter(prefix=LOOKBOOKS, include_in_schema=False, dependencies=[NEVER_CACHED])


@router.get("/{id}")
def edit(
    keeper: Keeper, request: Request, session: Transaction, base: BaseUrl, id: UUID
) -> Response:
    return _editor(keeper, request, session, base, id)


@router.post("/{id}")
def save(
    keeper: Keeper,
    request: Request,
    base: BaseUrl,
    id: UUID,
    version: Version,
    title: Words,
    looks: Texts = [],  # noqa: B006 (FastAPI copies it)
    notes: Texts = [],  # noqa: B006
    do: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """`do` is the button: "up 2", "remove 0", "put <look>"; a look is "<order>/<cut>"."""
    chosen = [_chosen(look, note) for look, note in zip(looks, notes, strict=False)]
    try:
        with transaction_of(request) as session:
            lookbooks.update(session, id, version, title, _after(chosen, do))
    except (InvalidInput, Conflict) as error:
        with transaction_of(request) as session:
            return _editor(keeper, request, session, base, id, title, chosen, error)
    return back(f"{LOOKBOOKS}/{id}#looks", "lookbook-save")


@router.post("/{id}/delete")
def delete(keeper: Keeper, session: Transaction, id: UUID) -> Response:
    client_id = lookbooks.find(session, id).client_id
    lookbooks.delete(session, id)
    return back(f"{BOOK}/{client_id}", "lookbook-delete")


@router.post("/{id}/shares")
def share(
    keeper: Keeper, session: Transaction, id: UUID, days: Annotated[int, Form()] = 14
) -> Response:
    lookbooks.share(session, id, days, keeper.owner)
    return back(f"{LOOKBOOKS}/{id}#share", "share-make")


@router.post("/{id}/shares/{share_id}/revoke")
def revoke(keeper: Keeper, session: Transaction, id: UUID, share_id: UUID) -> Response:
    lookbooks.revoke(session, id, share_id)
    return back(f"{LOOKBOOKS}/{id}#share", "share-revoke")


@router.get("/{id}/print")
def sheet(
    keeper: Keeper, request: Request, session: Transaction, base: BaseUrl, id: UUID
) -> Response:
    """One page of A4, with the newest link's QR code if one works."""
    book = lookbooks.find(session, id)
    shown = [found for found in lookbooks.pages(session, id) if found.job]
    links = [link for link in lookbooks.links(session, id) if link.is_open]
    return page(
        "print",
        request,
        keeper,
        lookbook=book,
        looks=shown[:ON_A_SHEET],
        more=len(shown) > ON_A_SHEET,
        most=ON_A_SHEET,
        share=links[0] if links else None,
        made_by=names_of(session).get(book.created_by, ""),
    )


# --- the editor -----------------------------------------------------------------------------------


def _editor(
    keeper: Principal,
    request: Request,
    session: Session,
    base: str,
    id: UUID,
    title: str | None = None,
    typed: Sequence[Chosen] = (),
    error: StylistError | None = None,
) -> Response:
    """What was typed and refused is shown again, on the lookbook as it is now."""
    book = lookbooks.find(session, id)
    shown = lookbooks.pages(session, id)
    links = lookbooks.links(session, id)
    return page(
        "lookbook",
        request,
        keeper,
        error,
        lookbook=book,
        client=clients.find(session, book.client_id),
        title=book.title if title is None else title,
        looks=shown,
        notes={f"{c.generation_id}/{c.cut}": c.note for c in typed},
        others=_others(session, book, {(look.order.id, look.cut) for look in shown}),
        links=[(link, _told(base, book, link)) for link in links if link.is_open],
        past=[link for link in links if not link.is_open],
        days=DAYS,
    )


def _others(
    session: Session, book: Lookbook, chosen: set[tuple[UUID, str]]
) -> list[tuple[GenerationView, CutView]]:
    """The client's pictures that are not in the lookbook."""
    orders = [look.order for look in clients.looks(session, book.client_id)]
    pictures = [(order, job) for order in orders for job in order.best]
    return [(order, job) for order, job in pictures if (order.id, job.cut) not in chosen]


def _told(base: str, book: Lookbook, link: Link) -> dict[str, Any]:
    """The link, and the address that has WhatsApp write it; nothing is sent by us."""
    url = url_of(base, link)
    words = STRINGS["share"]["whatsapp_text"].format(title=book.title, url=url)
    return {"url": url, "whatsapp": f"https://wa.me/?{urlencode({'text': words})}"}


# --- what a button does ---------------------------------------------------------------------------


def _chosen(look: str, note: str) -> Chosen:
    """Raises InvalidInput for what is no look."""
    order, _, cut = look.partition("/")
    try:
        return Chosen(UUID(order), cut, note)
    except ValueError:
        raise InvalidInput("Ese traje no está en el libro del cliente.", "looks") from None


def _after(chosen: Sequence[Chosen], do: str) -> list[Chosen]:
    """The looks after this button; one that is none changes nothing."""
    verb, _, what = do.partition(" ")
    looks = list(chosen)
    if verb == "put":
        return [*looks, _chosen(what, "")]
    at = int(what) if what.isascii() and what.isdecimal() and len(what) < 4 else len(looks)
    if at >= len(looks):
        return looks
    look = looks.pop(at)
    if verb != "remove":
        looks.insert({"up": max(at - 1, 0), "down": at + 1}.get(verb, at), look)
    return looks
