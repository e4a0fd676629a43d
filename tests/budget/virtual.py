"""A loop whose time jumps to the next timer when nothing is ready, so that hours of behaviour take milliseconds."""

import asyncio
import selectors
from collections.abc import Coroutine
from itertools import count
from typing import Any, TypeVar

from collector.clock import Clock

T = TypeVar("T")
EPOCH = 1_700_000_000.0
_numbers = count()
_TICK = 1e-7  # no clock stands still; aiolimiter would ask again and again for the last 1e-17 of a token


class _Jumping(selectors.SelectSelector):
    now = 1_000.0
    patience = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.patience and timeout != 0 and (ready := super().select(timeout and self.patience)):
            return ready
        if timeout is None:
            raise RuntimeError("everybody waits and nothing is to come")
        self.now += max(_TICK, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop without real time, and with a monotonic clock of its own. Where threads or sockets are at work too, time
    jumps only after `patience` real seconds without a word from them."""

    def __init__(self, patience: float = 0.0) -> None:
        self.number = next(_numbers)
        self._jumping = _Jumping()
        self._jumping.patience = patience
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


class VirtualClock(Clock):
    """The clock of the running virtual loop; `ahead` is how far the wall clock was set by somebody."""

    ahead = 0.0
    boots = 0  # how often the machine was started anew

    def mono(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return EPOCH + self.mono() + self.ahead

    def boot(self) -> str:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        return f"{loop.number}, {self.boots}"


def run(main: Coroutine[Any, Any, T], patience: float = 0.0) -> T:
    """What the coroutine returns, run in virtual time."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(patience)) as runner:
        return runner.run(main)
