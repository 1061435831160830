"""A TCP proxy before PostgreSQL that reads the protocol just enough to break it at a bad moment.

A connection can be cut before the server sees a COMMIT, after the server did it and before the
client hears of it, or while nobody knows; and one client's link can be slow, or go silent and come
back. Both sockets are closed when it cuts: a half-open one would keep row locks.
"""

import asyncio
import random
import struct
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Literal, Self

Cut = Literal["before", "after", "unknown"]
CUTS: tuple[Cut, ...] = ("before", "after", "unknown")
COMMIT, BEGIN = b"COMMIT", b"BEGIN"
QUERY, SYNC, READY = b"Q", b"S", b"Z"  # message types
IDLE = b"I"  # the transaction status in READY: what comes next commits by itself
CHUNK_BYTES = 65536


class Messages:
    """Splits one direction of a connection into the protocol's messages."""

    def __init__(self, has_startup: bool) -> None:
        self._rest = b""
        self._in_startup = has_startup

    def feed(self, data: bytes) -> list[bytes]:
        self._rest += data
        whole = []
        while (size := self._size()) is not None and len(self._rest) >= size:
            whole.append(self._rest[:size])
            self._rest = self._rest[size:]
            self._in_startup = False
        return whole

    def _size(self) -> int | None:
        """The startup message has no type byte; every other has one before its length."""
        at = 0 if self._in_startup else 1
        if len(self._rest) < at + 4:
            return None
        length: int = struct.unpack_from("!i", self._rest, at)[0]
        return at + length


def application_name(startup: bytes) -> str:
    """Whose connection it is: the client says so in its startup message."""
    words = startup[8:].split(b"\0")
    pairs = dict(zip(words[::2], words[1::2], strict=False))
    return pairs.get(b"application_name", b"").decode()


class Proxy:
    """Runs in a thread of its own; its knobs may be turned from any thread while it runs."""

    def __init__(self, server_port: int, seed: int) -> None:
        self.cut_share = 0.0  # of all COMMITs
        self.cut_kinds = CUTS
        self.delay_seconds: dict[str, float] = {}  # by application name, for each chunk
        self.silent: set[str] = set()  # application names whose bytes stand still
        self.cuts: Counter[str] = Counter()
        self.commits = 0
        self.port = 0
        self._server_port = server_port
        self._random = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._links: set[_Link] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self._is_closing = False
        self._stop = asyncio.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._listening.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._stop.wait()
        server.close()
        self._is_closing = True
        while self._open:
            for writer in list(self._open):
                writer.transport.abort()
            await asyncio.sleep(0.01)

    async def _connection(
        self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter
    ) -> None:
        try:
            server_in, server_out = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:  # the server is down: the client sees a closed connection
            client_out.transport.abort()
            return
        self._open |= {client_out, server_out}
        link = _Link(self, client_out, server_out)
        self._links.add(link)
        ways = [
            asyncio.ensure_future(_pump(client_in, link.from_client)),
            asyncio.ensure_future(_pump(server_in, link.from_server)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        client_out.transport.abort()
        server_out.transport.abort()
        self._open -= {client_out, server_out}
        self._links.remove(link)

    def freeze(self, name: str) -> None:
        """This client's present connections stay open and never say anything again."""
        for link in list(self._links):
            link.is_frozen |= link.name == name

    async def hold_back(self, link: "_Link") -> None:
        """Wait as long as this link is slow, silent or frozen."""
        if delay := self.delay_seconds.get(link.name):
            await asyncio.sleep(delay)
        while (link.name in self.silent or link.is_frozen) and not self._is_closing:
            await asyncio.sleep(0.02)

    def choose_cut(self) -> Cut | None:
        """What happens to the COMMIT that just came."""
        self.commits += 1
        if self._random.random() >= self.cut_share:
            return None
        return self._random.choice(self.cut_kinds)


class _Link:
    """One client's connection."""

    def __init__(
        self, proxy: Proxy, client: asyncio.StreamWriter, server: asyncio.StreamWriter
    ) -> None:
        self.name = ""
        self.is_frozen = False
        self._proxy = proxy
        self._client = client
        self._server = server
        self._asked = Messages(has_startup=True)
        self._answered = Messages(has_startup=False)
        self._status = b""  # of the transaction, when the server was last ready
        self._commits_unheard = False  # cut as soon as the server has done it

    async def from_client(self, data: bytes) -> None:
        """Pass on what the client sent. Raises ConnectionError to cut the connection."""
        for message in self._asked.feed(data):
            if message[:1] == b"\0" and not self.name:
                self.name = application_name(message)
            cut = self._proxy.choose_cut() if self._commits(message) else None
            await self._proxy.hold_back(self)
            if cut is not None:
                self._proxy.cuts[cut] += 1
            if cut == "before":
                raise ConnectionResetError
            self._commits_unheard = cut == "after"
            self._server.write(message)
            if cut == "unknown":
                await self._server.drain()
                raise ConnectionResetError
        await self._server.drain()

    def _commits(self, message: bytes) -> bool:
        """True for a COMMIT, and for a statement by itself outside of a transaction."""
        kind, words = message[:1], message[5:].upper()
        if kind == QUERY:
            return words.startswith(COMMIT) or (
                self._status == IDLE and not words.startswith(BEGIN)
            )
        return kind == SYNC and self._status == IDLE

    async def from_server(self, data: bytes) -> None:
        """Pass on what the server answered, unless the client must not hear it."""
        ready = [message for message in self._answered.feed(data) if message[:1] == READY]
        if self._commits_unheard:
            if ready:
                raise ConnectionResetError
            return
        self._status = ready[-1][5:6] if ready else self._status
        await self._proxy.hold_back(self)
        self._client.write(data)
        await self._client.drain()


async def _pump(source: asyncio.StreamReader, sink: Callable[[bytes], Awaitable[None]]) -> None:
    """Until the source ends or the sink cuts."""
    try:
        while data := await source.read(CHUNK_BYTES):
            await sink(data)
    except ConnectionError:
        return
