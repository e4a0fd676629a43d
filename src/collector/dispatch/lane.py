"""The lane of one source as it is declared: its queue, its breaker, and whether it may run."""

import asyncio
from collections.abc import Callable

from collector.dispatch.breaker import Breaker
from collector.dispatch.taken import Taken
from collector.host.disk import Room
from collector.model import BatchId, Call
from collector.sources.request import Endpoint

DISK_DELAY = 2.0  # seconds until a read or a send that the disk refused is tried again


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
        self.queue: asyncio.Queue[Call] = asyncio.Queue(maxsize=min(endpoint.spec.parallel, 16))
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
