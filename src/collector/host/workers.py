"""Daemon threads for functions that nobody can end: so many at once for each source, and none keeps the process."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

from collector.errors import NoThread


class Seat:
    """A place for one thread. It is free again once it was left and its thread has ended what it does."""

    __slots__ = ("_room", "ended", "key", "left", "value", "work")

    def __init__(self, room: "_Room") -> None:
        self.key: str | None = None  # whose work a thread does now, or will in a moment
        self.left = False  # nobody waits for its thread
        self.work: Callable[[], Any] | None = None  # that no thread has begun
        self.value: Any = None  # what the work came to
        self.ended: asyncio.Future[Any] | None = None
        self._room = room

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.left = True
        self._room.leave(self)

    def begin(self, key: str, work: Callable[[], Any]) -> "asyncio.Future[Any]":
        """Does the work of a key in a thread; it must not raise. NoThread where none can begin."""
        self.key, self.work = key, work
        self.ended = self._room.loop.create_future()
        self._room.offer(self)
        return self.ended

    def withdraw(self) -> bool:
        """Takes back work that no thread has begun; False where one has."""
        return self._room.withdraw(self)

    async def over(self, timeout: float) -> None:
        """Returns when its thread has ended what it does, or after so many seconds."""
        if self.key is not None:
            self.ended = self._room.loop.create_future()
            await asyncio.wait([self.ended], timeout=timeout)


class _Room:
    """The threads of one source. They take what is ready one after the other, so that quick work costs no change of
    threads; whoever takes something calls another one for what is left, so that slow work holds up nobody."""

    def __init__(self, source: str, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.most = 0
        self.taken = 0  # seats, those of threads that nobody waits for too
        self.busy: dict[Seat, None] = {}  # whose work is ready, begun, or done and not told yet
        self.kept: dict[Seat, None] = {}  # of these, whom nobody waits for
        self.freed = asyncio.Event()
        self._is_closed = False
        self._name = f"collector-{source}"
        # From here on both sides: each step below is one that no other thread can come between.
        self._ready: deque[Seat] = deque()
        self._done: deque[Seat] = deque()
        self._idle: deque[SimpleQueue[bool]] = deque()  # where a thread waits for True: there is work
        self._is_coming = False  # a thread was called and has not looked yet
        self._is_told = False  # the loop was called and has not looked yet

    def offer(self, seat: Seat) -> None:
        """There is work for a thread."""
        self.busy[seat] = None
        self._ready.append(seat)
        if self._is_coming:
            return
        try:
            self._call()
        except RuntimeError as error:
            if self.withdraw(seat):
                raise NoThread(str(error)) from error

    def withdraw(self, seat: Seat) -> bool:
        try:
            self._ready.remove(seat)
        except ValueError:
            return False
        seat.key = seat.work = None
        del self.busy[seat]
        return True

    def leave(self, seat: Seat) -> None:
        """Nobody waits for its work any more."""
        if seat.key is None:
            self.free()
        else:
            self.kept[seat] = None

    def free(self) -> None:
        """Somebody else may take the seat."""
        self.taken -= 1
        self.freed.set()

    def close(self) -> None:
        """Threads without work end, each of the others when it has none."""
        self._is_closed = True
        with suppress(IndexError):  # there are no more
            while True:
                self._idle.pop().put(False)

    def _call(self) -> None:
        """Wakes a thread, or begins one; RuntimeError where the machine has none left."""
        self._is_coming = True
        try:
            self._idle.pop().put(True)
        except IndexError:
            try:
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
            except BaseException:
                self._is_coming = False
                raise

    def _work(self) -> None:
        """What each thread does."""
        inbox: SimpleQueue[bool] = SimpleQueue()
        is_wanted = True
        while is_wanted:
            self._is_coming = False  # before it looks, so that nothing is missed that becomes ready meanwhile
            self._visit()
            if len(self._idle) >= self.most:
                return
            self._idle.append(inbox)
            if self._is_closed:  # since before it could be seen here
                self.close()
            is_wanted = inbox.get()

    def _visit(self) -> None:
        """Does what is ready until nothing is."""
        while self._ready:
            try:
                seat = self._ready.popleft()
            except IndexError:  # another one was quicker
                return
            if self._ready and not self._is_coming:
                with suppress(RuntimeError):  # then whoever is there has to do
                    self._call()
            assert seat.work
            seat.value = seat.work()
            self._done.append(seat)
            if not self._is_told:
                self._is_told = True
                with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                    self.loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        """On the loop: what has ended."""
        self._is_told = False  # before it looks, as above
        while self._done:
            seat = self._done.popleft()
            seat.key = seat.work = None
            del self.busy[seat]
            if seat.ended and not seat.ended.done():
                seat.ended.set_result(seat.value)
            if seat.left:
                del self.kept[seat]
                self.free()


class Workers:
    """The threads of all sources."""

    def __init__(self) -> None:
        self._rooms: dict[str, _Room] = {}

    async def seat(self, source: str, most: int) -> Seat:
        """A place for a thread, when fewer than `most` of the source are taken."""
        room = self._rooms.get(source)
        if room is None:
            room = self._rooms[source] = _Room(source, asyncio.get_running_loop())
        room.most = most
        while room.taken >= most:
            room.freed.clear()
            await room.freed.wait()
        room.taken += 1
        return Seat(room)

    def kept_for(self, source: str, key: str) -> bool:
        """True while a thread works on a key of a source, for which nobody waits any more."""
        room = self._rooms.get(source)
        return room is not None and any(seat.key == key for seat in room.kept)

    def left(self) -> dict[str, list[str]]:
        """The keys on which threads still work, by source."""
        return {source: [seat.key or "" for seat in room.busy] for source, room in self._rooms.items() if room.busy}

    def kept(self) -> dict[str, list[str]]:
        """The keys of threads for which nobody waits any more, and which keep their places, by source."""
        return {source: [seat.key or "" for seat in room.kept] for source, room in self._rooms.items() if room.kept}

    def close(self) -> None:
        """Threads without work end, and those with work when that has ended: nobody waits for them."""
        for room in self._rooms.values():
            room.close()
