"""Taking a file in: four durable steps, each of which a start repeats when it was the first unfinished one."""

import asyncio
import os
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from collector.clock import Clock
from collector.config import Config
from collector.errors import Drained, NotLoading, StoreBusy, StoreError, UnreadableFile
from collector.host import thread
from collector.host.disk import Room
from collector.host.files import write
from collector.intake import files, place, receipt
from collector.intake.idfile import Chunk
from collector.intake.reading import Reading
from collector.intake.receipt import Receipt
from collector.model import BatchId, BatchState, Trouble
from collector.output import estimate
from collector.sources import chain
from collector.sources.plan import plan
from collector.sources.spec import Spec
from collector.store.batches import Batch
from collector.store.portion import Portion
from collector.store.store import Store

LEAST_AT_ONCE = 1_000  # keys in a commit
FIRST_WAIT, LONGEST_WAIT = 0.25, 60.0  # seconds between tries while the store is busy
REJECTED_SHOWN = 5

T = TypeVar("T")
Column = str | int | None

log = structlog.get_logger()


class _NotWhole(files.Left):
    """The chain of a batch that is loaded is not declared."""


class Loader:
    """Takes files in, one at a time: (1) a batch in state loading, (2) the file moved into its folder, (3) its IDs in
    chunks, (4) receipt.txt and the batch open."""

    def __init__(
        self, config: Config, store: Store, clock: Clock, opened: Callable[[str], None], room: Room | None = None
    ) -> None:
        self._config, self._store, self._clock, self._opened = config, store, clock, opened
        self._room = room or Room()
        self._one_at_a_time = asyncio.Lock()
        self._portion = Portion(LEAST_AT_ONCE)
        self._rejected: deque[Trouble] = deque(maxlen=REJECTED_SHOWN)
        self._stuck: dict[int, Trouble] = {}  # by batch: why its loading does not go on
        self._busy: Trouble | None = None
        self._arriving: set[files.Identity] = set()  # of uploads between steps one and two
        self._awaited: dict[BatchId, asyncio.Future[None]] = {}  # done when a loading has ended, or does not go on

    def reconfigure(self, config: Config) -> None:
        """Takes up another configuration; what is being taken in goes on as it began."""
        self._config = config

    def troubles(self) -> tuple[Trouble, ...]:
        """Files rejected lately, batches that cannot be loaded, a store that cannot be written to."""
        rejected = [trouble for trouble in self._rejected if os.path.lexists(self._config.root / trouble.where)]
        loading = {batch.id for batch in self._store.batches.loading()}  # a stuck one may have been cancelled
        stuck = [trouble for batch, trouble in self._stuck.items() if batch in loading]
        since = self._store.pauses.draining_since
        drained = () if since is None else (Trouble("draining", str(Drained()), "watch/", since),)
        return (*drained, *((self._busy,) if self._busy else ()), *stuck, *rejected)

    def rests(self) -> bool:
        """True while nothing new is taken in."""
        return self._store.pauses.draining_since is not None

    def refuses(self) -> str | None:
        """Why nothing can be taken in now: a drain, or too little room on the disk."""
        if self.rests():
            return str(Drained())
        return self._room.trouble.what if self._room.trouble else None

    def unfinished(self) -> bool:
        """True while a batch of a file is loading, or its loading is stuck."""
        return any(batch.identity is not None for batch in self._store.batches.loading())

    def holds(self, identity: files.Identity) -> bool:
        """True for the file of a batch that is loading: it is not to be taken in a second time."""
        return any(batch.identity == identity for batch in self._store.batches.loading())

    async def take(self, path: Path, source: str, column: Column = None, follow: Sequence[str] = ()) -> Batch | None:
        """Takes a complete file in, as a batch that the sources of `follow` are to follow; None when it was rejected,
        cancelled meanwhile, or cannot be opened as yet. files.Left, and nothing done, where it must stay."""
        async with self._one_at_a_time:
            await self._room.enough()
            spec = self._spec(source)
            try:
                identity = await thread.run(lambda: _sniffed(path, spec, column))
            except UnreadableFile as error:
                await self._reject(path, str(error))
                return None
            name, file = files.stem(path.name), files.plain(path.name)
            begin = partial(self._store.batches.begin, file=file, column=column, identity=identity, chain=follow)
            batch = await self._patiently(lambda: begin(source, name, "file"))
            try:
                moved = await thread.run(lambda: place.move(self._config, path, batch))
            except OSError as error:
                await self._forget(batch)
                told = f"it cannot be moved to {self._config.batches}: {error.strerror or error}"
                raise files.Left("file_cannot_be_moved", f"{told}; make that folder writable") from error
            try:
                return await self._unless_cancelled(batch, self._load(batch, spec, moved))
            except _NotWhole as error:  # a reload came meanwhile; `go_on` tries it again
                self._is_stuck(batch, str(error))
                return None

    async def receive(
        self, part: Path, source: str, name: str, *, column: Column, follow: Sequence[str], hold: bool
    ) -> Batch:
        """Steps one and two for an upload that lies complete in `batches/`; `go_on` does the others. UnreadableFile,
        and nothing done, where nothing can be taken in from it."""
        spec = self._spec(source)
        identity = await thread.run(lambda: _sniffed(part, spec, column))
        self._arriving.add(identity)
        try:
            batch = await self._store.batches.begin(
                source,
                files.stem(name),
                "http",
                file=files.plain(name),
                column=column,
                identity=identity,
                chain=follow,
                hold=hold,
            )
            try:
                await thread.run(lambda: place.move(self._config, part, batch))
            except OSError:
                await self._forget(batch)
                raise
        finally:
            self._arriving.discard(identity)
        return batch

    async def loaded(self, batch: BatchId) -> None:
        """Returns when a batch is no longer loading, or its loading does not go on by itself."""
        known = self._store.batches.find(batch)
        if known is None or known.state is not BatchState.LOADING or batch in self._stuck:
            return
        await asyncio.shield(self._awaited.setdefault(batch, asyncio.get_running_loop().create_future()))

    async def go_on(self) -> None:
        """Finishes what an earlier run began to take in; what cannot go on now stands in `troubles` and may be tried
        again."""
        async with self._one_at_a_time:
            for batch in self._store.batches.loading():
                if batch.identity is None or batch.identity in self._arriving:
                    continue
                try:
                    await self._unless_cancelled(batch, self._resume(batch))
                    self._stuck.pop(batch.id, None)
                except (OSError, files.Left) as error:
                    self._is_stuck(batch, str(error))
                except StoreError:
                    raise
                except Exception as error:  # of one batch: the others go on
                    log.exception("loading_failed", batch=batch.id)
                    self._is_stuck(batch, f"{type(error).__name__}: {error}")
                finally:
                    if awaited := self._awaited.pop(batch.id, None):
                        awaited.set_result(None)

    async def _resume(self, batch: Batch) -> None:
        spec = self._spec(batch.source)
        there = await thread.run(lambda: place.found(self._config, batch))
        if batch.line or batch.origin != "http":  # an upload begins here
            log.info("loading_goes_on", batch=batch.id, file=batch.file, line=batch.line, found=there is not None)
        if there is not None:
            await self._load(batch, spec, there)
        elif batch.line or self._store.books.of(batch.id).total:
            await self._open_without_file(batch)
        else:
            log.warning(
                "loading_dropped", batch=batch.id, file=batch.file, why="the file is gone, and no ID was taken in"
            )
            await self._forget(batch)

    def _spec(self, source: str) -> Spec:
        spec = self._config.sources.get(source)
        if spec is None:
            why = f"the source {source} is no longer in the configuration: declare it again, then `collector reload`"
            raise files.Left("source_is_not_declared", why)
        return spec

    def _is_stuck(self, batch: Batch, why: str) -> None:
        known = self._stuck.get(batch.id)
        if known is None or known.what != why:
            log.error("loading_is_stuck", batch=batch.id, file=batch.file, why=why)
            self._stuck[batch.id] = Trouble("loading", why, f"batches/{batch.folder}/", self._clock.wall())

    async def _load(self, batch: Batch, spec: Spec, path: Path) -> Batch | None:
        """Steps three and four."""
        try:
            reading = await thread.run(lambda: Reading(path, spec.match, _column(batch.column, spec)))
        except UnreadableFile as error:
            return await self._load_unreadable(batch, path, str(error))
        try:
            batch = await self._load_chunks(batch, reading)
            await thread.run(reading.end)
            return await self._open(self._receipt(batch, reading), batch)
        finally:
            await thread.run(reading.close)

    async def _load_unreadable(self, batch: Batch, path: Path, why: str) -> Batch | None:
        """The file was readable when it was found, and is not now."""
        if batch.line or self._store.books.of(batch.id).total:
            return await self._open_without_file(batch, why)
        await self._reject(path, why)
        await self._forget(batch)
        return None

    async def _load_chunks(self, batch: Batch, reading: Reading) -> Batch:
        """Step three; the next chunk is read while this one is written."""
        ahead = thread.begin(reading.step)
        try:
            while (chunk := await thread.ended(ahead)) is not None:
                ahead = thread.begin(reading.step)
                if chunk.line > batch.line:
                    batch = await self._load_chunk(batch, chunk)
        finally:
            with suppress(Exception):
                await thread.ended(ahead)
        return batch

    async def _load_chunk(self, batch: Batch, chunk: Chunk) -> Batch:
        """One chunk in parts that are written quickly; the line moves on with the last of them only."""
        start = 0
        while True:
            part = chunk.keys[start : start + self._portion.rows]
            start += len(part)
            last = start >= len(chunk.keys)
            line = chunk.line if last else batch.line
            await self._room.enough()
            began = self._clock.mono()
            # In the table's own order: a file in no order is taken in nearly twice as fast.
            ordered = sorted(part)
            batch, _ = await self._patiently(partial(self._store.batches.load_chunk, batch, ordered, line))
            self._portion.took(len(part), self._clock.mono() - began)
            if last:
                return batch

    def _receipt(self, batch: Batch, reading: Reading) -> Receipt:
        reader = reading.reader
        return msgspec.structs.replace(
            self._begun(batch, reader.layout.text, reading.sample),
            lines=reader.lines,
            headers=reader.headers,
            blank=reader.blank,
            refused=reading.refused,
            first=tuple(reading.first),
            warnings=tuple(reading.warnings(batch.identity and batch.identity[2])),
            digest=reading.digest,
        )

    def _begun(self, batch: Batch, layout: str, sample: Sequence[str] = ()) -> Receipt:
        """What can be said of a batch without its file."""
        ids, now = self._store.books.of(batch.id).total, self._clock.wall()
        said = self._estimated(batch.source, ids, sample)
        if batch.chain:
            said = (*said, f"for {batch.source} alone: how many IDs its items bring nobody knows before")
        return Receipt(batch.id, batch.file or "", batch.source, now, layout, ids, ids, said, then=batch.chain)

    def _estimated(self, source: str, ids: int, sample: Sequence[str]) -> tuple[str, ...]:
        """A courtesy: a reload may have taken the source away since the loading began, and the IDs are taken in."""
        if source not in self._config.sources:
            return (f"none: the source {source} is no longer in the configuration",)
        terms = estimate.terms(self._config, source, sample)
        return estimate.estimate(plan(ids, terms), terms)

    async def _open_without_file(self, batch: Batch, why: str = "the file is gone") -> Batch:
        lost = f"ONLY PART OF THE FILE WAS TAKEN IN, up to line {batch.line:,}: {why}. Drop it again for the rest."
        return await self._open(msgspec.structs.replace(self._begun(batch, "not known"), warnings=(lost,)), batch)

    async def _open(self, kept: Receipt, batch: Batch) -> Batch:
        """Step four. _NotWhole where what is to follow is not declared so any more: opened without it, it would never
        follow."""
        heirs = chain.heirs(self._config.sources, batch.source, batch.chain)
        if lost := set(batch.chain) - set(chain.all_of(heirs)):
            why = f"{', '.join(sorted(lost))} cannot follow {batch.source} any more"
            raise _NotWhole("chain_is_not_declared", f"{why}: declare it so again, then `collector reload`")
        for warning in kept.warnings:
            log.warning("file_has_a_warning", batch=batch.id, file=batch.file, warning=warning)
        await thread.run(lambda: self._write_receipt(kept, batch))
        batch = await self._patiently(
            lambda: self._store.batches.open(
                batch,
                lines=kept.lines,
                refused=kept.refused,
                digest=kept.digest,
                layout=kept.layout,
                warnings=list(kept.warnings),
                heirs=heirs,
            )
        )
        facts = {"lines": kept.lines, "ids": kept.ids, "repeats": kept.repeats, "refused": kept.refused}
        log.info("batch_opened", batch=batch.id, file=batch.file, source=batch.source, **facts)
        self._opened(batch.source)
        return batch

    def _write_receipt(self, kept: Receipt, batch: Batch) -> None:
        folder = place.folder(self._config, batch)
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / "receipt.txt", receipt.text(kept))

    async def _reject(self, path: Path, why: str) -> None:
        try:
            target = await thread.run(lambda: files.reject(path, self._config.rejected, why))
        except OSError as error:
            told = f"{why}\nIt cannot be moved to rejected/ either: {error.strerror or error}"
            raise files.Left("file_cannot_be_rejected", told) from error
        log.warning("file_rejected", file=path.name, now=f"rejected/{target.name}", why=why)
        self._rejected.append(Trouble("rejected", why, f"rejected/{target.name}", self._clock.wall()))

    async def _forget(self, batch: Batch) -> None:
        await self._unless_cancelled(batch, self._patiently(lambda: self._store.batches.forget(batch)))
        with suppress(OSError):
            place.folder(self._config, batch).rmdir()

    async def _unless_cancelled(self, batch: Batch, work: Awaitable[T]) -> T | None:
        """What the work on a loading batch comes to; None where somebody cancelled the batch meanwhile."""
        try:
            return await work
        except NotLoading:
            if self._store.batches.get(batch.id).state is not BatchState.CANCELLED:
                raise
            log.info("loading_cancelled", batch=batch.id, file=batch.file, line=self._store.batches.get(batch.id).line)
            return None

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        """The work's result, however long the store cannot be written to."""
        wait = FIRST_WAIT
        while True:
            try:
                done = await work()
            except StoreBusy as error:
                if self._busy is None:
                    log.error("loading_waits_for_the_store", why=str(error))
                    self._busy = Trouble("store", str(error), "collector.db", self._clock.wall())
                await asyncio.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT)
                continue
            if self._busy is not None:
                log.warning("loading_goes_on_after_waiting")
                self._busy = None
            return done


def _column(asked: Column, spec: Spec) -> Column:
    return spec.column if asked is None else asked


def _sniffed(path: Path, spec: Spec, column: Column) -> files.Identity:
    """Reads enough of a file to know that it can be taken in; which file that was."""
    reading = Reading(path, spec.match, _column(column, spec))
    try:
        return reading.identity
    finally:
        reading.close()
