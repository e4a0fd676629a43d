"""The own log of one window: how many of its slots are busy, judged by our own calls alone. Time is passed in."""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from collector.budget.limit import Limit

_EXACT = 2_000  # calls a window up to which every answer is remembered by itself
_CELLS = 998  # above that; a first and a last cell that are only partly busy make it 1,000


def slack(seconds: float) -> float:
    """What a window is held longer than it lasts: timers fire early, and two clocks never tick alike."""
    return 0.01 + seconds * 2e-4


@dataclass(slots=True)
class _Cell:
    first: float
    last: float
    count: int


class OwnLog:
    """A slot is busy from its draw until W and a little after its *answer*.

    Then no interval W at the server holds more than L verdicts, whatever its clock, its anchor or its kind of window,
    for a verdict falls somewhere between the send and the answer. A log stamped at the send does not promise that.
    """

    def __init__(self, limit: Limit, past: Iterable[tuple[float, int]] = (), in_air: int = 0) -> None:
        self.limit = limit
        self.in_air = in_air  # drawn, and neither given back nor answered
        self.taken = 0  # draws ever made
        self._held = limit.seconds + slack(limit.seconds)
        self._width = self._held / _CELLS if limit.count > _EXACT else 0.0
        self._cells: deque[_Cell] = deque()
        self._answered = 0  # the sum of what the cells count
        for at, count in sorted(past):
            self._keep(at, count)

    def fit(self, limit: Limit) -> None:
        """The server has another limit than was declared."""
        self.limit, self._held = limit, limit.seconds + slack(limit.seconds)

    def take(self) -> None:
        """A slot is drawn."""
        self.in_air += 1
        self.taken += 1

    def give_back(self) -> None:
        """A drawn slot was never sent."""
        self.in_air -= 1
        self.taken -= 1

    def answered(self, now: float) -> None:
        """A sent call is over, in whatever way: the server may have counted it until now."""
        self.in_air -= 1
        self._keep(now, 1)

    def used(self, now: float) -> int:
        """The busy slots; more than the limit after it was lowered."""
        while self._cells and self._cells[0].last + self._held <= now:
            self._answered -= self._cells.popleft().count
        return self.in_air + self._answered

    def free_at(self, now: float) -> float:
        """When a slot is free: `now`, later, or infinity where only an answer can tell."""
        wanted = self.used(now) - self.limit.count + 1
        if wanted <= 0:
            return now
        for cell in self._cells:
            wanted -= cell.count
            if wanted <= 0:
                return cell.last + self._held
        return math.inf

    def clear_at(self, now: float) -> float | None:
        """When no slot is busy any more, at the earliest; None when none is."""
        if not self.used(now):
            return None
        return (now if self.in_air else self._cells[-1].last) + self._held

    def past(self) -> tuple[tuple[float, int], ...]:
        """The answers that are remembered, as (time, count), oldest first."""
        return tuple((cell.last, cell.count) for cell in self._cells)

    def _keep(self, at: float, count: int) -> None:
        self._answered += count
        if self._cells and at - self._cells[-1].first <= self._width:
            self._cells[-1].last = at
            self._cells[-1].count += count
        else:
            self._cells.append(_Cell(at, at, count))
