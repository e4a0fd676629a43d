"""Limits that are plain counters: those in items and units, and every `[budget.NAME]`, which several sources share."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeAlias

from collector.budget.freeze import Freeze
from collector.budget.headers import Said
from collector.budget.hold import Hold, Waiter
from collector.budget.journal import Story
from collector.budget.limit import Limit, Unit, strictest
from collector.budget.tally import Tally
from collector.budget.window import OwnLog, Past, ends, inherited, memory
from collector.clock import Clock

Need: TypeAlias = Mapping[Unit, int]  # the most that one call takes of each unit


class Quota:
    """What a pool counts of one unit, in all the windows that it has for it."""

    def __init__(self, tally: Tally, clock: Clock) -> None:
        self.logs: tuple[OwnLog, ...] = ()
        self.tally = tally
        self._clock = clock
        self._in_air = 0  # slots drawn, and neither given back nor settled
        self._memory: OwnLog | None = None

    @property
    def _all(self) -> Iterable[OwnLog]:
        return (*self.logs, self._memory) if self._memory else self.logs

    def fit(self, limits: tuple[Limit, ...], past: Past, horizon: float) -> None:
        """Takes up other limits, or none for now. No slot of the last `horizon` seconds is lost; what was before the
        first windows comes from `past`."""
        known = self._all
        self.logs = tuple(
            OwnLog(limit, inherited(limit, known, past), self._in_air, ends(limit, self._clock)) for limit in limits
        )
        if self._memory is None or self._memory.limit.seconds < horizon:
            self._memory = memory(horizon, inherited(Limit(1, horizon), known, past), self._in_air)
        self.tally.fit(limits, horizon)

    def hold(self, now: float, slots: int) -> tuple[float, str]:
        """When so many slots are free in every window, and the window that is the last to have them."""
        return max(((log.free_at(now, slots), str(log.limit)) for log in self.logs), default=(now, ""))

    def take(self, slots: int) -> None:
        """Draws from every window."""
        self._in_air += slots
        for log in self._all:
            log.take(slots)

    def give_back(self, slots: int) -> None:
        """Drawn slots were never sent."""
        self._in_air -= slots
        for log in self._all:
            log.give_back(slots)

    def settle(self, reserved: int, used: int, *, counted: bool) -> None:
        """A sent call is over; `counted` where the journal knows of it."""
        now = self._clock.mono()
        self._in_air -= reserved
        for log in self._all:
            log.answered(now, reserved, used)
        if counted:
            self.tally.answered(reserved, used)


class Taken(NamedTuple):
    """What a call reserved of one quota."""

    quota: Quota
    unit: Unit
    slots: int


class Pool:
    """Go while what is used and reserved leaves room in every window: never paced, never scouted.

    Who waits for it is served in the order of coming; who waits for something else besides stands in nobody's way.
    """

    def __init__(self, name: str, tallies: Callable[[Unit], Tally], clock: Clock, *, calls: bool) -> None:
        self.name = name  # under which status shows it
        self._calls = calls  # counts calls even while it has no limit of them
        self._horizon = 0.0
        self.quotas: dict[Unit, Quota] = {}
        self.limits: tuple[Limit, ...] = ()
        self.freeze = Freeze()
        self._tallies, self._clock = tallies, clock
        self._in_air = 0
        self._queue: dict[Waiter, None] = {}

    def fit(self, limits: Iterable[Limit], past: Callable[[Unit], Past]) -> None:
        """Makes the windows anew for these limits; the strictest of each length wins."""
        limits = strictest(limits)
        if limits == self.limits:
            return
        self.limits = limits
        self._horizon = max([self._horizon, *(limit.seconds for limit in limits)])
        for unit in Unit:
            mine = tuple(limit for limit in limits if limit.unit is unit)
            if unit not in self.quotas and (mine or (self._calls and unit is Unit.CALLS)):
                self.quotas[unit] = Quota(self._tallies(unit), self._clock)
            if unit in self.quotas:
                self.quotas[unit].fit(mine, past(unit), self._horizon)
        self.stir()

    def restore(self, story: Story, ago: float) -> None:
        """Takes up a freeze of an earlier process; `ago` turns wall time into monotonic time."""
        self.freeze.restore(story, ago, self._clock.mono(), self.limits)

    def hold(self, now: float, need: Need, who: Waiter, own: int = 0) -> Hold | None:
        """What keeps a call from going, or None; `own` calls in the air are the asker's and keep it from nothing."""
        if self.freeze.until > now:
            return Hold(self.freeze.until, "told to wait", queue=self)
        if self.freeze.in_a_row and self._in_air > own:
            return Hold(math.inf, "one call alone asks whether the wait is over", queue=self)
        free_at, window = max((quota.hold(now, need[unit]) for unit, quota in self.quotas.items()), default=(now, ""))
        if free_at > now:
            return Hold(free_at, "window spent", window, self)
        if next(iter(self._queue), who) is not who:
            return Hold(math.inf, "another source came first", queue=self)
        return None

    def line_up(self, who: Waiter) -> None:
        """From now on those who come later wait until `who` went, or left."""
        self._queue.setdefault(who)

    def leave(self, who: Waiter) -> None:
        """`who` no longer waits here."""
        if who in self._queue:
            del self._queue[who]
            self.stir()

    def take(self, need: Need) -> list[Taken]:
        """Reserves what a call needs at most."""
        self._in_air += 1
        for unit, quota in self.quotas.items():
            quota.take(need[unit])
        return [Taken(quota, unit, need[unit]) for unit, quota in self.quotas.items()]

    def over(self) -> None:
        """A drawn call is over, whatever became of it."""
        self._in_air -= 1
        self.stir()

    def spoken_of(self, said: Said) -> bool:
        """True when headers name the limit of one of its windows in calls."""
        calls = self.quotas.get(Unit.CALLS)
        return calls is not None and any(log.limit.count == said.limit for log in calls.logs)

    def keep_freeze(self) -> None:
        """Writes down until when nobody sends, so that a kill does not shorten it."""
        self.quotas[Unit.CALLS].tally.frozen(self.freeze, self.freeze.until)

    def stir(self) -> None:
        """Lets those who wait look again."""
        for who in self._queue:
            who.stir()
