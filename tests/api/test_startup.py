"""What a serving process does once: api/startup.py."""

import asyncio
import gc

from fastapi import FastAPI

from api.main import app
from api.startup import lifespan


def test_what_was_imported_is_walked_through_no_more_while_requests_are_served() -> None:
    async def served() -> tuple[int, tuple[int, int, int]]:
        async with lifespan(FastAPI()):
            return gc.get_freeze_count(), gc.get_threshold()

    before = gc.get_threshold()
    set_aside, threshold = asyncio.run(served())
    assert set_aside > 10_000
    assert threshold > before
    assert (gc.get_freeze_count(), gc.get_threshold()) == (0, before)


def test_the_application_starts_that_way() -> None:
    async def served() -> int:
        async with app.router.lifespan_context(app):
            return gc.get_freeze_count()

    assert asyncio.run(served()) > 10_000
