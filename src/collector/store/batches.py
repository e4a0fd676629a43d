"""Batches: taken in, opened, finished, written out."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import msgspec

from collector.clock import Clock, stamp, unstamp
from collector.errors import Drained, NotLoading
from collector.model import BatchId, BatchState, Heir, State
from collector.store.books import Books
from collector.store.database import Database, Row, Write, json_text
from collector.store.pauses import Pauses

T = TypeVar("T")

TAKEN_IN = "in"  # of `told`

_LONGEST_STEM = 120  # bytes


def folder_of(number: int, name: str) -> str:
    """The name of a batch's folder in `batches/`."""
    return f"{number:04d}-{name}"


class Batch(msgspec.Struct, frozen=True):
    """IDs that came in together for one source."""

    id: BatchId
    source: str
    name: str
    origin: str
    file: str | None
    column: str | int | None  # asked for when it was added; None: the source's
    identity: tuple[int, int, int, int] | None  # device, inode, size, mtime in ns of its file
    digest: str | None
    layout: str | None
    warnings: tuple[str, ...]
    state: BatchState
    line: int
    lines: int
    refused: int
    items: int
    created_at: float
    opened_at: float | None
    finished_at: float | None
    written_at: float | None
    parent: BatchId | None = None  # whose items its IDs come from
    chain: tuple[str, ...] = ()  # the sources that are to follow it
    granted: bool = False  # somebody said yes to more IDs than `max_children`
    pause_wanted: bool = False  # asked for while it is loading
    hold_wanted: bool = False  # it waits for a yes once it is loaded
    priority: int = 0  # the higher goes first, among the batches of its source
    told: str = ""  # what somebody was told of it: nothing, TAKEN_IN, or the stamp of the end that was told

    @property
    def folder(self) -> str:
        """The name of its folder in `batches/`."""
        return folder_of(self.id, self.name)

    @property
    def is_draft(self) -> bool:
        """Whether somebody sent it and has not yet said yes to it: it counts in no total."""
        return self.origin == "http" and (self.state is BatchState.HELD or self.hold_wanted)


COLUMNS = (
    "id, source, name, origin, file, source_column, device, inode, size, mtime, digest, layout, warnings,"
    " state, line, lines, refused, items, created_at, opened_at, finished_at, written_at,"
    " parent, chain, granted, pause_wanted, hold_wanted, priority, told"
)


class Batches:
    """The batches table and its mirror in memory."""

    def __init__(self, database: Database, books: Books, pauses: Pauses, clock: Clock) -> None:
        self._database, self._books, self._pauses, self._clock = database, books, pauses, clock
        self._known: dict[BatchId, Batch] = {}
        self._ongoing: dict[BatchId, None] = {}
        self._ended: dict[BatchId, None] = {}  # in the order in which they ended
        self._items: Counter[str] = Counter()  # by source
        self._children: defaultdict[BatchId, dict[BatchId, None]] = defaultdict(dict)
        self._unwritten: dict[BatchId, None] = {}  # ended, and their results not yet in their folder
        self._untold: dict[BatchId, str] = {}  # what is news of them

    async def load(self) -> None:
        """Reads every batch into memory; once, at the start."""
        for row in await self._database.read(f"SELECT {COLUMNS} FROM batches ORDER BY id"):
            self.keep(batch_of(row))
        self._ended = dict.fromkeys(sorted(self._ended, key=lambda batch: self._known[batch].finished_at or 0.0))

    def keep(self, batch: Batch) -> None:
        """The mirror follows a committed change."""
        before = self._known.get(batch.id)
        self._items[batch.source] += batch.items - (before.items if before else 0)
        self._known[batch.id] = batch
        self._books.belongs(batch.id, batch.source)
        if batch.parent is not None:
            self._children[batch.parent].setdefault(batch.id)
        if batch.finished_at is None:
            self._ended.pop(batch.id, None)
            self._ongoing.setdefault(batch.id)
        else:
            self._ongoing.pop(batch.id, None)
            self._ended.setdefault(batch.id)
        if batch.finished_at is not None and batch.written_at is None:
            self._unwritten.setdefault(batch.id)
        else:
            self._unwritten.pop(batch.id, None)
        if said := _news(batch):
            self._untold[batch.id] = said
        else:
            self._untold.pop(batch.id, None)

    def stored(self, batch: BatchId, items: int) -> None:
        """The mirror follows a commit that stored items of a batch."""
        known = self._known[batch]
        self.keep(msgspec.structs.replace(known, items=known.items + items))

    def get(self, batch: BatchId) -> Batch:
        """One batch; KeyError when there is none."""
        return self._known[batch]

    def find(self, batch: BatchId) -> Batch | None:
        """One batch, if there is one of that number."""
        return self._known.get(batch)

    def all(self) -> list[Batch]:
        """Every batch, in order of its number."""
        return list(self._known.values())

    def page(self, before: int | None, most: int) -> list[Batch]:
        """The latest batches whose numbers are below one, the last one first."""
        numbers = sorted(self._known)
        end = len(numbers) if before is None else bisect_left(numbers, before)
        return [self._known[number] for number in reversed(numbers[max(end - most, 0) : end])]

    def ongoing(self) -> list[Batch]:
        """Those that have not ended, in order."""
        return [self._known[batch] for batch in sorted(self._ongoing)]

    def ended(self, most: int) -> list[Batch]:
        """The latest that ended, the last one first."""
        return [self._known[batch] for batch in islice(reversed(self._ended), most)]

    def items_of(self, source: str) -> int:
        """Items that all batches of a source have stored."""
        return self._items[source]

    def loading(self) -> list[Batch]:
        """Those whose taking in was not finished, in order."""
        return [batch for batch in self.ongoing() if batch.state is BatchState.LOADING]

    def is_open(self, batch: BatchId) -> bool:
        """Whether its jobs are asked."""
        known = self._known.get(batch)
        return known is not None and known.state is BatchState.OPEN and not self._pauses.holds(known.source)

    def open_of(self, source: str) -> list[Batch]:
        """Those of a source whose jobs are asked, in order."""
        return [batch for batch in self.ongoing() if batch.source == source and self.is_open(batch.id)]

    @property
    def has_chains(self) -> bool:
        """Whether any batch may have others below it."""
        return bool(self._children)

    def children(self, batch: BatchId) -> list[Batch]:
        """Those whose IDs come from the items of a batch, in order."""
        below = self._children.get(batch)
        return [self._known[child] for child in sorted(below)] if below else []

    def family(self, batch: BatchId) -> list[Batch]:
        """A batch and all below it: itself first, and each before its children."""
        below = [member for child in self.children(batch) for member in self.family(child.id)]
        return [self._known[batch], *below]

    def to_write(self) -> list[Batch]:
        """Ended ones whose results are not yet in their folder."""
        return [self._known[batch] for batch in self._unwritten]

    @property
    def untold(self) -> Mapping[BatchId, str]:
        """What somebody is to be told next, as `told` then keeps it, of those of which there is news."""
        return self._untold

    async def begin(
        self,
        source: str,
        name: str,
        origin: str,
        *,
        file: str | None = None,
        column: str | int | None = None,
        identity: tuple[int, int, int, int] | None = None,
        chain: Sequence[str] = (),
        hold: bool = False,
    ) -> Batch:
        """Step one of taking in: a durable batch in state loading, before anything is moved; Drained, and none, where
        nothing new is taken in."""
        asked = None if column is None else json_text(column)
        async with self._database.write() as write:
            if self._pauses.draining_since is not None:
                raise Drained
            [batch] = await self.change(
                write,
                "INSERT INTO batches"
                " (source, name, origin, file, source_column, device, inode, size, mtime, chain, hold_wanted, state,"
                " created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'loading', ?)",
                (
                    *(source, name, origin, file, asked, *(identity or (None,) * 4)),
                    *(json_text(chain), hold, stamp(self._clock.wall())),
                ),
            )
        return batch

    async def load_chunk(self, batch: Batch, keys: list[str], line: int) -> tuple[Batch, int]:
        """Step three: the rows of a chunk, their count and the line reached, in one commit.

        Returns the batch as it now is and how many of the keys were new to it.
        """
        async with self._database.write() as write:
            new = await write.change(
                "INSERT OR IGNORE INTO jobs (batch, key) SELECT ?, value FROM json_each(?)",
                (batch.id, json_text(keys)),
            )
            sql = "UPDATE batches SET line = ? WHERE id = ? AND state = 'loading'"
            batch = _expected(await self.change(write, sql, (line, batch.id)), batch)
            await self._books.change(write, {(batch.id, State.QUEUED, ""): new})
        return batch, new

    async def open(
        self,
        batch: Batch,
        *,
        lines: int,
        refused: int,
        digest: str,
        layout: str,
        warnings: list[str],
        heirs: Sequence[Heir] = (),
    ) -> Batch:
        """Step four: the batch is complete, and its jobs may be asked unless a pause was asked for; those that its
        items feed stand below it. One without any job is finished at once."""
        now = stamp(self._clock.wall())
        async with self._database.write() as write:
            # A pause may have been asked for until here.
            known = self._known[batch.id]
            paused = BatchState.PAUSED if known.pause_wanted else BatchState.OPEN
            loaded = BatchState.HELD if known.hold_wanted else paused
            state = loaded if self._books.of(batch.id).open else BatchState.FINISHED
            ended_at = now if state is BatchState.FINISHED else None
            changed = await self.change(
                write,
                "UPDATE batches SET state = ?, lines = ?, refused = ?, digest = ?, layout = ?, warnings = ?,"
                " opened_at = ?, finished_at = ?, pause_wanted = 0, hold_wanted = 0 WHERE id = ? AND state = 'loading'",
                (state, lines, refused, digest, layout, json_text(warnings), now, ended_at, batch.id),
            )
            opened = _expected(changed, batch)
            if ended_at is None:
                await self._bear(write, opened, heirs)
        return opened

    async def _bear(self, write: Write, parent: Batch, heirs: Sequence[Heir]) -> None:
        """The batches below one, without a job as yet."""
        for heir in heirs:
            born_at = stamp(parent.opened_at or 0.0)
            name, chain = _below(parent, heir.source), json_text(heir.chain)
            [child] = await self.change(
                write,
                "INSERT INTO batches (source, name, origin, parent, chain, priority, state, created_at, opened_at)"
                " VALUES (?, ?, 'chain', ?, ?, ?, ?, ?, ?)",
                (heir.source, name, parent.id, chain, parent.priority, parent.state, born_at, born_at),
            )
            await self._bear(write, child, heir.heirs)

    async def change(self, write: Write, sql: str, values: Sequence[object]) -> list[Batch]:
        """Runs an INSERT or UPDATE of batches; those that it changed, which the mirror follows at the commit."""
        changed = [batch_of(row) for row in await write.rows(f"{sql} RETURNING {COLUMNS}", values)]
        for batch in changed:
            write.after_commit(partial(self.keep, batch))
        return changed

    async def forget(self, batch: Batch) -> None:
        """Removes a batch of which nothing was taken in, since its file is gone or cannot be moved."""
        async with self._database.write() as write:
            sql = "DELETE FROM batches WHERE id = ? AND state = 'loading' AND line = 0 RETURNING id"
            _expected(await write.rows(sql, (batch.id,)), batch)
            write.after_commit(lambda: self.drop(batch.id))

    async def written(self, batch: Batch) -> None:
        """Its results as of its end are in its folder; one that was opened again meanwhile has others to come."""
        sql = "UPDATE batches SET written_at = ? WHERE id = ? AND finished_at = ?"
        async with self._database.write() as write:
            await self.change(write, sql, (stamp(self._clock.wall()), batch.id, stamp(batch.finished_at or 0.0)))

    def drop(self, batch: BatchId) -> None:
        """The mirror follows a committed removal."""
        gone = self._known.pop(batch)
        self._books.drop(batch)
        self._items[gone.source] -= gone.items
        for place in (self._ongoing, self._ended, self._unwritten, self._untold, self._children):
            place.pop(batch, None)
        if gone.parent is not None and gone.parent in self._children:
            self._children[gone.parent].pop(batch, None)


def batch_of(row: Row) -> Batch:
    (number, source, name, origin, file, column, device, inode, size, mtime, digest, layout, warnings, *rest) = row
    (state, line, lines, refused, items, created_at, opened_at, finished_at, written_at, *of_chain) = rest
    parent, chain, granted, pause_wanted, hold_wanted, priority, told = of_chain
    return Batch(
        id=number,
        source=source,
        name=name,
        origin=origin,
        file=file,
        column=column and _json(column),
        identity=None if device is None else (device, inode, size, mtime),
        digest=digest,
        layout=layout,
        warnings=tuple(_json(warnings)),
        state=BatchState(state),
        line=line,
        lines=lines,
        refused=refused,
        items=items,
        created_at=unstamp(created_at),
        opened_at=opened_at and unstamp(opened_at),
        finished_at=finished_at and unstamp(finished_at),
        written_at=written_at and unstamp(written_at),
        parent=parent,
        chain=tuple(_json(chain)),
        granted=bool(granted),
        pause_wanted=bool(pause_wanted),
        hold_wanted=bool(hold_wanted),
        priority=priority,
        told=told,
    )


def _news(batch: Batch) -> str:
    """For people a batch has ended when its results are in its folder; one of a chain came with its parent."""
    if batch.told == "" and batch.opened_at is not None and batch.parent is None:
        return TAKEN_IN
    if batch.finished_at is None or batch.written_at is None:
        return ""
    ended = stamp(batch.finished_at)
    return "" if batch.told == ended else ended


def _below(parent: Batch, source: str) -> str:
    """The name of a batch of a chain: that of the file it began with, and its own source."""
    stem = parent.name if parent.parent is None else parent.name.removesuffix(f"-{parent.source}")
    return f"{stem.encode()[:_LONGEST_STEM].decode(errors='ignore')}-{source}"


def _expected(changed: Sequence[T], batch: Batch) -> T:
    """The one row that was changed; NotLoading where there is none."""
    if not changed:
        raise NotLoading(f"batch {batch.id} is not loading any more: it was cancelled, or another program moved it")
    return changed[0]


def _json(text: str) -> Any:
    return msgspec.json.decode(text)
