"""The own log of one window: how much of it is taken, judged by our own calls alone. Time is passed in."""

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from collector.budget.limit import Limit
from collector.clock import Clock

_EXACT = 2_000  # slots up to which every answer is remembered by itself
_BOUNDLESS = 10**15
_CELLS = 998  # above that; a first and a last cell that are only partly busy make it 1,000

Past: TypeAlias = Iterable[tuple[float, int]]  # (time of answers, slots)
Ends: TypeAlias = Callable[[float], float]  # when a slot comes free whose answer came then


def slack(seconds: float) -> float:
    """What a window is held longer than it lasts: timers fire early, and two clocks never tick alike."""
    return 0.01 + seconds * 2e-4


def ends(limit: Limit, clock: Clock) -> Ends:
    """How long the window of a limit holds a slot, on the monotonic clock."""
    return _Aligned(limit, clock) if limit.at else _rolling(limit)


def _rolling(limit: Limit) -> Ends:
    held = limit.seconds + slack(limit.seconds)
    return lambda at: at + held


class _Aligned:
    """A window by a clock: what was answered around its end may count in the next one, whose end then frees it."""

    def __init__(self, limit: Limit, clock: Clock) -> None:
        assert limit.at is not None
        self._alignment, self._seconds, self._clock = limit.at, limit.seconds, clock
        self._slack = slack(limit.seconds)
        self._window = (0.0, 0.0)  # the one that was looked up last, in wall time

    def __call__(self, at: float) -> float:
        ahead = self._clock.wall() - self._clock.mono()
        wall = at + ahead + self._slack
        if not self._window[0] <= wall < self._window[1]:
            self._window = (wall, self._alignment.next(wall, self._seconds))
        return self._window[1] - ahead + self._slack


@dataclass(slots=True)
class _Cell:
    first: float
    last: float
    count: int


class OwnLog:
    """A slot is busy from its draw until W and a little after its *answer*, or until the end of a window by a clock.

    Then no interval W at the server holds more than L verdicts, whatever its clock, its anchor or its kind of window,
    for a verdict falls somewhere between the send and the answer. A log stamped at the send does not promise that.
    A call takes one slot, or as many as the items or units that it may come to.
    """

    def __init__(self, limit: Limit, past: Past = (), in_air: int = 0, ends: Ends | None = None) -> None:
        self.limit = limit
        self.in_air = in_air  # slots drawn, and neither given back nor answered
        self.taken = 0  # ever drawn
        self._ends = ends or _rolling(limit)
        self._width = (limit.seconds + slack(limit.seconds)) / _CELLS if limit.count > _EXACT else 0.0
        self._cells: deque[_Cell] = deque()
        self._answered = 0  # the sum of what the cells count
        for at, count in sorted(past):
            self._keep(at, count)

    def fit(self, limit: Limit) -> None:
        """The server has another limit than was declared."""
        self.limit, self._ends = limit, _rolling(limit)

    def take(self, slots: int = 1) -> None:
        """Slots are drawn."""
        self.in_air += slots
        self.taken += slots

    def give_back(self, slots: int = 1) -> None:
        """Drawn slots were never sent."""
        self.in_air -= slots
        self.taken -= slots

    def answered(self, now: float, reserved: int = 1, used: int = 1) -> None:
        """A sent call is over, in whatever way: the server may have counted it until now."""
        self.in_air -= reserved
        if used:
            self._keep(now, used)

    def used(self, now: float) -> int:
        """The busy slots; more than the limit after it was lowered, or where more came back than was reserved."""
        while self._cells and self._ends(self._cells[0].last) <= now:
            self._answered -= self._cells.popleft().count
        return self.in_air + self._answered

    def free_at(self, now: float, slots: int = 1) -> float:
        """When so many slots are free: `now`, later, or infinity where only an answer can tell."""
        wanted = self.used(now) - self.limit.count + slots
        if wanted <= 0:
            return now
        for cell in self._cells:
            wanted -= cell.count
            if wanted <= 0:
                return self._ends(cell.last)
        return math.inf

    def next_at(self, now: float) -> float:
        """When the first of the answered slots comes free; `now` when there is none."""
        self.used(now)
        return self._ends(self._cells[0].last) if self._cells else now

    def clear_at(self, now: float) -> float | None:
        """When no slot is busy any more, at the earliest; None when none is."""
        if not self.used(now):
            return None
        return self._ends(now if self.in_air else self._cells[-1].last)

    def frees(self, now: float, most: int) -> tuple[tuple[float, int], ...]:
        """When how many of the busy slots come free, in order and in at most so many steps; each no earlier than it
        does. What is in the air counts as answered now."""
        self.used(now)
        busy = [(self._ends(cell.last), cell.count) for cell in self._cells]
        if self.in_air:
            busy.append((self._ends(now), self.in_air))
        size = -(-len(busy) // most)
        steps = [busy[start : start + size] for start in range(0, len(busy), size)] if busy else []
        return tuple((step[-1][0], sum(count for _, count in step)) for step in steps)

    def past(self) -> tuple[tuple[float, int], ...]:
        """The answers that are remembered, as (time, slots), oldest first."""
        return tuple((cell.last, cell.count) for cell in self._cells)

    def _keep(self, at: float, count: int) -> None:
        self._answered += count
        if self._cells and at - self._cells[-1].first <= self._width:
            self._cells[-1].last = at
            self._cells[-1].count += count
        else:
            self._cells.append(_Cell(at, at, count))


def memory(seconds: float, past: Past, in_air: int) -> OwnLog:
    """A log that holds nothing back, and from which a limit that is declared later learns what was sent before."""
    return OwnLog(Limit(_BOUNDLESS, seconds), past, in_air)


def inherited(limit: Limit, logs: Iterable[OwnLog], past: Past) -> Past:
    """What another window remembers of the calls that one of this length must know of: the nearest that is no shorter,
    else the longest; `past` where there is none."""
    known = sorted(logs, key=lambda log: log.limit.seconds)
    longer = [log for log in known if log.limit.seconds >= limit.seconds]
    nearest = [*longer[:1], *known[-1:]][:1]
    return nearest[0].past() if nearest else past
