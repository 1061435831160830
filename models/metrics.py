"""Numbers for those who watch us. Each statement is bounded: none scans a big table."""

from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

# Index attempts_ended_at: the claims of the last hour that ended without a picture.
ATTEMPTS_LAST_HOUR = text("""
SELECT verb, coalesce(error_code, '') AS error_code, count(*) AS attempts
  FROM attempts WHERE ended_at > statement_timestamp() - interval '1 hour'
 GROUP BY verb, error_code
""")
# The last thousand pictures, by key.
RENDERS_LAST_HOUR = text("""
SELECT engine, count(*) AS renders,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS median_seconds,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds) AS p95_seconds
  FROM (SELECT engine, created_at, (timings_ms->>'total')::float8 / 1000 AS seconds
          FROM images ORDER BY id DESC LIMIT 1000) lately
 WHERE created_at > statement_timestamp() - interval '1 hour'
 GROUP BY engine
""")
# How long the jobs of those pictures had waited for their first claim.
WAITS_LAST_HOUR = text("""
SELECT coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds), 0) AS median_seconds,
       coalesce(percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds), 0) AS p95_seconds
  FROM (SELECT extract(epoch FROM j.started_at - j.created_at)::float8 AS seconds
          FROM (SELECT id, created_at FROM images ORDER BY id DESC LIMIT 1000) lately
          JOIN jobs j ON j.image_id = lately.id
         WHERE lately.created_at > statement_timestamp() - interval '1 hour') waits
""")


def attempts_last_hour(session: Session) -> list[Row[Any]]:
    """(verb, error_code, attempts): what ended without a picture, and why."""
    return list(session.execute(ATTEMPTS_LAST_HOUR).all())


def renders_last_hour(session: Session) -> list[Row[Any]]:
    """(engine, renders, median_seconds, p95_seconds), of the last thousand pictures."""
    return list(session.execute(RENDERS_LAST_HOUR).all())


def waits_last_hour(session: Session) -> tuple[float, float]:
    """Median and 95th percentile of the seconds between an order and its first claim."""
    median_seconds, p95_seconds = session.execute(WAITS_LAST_HOUR).one()
    return median_seconds, p95_seconds
