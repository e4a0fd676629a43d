"""Jobs that have ended without being found, asked again."""

from collections import Counter

import msgspec

from collector.clock import Clock, stamp
from collector.model import BatchId, BatchState, State
from collector.store.actions import Actions, Order, Target
from collector.store.batches import Batch, Batches
from collector.store.books import Books, Entry
from collector.store.children import NO_ID
from collector.store.database import Database, Write, json_text

RETRIED = (State.FAILED, State.GONE, State.INVALID)  # states that a retry leads out of


class Choice(msgspec.Struct, frozen=True):
    """Which jobs are asked again."""

    states: tuple[State, ...] = (State.FAILED,)
    reason: str | None = None  # None: whatever it is


class Tally(msgspec.Struct, frozen=True):
    """An order while it is carried out: its row in `actions`, the jobs so far, where it goes on."""

    order: Order
    action: int | None = None
    jobs: int = 0
    after: str | None = ""  # the key to go on behind; None: none is left


class Retries:
    """A retry in parts, each of which is whole: rows, counts, batch and note are one commit."""

    def __init__(self, database: Database, books: Books, batches: Batches, actions: Actions, clock: Clock) -> None:
        self._database, self._books, self._batches, self._clock = database, books, batches, clock
        self._actions = actions

    def of(self, target: Target) -> list[Batch]:
        """The batches that a retry is for: each before those below it."""
        if isinstance(target, int):
            return self._batches.family(target)
        return [batch for batch in self._batches.all() if target in (None, batch.source)]

    def waiting(self, batch: BatchId, state: State, choice: Choice) -> int:
        """Jobs in one state that the books know for the chosen reason."""
        if choice.reason is not None:
            return self._books.waiting(batch, state, choice.reason)
        return self._books.count(batch, state)

    async def some(self, batch: BatchId, state: State, choice: Choice, tally: Tally, most: int) -> Tally:
        """Looks at the next jobs in one state, at most so many, and makes those that are chosen due at once, as if
        they were never asked; a batch that had finished is open again, with all below it."""
        rows = await self._database.read(
            "SELECT key, reason, coalesce(detail, '') FROM jobs WHERE batch = ? AND state = ? AND key > ?"
            " ORDER BY key LIMIT ?",
            (batch, state.value, tally.after, most),
        )
        if not rows:
            return msgspec.structs.replace(tally, after=None)
        # What a chain made and no API would take for an ID is not asked.
        chosen = [key for key, reason, detail in rows if choice.reason in (None, reason) and detail != NO_ID]
        tally = msgspec.structs.replace(tally, after=rows[-1][0])
        return await self._again(batch, state, chosen, tally) if chosen else tally

    async def end(self, tally: Tally) -> None:
        """Notes an order that found nothing to do, too."""
        if tally.action is None:
            async with self._database.write() as write:
                await self._actions.note(write, tally.order, _outcome(0))

    async def _again(self, batch: BatchId, state: State, chosen: list[str], tally: Tally) -> Tally:
        keys = json_text(chosen)
        async with self._database.write() as write:
            if not _may(self._batches.find(batch)):
                return msgspec.structs.replace(tally, after=None)
            ended = await write.rows(
                "SELECT coalesce(j.reason, ''), count(*) FROM json_each(?) AS o"
                " CROSS JOIN jobs AS j ON j.batch = ? AND j.key = o.value WHERE j.state = ? GROUP BY 1",
                (keys, batch, state.value),
            )
            await write.change(
                "UPDATE jobs SET state = 'delayed', due_at = ?, attempts = 0, pack_max = NULL, cursor = NULL,"
                " reason = NULL, detail = NULL, same_as = NULL, finished_at = NULL"
                " WHERE batch = ? AND key IN (SELECT value FROM json_each(?)) AND state = ?",
                (stamp(self._clock.wall()), batch, keys, state.value),
            )
            deltas: Counter[Entry] = Counter({(batch, state, reason): -jobs for reason, jobs in ended})
            jobs = sum(jobs for _, jobs in ended)
            deltas[batch, State.DELAYED, ""] = jobs
            await self._books.change(write, deltas)
            if jobs:
                await self._reopen(write, batch)
            return await self._noted(write, tally, jobs)

    async def _reopen(self, write: Write, batch: BatchId) -> None:
        """Its files are to be written anew, and those below it wait for it again, since it may make more IDs."""
        await self._batches.change(
            write,
            "UPDATE batches SET state = 'open', finished_at = NULL, written_at = NULL"
            " WHERE id IN (SELECT value FROM json_each(?)) AND state = 'finished'",
            (json_text([member.id for member in self._batches.family(batch)]),),
        )

    async def _noted(self, write: Write, tally: Tally, jobs: int) -> Tally:
        total = tally.jobs + jobs
        if tally.action is None:
            action = await self._actions.note(write, tally.order, _outcome(total))
            return msgspec.structs.replace(tally, action=action, jobs=total)
        await self._actions.go_on(write, tally.action, _outcome(total))
        return msgspec.structs.replace(tally, jobs=total)


def _may(batch: Batch | None) -> bool:
    """None: a prune removed it meanwhile."""
    return batch is not None and batch.state not in (BatchState.CANCELLED, BatchState.LOADING)


def _outcome(jobs: int) -> str:
    return f"{jobs} {'ID is' if jobs == 1 else 'IDs are'} asked again"
