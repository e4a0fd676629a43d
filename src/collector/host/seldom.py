"""A log handler that lets of lines alike only one a second through, and says how many it left out."""

import asyncio
import logging
import time
from collections.abc import Callable, Hashable
from typing import Any, TextIO

EVERY = 1.0  # seconds
LEFT_OUT = "left_out"  # the attribute of a record, and the key of its line

_MOST = 500  # kinds of lines in memory
# What differs from line to line of a flood, as numbers do; all else tells lines of one event apart.
_FLEETING = frozenset({"at", "detail", "error", "exc_info", "headers", "id", "ids", "message", "what", "why"})
_NUMBERS = frozenset({"batch", "status"})  # that are names


class _Kind:
    """Lines alike: when the next one may go, and the last of those that were held back."""

    __slots__ = ("held", "last", "until")

    def __init__(self, until: float) -> None:
        self.until = until  # monotonic time
        self.held = 0
        self.last: logging.LogRecord | None = None


class Seldom(logging.StreamHandler[TextIO]):
    """The first line of a kind goes at once; of those that follow within a second the last one goes when that is over,
    with their number. What is held when the log is closed goes then."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self._clock = clock
        self._kinds: dict[Hashable, _Kind] = {}
        self._due = float("inf")  # when the first of what is held may go
        self._timer: asyncio.TimerHandle | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Writes it, or holds it back. The lock of the handler is held."""
        now = self._clock()
        if now >= self._due:
            self._let_go(now)
        key = _kind_of(record)
        kind = self._kinds.get(key)
        if kind is None or (now >= kind.until and not kind.held):
            if len(self._kinds) >= _MOST:
                self._let_go(float("inf"))
                self._kinds.clear()
            self._kinds[key] = _Kind(now + EVERY)
            super().emit(record)
            return
        kind.held, kind.last = kind.held + 1, record
        if kind.until < self._due:
            self._due = kind.until
            self._later(kind.until - now)

    def close(self) -> None:
        """Writes what is held."""
        self._let_go_locked(float("inf"))
        super().close()

    def _later(self, seconds: float) -> None:
        """Nobody may say anything more for hours: the loop, where there is one, comes back to what is held."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self._timer:
            self._timer.cancel()
        self._timer = loop.call_later(max(seconds, 0.0), self._come_back)

    def _come_back(self) -> None:
        self._let_go_locked(self._clock())
        if self._due < float("inf"):  # others are held for longer
            self._later(self._due - self._clock())

    def _let_go_locked(self, now: float) -> None:
        self.acquire()
        try:
            self._let_go(now)
        finally:
            self.release()

    def _let_go(self, now: float) -> None:
        for kind in self._kinds.values():
            if kind.last is not None and now >= kind.until:
                setattr(kind.last, LEFT_OUT, kind.held - 1)
                super().emit(kind.last)
                kind.until, kind.held, kind.last = self._clock() + EVERY, 0, None
        self._due = min((kind.until for kind in self._kinds.values() if kind.held), default=float("inf"))


def _kind_of(record: logging.LogRecord) -> Hashable:
    said: Any = record.msg
    if isinstance(said, dict):  # an event of ours
        telling = (f"{key}={said[key]}"[:200] for key in said if _tells(key, said[key]))
        return (record.levelno, *telling)
    return (record.name, record.levelno, str(said)[:200])


def _tells(key: str, value: object) -> bool:
    return key in _NUMBERS or (key not in _FLEETING and not isinstance(value, int | float))
