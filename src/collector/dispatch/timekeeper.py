"""The actor that books where the time of each source goes. It looks; no call ever tells it anything."""

import asyncio
from random import Random

import structlog

from collector.budget.ledger import Ledger
from collector.clock import Clock
from collector.dispatch.account import Account
from collector.dispatch.dispatcher import Dispatcher
from collector.dispatch.sight import sights, why
from collector.errors import StoreBusy
from collector.model import BatchId, Why
from collector.store.hours import Kept
from collector.store.store import Store

# Seconds from look to look: at random, since at even steps it would always meet an evenly paced source alike. Of one
# that is in the air for a fifth of each 250 ms even steps saw 0 to 100 % of an hour, these 19.4 to 20.5 %.
SOONEST, LATEST = 0.15, 0.35
IDLE = 3  # times as long where there is nothing to do, which may last for months
WRITE_EVERY = 10.0  # seconds; what a kill leaves unwritten is counted as off
WRITE_IDLE_EVERY = 60.0  # a service that has nothing to do leaves the disk alone
SET = 1_000  # milliseconds by which the clocks must part to say that somebody set the wall clock

log = structlog.get_logger()


class Timekeeper:
    """Adds the time since its last look to what each source does now; lengths by the monotonic clock."""

    def __init__(self, kept: Kept, store: Store, dispatcher: Dispatcher, ledger: Ledger, clock: Clock) -> None:
        self._store, self._dispatcher, self._ledger, self._clock = store, dispatcher, ledger, clock
        self._account = Account(kept)
        self._random = Random()  # noqa: S311 - for jitter
        self._ago = clock.wall() - clock.mono()  # turns monotonic time into wall time
        self._written_at = float("-inf")  # loop time; the first look is written at once, with the gap before it
        self._trouble = False
        self._idle = True
        self.look()

    async def run(self) -> None:
        """Looks and writes until it is cancelled."""
        while True:
            self.look()
            every = WRITE_IDLE_EVERY if self._idle else WRITE_EVERY
            if self._clock.mono() - self._written_at >= every:
                await self.write()
            await asyncio.sleep(self._random.uniform(SOONEST, LATEST) * (IDLE if self._idle else 1))

    def look(self) -> None:
        """Brings the account up to now."""
        now = self._now()
        whys = {name: why(sight) for name, sight in sights(self._store, self._dispatcher, self._ledger).items()}
        self._account.look(now, whys)
        self._idle = all(reason is Why.IDLE for reason in whys.values())
        self._account.follow([*self._store.batches.ongoing(), *self._store.batches.to_write()])

    async def write(self) -> None:
        """Makes the account durable; while the disk is unwell it is kept in memory, and written later."""
        self._written_at = self._clock.mono()
        entries = self._account.entries()
        try:
            await self._store.hours.add(entries, lambda: self._account.written(entries))
        except StoreBusy as error:
            if not self._trouble:
                log.warning("hours_not_written", why=str(error))
            self._trouble = True
        else:
            if self._trouble:
                log.warning("hours_written_again")
            self._trouble = False

    async def close(self) -> None:
        """The last look and the last write."""
        self.look()
        await self.write()

    def totals(self) -> dict[str, dict[Why, float]]:
        """Seconds by source, since the account of each began, as of the last look."""
        return {source: _seconds(spent) for source, spent in self._account.totals().items()}

    def spent(self, batch: BatchId) -> dict[Why, float]:
        """Seconds of its source between the taking in and the end of a batch; empty when not known."""
        self.look()  # it may have ended a moment ago
        return _seconds(self._account.spent(batch))

    def _now(self) -> int:
        """Wall time in milliseconds that goes as the monotonic clock goes, but for a wall clock that was set."""
        mono = self._clock.mono()
        now, wall = round((mono + self._ago) * 1000), round(self._clock.wall() * 1000)
        if abs(wall - now) > SET:
            self._ago += (wall - now) / 1000
            moved = round((mono + self._ago) * 1000)
            self._account.set_clock(moved - now)
            now = moved
        return now


def _seconds(spent: dict[Why, int]) -> dict[Why, float]:
    return {reason: milli / 1000 for reason, milli in spent.items()}
