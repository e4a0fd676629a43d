"""What one budget writes into the journal of one unit: each call alone, or many at once where they are fast."""

import math

from collector.budget.freeze import Freeze
from collector.budget.journal import Calls, Frozen, Journal
from collector.budget.limit import Limit
from collector.budget.pace import HOUR
from collector.budget.window import slack
from collector.clock import Clock

_LINES = 50  # a second; above it one line names several sends in advance


class Tally:
    """Counts what the journal knows of one identity. Without a limit only freezes are written."""

    def __init__(self, journal: Journal, identity: str, clock: Clock) -> None:
        self._journal, self._identity, self._clock = journal, identity, clock
        self._keep = 0.0
        self._block = 0  # slots named by one line, at the least
        self._ahead = 0  # slots that were named and have not been sent
        self._answered = 0  # slots answered that no line names yet

    def fit(self, limits: tuple[Limit, ...], horizon: float) -> None:
        """Takes up other limits; without any, answers are still remembered for so many seconds."""
        # A window by a clock may be longer than it says by the hour that a clock is set.
        held = (limit.seconds + 2 * slack(limit.seconds) + HOUR * (limit.at is not None) for limit in limits)
        self._keep = max([*held, horizon + slack(horizon)])
        rate = min((limit.count / limit.seconds for limit in limits), default=horizon > 0)
        self._block = math.ceil(rate / _LINES)

    @property
    def counts(self) -> bool:
        """True where sends are written down, and their answers are to be counted."""
        return self._block > 0

    def due(self, slots: int) -> Calls | None:
        """The line that must be written before a call of so many slots leaves; None where an earlier one names it."""
        missing = slots - self._ahead
        if not self._block or missing <= 0:
            return None
        return self._line(max(self._block, missing), self._answered)

    def sent(self, slots: int, written: Calls | None) -> None:
        """A call leaves, and what was `due` for it was written."""
        if written:
            self._ahead += written.sent
            self._answered -= written.answered
        self._ahead -= slots

    def answered(self, reserved: int = 1, used: int = 1) -> None:
        """A counted call is over. What it had reserved and did not use is given back."""
        if used > reserved:
            self._journal.note(self._line(used - reserved, 0))  # or the answer would pass for another call's
            reserved = used
        self._answered += used
        self._ahead += reserved - used
        if self._block <= 1:
            self.close()

    def frozen(self, freeze: Freeze, until: float) -> None:
        """Nobody sends until then, on the monotonic clock."""
        now = self._journal.stamp(self._clock.mono())
        self._journal.note(Frozen(self._identity, now, self._journal.stamp(until), freeze.in_a_row))

    def close(self) -> None:
        """Writes what was held back."""
        if self._ahead or self._answered:
            self._journal.note(self._line(-self._ahead, self._answered))
            self._ahead = self._answered = 0

    def _line(self, sent: int, answered: int) -> Calls:
        return Calls(self._identity, self._journal.stamp(self._clock.mono()), sent, answered, self._keep)
