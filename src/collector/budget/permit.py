"""The right to send one call."""

from collections.abc import Callable, Mapping, Set
from types import TracebackType

import structlog

from collector.budget import freeze, headers
from collector.budget.freeze import Signal
from collector.budget.headers import Said
from collector.budget.journal import Journal
from collector.budget.limit import Unit
from collector.budget.line import Draw, Line
from collector.budget.pool import Pool, Quota, Taken
from collector.budget.tally import Tally
from collector.budget.told import Told
from collector.clock import Clock
from collector.errors import NoPermit

NO_PERMIT_DELAY = 1.0  # seconds until a call that met NoPermit is tried again

log = structlog.get_logger()


class Permit:
    """The right to send one call, from the draw to the answer. Leave it as a context, and nothing stays taken.

    Not sent: it is given back whole. Sent without an answer: its slots come free as if the answer came now, and all
    that it reserved counts as used.
    """

    def __init__(self, line: Line, draw: Draw, journal: Journal, clock: Clock, over: Callable[[Line], None]) -> None:
        self._line, self._pools, self._need = line, draw.pools, draw.need
        self._journal, self._clock, self._over = journal, clock, over
        self._taken: list[Taken] = []  # of the pools, and not settled yet
        self._items_due = True  # nobody has said yet how many objects came back
        self._known: Set[Quota] = frozenset()  # of which it has drawn
        self._take()
        self._sent_at: float | None = None
        self._counted: tuple[Tally, ...] = ()  # those that know of the send
        self._done = False
        self._good = False  # the answer was a 2xx
        self._heard: Told | None = None  # the window that its headers spoke for

    def __enter__(self) -> "Permit":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._done:
            self._settle()
        if self._sent_at is not None:
            self.returned(None)

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
        now = self._clock.mono()
        if self._sent_at is None and self._frozen_until() > now:
            raise NoPermit("the budget was told to wait after this call had drawn")
        try:
            self._write_down()
        except BaseException:
            self._sent_at = None
            self._settle()
            raise
        self._sent_at = now

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
        if not self._good:
            self.returned(0)
        return signal

    def landed(self) -> None:
        """Settles a call that asked no server, so nothing is to be learnt from an answer."""
        assert self._sent_at is not None, "an end without a send"
        self._good = True
        self._line.pace.came_back(self._clock.mono() - self._sent_at)
        if self._pools or self._line.bound:
            self._accepted(headers.NOTHING, self._sent_at)
        self._settle()

    def returned(self, items: int | None) -> None:
        """So many objects came back, None where nobody can tell: then all that was reserved counts.

        Until this is said, or the permit is left, the most that could come stays reserved.
        """
        if not self._items_due or not (self._taken or self._line.own.quotas):
            return
        self._items_due = False
        mine = [taken for taken in self._taken if taken.unit is Unit.ITEMS]
        self._taken = [taken for taken in self._taken if taken.unit is not Unit.ITEMS]
        for quota, _, slots in mine:
            quota.settle(slots, slots if items is None else items, counted=quota.tally in self._counted)
            if items is not None:
                self._line.learn(slots, items)
        self._settle_late(Unit.ITEMS, self._need.get(Unit.ITEMS, 0) if items is None else items)
        if mine:
            self._stir_pools()

    @property
    def frozen(self) -> bool:
        """True while its budgets are told to wait, as they may be since it was drawn."""
        return self._frozen_until() > self._clock.mono()

    def unsent(self) -> None:
        """The request that was spent last never left, so nobody can have counted it: all of it is given back."""
        if self._done or self._sent_at is None:
            return
        self._sent_at, self._done = None, True
        self._line.give_back()
        if self._line.tally in self._counted:
            self._line.tally.answered(1, 0)
        for quota, _, slots in self._taken:
            quota.settle(slots, 0, counted=quota.tally in self._counted)
        self._land()

    def _refused(self, status: int, said: Said, sent_at: float, now: float) -> None:
        line, pool = self._line, self._pool_spoken_of(said)
        if pool:
            if pool.freeze.refused(sent_at, now, said, pool.limits):
                pool.keep_freeze()
                self._log_frozen(pool.name, status, pool.freeze)
            return
        if said.remaining == 0:
            self._heard, _ = line.hear(said, sent_at, self._marks)
        if line.freeze.refused(sent_at, now, said, line.limits):
            line.refused(said.remaining if status == 429 else None, self._heard)
            line.keep_freeze()
            self._log_frozen(line.name, status, line.freeze)

    def _accepted(self, said: Said, sent_at: float) -> None:
        line = self._line
        for pool in self._pools:
            if pool.freeze.scout_returned(sent_at):
                pool.keep_freeze()
                log.warning("budget_thawed", budget=pool.name)
        if line.bound:
            line.pace.clean()
            if line.freeze.scout_returned(sent_at):
                line.keep_freeze()
                log.warning("budget_thawed", budget=line.name)
        if self._pools and self._pool_spoken_of(said):
            return
        self._heard, spent = line.hear(said, sent_at, self._marks)
        if spent:
            line.keep_freeze()
            log.info("budget_spent", budget=line.name, seconds=said.reset)

    def _pool_spoken_of(self, said: Said) -> Pool | None:
        """The shared budget whose limit the headers name, where no window of the line has it."""
        if said.limit is None or any(own.limit.count == said.limit for own in self._line.logs):
            return None
        return next((pool for pool in self._pools if pool.spoken_of(said)), None)

    def _log_frozen(self, name: str, status: int, frozen: freeze.Freeze) -> None:
        seconds = round(frozen.until - self._clock.mono(), 3)
        log.warning("budget_frozen", budget=name, status=status, seconds=seconds, in_a_row=frozen.in_a_row)

    def _frozen_until(self) -> float:
        until = self._line.freeze.until
        for pool in self._pools:
            until = max(until, pool.freeze.until)
        return until

    def _write_down(self) -> None:
        """Tells the journal of the send in one write, where there is a limit that a kill must not lose."""
        if not self._taken and not self._line.tally.counts:
            self._counted = ()
            return
        wanted = [(self._line.tally, 1), *((quota.tally, slots) for quota, _, slots in self._taken)]
        due = [(tally, slots, tally.due(slots)) for tally, slots in wanted if tally.counts]
        if due:
            self._journal.write(*[line for _, _, line in due if line])
        for tally, slots, line in due:
            tally.sent(slots, line)
        self._counted = tuple(tally for tally, _, _ in due)

    def _take(self) -> None:
        self._marks = self._line.take()
        self._taken = []
        self._items_due = True
        for pool in self._pools:
            self._taken += pool.take(self._need)
        self._known = {taken.quota for taken in self._taken} if self._taken else frozenset()

    def _draw_anew(self) -> None:
        hold = self._line.hold(self._clock.mono(), Draw(self._pools, self._need), own=1)
        if hold:
            raise NoPermit(f"another request of the same call has no permit: {hold.why}")
        self._end_request()
        self.returned(None)  # an answer that was lost may have been charged for
        for pool in self._pools:
            pool.over()
        self._take()

    def _end_request(self) -> None:
        self._line.over(self._good, self._heard)
        if self._line.tally in self._counted:
            self._line.tally.answered()
        for quota, unit, slots in self._taken:
            if unit is not Unit.ITEMS:
                quota.settle(slots, slots, counted=quota.tally in self._counted)
        if self._taken:
            self._taken = [taken for taken in self._taken if taken.unit is Unit.ITEMS]
        if self._line.own.quotas:
            self._settle_late(Unit.UNITS, self._need.get(Unit.UNITS, 1))

    def _settle_late(self, unit: Unit, used: int) -> None:
        """A limit that was declared while this call was in the air counts it too."""
        quota = self._line.own.quotas.get(unit)
        if quota and quota not in self._known:
            quota.settle(0, used, counted=quota.tally.counts)

    def _settle(self) -> None:
        if self._done:
            return
        self._done = True
        if self._sent_at is None:
            self._line.give_back()
            for quota, _, slots in self._taken:
                quota.give_back(slots)
        else:
            self._end_request()
        self._land()

    def _land(self) -> None:
        """It is no longer in the air."""
        for pool in self._pools:
            pool.over()
        self._over(self._line)

    def _stir_pools(self) -> None:
        for pool in self._pools:
            pool.stir()
