"""Outcomes to the store: one transaction for all that came while the last one was written."""

import asyncio
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random

import structlog

from collector.dispatch import retry
from collector.dispatch.taken import Taken
from collector.errors import StoreBusy
from collector.host.pulse import Pulse
from collector.model import BatchId, BatchState, Found, MorePages, Offspring, Result
from collector.sources.load import Load
from collector.store.store import Store

MOST_ROWS = 2_000  # jobs, or items where these are more, in a transaction
MOST_BYTES = 16_000_000  # of the items of several calls; SQLite and its driver have each twice meanwhile
WAITING = 256  # calls answered and not yet recorded; more hold their consumers back
MOST_WAITING = 2 * MOST_BYTES  # of these: while one transaction is written the next one comes together
COMMIT_EVERY = 0.01  # seconds from one to the next at least, so what comes after a pause is written at once

log = structlog.get_logger()


class Recorder:
    """The only actor that writes outcomes."""

    def __init__(
        self, store: Store, taken: Mapping[str, Taken], ended: Callable[[], None], random: Random, load: Load
    ) -> None:
        self._store, self._taken, self._ended, self._random, self._load = store, taken, ended, random, load
        self._queue: asyncio.Queue[tuple[Result, int]] = asyncio.Queue()  # each with its bytes
        self._size = 0  # of all in the queue
        self._turn, self._less = asyncio.Lock(), asyncio.Event()
        self.pulse = Pulse()
        self.trouble: str | None = None  # why nothing can be written now
        self.commits, self.commit_seconds = 0, 0.0  # since the start

    @property
    def waiting(self) -> int:
        """Calls that were handed over and are not being recorded yet."""
        return self._queue.qsize()

    async def put(self, result: Result) -> None:
        """Hands over what a call came to; waits while the store is behind."""
        size = _bytes(result)
        self._load.hold(size)
        if self._is_behind or self._turn.locked():
            try:
                await self._room()
            except BaseException:
                self._load.release(size)
                raise
        self._queue.put_nowait((result, size))
        self._size += size

    @property
    def _is_behind(self) -> bool:
        return self._queue.qsize() >= WAITING or self._size >= MOST_WAITING

    async def _room(self) -> None:
        async with self._turn:
            while self._is_behind:
                self._less.clear()
                await self._less.wait()

    async def run(self) -> None:
        """Records until it is cancelled."""
        loop, begun = asyncio.get_running_loop(), float("-inf")
        while True:
            self.pulse.rest()
            # What comes in the meantime goes with it: a commit costs as much as the rows of a few dozen calls.
            if (early := begun + COMMIT_EVERY - loop.time()) > 0:
                await asyncio.sleep(early)
            result, size = await self._queue.get()
            begun = loop.time()
            group, rows = [result], _rows(result)
            while rows < MOST_ROWS and size < MOST_BYTES and not self._queue.empty():
                result, more = self._queue.get_nowait()
                group.append(result)
                rows, size = rows + _rows(result), size + more
            self._size -= size
            self._less.set()
            growing = self._growing(born for result in group for born in result.offspring)
            await self._record(group)
            self._tell_held(growing)
            self._settle(group)
            self._load.release(size)
            for _ in group:
                self._queue.task_done()

    def wake(self, offspring: Iterable[Offspring]) -> None:
        """There may be jobs for the sources that a chain leads to."""
        for born in offspring:
            self._taken[born.source].wake()

    async def adopt(self, offspring: Sequence[Offspring]) -> None:
        """Takes in at once what items of earlier batches make for a chain. StoreBusy where it cannot be written."""
        growing = self._growing(offspring)
        await self._store.jobs.adopt(offspring)
        self._tell_held(growing)
        self.wake(offspring)

    async def drained(self) -> None:
        """Returns when everything handed over is durable."""
        await self._queue.join()

    async def _record(self, group: list[Result]) -> None:
        open_before = {batch.id for batch in self._store.batches.to_write()}
        tries, loop = 0, asyncio.get_running_loop()
        while True:
            self.pulse.beat()
            began = loop.time()
            try:
                await self._store.jobs.record(group)
                self.commits, self.commit_seconds = self.commits + 1, self.commit_seconds + loop.time() - began
                break
            except StoreBusy as error:
                tries += 1
                if self.trouble is None:
                    log.error("recording_failed", why=str(error), waiting=len(group))
                self.trouble = str(error)
                self.pulse.rest()
                await asyncio.sleep(1 + retry.delay(min(tries, 6), self._random))
        if self.trouble is not None:
            log.warning("recording_goes_on", tries=tries)
            self.trouble = None
        if {batch.id for batch in self._store.batches.to_write()} - open_before:
            self._ended()
            for taken in self._taken.values():
                taken.wake()  # a pack may have waited for what a batch above would make

    def _growing(self, offspring: Iterable[Offspring]) -> set[BatchId]:
        """Batches that get more IDs, and are asked."""
        born = {born.batch for born in offspring}
        return {batch for batch in born if self._store.batches.get(batch).state is not BatchState.HELD}

    def _tell_held(self, growing: set[BatchId]) -> None:
        for batch in map(self._store.batches.get, growing):
            if batch.state is BatchState.HELD:
                ids = self._store.books.of(batch.id).total
                what = f"`collector resume {batch.id}` lets it go on, `collector cancel {batch.id}` ends it"
                log.warning("chain_held", batch=batch.id, source=batch.source, ids=ids, what=what)

    def _settle(self, group: list[Result]) -> None:
        of_source: dict[str, list[Result]] = {}
        for result in group:
            of_source.setdefault(result.source, []).append(result)
            if result.offspring:
                self.wake(result.offspring)
        for source, results in of_source.items():
            self._taken[source].settle(results)


def _bytes(result: Result) -> int:
    """What the items of a call take in memory."""
    size = sys.getsizeof(result.extra.body) if result.extra else 0
    for _, outcome in result.outcomes:
        if isinstance(outcome, Found | MorePages):
            for item in outcome.items:
                size += sys.getsizeof(item.body)
    return size


def _rows(result: Result) -> int:
    items = 0
    for _, outcome in result.outcomes:
        if isinstance(outcome, Found | MorePages):
            items += len(outcome.items)
    return max(len(result.outcomes), items)
