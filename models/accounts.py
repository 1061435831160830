"""Accounts: users with one of five roles, and API tokens for programs. Secrets are hashed."""

import hashlib
import secrets
import threading
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import CheckConstraint, ForeignKey, func, or_, select, text, update
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from models.base import Base, CreatedAt, IntegerKey
from models.errors import Conflict, InvalidInput, NotFound, Unauthorized

ROLES = ("owner", "merchandiser", "stylist", "ops", "viewer")
OWNER = "owner"
TOKEN_PREFIX = "estilista_"  # noqa: S105 (a prefix that secret scanners can look for, no secret)
PASSWORD_MIN_CHARACTERS = 10
USED_EVERY = timedelta(minutes=5)  # a program that polls need not write a row each time

# argon2id with the parameters OWASP recommends: 19 MiB, 2 passes, 1 lane; about 30 ms.
HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
hashing = threading.BoundedSemaphore(4)  # 19 MiB each, whoever asks and however often


class User(Base):
    """Somebody who can sign in."""

    __tablename__ = "users"
    __table_args__ = (CheckConstraint(f"role IN {ROLES}", name="role"),)

    id: Mapped[IntegerKey]
    username: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str]
    password_hash: Mapped[str]
    active: Mapped[bool] = mapped_column(server_default=text("true"), default=True)
    created_at: Mapped[CreatedAt]


class ApiToken(Base):
    """A credential of a program; acts for its user. Only its hash is kept: it is random enough
    (192 bits) that one SHA-256 is."""

    __tablename__ = "api_tokens"

    id: Mapped[IntegerKey]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str]
    token_sha256: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[list[str] | None]  # what it may, of what its user may; None: all of that
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]  # to within USED_EVERY
    created_at: Mapped[CreatedAt]
    user: Mapped[User] = relationship()


USED_LATELY = ApiToken.last_used_at > func.now() - USED_EVERY


def add_user(session: Session, username: str, password: str, role: str) -> User:
    """Raises InvalidInput for an unknown role or a password that is too short."""
    user = User(username=username, role=_checked_role(role), password_hash=_hash(password))
    session.add(user)
    session.flush()
    return user


def user(session: Session, id: int) -> User:
    """Raises NotFound."""
    found = session.get(User, id)
    if found is None:
        raise NotFound("No existe esa cuenta.")
    return found


def update_user(session: Session, id: int, role: str, active: bool) -> User:
    """Raises NotFound, InvalidInput for an unknown role, and Conflict where that would leave the
    house without an owner."""
    owners = select(User).where(User.role == OWNER, User.active).order_by(User.id)
    others = [row for row in session.scalars(owners.with_for_update()) if row.id != id]
    changed = user(session, id)
    changed.role, changed.active = _checked_role(role), active
    if not others and not (active and role == OWNER):
        raise Conflict("Tiene que quedar al menos una cuenta activa de dueño.")
    session.flush()
    return changed


def set_password(session: Session, id: int, password: str) -> User:
    """Raises NotFound, and InvalidInput for a password that is too short."""
    changed = user(session, id)
    changed.password_hash = _hash(password)
    session.flush()
    return changed


def change_password(session: Session, id: int, current: str, password: str) -> User:
    """By somebody who knows the current one; raises InvalidInput for who does not."""
    if not _matches(user(session, id).password_hash, current):
        raise InvalidInput("La contraseña actual no es ésa.", "current")
    return set_password(session, id, password)


def _checked_role(role: str) -> str:
    if role not in ROLES:
        raise InvalidInput(f"El papel «{role}» no existe.", "role")
    return role


def _hash(password: str) -> str:
    if len(password) < PASSWORD_MIN_CHARACTERS:
        message = f"La contraseña necesita al menos {PASSWORD_MIN_CHARACTERS} caracteres."
        raise InvalidInput(message, "password")
    with hashing:
        return HASHER.hash(password)


def ensure_owner(session: Session, username: str, password: str) -> None:
    """Make the first owner; does nothing where there is an owner already."""
    if session.scalar(select(User.id).where(User.role == OWNER).limit(1)) is None:
        add_user(session, username, password, OWNER)


def users(session: Session) -> Sequence[User]:
    """By name; those switched off last."""
    return session.scalars(select(User).order_by(User.active.desc(), User.username)).all()


def sign_in(session: Session, username: str, password: str) -> User:
    """Raises Unauthorized, in the same words and time for an unknown user."""
    user = session.scalar(select(User).where(User.username == username))
    matches = _matches(user.password_hash if user else _nobodys_hash(), password)
    if user is None or not matches or not user.active:
        raise Unauthorized("Usuario o contraseña incorrectos.")
    return user


def active_user(session: Session, id: int) -> User:
    """Raises Unauthorized when the account is gone or was switched off."""
    user = session.get(User, id)
    if user is None or not user.active:
        raise Unauthorized("La cuenta ya no está activa.")
    return user


def issue_token(
    session: Session,
    user: User,
    name: str,
    days: int | None = None,
    scopes: Collection[str] | None = None,
) -> str:
    """A new API token for this user; the return value is the only time that it can be read."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(24)
    issued = ApiToken(
        user_id=user.id,
        name=name,
        token_sha256=_sha256(token),
        scopes=None if scopes is None else sorted(scopes),
        expires_at=None if days is None else func.now() + text(f"interval '{int(days)} days'"),
    )
    session.add(issued)
    session.flush()
    return token


def find_token(session: Session, token: str) -> ApiToken:
    """Raises Unauthorized when it is unknown, expired or revoked, or its user is switched off. That
    it was used is written down once every USED_EVERY."""
    row = session.execute(
        select(ApiToken, USED_LATELY.is_(True)).where(
            ApiToken.token_sha256 == _sha256(token),
            ApiToken.revoked_at.is_(None),
            or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > func.now()),
        )
    ).one_or_none()
    if row is None or not row[0].user.active:
        raise Unauthorized("El token no es válido.")
    found, is_written = row
    if not is_written:
        _write_down_use(session, found.id)
    return found


def _write_down_use(session: Session, id: int) -> None:
    """Of many requests at once one does, and none waits for that."""
    free = select(ApiToken.id).where(ApiToken.id == id, USED_LATELY.is_not(True))
    held = free.with_for_update(skip_locked=True, key_share=True)
    used = update(ApiToken).where(ApiToken.id.in_(held)).values(last_used_at=func.now())
    session.execute(used.execution_options(synchronize_session=False))


def tokens(session: Session, user_id: int) -> Sequence[ApiToken]:
    """The user's tokens that are not revoked, newest first."""
    query = select(ApiToken).where(ApiToken.user_id == user_id, ApiToken.revoked_at.is_(None))
    return session.scalars(query.order_by(ApiToken.id.desc())).all()


def revoke_token(session: Session, id: int, user_id: int | None = None) -> ApiToken:
    """Of this user, or anybody's. Raises NotFound."""
    found = session.get(ApiToken, id)
    if found is None or user_id not in (None, found.user_id):
        raise NotFound("No existe ese token.")
    found.revoked_at = session.scalar(select(func.now()))
    session.flush()
    return found


def _matches(password_hash: str, password: str) -> bool:
    try:
        with hashing:
            return HASHER.verify(password_hash, password)
    except VerificationError:
        return False


@lru_cache
def _nobodys_hash() -> str:
    return HASHER.hash(secrets.token_urlsafe())


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
