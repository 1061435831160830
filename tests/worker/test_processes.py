"""Real worker processes on a real database: many at once, killed, told to stop."""

import os
import signal
import time
from collections.abc import Callable

import httpx
import pytest

from tests.orders import let_leases_lapse, place, sql
from tests.workers import start_worker

pytestmark = pytest.mark.usefixtures("clean")
JOBS = int(os.environ.get("TEST_JOBS", "1000"))
KILLS = int(os.environ.get("TEST_KILLS", "20"))
WAIT_SECONDS = 120.0


@pytest.fixture(autouse=True)
def _mock_orders(setting: Callable[..., None]) -> None:
    """Orders go to the mock engine, and the queue takes all of them."""
    setting(use_mock_generator="true", queue_cap=100_000)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Look every 20 ms; the limit only ends a test that is broken."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited too long until {what}"
        time.sleep(0.02)


def count(status: str) -> int:
    return int(sql("SELECT count(*) FROM jobs WHERE status = :status", status=status))


def is_rendering() -> bool:
    """A live lease: somebody is at work now."""
    return bool(sql("SELECT count(*) FROM jobs WHERE lease_until > clock_timestamp()"))


def place_jobs(number: int) -> None:
    for _ in range(number // 2):
        place(("recto", "cruzado"))


def assert_each_completed_once(jobs: int) -> None:
    assert count("completed") == jobs
    assert sql("SELECT count(*) FROM jobs") == jobs
    assert sql("SELECT count(*) FROM images") == jobs
    assert sql("SELECT count(DISTINCT object_key) FROM images") == jobs
    assert sql("SELECT count(*) FROM jobs j JOIN images i ON i.id = j.image_id") == jobs


def test_eight_workers_complete_every_job_exactly_once() -> None:
    place_jobs(JOBS)
    workers = [start_worker() for _ in range(8)]
    try:
        wait_until(lambda: count("completed") == JOBS, "all jobs are completed")
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        assert [worker.wait(20) for worker in workers] == [0] * 8
    assert_each_completed_once(JOBS)
    assert sql("SELECT max(attempts) FROM jobs") == 1
    assert sql("SELECT count(DISTINCT worker) FROM jobs") == 8


def test_killed_workers_lose_no_job() -> None:
    """One worker at a time is killed in the middle of a render, many times; the last one lives."""
    place_jobs(KILLS)
    sql("UPDATE jobs SET max_attempts = 1000")
    for _ in range(KILLS):
        worker = start_worker(MOCK_RENDER_SECONDS="60")
        wait_until(is_rendering, "a job is being rendered")
        worker.kill()
        worker.wait()
        let_leases_lapse()
    last = start_worker()
    wait_until(lambda: count("completed") == KILLS, "all jobs are completed")
    last.terminate()
    assert last.wait(20) == 0
    assert_each_completed_once(KILLS)
    assert sql("SELECT sum(attempts) FROM jobs") == KILLS + KILLS


def test_sigterm_hands_the_job_back_and_exits_with_zero() -> None:
    place()
    worker = start_worker(MOCK_RENDER_SECONDS="60")
    wait_until(is_rendering, "the job is being rendered")
    worker.terminate()
    assert worker.wait(10) == 0
    assert count("pending") == 1
    assert sql("SELECT attempts FROM jobs") == 0
    assert sql("SELECT stopped_at IS NOT NULL FROM workers")


def test_no_transaction_is_open_while_a_picture_is_made() -> None:
    place()
    worker = start_worker(MOCK_RENDER_SECONDS="60")
    try:
        wait_until(is_rendering, "the job is being rendered")
        time.sleep(0.2)
        idle = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
        assert sql(f"{idle} AND datname = current_database()") == 0
    finally:
        worker.kill()
        worker.wait()


def test_an_order_wakes_a_sleeping_worker_at_once() -> None:
    """With a poll every 60 s, only the notification can bring the job so soon."""
    worker = start_worker(POLL_SECONDS="60")
    try:
        wait_until(lambda: bool(sql("SELECT count(*) FROM workers")), "the worker is online")
        time.sleep(1.5)  # it has polled and sleeps
        placed = time.monotonic()
        place()
        wait_until(lambda: count("completed") == 1, "the job is completed")
        assert time.monotonic() - placed < 2.0
    finally:
        worker.terminate()
        assert worker.wait(10) == 0


def test_a_real_client_sees_its_order_through(client: httpx.Client) -> None:
    worker = start_worker(USE_MOCK_GENERATOR="true")
    try:
        family = client.get("/catalog").json()["families"][0]
        order = {"family_id": family["family_id"], "color_id": family["colors"][0]["color_id"]}
        job = client.post("/generate", json=order).json()
        path = f"/jobs/{job['request_id']}"
        wait_until(lambda: client.get(path).json()["status"] == "completed", "it is completed")
        for image in client.get(path).json()["images"]:
            assert client.get(image["url"]).headers["content-type"] == "image/jpeg"
    finally:
        worker.terminate()
        worker.wait(10)
