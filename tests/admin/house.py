"""A store with the HTTP interface over it, as the service wires them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from collector.admin.app import application
from collector.admin.batches import Batches
from collector.admin.downloads import Downloads
from collector.admin.listen import listening
from collector.clock import Clock
from collector.dispatch.controller import Controller
from collector.output.health import Health
from collector.sources.spec import Spec
from collector.store import store as stores
from collector.store.store import Store
from tests.admin.test_admin import ANY_PORT, BEARER, SNAPSHOT, guard


@asynccontextmanager
async def looking(
    tmp_path: Path, specs: Mapping[str, Spec] | None = None
) -> AsyncIterator[tuple[Store, aiohttp.ClientSession]]:
    """Who asks has the token."""
    async with stores.opened(tmp_path / "collector.db", Clock()) as store:
        controller = Controller(store, lambda _: None, lambda _: None, lambda: None, Clock())
        batches = Batches(store, controller, lambda: SNAPSHOT, tmp_path)
        downloads = Downloads(store, controller, lambda: specs or {}, lambda batch: f"report of batch {batch.id}")
        app = application(lambda: SNAPSHOT, lambda: Health(True), guard(), batches, downloads)
        async with listening(app, ANY_PORT) as address, aiohttp.ClientSession(address, headers=BEARER) as session:
            yield store, session
