"""Due jobs to calls: fair shares, packing, and nothing asked for twice."""

import asyncio
from collections.abc import Awaitable, Callable

from collector.clock import Clock, unstamp
from collector.dispatch.judge import Judge
from collector.dispatch.lane import Lane
from collector.dispatch.packing import Kind, Shelf
from collector.model import BatchId, Found, Job, Result, State
from collector.store.batches import Batch
from collector.store.store import Store

RIPE = 60.0  # seconds that a pack of returned jobs may wait to be filled while there is other work
LOOK_EVERY = 0.1  # seconds
LONGEST_SLEEP = 60.0  # seconds; a clock that was set wakes it in time


class Feeder:
    """The actor that reads the jobs of one source and puts calls into its queue."""

    def __init__(
        self,
        lane: Lane,
        shelf: Shelf,
        judge: Judge,
        store: Store,
        record: Callable[[Result], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._lane, self._shelf, self._judge = lane, shelf, judge
        self._store, self._record, self._clock = store, record, clock
        self._position: dict[BatchId, str] = {}  # the last key read from the queued rows
        self._exhausted: set[BatchId] = set()  # no queued row is left behind the position
        self._looked: dict[BatchId, float] = {}  # when the delayed rows were read last, in loop time
        self._unripe_since: float | None = None  # loop time

    async def run(self) -> None:
        """Feeds until it is cancelled."""
        while True:
            await self._lane.running()
            self._shelf.most = self._judge.pack
            await self._refill()
            call = self._shelf.next(self._may_be_partial)
            if call is None:
                await self._lane.woken(await self._until_due())
                continue
            self._unripe_since = None
            await self._lane.queue.put(call)

    async def _refill(self) -> None:
        batches = self._store.batches.open_of(self._lane.name)
        self._leave({batch.id for batch in batches})
        most = max(500, 4 * self._shelf.most)
        for batch in batches:
            if batch.id not in self._exhausted and self._shelf.held(batch.id, delayed=False) < self._shelf.most:
                await self._read_queued(batch, most)
            if self._is_time_to_look(batch) and self._shelf.held(batch.id, delayed=True) < most:
                self._looked[batch.id] = asyncio.get_running_loop().time()
                due = await self._store.jobs.due(batch.id, most + len(self._lane.taken))
                await self._shelve(batch, self._lane.take(due))

    def _leave(self, open_batches: set[BatchId]) -> None:
        """Batches that are no longer open: what was read of them is read again when they are."""
        for batch in set(self._position) - open_batches:
            del self._position[batch]
            self._looked.pop(batch, None)
            self._exhausted.discard(batch)
        dropped = self._shelf.drop_others(open_batches)
        if dropped:
            self._lane.forget(dropped)

    async def _read_queued(self, batch: Batch, most: int) -> None:
        jobs = await self._store.jobs.queued(batch.id, self._position.get(batch.id, ""), most)
        if len(jobs) < most:
            self._exhausted.add(batch.id)
        if jobs:
            self._position[batch.id] = jobs[-1].key
            await self._shelve(batch, self._lane.take(jobs))

    def _is_time_to_look(self, batch: Batch) -> bool:
        """Whether to read the delayed rows: not for every call, since most of them may be due much later."""
        looked = self._looked.get(batch.id, float("-inf"))
        hungry = not len(self._shelf) or asyncio.get_running_loop().time() - looked >= LOOK_EVERY
        return hungry and self._more_delayed(batch)

    def _more_delayed(self, batch: Batch) -> bool:
        return self._store.books.count(batch.id, State.DELAYED) > self._shelf.held(batch.id, delayed=True)

    async def _shelve(self, batch: Batch, jobs: list[Job]) -> None:
        if jobs and self._lane.spec.recollect == "missing" and self._others_have_items(batch):
            jobs = await self._leave_out_collected(jobs)
        self._shelf.add(jobs)

    def _others_have_items(self, batch: Batch) -> bool:
        return any(b.items and b.id != batch.id and b.source == batch.source for b in self._store.batches.all())

    async def _leave_out_collected(self, jobs: list[Job]) -> list[Job]:
        known = await self._store.jobs.collected(self._lane.name, [job.key for job in jobs])
        done = tuple((job, Found(same_as=known[job.key])) for job in jobs if job.key in known)
        if done:
            await self._record(
                Result(self._lane.name, tuple(job for job, _ in done), done, at=self._clock.wall(), sent=False)
            )
        return [job for job in jobs if job.key not in known]

    def _may_be_partial(self, kind: Kind) -> bool:
        """A pack goes unfilled where nothing can come to fill it, or where it waited long enough."""
        exhausted = all(b.id in self._exhausted for b in self._store.batches.open_of(self._lane.name))
        if kind.most >= self._shelf.most and not kind.absent:
            return exhausted
        if exhausted and len(self._lane.taken) == len(self._shelf):
            return True
        now = asyncio.get_running_loop().time()
        if self._unripe_since is None:
            self._unripe_since = now
        return now - self._unripe_since > RIPE

    async def _until_due(self) -> float | None:
        """Seconds until something is due, None when only a wake can bring work."""
        waiting = [b for b in self._store.batches.open_of(self._lane.name) if self._more_delayed(b)]
        times = [due for batch in waiting if (due := await self._store.jobs.next_due(batch.id))]
        longest = RIPE if len(self._shelf) else LONGEST_SLEEP if waiting else None
        if not times:
            return longest
        return min(max(unstamp(min(times)) - self._clock.wall(), 0.01), LONGEST_SLEEP)
