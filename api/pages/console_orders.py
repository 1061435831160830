"""Orders: what was made, newest first; each with its story; how many by day and by family."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from pydantic import BaseModel

from api.auth import PLACE_ORDERS, READ_ORDERS, WRITE_ORDERS, Needs, Principal
from api.deps import OrderId, Transaction, transaction_of
from api.language import told
from api.pages.charts import day_chart
from api.pages.console import HOME, STRINGS, back, page
from models import accounts, audit, catalogue, doomed, generations, history, statistics, timeline
from models.catalogue import Page
from models.database import Session
from models.errors import Conflict, InvalidInput, NotFound
from models.storage import storage
from models.views import GenerationView

PAGE = f"{HOME}/orders"
ON_A_PAGE = 24
ALL_MOST = 200
STATUSES = ("pending", "processing", "completed", "failed", "canceled", "expired")
PERIODS = (7, 30, 90)
Reader = Annotated[Principal, Depends(Needs(READ_ORDERS))]
Orderer = Annotated[Principal, Depends(Needs(PLACE_ORDERS))]
Writer = Annotated[Principal, Depends(Needs(WRITE_ORDERS))]
Text = Annotated[str, Query(max_length=100)]
Status = Literal["", "pending", "processing", "completed", "failed", "canceled", "expired"]

router = APIRouter(prefix=PAGE, include_in_schema=False)


@router.get("")
def list_orders(
    reader: Reader,
    request: Request,
    session: Transaction,
    q: Text = "",
    status: Status = "",
    family: Text = "",
    since: Annotated[str, Query(max_length=10)] = "",
    view: Literal["gallery", "table"] = "gallery",
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> Response:
    wanted = _wanted(q, status, family, since)
    found = history.list_generations(session, Page(ON_A_PAGE + 1, offset), wanted)
    return page(
        "orders",
        request,
        reader,
        orders=found[:ON_A_PAGE],
        more=len(found) > ON_A_PAGE,
        offset=offset,
        limit=ON_A_PAGE,
        q=q,
        wanted=status,
        family_id=family,
        since=wanted.since,
        view=view,
        filtered=bool(q or status or family or since),
        statuses=STATUSES,
        all_most=ALL_MOST,
        families=catalogue.list_families(session, Page(200)),
        who=_names(session),
    )


class ManyForm(BaseModel):
    """The ticked ones, or the first ALL_MOST of those that the list's filters let through."""

    action: Literal["retry", "cancel", "delete"]
    which: Literal["ticked", "all"] = "ticked"
    ids: Annotated[list[UUID], Form(max_length=ALL_MOST)] = []
    q: Annotated[str, Form(max_length=100)] = ""
    status: Status = ""
    family: Annotated[str, Form(max_length=100)] = ""
    since: Annotated[str, Form(max_length=10)] = ""


@router.post("/bulk")
def change_many(orderer: Orderer, request: Request, form: Annotated[ManyForm, Form()]) -> Response:
    """What can be done is, in one transaction; of the others the report says why not."""
    if form.action == "delete":
        orderer.need(WRITE_ORDERS)
    with transaction_of(request) as session:
        ids = _chosen(session, form)
        history.lock_pictures(session, ids)
        report = [_changed(session, id, form.action, orderer) for id in ids]
    doomed.delete(storage())
    return page("orders_report", request, orderer, report=report, action=form.action)


def _chosen(session: Session, form: ManyForm) -> Sequence[UUID]:
    """Raises InvalidInput where there are none."""
    ids: Sequence[UUID] = list(dict.fromkeys(form.ids))
    if form.which == "all":
        wanted = _wanted(form.q, form.status, form.family, form.since)
        ids = history.list_ids(session, Page(ALL_MOST), wanted)
    if not ids:
        raise InvalidInput(STRINGS["orders"]["none_ticked"], "ids")
    return ids


def _wanted(q: str, status: str, family: str, since: str) -> history.Wanted:
    """What the list's filters let through."""
    statuses = [status] if status else None
    return history.Wanted(family or None, None, statuses, q.strip() or None, _date(since))


def _changed(
    session: Session, id: UUID, action: str, orderer: Principal
) -> tuple[UUID, str, UUID | None, str]:
    """(id, cloth, the new order where there is one, why not)."""
    name = str(id)
    try:
        name = generations.read(session, id).fabric_name
        if action == "retry":
            return id, name, _again(session, id, orderer), ""
        (_cancel if action == "cancel" else _delete)(session, id)
    except (Conflict, InvalidInput, NotFound) as error:
        return id, name, None, told(str(error), error.code)
    return id, name, None, ""


@router.get("/statistics")
def read_statistics(
    reader: Reader, request: Request, session: Transaction, days: Literal["7", "30", "90"] = "30"
) -> Response:
    last = statistics.today(session)
    first = last - timedelta(days=int(days) - 1)
    by_day = statistics.by_day(session, first, last)
    return page(
        "statistics",
        request,
        reader,
        days=int(days),
        periods=PERIODS,
        by_day=by_day[::-1],
        chart=day_chart([(row.day, row.orders, row.failed) for row in by_day]),
        total=sum(row.orders for row in by_day),
        completed=sum(row.completed for row in by_day),
        failed=sum(row.failed for row in by_day),
        families=statistics.by_family(session, first),
    )


@router.get("/{id}")
def read_order(reader: Reader, id: OrderId, request: Request, session: Transaction) -> Response:
    order = generations.read(session, id)
    return page(
        "order",
        request,
        reader,
        order=order,
        jobs=timeline.jobs(session, id),
        moments=timeline.moments(session, id),
        images={(job.cut, job.stage): job.image for job in order.jobs if job.image},
        names={job.cut: job.cut_name for job in order.jobs},
        may_order=reader.may(PLACE_ORDERS),
        may_delete=reader.may(WRITE_ORDERS),
        who=_names(session),
    )


@router.post("/{id}/retry")
def retry(orderer: Orderer, id: OrderId, session: Transaction) -> Response:
    """The same order once more, as a new one."""
    return back(f"{PAGE}/{_again(session, id, orderer)}", "order-retry")


@router.post("/{id}/cancel")
def cancel(orderer: Orderer, id: OrderId, session: Transaction) -> Response:
    _cancel(session, id)
    return back(f"{PAGE}/{id}", "order-cancel")


@router.post("/{id}/delete")
def delete(writer: Writer, id: OrderId, request: Request) -> Response:
    with transaction_of(request) as session:
        _delete(session, id)
    doomed.delete(storage())
    return back(PAGE, "order-delete")


def _again(session: Session, id: UUID, orderer: Principal) -> UUID:
    new_id = generations.again(session, id, orderer.owner)
    audit.record(session, "again", ("order", str(id)), after={"order": str(new_id)})
    return new_id


def _cancel(session: Session, id: UUID) -> None:
    view = generations.cancel(session, id)
    audit.record(session, "cancel", ("order", str(id)), view.fabric_name)


def _delete(session: Session, id: UUID) -> None:
    """Its pictures are deleted after the commit."""
    view = generations.read(session, id)
    history.delete(session, id)
    audit.record(session, "delete", ("order", str(id)), view.fabric_name, before=_told(view))


def _told(view: GenerationView) -> dict[str, object]:
    """What the audit log keeps of an order that is gone."""
    return {"owner": view.owner, "color_id": view.color_id, "cuts": view.cuts}


def _names(session: Session) -> Callable[[str], str]:
    """From an order's owner to who that is: a user's name, the shop, a bulk order."""
    return who(accounts.users(session))


def who(users: Sequence[accounts.User]) -> Callable[[str], str]:
    names = {f"user:{user.id}": user.username for user in users}
    names |= {key: str(words) for key, words in STRINGS["who"].items()}
    return lambda owner: names.get(owner) or names.get(owner.partition(":")[0], owner)


def _date(text: str) -> date | None:
    """The day that a date field sent; a field that is no date filters nothing."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
