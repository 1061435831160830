"""A bare FastAPI + psycopg handler that reads one row: what an answer costs without a product.

Nothing around it: no sign-in, no headers, no log. One connection a thread, autocommit, prepared:
the shortest way that the two libraries document.
"""

import os
import threading
from uuid import UUID

import psycopg
from fastapi import FastAPI
from psycopg.rows import dict_row

app = FastAPI()
of_thread = threading.local()


def link() -> psycopg.Connection[dict[str, object]]:
    if not hasattr(of_thread, "link"):
        url = os.environ["DATABASE_URL"]
        of_thread.link = psycopg.connect(url, autocommit=True, row_factory=dict_row)
    made: psycopg.Connection[dict[str, object]] = of_thread.link
    return made


@app.get("/jobs/{id}")
def read_job(id: UUID) -> dict[str, object] | None:
    statement = "SELECT id, status, version, progress FROM jobs WHERE id = %s"
    return link().execute(statement, (id,)).fetchone()
