"""Polls: many clients ask how their orders are, all the time, and one statement can tell them all.

Who asks while a read is under way waits for the next one and shares it with all who do. Nothing is
kept: every answer was read after it was asked for. A poll costs no thread and no connection of its
own, and the busier it gets, the more of them share a statement.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, Protocol, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

from models import database
from models.database import Session
from models.errors import NotFound, StylistError

MOST = 100  # orders in one statement: it stays quick for those that wait for the next


class OfOrder(Protocol):
    """What can be read of an order: it says of which."""

    @property
    def id(self) -> UUID: ...


Found = TypeVar("Found", bound=OfOrder)
Asked = list[tuple[UUID, asyncio.Future[Found | None]]]


class Together(Generic[Found]):
    """`await together.find(id)` is what `read(session, [id, ...])` finds for it.

    `read` runs in a thread, one at a time for each event loop. Raises what it raises."""

    def __init__(self, read: Callable[[Session, Sequence[UUID]], Iterable[Found]]) -> None:
        self._read = read
        self._asked: WeakKeyDictionary[asyncio.AbstractEventLoop, Asked[Found]]
        self._asked = WeakKeyDictionary()  # of each loop in which a read is under way
        self._readers: set[asyncio.Task[None]] = set()  # a loop alone does not keep its tasks

    async def get(self, id: UUID) -> Found:
        """Raises NotFound."""
        if (found := await self.find(id)) is None:
            raise NotFound("No existe ese pedido.")
        return found

    async def find(self, id: UUID) -> Found | None:
        answer: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()
        self._asked_here().append((id, answer))
        return await answer

    def _asked_here(self) -> Asked[Found]:
        """The list that the next read starts from; somebody is reading, or about to."""
        loop = asyncio.get_running_loop()
        if loop not in self._asked:
            self._asked[loop] = []
            reader = loop.create_task(self._answer_all(loop))
            self._readers.add(reader)
            reader.add_done_callback(self._readers.discard)
        return self._asked[loop]

    async def _answer_all(self, loop: asyncio.AbstractEventLoop) -> None:
        """Until nobody asks any more."""
        asked = self._asked[loop]
        try:
            while asked:
                batch = asked[:MOST]
                del asked[:MOST]
                await self._answer(batch)
        finally:
            del self._asked[loop]

    async def _answer(self, batch: Asked[Found]) -> None:
        try:
            found = await asyncio.to_thread(self._found, {id for id, _ in batch})
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, StylistError):
                for one in batch:  # what breaks for one order must not break the others
                    await self._answer([one])
            for _, answer in _unanswered(batch):
                answer.set_exception(error)
        else:
            for id, answer in _unanswered(batch):
                answer.set_result(found.get(id))

    def _found(self, ids: set[UUID]) -> dict[UUID, Found]:
        with database.reading() as session:
            return {one.id: one for one in self._read(session, list(ids))}


def _unanswered(batch: Asked[Found]) -> Asked[Found]:
    """Without those whose client went away."""
    return [(id, answer) for id, answer in batch if not answer.done()]
