"""The circuit breaker of one source: an upstream that is away is probed, not hammered."""

import asyncio
from contextlib import suppress

TRIPS_AT = 5  # failures in a row
MOST_TRIPS = 320
PROBE_EVERY = 5.0  # seconds


class Breaker:
    """Closed: calls go. Open: one probe at most `every` so many seconds goes, and the first good answer closes it."""

    def __init__(self, origin: str, every: float = PROBE_EVERY) -> None:
        self.origin, self._every = origin, every
        self.said = ""  # what the last failure said, for people
        self._failures = 0
        self._trips_at = TRIPS_AT
        self._next_probe = 0.0
        self.closed = True  # calls go freely
        self._closes = asyncio.Event()  # wakes whoever waits for that

    def good(self) -> None:
        """The origin answered as it should: everybody may go."""
        self._failures = 0
        if not self.closed:
            self.closed = True
            self._closes.set()

    def vouched(self) -> None:
        """A control was answered: what failed was to blame itself, so more of its like need not stop the rest."""
        self._trips_at = min(4 * self._trips_at, MOST_TRIPS)

    def fault(self, said: str = "") -> bool:
        """A 5xx, a time-out or a broken connection; True when this one opened the breaker."""
        self._failures, self.said = self._failures + 1, said
        if not self.closed:
            self._trips_at = TRIPS_AT
        if self._failures < self._trips_at or not self.closed:
            return False
        now = asyncio.get_running_loop().time()
        self.closed = False
        self._closes.clear()
        self._next_probe = now + self._every
        return True

    async def passable(self) -> None:
        """Returns when a call may be made ready: the breaker is closed, or a probe is due."""
        loop = asyncio.get_running_loop()
        while not self.closed and (wait := self._next_probe - loop.time()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._closes.wait()

    def claim(self, now: float | None = None) -> bool:
        """True when a call may leave now, in loop time; while open, the one that gets True is the probe."""
        if self.closed:
            return True
        now = asyncio.get_running_loop().time() if now is None else now
        if now < self._next_probe:
            return False
        self._next_probe = now + self._every
        return True
