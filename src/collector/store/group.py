"""What a group of outcomes writes: made as rows before the transaction, and written in one visit to its thread."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TypeAlias, assert_never

import msgspec

from collector.clock import stamp
from collector.model import (
    ABSENT,
    LONGEST_LATER,
    RETRY_LATER,
    Attempt,
    BatchId,
    Failed,
    Found,
    Gone,
    Invalid,
    Job,
    MorePages,
    Outcome,
    PutOff,
    Result,
    State,
)
from collector.store.books import Books, Entry
from collector.store.database import json_text

LONGEST_DELAY = 300.0  # seconds; a row due later than this was written while the clock was wrong
MOST_ATTEMPTS_KEPT = 20  # of one job
MOST_DETAIL = 500  # characters
_NONE_SPENT = -1  # the tries spent before count no more: the list goes on, or begins anew
_COLUMNS, _ANSWER = 8, 5  # of an item, and which of them names the answer
_MOST_ITEMS = 128  # of a statement


Outcomes: TypeAlias = Iterable[tuple[Job, Outcome]]
Standing: TypeAlias = Mapping[tuple[BatchId, str], tuple[str, str | None]]  # state and reason of jobs


class Moved(Exception):
    """A job does not stand where it was expected: somebody else moved it."""


class Change(msgspec.Struct, frozen=True, array_like=True):
    """What the outcome of a job writes into its row, if it stands where it is expected."""

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
    from_state: str
    from_reason: str | None


class Group:
    """Outcomes of several calls; each job stands where it is said to, or nothing is written."""

    def __init__(self, books: Books, now: float) -> None:
        self._books, self._now, self._at = books, now, stamp(now)
        self.deltas: Counter[Entry] = Counter()
        # By batch, what a job stood as, and who has the items; most jobs are of very few such kinds.
        self._found: dict[tuple[BatchId, str, str | None, BatchId | None], list[str]] = {}
        self._changes: list[Change] = []
        self._items: dict[BatchId, list[object]] = {}  # the values of rows, one behind the other
        self._answers: list[tuple[BatchId, slice, tuple[object, ...]]] = []  # whose items, and the row
        self._attempts: list[tuple[object, ...]] = []

    def add(self, result: Result, outcomes: Outcomes, standing: Standing | None = None) -> None:
        """Outcomes of a call, beside where each of their jobs stands now; without that it stands as it was read."""
        first: dict[BatchId, int] = {}
        at = stamp(result.at)
        for job, outcome in outcomes:
            batch = job.batch
            if standing is None:
                state, reason = "delayed" if job.delayed else "queued", job.reason
            else:
                state, reason = standing[batch, job.key]
            if isinstance(outcome, Found) and not outcome.detail:
                self._found.setdefault((batch, state, reason, outcome.same_as), []).append(job.key)
            else:
                self._change(job, outcome, result.source, state, reason)
            if isinstance(outcome, Found | MorePages) and outcome.items:
                values = self._items.setdefault(batch, [])
                first.setdefault(batch, len(values))
                for item in outcome.items:
                    values += (batch, job.key, result.source, item.key, at, None, item.reencoded, item.body)
        if result.extra is not None:
            for batch, begin in first.items():
                place = slice(begin + _ANSWER, len(self._items[batch]), _COLUMNS)
                self._answers.append((batch, place, (batch, result.source, at, result.extra.body)))

    def close(self, results: Iterable[Result]) -> None:
        """Everything was added: what is found is counted, and calls that failed or were told to wait are tries."""
        for (batch, state, reason, _), keys in self._found.items():
            self.deltas[batch, State(state), reason or ""] -= len(keys)
            self.deltas[batch, State.FOUND, ""] += len(keys)
        self._attempts = [_attempt_row(job, one.attempt) for one in results if one.attempt for job in one.jobs]

    @property
    def shared(self) -> set[BatchId]:
        """The batches that have the items of jobs of others."""
        return {same_as for _, _, _, same_as in self._found if same_as is not None} | {
            change.same_as for change in self._changes if change.same_as is not None
        }

    def write(self, cursor: sqlite3.Cursor) -> dict[BatchId, int]:
        """Writes the rows of jobs, items, answers and attempts; items stored by batch. Moved where a job has moved."""
        for (batch, state, reason, same_as), keys in self._found.items():
            done = cursor.execute(
                # The plus keeps the planner from the indexes of single states.
                "UPDATE jobs SET state = 'found', due_at = NULL, reason = NULL, detail = NULL, same_as = ?,"
                " finished_at = ?, cursor = NULL"
                " WHERE batch = ? AND key IN (SELECT value FROM json_each(?)) AND +state = ? AND reason IS ?",
                (same_as, self._at, batch, json_text(keys), state, reason),
            )
            if done.rowcount != len(keys):
                raise Moved
        if self._changes and self._write_changes(cursor) != len(self._changes):
            raise Moved
        for batch, place, row in self._answers:
            cursor.execute("INSERT INTO answers (batch, source, fetched_at, body) VALUES (?, ?, ?, ?)", row)
            values = self._items[batch]
            values[place] = [cursor.lastrowid] * len(values[place])
        if self._attempts:
            self._write_attempts(cursor)
        return {batch: _insert(cursor, values) for batch, values in self._items.items()}

    def _write_changes(self, cursor: sqlite3.Cursor) -> int:
        return cursor.execute(
            "UPDATE jobs SET state = o.value ->> 2, due_at = o.value ->> 4,"
            " attempts = CASE WHEN o.value ->> 3 < 0 THEN 0 ELSE attempts + (o.value ->> 3) END,"
            " pack_max = coalesce(o.value ->> 5, pack_max), reason = o.value ->> 6, detail = o.value ->> 7,"
            " same_as = o.value ->> 8, finished_at = o.value ->> 9,"
            " cursor = CASE WHEN o.value ->> 10 IS NULL THEN cursor ELSE nullif(o.value ->> 10, '') END"
            " FROM json_each(?) AS o WHERE jobs.batch = o.value ->> 0 AND jobs.key = o.value ->> 1"
            " AND +jobs.state = o.value ->> 11 AND jobs.reason IS o.value ->> 12",
            (json_text(self._changes),),
        ).rowcount

    def _write_attempts(self, cursor: sqlite3.Cursor) -> None:
        cursor.execute(
            "INSERT OR REPLACE INTO attempts (batch, key, at, status, reason, headers, seconds, traceback)"
            " SELECT o.value ->> 0, o.value ->> 1, o.value ->> 2, o.value ->> 3,"
            " o.value ->> 4, o.value ->> 5, o.value ->> 6, o.value ->> 7 FROM json_each(?) AS o",
            (json_text(self._attempts),),
        )
        cursor.executemany(
            "DELETE FROM attempts WHERE batch = ? AND key = ? AND at <"
            " (SELECT at FROM attempts WHERE batch = ? AND key = ? ORDER BY at DESC LIMIT 1 OFFSET ? - 1)",
            {(batch, key, batch, key, MOST_ATTEMPTS_KEPT) for batch, key, *_ in self._attempts},
        )

    def _change(self, job: Job, outcome: Outcome, source: str, from_state: str, from_reason: str | None) -> None:
        state, reason, detail, spent = _row_of(outcome)
        due_at, finished_at, pack_max, same_as = None, None, None, None
        cursor: str | None = ""  # a job that has ended has none: asked again it begins with its first page
        match outcome:
            case PutOff():
                due_at, pack_max = stamp(self._now + _delay(outcome)), outcome.pack_max
                cursor = json_text(outcome.cursor) if outcome.cursor else None
            case MorePages():
                due_at, cursor = self._at, json_text(outcome.cursor)
            case Found():
                finished_at, same_as = self._at, outcome.same_as
            case _:
                finished_at = self._at
        if reason and not _is_ours(reason):
            reason = self._books.bounded(source, reason)
        told = detail[:MOST_DETAIL] if detail else None
        of_row = (state, spent, due_at, pack_max, reason, told, same_as, finished_at, cursor)
        self._changes.append(Change(job.batch, job.key, *of_row, from_state, from_reason))
        self.deltas[job.batch, State(from_state), from_reason or ""] -= 1
        self.deltas[job.batch, state, reason or ""] += 1


def _insert(cursor: sqlite3.Cursor, values: list[object]) -> int:
    """Inserts the rows of items that are new; how many these are."""
    stored, start = 0, 0
    for rows in _portions(len(values) // _COLUMNS):
        end = start + rows * _COLUMNS
        stored += cursor.execute(_insertion(rows), values[start:end]).rowcount
        start = end
    return stored


def _portions(rows: int) -> Iterator[int]:
    """Powers of two: so few statements are kept ready by SQLite, and each row of a visit costs next to nothing."""
    most = _MOST_ITEMS
    while rows:
        if rows >= most:
            yield most
            rows -= most
        else:
            most //= 2


@lru_cache
def _insertion(rows: int) -> str:
    places = ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?)"] * rows)
    columns = "batch, job, source, key, fetched_at, answer, reencoded, body"
    return f"INSERT OR IGNORE INTO items ({columns}) VALUES {places}"


def _is_ours(reason: str) -> bool:
    """True for our own words, by which a job that comes back is known: they are few, and never `other`."""
    return reason in (ABSENT, RETRY_LATER) or reason.startswith("http-")


def _delay(put_off: PutOff) -> float:
    return min(put_off.delay, LONGEST_LATER if put_off.reason == RETRY_LATER else LONGEST_DELAY)


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


def _attempt_row(job: Job, attempt: Attempt) -> tuple[object, ...]:
    said = (attempt.status, attempt.reason, attempt.headers, attempt.seconds, attempt.traceback or None)
    return (job.batch, job.key, stamp(attempt.at), *said)
