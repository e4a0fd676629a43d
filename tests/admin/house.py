"""A store with the HTTP interface over it, as the service wires them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
from aiohttp import web

from collector.admin.app import application
from collector.admin.batches import Batches
from collector.admin.downloads import Downloads
from collector.admin.listen import listening
from collector.admin.metrics import Facts, Metrics
from collector.admin.openapi import OpenApi
from collector.admin.orders import Orders
from collector.admin.upload import Uploads
from collector.clock import Clock
from collector.dispatch.controller import Controller
from collector.dispatch.recorder import Recorder
from collector.model import SourceLive, Tally
from collector.output.health import Health
from collector.output.status import snapshot
from collector.sources.load import Load
from collector.sources.spec import Spec
from collector.store import store as stores
from collector.store.store import Store
from tests.admin.test_admin import ANY_PORT, BEARER, SNAPSHOT, guard
from tests.intake.house import House
from tests.output.given import LIVE


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


def whole(house: House, tallies: Mapping[str, Tally] | None = None) -> web.Application:
    """Every part of the interface, over a store whose service asks nothing."""
    store = house.store
    controller = Controller(store, lambda _: None, lambda _: None, lambda: None, house.clock)

    def status() -> Any:
        return snapshot(store, LIVE, house.config.sources, 0.0, house.clock)

    reloaded: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    reloaded.set_result(None)
    batches = Batches(store, controller, status, house.config.batches)
    return application(
        status,
        lambda: Health(True),
        guard(),
        batches,
        Uploads(lambda: house.config, house.loader, house.watcher.load_now, batches),
        Downloads(store, controller, lambda: house.config.sources, lambda _: "a report"),
        Metrics(
            Facts(
                status,
                lambda: Health(True),
                lambda: tallies or {},
                Recorder(store, {}, lambda: None, Random(), Load()),
                store,
            )
        ),
        OpenApi(),
        Orders(
            lambda: {"posts": SourceLive("running", None)}, lambda _: False, lambda: reloaded, controller, who="http"
        ),
    )
