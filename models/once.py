"""A value made at first use and kept: once, also when threads come for it at the same moment.

functools.lru_cache lets two threads that meet an empty cache make two; of two engines one would be
forgotten with its connections open.
"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """Decorates a function without arguments; `cache_clear()` has the next call make it anew."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: list[T] = []
        self._making = threading.RLock()
        self.__doc__ = make.__doc__

    def __call__(self) -> T:
        with self._making:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]

    def cache_clear(self) -> None:
        """Forget what was made; whoever holds it keeps it."""
        with self._making:
            self._made.clear()
