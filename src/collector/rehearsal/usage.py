"""Limits that no window cures: a month's items, a day's calls."""

import math

import msgspec

from collector.rehearsal import reply
from collector.rehearsal.reply import Reply


class Caps(msgspec.Struct, frozen=True, kw_only=True):
    """How much may be had, by all credentials together."""

    items: int | None = None  # then 429 UsageCapExceeded, while the headers tell of an unused window
    calls: int | None = None  # in a period; then 429 with Retry-After
    period: float = 86_400.0  # seconds, counted from the epoch: a day begins at midnight UTC


class Usage:
    """What has been had so far; `caps` may be set anew at any time, and `items` too."""

    def __init__(self, caps: Caps) -> None:
        self.caps = caps
        self.items = 0  # in all answers, those that were lost on the way included
        self._period = -1
        self._calls = 0

    def refusal(self, wall: float, window: float) -> Reply | None:
        """The answer when there is no more to be had."""
        if self.caps.items is not None and self.items >= self.caps.items:
            capped = reply.usage_capped()
            told = {**capped.headers, "x-rate-limit-reset": str(math.ceil(wall + window))}
            return msgspec.structs.replace(capped, headers=told)
        if self.caps.calls is not None and self._spent(wall) >= self.caps.calls:
            left = self.caps.period - wall % self.caps.period
            told = {"Retry-After": str(max(1, math.ceil(left)))}
            return reply.problem(429, "Too Many Requests", "The daily quota is spent.", headers=told)
        return None

    def draw(self, wall: float) -> None:
        """Count a call that was let through."""
        self._calls = self._spent(wall) + 1

    def _spent(self, wall: float) -> int:
        period = int(wall // self.caps.period)
        if period != self._period:
            self._period, self._calls = period, 0
        return self._calls
