"""What one identity writes into the journal: each call alone, or many at once where they are fast."""

import math

from collector.budget.freeze import Freeze
from collector.budget.journal import Calls, Frozen, Journal
from collector.budget.limit import Limit
from collector.budget.window import slack
from collector.clock import Clock

_LINES = 50  # a second; above it one line names several sends in advance


class Tally:
    """Counts what the journal knows of one identity. Without a limit only freezes are written."""

    def __init__(self, journal: Journal, identity: str, clock: Clock) -> None:
        self._journal, self._identity, self._clock = journal, identity, clock
        self._keep = 0.0
        self._block = 0  # sends named by one line
        self._ahead = 0  # sends that were named and have not been made
        self._answered = 0  # answers that no line names yet

    def fit(self, limits: tuple[Limit, ...]) -> None:
        """Takes up other limits."""
        self._keep = max((limit.seconds + slack(limit.seconds) for limit in limits), default=0.0)
        rate = min((limit.count / limit.seconds for limit in limits), default=0.0)
        self._block = math.ceil(rate / _LINES)

    def sent(self) -> bool:
        """Called before a call leaves; True where an answer is to be counted. StoreBusy when it cannot be written."""
        if not self._block:
            return False
        if not self._ahead:
            self._journal.write(self._line(self._block, self._answered))
            self._ahead, self._answered = self._block, 0
        self._ahead -= 1
        return True

    def answered(self) -> None:
        """A counted call is over."""
        self._answered += 1
        if self._block <= 1:
            self._journal.note(self._line(0, self._answered))
            self._answered = 0

    def frozen(self, freeze: Freeze, until: float) -> None:
        """Nobody sends until then, on the monotonic clock."""
        at = self._clock.wall()
        self._journal.note(Frozen(self._identity, at, at + until - self._clock.mono(), freeze.in_a_row))

    def heal(self) -> None:
        """StoreBusy while the disk does not take what is owed to it."""
        if self._block:
            self._journal.heal()

    def close(self) -> None:
        """Writes what a block held back."""
        if self._ahead or self._answered:
            self._journal.note(self._line(-self._ahead, self._answered))
            self._ahead = self._answered = 0

    def _line(self, sent: int, answered: int) -> Calls:
        return Calls(self._identity, self._clock.wall(), sent, answered, self._keep)
