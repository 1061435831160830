"""The client book's pages: who is in it, their looks, and what they may ask for: all of it, or
none of it kept.

Every page is a form or a list that works without JavaScript. Pages call the same functions as the
JSON API; a refusal is told on the form that it is about.
"""

from contextlib import suppress
from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse

from api.auth import READ_CATALOGUE, Principal
from api.clients import Keeper, erase_now, export_of
from api.deps import NEVER_CACHED, Transaction, transaction_of
from api.errors import status_of, told_by
from api.language import Sentences, told
from api.pages.bundle import CLIENTS_BUNDLE, CONSOLE_BUNDLE
from api.pages.console import HOME as CONSOLE
from api.pages.console import to_sign_in, url_with
from api.pages.environment import environment
from models import accounts, clients, generations, history, lookbooks
from models.catalogue import Page
from models.database import Session
from models.errors import Conflict, InvalidInput, StylistError
from models.lookbooks import Shown
from models.views import CutView

BOOK = "/clients"
LOOKBOOKS = "/lookbooks"
ON_A_PAGE = 30
TO_PICK = 48  # of the last orders
STRINGS = Sentences("clients")
FLOOR_STRINGS = Sentences("strings")  # what the cuts are called is said there


def cut_name(job: CutView | Shown) -> str:
    """A catalogue's name for its cut in the reader's language, where the house has one."""
    return str(FLOOR_STRINGS["catalogue"]["cut"].get(job.cut, job.cut_name))


TEMPLATES = environment(
    "clients",
    CLIENTS_BUNDLE,
    book=BOOK,
    lookbooks=LOOKBOOKS,
    console=CONSOLE,
    console_bundle=CONSOLE_BUNDLE,
)
TEMPLATES.filters["cut_name"] = cut_name
Words = Annotated[str, Form(max_length=5000)]
Version = Annotated[int, Form(ge=1, le=2**31)]
OrderIds = Annotated[list[UUID], Form(max_length=TO_PICK)]
NOBODY = clients.Facts("")

router = APIRouter(prefix=BOOK, include_in_schema=False, dependencies=[NEVER_CACHED])


def render(name: str, request: Request, status: int = 200, **values: Any) -> HTMLResponse:
    """A template of this room; `?said=` names the sentence about what was just done."""
    html = TEMPLATES.get_template(f"{name}.html").render(
        t=STRINGS,
        path=request.url.path,
        said=STRINGS["said"].get(request.query_params.get("said", ""), ""),
        suit=_suit(request.query_params.get("suit", "")),
        url_with=lambda **changes: url_with(request, **changes),
        **values,
    )
    return HTMLResponse(html, status, {"Cache-Control": "private, no-store"})


def _suit(words: str) -> UUID | None:
    """The order that was just kept, to go back to it."""
    with suppress(ValueError):
        return UUID(words)
    return None


def page(
    name: str,
    request: Request,
    principal: Principal | None,
    error: StylistError | None = None,
    status: int = 200,
    **values: Any,
) -> HTMLResponse:
    """A page for whoever is signed in; with an error, its status and its sentence."""
    status = status_of(error) if error else status
    may_console = principal is not None and principal.may(READ_CATALOGUE)
    values |= {
        "principal": principal,
        "may_console": may_console,
        "error": told(str(error)) if error else "",
        "error_code": error.code if error else "",
        "wrong": error.field if isinstance(error, InvalidInput) else None,
    }
    return render(name, request, status, **values)


def back(url: str, said: str, suit: UUID | None = None) -> RedirectResponse:
    """After a form: to a page that can be reloaded. Raises KeyError for a sentence that is not."""
    _ = STRINGS["said"][said]
    address, _, fragment = url.partition("#")
    values = {"said": said} | ({"suit": suit} if suit else {})
    query = f"{'&' if '?' in address else '?'}{urlencode(values)}"
    return RedirectResponse(f"{address}{query}{'#' if fragment else ''}{fragment}", 303)


def _tell(request: Request, status: int, message: str) -> Response:
    """A refusal as a page; who is not signed in is sent to sign in and comes back."""
    if status == 401:
        return to_sign_in(request, BOOK)
    principal = getattr(request.state, "principal", None)
    return page("problem", request, principal, status=status, message=message, code=status)


told_by |= {BOOK: _tell, LOOKBOOKS: _tell}


# --- who is in the book ---------------------------------------------------------------------------


@router.get("")
def search(
    keeper: Keeper,
    request: Request,
    session: Transaction,
    q: Annotated[str, Query(max_length=200)] = "",
    look: UUID | None = None,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> Response:
    """`look` is an order that is to be kept in somebody's book."""
    found = clients.search(session, q, Page(ON_A_PAGE + 1, offset))
    return page(
        "book",
        request,
        keeper,
        found=found[:ON_A_PAGE],
        more=len(found) > ON_A_PAGE,
        offset=offset,
        limit=ON_A_PAGE,
        q=q,
        look=generations.read(session, look) if look else None,
    )


@router.get("/new")
def new(
    keeper: Keeper, request: Request, q: Annotated[str, Query(max_length=200)] = "",
    look: UUID | None = None,
) -> Response:  # fmt: skip
    return page("new", request, keeper, facts=_guessed(q), look=look)


@router.post("")
def add(
    keeper: Keeper,
    request: Request,
    name: Words,
    phone: Words = "",
    note: Words = "",
    consents: Annotated[Literal["yes", ""], Form()] = "",
    look: Annotated[UUID | None, Form()] = None,
) -> Response:
    """With the look that they came for, if there is one."""
    facts = clients.Facts(name, phone, note)
    try:
        with transaction_of(request) as session:
            id = clients.add(session, facts, consents == "yes", keeper.owner).id
            if look is not None:
                clients.attach(session, id, look, keeper.owner)
    except InvalidInput as error:
        return page("new", request, keeper, error, facts=facts, look=look)
    return back(f"{BOOK}/{id}", "client-add", look)


@router.get("/{id}")
def read(keeper: Keeper, request: Request, session: Transaction, id: UUID) -> Response:
    return _client_page(keeper, request, session, id)


@router.post("/{id}")
def change(
    keeper: Keeper,
    request: Request,
    id: UUID,
    version: Version,
    name: Words,
    phone: Words = "",
    note: Words = "",
) -> Response:
    facts = clients.Facts(name, phone, note)
    try:
        with transaction_of(request) as session:
            clients.update(session, id, facts, version)
    except (InvalidInput, Conflict) as error:
        with transaction_of(request) as session:
            return _client_page(keeper, request, session, id, facts, error)
    return back(f"{BOOK}/{id}", "client-save")


@router.post("/{id}/consent")
def set_consent(
    keeper: Keeper, session: Transaction, id: UUID, given: Annotated[Literal["yes", "no"], Form()]
) -> Response:
    if given == "yes":
        clients.give_consent(session, id)
        return back(f"{BOOK}/{id}", "client-consent")
    clients.withdraw_consent(session, id)
    return back(f"{BOOK}/{id}", "client-withdraw")


@router.post("/{id}/export", response_class=StreamingResponse)
def export(keeper: Keeper, request: Request, id: UUID) -> StreamingResponse:
    return export_of(request, id)


@router.post("/{id}/erase")
def erase(keeper: Keeper, request: Request, id: UUID) -> Response:
    left = erase_now(request, id)
    return back(BOOK, "client-erase-later" if left else "client-erase")


# --- their looks ----------------------------------------------------------------------------------


@router.get("/{id}/looks")
def pick(keeper: Keeper, request: Request, session: Transaction, id: UUID) -> Response:
    """The last orders of the house that have a picture and are not in this book."""
    client = clients.find_consenting(session, id)
    theirs = {look.order.id for look in clients.looks(session, id)}
    orders = history.list_generations(session, Page(TO_PICK))
    wanted = [order for order in orders if order.best and order.id not in theirs]
    return page("pick", request, keeper, client=client, orders=wanted)


@router.post("/{id}/looks")
def attach(keeper: Keeper, session: Transaction, id: UUID, orders: OrderIds = []) -> Response:  # noqa: B006 (FastAPI copies it)
    for order in orders:
        clients.attach(session, id, order, keeper.owner)
    if not orders:
        return RedirectResponse(f"{BOOK}/{id}", 303)
    return back(f"{BOOK}/{id}", "look-attach", orders[0] if len(orders) == 1 else None)


@router.post("/{id}/looks/{order_id}/detach")
def detach(keeper: Keeper, session: Transaction, id: UUID, order_id: UUID) -> Response:
    clients.detach(session, id, order_id)
    return back(f"{BOOK}/{id}", "look-detach")


@router.post("/{id}/lookbooks")
def add_lookbook(keeper: Keeper, request: Request, id: UUID, title: Words) -> Response:
    try:
        with transaction_of(request) as session:
            made = lookbooks.add(session, id, title, keeper.owner)
    except (InvalidInput, Conflict) as error:
        with transaction_of(request) as session:
            return _client_page(keeper, request, session, id, error=error)
    return RedirectResponse(f"{LOOKBOOKS}/{made.id}", 303)


def _client_page(
    keeper: Principal,
    request: Request,
    session: Session,
    id: UUID,
    typed: clients.Facts | None = None,
    error: StylistError | None = None,
) -> Response:
    client = clients.find(session, id)
    names = names_of(session)
    return page(
        "client",
        request,
        keeper,
        error,
        client=client,
        facts=typed or clients.Facts(client.name, client.phone, client.note),
        is_typed=typed is not None,
        by=names.get(client.recorded_by, ""),
        looks=clients.looks(session, id),
        books=lookbooks.of_client(session, id),
    )


def names_of(session: Session) -> dict[str, str]:
    """What "user:3" is called."""
    return {f"user:{user.id}": user.username for user in accounts.users(session)}


def _guessed(q: str) -> clients.Facts:
    """Whoever was searched for in vain is often who is written down next."""
    is_number = bool(q.strip()) and set(q) <= clients.PHONE_SIGNS
    return clients.Facts("", q.strip()) if is_number else clients.Facts(q.strip())
