"""What a person does with a batch and all below it, with a source, or with everything: pause, resume, cancel, give
priority, drain."""

from collections import Counter
from collections.abc import Sequence

from collector.clock import Clock, stamp
from collector.model import BatchId, BatchState, State
from collector.quantity import things
from collector.store.actions import Actions, Order, Target
from collector.store.batches import Batch, Batches
from collector.store.books import Books, Entry
from collector.store.database import Database, json_text
from collector.store.pauses import Pauses

REASON = "cancelled"


class Control:
    """The transitions of batches that somebody asks for; each returns the batches whose state it changed."""

    def __init__(
        self, database: Database, books: Books, batches: Batches, pauses: Pauses, actions: Actions, clock: Clock
    ) -> None:
        self._database, self._books, self._batches, self._clock = database, books, batches, clock
        self._pauses, self._actions = pauses, actions

    async def pause(self, batch: BatchId, who: str = "cli") -> list[Batch]:
        """None of their jobs is asked until a resume; what is being loaded is paused as soon as it is loaded."""
        return await self._change(
            Order("pause", batch, who),
            "UPDATE batches SET pause_wanted = (state = 'loading'), state = iif(state = 'open', 'paused', state)"
            " WHERE id IN (SELECT value FROM json_each(?))"
            " AND (state = 'open' OR (state = 'loading' AND NOT pause_wanted))",
        )

    async def resume(self, batch: BatchId, who: str = "cli") -> list[Batch]:
        """Their jobs are asked again; for what is held it is the yes."""
        return await self._change(
            Order("resume", batch, who),
            "UPDATE batches SET granted = (granted OR state = 'held'), pause_wanted = 0, hold_wanted = 0,"
            " state = iif(state = 'loading', state, 'open')"
            " WHERE id IN (SELECT value FROM json_each(?))"
            " AND (state IN ('paused', 'held') OR (state = 'loading' AND (pause_wanted OR hold_wanted)))",
        )

    async def pause_source(self, source: str | None, who: str = "cli") -> bool:
        """Nothing of a source is asked until a resume, None: of any; False where that was so before."""
        async with self._database.write() as write:
            new = await self._pauses.add(write, source)
            await self._actions.note(write, Order("pause", source, who), "paused" if new else "changed nothing")
        return new

    async def resume_source(self, source: str | None, ended: Sequence[str] = (), who: str = "cli") -> None:
        """A source is no longer paused, None: none is. `ended` are those whose stop by cause this order ends."""
        async with self._database.write() as write:
            lifted = await self._pauses.lift(write, source)
            outcome = ", ".join([*lifted, *(f"stopped.source.{name}" for name in ended)])
            await self._actions.note(write, Order("resume", source, who), f"ended {outcome or 'nothing'}")

    async def drain(self, who: str = "cli") -> bool:
        """Nothing new is taken in until a resume of all; False where that was so before."""
        async with self._database.write() as write:
            new = await self._pauses.drain(write)
            await self._actions.note(write, Order("drain", None, who), "draining" if new else "changed nothing")
        return new

    async def prioritise(self, target: Target, priority: int, who: str = "cli") -> list[Batch]:
        """They go before those of their source with a lower priority, and behind those with a higher one."""
        return await self._change(
            Order("priority", target, who, {"priority": priority}),
            "UPDATE batches SET priority = ? WHERE priority <> ?"
            " AND id IN (SELECT value FROM json_each(?)) AND finished_at IS NULL",
            priority,
            priority,
        )

    async def cancel(self, target: Target, who: str = "cli") -> list[Batch]:
        """They have ended; `end_jobs` then ends those of their jobs that are open."""
        return await self._change(
            Order("cancel", target, who),
            "UPDATE batches SET state = 'cancelled', pause_wanted = 0, hold_wanted = 0, finished_at = ?"
            " WHERE id IN (SELECT value FROM json_each(?)) AND state IN ('loading', 'held', 'open', 'paused')",
            stamp(self._clock.wall()),
        )

    def unsettled(self) -> list[Batch]:
        """Cancelled batches that have open jobs still."""
        ended = self._batches.to_write()
        return [batch for batch in ended if batch.state is BatchState.CANCELLED and self._books.open_in(batch.id)]

    async def end_jobs(self, batch: BatchId, after: str, most: int) -> str | None:
        """Ends the next open jobs of a cancelled batch behind a key, at most so many, in one commit with the books.

        Returns the last of their keys, None where no open one is behind it.
        """
        if self._batches.get(batch).state is not BatchState.CANCELLED:  # which nothing leads out of
            return None
        rows = await self._database.read(
            "SELECT key FROM jobs WHERE batch = ? AND key > ? AND state IN ('queued', 'delayed') ORDER BY key LIMIT ?",
            (batch, after, most),
        )
        if not rows:
            return None
        keys = json_text([key for (key,) in rows])
        async with self._database.write() as write:
            open_ones = await write.rows(
                "SELECT j.state, coalesce(j.reason, ''), count(*) FROM json_each(?) AS o"
                " CROSS JOIN jobs AS j ON j.batch = ? AND j.key = o.value"
                " WHERE j.state IN ('queued', 'delayed') GROUP BY 1, 2",
                (keys, batch),
            )
            await write.change(
                # Not UPDATE … FROM: the planner then reads the whole batch once for each key.
                "UPDATE jobs SET state = 'cancelled', reason = ?, due_at = NULL, finished_at = ?"
                " WHERE batch = ? AND key IN (SELECT value FROM json_each(?)) AND state IN ('queued', 'delayed')",
                (REASON, stamp(self._clock.wall()), batch, keys),
            )
            deltas: Counter[Entry] = Counter({(batch, State(state), reason): -n for state, reason, n in open_ones})
            deltas[batch, State.CANCELLED, REASON] = sum(n for _, _, n in open_ones)
            await self._books.change(write, deltas)
        return str(rows[-1][0])

    async def _change(self, order: Order, sql: str, *values: object) -> list[Batch]:
        async with self._database.write() as write:
            family = self._family(order.of)
            changed = await self._batches.change(write, sql, (*values, json_text(family)))
            await self._actions.note(write, order, _outcome(len(changed)))
        place = {batch: at for at, batch in enumerate(family)}
        return sorted(changed, key=lambda member: place[member.id])

    def _family(self, target: Target) -> list[BatchId]:
        """The batches that an order is for, each before its children."""
        if isinstance(target, int):
            return [member.id for member in self._batches.family(target)]
        mine = [batch for batch in self._batches.ongoing() if target in (None, batch.source)]
        return list(dict.fromkeys(member.id for batch in mine for member in self._batches.family(batch.id)))


def _outcome(changed: int) -> str:
    return f"changed {things(changed, 'batch')}" if changed else "changed nothing"
