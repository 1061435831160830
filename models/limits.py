"""Limits on how often something may happen, counted in fixed windows in the database, so that all
API processes count together."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base
from models.errors import RateLimited

TOO_OFTEN = "Demasiados intentos seguidos; espera un momento y vuelve a intentar."


class Hits(Base):
    """How often something happened in one window."""

    __tablename__ = "hits"
    __table_args__ = (Index(None, "window_ends_at"),)

    subject: Mapped[str] = mapped_column(primary_key=True)  # "order:address:10.0.0.7"
    window_ends_at: Mapped[datetime] = mapped_column(primary_key=True)
    count: Mapped[int]


HIT = text("""
INSERT INTO hits (subject, window_ends_at, count)
VALUES (:subject,
        to_timestamp((floor(extract(epoch FROM statement_timestamp()) / :seconds) + 1) * :seconds),
        1)
ON CONFLICT (subject, window_ends_at) DO UPDATE SET count = hits.count + 1
RETURNING count AS hits,
          ceil(extract(epoch FROM window_ends_at - statement_timestamp()))::int AS seconds
""")
FORGET = text("""
DELETE FROM hits WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM hits WHERE window_ends_at < statement_timestamp() - interval '1 hour'
     LIMIT 100 FOR UPDATE SKIP LOCKED))
""")


def hit(session: Session, subject: str, at_most: int, per_seconds: int) -> None:
    """Count one; raises RateLimited when that makes more than `at_most` in this window.

    Old windows are swept away here, 100 rows at a time, when a window starts.
    """
    row = session.execute(HIT, {"subject": subject, "seconds": per_seconds}).one()
    if row.hits == 1:
        session.execute(FORGET)
    if row.hits > at_most:
        raise RateLimited(TOO_OFTEN, max(1, row.seconds))
