"""People: accounts and their roles, sessions, API tokens, one's own account, the audit log."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form, Query, Request, Response

from api.auth import MANAGE_PEOPLE, PERMISSIONS, READ_CATALOGUE, Needs, PersonNeeds, Principal
from api.catalogue import Id
from api.deps import Transaction, transaction_of
from api.errors import status_of
from api.pages.changes import Names, changes
from api.pages.console import HOME, STRINGS, back, page
from api.pages.console_orders import who
from models import accounts, audit, catalogue, sessions
from models.database import Session
from models.errors import InvalidInput, StylistError

PEOPLE, ACCOUNT = f"{HOME}/people", f"{HOME}/account"
ON_A_PAGE = 50
FEW_CHANGES = 3  # of an entry of the log: so few are seen without asking
Manager = Annotated[Principal, Depends(Needs(MANAGE_PEOPLE))]
Person = Annotated[Principal, Depends(PersonNeeds(READ_CATALOGUE))]  # which every role may
Name = Annotated[str, Form(min_length=1, max_length=100, pattern=r"\S")]
Password = Annotated[str, Form(max_length=1000)]
Role = Annotated[str, Form(max_length=50)]
Days = Annotated[Literal["30", "90", "365", ""], Form()]

router = APIRouter(prefix=HOME, include_in_schema=False)


# --- the owner's pages ----------------------------------------------------------------------------


@router.get("/people")
def list_people(manager: Manager, request: Request, session: Transaction) -> Response:
    return _people_page(manager, request, session)


@router.post("/people")
def add_person(
    manager: Manager, request: Request, username: Name, password: Password, role: Role
) -> Response:
    try:
        with transaction_of(request) as session:
            accounts.add_user(session, username.strip(), password, role)
    except StylistError as error:
        typed = {"username": username, "role": role}
        with transaction_of(request) as session:
            return _people_page(manager, request, session, typed, error)
    return back(PEOPLE, "person-add")


@router.get("/people/audit")
def read_audit(
    manager: Manager,
    request: Request,
    session: Transaction,
    kind: Annotated[str, Query(max_length=50)] = "",
    actor: Annotated[str, Query(max_length=100)] = "",
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> Response:
    found = audit.entries(session, ON_A_PAGE + 1, offset, kind or None, actor or None)
    users = accounts.users(session)
    return page(
        "audit",
        request,
        manager,
        entries=found[:ON_A_PAGE],
        more=len(found) > ON_A_PAGE,
        offset=offset,
        limit=ON_A_PAGE,
        kind=kind,
        actor=actor,
        users=users,
        who=who(users),
        changes=partial(changes, names=_names(users, catalogue.family_names(session))),
        few=FEW_CHANGES,
    )


@router.get("/people/{id}")
def read_person(manager: Manager, id: Id, request: Request, session: Transaction) -> Response:
    return _person_page(manager, request, session, id)


@router.post("/people/{id}")
def change_person(
    manager: Manager,
    id: Id,
    request: Request,
    role: Role,
    active: Annotated[Literal["yes", "no"], Form()] = "yes",
) -> Response:
    """Who is switched off is signed out everywhere."""
    try:
        with transaction_of(request) as session:
            if not accounts.update_user(session, id, role, active == "yes").active:
                sessions.revoke_all(session, id)
    except StylistError as error:
        with transaction_of(request) as session:
            return _person_page(manager, request, session, id, error)
    return back(f"{PEOPLE}/{id}", "person-save")


@router.post("/people/{id}/password")
def reset_password(manager: Manager, id: Id, request: Request, password: Password) -> Response:
    """A new password, which ends the sessions that the old one opened."""
    try:
        with transaction_of(request) as session:
            accounts.set_password(session, id, password)
            sessions.revoke_all(session, id, but=manager.session_id)
    except InvalidInput as error:
        with transaction_of(request) as session:
            return _person_page(manager, request, session, id, error)
    return back(f"{PEOPLE}/{id}", "password-save")


@router.post("/people/{id}/sessions/{session_id}/revoke")
def revoke_session(manager: Manager, id: Id, session_id: Id, session: Transaction) -> Response:
    sessions.revoke(session, session_id, id)
    audit.record(
        session, "revoke", ("session", str(session_id)), accounts.user(session, id).username
    )
    return back(f"{PEOPLE}/{id}", "session-revoke")


@router.post("/people/{id}/tokens/{token_id}/revoke")
def revoke_token(manager: Manager, id: Id, token_id: Id, session: Transaction) -> Response:
    accounts.revoke_token(session, token_id, id)
    return back(f"{PEOPLE}/{id}", "token-revoke")


# --- everybody's own account ----------------------------------------------------------------------


@router.get("/account")
def read_account(own: Person, request: Request, session: Transaction) -> Response:
    return _account_page(own, request, session)


@router.post("/account/password")
def change_own_password(
    own: Person, request: Request, current: Password, password: Password
) -> Response:
    """Ends every other session of this account."""
    try:
        with transaction_of(request) as session:
            accounts.change_password(session, _own_id(own), current, password)
            sessions.revoke_all(session, _own_id(own), but=own.session_id)
    except InvalidInput as error:
        with transaction_of(request) as session:
            return _account_page(own, request, session, error)
    return back(ACCOUNT, "password-save")


@router.post("/account/tokens")
def issue_token(
    own: Person,
    request: Request,
    name: Name,
    days: Days = "90",
    scopes: Annotated[list[str], Form(max_length=50)] = [],  # noqa: B006 (pydantic copies it)
) -> Response:
    """The answer is the only page that ever shows the token. It may no more than who makes it."""
    try:
        with transaction_of(request) as session:
            if not scopes or not own.permissions.issuperset(scopes):
                raise InvalidInput(STRINGS["people"]["no_scopes"], "scopes")
            account, valid_days = accounts.user(session, _own_id(own)), int(days) if days else None
            token = accounts.issue_token(session, account, name.strip(), valid_days, scopes)
            return _account_page(own, request, session, token=token)
    except InvalidInput as error:
        with transaction_of(request) as session:
            return _account_page(own, request, session, error)


@router.post("/account/tokens/{id}/revoke")
def revoke_own_token(own: Person, id: Id, session: Transaction) -> Response:
    accounts.revoke_token(session, id, _own_id(own))
    return back(ACCOUNT, "token-revoke")


@router.post("/account/sessions/{id}/revoke")
def revoke_own_session(own: Person, id: Id, session: Transaction) -> Response:
    sessions.revoke(session, id, _own_id(own))
    audit.record(session, "revoke", ("session", str(id)), own.username)
    return back(ACCOUNT, "session-revoke")


# --- the pages ------------------------------------------------------------------------------------


def _people_page(
    manager: Principal,
    request: Request,
    session: Session,
    typed: dict[str, str] | None = None,
    error: StylistError | None = None,
) -> Response:
    return page(
        "people",
        request,
        manager,
        status=status_of(error) if error else 200,
        people=accounts.users(session),
        last_seen={s.user_id: s.last_seen_at for s in reversed(sessions.list_live(session))},
        roles=accounts.ROLES,
        granted=PERMISSIONS,
        typed=typed or {"username": "", "role": "stylist"},
        shortest=accounts.PASSWORD_MIN_CHARACTERS,
        error=str(error) if error else "",
    )


def _person_page(
    manager: Principal,
    request: Request,
    session: Session,
    id: int,
    error: StylistError | None = None,
) -> Response:
    return page(
        "person",
        request,
        manager,
        status=status_of(error) if error else 200,
        person=accounts.user(session, id),
        roles=accounts.ROLES,
        **_credentials(session, id),
        error=str(error) if error else "",
    )


def _account_page(
    own: Principal,
    request: Request,
    session: Session,
    error: StylistError | None = None,
    token: str = "",
) -> Response:
    return page(
        "account",
        request,
        own,
        status=status_of(error) if error else 200,
        person=accounts.user(session, _own_id(own)),
        scopes=[name for name in STRINGS["permission"] if own.may(name)],
        token=token,
        **_credentials(session, _own_id(own)),
        error=str(error) if error else "",
    )


def _credentials(session: Session, id: int) -> dict[str, Any]:
    return {
        "sessions": sessions.list_live(session, id),
        "tokens": accounts.tokens(session, id),
        "shortest": accounts.PASSWORD_MIN_CHARACTERS,
    }


def _own_id(own: Principal) -> int:
    assert own.user_id is not None  # noqa: S101 (whoever signed in is a user)
    return own.user_id


def _names(users: Sequence[accounts.User], families: Mapping[int, str]) -> Names:
    """Who and what the ids in the log are; where that is gone, the id."""
    usernames = {user.id: user.username for user in users}
    return {
        "created_by": who(users),
        "fabric_family_id": lambda id: families.get(id, str(id)),
        "owner": who(users),
        "user_id": lambda id: usernames.get(id, str(id)),
    }
