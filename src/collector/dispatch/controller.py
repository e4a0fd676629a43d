"""The actor behind pause, resume, cancel, retry, priority and drain: it changes the batches, and ends the jobs of those
that are cancelled."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec
import structlog

from collector.clock import Clock
from collector.errors import StoreBusy
from collector.model import BatchId
from collector.store.actions import Order, Target
from collector.store.batches import Batch
from collector.store.portion import Portion
from collector.store.retries import Choice, Tally
from collector.store.store import Store

LEAST_AT_ONCE = 500  # jobs in a commit
FIRST_WAIT, LONGEST_WAIT = 0.25, 60.0  # seconds between tries while the store is busy

log = structlog.get_logger()


class Ordered(msgspec.Struct, frozen=True):
    """A batch after an order, whether the order changed it, and its jobs at that moment."""

    batch: Batch
    changed: bool
    total: int
    open: int
    retried: int = 0  # jobs that are asked again


class Controller:
    """Takes orders for batches and sources; each is durable when it returns, and holds for all below a batch."""

    def __init__(
        self,
        store: Store,
        opened: Callable[[str], None],
        recall: Callable[[str], None],
        ended: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._store, self._clock = store, clock
        self._opened = opened  # told the source of a batch that is asked from now on
        self._recall = recall  # told the source of one that no longer is
        self._ended = ended  # told when a batch has ended
        self._wake = asyncio.Event()
        self._portion = Portion(LEAST_AT_ONCE)

    def find(self, named: str) -> Batch | None:
        """The batch that a number or the name of its folder means."""
        number = named.partition("-")[0]
        if not (number.isascii() and number.isdecimal() and len(number) < 19):
            return None
        batch = self._store.batches.find(BatchId(int(number)))
        return batch if batch and named in (number, batch.folder) else None

    def known(self, most: int) -> list[Batch]:
        """The latest batches, in order."""
        return self._store.batches.all()[-most:]

    def has(self, source: str) -> bool:
        """Whether there is a batch of a source."""
        return any(batch.source == source for batch in self._store.batches.all())

    async def pause(self, batch: BatchId, who: str = "cli") -> list[Ordered]:
        """No more of their calls leave."""
        return self._told("batch_paused", batch, await self._store.control.pause(batch, who), self._recall)

    async def resume(self, batch: BatchId, who: str = "cli") -> list[Ordered]:
        """Their calls leave again; where they are held it is the yes."""
        return self._told("batch_resumed", batch, await self._store.control.resume(batch, who), self._opened)

    async def cancel(self, target: Target, who: str = "cli") -> list[Ordered]:
        """They have ended, and their open jobs end in a moment."""
        told = self._told("batch_cancelled", target, await self._store.control.cancel(target, who), self._recall)
        self._wake.set()
        return told

    async def prioritise(self, target: Target, priority: int, who: str = "cli") -> list[Ordered]:
        """Their calls go before those of a lower priority, from the next call on."""
        changed = await self._store.control.prioritise(target, priority, who)
        return self._told("batch_prioritised", target, changed, self._opened)

    def is_paused(self, source: str) -> bool:
        """Whether a source is paused, by itself or with all."""
        return self._store.pauses.holds(source)

    async def pause_sources(self, source: str | None, declared: Iterable[str], who: str = "cli") -> list[str]:
        """No more calls of a source leave, None: of any, those that are declared later too; the ones that were not
        paused before."""
        names = [name for name in declared if not self.is_paused(name)]
        await self._store.control.pause_source(source, who)
        for name in names:
            self._recall(name)
        log.info("sources_paused", sources=names, all=source is None)
        return names

    async def resume_sources(
        self, source: str | None, declared: Iterable[str], ended: Sequence[str], who: str = "cli"
    ) -> list[str]:
        """Calls of a source leave again, None: of all. `ended` are those whose stop by cause ends with it; returned
        are those that are paused no more."""
        paused = [name for name in declared if self.is_paused(name)]
        await self._store.control.resume_source(source, ended, who)
        names = [name for name in paused if not self.is_paused(name)]
        for name in names:
            self._opened(name)
        log.info("sources_resumed", sources=names, all=source is None)
        return names

    async def drain(self, who: str = "cli") -> bool:
        """Nothing new is taken in; False where that was so before."""
        new = await self._store.control.drain(who)
        log.info("draining", new=new, open_batches=len(self._store.batches.ongoing()))
        return new

    @property
    def drains(self) -> bool:
        """Whether nothing new is taken in."""
        return self._store.pauses.draining_since is not None

    def owed(self) -> list[Ordered]:
        """The batches that have not ended, or whose files are not written, with their jobs."""
        batches = [*self._store.batches.ongoing(), *self._store.batches.to_write()]
        accounts = [(batch, self._store.books.of(batch.id)) for batch in batches]
        return [Ordered(batch, False, account.total, account.open) for batch, account in accounts]

    async def retry(self, target: Target, choice: Choice, who: str = "cli") -> list[Ordered]:
        """What has ended and is chosen is asked again, with the batches that had any of it; of one batch, it and all
        below it. A kill, or a StoreBusy, takes nothing back of what was done before."""
        options = {"states": list(choice.states), "reason": choice.reason}
        tally, told = Tally(Order("retry", target, who, options)), list[Ordered]()
        try:
            for batch in self._store.retries.of(target):
                before = tally.jobs
                tally = await self._retry_batch(batch, choice, tally)
                if not self._store.batches.find(batch.id):
                    continue  # a prune removed it meanwhile
                if isinstance(target, int) or tally.jobs > before:
                    told.append(self._retried(batch.id, tally.jobs - before))
            await self._store.retries.end(tally)
        except StoreBusy as error:
            raise StoreBusy(f"{error}; but {tally.jobs} IDs are asked again, the same order goes on") from error
        log.info("jobs_retried", of=target, jobs=tally.jobs)
        return told

    async def _retry_batch(self, batch: Batch, choice: Choice, tally: Tally) -> Tally:
        for state in choice.states:
            tally = msgspec.structs.replace(tally, after="")
            while tally.after is not None and self._store.retries.waiting(batch.id, state, choice):
                at, before = self._clock.mono(), tally.jobs
                most = self._portion.rows
                tally = await self._store.retries.some(batch.id, state, choice, tally, most)
                self._portion.took(most, self._clock.mono() - at)
                if tally.jobs > before:
                    self._opened(batch.source)
        return tally

    def _retried(self, batch: BatchId, jobs: int) -> Ordered:
        account = self._store.books.of(batch)
        return Ordered(self._store.batches.get(batch), jobs > 0, account.total, account.open, jobs)

    async def run(self) -> None:
        """Ends the open jobs of cancelled batches, also of those that an earlier process left, until it is
        cancelled."""
        while True:
            self._wake.clear()
            await self.settle()
            await self._wake.wait()

    async def settle(self) -> None:
        """Ends the open jobs of the batches that are cancelled now."""
        for batch in self._store.control.unsettled():
            await self._end_jobs(batch)

    async def _end_jobs(self, batch: Batch) -> None:
        began, after, jobs = self._clock.mono(), "", self._store.books.open_in(batch.id)
        while self._store.books.open_in(batch.id):
            at = self._clock.mono()
            most = self._portion.rows
            last = await self._patiently(lambda: self._store.control.end_jobs(batch.id, after, most))  # noqa: B023 # awaited at once
            if last is None and not after:
                break  # an answer ended the last ones meanwhile
            self._portion.took(most, self._clock.mono() - at)
            after = last or ""
        log.info("jobs_cancelled", batch=batch.id, jobs=jobs, seconds=round(self._clock.mono() - began, 3))
        self._ended()

    async def _patiently(self, work: Callable[[], Awaitable[str | None]]) -> str | None:
        """The work's result, however long the store cannot be written to."""
        wait = FIRST_WAIT
        while True:
            try:
                return await work()
            except StoreBusy as error:
                log.error("cancelling_waits_for_the_store", why=str(error), again_in=wait)
                await asyncio.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT)

    def _told(self, event: str, target: Target, changed: list[Batch], tell: Callable[[str], None]) -> list[Ordered]:
        """How they are now: a batch and all below it; of a source, or of everything, those that changed."""
        numbers = {member.id for member in changed}
        if changed:
            log.info(event, batch=target, changed=sorted(numbers))
        for source in {member.source for member in changed}:
            tell(source)
        told = []
        for member in self._store.batches.family(target) if isinstance(target, int) else changed:
            account = self._store.books.of(member.id)
            told.append(Ordered(member, member.id in numbers, account.total, account.open))
        return told
