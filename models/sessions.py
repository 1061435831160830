"""Sessions of browsers: an opaque random token in a cookie, its hash in a row that can be revoked.

A session ends after SESSION_IDLE_HOURS without a request, after SESSION_DAYS whatever happens, when
its user signs out, when somebody revokes it, and when the account is switched off.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Row, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, CreatedAt, IntegerKey
from models.errors import NotFound

SESSION_IDLE_HOURS = 12
SESSION_DAYS = 7
SEEN_EVERY_SECONDS = 60  # how exact last_seen_at is: reading a page need not write a row
CLIENT_MAX_CHARACTERS = 300


class BrowserSession(Base):
    """One browser that somebody signed in with. 192 random bits need no more than one SHA-256."""

    __tablename__ = "sessions"
    __table_args__ = (Index(None, "user_id"), Index(None, "expires_at"))

    id: Mapped[IntegerKey]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    token_sha256: Mapped[str] = mapped_column(unique=True)
    address: Mapped[str]
    client: Mapped[str]  # the User-Agent, as it says
    created_at: Mapped[CreatedAt]
    last_seen_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    expires_at: Mapped[datetime]


@dataclass(frozen=True)
class SignedIn:
    """Whose session it is, and which."""

    session_id: int
    user_id: int
    username: str
    role: str


START = text(f"""
INSERT INTO sessions (user_id, token_sha256, address, client, expires_at)
VALUES (:user_id, :token_sha256, :address, :client, now() + interval '{SESSION_DAYS} days')
""")
FORGET = text(f"""
DELETE FROM sessions WHERE expires_at < now()
    OR last_seen_at < now() - interval '{SESSION_IDLE_HOURS} hours'
""")
LIVE_SQL = f"""s.expires_at > now()
   AND s.last_seen_at > now() - interval '{SESSION_IDLE_HOURS} hours'"""
FIND = text(f"""
SELECT s.id, s.user_id, u.username, u.role,
       s.last_seen_at < now() - interval '{SEEN_EVERY_SECONDS} seconds' AS unseen
  FROM sessions s JOIN users u ON u.id = s.user_id
 WHERE s.token_sha256 = :token_sha256 AND u.active AND {LIVE_SQL}
""")
SEEN = text("UPDATE sessions SET last_seen_at = now() WHERE id = :id")
LIST = text(f"""
SELECT s.id, s.user_id, u.username, s.address, s.client, s.created_at, s.last_seen_at
  FROM sessions s JOIN users u ON u.id = s.user_id
 WHERE u.active AND {LIVE_SQL}
   AND (CAST(:user_id AS bigint) IS NULL OR s.user_id = :user_id)
 ORDER BY s.last_seen_at DESC, s.id DESC LIMIT :limit
""")
END = text("DELETE FROM sessions WHERE token_sha256 = :token_sha256")
REVOKE = text("""
DELETE FROM sessions WHERE id = :id AND (CAST(:user_id AS bigint) IS NULL OR user_id = :user_id)
RETURNING user_id
""")
REVOKE_ALL = text("DELETE FROM sessions WHERE user_id = :user_id AND id IS DISTINCT FROM :but")


def start(session: Session, user_id: int, address: str, client: str) -> str:
    """A new session; the return value is for the cookie and is stored nowhere. Sessions that are
    over are swept away here."""
    session.execute(FORGET)
    token = secrets.token_urlsafe(24)
    values = {"user_id": user_id, "address": address, "client": client[:CLIENT_MAX_CHARACTERS]}
    session.execute(START, values | {"token_sha256": _sha256(token)})
    return token


def find(session: Session, token: str) -> SignedIn | None:
    """Whose session this is; None when it is unknown, over, or its account is switched off."""
    row = session.execute(FIND, {"token_sha256": _sha256(token)}).one_or_none()
    if row is None:
        return None
    if row.unseen:
        session.execute(SEEN, {"id": row.id})
    return SignedIn(row.id, row.user_id, row.username, row.role)


def end(session: Session, token: str) -> None:
    """Sign out; a token that is no session is no error."""
    session.execute(END, {"token_sha256": _sha256(token)})


def list_live(session: Session, user_id: int | None = None, limit: int = 200) -> Sequence[Row[Any]]:
    """The sessions that would be let in now, last seen first; of one user, or of all."""
    return session.execute(LIST, {"user_id": user_id, "limit": limit}).all()


def revoke(session: Session, id: int, user_id: int | None = None) -> None:
    """Of this user, or anybody's. Raises NotFound."""
    if session.execute(REVOKE, {"id": id, "user_id": user_id}).one_or_none() is None:
        raise NotFound("Esa sesión ya no existe.")


def revoke_all(session: Session, user_id: int, but: int | None = None) -> None:
    """End every session of this user, except perhaps the one that asks."""
    session.execute(REVOKE_ALL, {"user_id": user_id, "but": but})


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
