"""The lane of one source as it is declared: its queue, its breaker, and whether it may run."""

import asyncio
from collections import deque
from collections.abc import Callable

from collector.dispatch.breaker import Breaker
from collector.dispatch.taken import Taken
from collector.host.disk import Room
from collector.model import BatchId, Call
from collector.sources.request import Endpoint

DISK_DELAY = 2.0  # seconds until a read or a send that the disk refused is tried again


class Calls:
    """The queue between the one feeder and the consumers. Whoever comes for a call and leaves others behind sends the
    next one for these; so a consumer that is quick takes them all, and nobody else was woken in vain for each."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._calls: deque[Call] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()  # consumers
        self._is_coming = False  # one of them was sent for, and has not come yet
        self._room: asyncio.Future[None] | None = None  # what the feeder waits on

    def empty(self) -> bool:
        """True where no call is in here."""
        return not self._calls

    async def put(self, call: Call) -> None:
        """Hands over a call; waits while there are as many as may be."""
        while len(self._calls) >= self._most:
            self._room = asyncio.get_running_loop().create_future()
            try:
                await self._room
            finally:
                self._room = None
        self._calls.append(call)
        self._send()

    async def get(self) -> Call:
        """The next call, waited for."""
        while not self._calls:
            sent_for = asyncio.get_running_loop().create_future()
            self._waiting.append(sent_for)
            try:
                await sent_for
                self._is_coming = False
            except BaseException:
                if not sent_for.cancelled():  # it was sent for, and is cancelled on its way
                    self._is_coming = False
                    self._send()
                raise
        return self.get_nowait()

    def get_nowait(self) -> Call:
        """The next call there is."""
        call = self._calls.popleft()
        if self._room and not self._room.done():
            self._room.set_result(None)
        self._send()
        return call

    def _send(self) -> None:
        while self._calls and self._waiting and not self._is_coming:
            sent_for = self._waiting.popleft()
            if not sent_for.done():  # else it was cancelled
                sent_for.set_result(None)
                self._is_coming = True


class Lane:
    """What feeder and consumers of one declaration share; a source that is declared otherwise has another one."""

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        breaker: Breaker,
        taken: Taken,
        is_open: Callable[[BatchId], bool],
        room: Room,
    ) -> None:
        self.name, self.breaker, self.taken, self.room = name, breaker, taken, room
        self._is_open = is_open
        self.endpoint = endpoint  # the same for as long as the lane, but for limits and parallel
        # Small, so that a new batch is soon in turn: whatever waits in here is ahead of it.
        self.queue = Calls(min(endpoint.spec.parallel, 16))
        self.stopped: str | None = None  # why, in plain words
        self.trouble: str | None = None  # why no call can leave, where a disk is unwell
        self._running = asyncio.Event()
        self._running.set()

    def stop(self, why: str) -> None:
        """No further call goes: the same would happen to each."""
        self.stopped = why
        self._running.clear()

    def resume(self) -> None:
        """Calls go again."""
        self.stopped = None
        self._running.set()

    @property
    def held(self) -> bool:
        """Whether no call may leave now: the source is stopped, or its answers have no room."""
        return self.stopped is not None or self.room.trouble is not None

    def is_wanted(self, call: Call) -> bool:
        """False where a batch of its jobs was paused or cancelled since it was packed."""
        if len(call.jobs) == 1:
            return self._is_open(call.jobs[0].batch)
        return all(map(self._is_open, {job.batch for job in call.jobs}))

    async def running(self) -> None:
        """Returns when the source is not stopped, and its answers have room."""
        await self._running.wait()
        await self.room.enough()

    def drain(self) -> None:
        """Gives back the calls that nobody has taken out of the queue."""
        while not self.queue.empty():
            self.taken.give_back(self.queue.get_nowait().jobs)
