"""The actor that keeps a diary: a line of the log a window for each source, and the course of each minute."""

import asyncio
from collections.abc import Callable, Mapping

import msgspec
import structlog

from collector.budget.limit import Limit
from collector.clock import Clock
from collector.dispatch.course import Course
from collector.dispatch.dispatcher import Dispatcher
from collector.model import Tally, Why
from collector.sources.spec import Spec
from collector.store.store import Store

EVERY = 60.0  # seconds; windows that are shorter share a line
LONGEST = 3600.0  # seconds; a longer window has several
WITHOUT = 900.0  # seconds from line to line of a source without a limit

log = structlog.get_logger()


class Diary:
    """Says nothing of a source that did nothing."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        store: Store,
        specs: Callable[[], Mapping[str, Spec]],
        time: Callable[[], Mapping[str, Mapping[Why, float]]],
        course: Course,
        clock: Clock,
    ) -> None:
        self._dispatcher, self._store, self._specs, self._time, self._clock = dispatcher, store, specs, time, clock
        self._course = course
        self._before: dict[str, tuple[float, Tally, Mapping[Why, float]]] = {}
        self.look()

    async def run(self) -> None:
        """Looks until it is cancelled."""
        while True:
            await asyncio.sleep(EVERY - self._clock.wall() % EVERY)  # to the end of the minute
            self.look()
            await self._course.note()

    async def close(self) -> None:
        """The last look and the last minute."""
        self.look(last=True)
        await self._course.note()

    def look(self, *, last: bool = False) -> None:
        """Tells of every source whose window is over; of the last ones, all."""
        now, specs, spent = self._clock.mono(), self._specs(), self._time()
        for name, tally in self._dispatcher.tallies().items():
            began, before, time = self._before.get(name, (now, Tally(), spent.get(name, {})))
            period = window(specs[name].limit) if name in specs else EVERY
            # A look comes a little early or late.
            if name not in self._before or last or now - began > period - EVERY / 2:
                self._tell(name, now - began, tally - before, _between(time, spent.get(name, {})))
                self._before[name] = (now, tally, dict(spent.get(name, {})))

    def _tell(self, name: str, seconds: float, did: Tally, time: Mapping[str, float]) -> None:
        if not did.calls:
            return
        owed = sum(self._store.books.open_in(batch.id) for batch in self._store.batches.open_of(name))
        facts = {key: count for key, count in msgspec.structs.asdict(did).items() if count and key != "size"}
        log.info(
            "window_passed", source=name, seconds=round(seconds, 1), calls=did.calls, **facts, open=owed, time=time
        )


def window(limits: tuple[Limit, ...]) -> float:
    """How long a source does without a line, in seconds: the longest of its windows, within reason."""
    longest = max((limit.seconds for limit in limits if limit.seconds <= LONGEST), default=0.0)
    return max(longest, EVERY) if longest else LONGEST if limits else WITHOUT


def _between(before: Mapping[Why, float], now: Mapping[Why, float]) -> dict[str, float]:
    """What the time went into, in seconds; what took next to none is left out."""
    spent = {why.value: round(now[why] - before.get(why, 0.0), 1) for why in now}
    return {why: seconds for why, seconds in spent.items() if seconds > 0}
