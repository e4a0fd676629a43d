"""What the service did in each minute of the last day: in memory for the charts, and in the table `minutes`."""

from collections import deque
from collections.abc import Callable, Mapping

import structlog

from collector.clock import Clock
from collector.errors import StoreBusy
from collector.model import Tally
from collector.store.minutes import Minute, Minutes

MINUTE, DAY = 60, 86_400  # seconds
_MOST_UNWRITTEN = 20_000  # minutes of sources, while the disk is unwell

log = structlog.get_logger()


class Course:
    """Counts by the tallies, which no call pays for."""

    def __init__(self, minutes: Minutes, tallies: Callable[[], Mapping[str, Tally]], clock: Clock) -> None:
        self._table, self._tallies, self._clock = minutes, tallies, clock
        self._before: Mapping[str, Tally] = dict(tallies())
        self._did: dict[int, Tally] = {}  # by minute, of all sources
        self._unwritten: deque[Minute] = deque(maxlen=_MOST_UNWRITTEN)
        self._trouble = False

    async def load(self) -> None:
        """Reads the last day; once, at the start."""
        for at, outcome, number in await self._table.since(self._clock.wall() - DAY):
            self._did[at] = self._did.get(at, Tally()) + Tally(**{outcome: number})

    def recent(self) -> dict[int, Tally]:
        """What was done, by the beginning of its minute, this one included."""
        at = self._minute()
        now = sum((minute.did for minute in self._since(at)), self._did.get(at, Tally()))
        return self._did | {at: now}

    async def note(self) -> None:
        """What was done since the last note belongs to the minute that is at its end."""
        at = self._minute()
        done, self._before = self._since(at), dict(self._tallies())
        for minute in done:
            self._did[at] = self._did.get(at, Tally()) + minute.did
        self._did = {minute: did for minute, did in self._did.items() if at - DAY <= minute}
        self._unwritten.extend(done)
        await self._write()

    def _minute(self) -> int:
        # A second ago, since a note comes a little after the end of its minute.
        return int((self._clock.wall() - 1) // MINUTE) * MINUTE

    def _since(self, at: int) -> list[Minute]:
        did = {name: tally - self._before.get(name, Tally()) for name, tally in self._tallies().items()}
        return [Minute(at, name, tally) for name, tally in did.items() if tally != Tally()]

    async def _write(self) -> None:
        """A minute in which nothing was done costs no commit."""
        try:
            if self._unwritten:
                await self._table.add(self._unwritten, self._clock.wall())
                self._unwritten.clear()
        except StoreBusy as error:
            if not self._trouble:
                log.warning("minutes_not_written", why=str(error))
            self._trouble = True
        else:
            self._trouble = False
