"""Jobs as somebody looks through them: in the order of their keys, in short reads, however many there are."""

from collections.abc import Sequence

import msgspec

from collector.model import BatchId, State
from collector.store.database import Database, Row
from collector.store.items import FoundItem
from collector.store.look import BEHIND_ALL

PASSED_OVER = 20_000  # rows that one read looks at: some 10 ms
READS = 10  # for one page; then it is as long as it is, and the next one goes on
_FEW = 5_000  # rows that are rather sorted than searched for
_BODIES = 4_000_000  # bytes of objects in one page
_NOT_FOUND = (State.GONE, State.INVALID, State.FAILED, State.CANCELLED)
_COLUMNS = "key, state, attempts, due_at, reason, detail, same_as, finished_at"


class JobRow(msgspec.Struct, frozen=True):
    """One job as its row has it."""

    key: str
    state: str
    attempts: int  # that were spent
    due_at: str | None
    reason: str | None
    detail: str | None
    same_as: int | None  # the batch that has its objects
    finished_at: str | None


class AttemptRow(msgspec.Struct, frozen=True):
    """A call that failed, or was told to wait."""

    at: str
    status: int | None
    reason: str
    headers: msgspec.Raw  # the limit headers seen, a JSON object
    seconds: float
    traceback: str | None


class Lists:
    """Reads of single jobs and of pages of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def jobs(
        self, batch: BatchId, state: State | None, reason: str | None, after: str, most: int, among: int
    ) -> tuple[list[JobRow], str | None]:
        """The next jobs of a batch behind a key that are in a state for a reason (None: any), at most so many; and the
        key to go on behind, None where these were the last. A page may be short of what is to come. `among`: how many
        there are in that state, by the books."""
        found: list[JobRow] = []
        if state in _NOT_FOUND:
            source = "jobs INDEXED BY jobs_not_found"
            where = f"state = '{state}' AND state IN ('gone', 'invalid', 'failed', 'cancelled')"
        elif state is State.DELAYED and among <= _FEW:
            rows = await self._rows(
                f"SELECT {_COLUMNS} FROM jobs INDEXED BY jobs_delayed WHERE batch = ? AND state = 'delayed'"
                " AND key > ? AND (? IS NULL OR reason = ?) ORDER BY key LIMIT ?",
                (batch, after, reason, reason, most),
            )
            return rows, rows[-1].key if len(rows) == most else None
        else:
            source, where = "jobs", "TRUE"
        for _ in range(READS):
            last = await self._last(source, where, batch, after)
            found += await self._rows(
                f"SELECT {_COLUMNS} FROM {source} WHERE batch = ? AND {where} AND key > ? AND key <= ?"
                " AND (? IS NULL OR state = ?) AND (? IS NULL OR reason = ?) ORDER BY key LIMIT ?",
                (batch, after, BEHIND_ALL if last is None else last, state, state, reason, reason, most - len(found)),
            )
            if len(found) >= most:
                return found, found[-1].key
            if last is None:
                return found, None
            after = last
        return found, after

    async def job(self, batch: BatchId, key: str) -> JobRow | None:
        """One job, if there is one of that key."""
        rows = await self._rows(f"SELECT {_COLUMNS} FROM jobs WHERE batch = ? AND key = ?", (batch, key))
        return next(iter(rows), None)

    async def attempts(self, batch: BatchId, key: str) -> list[AttemptRow]:
        """The latest calls for a job that came to nothing, in order."""
        rows = await self._database.read(
            "SELECT at, status, reason, headers, seconds, traceback FROM attempts WHERE batch = ? AND key = ?"
            " ORDER BY at",
            (batch, key),
        )
        return [
            AttemptRow(at, status, reason, msgspec.Raw(headers.encode()), seconds, traceback)
            for at, status, reason, headers, seconds, traceback in rows
        ]

    async def items(self, batch: BatchId, key: str, after: str, most: int) -> list[FoundItem]:
        """The next objects of a job behind one of them, at most so many, and less where they are large."""
        sizes = await self._database.read(
            "SELECT length(body) FROM items WHERE batch = ? AND job = ? AND key > ? ORDER BY key LIMIT ?",
            (batch, key, after, most),
        )
        rows = await self._database.read(
            "SELECT job, key, fetched_at, answer, body FROM items WHERE batch = ? AND job = ? AND key > ?"
            " ORDER BY key LIMIT ?",
            (batch, key, after, _fitting(sizes)),
        )
        return [FoundItem(*row) for row in rows]

    async def _last(self, source: str, where: str, batch: BatchId, after: str) -> str | None:
        """The last key that the next read looks at; None where it comes to the end."""
        rows = await self._database.read(
            f"SELECT key FROM {source} WHERE batch = ? AND {where} AND key > ? ORDER BY key LIMIT 1 OFFSET ?",
            (batch, after, PASSED_OVER - 1),
        )
        return next((key for (key,) in rows), None)

    async def _rows(self, sql: str, values: Sequence[object]) -> list[JobRow]:
        return [JobRow(*row) for row in await self._database.read(sql, values)]


def _fitting(sizes: Sequence[Row]) -> int:
    """How many of these bodies go into one page, one at the least."""
    total = count = 0
    for (size,) in sizes:
        total += size
        if count and total > _BODIES:
            break
        count += 1
    return count
