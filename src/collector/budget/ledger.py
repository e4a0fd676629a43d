"""Who may send a call, and when: a call draws from every window of its budget at once, or waits and holds nothing."""

import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import structlog

from collector.budget import freeze, headers
from collector.budget.freeze import Signal
from collector.budget.headers import Said
from collector.budget.journal import Journal
from collector.budget.limit import Limit
from collector.budget.line import Line
from collector.budget.tally import Tally
from collector.budget.told import Hold, Mode, Told
from collector.budget.window import OwnLog
from collector.clock import Clock
from collector.errors import NoPermit
from collector.model import Wait, Window

log = structlog.get_logger()


class Ledger:
    """All budgets of a service. What was sent is on disk before it leaves, so that a kill grants nothing."""

    def __init__(self, journal: Journal, clock: Clock, consumers: int) -> None:
        self.consumers = consumers  # calls in the air at once, over all sources
        self.calls_in_the_air = 0
        self._journal, self._clock = journal, clock
        self._lines: dict[str, Line] = {}  # by identity
        self._source_lines: dict[str, Line] = {}
        self._slot_queue: dict[Line, None] = {}  # heads that wait for one of `consumers` only, in order
        self._ago = clock.mono() - clock.wall()  # turns the wall time of what was kept into monotonic time

    @classmethod
    def open(cls, path: Path, clock: Clock, consumers: int) -> "Ledger":
        """Takes up what an earlier process left at `path`; StoreError when the file cannot be opened."""
        return cls(Journal(path, clock.wall()), clock, consumers)

    def close(self) -> None:
        """Writes what was held back and closes the file."""
        for line in self._lines.values():
            line.tally.close()
        self._journal.close()

    def declare(self, source: str, identity: str, limits: tuple[Limit, ...]) -> None:
        """Says what a source draws on. Sources of one identity share it, and the strictest limits hold for all of them.

        Said again with other limits it loses no slot, and who waits looks again.
        """
        line = self._lines.get(identity)
        if line is None:
            line = self._lines[identity] = Line(Tally(self._journal, identity, self._clock), self._clock)
        if self._source_lines.get(source) is not line:
            self.retire(source)
        self._source_lines[source] = line
        line.sources[source] = limits
        self._fit(identity, line)
        story = self._journal.past.get(identity)
        if story and story.frozen:
            line.restore(story, self._ago)
            story.frozen = None

    def retire(self, source: str) -> None:
        """The source draws no more; its limits hold no longer for those that stay. No slot is lost."""
        line = self._source_lines.pop(source, None)
        if line is None:
            return
        del line.sources[source]
        if line.sources:
            self._fit(next(identity for identity, known in self._lines.items() if known is line), line)

    def resize(self, consumers: int) -> None:
        """Other `consumers`; calls in the air above them finish."""
        self.consumers = consumers
        self._offer_slots()

    async def draw(self, source: str, jobs: int) -> "Permit":
        """Waits for its turn and a permit, however long. StoreBusy, holding nothing, while the disk is unwell."""
        line = self._source_lines[source]
        line.jobs_waiting += jobs
        try:
            async with line.turn:
                return await self._granted(line)
        finally:
            line.jobs_waiting -= jobs

    def waits(self) -> tuple[Wait, ...]:
        """Who waits for a budget, and why; not who waits for one of `consumers`."""
        now = self._clock.mono()
        found = []
        for line in self._lines.values():
            hold = line.hold(now)
            if not hold and not line.pace.fresh() and line.pace.due_at > now:
                hold = Hold(line.pace.due_at, "evenly spread")
            if hold and line.jobs_waiting:
                wait = Wait(line.name, self._wall(hold.until), line.jobs_waiting, hold.why, tuple(line.sources))
                found.append(wait)
        return tuple(found)

    def windows(self) -> dict[str, tuple[Window, ...]]:
        """Every window as it stands, by the first source that was declared to draw from it."""
        now = self._clock.mono()
        shown: dict[str, tuple[Window, ...]] = {}
        for line in self._lines.values():
            windows = [self._shown(told, own, line.in_air, now) for told in line.told if (own := told.log)]
            if windows and line.sources:
                shown[line.name] = tuple(windows)
        return shown

    def _fit(self, identity: str, line: Line) -> None:
        story = self._journal.past.get(identity)
        line.fit(tuple((at + self._ago, count) for at, count in story.answers) if story else ())

    def _shown(self, told: Told, own: OwnLog, in_air: int, now: float) -> Window:
        limit = own.limit
        if told.mode is Mode.HEADERS and told.until > now and not told.smooth:
            left = max(0, min(limit.count, told.left(now, in_air)))
            return Window(limit.count, limit.seconds, limit.count - left, left, self._wall(told.until))
        used, clear_at = own.used(now), own.clear_at(now)
        resets_at = None if clear_at is None else self._wall(clear_at)
        return Window(limit.count, limit.seconds, used, max(0, limit.count - used), resets_at)

    async def _granted(self, line: Line) -> "Permit":
        try:
            while True:
                if hold := line.hold(self._clock.mono()):
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
                    line.tally.heal()
                    return self._grant(line)
        finally:
            self._leave_queue(line)

    def _grant(self, line: Line) -> "Permit":
        """Takes everything that a call needs, in one step."""
        self.calls_in_the_air += 1
        line.in_air += 1
        line.pace.spent()
        return Permit(self, line, self._clock)

    def _has_slot(self, line: Line) -> bool:
        """True when a call may be in the air besides those there are and those of the heads that came before."""
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
        for line in self._slot_queue:
            line.stir()

    def _over(self, line: Line) -> None:
        """A call is no longer in the air."""
        self.calls_in_the_air -= 1
        line.in_air -= 1
        line.stir()
        self._offer_slots()

    def _wall(self, mono: float) -> float | None:
        return None if mono == math.inf else self._clock.wall() + mono - self._clock.mono()


class Permit:
    """The right to send one call, from the draw to the answer. Leave it as a context, and nothing stays taken.

    Not sent: it is given back whole. Sent without an answer: its slots come free as if the answer came now.
    """

    def __init__(self, ledger: Ledger, line: Line, clock: Clock) -> None:
        self._ledger, self._line, self._clock = ledger, line, clock
        self._marks = line.take()
        self._sent_at: float | None = None
        self._counted = False  # the journal knows of the send
        self._done = False
        self._good = False  # the answer was a 2xx
        self._heard: Told | None = None  # the window that its headers spoke for

    def __enter__(self) -> "Permit":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._settle()

    def spend(self) -> None:
        """Called once for each wire request, before it leaves.

        The first spends what was drawn; NoPermit when a freeze has come since. A later one, a redirect or a silent
        resend, draws anew and never waits: NoPermit when nothing is free. StoreBusy when the send cannot be written
        down. After either the request must not leave.
        """
        if self._done:
            raise NoPermit("the permit of this call was settled before")
        if self._sent_at is not None:
            self._draw_anew()
        elif self._line.freeze.until > self._clock.mono():
            raise NoPermit("the budget was told to wait after this call had drawn")
        try:
            self._counted = self._line.tally.sent()
        except BaseException:
            self._sent_at = None
            self._settle()
            raise
        self._sent_at = self._clock.mono()

    def answered(self, status: int, answer_headers: Mapping[str, str]) -> Signal:
        """Settles the call and learns from the answer. WAIT: draw again for the same jobs, no attempt is spent."""
        assert self._sent_at is not None, "an answer without a send"
        now, sent_at = self._clock.mono(), self._sent_at
        said = headers.read(answer_headers, self._clock.wall())
        signal = freeze.signal(status, said)
        self._good = 200 <= status < 300
        self._line.pace.came_back(now - sent_at)
        if signal is Signal.WAIT:
            self._refused(status, said, sent_at, now)
        else:
            self._accepted(said, sent_at)
        self._settle()
        return signal

    def _refused(self, status: int, said: Said, sent_at: float, now: float) -> None:
        line = self._line
        if said.remaining == 0:
            self._heard, _ = line.hear(said, sent_at, self._marks)
        if not line.freeze.refused(sent_at, now, said, line.limits):
            return
        line.refused(said.remaining if status == 429 else None, self._heard)
        line.keep_freeze()
        seconds, in_a_row = round(line.freeze.until - now, 3), line.freeze.in_a_row
        log.warning("budget_frozen", budget=line.name, status=status, seconds=seconds, in_a_row=in_a_row)

    def _accepted(self, said: Said, sent_at: float) -> None:
        line = self._line
        line.pace.clean()
        if line.freeze.scout_returned(sent_at):
            line.keep_freeze()
            log.info("budget_thawed", budget=line.name)
        self._heard, spent = line.hear(said, sent_at, self._marks)
        if spent:
            line.keep_freeze()
            log.info("budget_spent", budget=line.name, seconds=said.reset)

    def _draw_anew(self) -> None:
        hold = self._line.hold(self._clock.mono(), own=1)
        if hold:
            raise NoPermit(f"another request of the same call has no permit: {hold.why}")
        self._end_request()
        self._marks = self._line.take()

    def _end_request(self) -> None:
        self._line.over(self._good, self._heard)
        if self._counted:
            self._line.tally.answered()

    def _settle(self) -> None:
        if self._done:
            return
        self._done = True
        if self._sent_at is None:
            self._line.give_back()
        else:
            self._end_request()
        self._ledger._over(self._line)
