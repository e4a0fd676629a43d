"""Orders where no service runs: the command takes the folder's lock and does the work through the same handlers."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import structlog
from aiohttp import web

from collector.admin.care import Care
from collector.admin.listen import controlled
from collector.admin.orders import Orders
from collector.cli import control
from collector.clock import Clock
from collector.dispatch.controller import Controller
from collector.host import lock, thread
from collector.model import SourceLive
from collector.store import store as stores

if TYPE_CHECKING:
    from collector.config import Config


def order(config: Config, path: str) -> tuple[int, Any]:
    """Status and document of an order, as the running service would answer it; Held where somebody works there."""
    with lock.hold(config.root), _troubles_only():
        return asyncio.run(_ordered(config, path))


async def _ordered(config: Config, path: str) -> tuple[int, Any]:
    async with _serving(config) as controller:
        answer = await thread.run(lambda: control.order(config, path, control.LONG_PATIENCE))
        await controller.settle()
    return answer


@asynccontextmanager
async def _serving(config: Config) -> AsyncIterator[Controller]:
    """The orders of a service that asks nothing, at its control socket."""
    clock = Clock()
    async with stores.opened(config.database, clock) as store:
        controller = Controller(store, _nobody, _nobody, lambda: None, clock)

        def sources() -> dict[str, SourceLive]:
            return {name: _live(store.pauses.why(name)) for name in config.sources}

        application = web.Application()
        orders = Orders(sources, lambda _: False, _no_reload, controller, Care(store))
        application.add_routes(orders.routes())
        async with controlled(application, config.control):
            yield controller


@contextmanager
def _troubles_only() -> Iterator[None]:
    """What a service would log of its work is no output of a command; that a disk is full is, on standard error."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def _live(paused: str | None) -> SourceLive:
    return SourceLive("paused", paused) if paused else SourceLive("off", "no service is running")


def _nobody(_: str) -> None:
    """Nobody asks, so nobody is to be told."""


def _no_reload() -> asyncio.Future[Any]:
    """A start reads the configuration anyway."""
    told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    told.set_result(None)
    return told
