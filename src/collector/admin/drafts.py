"""The actor that removes what was sent with `hold=true`, and to which nobody has said yes or no."""

import asyncio
import shutil
from functools import partial
from pathlib import Path

import structlog

from collector.clock import Clock
from collector.errors import StoreBusy
from collector.host import thread
from collector.store.store import Store

KEPT = 86_400.0  # seconds
EVERY = 600.0  # seconds from look to look

log = structlog.get_logger()


class Drafts:
    """Looks now and then; a kill in between leaves rows of batches that are not there, which the next look removes."""

    def __init__(self, store: Store, folders: Path, clock: Clock) -> None:
        self._store, self._folders, self._clock = store, folders, clock

    async def run(self) -> None:
        """Removes them until it is cancelled."""
        while True:
            try:
                await self.look()
            except (StoreBusy, OSError) as error:
                log.warning("drafts_not_removed", why=str(error))
            await asyncio.sleep(EVERY)

    async def look(self) -> None:
        """Removes those that are older than a day, with their folders."""
        oldest = self._clock.wall() - KEPT
        for batch in self._store.batches.ongoing():
            if batch.is_draft and batch.opened_at is not None and batch.opened_at < oldest:
                if not await self._store.prune.forget_draft(batch):
                    continue
                log.info("draft_removed", batch=batch.id, why="nobody said yes within a day")
                async for _ in self._store.prune.sweep():
                    pass
                await thread.run(partial(shutil.rmtree, self._folders / batch.folder, ignore_errors=True))
