"""Who may send a call, and when: a call draws from every window of its budgets at once, or waits and holds nothing."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from collector.budget import view
from collector.budget.hold import Hold
from collector.budget.journal import Journal
from collector.budget.limit import Limit, Unit
from collector.budget.line import NOTHING, Draw, Line, Share
from collector.budget.permit import Permit
from collector.budget.pool import Pool
from collector.budget.tally import Tally
from collector.clock import Clock
from collector.model import Outlook, Wait, Window

_PART = 4  # of a limit in items: no more than this is reserved for a call because an answer brought more than it may


@dataclass(frozen=True, slots=True)
class _Source:
    line: Line
    shared: Pool | None
    per_call: int | None
    cost: int

    @property
    def pools(self) -> tuple[Pool, ...]:
        return tuple(pool for pool in (self.line.own, self.shared) if pool and pool.quotas)

    def draw(self, keys: int) -> Draw:
        if not self.line.own.quotas and self.shared is None:
            return NOTHING
        items = self.per_call or keys
        if self.line.brought > items:
            counts = (limit.count for pool in self.pools for limit in pool.limits if limit.unit is Unit.ITEMS)
            most = min(counts, default=0) // _PART  # one odd answer is not to stop the rest
            items = max(items, min(self.line.brought, most))
        return Draw(self.pools, {Unit.CALLS: 1, Unit.ITEMS: items, Unit.UNITS: self.cost})


class Ledger:
    """All budgets of a service. What was sent is on disk before it leaves, so that a kill grants nothing."""

    def __init__(self, journal: Journal, clock: Clock, consumers: int) -> None:
        self.consumers = consumers  # calls in the air at once, over all sources
        self.calls_in_the_air = 0
        self._journal, self._clock = journal, clock
        self._lines: dict[str, Line] = {}  # by identity
        self._pools: dict[str, Pool] = {}  # those that sources share, by name
        self._sources: dict[str, _Source] = {}
        self._slot_queue: dict[Line, None] = {}  # heads that wait for one of `consumers` only, in order
        self._ago = -journal.ahead  # turns the stamps of what was kept into monotonic time

    @classmethod
    def open(cls, path: Path, clock: Clock, consumers: int) -> "Ledger":
        """Takes up what an earlier process left at `path`; StoreError when the file cannot be opened."""
        return cls(Journal(path, clock), clock, consumers)

    def close(self) -> None:
        """Writes what was held back and closes the file."""
        for line in self._lines.values():
            line.tally.close()
        for pool in (*self._pools.values(), *(line.own for line in self._lines.values())):
            for quota in pool.quotas.values():
                quota.tally.close()
        self._journal.close()

    def share(self, name: str, limits: Iterable[Limit]) -> None:
        """Says what a `[budget.NAME]` allows, before the sources that draw from it. Said again it loses no slot."""
        pool = self._pools.get(name)
        if pool is None:
            pool = self._pools[name] = self._pool(name, f"budget:{name}", calls=True)
        self._fit(pool, f"budget:{name}", limits)

    def declare(
        self,
        source: str,
        identity: str,
        limits: tuple[Limit, ...],
        *,
        plain: bool = False,
        budget: str | None = None,
        per_call: int | None = None,
        cost: int = 1,
    ) -> None:
        """Says what a source draws on. Sources of one identity share it, and the strictest limits hold for all of them.

        Said again with other limits it loses no slot, and who waits looks again. A call takes `cost` units and, of
        limits in items, at most `per_call`, or as many as it asks for.
        """
        line = self._lines.get(identity)
        if line is None:
            own = self._pool(source, identity, calls=False)
            line = self._lines[identity] = Line(Tally(self._journal, identity, self._clock), own, self._clock)
        before = self._sources.get(source)
        if before is not None and before.line is not line:
            self.retire(source)
        self._sources[source] = _Source(line, self._pools[budget] if budget else None, per_call, cost)
        line.sources[source] = Share(limits, plain)
        line.brought = 0
        story = self._journal.past.get(identity)
        self._refit(identity, line)
        if story and story.frozen:
            line.restore(story, self._ago)
            story.frozen = None

    def retire(self, source: str) -> None:
        """The source draws no more, and its limits hold no longer for those that stay. No slot is lost."""
        known = self._sources.pop(source, None)
        if known is None:
            return
        line = known.line
        del line.sources[source]
        if line.sources:
            self._refit(next(identity for identity, other in self._lines.items() if other is line), line)

    def resize(self, consumers: int) -> None:
        """Other `consumers`; calls in the air above them finish."""
        self.consumers = consumers
        self._offer_slots()

    async def draw(self, source: str, jobs: int, keys: int = 1) -> Permit:
        """Waits for its turn and a permit for a call that asks for so many keys, however long. StoreBusy, holding
        nothing, while the disk is unwell."""
        known = self._sources[source]
        line = known.line
        if not line.jobs_waiting and (permit := self._at_once(line, known.draw(keys))):
            return permit
        line.jobs_waiting[source] += jobs
        try:
            async with line.turn:
                return await self._granted(source, known, keys)
        finally:
            line.jobs_waiting[source] -= jobs
            if not line.jobs_waiting[source]:
                del line.jobs_waiting[source]

    def waits(self) -> tuple[Wait, ...]:
        """Who waits for a budget, and why; not who waits for one of `consumers`."""
        return view.waits(self._lines.values(), self._clock)

    def windows(self) -> dict[str, tuple[Window, ...]]:
        """Every window as it stands, by its `[budget.NAME]` or the first source that was declared to draw from it."""
        shared = dict.fromkeys(source.shared for source in self._sources.values() if source.shared)
        return view.windows(self._lines.values(), shared, self._clock)

    def outlook(self, source: str) -> Outlook:
        """How fast the calls of a source may go from now on."""
        known = self._sources[source]
        return view.outlook(known.line, known.pools, self._clock)

    def _at_once(self, line: Line, draw: Draw) -> Permit | None:
        """A permit where nobody is before the caller, and nothing holds it."""
        if not self._has_slot(line):
            return None
        if (line.bound or draw.pools) and (not line.pace.fresh() or line.hold(self._clock.mono(), draw)):
            return None
        return self._grant(line, draw)

    async def _granted(self, source: str, known: _Source, keys: int) -> Permit:
        line, draw = known.line, NOTHING
        try:
            while True:
                draw = self._drawn_now(source, known, draw, keys)
                hold = line.hold(self._clock.mono(), draw)
                _line_up(line, draw, hold)
                if hold:
                    self._leave_queue(line)
                    await line.wait(hold.until)
                elif not line.pace.fresh():
                    if not line.pace.at_once():
                        self._leave_queue(line)
                    await line.pace.token()  # look at everything again after it: a freeze may have come
                elif not self._has_slot(line):
                    self._slot_queue.setdefault(line)
                    await line.wait(math.inf)
                else:
                    return self._grant(line, draw)
        finally:
            line.head = None
            _line_up(line, draw, None)
            self._leave_queue(line)

    def _drawn_now(self, source: str, known: _Source, before: Draw, keys: int) -> Draw:
        """What the head of a line takes, which may be declared anew while it waits."""
        latest = self._sources.get(source, known)
        draw = (latest if latest.line is known.line else known).draw(keys)
        for pool in before.pools:
            if pool not in draw.pools:
                pool.leave(known.line)
        known.line.head = draw
        return draw

    def _grant(self, line: Line, draw: Draw) -> Permit:
        """Takes everything that a call needs, in one step; StoreBusy while the journal owes lines that it cannot
        write."""
        if line.tally.counts or draw.pools:
            self._journal.heal()
        self.calls_in_the_air += 1
        line.in_air += 1
        line.pace.spent()
        return Permit(line, draw, self._journal, self._clock, self._over)

    def _has_slot(self, line: Line) -> bool:
        """True when a call may be in the air besides those there are and those of the heads that came before."""
        if self.calls_in_the_air + len(self._slot_queue) < self.consumers:
            return True
        ahead = 0
        for other in self._slot_queue:
            if other is line:
                break
            ahead += 1
        return self.calls_in_the_air + ahead < self.consumers

    def _leave_queue(self, line: Line) -> None:
        if line in self._slot_queue:
            del self._slot_queue[line]
            self._offer_slots()

    def _offer_slots(self) -> None:
        """Wakes those of the queue who find a slot now."""
        for line in islice(self._slot_queue, max(self.consumers - self.calls_in_the_air, 0)):
            line.stir()

    def _over(self, line: Line) -> None:
        """A call is no longer in the air."""
        self.calls_in_the_air -= 1
        line.in_air -= 1
        line.stir()
        if self._slot_queue:
            self._offer_slots()

    def _pool(self, name: str, identity: str, *, calls: bool) -> Pool:
        def tally(unit: Unit) -> Tally:
            return Tally(self._journal, f"{identity}:{unit}", self._clock)

        return Pool(name, tally, self._clock, calls=calls)

    def _fit(self, pool: Pool, identity: str, limits: Iterable[Limit]) -> None:
        stories = {unit: self._journal.past.get(f"{identity}:{unit}") for unit in Unit}
        pool.fit(limits, lambda unit: self._past(f"{identity}:{unit}"))
        story = stories[Unit.CALLS]
        if story and story.frozen and Unit.CALLS in pool.quotas:
            pool.restore(story, self._ago)
            story.frozen = None

    def _past(self, identity: str) -> tuple[tuple[float, int], ...]:
        """What an earlier process sent, in monotonic time."""
        story = self._journal.past.get(identity)
        return tuple((at + self._ago, count) for at, count in story.answers) if story else ()

    def _refit(self, identity: str, line: Line) -> None:
        line.own.name = line.name
        line.fit(self._past(identity))
        declared = (limit for share in line.sources.values() for limit in share.limits)
        self._fit(line.own, identity, (limit for limit in declared if limit.unit is not Unit.CALLS))


def _line_up(line: Line, draw: Draw, hold: Hold | None) -> None:
    """A head waits in one queue at most."""
    for pool in draw.pools:
        if hold and hold.queue is pool:
            pool.line_up(line)
        else:
            pool.leave(line)
