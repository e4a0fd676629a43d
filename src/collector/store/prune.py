"""Old batches are removed: first from the books in one commit, then their rows in small ones.

A kill in between leaves rows of batches that are not there, which nothing reads; the next prune removes them. The same
holds for items that a later batch names as its own: they stay until that one goes too.
"""

from collections.abc import AsyncIterator, Sequence

import msgspec

from collector.model import BatchId
from collector.store.batches import Batch, Batches
from collector.store.books import Books
from collector.store.database import Database, Write, json_text

_ROWS = 500  # in a commit: nobody who writes waits long

_TABLES = ("jobs", "attempts", "items", "answers")  # in this order: an item without its job is not named any more


class Old(msgspec.Struct, frozen=True):
    """A batch that ended long ago with all below it, and why it stays where it does."""

    batches: tuple[BatchId, ...]
    folders: tuple[str, ...]
    jobs: int
    items: int
    stays: str | None


class Removed(msgspec.Struct, frozen=True):
    """What a commit removed, and the items that it left since a later batch names them."""

    jobs: int = 0
    items: int = 0
    kept: int = 0


class Prune:
    """The removal of batches."""

    def __init__(self, database: Database, books: Books, batches: Batches) -> None:
        self._database, self._books, self._batches = database, books, batches

    def old(self, before: float, *, unwritten: bool) -> list[Old]:
        """Batches of which the last of the chain ended before that time, in order; `unwritten` are taken as well."""
        found = []
        for root in self._batches.all():
            family = self._batches.family(root.id) if root.parent is None else []
            if family and all(_ended(batch, before) for batch in family):
                found.append(self._old(family, unwritten=unwritten))
        return found

    def _old(self, family: Sequence[Batch], *, unwritten: bool) -> Old:
        stays = None
        if any(self._books.open_in(batch.id) for batch in family):
            stays = "its cancel is not at its end"
        elif not unwritten and any(batch.written_at is None for batch in family):
            stays = "its results are not in its folder"
        elif max(batch.id for batch in self._batches.all()) in {batch.id for batch in family}:
            stays = "it is the latest, whose number would be given again"
        return Old(
            batches=tuple(batch.id for batch in family),
            folders=tuple(batch.folder for batch in family),
            jobs=sum(self._books.of(batch.id).total for batch in family),
            items=sum(batch.items for batch in family),
            stays=stays,
        )

    async def forget(self, old: Old, before: float) -> bool:
        """Takes a batch with all below it out of the books; durable on return. False where it has not ended before
        that time any more: a retry opened it meanwhile."""
        async with self._database.write() as write:
            if not all(_ended(self._batches.find(batch), before) for batch in old.batches):
                return False
            await self._remove(write, old.batches)
        return True

    async def forget_draft(self, draft: Batch) -> bool:
        """Takes a batch with all below it out of the books that nobody has said yes to; `sweep` removes its rows.
        False where somebody has said something meanwhile, or it is the latest, whose number would be given again."""
        family = [batch.id for batch in self._batches.family(draft.id)]
        if max(batch.id for batch in self._batches.all()) in family:
            return False
        async with self._database.write() as write:
            if not self._batches.get(draft.id).is_draft:
                return False
            await self._remove(write, family)
        return True

    async def _remove(self, write: Write, family: Sequence[BatchId]) -> None:
        numbers = json_text(family)
        await write.change("DELETE FROM batches WHERE id IN (SELECT value FROM json_each(?))", (numbers,))
        await write.change("DELETE FROM counts WHERE batch IN (SELECT value FROM json_each(?))", (numbers,))
        await write.change(
            "DELETE FROM meta WHERE key IN (SELECT 'hours.batch.' || value FROM json_each(?))", (numbers,)
        )
        write.after_commit(lambda: self._mirror(family))

    def _mirror(self, gone: Sequence[BatchId]) -> None:
        for batch in reversed(gone):
            self._batches.drop(batch)

    async def sweep(self) -> AsyncIterator[Removed]:
        """Removes the rows of batches that are not there any more, a commit at a time."""
        for table in _TABLES:
            for batch in await self._orphans(table):
                async for removed in self._swept(table, batch):
                    yield removed

    async def _orphans(self, table: str) -> list[BatchId]:
        """Batches that have rows in a table and none in `batches`; one look into the index for each."""
        rows = await self._database.read(
            f"WITH RECURSIVE seen (batch) AS (SELECT min(batch) FROM {table} UNION ALL"
            f" SELECT (SELECT min(batch) FROM {table} WHERE batch > seen.batch) FROM seen WHERE batch IS NOT NULL)"
            " SELECT batch FROM seen WHERE batch IS NOT NULL AND batch NOT IN (SELECT id FROM batches)"
        )
        return [BatchId(batch) for (batch,) in rows]

    async def _swept(self, table: str, batch: BatchId) -> AsyncIterator[Removed]:
        match table:
            case "items":
                async for removed in self._items(batch):
                    yield removed
            case "answers":
                # Whatever stays of the items names its answer.
                async for _ in self._rows(
                    "answers", "id", batch, " AND id NOT IN (SELECT answer FROM items WHERE batch = ? AND answer > 0)"
                ):
                    yield Removed()
            case _:
                async for jobs in self._rows(table, "key", batch):
                    yield Removed(jobs=jobs if table == "jobs" else 0)

    async def _rows(self, table: str, by: str, batch: BatchId, kept: str = "") -> AsyncIterator[int]:
        after: object = 0 if by == "id" else ""
        while True:
            [(last,)] = await self._database.read(
                f"SELECT max({by}) FROM (SELECT {by} FROM {table} WHERE batch = ? AND {by} > ? ORDER BY {by} LIMIT ?)",
                (batch, after, _ROWS),
            )
            if last is None:
                return
            async with self._database.write() as write:
                removed = await write.change(
                    f"DELETE FROM {table} WHERE batch = ? AND {by} > ? AND {by} <= ?{kept}",
                    (batch, after, last, *([batch] if kept else [])),
                )
            after = last
            yield removed

    async def _items(self, batch: BatchId) -> AsyncIterator[Removed]:
        after = ("", "")
        while rows := await self._database.read(
            "SELECT job, key FROM items WHERE batch = ? AND (job, key) > (?, ?) ORDER BY job, key LIMIT ?",
            (batch, *after, _ROWS),
        ):
            last = (rows[-1][0], rows[-1][1])
            async with self._database.write() as write:
                removed = await write.change(
                    "DELETE FROM items WHERE batch = ? AND (job, key) > (?, ?) AND (job, key) <= (?, ?)"
                    # CROSS JOIN keeps this order: for each batch of the source one look for the ID.
                    " AND NOT EXISTS (SELECT 1 FROM batches AS b CROSS JOIN jobs AS j ON j.batch = b.id"
                    " AND j.key = items.job WHERE b.source = items.source AND j.same_as = items.batch)",
                    (batch, *after, *last),
                )
            after = last
            yield Removed(items=removed, kept=len(rows) - removed)


def _ended(batch: Batch | None, before: float) -> bool:
    return batch is not None and batch.finished_at is not None and batch.finished_at < before
