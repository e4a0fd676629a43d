"""The actor that keeps a batch's folder: status.txt while it is open, its results when it has ended."""

import asyncio
import errno
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from collector.clock import Clock, stamp
from collector.errors import StoreBusy
from collector.host import thread
from collector.host.files import write
from collector.model import BatchId, State, Trouble, Why
from collector.output import export
from collector.output.report import report, with_chain
from collector.output.snapshot import BatchStatus, Snapshot
from collector.output.status import batch_status
from collector.output.text import batch_text
from collector.sources.spec import Spec
from collector.store.batches import Batch
from collector.store.books import Account
from collector.store.store import Store

EVERY = 3.0  # seconds from one look at the numbers to the next
LONGEST_BACKOFF = 60.0  # seconds

log = structlog.get_logger()


class _Failure(msgspec.Struct, frozen=True):
    """What kept a batch's files from being written."""

    why: str
    since: float  # wall time
    tries: int
    again_at: float  # loop time


class _Page(NamedTuple):
    """A batch, and all below it, for its status.txt."""

    batch: BatchStatus
    below: tuple[BatchStatus, ...]


class Folder:
    """Writes into `batches/`; a full or broken disk is a trouble and tried again, never the end."""

    def __init__(
        self,
        batches: Path,
        store: Store,
        specs: Mapping[str, Spec],
        snapshot: Callable[[], Snapshot],
        clock: Clock,
        *,
        every: float = EVERY,
        free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
        spent: Callable[[BatchId], Mapping[Why, float]] = lambda _: {},
        flies: Callable[[BatchId], bool] = lambda _: False,
    ) -> None:
        self._batches, self._store, self._specs = batches, store, specs
        self._snapshot, self._clock, self._every, self._free = snapshot, clock, every, free
        self._spent = spent  # seconds by what the time went into between the taking in and the end of a batch
        self._flies = flies  # whether answers for jobs of a batch may come still
        self._shown: dict[int, object] = {}  # what each status.txt says
        self._failures: dict[int, _Failure] = {}
        self._refreshed_at = float("-inf")  # loop time
        self._wake = asyncio.Event()

    def reconfigure(self, specs: Mapping[str, Spec]) -> None:
        """Takes up the sources as they are declared now."""
        self._specs = specs

    def ended(self) -> None:
        """A batch has ended."""
        self._wake.set()

    def troubles(self) -> tuple[Trouble, ...]:
        """The batches whose files cannot be written now, and why."""
        return tuple(
            Trouble(
                "output", f"its files cannot be written: {failure.why}; tried again", f"batch {batch}", failure.since
            )
            for batch, failure in self._failures.items()
        )

    def report(self, batch: Batch, notes: tuple[str, ...] = ()) -> str:
        """The report of a batch as it is now."""
        now, account = self._clock.wall(), self._store.books.of(batch.id)
        spent, below = self._spent(batch.id), self._members(batch.id)
        return report(batch, account, self._specs.get(batch.source), now, notes, spent, below)

    async def run(self) -> None:
        """Writes until it is cancelled."""
        while True:
            self._wake.clear()
            await self.write_ended()
            await self._refresh_in_time()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every):
                    await self._wake.wait()

    async def write_ended(self) -> None:
        """Writes the results of every batch that has ended, but for those whose next try is not due, and those that
        were cancelled and have jobs that are still to end."""
        for batch in self._store.batches.to_write():
            failure = self._failures.get(batch.id)
            if failure and failure.again_at > self._clock.mono():
                continue
            if self._store.books.open_in(batch.id) or self._flies(batch.id):
                continue
            try:
                await self._write(batch)
            except (OSError, StoreBusy) as error:
                self._failed(batch.id, error)
            else:
                self._healed(batch.id)

    async def refresh(self) -> None:
        """Rewrites status.txt of those open batches whose numbers have changed."""
        self._refreshed_at = self._clock.mono()
        snapshot = self._snapshot()
        pages = self._pages(snapshot)
        self._shown = {page.batch.id: self._shown.get(page.batch.id) for page in pages}
        changed = [page for page in pages if self._shown[page.batch.id] != _numbers(page, snapshot)]
        if not changed:
            return
        ends = await thread.run(partial(self._put_status, changed, snapshot))
        for page in changed:
            number = BatchId(page.batch.id)
            if number not in ends:
                continue
            if error := ends[number]:
                self._failed(number, error)
            else:
                self._shown[number] = _numbers(page, snapshot)
                self._healed(number)

    def _pages(self, snapshot: Snapshot) -> list[_Page]:
        """Every status.txt that may have changed: of what goes on, and of what that follows."""
        batches = self._store.batches
        known = {batch.id: batch for batch in snapshot.batches}
        pages = {batch.id: batch for batch in snapshot.batches if batch.finished_at is None}
        for batch in [*pages.values()]:
            for above in self._above(BatchId(batch.id)):
                if above.written_at is not None:
                    pages[above.id] = known.get(above.id) or batch_status(self._store, above)
        return [
            _Page(
                batch,
                tuple(
                    known.get(member.id) or batch_status(self._store, member)
                    for member in batches.family(BatchId(batch.id))[1:]
                ),
            )
            for batch in pages.values()
        ]

    def _above(self, batch: BatchId) -> Iterator[Batch]:
        """Its parent, the parent's parent and so on."""
        parent = self._store.batches.get(batch).parent
        while parent is not None:
            above = self._store.batches.get(parent)
            yield above
            parent = above.parent

    async def _refresh_in_time(self) -> None:
        if self._clock.mono() - self._refreshed_at >= self._every:
            await self.refresh()

    def _put_status(self, changed: list[_Page], snapshot: Snapshot) -> dict[int, OSError | None]:
        ends: dict[int, OSError | None] = {}
        for batch, below in changed:
            folder = self._batches / batch.folder
            # The taking in makes the folder, with the file in it; until then there is nowhere to write.
            if batch.parent is None and not folder.is_dir():
                continue
            try:
                folder.mkdir(parents=True, exist_ok=True)
                text = batch_text(batch, snapshot, snapshot.now, below=below)
                # It is written again in a moment: a lost one is no loss, and a sync each time would wear the disk.
                write(folder / "status.txt", text, durable=False)
                ends[batch.id] = None
            except OSError as error:
                ends[batch.id] = error
        return ends

    async def _write(self, batch: Batch) -> None:
        """Every file of an ended batch, then the mark that they are there: a kill in between begins anew."""
        folder = self._batches / batch.folder
        began = self._clock.mono()
        await thread.run(lambda: folder.mkdir(parents=True, exist_ok=True))
        notes = await self._write_found(batch, folder)
        await export.gone_csv(self._store, batch.id, folder / "gone.csv", self._refresh_in_time)
        await export.failed_csv(self._store, batch.id, folder / "failed.csv", self._refresh_in_time)
        await export.also_jsonl(self._store, batch.id, folder / "also.jsonl", self._refresh_in_time)
        await thread.run(partial(write, folder / "report.md", self.report(batch, notes)))
        await self._write_last_status(batch)
        for above in self._above(batch.id):
            await self._write_chain_of(above)
        if notes:
            raise OSError(errno.ENOSPC, notes[0])
        await self._store.batches.written(batch)
        log.info("results_written", batch=batch.id, items=batch.items, seconds=round(self._clock.mono() - began, 3))

    async def _write_last_status(self, batch: Batch) -> None:
        below = [batch_status(self._store, member) for member, _ in self._members(batch.id)]
        last = batch_text(batch_status(self._store, batch), None, stamp(self._clock.wall()), below=below)
        await thread.run(partial(write, self._batches / batch.folder / "status.txt", last))

    async def _write_chain_of(self, batch: Batch) -> None:
        """Tells in the files of a batch that was written before how its chain stands now."""
        path = self._batches / batch.folder / "report.md"
        if batch.written_at is None or not await thread.run(path.is_file):
            return
        text = await thread.run(partial(path.read_text, encoding="utf-8"))
        await thread.run(partial(write, path, with_chain(text, self._members(batch.id))))
        await self._write_last_status(batch)

    def _members(self, batch: BatchId) -> list[tuple[Batch, Account]]:
        """All below a batch, with their books."""
        return [(member, self._store.books.of(member.id)) for member in self._store.batches.family(batch)[1:]]

    async def _write_found(self, batch: Batch, folder: Path) -> tuple[str, ...]:
        """found.jsonl, or why it is not there."""
        found = self._store.books.count(batch.id, State.FOUND)
        needed = 2 * await self._store.items.size(batch.source, max(batch.items, found))
        free = await thread.run(partial(self._free, folder))
        if free >= needed:
            await export.found_jsonl(self._store, batch.id, folder / "found.jsonl", self._refresh_in_time)
            return ()
        return (
            f"found.jsonl was not written: it wants {needed / 1e6:,.1f} MB of free space and there were"
            f" {free / 1e6:,.1f} MB. The items are safe in collector.db, and the file comes as soon as there is room.",
        )

    def _failed(self, batch: BatchId, error: Exception) -> None:
        before = self._failures.get(batch)
        why, now = getattr(error, "strerror", None) or str(error), self._clock.mono()
        if before is None:
            log.error("files_not_written", batch=batch, why=why)
        tries = before.tries + 1 if before else 1
        since = before.since if before else self._clock.wall()
        self._failures[batch] = _Failure(why, since, tries, now + min(2.0 ** (tries - 1), LONGEST_BACKOFF))

    def _healed(self, batch: BatchId) -> None:
        if self._failures.pop(batch, None):
            log.warning("files_written_again", batch=batch)


def _numbers(page: _Page, snapshot: Snapshot) -> object:
    """What makes a status.txt worth writing again; the finish time alone is not, since it moves with the clock."""
    batch = page.batch
    waits = [(wait.until, wait.why) for wait in snapshot.waiting if wait.budget == batch.source]
    below = [(child.id, child.state, child.jobs) for child in page.below]
    own = (batch.jobs, batch.items, batch.state, batch.line, batch.warnings)
    return (own, below, waits, snapshot.sources.get(batch.source))
