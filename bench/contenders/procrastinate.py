"""procrastinate: its app, its worker and its job manager, as its documentation sets them up."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import procrastinate
from procrastinate import jobs

from bench.contenders.line import payload, run, say_finished, wait_for_start

FINISHED = "SELECT count(*), max(at) FROM procrastinate_events WHERE type = 'succeeded'"
Act = Callable[[procrastinate.App, procrastinate.tasks.Task], Awaitable[None]]


async def draw(number: str, text: str) -> None:
    """The job: nothing."""


def with_app(url: str, act: Act) -> None:
    logging.disable(logging.WARNING)  # its worker logs three lines a job

    async def main() -> None:
        connector = procrastinate.PsycopgConnector(conninfo=url, min_size=2, max_size=4)
        app = procrastinate.App(connector=connector)
        task = app.task(name="draw")(draw)
        async with app.open_async():
            await act(app, task)

    asyncio.run(main())


def install(url: str) -> None:
    async def act(app: procrastinate.App, task: procrastinate.tasks.Task) -> None:
        await app.schema_manager.apply_schema_async()

    with_app(url, act)


def enqueue(url: str, count: int) -> None:
    async def act(app: procrastinate.App, task: procrastinate.tasks.Task) -> None:
        await app.check_connection_async()
        wait_for_start()
        for number in range(count):
            await task.defer_async(**payload(number))
        say_finished()

    with_app(url, act)


def work(url: str) -> None:
    async def act(app: procrastinate.App, task: procrastinate.tasks.Task) -> None:
        await app.check_connection_async()
        wait_for_start()
        await app.run_worker_async(wait=False, concurrency=CONCURRENCY, listen_notify=False)
        say_finished()

    with_app(url, act)


def render(url: str, count: int, beats: int) -> None:
    """The statements of its worker, which runs one job at a time; the heartbeat is the worker's."""

    async def act(app: procrastinate.App, task: procrastinate.tasks.Task) -> None:
        manager = app.job_manager
        worker_id = await manager.register_worker()
        for number in range(count):
            await task.defer_async(**payload(number))
            job = await manager.fetch_job(queues=None, worker_id=worker_id)
            assert job is not None
            for _ in range(beats):
                await manager.update_heartbeat(worker_id)
            await manager.finish_job(job=job, status=jobs.Status.SUCCEEDED, delete_job=False)

    with_app(url, act)


CONCURRENCY = 1

if __name__ == "__main__":
    run({"install": install, "enqueue": enqueue, "work": work, "render": render})
