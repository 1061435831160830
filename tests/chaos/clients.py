"""Clients: they place orders through the product, repeat what got no answer, and keep the book of
what was attempted and what was acknowledged."""

import datetime
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from uuid import UUID

from models import generations
from models.database import transaction
from models.errors import Conflict, DatabaseUnavailable
from models.generations import Order
from tests.chaos.victim import BAD_ORDER, FATES, POISON

CUTS = tuple(f"corte-{n}" for n in range(1, 9))
BACKLOG = 500  # jobs: orders keep coming while the faults do
COUNTERS = 4  # where orders are placed at the same time: one alone would keep no backlog
POISON_EVERY, BAD_EVERY = 300, 100  # orders
ALL_DIFFERENT = 1_000_000
DEADLINE_SHARE = 0.01
GIVE_UP_SHARE = 0.3  # of orders without an answer: nobody asks again


@dataclass
class Entry:
    """One order in the book."""

    order: Order
    id: UUID | None = None  # acknowledged


@dataclass
class Book:
    """What the clients know: Jepsen's attempted and acknowledged."""

    entries: list[Entry] = field(default_factory=list)

    @property
    def acknowledged(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.id is not None]

    @property
    def jobs(self) -> int:
        return sum(len(entry.order.cuts) for entry in self.acknowledged)


def place_one(noise_seed: int, cuts: Sequence[str] = CUTS[:1]) -> UUID:
    """An order that nothing is known of but its seed and its cuts."""
    order = Order(
        color_id="gris", cuts=cuts, owner="shop", quality="preview", noise_seed=noise_seed
    )
    with transaction() as session:
        return generations.place(session, order)


class Clients(threading.Thread):
    """Place orders for `jobs` jobs, or a few more; `settled`, told from outside, keeps the backlog
    bounded."""

    def __init__(
        self, jobs: int, seed: int, poison: bool, cancel_share: float, different: int
    ) -> None:
        super().__init__(name="clients", daemon=True)
        self.book = Book()
        self.settled = 0
        self.broken: list[str] = []
        self._jobs = jobs
        self._poison = poison
        self._cancel_share = cancel_share
        self._different = different
        self._chance = random.Random(seed)
        self._writing = threading.Lock()  # in the book, one order after the other
        self._stopping = threading.Event()

    def run(self) -> None:
        with ThreadPoolExecutor(COUNTERS) as counters:
            for _ in range(COUNTERS):
                counters.submit(self._serve)

    def _serve(self) -> None:
        try:
            while not self._stopping.is_set() and self.book.jobs < self._jobs:
                if self.book.jobs - self.settled > BACKLOG:
                    time.sleep(0.01)
                else:
                    self._place(self._next_entry())
        except Exception as error:
            self.broken.append(f"a client met {error!r}")
            raise

    def stop(self) -> None:
        self._stopping.set()
        self.join()

    def _next_entry(self) -> Entry:
        with self._writing:
            entry = Entry(self._order(len(self.book.entries) + 1))
            self.book.entries.append(entry)
        return entry

    def _order(self, number: int) -> Order:
        cuts = self._chance.randint(1, len(CUTS))
        fate = self._chance.randrange(POISON) if self._different == ALL_DIFFERENT else 0
        if self._poison and number % POISON_EVERY == 10:
            fate, cuts = POISON, 1
        elif number % BAD_EVERY == 5:
            fate, cuts = BAD_ORDER, 1
        deadline = None
        if self._chance.random() < DEADLINE_SHARE:
            soon = datetime.timedelta(seconds=self._chance.uniform(0.05, 3.0))
            deadline = datetime.datetime.now(datetime.UTC) + soon
        return Order(
            color_id="gris",
            cuts=self._chance.sample(CUTS, cuts),
            owner=f"user:{self._chance.randrange(5)}",
            quality="preview",
            noise_seed=self._chance.randrange(self._different) * FATES + fate,
            idempotency_key=f"order-{number}",
            deadline=deadline,
        )

    def _place(self, entry: Entry) -> None:
        """Ask until it is answered, with the same key, or give up without knowing."""
        while entry.id is None and not self._stopping.is_set():
            try:
                with transaction() as session:
                    id = generations.place(session, entry.order)
                entry.id = id
            except DatabaseUnavailable:
                if self._chance.random() < GIVE_UP_SHARE:
                    return
                time.sleep(0.05)
        if entry.id is not None and self._chance.random() < self._cancel_share:
            self._cancel(entry.id)

    def _cancel(self, id: UUID) -> None:
        try:
            with transaction() as session:
                generations.cancel(session, id)
        except (Conflict, DatabaseUnavailable):
            return
