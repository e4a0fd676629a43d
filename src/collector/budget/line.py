"""Those who draw on one identity: its windows, its freeze, its pace, and the head of the queue before them."""

import asyncio
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from collector.budget.freeze import Freeze, longest_hold
from collector.budget.headers import Said
from collector.budget.hold import Hold
from collector.budget.journal import Story
from collector.budget.limit import Limit, Unit, strictest
from collector.budget.pace import HOUR, Pace
from collector.budget.pool import Need, Pool
from collector.budget.tally import Tally
from collector.budget.told import Mark, Told
from collector.budget.window import OwnLog, Past, ends, inherited, memory
from collector.clock import Clock

log = structlog.get_logger()

_ROUNDED = 2.0  # what a time to reset may be above its window, by margin and rounding
_SET_BACK = 2.5  # seconds by which a server's clock must fall back to be believed: Date is rounded, answers are slow
_FORGET = 0.9
_SOONEST = 0.001  # a timer that is due within a loop's resolution would run without end


@dataclass(frozen=True, slots=True)
class Share:
    """What a source declares of the budget that it draws on."""

    limits: tuple[Limit, ...] = ()
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Draw:
    """What one call takes besides its place in the windows of its line."""

    pools: tuple[Pool, ...] = ()
    need: Need = field(default_factory=dict)


NOTHING = Draw()


class Line:
    """Callers are served in order: one, who has the `turn`, looks and waits; the others wait for the turn."""

    def __init__(self, tally: Tally, own: Pool, clock: Clock) -> None:
        self.sources: dict[str, Share] = {}
        self.limits: tuple[Limit, ...] = ()
        self.told: tuple[Told, ...] = ()  # one for each window, and one for limits that nobody declared
        self.freeze = Freeze()
        self.pace = Pace(clock)
        self.tally = tally
        self.own = own  # its windows that are plain counters
        self.turn = asyncio.Lock()
        self.head: Draw | None = None  # what the one who has the turn wants
        self.in_air = 0  # calls drawn and not over
        self.brought = 0  # the most objects that an answer had above what was reserved for it
        self.jobs_waiting: Counter[str] = Counter()  # by source
        self.bound = False  # from the first limit declared or told and the first refusal on; till then nothing holds
        self._clock = clock
        self._drawn = False
        self._memory: OwnLog | None = None  # of all calls, for limits that come later
        self._off: float | None = None  # the lower bound of the server's clock less our monotonic one
        self._head: asyncio.Future[None] | None = None  # what the head waits on

    @property
    def logs(self) -> tuple[OwnLog, ...]:
        """The own log of each window."""
        return tuple(told.log for told in self.told if told.log)

    @property
    def _all(self) -> tuple[OwnLog, ...]:
        return (*self.logs, self._memory) if self._memory else self.logs

    @property
    def name(self) -> str:
        """The first source that was declared to draw here."""
        return next(iter(self.sources), "")

    def fit(self, story: Past) -> None:
        """Makes the windows anew for what the sources declare; the strictest limit of each length wins.

        No slot is lost: before the first draw they come from `story`, later from the windows as they were.
        """
        shares = self.sources.values()
        declared = [limit for share in shares for limit in share.limits]
        limits = strictest(limit for limit in declared if limit.unit is Unit.CALLS)
        plain = any(share.plain for share in shares)
        horizon = max([self._memory.limit.seconds if self._memory else 0.0, *(limit.seconds for limit in declared)])
        known = self._all if self._drawn else ()
        if horizon > 0 and (self._memory is None or self._memory.limit.seconds < horizon or not self._drawn):
            self._memory = memory(horizon, inherited(Limit(1, horizon), known, story), self.in_air)
        if limits != self.limits:
            self.told = (*(self._window(limit, known, story) for limit in limits), Told())
            self.limits = limits
        elif not self.told:
            self.told = (Told(),)
        if horizon > 0:
            self.bound = True
            self.tally.fit(limits, horizon)
        for told in self.told:
            told.plain = plain
        self._spread()
        self.stir()

    def _window(self, limit: Limit, known: Iterable[OwnLog], story: Past) -> Told:
        return Told(OwnLog(limit, inherited(limit, known, story), self.in_air, ends(limit, self._clock)), limit)

    def restore(self, story: Story, ago: float) -> None:
        """Takes up a freeze of an earlier process; `ago` turns wall time into monotonic time."""
        self.bound = True
        self.freeze.restore(story, ago, self._clock.mono(), self.limits)

    def learn(self, reserved: int, items: int) -> None:
        """An answer brought so many objects. What one brings in excess the next calls reserve, less with each that
        brings less."""
        if items > max(reserved, self.brought):
            log.warning(
                "more_items_than_reserved", source=self.name, reserved=reserved, items=items, then="set per_call"
            )
            self.brought = items
        elif items < self.brought:
            self.brought = max(items, int(self.brought * _FORGET))

    def hold(self, now: float, draw: Draw, own: int = 0) -> Hold | None:
        """What keeps a call from going, or None; `own` calls in the air are the asker's and keep it from nothing."""
        if self.freeze.until > now:
            return Hold(self.freeze.until, "told to wait")
        if self.freeze.in_a_row and self.in_air > own:
            return Hold(math.inf, "one call alone asks whether the wait is over")
        holds = [hold for told in self.told if (hold := told.hold(now, self.in_air - own))]
        if draw.pools:
            holds += [hold for pool in draw.pools if (hold := pool.hold(now, draw.need, self, own))]
        return max(holds, key=lambda hold: hold.until) if holds else None

    def take(self) -> dict[Told, Mark]:
        """Draws a slot of each window; returns the windows as they were, for `hear`."""
        self._drawn = True
        if not self.bound:
            return {}
        now = self._clock.mono()
        marks = {}
        for told in self.told:
            if told.log:
                marks[told] = told.mark(now)
                told.log.take()
        if self._memory:
            self._memory.take()
        return marks

    def give_back(self) -> None:
        """A drawn call was never sent."""
        for log in self._all:
            log.give_back()

    def over(self, good: bool = False, heard: Told | None = None) -> None:
        """A sent call is over: answered, broken or given up. `heard` is the window that its headers spoke for."""
        if not self.bound:
            return
        now = self._clock.mono()
        for told in self.told:
            if told is not heard:
                told.unheard(good, now)
            if told.log:
                told.log.answered(now)
        if self._memory:
            self._memory.answered(now)
        self._spread()

    def hear(self, said: Said, sent_at: float, marks: dict[Told, Mark]) -> tuple[Told | None, bool]:
        """The window that the headers spoke for, and True when it is news that others left nothing in it."""
        now = self._clock.mono()
        self._set_clock(said, now)
        if said.remaining is None or said.reset is None:
            return None, False
        self.bound = True
        until = now + said.reset
        if said.reset_at is not None and said.date is not None and self._off is not None:
            until = min(until, said.reset_at - self._off)
        until = min(until, now + longest_hold(self.limits))
        told = self._spoken_of(said)
        if told.log is None and not self.logs and said.limit:
            told = self._learn(said.limit, said)
        self._override(told, said)
        mark = marks.get(told) or told.mark(now)
        return told, told.hear(said.limit, said.remaining, until, sent_at, now, mark)

    def refused(self, remaining: int | None, heard: Told | None) -> None:
        """A freeze began; go slower where our own log had room or calls remained."""
        self.bound = True
        now = self._clock.mono()
        for told in self.told:
            if told is heard or (heard is None and told.log):
                told.refused(remaining, now)
        if remaining != 0 or any(told.paced for told in self.told):
            self.pace.refused()

    def keep_freeze(self) -> None:
        """Writes down until when nobody sends, so that a kill does not shorten it."""
        now = self._clock.mono()
        self.tally.frozen(self.freeze, max(self.freeze.until, *(told.spent_until(now) for told in self.told)))

    async def wait(self, until: float) -> None:
        """Waits until then on the monotonic clock, or until something stirs; only for the one who has the turn."""
        loop = asyncio.get_running_loop()
        self._head = loop.create_future()
        seconds = max(until - self._clock.mono(), _SOONEST)
        timer = loop.call_later(seconds, self.stir) if seconds < math.inf else None
        try:
            await self._head
        finally:
            self._head = None
            if timer:
                timer.cancel()

    def stir(self) -> None:
        """Lets the head look again."""
        if self._head and not self._head.done():
            self._head.set_result(None)

    def _spread(self) -> None:
        """Paces the windows that need it."""
        paced = tuple(told.log.limit for told in self.told if told.log and told.paced)
        self.pace.fit(tuple(limit for limit in paced if limit.seconds <= HOUR))

    def _set_clock(self, said: Said, now: float) -> None:
        """`Date` was rounded down and has travelled, so the latest of its distances from our clock is the truest."""
        if said.date is not None:
            off = said.date - now
            self._off = off if self._off is None or off < self._off - _SET_BACK else max(self._off, off)

    def _spoken_of(self, said: Said) -> Told:
        """The window that the headers speak for: that of the limit, else of the length, else the shortest fitting."""
        windows = [(told, told.log.limit) for told in self.told if told.log and not told.by_clock]
        for told, limit in windows:
            if limit.count == said.limit:
                return told
        for told, limit in windows:
            if limit.seconds == said.window:
                return told
        fitting = (told for told, limit in windows if said.reset and limit.seconds >= said.reset - _ROUNDED)
        return next(fitting, self.told[-1])

    def _learn(self, count: int, said: Said) -> Told:
        """The window of a source without `limit`; its length is that of the longest reset until `w=` names it."""
        learnt = Limit(count, said.window or said.reset or HOUR)
        told = Told(OwnLog(learnt, (), self.in_air), learnt=True)
        self.told = (told, *self.told)
        return told

    def _override(self, told: Told, said: Said) -> None:
        """The server's limit where it is stricter than the declared one; all of it where none was declared."""
        log = told.log
        if log is None or not said.limit:
            return
        if told.learnt:
            seconds = said.window or max(log.limit.seconds, said.reset or 0.0)
            limit = Limit(said.limit, seconds)
        elif told.declared and (said.window == log.limit.seconds or (said.reset or 0.0) > log.limit.seconds / 2):
            limit = Limit(min(said.limit, told.declared.count), log.limit.seconds)
        else:
            return
        if limit != log.limit:
            log.fit(limit)
