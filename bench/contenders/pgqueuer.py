"""pgqueuer: its queries and its queue manager, on asyncpg and uvloop as it documents."""

import json
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import asyncpg
import uvloop
from pgqueuer import PgQueuer, Queries
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.ports.repository import EntrypointExecutionParameter
from pgqueuer.types import QueueExecutionMode

from bench.contenders.line import payload, run, say_finished, wait_for_start

FINISHED = "SELECT count(*), max(created) FROM pgqueuer_log WHERE status = 'successful'"


async def draw(job: Job) -> None:
    """The job: nothing."""


def with_connection(url: str, act: Callable[[Any], Awaitable[None]]) -> None:
    async def main() -> None:
        connection = await asyncpg.connect(url)
        try:
            await act(connection)
        finally:
            await connection.close()

    uvloop.run(main())


def install(url: str) -> None:
    async def act(connection: Any) -> None:
        await Queries(AsyncpgDriver(connection)).install()

    with_connection(url, act)


def enqueue(url: str, count: int) -> None:
    async def act(connection: Any) -> None:
        queries = Queries(AsyncpgDriver(connection))
        wait_for_start()
        for number in range(count):
            await queries.enqueue("draw", json.dumps(payload(number)).encode())
        say_finished()

    with_connection(url, act)


def work(url: str) -> None:
    async def act(connection: Any) -> None:
        logging.disable(logging.INFO)
        queuer = PgQueuer(AsyncpgDriver(connection))
        queuer.entrypoint("draw")(draw)
        wait_for_start()
        await queuer.run(
            batch_size=1, mode=QueueExecutionMode.drain, dequeue_timeout=timedelta(seconds=1)
        )
        say_finished()

    with_connection(url, act)


def render(url: str, count: int, beats: int) -> None:
    """The statements of its queue manager for one job after the other."""

    async def act(connection: Any) -> None:
        queries = Queries(AsyncpgDriver(connection))
        manager = PgQueuer(AsyncpgDriver(connection)).qm.queue_manager_id
        for number in range(count):
            await queries.enqueue("draw", json.dumps(payload(number)).encode())
            [job] = await queries.dequeue(
                batch_size=1,
                entrypoints={"draw": EntrypointExecutionParameter(concurrency_limit=0)},
                queue_manager_id=manager,
                global_concurrency_limit=None,
                heartbeat_timeout=timedelta(seconds=30),
            )
            for _ in range(beats):
                await queries.update_heartbeat([job.id])
            await queries.log_jobs([(job, "successful", None)])

    with_connection(url, act)


if __name__ == "__main__":
    run({"install": install, "enqueue": enqueue, "work": work, "render": render})
