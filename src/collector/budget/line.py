"""Those who draw on one identity: its windows, its freeze, its pace, and the head of the queue before them."""

import asyncio
import math
from dataclasses import dataclass

from collector.budget.freeze import Freeze, longest_hold
from collector.budget.headers import Said
from collector.budget.journal import Story
from collector.budget.limit import Limit
from collector.budget.pace import HOUR, Pace
from collector.budget.tally import Tally
from collector.budget.window import OwnLog
from collector.clock import Clock

_MOVED = 1.5  # seconds by which a reset must move to be another one: servers round, and so does Date
_ROUNDED = 2.0  # what a time to reset may be above its window, by margin and rounding
_SOONEST = 0.001  # a timer that is due within a loop's resolution would run without end


@dataclass(frozen=True, slots=True)
class Hold:
    """Why no call may go, and until when on the monotonic clock; infinity where only an answer can tell."""

    until: float
    why: str


@dataclass(frozen=True, slots=True)
class Heard:
    """A server counted more than we can have sent: until then, what it says remains is all there is."""

    remaining: int
    until: float


class Line:
    """Callers are served in order: one, who has the `turn`, looks and waits; the others wait for the turn."""

    def __init__(self, tally: Tally, clock: Clock) -> None:
        self.sources: dict[str, tuple[Limit, ...]] = {}
        self.limits: tuple[Limit, ...] = ()
        self.logs: tuple[OwnLog, ...] = ()
        self.freeze = Freeze()
        self.pace = Pace(clock)
        self.tally = tally
        self.turn = asyncio.Lock()
        self.in_air = 0  # calls drawn and not over
        self.jobs_waiting = 0
        self._clock = clock
        self._drawn = False
        self._heard: Heard | None = None
        self._head: asyncio.Future[None] | None = None  # what the head waits on

    @property
    def name(self) -> str:
        """The first source that was declared to draw here."""
        return next(iter(self.sources), "")

    def fit(self, story: tuple[tuple[float, int], ...]) -> None:
        """Makes the windows anew for what the sources declare; the strictest limit of each length wins.

        No slot is lost: before the first draw they come from `story`, later from the windows as they were.
        """
        counts: dict[float, int] = {}
        for limit in (limit for limits in self.sources.values() for limit in limits):
            counts[limit.seconds] = min(limit.count, counts.get(limit.seconds, limit.count))
        limits = tuple(Limit(count, seconds) for seconds, count in sorted(counts.items()))
        if limits != self.limits:
            self.logs = tuple(OwnLog(limit, self._past(limit, story), self.in_air) for limit in limits)
            self.limits = limits
            self.tally.fit(limits)
            self.pace.fit(tuple(limit for limit in limits if limit.seconds <= HOUR))
        self.stir()

    def restore(self, story: Story, ago: float) -> None:
        """Takes up a freeze of an earlier process; `ago` turns wall time into monotonic time."""
        if story.frozen:
            longest = max(longest_hold(self.limits), 24 * HOUR)
            self.freeze.until = min(story.frozen.until + ago, self._clock.mono() + longest)
            self.freeze.in_a_row = story.frozen.in_a_row

    def hold(self, now: float, own: int = 0) -> Hold | None:
        """What keeps a call from going, or None; `own` calls in the air are the asker's and keep it from nothing."""
        if self.freeze.until > now:
            return Hold(self.freeze.until, "told to wait")
        if self.freeze.in_a_row and self.in_air > own:
            return Hold(math.inf, "one call alone asks whether the wait is over")
        heard = self._heard
        if heard and heard.until > now and heard.remaining - (self.in_air - own) < 1:
            return Hold(heard.until, "the server counts more than our calls")
        free_at = max((log.free_at(now) for log in self.logs), default=now)
        return Hold(free_at, "window spent") if free_at > now else None

    def take(self) -> dict[OwnLog, int]:
        """Draws a slot of each window; returns how many calls each can have counted before, for `heard`."""
        self._drawn = True
        now = self._clock.mono()
        marks = {log: log.used(now) - log.taken for log in self.logs}
        for log in self.logs:
            log.take()
        return marks

    def give_back(self) -> None:
        """A drawn call was never sent."""
        for log in self.logs:
            log.give_back()

    def over(self) -> None:
        """A sent call is over: answered, broken or given up."""
        now = self._clock.mono()
        for log in self.logs:
            log.answered(now)

    def hear(self, said: Said, marks: dict[OwnLog, int]) -> bool:
        """Believes the headers where they leave less than we thought; True when it is news that they leave nothing.

        `marks` tell what each window had when the call was drawn: with the draws since, that is all of ours that the
        server can have counted, however late its answer comes.
        """
        if said.remaining is None or said.reset is None:
            return False
        now = self._clock.mono()
        until = now + min(said.reset, longest_hold(self.limits))
        old = self._heard if self._heard and self._heard.until > now else None
        if old and until < old.until - _MOVED:
            return False  # a straggler that speaks of the reset before
        if old and until <= old.until + _MOVED:
            self._heard = Heard(min(old.remaining, said.remaining), min(old.until, until))
            return old.remaining > 0 and said.remaining <= 0
        log = self._spoken_of(said)
        ours = marks[log] + log.taken if log in marks else -math.inf
        lower = log is None or said.remaining < log.limit.count - ours
        self._heard = Heard(said.remaining, until) if lower else None
        return lower and said.remaining <= 0

    def keep_freeze(self) -> None:
        """Writes down until when nobody sends, so that a kill does not shorten it."""
        spent = self._heard.until if self._heard and self._heard.remaining <= 0 else -math.inf
        self.tally.frozen(self.freeze, max(self.freeze.until, spent))

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

    def _past(self, limit: Limit, story: tuple[tuple[float, int], ...]) -> tuple[tuple[float, int], ...]:
        if not self._drawn:
            return story
        longer = [log for log in self.logs if log.limit.seconds >= limit.seconds]
        nearest = [*longer[:1], *self.logs[-1:]][:1]
        return nearest[0].past() if nearest else ()

    def _spoken_of(self, said: Said) -> OwnLog | None:
        """The window that the headers speak for: that of the limit, else of the length, else the shortest fitting."""
        for log in self.logs:
            if log.limit.count == said.limit:
                return log
        for log in self.logs:
            if log.limit.seconds == said.window:
                return log
        fitting = (log for log in self.logs if said.reset is not None and log.limit.seconds >= said.reset - _ROUNDED)
        return next(fitting, None)
