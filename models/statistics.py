"""How many orders by day and by family, for the console's charts."""

from datetime import date
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.history import DECIDING_JOBS_SQL, STATUS_SQL

BY_DAY = text(f"""
SELECT day::date AS day, count(o.status) AS orders,
       count(*) FILTER (WHERE o.status = 'completed') AS completed,
       count(*) FILTER (WHERE o.status = 'failed') AS failed
  FROM generate_series(CAST(:first AS date), CAST(:last AS date), interval '1 day') AS day
  LEFT JOIN (SELECT g.created_at, (SELECT {STATUS_SQL} {DECIDING_JOBS_SQL}) AS status
               FROM generations g WHERE g.created_at >= CAST(:first AS date)) o
    ON o.created_at >= day AND o.created_at < day + interval '1 day'
 GROUP BY day ORDER BY day
""")
BY_FAMILY = text("""
SELECT g.family_id, coalesce(f.display_name, g.family_id) AS name, count(*) AS orders
  FROM generations g LEFT JOIN fabric_families f USING (family_id)
 WHERE g.created_at >= CAST(:first AS date)
 GROUP BY g.family_id, f.display_name ORDER BY orders DESC, name LIMIT 10
""")
TODAY = text("SELECT CAST(statement_timestamp() AT TIME ZONE 'UTC' AS date)")


def today(session: Session) -> date:
    """The database's date in UTC."""
    day: date = session.scalars(TODAY).one()
    return day


def by_day(session: Session, first: date, last: date) -> list[Row[Any]]:
    """Every day from `first` to `last`: orders, and how many of them were completed or failed."""
    return list(session.execute(BY_DAY, {"first": first, "last": last}).all())


def by_family(session: Session, first: date) -> list[Row[Any]]:
    """The ten families most ordered since `first`."""
    return list(session.execute(BY_FAMILY, {"first": first}).all())
