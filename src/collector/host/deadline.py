"""A time-out that stands still while whoever it is for waits for us."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Deadline:
    """Over an `asyncio.timeout`."""

    def __init__(self, timer: asyncio.Timeout) -> None:
        self._timer, self._waiting, self._left = timer, 0, 0.0
        self.over = False

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It stands still in here."""
        clock = asyncio.get_running_loop().time
        if not self._waiting and not self.over and (when := self._timer.when()) is not None:
            self._left = when - clock()
            self._timer.reschedule(None)
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1
            if not self._waiting and not self.over:
                self._timer.reschedule(clock() + self._left)
