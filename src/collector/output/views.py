"""The actor that keeps the views of the database in step with the declared columns."""

import asyncio
from collections.abc import Mapping

import structlog

from collector.errors import StoreBusy
from collector.sources.spec import Spec
from collector.store.views import View, Views

AGAIN = 5.0  # seconds until they are tried again after a disk error

log = structlog.get_logger()


class ViewKeeper:
    """Makes the views at the start and, within a moment, after each reload, which itself may not wait for a disk."""

    def __init__(self, views: Views, specs: Mapping[str, Spec]) -> None:
        self._views, self._specs = views, specs
        self._wake = asyncio.Event()

    def reconfigure(self, specs: Mapping[str, Spec]) -> None:
        """Takes up the sources as they are declared now."""
        self._specs = specs
        self._wake.set()

    async def make(self) -> None:
        """From now on the views are what is declared."""
        declared = [View(name, spec.key, spec.columns) for name, spec in self._specs.items()]
        made, dropped = await self._views.declare(declared)
        if made or dropped:
            log.info("views_declared", made=made, dropped=dropped)

    async def run(self) -> None:
        """Makes them whenever the sources are others, until it is cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self.make()
            except StoreBusy as error:
                log.warning("views_not_declared", why=str(error))
                self._wake.set()
                await asyncio.sleep(AGAIN)
