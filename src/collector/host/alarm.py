"""A timer for one thing after the other: set for each of them, and hardly ever in the loop's own list."""

import asyncio
from collections.abc import Callable

_EARLY = 0.001  # seconds by which a loop's timer may be early


class Alarm:
    """Rings at the moment that it was set to last. Where that is put off or dropped the loop's timer stays as it is and
    looks again when it is due: what it is set for mostly ends long before, and a timer for each would cost more."""

    __slots__ = ("_handle", "_ring", "_when")

    def __init__(self, ring: Callable[[], object]) -> None:
        self._ring = ring
        self._when: float | None = None
        self._handle: asyncio.TimerHandle | None = None

    def set(self, when: float | None) -> None:
        """Sets it to a moment in loop time, or to none."""
        self._when = when
        if when is None or (self._handle and self._handle.when() <= when):
            return
        self.close()
        self._handle = asyncio.get_running_loop().call_at(when, self._due)

    def close(self) -> None:
        """Leaves nothing with the loop."""
        if self._handle:
            self._handle.cancel()
            self._handle = None

    def _due(self) -> None:
        when, self._handle = self._when, None
        if when is None:
            return
        loop = asyncio.get_running_loop()
        if loop.time() < when - _EARLY:
            self._handle = loop.call_at(when, self._due)
        else:
            self._when = None
            self._ring()
