"""Chains: jobs that items make in the batches below their own, and batches that end when those above them have."""

from collections import Counter
from collections.abc import Iterable, Mapping

from collector.clock import stamp
from collector.model import OPEN, BatchId, BatchState, Offspring, State
from collector.store.batches import Batches
from collector.store.books import Books, Entry
from collector.store.database import Write, json_text

_TAKING = (BatchState.OPEN, BatchState.HELD, BatchState.PAUSED)  # states in which a batch takes in what a chain makes


NO_ID = "no ID of this source"  # the detail of what a source does not take


class Children:
    """What one transaction that records outcomes does to the batches of a chain."""

    def __init__(self, books: Books, batches: Batches) -> None:
        self._books, self._batches = books, batches

    async def born(self, write: Write, offspring: Iterable[Offspring], now: float) -> Counter[Entry]:
        """Inserts the jobs that are new to their batch or stood there as no ID, due at once, and holds a batch that has
        too many; what that changes in the books. A batch that was cancelled takes nothing in any more."""
        deltas: Counter[Entry] = Counter()
        for batch, (keys, malformed, most) in _together(offspring).items():
            if self._batches.get(batch).state not in _TAKING:
                continue
            new = await write.change(
                "INSERT OR IGNORE INTO jobs (batch, key, state, due_at)"
                " SELECT ?, value, 'delayed', ? FROM json_each(?)",
                (batch, stamp(now), json_text(sorted(keys))),
            )
            mended = await write.change(
                # As "@ada" gives the ID "ada", and "ada" alone is none.
                "UPDATE jobs SET state = 'delayed', due_at = ?, reason = NULL, detail = NULL, finished_at = NULL"
                " WHERE batch = ? AND key IN (SELECT value FROM json_each(?)) AND state = 'invalid' AND detail = ?",
                (stamp(now), batch, json_text(sorted(keys)), NO_ID),
            )
            bad = await write.change(
                "INSERT OR IGNORE INTO jobs (batch, key, state, reason, detail, finished_at)"
                " SELECT ?, value, 'invalid', 'malformed', ?, ? FROM json_each(?)",
                (batch, NO_ID, stamp(now), json_text(sorted(malformed))),
            )
            deltas[batch, State.DELAYED, ""] = new + mended
            deltas[batch, State.INVALID, "malformed"] = bad - mended
            if self._books.of(batch).total + new + bad > most:
                await self._hold(write, batch)
        return deltas

    def may_end(self, deltas: Mapping[Entry, int]) -> bool:
        """Whether one of the batches owes nothing any more, so that it or one below it may end."""
        opened = _opened(deltas)
        return any(self._books.open_in(batch) + jobs <= 0 for batch, jobs in opened.items())

    async def finish(self, write: Write, deltas: Mapping[Entry, int], now: float) -> None:
        """Ends the batches that owe nothing any more: one of a chain only after the one above it."""
        opened = _opened(deltas)
        ended: set[BatchId] = set()
        waiting = list(opened)
        while waiting:
            batch = waiting.pop()
            known = self._batches.get(batch)
            above = known.parent is None or known.parent in ended or self._batches.get(known.parent).finished_at
            if not above or self._books.open_in(batch) + opened[batch] > 0 or batch in ended:
                continue
            if await self._end(write, batch, now):
                ended.add(batch)
                waiting += [child.id for child in self._batches.children(batch)]

    async def _end(self, write: Write, batch: BatchId, now: float) -> bool:
        ended = await self._batches.change(
            write,
            "UPDATE batches SET state = 'finished', finished_at = ?"
            " WHERE id = ? AND (state IN ('open', 'paused') OR (state = 'held' AND origin = 'chain'))",
            (stamp(now), batch),
        )
        return bool(ended)

    async def _hold(self, write: Write, batch: BatchId) -> None:
        sql = "UPDATE batches SET state = 'held' WHERE id = ? AND NOT granted AND state IN ('open', 'paused')"
        await self._batches.change(write, sql, (batch,))


def _opened(deltas: Mapping[Entry, int]) -> Counter[BatchId]:
    """By how many the jobs that are still owed have grown, of every batch there is."""
    opened: Counter[BatchId] = Counter()
    for (batch, state, _), jobs in deltas.items():
        opened[batch] += jobs if state in OPEN else 0
    return opened


def _together(offspring: Iterable[Offspring]) -> dict[BatchId, tuple[set[str], set[str], int]]:
    """By batch: the keys, those that are none, and how many it may have without a yes."""
    found: dict[BatchId, tuple[set[str], set[str], int]] = {}
    for born in offspring:
        keys, malformed, _ = found.setdefault(born.batch, (set(), set(), born.most))
        keys.update(born.keys)
        malformed.update(born.malformed)
    return found
