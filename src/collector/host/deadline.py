"""Time-outs of many short things, of which hardly one runs out; each stands still while whoever it is for waits for us.

`asyncio.timeout` sets and takes away a timer of the loop each time, which costs as much as parsing an answer.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType


class Deadlines:
    """One timer of the loop for all time-outs of the same length, since those run out in the order of their coming."""

    def __init__(self) -> None:
        self._rows: dict[float, _Row] = {}  # by seconds

    def within(self, seconds: float) -> "Deadline":
        """A context in which so many seconds may pass; then whoever is in it is broken off with a TimeoutError."""
        row = self._rows.get(seconds)
        if row is None:
            row = self._rows[seconds] = _Row(seconds, self._rows)
        return Deadline(row)


class Deadline:
    """A time-out of the task that enters it, from then on."""

    __slots__ = ("_cancels", "_left", "_own", "_ran_out", "_row", "_task", "_waiting", "end")

    def __init__(self, row: "_Row") -> None:
        self._row = row
        self._task: asyncio.Task[object] | None = None  # in it
        self._own: asyncio.TimerHandle | None = None  # where it has stood still, and left its row
        self._cancels = self._waiting = 0
        self._ran_out = False
        self._left = 0.0  # seconds, while it stands still
        self.end = 0.0  # loop time

    def __enter__(self) -> "Deadline":
        self._task = asyncio.current_task(self._row.loop)
        assert self._task is not None
        self._cancels = self._task.cancelling()
        self._row.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        self._hold()
        assert task is not None
        if self._ran_out and task.uncancel() <= self._cancels and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def run_out(self) -> None:
        """Its time is over."""
        if self._task is not None:
            self._ran_out = True
            self._task.cancel()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It stands still in here, from the first who comes to the last who goes."""
        clock = asyncio.get_running_loop().time
        if not self._waiting:
            self._left = self.end - clock()
            self._hold()
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1
            if self._task is not None and not self._waiting and not self._ran_out:
                self.end = clock() + self._left
                self._own = asyncio.get_running_loop().call_at(self.end, self.run_out)

    def _hold(self) -> None:
        self._row.discard(self)
        if self._own is not None:
            self._own.cancel()
            self._own = None


class _Row:
    """Time-outs of one length, in the order in which they run out."""

    def __init__(self, seconds: float, rows: "dict[float, _Row]") -> None:
        self._seconds, self._rows = seconds, rows
        self._waiting: dict[Deadline, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.loop = asyncio.get_running_loop()

    def add(self, deadline: Deadline) -> None:
        deadline.end = self.loop.time() + self._seconds
        self._waiting[deadline] = None
        if self._timer is None:
            self._rows[self._seconds] = self
            self._timer = self.loop.call_at(deadline.end, self._look)

    def discard(self, deadline: Deadline) -> None:
        self._waiting.pop(deadline, None)

    def _look(self) -> None:
        """Not set again for each that comes or goes, so the timer may find that those it was set for are long gone."""
        now = self.loop.time()
        while self._waiting:
            first = next(iter(self._waiting))
            if first.end > now:
                self._timer = self.loop.call_at(first.end, self._look)
                return
            del self._waiting[first]
            first.run_out()
        self._timer = None
        self._rows.pop(self._seconds, None)
