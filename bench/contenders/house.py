"""Ours: models.queue as the API and the worker call it, without pictures. Two engines and fifty
owners: affinity and fair share are at work. The results of equal orders are not shared: the others
have nothing like it."""

import time
from uuid import UUID, uuid4

from sqlalchemy import text

from bench.contenders.line import PAYLOAD_BYTES, run, say_finished, wait_for_start
from models import queue
from models.database import one_statement, transaction
from models.letter import Letter

FINISHED = "SELECT count(*), max(settled_at) FROM jobs WHERE status = 'completed'"
OWNERS, ENGINES, LEASE_SECONDS = 50, ("drape", "mock"), 15.0
EXPIRE_SECONDS = 1.0
WORKER = "workshop-1-30211-5f0c2ab1"  # as long as real names are
MAKE = text("""
INSERT INTO generations (id, owner, family_id, color_id, fabric_name, fabric_hex, uploaded_swatch,
                         cuts, quality, noise_seed)
SELECT gen_random_uuid(), 'owner', 'f', 'c', 'x', '#000000', false, '{recto}', 'preview', 1
  FROM generate_series(1, :count)
RETURNING id
""")


def a_letter() -> Letter:
    bare = Letter(
        cut="recto",
        look="recto",
        look_version="0" * 16,
        width_px=1024,
        height_px=1536,
        stage="draft",
        fabric_hex="#1B2440",
        swatch_sha256="0" * 64,
        swatch_kind="tile",
        noise_seed=1,
    )
    missing = PAYLOAD_BYTES - len(bare.model_dump_json())
    return bare.model_copy(update={"swatch_key": "x" * missing})


def a_job(number: int, generation_id: UUID, letter: Letter) -> queue.NewJob:
    return queue.NewJob(
        generation_id=generation_id,
        owner=f"user:{number % OWNERS}",
        engine=ENGINES[number % len(ENGINES)],
        letter=letter,
        fingerprint="0" * 32,
        max_attempts=3,
        priority=queue.PRIORITY["draft"],
        expected_seconds=0.05,
    )


def an_image(held: queue.Claim) -> queue.NewImage:
    return queue.NewImage(
        object_key=f"renders/{held.job_id}/{held.claim}.jpg",
        content_type="image/jpeg",
        size_bytes=250_000,
        sha256="0" * 64,
        width_px=1024,
        height_px=1536,
        noise_seed=1,
        engine=held.engine,
        engine_version="1",
        recipe={"resolution": "full"},
        degraded=[],
        timings_ms={"load": 1.0, "render": 30.0, "total": 60.0},
        watermarked=True,
    )


def install(url: str) -> None:
    """The migrations made the tables already."""


def enqueue(url: str, count: int) -> None:
    """An order's own row belongs to the product: it is there before the clock starts."""
    letter = a_letter()
    with transaction() as session:
        generations = session.scalars(MAKE, {"count": count}).all()
    wait_for_start()
    for number, generation_id in enumerate(generations):
        with one_statement() as session:
            queue.enqueue(session, [a_job(number, generation_id, letter)])
    say_finished()


def work(url: str) -> None:
    """The statements of worker/loop.py, in its order; the picture is there at once."""
    worker, warm, expired_at = f"bench-{uuid4()}", None, 0.0
    queue_is_empty = False
    wait_for_start()
    while not queue_is_empty:
        if time.monotonic() - expired_at >= EXPIRE_SECONDS:
            with transaction() as session:
                queue.expire(session)
            expired_at = time.monotonic()
        with one_statement() as session:
            held = queue.claim(session, queue.Claimant(worker, ENGINES, LEASE_SECONDS, warm=warm))
        if held is not None:
            warm = held.engine
            with one_statement() as session:
                queue.complete(session, held, an_image(held))
        queue_is_empty = held is None
    say_finished()


def render(url: str, count: int, beats: int) -> None:
    letter = a_letter()
    with transaction() as session:
        generations = session.scalars(MAKE, {"count": count}).all()
    for number, generation_id in enumerate(generations):
        with one_statement() as session:
            queue.enqueue(session, [a_job(number, generation_id, letter)])
        with one_statement() as session:
            held = queue.claim(session, queue.Claimant(WORKER, ENGINES, LEASE_SECONDS))
        assert held is not None
        for beat in range(beats):
            with one_statement() as session:
                queue.renew(session, held, LEASE_SECONDS, 100 * beat // beats)
        with one_statement() as session:
            queue.complete(session, held, an_image(held))


if __name__ == "__main__":
    run({"install": install, "enqueue": enqueue, "work": work, "render": render})
