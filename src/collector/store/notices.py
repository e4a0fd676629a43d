"""What somebody was told, so that a start does not tell it again: of batches in their rows, of troubles in meta."""

from collections.abc import Mapping

from collector.model import BatchId
from collector.store.batches import Batches
from collector.store.database import Database, json_text


class Notices:
    """The column `told` of batches, and what is known of troubles as one JSON text."""

    def __init__(self, database: Database, batches: Batches) -> None:
        self._database, self._batches = database, batches

    async def load(self) -> str | None:
        """What `keep` kept; None where nobody is told anything as yet."""
        rows = await self._database.read("SELECT value FROM meta WHERE key = 'notices'")
        return next((text for (text,) in rows), None)

    async def begin(self, text: str) -> None:
        """From now on somebody is told; all that was before is no news."""
        async with self._database.write() as write:
            await write.change("INSERT OR REPLACE INTO meta VALUES ('notices', ?)", (text,))
            await self._batches.change(
                write,
                "UPDATE batches SET told = coalesce(finished_at, 'in')"
                " WHERE state <> 'loading' AND told <> coalesce(finished_at, 'in')",
                (),
            )

    async def end(self) -> None:
        """Nobody is told any more."""
        async with self._database.write() as write:
            await write.change("DELETE FROM meta WHERE key = 'notices'")

    async def keep(self, text: str) -> None:
        """What is known of troubles."""
        async with self._database.write() as write:
            await write.change("INSERT OR REPLACE INTO meta VALUES ('notices', ?)", (text,))

    async def told(self, batches: Mapping[BatchId, str]) -> None:
        """Of each batch, what somebody was told."""
        async with self._database.write() as write:
            await self._batches.change(
                write,
                "UPDATE batches SET told = t.value FROM json_each(?) AS t WHERE batches.id = CAST(t.key AS INTEGER)",
                (json_text(batches),),
            )
