"""`/metrics` for Prometheus: made at each scrape from what the service knows anyway."""

from __future__ import annotations

import os
import shutil
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from aiohttp import hdrs, web

from collector.host import thread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from collector.admin.families import Families
    from collector.dispatch.recorder import Recorder
    from collector.model import Tally
    from collector.output.health import Health
    from collector.output.snapshot import Snapshot
    from collector.store.store import Store


class Facts(NamedTuple):
    """Where the numbers come from."""

    status: Callable[[], Snapshot]
    health: Callable[[], Health]
    tallies: Callable[[], Mapping[str, Tally]]
    recorder: Recorder
    store: Store


class Metrics:
    """The handler. Prometheus' client is loaded with the first scrape: most services have none."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._families: Families | None = None

    def routes(self) -> list[web.RouteDef]:
        """Its path."""
        return [web.get("/metrics", self.metrics)]

    async def metrics(self, request: web.Request) -> web.Response:
        """In the text format, or in OpenMetrics where that is wanted."""
        disk = await thread.run(self._look)
        if self._families is None:
            await thread.run(lambda: import_module("collector.admin.families"))
            from collector.admin.families import Families

            self._families = Families(self._facts)
        body, kind = self._families.told(disk, request.headers.get(hdrs.ACCEPT, ""))
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: kind})

    def _look(self) -> tuple[int, int]:
        path = self._facts.store.path
        return shutil.disk_usage(path.parent).free, os.stat(path).st_size
