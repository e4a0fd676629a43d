"""A look into the database of a service that may or may not run: it reads, and leaves no file behind."""

import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar

import msgspec

from collector.errors import NOT_YOURS, StoreBusy, StoreError
from collector.model import BatchId, BatchState, State
from collector.store.batches import COLUMNS, Batch, batch_of, folder_of
from collector.store.books import Account
from collector.store.database import OURS, PASSING, Row, json_text, known
from collector.store.items import COLLECTED, FoundItem, of_pairs, page_size
from collector.store.pauses import INTAKE
from collector.store.views import own_text

T = TypeVar("T")
Pair: TypeAlias = tuple[str, BatchId]  # an ID asked for, and the batch that has the items of it

_AT_ONCE = 250  # keys in a read: none of them holds the WAL for long
_JOBS = 20_000  # that a read passes over at most, in search of those that an earlier batch has the items of
BEHIND_ALL = b""  # to SQLite bytes are greater than any text
_TRIES, _PAUSE = 5, 0.2  # of a look, while a service starts or stops; seconds


class BatchSeen(msgspec.Struct, frozen=True):
    """A batch as it stands."""

    id: BatchId
    source: str
    name: str
    state: BatchState
    jobs: dict[str, int]  # by state, by the books

    @property
    def folder(self) -> str:
        """The name of its folder in `batches/`."""
        return folder_of(self.id, self.name)


class ItemSeen(FoundItem, frozen=True):
    """One stored object, with what stands at some paths of it as text."""

    cells: tuple[str | None, ...] = ()


class Look:
    """Short reads on a connection that cannot write."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def schema(self) -> int:
        """The version of its tables."""
        [(version,)] = self._connection.execute("PRAGMA user_version")
        return int(version)

    def spare(self) -> int:
        """Bytes inside the file that what was removed has left."""
        [(spare,)] = self._connection.execute(
            "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size"
        )
        return int(spare)

    def open_jobs(self, source: str) -> int:
        """Jobs of a source that are still owed, by the books."""
        [(jobs,)] = self._connection.execute(
            "SELECT coalesce(sum(c.jobs), 0) FROM counts AS c JOIN batches AS b ON b.id = c.batch"
            " WHERE b.source = ? AND c.state IN ('queued', 'delayed')",
            (source,),
        )
        return int(jobs)

    def drains(self) -> bool:
        """Whether nothing new is taken in."""
        [(drains,)] = self._connection.execute("SELECT EXISTS (SELECT 1 FROM meta WHERE key = ?)", (INTAKE,))
        return bool(drains)

    def has_items(self, source: str) -> bool:
        """Whether anything of a source was ever found."""
        [(found,)] = self._connection.execute("SELECT EXISTS (SELECT 1 FROM items WHERE source = ?)", (source,))
        return bool(found)

    def collected(self, source: str, keys: list[str], since: str = "") -> Iterator[str]:
        """Those of the keys for which a found job of the source has items fetched since then: what `recollect` leaves
        out."""
        ordered = sorted(set(keys))  # in the order of the index
        for start in range(0, len(ordered), _AT_ONCE):
            rows = self._connection.execute(
                f"SELECT DISTINCT i.job {COLLECTED}",
                (json_text(ordered[start : start + _AT_ONCE]), source, since),
            ).fetchall()
            yield from (key for (key,) in rows)

    def batches(self, most: int) -> list[str]:
        """The folder names of the latest batches, the last one first."""
        rows = self._connection.execute("SELECT id, name FROM batches ORDER BY id DESC LIMIT ?", (most,))
        return [folder_of(number, name) for number, name in rows.fetchall()]

    def batch(self, number: int) -> BatchSeen | None:
        """One batch with its books, or None where there is none of that number."""
        rows = self._connection.execute("SELECT source, name, state FROM batches WHERE id = ?", (number,)).fetchall()
        counts = self._connection.execute(
            "SELECT state, sum(jobs) FROM counts WHERE batch = ? GROUP BY state HAVING sum(jobs) > 0", (number,)
        )
        jobs = {state: int(count) for state, count in counts.fetchall()}
        return next(
            (BatchSeen(BatchId(number), source, name, BatchState(state), jobs) for source, name, state in rows), None
        )

    def family(self, number: BatchId) -> list[tuple[Batch, Account]]:
        """A batch with its books and all below it, each before its children; none where there is none."""
        rows = self._connection.execute(f"SELECT {COLUMNS} FROM batches WHERE id = ?", (number,)).fetchall()
        below = self._connection.execute("SELECT id FROM batches WHERE parent = ? ORDER BY id", (number,)).fetchall()
        children = [member for (child,) in below for member in self.family(child)]
        return [*((batch_of(row), self._account(number)) for row in rows), *children]

    def _account(self, number: BatchId) -> Account:
        rows = self._connection.execute(
            "SELECT state, reason, jobs FROM counts WHERE batch = ? AND jobs > 0", (number,)
        )
        reasons = {(State(state), reason): jobs for state, reason, jobs in rows.fetchall()}
        states: Counter[State] = Counter()
        for (state, _), jobs in reasons.items():
            states[state] += jobs
        return Account(states, {entry: jobs for entry, jobs in reasons.items() if entry[1]})

    def own_items(self, batch: BatchId, paths: Sequence[str], after: tuple[str, str], most: int) -> list[ItemSeen]:
        """The next items that a batch stored, behind this ID asked for and this item, in their order."""
        rows = self._connection.execute(
            f"SELECT job, key, fetched_at, answer, body{_cells(paths)} FROM items AS i"
            " WHERE batch = ? AND (job, key) > (?, ?) ORDER BY job, key LIMIT ?",
            (batch, *after, most),
        )
        return _items(rows.fetchall())

    def taken_over(self, batch: BatchId, after: str) -> tuple[list[Pair], str | None]:
        """Of the next jobs those that an earlier batch has the items of, with its number; and the ID asked for to go
        on behind, None where these were the last."""
        ends = self._connection.execute(
            "SELECT key FROM jobs WHERE batch = ? AND key > ? ORDER BY key LIMIT 1 OFFSET ?", (batch, after, _JOBS - 1)
        )
        last = next((key for (key,) in ends.fetchall()), None)
        rows = self._connection.execute(
            "SELECT key, same_as FROM jobs WHERE batch = ? AND key > ? AND key <= ? AND same_as IS NOT NULL"
            " ORDER BY key",
            (batch, after, BEHIND_ALL if last is None else last),
        )
        return rows.fetchall(), last

    def items_of(self, pairs: Sequence[Pair], paths: Sequence[str], after: str | None, most: int) -> list[ItemSeen]:
        """Items of IDs in batches, in the order of the pairs; of the first those behind an item, None: all."""
        [(job, batch), *others] = pairs
        rest, behind = of_pairs(_cells(paths))
        rows = self._connection.execute(rest, (batch, job, after or "", most)).fetchall()
        asked = json_text(others)
        return _items(rows + self._connection.execute(behind, (asked, most - len(rows))).fetchall())


def _cells(paths: Sequence[str]) -> str:
    return "".join(f", {own_text(path)}" for path in paths)


def _items(rows: list[Row]) -> list[ItemSeen]:
    return [ItemSeen(job, key, at, answer, body, tuple(cells)) for job, key, at, answer, body, *cells in rows]


def found(path: Path, batch: BatchId, paths: Sequence[str] = ()) -> Iterator[list[ItemSeen]]:
    """The items of a batch in the order of its found.jsonl, a page at a time, with what stands at plain paths of them.

    Each page is a look of its own, so that a service may start, work and stop meanwhile.
    """
    after, most = ("", ""), page_size([])
    while items := seen(path, partial(Look.own_items, batch=batch, paths=paths, after=after, most=most)):
        after = (items[-1].job, items[-1].key)
        most = page_size([len(item.body) for item in items])
        yield items
    begin: str | None = ""
    while begin is not None:
        pairs, begin = seen(path, partial(Look.taken_over, batch=batch, after=begin))
        yield from _taken_over(path, pairs, paths)


def _taken_over(path: Path, pairs: list[Pair], paths: Sequence[str]) -> Iterator[list[ItemSeen]]:
    most = page_size([])
    while pairs:
        now, after = pairs[:_AT_ONCE], None
        while now and (items := seen(path, partial(Look.items_of, pairs=now, paths=paths, after=after, most=most))):
            yield items
            most = page_size([len(item.body) for item in items])
            after = items[-1].key
            now = now[[job for job, _ in now].index(items[-1].job) :]
        pairs = pairs[_AT_ONCE:]


def seen(path: Path, read: Callable[[Look], T]) -> T:
    """What a look says, taken again where a service started or stopped meanwhile; StoreError as `looking`, and where
    there is no database."""
    for tries_left in reversed(range(_TRIES)):
        try:
            with looking(path) as look:
                if look is None:
                    raise StoreError(f"{path} is not there, or empty: nothing was collected yet")
                return read(look)
        except StoreBusy:
            if not tries_left:
                raise
        time.sleep(_PAUSE)
    raise AssertionError("the last try returns or raises")


@contextmanager
def looking(path: Path) -> Iterator[Look | None]:
    """A look at the database in a file; None without one or with an empty one, StoreError when it cannot be read."""
    wal, shm = path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")
    if not path.exists():
        yield None
        return
    used = wal.exists()
    if used and not shm.exists():
        raise StoreBusy(f"{shm} is missing: start the service once")
    # Without a WAL nobody uses it. An ordinary reader would make one and leave it behind, as a file of its own user's
    # that the service perhaps may not write to.
    how = "mode=ro" if used else "mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?{how}", uri=True, isolation_level=None)) as connection:
            connection.execute("PRAGMA query_only = ON")
            [(application,)] = connection.execute("PRAGMA application_id")
            [(tables,)] = connection.execute("SELECT count(*) FROM sqlite_schema")
            if tables and application != OURS:
                raise StoreError(f"{path} is a database of another program")
            [(version,)] = connection.execute("PRAGMA user_version")
            known(path, version)
            yield Look(connection) if tables else None
    except sqlite3.Error as error:
        if not os.access(path, os.R_OK):
            raise StoreError(f"{path} is not open to this user: {NOT_YOURS}") from error
        # What is written over while it is read looks damaged.
        begun = not used and wal.exists()
        passes = begun or (getattr(error, "sqlite_errorcode", 0) & 0xFF) in PASSING
        raise (StoreBusy if passes else StoreError)(f"{path} cannot be read: {error}") from error
    if not used and wal.exists():
        raise StoreBusy(f"a service has begun to use {path} meanwhile: try again")
