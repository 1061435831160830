"""The bell: sleeps until an order arrives, a stop signal comes, or the time is up.

Orders ring through NOTIFY on a direct connection. Without one (behind a pooler, or while the
database is away) only the clock rings: that costs speed, never an order.
"""

import contextlib
import logging
import select
import signal
import socket
import time

from models.database import Listener, is_pooled
from models.errors import DatabaseUnavailable
from models.queue import CHANNEL
from models.settings import settings

log = logging.getLogger(__name__)
RECONNECT_SECONDS = 10.0


class Bell:
    """One per process, made in the main thread: it takes over the signal wake-up descriptor."""

    def __init__(self) -> None:
        self._signal_in, signal_out = socket.socketpair()
        self._signal_in.setblocking(False)
        signal_out.setblocking(False)
        signal.set_wakeup_fd(signal_out.fileno(), warn_on_full_buffer=False)
        self._signal_out = signal_out
        self._listener: Listener | None = None
        self._tried_at = -RECONNECT_SECONDS

    def listen(self) -> None:
        """Connect if that is possible and not done; must come before the poll that finds nothing,
        so that no order falls between the two."""
        can_listen = not is_pooled() or settings().database_direct_url is not None
        due = time.monotonic() - self._tried_at >= RECONNECT_SECONDS
        if self._listener is None and can_listen and due:
            self._tried_at = time.monotonic()
            try:
                self._listener = Listener(CHANNEL)
            except DatabaseUnavailable:
                log.warning("no listener; polling only", exc_info=True)

    def wait(self, seconds: float) -> None:
        """Return when something rang, or after this many seconds."""
        sources: list[socket.socket | Listener] = [
            self._signal_in,
            *([self._listener] if self._listener else []),
        ]
        try:
            ready, _, _ = select.select(sources, [], [], seconds)
            if self._listener in ready and self._listener is not None:
                self._listener.drain()
        except (DatabaseUnavailable, ValueError, OSError):
            log.warning("listener lost; polling until it is back", exc_info=True)
            self._drop_listener()
        with contextlib.suppress(BlockingIOError):
            self._signal_in.recv(4096)

    def close(self) -> None:
        signal.set_wakeup_fd(-1)
        self._drop_listener()
        self._signal_in.close()
        self._signal_out.close()

    def _drop_listener(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
