"""Jobs: read for the feeder, and moved from state to state as their outcomes come."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias, assert_never

import msgspec

from collector.clock import Clock, stamp
from collector.model import (
    ABSENT,
    LONGEST_LATER,
    OPEN,
    RETRY_LATER,
    Attempt,
    BatchId,
    Cursor,
    Failed,
    Found,
    Gone,
    Invalid,
    Job,
    MorePages,
    Offspring,
    Outcome,
    PutOff,
    Result,
    State,
)
from collector.store.batches import Batches
from collector.store.books import Books, Entry
from collector.store.children import Children
from collector.store.database import Database, Row, Write, json_text
from collector.store.items import COLLECTED

LONGEST_DELAY = 300.0  # seconds; a row due later than this was written while the clock was wrong
LOOK_FAR = 60.0  # seconds between two looks for such rows, where rows that may be due days ahead lie among them
DUE_SINCE = 0.2  # seconds; what became due between two reads is looked for once more
MOST_ATTEMPTS_KEPT = 20  # of one job
MOST_DETAIL = 500  # characters
_ITEMS_A_STATEMENT = 200
_NONE_SPENT = -1  # the tries spent before count no more: the list goes on, or begins anew
_READ = "key, attempts, pack_max, reason, cursor"


Entered: TypeAlias = tuple[Job, Outcome, Result]


class Change(msgspec.Struct, frozen=True, array_like=True):
    """What the outcome of a job writes into its row."""

    batch: BatchId
    key: str
    state: State
    spent: int
    due_at: str | None
    pack_max: int | None
    reason: str | None
    detail: str | None
    same_as: BatchId | None
    finished_at: str | None
    cursor: str | None  # None leaves it as it is, "" takes it away


class Jobs:
    """The jobs table, with the items, answers and attempts that outcomes bring."""

    def __init__(self, database: Database, books: Books, batches: Batches, clock: Clock) -> None:
        self._database, self._books, self._batches, self._clock = database, books, batches, clock
        self._children = Children(books, batches)
        self._looked_far: dict[BatchId, float] = {}  # when, in monotonic time

    async def queued(self, batch: BatchId, after: str, most: int) -> list[Job]:
        """The next queued jobs of a batch behind a key, in the order of their keys."""
        rows = await self._database.read(
            f"SELECT {_READ} FROM jobs WHERE batch = ? AND key > ? AND state = 'queued' ORDER BY key LIMIT ?",
            (batch, after, most),
        )
        return [_job(batch, row, delayed=False) for row in rows]

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
        last = {(job.batch, job.key): (job, outcome, result) for result in results for job, outcome in result.outcomes}
        asked = list(last.values())  # one for each job, even if a caller's fault brings two
        async with self._database.write() as write:
            standing = await self._standing(write, (job for job, _, _ in asked))
            moved = [
                self._still_there(entry)
                for entry in asked
                if _may_move(standing.get((entry[0].batch, entry[0].key)), entry[1])
            ]
            moved = [await _ended(write, entry) if _repeats(*entry[:2]) else entry for entry in moved]
            at = stamp(now)
            changes = [self._change(job, outcome, result.source, now, at) for job, outcome, result in moved]
            await write.change(
                "UPDATE jobs SET state = o.value ->> 2, due_at = o.value ->> 4,"
                " attempts = CASE WHEN o.value ->> 3 < 0 THEN 0 ELSE attempts + (o.value ->> 3) END,"
                " pack_max = coalesce(o.value ->> 5, pack_max), reason = o.value ->> 6, detail = o.value ->> 7,"
                " same_as = o.value ->> 8, finished_at = o.value ->> 9,"
                " cursor = CASE WHEN o.value ->> 10 IS NULL THEN cursor ELSE nullif(o.value ->> 10, '') END"
                " FROM json_each(?) AS o WHERE jobs.batch = o.value ->> 0 AND jobs.key = o.value ->> 1",
                (json_text(changes),),
            )
            await self._store_items(write, moved)
            await self._store_attempts(write, results)
            deltas = _deltas(changes, standing)
            born = (offspring for result in results for offspring in result.offspring)
            deltas.update(await self._children.born(write, born, now))
            await self._books.change(write, deltas)
            await self._children.finish(write, deltas, now)

    def _still_there(self, entry: Entered) -> Entered:
        """A job whose items a prune took away since they were looked at is asked after all."""
        job, outcome, result = entry
        if isinstance(outcome, Found) and outcome.same_as and not self._batches.find(outcome.same_as):
            return job, PutOff(0.0, "pruned"), result
        return entry

    async def _standing(self, write: Write, jobs: Iterable[Job]) -> dict[tuple[BatchId, str], tuple[State, str]]:
        rows = await write.rows(
            "SELECT j.batch, j.key, j.state, coalesce(j.reason, '') FROM json_each(?) AS o"
            " CROSS JOIN jobs AS j ON j.batch = o.value ->> 0 AND j.key = o.value ->> 1",
            (json_text([(job.batch, job.key) for job in jobs]),),
        )
        return {(batch, key): (State(state), reason) for batch, key, state, reason in rows}

    def _change(self, job: Job, outcome: Outcome, source: str, now: float, at: str) -> Change:
        state, reason, detail, spent = _row_of(outcome)
        due_at, finished_at, pack_max, same_as = None, None, None, None
        cursor: str | None = ""  # a job that has ended has none: asked again it begins with its first page
        match outcome:
            case PutOff():
                due_at, pack_max = stamp(now + _delay(outcome)), outcome.pack_max
                cursor = json_text(outcome.cursor) if outcome.cursor else None
            case MorePages():
                due_at, cursor = at, json_text(outcome.cursor)
            case Found():
                finished_at, same_as = at, outcome.same_as
            case _:
                finished_at = at
        return Change(
            batch=job.batch,
            key=job.key,
            state=state,
            spent=spent,
            due_at=due_at,
            pack_max=pack_max,
            reason=reason and (reason if _is_ours(reason) else self._books.bounded(source, reason)),
            detail=detail[:MOST_DETAIL] if detail else None,
            same_as=same_as,
            finished_at=finished_at,
            cursor=cursor,
        )

    async def _store_items(self, write: Write, moved: Sequence[tuple[Job, Outcome, Result]]) -> None:
        rows: dict[BatchId, list[tuple[object, ...]]] = {}
        answers: dict[tuple[int, BatchId], tuple[str, int | None]] = {}
        for job, outcome, result in moved:
            if not isinstance(outcome, Found | MorePages) or not outcome.items:
                continue
            place = (id(result), job.batch)
            if place not in answers:
                answers[place] = stamp(result.at), await _store_answer(write, result, job.batch)
            at, answer = answers[place]
            rows.setdefault(job.batch, []).extend(
                (job.batch, job.key, result.source, item.key, at, answer, item.reencoded, item.body)
                for item in outcome.items
            )
        for batch, values in rows.items():
            await self._insert_items(write, batch, values)

    async def _insert_items(self, write: Write, batch: BatchId, values: list[tuple[object, ...]]) -> None:
        stored = 0
        for start in range(0, len(values), _ITEMS_A_STATEMENT):
            part = values[start : start + _ITEMS_A_STATEMENT]
            places = ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?)"] * len(part))
            stored += await write.change(
                "INSERT OR IGNORE INTO items (batch, job, source, key, fetched_at, answer, reencoded, body)"
                f" VALUES {places}",
                [value for row in part for value in row],
            )
        await self._batches.change(write, "UPDATE batches SET items = items + ? WHERE id = ?", (stored, batch))

    async def _store_attempts(self, write: Write, results: Sequence[Result]) -> None:
        rows = [_attempt_row(job, result.attempt) for result in results if result.attempt for job in result.jobs]
        if not rows:
            return
        await write.change(
            "INSERT OR REPLACE INTO attempts (batch, key, at, status, reason, headers, seconds, traceback)"
            " SELECT o.value ->> 0, o.value ->> 1, o.value ->> 2, o.value ->> 3,"
            " o.value ->> 4, o.value ->> 5, o.value ->> 6, o.value ->> 7 FROM json_each(?) AS o",
            (json_text(rows),),
        )
        await write.change_many(
            "DELETE FROM attempts WHERE batch = ? AND key = ? AND at <"
            " (SELECT at FROM attempts WHERE batch = ? AND key = ? ORDER BY at DESC LIMIT 1 OFFSET ? - 1)",
            {(batch, key, batch, key, MOST_ATTEMPTS_KEPT) for batch, key, *_ in rows},
        )

    async def adopt(self, offspring: Iterable[Offspring]) -> None:
        """Takes in what items that were stored before make for a chain; made twice it changes nothing."""
        async with self._database.write() as write:
            await self._books.change(write, await self._children.born(write, offspring, self._clock.wall()))


def _is_ours(reason: str) -> bool:
    """True for our own words, by which a job that comes back is known: they are few, and never `other`."""
    return reason in (ABSENT, RETRY_LATER) or reason.startswith("http-")


def _delay(put_off: PutOff) -> float:
    return min(put_off.delay, LONGEST_LATER if put_off.reason == RETRY_LATER else LONGEST_DELAY)


def _job(batch: BatchId, row: Row, *, delayed: bool) -> Job:
    key, attempts, pack_max, reason, cursor = row
    at = msgspec.json.decode(cursor, type=Cursor) if cursor else None
    return Job(batch, key, attempts, pack_max, reason, delayed, at)


def _repeats(job: Job, outcome: Outcome) -> bool:
    """True for a page that has the cursor of the page before; not yet for those that a list that was begun anew has
    stored before, which it passes to go on behind them."""
    if not isinstance(outcome, MorePages) or job.cursor is None:
        return False
    return outcome.cursor.next == job.cursor.next and outcome.cursor.pages > job.cursor.known


async def _ended(write: Write, entry: Entered) -> Entered:
    """A list whose pages repeat their cursor: one of them that brings nothing new ends it, or it would never end."""
    job, outcome, result = entry
    assert isinstance(outcome, MorePages)
    known, keys = 0, [item.key for item in outcome.items]
    for start in range(0, len(keys), _ITEMS_A_STATEMENT):
        part = keys[start : start + _ITEMS_A_STATEMENT]
        # Not by json_each, to which a text ends at a NUL.
        sql = f"SELECT count(*) FROM items WHERE batch = ? AND job = ? AND key IN ({', '.join('?' * len(part))})"
        known += (await write.rows(sql, (job.batch, job.key, *part)))[0][0]
    if known < len(outcome.items):
        return entry
    return job, Found(outcome.items, detail=f"after {outcome.cursor.pages} pages its list gave nothing new"), result


def _may_move(standing: tuple[State, str] | None, outcome: Outcome) -> bool:
    if standing is None:
        return False
    state = standing[0]
    return state in OPEN or (state is State.CANCELLED and not isinstance(outcome, PutOff | MorePages))


def _row_of(outcome: Outcome) -> tuple[State, str | None, str, int]:
    """State, reason, detail and attempts spent."""
    match outcome:
        case Found(_, _, detail):
            return State.FOUND, None, detail, 0
        case MorePages():
            return State.DELAYED, None, "", _NONE_SPENT
        case Gone(reason, detail):
            return State.GONE, reason, detail, 0
        case Invalid(reason, detail):
            return State.INVALID, reason, detail, 0
        case Failed(reason, detail):
            return State.FAILED, reason, detail, 1
        case PutOff(_, reason, detail, attempt, _, cursor):
            return State.DELAYED, reason, detail, _NONE_SPENT if cursor else int(attempt)
        case _:
            assert_never(outcome)


def _deltas(changes: Sequence[Change], standing: Mapping[tuple[BatchId, str], tuple[State, str]]) -> Counter[Entry]:
    deltas: Counter[Entry] = Counter()
    for change in changes:
        state, reason = standing[change.batch, change.key]
        deltas[change.batch, state, reason] -= 1
        deltas[change.batch, change.state, change.reason or ""] += 1
    return deltas


async def _store_answer(write: Write, result: Result, batch: BatchId) -> int | None:
    if result.extra is None:
        return None
    return await write.insert(
        "INSERT INTO answers (batch, source, fetched_at, body) VALUES (?, ?, ?, ?)",
        (batch, result.source, stamp(result.at), result.extra.body),
    )


def _attempt_row(job: Job, attempt: Attempt) -> tuple[object, ...]:
    said = (attempt.status, attempt.reason, attempt.headers, attempt.seconds, attempt.traceback or None)
    return (job.batch, job.key, stamp(attempt.at), *said)
