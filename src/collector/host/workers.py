"""Daemon threads for functions that nobody can end: so many at once for each source, and none keeps the process."""

import asyncio
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self, TypeAlias

Inbox: TypeAlias = "SimpleQueue[Callable[[], None] | None]"


class Seat:
    """A place for one thread. It is free again once it was left and its thread has ended what it does."""

    def __init__(self, workers: "Workers", source: str) -> None:
        self.source = source
        self.key: str | None = None  # whose work a thread does now
        self.left = False  # nobody waits for its thread
        self._workers = workers

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.left = True
        if self.key is None:
            self._workers.free(self)

    def begin(self, key: str, work: Callable[[], Any]) -> "asyncio.Future[Any]":
        """Does the work of a key in a thread. It must not raise."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self.key, inbox = key, self._workers.hire(self)

        def ended(value: Any) -> None:
            self.key = None
            self._workers.over(self, inbox)
            if not future.done():
                future.set_result(value)
            if self.left:
                self._workers.free(self)

        def do() -> None:
            value = work()
            with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                loop.call_soon_threadsafe(ended, value)

        inbox.put(do)
        return future


class Workers:
    """The threads of all sources."""

    def __init__(self) -> None:
        self._most: dict[str, int] = {}  # by source
        self._taken: Counter[str] = Counter()  # seats, those of threads that nobody waits for too
        self._busy: dict[Seat, None] = {}
        self._idle: defaultdict[str, list[Inbox]] = defaultdict(list)
        self._freed = asyncio.Event()

    async def seat(self, source: str, most: int) -> Seat:
        """A place for a thread, when fewer than `most` of the source are taken."""
        self._most[source] = most
        while self._taken[source] >= most:
            self._freed.clear()
            await self._freed.wait()
        self._taken[source] += 1
        return Seat(self, source)

    def busy(self, source: str, key: str) -> bool:
        """True while a thread works on a key of a source."""
        return any(seat.key == key and seat.source == source for seat in self._busy)

    def left(self) -> dict[str, list[str]]:
        """The keys on which threads still work, by source."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for seat in self._busy:
            found[seat.source].append(seat.key or "")
        return dict(found)

    def kept(self) -> dict[str, list[str]]:
        """The keys of threads for which nobody waits any more, and which keep their places, by source."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for seat in self._busy:
            if seat.left:
                found[seat.source].append(seat.key or "")
        return dict(found)

    def close(self) -> None:
        """Threads without work end; those with work are left to themselves."""
        for inboxes in self._idle.values():
            for inbox in inboxes:
                inbox.put(None)
        self._idle.clear()

    def hire(self, seat: Seat) -> Inbox:
        """A thread's inbox, for the work of a seat."""
        self._busy[seat] = None
        if idle := self._idle[seat.source]:
            return idle.pop()
        inbox: Inbox = SimpleQueue()
        threading.Thread(target=_work, args=(inbox,), name=f"collector-{seat.source}", daemon=True).start()
        return inbox

    def over(self, seat: Seat, inbox: Inbox) -> None:
        """The thread of a seat has nothing to do."""
        del self._busy[seat]
        if len(idle := self._idle[seat.source]) < self._most[seat.source]:
            idle.append(inbox)
        else:
            inbox.put(None)

    def free(self, seat: Seat) -> None:
        """Somebody else may take the seat."""
        self._taken[seat.source] -= 1
        self._freed.set()


def _work(inbox: Inbox) -> None:
    while (do := inbox.get()) is not None:
        do()
