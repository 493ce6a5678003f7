"""Asking again, with longer and longer pauses."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import TypeVar

from mitozoo.serving.client_errors import Passing, ServerGone

#: Tries of one request, and the pause before the second; it doubles, up to the longest.
TRIES = 5
PAUSE_S, LONGEST_PAUSE_S = 0.5, 8.0

Answer = TypeVar("Answer")


class Patience:
    """How often a server is asked. Once one request has found it gone, the others do not wait for it any more."""

    def __init__(self, address: str, tries: int = TRIES, pause_s: float = PAUSE_S) -> None:
        """Args: address, for messages; tries of one request; pause_s before the second."""
        self.address, self.tries, self.pause_s = address, tries, pause_s
        self._gone = threading.Event()

    def ask(self, request: Callable[[], Answer]) -> Answer:
        """Call `request` until it does not raise Passing.

        Raises: ServerGone after the last try; what else it raises.
        """
        for number in range(self.tries):
            if self._gone.is_set():
                break
            try:
                return request()
            except Passing as error:
                reason = str(error)
            if number + 1 < self.tries:
                pause = min(self.pause_s * 2**number, LONGEST_PAUSE_S)
                # Clients that were refused together must not come back together.
                self._gone.wait(pause * random.uniform(0.5, 1.0))
            else:
                self._gone.set()
                raise ServerGone(f"The server at {self.address} does not answer: {reason}.")
        raise ServerGone(f"The server at {self.address} does not answer.")

    def give_up(self) -> None:
        """End all waiting."""
        self._gone.set()
