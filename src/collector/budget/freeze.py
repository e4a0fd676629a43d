"""What a server's "slow down" means: who says it, and how long everybody who shares the budget then waits."""

import math
from enum import StrEnum

from collector.budget.headers import Said
from collector.budget.journal import Story
from collector.budget.limit import Limit
from collector.budget.pace import HOUR

LEAST = 0.05  # no freeze is shorter, whatever a server says: less would be a busy loop
_LONGEST_RETRY_AFTER = 24 * HOUR
_BELIEVED = 2  # a told wait that was followed, and refused again, so often is not taken at its word
_DOUBLINGS = 30


class Signal(StrEnum):
    """What becomes of a call that was answered."""

    GO = "go"  # the answer is one: read it
    WAIT = "wait"  # the server said "later": the same call draws again; no attempt is spent


def signal(status: int, said: Said) -> Signal:
    """WAIT for a 429 always, for a 403 or 503 with Retry-After, and for a 403 with nothing remaining."""
    told = said.retry_after is not None
    waits = status == 429 or (status in (403, 503) and told) or (status == 403 and said.remaining == 0)
    return Signal.WAIT if waits else Signal.GO


def longest_hold(limits: tuple[Limit, ...]) -> float:
    """The longest that a reset is believed: a hostile one in the year 9999 costs no more."""
    return max([HOUR, *(limit.seconds for limit in limits)])


def length(said: Said, in_a_row: int, limits: tuple[Limit, ...]) -> float:
    """Seconds to wait after the `in_a_row`-th refusal, never under LEAST.

    Until the reset when nothing remains, else as Retry-After says, else a doubling wait. What is past says nothing.
    """
    told = 0.0
    if said.remaining == 0 and said.reset is not None:
        told = min(said.reset, longest_hold(limits))
    elif said.retry_after is not None:
        told = min(said.retry_after, _LONGEST_RETRY_AFTER)
    if told > 0 and in_a_row <= _BELIEVED:
        return max(told, LEAST)
    return max(told, _doubled(in_a_row, limits), LEAST)


def _doubled(in_a_row: int, limits: tuple[Limit, ...]) -> float:
    factor: float = 2 ** min(in_a_row - 1, _DOUBLINGS)
    if not limits:
        return min(60.0 * factor, 900.0)
    shortest = min(limits, key=lambda limit: limit.seconds)
    longest = max(limit.seconds for limit in limits)
    return min(max(0.5, shortest.seconds / shortest.count) * factor, max(0.5, min(longest, HOUR)))


class Freeze:
    """One wait for all who share a budget, then one call alone, the scout, which decides how it goes on."""

    def __init__(self) -> None:
        self.began = -math.inf
        self.until = -math.inf
        self.in_a_row = 0  # refusals; above zero the next call is a scout

    def refused(self, sent_at: float, now: float, said: Said, limits: tuple[Limit, ...]) -> bool:
        """Begins a freeze; False for a call sent before the last one began, which says nothing new."""
        if sent_at <= self.began:
            return False
        self.in_a_row += 1
        self.began = now
        self.until = now + length(said, self.in_a_row, limits)
        return True

    def restore(self, story: Story, ago: float, now: float, limits: tuple[Limit, ...]) -> None:
        """Takes up the freeze of an earlier process; `ago` turns wall time into monotonic time."""
        if story.frozen:
            longest = max(longest_hold(limits), _LONGEST_RETRY_AFTER)
            self.until = min(story.frozen.until + ago, now + longest)
            self.in_a_row = story.frozen.in_a_row

    def scout_returned(self, sent_at: float) -> bool:
        """An answer without a refusal ends the scouting; False when there was none, or the call was sent before."""
        if not self.in_a_row or sent_at <= self.began:
            return False
        self.in_a_row = 0
        return True
