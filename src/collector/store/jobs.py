"""Jobs: read for the feeder, and moved from state to state as their outcomes come."""

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from collector.clock import Clock, stamp
from collector.model import (
    LONGEST_LATER,
    OPEN,
    RETRY_LATER,
    BatchId,
    Cursor,
    Found,
    Job,
    MorePages,
    Offspring,
    Outcome,
    PutOff,
    Result,
    State,
)
from collector.store.batches import Batches
from collector.store.books import Books
from collector.store.children import Children
from collector.store.database import Database, Row, Write, json_text
from collector.store.group import LONGEST_DELAY, Group, Moved, Standing
from collector.store.items import COLLECTED

LOOK_FAR = 60.0  # seconds between two looks for such rows, where rows that may be due days ahead lie among them
DUE_SINCE = 0.2  # seconds; what became due between two reads is looked for once more
_ITEMS_A_STATEMENT = 200
_READ = "key, attempts, pack_max, reason, cursor"
_ROWS = msgspec.json.Decoder(list[tuple[str, int, int | None, str | None, str | None]])
_ADD_ITEMS = "UPDATE batches SET items = items + ? WHERE id = ?"


class Jobs:
    """The jobs table, with the items, answers and attempts that outcomes bring."""

    def __init__(self, database: Database, books: Books, batches: Batches, clock: Clock) -> None:
        self._database, self._books, self._batches, self._clock = database, books, batches, clock
        self._children = Children(books, batches)
        self._looked_far: dict[BatchId, float] = {}  # when, in monotonic time

    async def queued(self, batch: BatchId, after: str, most: int) -> list[Job]:
        """The next queued jobs of a batch behind a key, in the order of their keys."""
        # As one row: SQLite's driver lets go of the interpreter for each of them, and waits for it anew.
        [(text,)] = await self._database.read(
            f"SELECT json_group_array(json_array({_READ})) FROM"
            f" (SELECT {_READ} FROM jobs WHERE batch = ? AND key > ? AND state = 'queued' ORDER BY key LIMIT ?)",
            (batch, after, most),
        )
        return [_job(batch, row, delayed=False) for row in _ROWS.decode(text)]

    async def due(self, batch: BatchId, most: int) -> list[Job]:
        """Delayed jobs of a batch whose time has come; lists that were begun first, however many wait to be."""
        now = self._clock.wall()
        far, later = stamp(now + LONGEST_DELAY + 1), stamp(now + LONGEST_LATER + 1)
        wrong = far if self._looks_far(batch) else later
        rows = await self._database.read(
            f"SELECT {_READ} FROM jobs WHERE batch = ? AND state = 'delayed' AND cursor IS NOT NULL AND due_at <= ?"
            f" UNION ALL SELECT {_READ} FROM jobs WHERE batch = ? AND state = 'delayed' AND due_at > ?"
            " AND (reason IS NOT ? OR due_at > ?)"
            f" UNION ALL SELECT {_READ} FROM jobs WHERE batch = ? AND state = 'delayed' AND cursor IS NULL"
            " AND due_at <= ? LIMIT ?",
            (batch, stamp(now), batch, wrong, RETRY_LATER, later, batch, stamp(now), most),
        )
        return [_job(batch, row, delayed=True) for row in rows]

    def _looks_far(self, batch: BatchId) -> bool:
        """Whether to look for rows of a wrong clock: rarely, where many that may be due in days lie among them."""
        if not self._books.waiting(batch, State.DELAYED, RETRY_LATER):
            return True
        now = self._clock.mono()
        if now - self._looked_far.get(batch, float("-inf")) < LOOK_FAR:
            return False
        self._looked_far[batch] = now
        return True

    async def next_due(self, batch: BatchId) -> str | None:
        """When the next delayed job of a batch will be due, as a stamp; those that are due already do not count."""
        [(due_at,)] = await self._database.read(
            "SELECT min(due_at) FROM jobs WHERE batch = ? AND state = 'delayed' AND due_at > ?",
            (batch, stamp(self._clock.wall() - DUE_SINCE)),
        )
        return due_at if due_at is None else str(due_at)

    async def collected(self, source: str, keys: Sequence[str], since: str = "") -> dict[str, BatchId]:
        """Which of the keys a found job of this source has items for, fetched since then, and in which batch."""
        rows = await self._database.read(
            f"SELECT i.job, min(i.batch) {COLLECTED} GROUP BY i.job", (json_text(list(keys)), source, since)
        )
        return {key: BatchId(batch) for key, batch in rows}

    async def begun(self, batches: Sequence[BatchId], keys: Sequence[str]) -> set[str]:
        """Those of the keys whose list was begun in one of the batches, and goes on."""
        rows = await self._database.read(
            "SELECT j.key FROM json_each(?) AS b CROSS JOIN json_each(?) AS asked"
            " CROSS JOIN jobs AS j ON j.batch = b.value AND j.key = asked.value"
            " WHERE j.state = 'delayed' AND j.cursor IS NOT NULL",
            (json_text(list(batches)), json_text(list(keys))),
        )
        return {key for (key,) in rows}

    async def record(self, results: Sequence[Result]) -> None:
        """Writes what a group of calls came to, in one transaction.

        A job moves only from the state it is expected in: open ones to their outcome; a cancelled one only when it
        was answered for good; a terminal one stays, since somebody recorded it before.
        """
        now = self._clock.wall()
        if (group := self._as_read(results, now)) is not None:
            try:
                await self._database.at_once(
                    lambda cursor: self._write(cursor, group), lambda stored: self._follow(group, stored)
                )
            except Moved:
                pass
            else:
                return
        await self._look_and_write(results, now)

    def _as_read(self, results: Sequence[Result], now: float) -> Group | None:
        """The group as it is where every job stands as the feeder read it, which is nearly always so; None where what
        is to be written is known in the transaction only."""
        group = Group(self._books, now)
        for result in results:
            if result.offspring or _any_repeats(result):
                return None
            group.add(result, result.outcomes)
        group.close(results)
        return group

    def _write(self, cursor: sqlite3.Cursor, group: Group) -> dict[BatchId, int]:
        """All of a group that ends no batch, in the writer's thread; nobody else writes meanwhile, so the mirrors say
        what is so."""
        if not all(map(self._batches.find, group.shared)) or self._children.may_end(group.deltas):
            raise Moved
        stored = group.write(cursor)
        cursor.executemany(_ADD_ITEMS, [(n, b) for b, n in stored.items()])
        self._books.write(cursor, group.deltas)
        return stored

    def _follow(self, group: Group, stored: dict[BatchId, int]) -> None:
        """The mirrors follow the commit."""
        for batch, items in stored.items():
            self._batches.stored(batch, items)
        self._books.follow(group.deltas)

    async def _look_and_write(self, results: Sequence[Result], now: float) -> None:
        """The same where a job may have moved, a batch may end, or a chain goes on."""
        async with self._database.write() as write:
            group = await self._as_it_stands(write, results, now)
            for batch, items in (await write.visit(group.write)).items():
                await self._batches.change(write, _ADD_ITEMS, (items, batch))
            born = (offspring for result in results for offspring in result.offspring)
            group.deltas.update(await self._children.born(write, born, now))
            await self._books.change(write, group.deltas)
            await self._children.finish(write, group.deltas, now)

    async def _as_it_stands(self, write: Write, results: Sequence[Result], now: float) -> Group:
        """Of each job the last outcome, even if a caller's fault brings two, if it may move to it."""
        last = {(job.batch, job.key): result for result in results for job, _ in result.outcomes}
        standing = await self._standing(write, last)
        group = Group(self._books, now)
        for result in results:
            moved: list[tuple[Job, Outcome]] = []
            of_jobs = {(job.batch, job.key): (job, outcome) for job, outcome in result.outcomes}
            for place, (job, outcome) in of_jobs.items():
                if last[place] is not result or place not in standing or not _may_move(standing[place][0], outcome):
                    continue
                outcome = self._still_there(outcome)
                moved.append((job, await _ended(write, job, outcome) if _repeats(job, outcome) else outcome))
            group.add(result, moved, standing)
        group.close(results)
        return group

    def _still_there(self, outcome: Outcome) -> Outcome:
        """A job whose items a prune took away since they were looked at is asked after all."""
        if isinstance(outcome, Found) and outcome.same_as and not self._batches.find(outcome.same_as):
            return PutOff(0.0, "pruned")
        return outcome

    async def _standing(self, write: Write, places: Iterable[tuple[BatchId, str]]) -> Standing:
        rows = await write.rows(
            "SELECT j.batch, j.key, j.state, j.reason FROM json_each(?) AS o"
            " CROSS JOIN jobs AS j ON j.batch = o.value ->> 0 AND j.key = o.value ->> 1",
            (json_text(list(places)),),
        )
        return {(batch, key): (state, reason) for batch, key, state, reason in rows}

    async def adopt(self, offspring: Iterable[Offspring]) -> None:
        """Takes in what items that were stored before make for a chain; made twice it changes nothing."""
        async with self._database.write() as write:
            await self._books.change(write, await self._children.born(write, offspring, self._clock.wall()))


def _job(batch: BatchId, row: Row, *, delayed: bool) -> Job:
    key, attempts, pack_max, reason, cursor = row
    at = msgspec.json.decode(cursor, type=Cursor) if cursor else None
    return Job(batch, key, attempts, pack_max, reason, delayed, at)


def _any_repeats(result: Result) -> bool:
    return any(_repeats(job, outcome) for job, outcome in result.outcomes if isinstance(outcome, MorePages))


def _repeats(job: Job, outcome: Outcome) -> bool:
    """True for a page that has the cursor of the page before; not yet for those that a list that was begun anew has
    stored before, which it passes to go on behind them."""
    if not isinstance(outcome, MorePages) or job.cursor is None:
        return False
    return outcome.cursor.next == job.cursor.next and outcome.cursor.pages > job.cursor.known


async def _ended(write: Write, job: Job, outcome: Outcome) -> Outcome:
    """A list whose pages repeat their cursor: one of them that brings nothing new ends it, or it would never end."""
    assert isinstance(outcome, MorePages)
    known, keys = 0, [item.key for item in outcome.items]
    for start in range(0, len(keys), _ITEMS_A_STATEMENT):
        part = keys[start : start + _ITEMS_A_STATEMENT]
        # Not by json_each, to which a text ends at a NUL.
        sql = f"SELECT count(*) FROM items WHERE batch = ? AND job = ? AND key IN ({', '.join('?' * len(part))})"
        known += (await write.rows(sql, (job.batch, job.key, *part)))[0][0]
    if known < len(outcome.items):
        return outcome
    return Found(outcome.items, detail=f"after {outcome.cursor.pages} pages its list gave nothing new")


def _may_move(state: str, outcome: Outcome) -> bool:
    return state in OPEN or (state == State.CANCELLED and not isinstance(outcome, PutOff | MorePages))
