"""Due jobs to calls: fair shares, packing, and nothing asked for twice."""

import asyncio
from collections.abc import Mapping

import structlog

from collector.clock import Clock, stamp, unstamp
from collector.dispatch.judge import Judge
from collector.dispatch.lane import DISK_DELAY, Lane
from collector.dispatch.lineage import Lineage
from collector.dispatch.packing import Kind, Shelf
from collector.dispatch.recorder import Recorder
from collector.errors import StoreBusy
from collector.host.pulse import Pulse
from collector.model import BatchId, Call, Found, Job, Offspring, Result, State
from collector.sources.rules import fresh_since
from collector.store.batches import Batch
from collector.store.store import Store

RIPE = 60.0  # seconds that a pack of returned jobs may wait to be filled while there is other work
LOOK_EVERY = 0.1  # seconds
HANDED_DOWN = 500  # items whose IDs are taken in at once, and a few
SHORTEST_SLEEP = 0.05  # seconds
LONGEST_SLEEP = 60.0  # seconds; a clock that was set wakes it in time

log = structlog.get_logger()


class Feeder:
    """The actor that reads the jobs of one source and puts calls into its queue."""

    def __init__(
        self,
        lane: Lane,
        shelf: Shelf,
        judge: Judge,
        lineage: Lineage,
        store: Store,
        recorder: Recorder,
        clock: Clock,
    ) -> None:
        self._lane, self._shelf, self._judge, self._lineage = lane, shelf, judge, lineage
        self._store, self._recorder, self._clock = store, recorder, clock
        self._position: dict[BatchId, str] = {}  # the last key read from the queued rows
        self._exhausted: set[BatchId] = set()  # no queued row is left behind the position
        self._looked: dict[BatchId, float] = {}  # when the delayed rows were read last, in loop time
        self._twins: dict[BatchId, dict[str, Job]] = {}  # read, and another batch asks for the same ID
        self._freed = 0  # of `taken`, when the twins were looked at last
        self._unfilled: dict[Kind, float] = {}  # since when a pack waits to be filled, in loop time
        self._open: list[BatchId] = []  # whose jobs are asked, as of the last look
        self._looked_at, self._wakes = float("-inf"), 0  # when that was, in loop time, and of `taken`
        self.pulse = Pulse()
        self._hand: tuple[Job, ...] = ()  # neither on the shelf any more, nor anywhere else yet

    async def run(self) -> None:
        """Feeds until it is cancelled; what it has read and nobody will ask for is then given back."""
        try:
            await self._feed()
        finally:
            self._lane.drain()
            self._lane.taken.give_back([*self._hand, *self._shelf.drop_others(set())])

    async def _feed(self) -> None:
        while True:
            self.pulse.rest()
            if self._lane.held:
                await self._lane.running()
            self.pulse.beat()
            try:
                call = await self._next()
                if call is None:
                    due = await self._until_due()
                    self.pulse.rest()
                    await self._lane.taken.woken(due)
                    continue
            except StoreBusy as error:
                self.pulse.rest()
                log.warning("jobs_cannot_be_read", source=self._lane.name, why=str(error))
                await asyncio.sleep(DISK_DELAY)
                continue
            self._hand = call.jobs
            self.pulse.rest()
            await self._lane.queue.put(call)
            self._hand = ()

    async def _next(self) -> Call | None:
        self._shelf.most = self._judge.pack
        if self._is_stale():
            await self._refill()
        kind = self._shelf.ready(self._may_be_partial)
        if kind is None:
            return None
        self._unfilled.pop(kind, None)
        return self._shelf.pack(kind)

    def _is_stale(self) -> bool:
        """Whether to look at batches and rows: something has come or ended, or a batch has nothing to be in turn with.
        Not for every call: looking costs more than packing one."""
        if self._wakes != self._lane.taken.wakes or not len(self._shelf):
            return True
        if asyncio.get_running_loop().time() - self._looked_at >= LOOK_EVERY:
            return True
        return any(map(self._is_short, self._open))

    def _is_short(self, batch: BatchId) -> bool:
        return batch not in self._exhausted and self._shelf.held(batch, delayed=False) < self._shelf.most

    async def _refill(self) -> None:
        self._looked_at, self._wakes = asyncio.get_running_loop().time(), self._lane.taken.wakes
        batches = self._batches()
        self._open = [batch.id for batch in batches]
        self._leave({batch.id for batch in batches})
        for given_back in self._lane.taken.to_read_again():
            self._forget(given_back)
        most = max(500, 4 * self._shelf.most)
        freed, self._freed = self._freed != self._lane.taken.freed, self._lane.taken.freed
        for batch in batches:
            self.pulse.beat()
            if freed and (twins := self._twins.pop(batch.id, None)):
                await self._shelve(batch, [*twins.values()], set())
            if self._is_short(batch.id):
                await self._read_queued(batch, most)
            if self._is_time_to_look(batch) and self._shelf.held(batch.id, delayed=True) < most:
                await self._read_due(batch, most)

    def _batches(self) -> list[Batch]:
        """Those whose jobs are asked. One whose chain is not declared whole waits: its items would be lost to that."""
        return [batch for batch in self._store.batches.open_of(self._lane.name) if self._lineage.whole(batch)]

    def _leave(self, open_batches: set[BatchId]) -> None:
        """Batches that are no longer open: what was read of them is read again when they are."""
        for batch in (set(self._position) | set(self._looked)) - open_batches:
            self._forget(batch)
        dropped = self._shelf.drop_others(open_batches)
        if dropped:
            self._lane.taken.forget(dropped)

    def _forget(self, batch: BatchId) -> None:
        """Its rows are read from the first one on."""
        self._position.pop(batch, None)
        self._looked.pop(batch, None)
        self._twins.pop(batch, None)
        self._exhausted.discard(batch)

    async def _read_queued(self, batch: Batch, most: int) -> None:
        before = set(self._lane.taken.jobs)
        while True:
            self.pulse.beat()
            jobs = await self._store.jobs.queued(batch.id, self._position.get(batch.id, ""), most)
            await self._shelve(batch, jobs, before)
            if jobs:
                self._position[batch.id] = jobs[-1].key
            if len(jobs) < most:
                self._exhausted.add(batch.id)
                return
            # After something was given back whole reads may be of jobs in memory; what is due lies behind them.
            if any((job.batch, job.key) not in before for job in jobs):
                return

    async def _read_due(self, batch: Batch, most: int) -> None:
        self._looked[batch.id] = asyncio.get_running_loop().time()
        before = set(self._lane.taken.jobs)
        await self._shelve(batch, await self._store.jobs.due(batch.id, most + len(before)), before)

    def _is_time_to_look(self, batch: Batch) -> bool:
        """Whether to read the delayed rows: not for every call, since most of them may be due much later."""
        looked = self._looked.get(batch.id, float("-inf"))
        hungry = not len(self._shelf) or asyncio.get_running_loop().time() - looked >= LOOK_EVERY
        return hungry and self._more_delayed(batch)

    def _more_delayed(self, batch: Batch) -> bool:
        return self._store.books.count(batch.id, State.DELAYED) > self._shelf.held(batch.id, delayed=True)

    async def _shelve(self, batch: Batch, read: list[Job], before: set[tuple[BatchId, str]]) -> None:
        """Shelves what is not in memory. What was in memory `before` the read and is no longer has been recorded
        meanwhile, so the row that was read is an old one."""
        jobs = [job for job in read if (job.batch, job.key) not in before]
        known: dict[str, BatchId] = {}
        since = fresh_since(self._lane.endpoint.spec.recollect, self._clock.wall())
        if jobs and since is not None:
            # Before what is collected is read: what another batch has recorded meanwhile is found there.
            jobs = await self._without_twins(batch, jobs)
            # A list that was begun goes on: its own items beside those of another batch would be neither's whole list.
            unbegun = [job.key for job in jobs if job.cursor is None]
            if unbegun and self._others_have_items(batch):
                known = await self._store.jobs.collected(self._lane.name, unbegun, stamp(since))
                await self._hand_down(batch.id, known)
        jobs = self._lane.taken.take(jobs)
        self._shelf.add(job for job in jobs if job.key not in known)
        done = tuple((job, Found(same_as=known[job.key])) for job in jobs if job.key in known)
        if done:
            self._hand = tuple(job for job, _ in done)
            self.pulse.rest()  # the recorder has a mark of its own, and may wait for a disk
            await self._recorder.put(Result(self._lane.name, self._hand, done, self._clock.wall(), sent=False))
            self.pulse.beat()
            self._hand = ()

    async def _without_twins(self, batch: Batch, jobs: list[Job]) -> list[Job]:
        """Leaves out those that another batch asks for now, whose answer will do for both: a job that is delayed is
        read again by and by, others are kept here. A pack holds the same ID of two batches once, so it needs none."""
        others = [other.id for other in self._batches() if other.id != batch.id]
        spec = self._lane.endpoint.spec
        if spec.packed or not others:
            return jobs
        keys = [job.key for job in jobs if job.cursor is None]
        asked = {key for owner, key in self._lane.taken.jobs if owner != batch.id}
        if spec.next:  # between two pages a list is in the table alone
            asked |= await self._store.jobs.begun(others, keys)
        twins = {job.key: job for job in jobs if job.key in asked and job.cursor is None}
        self._twins.setdefault(batch.id, {}).update((key, job) for key, job in twins.items() if not job.delayed)
        return [job for job in jobs if job.key not in twins]

    async def _hand_down(self, batch: BatchId, known: Mapping[str, BatchId]) -> None:
        """What earlier batches have stored under these keys feeds the batches below this one, as if it came now. Done
        before the jobs end, so a kill in between does it again."""
        if not self._store.batches.children(batch):
            return
        born: list[Offspring] = []
        items = 0
        for key, holder in known.items():
            async for page in self._store.items.of_job(holder, key):
                self.pulse.beat()
                born += self._lineage.offspring(batch, page)
                items += len(page)
                if items >= HANDED_DOWN:
                    await self._recorder.adopt(born)
                    born, items = [], 0
        if born:
            await self._recorder.adopt(born)

    def _others_have_items(self, batch: Batch) -> bool:
        return any(b.items and b.id != batch.id and b.source == batch.source for b in self._store.batches.all())

    def _may_be_partial(self, kind: Kind) -> bool:
        """A pack goes unfilled where nothing can come to fill it, or where it waited long enough."""
        batches = self._batches()
        read = all(batch.id in self._exhausted for batch in batches)
        whole = kind.most >= self._shelf.most and not kind.absent
        if whole and not read:
            return False
        if read and not any(map(self._grows, batches)) and (whole or len(self._lane.taken.jobs) == len(self._shelf)):
            return True
        now = asyncio.get_running_loop().time()
        return now - self._unfilled.setdefault(kind, now) > RIPE

    def _grows(self, batch: Batch) -> bool:
        """True where the batch above it still makes IDs."""
        return batch.parent is not None and self._store.batches.get(batch.parent).finished_at is None

    async def _until_due(self) -> float | None:
        """Seconds until something is due, None when only a wake can bring work."""
        waiting = [b for b in self._batches() if self._more_delayed(b)]
        times = [due for batch in waiting if (due := await self._store.jobs.next_due(batch.id))]
        if not times:
            return RIPE if len(self._shelf) else LONGEST_SLEEP if waiting else None
        return min(max(unstamp(min(times)) - self._clock.wall(), SHORTEST_SLEEP), LONGEST_SLEEP)
