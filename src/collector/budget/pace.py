"""The pace of the calls of one line: evenly spread, since a server may refill its window gradually."""

import asyncio

from aiolimiter import AsyncLimiter

from collector.budget.limit import Limit
from collector.clock import Clock

HOUR = 3600.0
_STEADY = 0.01  # a smaller change of pace is not worth a new limiter
_LATE = 0.01  # by which a timer of a busy loop is late
_SHARE = 1 / 8  # of a new round trip in the average
_MOST = 3.0
_SPARE, _SPARE_SHARE = 0.3, 0.015  # slots that no call is sent for: so many, or that share of the window


def interval(limit: Limit, round_trip: float) -> float:
    """Seconds from one call to the next; 0 without a pace.

    Calls so spaced never meet a spent log: a slot comes back one round trip late, and a third of a slot is left over
    for timers and for counters that slide; of few slots less. A window of one call has its log alone to space it, and
    one of more than an hour is a plain counter.
    """
    if limit.count == 1 or limit.seconds > HOUR:
        return 0.0
    spare = min(_SPARE, _SPARE_SHARE * limit.count)
    return limit.seconds / (limit.count - min(1.0, round_trip * limit.count / limit.seconds + spare))


class Pace:
    """Hands out one token after the other; only the head of a line asks, so there is one asker at a time.

    A token stays with the line when its asker is cancelled, and is stale once the next could be had.
    """

    def __init__(self, clock: Clock) -> None:
        self.round_trip = 0.0
        self.margin = 1.0
        self._clock = clock
        self._limits: tuple[Limit, ...] = ()
        self._limiter: AsyncLimiter | None = None
        self._made_for = 0.0  # the pace that the limiter has
        self._token_at: float | None = None
        self._patience: asyncio.Timeout | None = None  # of the asker that waits now
        self._asked_at = 0.0
        self._clean = 0  # answers since the margin changed
        self._every: float | None = 0.0  # None where something that it depends on has changed

    @property
    def every(self) -> float:
        """Seconds from one call to the next: that of the slowest window."""
        if self._every is None:
            slowest = max((interval(limit, self.round_trip) for limit in self._limits), default=0.0)
            self._every = slowest * self.margin
        return self._every

    @property
    def _patient(self) -> int:
        """Clean answers that earn a smaller margin: two windows of the one that sets the pace."""
        return 2 * max(self._limits, key=lambda limit: interval(limit, self.round_trip)).count

    @property
    def due_at(self) -> float:
        """When the token that is waited for comes, at the latest."""
        return self._asked_at + self._made_for

    def fit(self, limits: tuple[Limit, ...]) -> None:
        """Takes up other limits, for the one who waits now too."""
        if limits == self._limits:
            return
        self._limits, self._every = limits, None
        if self._patience:
            self._patience.reschedule(asyncio.get_running_loop().time())
            self._patience = None

    def fresh(self) -> bool:
        """True when a call may go now as far as the pace has a say."""
        every = self.every
        return not every or (self._token_at is not None and self._clock.mono() - self._token_at < every)

    def at_once(self) -> bool:
        """True when `token` will not wait."""
        return self._limiter is None or self._limiter.has_capacity(1)

    async def token(self) -> None:
        """Waits for the next token, or until other limits came: look at `fresh` again."""
        limiter = await self._made()
        self._asked_at = self._clock.mono()
        try:
            async with asyncio.timeout(None) as self._patience:
                await limiter.acquire()
                self._token_at = self._clock.mono()
        except TimeoutError:
            pass  # other limits came; nobody else sets a deadline here
        finally:
            self._patience = None

    def spent(self) -> None:
        """A call went with the token."""
        self._token_at = None

    def came_back(self, round_trip: float) -> None:
        """An answer took that long."""
        old = self.round_trip
        self.round_trip = old + (round_trip - old) * _SHARE if old else round_trip
        self._every = None

    def clean(self) -> None:
        """An answer that was no 429."""
        self._clean += 1
        if self.margin > 1.0 and self._limits and self._clean >= self._patient:
            self._clean, self.margin, self._every = 0, max(1.0, self.margin * 0.98), None

    def refused(self) -> None:
        """A 429 although our own log had room: go slower."""
        self._clean, self.margin, self._every = 0, min(_MOST, self.margin * 1.03), None

    async def _made(self) -> AsyncLimiter:
        """The limiter for the pace as it is now: its rate is fixed when it is made, so another pace is another one."""
        every = self.every
        old = self._limiter
        if old is not None and abs(every - self._made_for) <= _STEADY * self._made_for:
            return old
        # One call goes at once, and the half token above it makes up for late timers; at a fast pace, as many as one
        # late timer covers. Where the old one had none to give, the new one gives none before a whole interval either.
        room = max(1.5, 0.5 + _LATE / every)
        self._limiter, self._made_for = AsyncLimiter(room, room * every), every
        await self._limiter.acquire(room - 1 if old is None or old.has_capacity(1) else room)
        return self._limiter
