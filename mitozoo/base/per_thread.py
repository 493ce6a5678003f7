"""One thing for each thread, such as an open file or a connection, and all of them closed together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerThread(Generic[T]):
    """Makes one for each thread that asks. After `close` it makes new ones for those who ask again."""

    def __init__(self, make: Callable[[], T], close: Callable[[T], None]) -> None:
        """Prepare. Args: make, called once in every thread; close, called for each in any thread."""
        self._make, self._close = make, close
        self._own = threading.local()
        self._all: list[T] = []
        self._lock = threading.Lock()

    def get(self) -> T:
        """This thread's."""
        own = self._own  # `close` puts another in its place, maybe now.
        if not hasattr(own, "thing"):
            thing = self._make()
            with self._lock:
                self._all.append(thing)
            own.thing = thing
        found: T = own.thing
        return found

    def drop(self) -> None:
        """Close this thread's, if it has one, and make another when it is asked for."""
        own = self._own
        if hasattr(own, "thing"):
            thing = own.thing
            del own.thing
            with self._lock:
                self._all = [other for other in self._all if other is not thing]
            self._close(thing)

    def close(self) -> None:
        """Close those of all threads."""
        with self._lock:
            things, self._all = self._all, []
            self._own = threading.local()
        for thing in things:
            self._close(thing)
