"""The only wiring: resources opened in order, actors started in one TaskGroup, stopped in the mirror image."""

import asyncio
import os
import signal
import sqlite3
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

import msgspec
import structlog

from collector import __version__
from collector.admin.app import application
from collector.admin.batches import Batches
from collector.admin.care import Care
from collector.admin.downloads import Downloads
from collector.admin.drafts import Drafts
from collector.admin.guard import Guard
from collector.admin.listen import controlled, listening
from collector.admin.metrics import Facts, Metrics
from collector.admin.openapi import OpenApi
from collector.admin.orders import Orders
from collector.admin.pages import Pages
from collector.admin.session import Session
from collector.admin.upload import Uploads
from collector.budget.ledger import Ledger
from collector.clock import Clock
from collector.config import Config
from collector.dispatch.controller import Controller
from collector.dispatch.course import Course
from collector.dispatch.crew import Crew, end
from collector.dispatch.diary import Diary
from collector.dispatch.dispatcher import Dispatcher
from collector.dispatch.timekeeper import Timekeeper
from collector.errors import CollectorError, StoreBusy
from collector.host import lock, thread
from collector.host.disk import Disk
from collector.host.loop import Complaints
from collector.host.systemd import Herald, Manager, watchdog
from collector.host.token import kept
from collector.host.workers import Workers
from collector.intake.loader import Loader
from collector.intake.watcher import Watcher
from collector.model import BatchId, Live, Trouble, Why
from collector.output.folder import Folder
from collector.output.headline import headline
from collector.output.health import Health, health
from collector.output.notifier import Notifier
from collector.output.recent import Finishes
from collector.output.snapshot import Snapshot
from collector.output.status import snapshot
from collector.output.views import ViewKeeper
from collector.reload import Reloader
from collector.sources.http import Client
from collector.sources.identity import identity
from collector.store import store as stores

LAST_COMMITS = 5.0  # seconds that a stop gives the recorder, whatever is left of the grace
LAST_NOTICES = 2.0  # and what is still to be told; the rest is told after the next start

_MOST_TOLD = 20  # IDs of a line of the log

log = structlog.get_logger()


class App:
    """The service over one state folder."""

    def __init__(self, config: Config, clock: Clock | None = None) -> None:
        self.config, self.clock = config, clock or Clock()
        self.ready = asyncio.Event()
        self.admin_url: str | None = None
        self.started_at = self.clock.wall()
        self._stopping = asyncio.Event()
        self._opening: asyncio.Timeout | None = None  # while the store is opened; a stop breaks it off
        self._crew = Crew()
        self._finishes = Finishes(self.clock)
        self._manager = Manager.of(os.environ)
        self._reloader = Reloader(config, self._take_up, self.clock, self._manager.reloading)

    def stop(self) -> None:
        """Begins an orderly stop; called again, it does not wait for the calls in the air."""
        if self._stopping.is_set():
            log.warning("stop_hurried")
            self._crew.hurry()
        elif self._opening is not None:
            self._opening.reschedule(asyncio.get_running_loop().time())
        self._stopping.set()

    def snapshot(self) -> Snapshot:
        """What `/status` shows. Only while the service is ready."""
        return snapshot(self._store, self._live(), self.config.sources, self.started_at, self.clock, self._finishes)

    async def run(self, *, signals: bool = True) -> None:
        """Works until it is stopped. CollectorError in plain words when it cannot start or go on.

        With `signals`, SIGTERM and SIGINT stop it, and at SIGHUP it reads its configuration again.
        """
        asyncio.get_running_loop().set_exception_handler(Complaints())
        async with AsyncExitStack() as stack:
            if signals:
                self._listen_for_signals(stack)
            stack.enter_context(lock.hold(self.config.root))
            self._make_folders()
            if not await self._open(stack):
                log.info("stopped", what="before it was ready")
                return
            try:
                await self._work()
            except* CollectorError as group:
                raise _first(group) from group
        log.info("stopped")

    def _make_folders(self) -> None:
        config = self.config
        try:
            for folder in (
                config.watch,
                config.batches,
                config.rejected,
                *(config.watch / name for name in config.sources),
            ):
                folder.mkdir(exist_ok=True)
        except OSError as error:
            raise CollectorError(
                f"cannot make {error.filename}: {error.strerror}; make {config.root} writable"
            ) from error

    def _listen_for_signals(self, stack: AsyncExitStack) -> None:
        loop = asyncio.get_running_loop()
        handlers = {signal.SIGTERM: self.stop, signal.SIGINT: self.stop, signal.SIGHUP: self._reloader.ask}
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
            stack.callback(_ignore, loop, number)

    async def _open(self, stack: AsyncExitStack) -> bool:
        """Every resource, in the order in which they need each other; the stack closes them in the reverse. False where
        a stop came while the store was opened."""
        config, clock, workers = self.config, self.clock, Workers()
        stack.callback(_leave, workers)  # once all else is closed
        log.info("starting", version=__version__, sqlite=sqlite3.sqlite_version, root=str(config.root))
        if not await self._open_store(stack):
            return False
        await self._begin()
        self._ledger = Ledger.open(config.ledger, clock, config.service.consumers)
        stack.callback(self._ledger.close)
        self._hash_key = await self._store.hash_key()
        client = await stack.enter_async_context(Client())
        self._disk = Disk(config.database, config.service.min_free, self._store.spare, clock)
        await self._disk.look()  # before anybody fills it
        self._loader = Loader(config, self._store, clock, self._opened, self._disk.room)
        self._watcher = Watcher(config, self._loader, clock)
        self._folder = Folder(
            config.batches, self._store, config.sources, self.snapshot, clock, spent=self._spent, flies=self._flies
        )
        self._dispatcher = Dispatcher(
            self._store, self._ledger, client, clock, self._folder.ended, self._crew, workers, self._disk.room
        )
        self._controller = Controller(
            self._store, self._dispatcher.opened, self._dispatcher.recall, self._folder.ended, clock
        )
        self._notifier = Notifier(self._store, self.snapshot, client, clock)
        self._notifier.reconfigure(config.service.notify, config.secrets)
        await self._notifier.begin()
        self._declare()
        self._views = ViewKeeper(self._store.views, config.sources)
        await self._views.make()
        account = await self._store.hours.load()
        self._timekeeper = Timekeeper(account, self._store, self._dispatcher, self._ledger, clock)
        self._course = Course(self._store.minutes, self._dispatcher.tallies, clock)
        await self._course.load()
        self._diary = Diary(
            self._dispatcher, self._store, lambda: self.config.sources, self._timekeeper.totals, self._course, clock
        )
        await self._serve(stack)
        return True

    async def _serve(self, stack: AsyncExitStack) -> None:
        """The HTTP interface: all of it for the control socket, and for who has the token."""
        config, dispatcher = self.config, self._dispatcher
        orders = Orders(dispatcher.sources, dispatcher.resume, self._reloader.ask, self._controller, Care(self._store))
        batches = Batches(self._store, self._controller, self.snapshot, config.batches)
        uploads = Uploads(lambda: self.config, self._loader, self._watcher.load_now, batches)
        downloads = Downloads(self._store, self._controller, lambda: self.config.sources, self._folder.report)
        metrics = Metrics(Facts(self.snapshot, self._health, dispatcher.tallies, dispatcher.recorder, self._store))
        shared = (batches, uploads, downloads, metrics, OpenApi())
        admin = partial(application, self.snapshot, self._health)
        await stack.enter_async_context(controlled(admin(None, orders, *shared), config.control))
        if config.admin.listen == "off":
            return
        token = config.token
        if token is None:
            token = await thread.run(lambda: kept(config.token_file))
        guard = Guard(Session(token, self.clock), config.own_hosts, config.admin.allow_remote)
        pages = Pages(self.snapshot, lambda: self.config, self._course.recent, self._store)
        own = admin(guard, replace(orders, care=None, who="http"), *shared, pages)
        self.admin_url = await stack.enter_async_context(listening(own, config.admin))

    async def _open_store(self, stack: AsyncExitStack) -> bool:
        """False where a stop came meanwhile: the database of an older version is migrated, which may take long."""
        try:
            async with asyncio.timeout(None) as self._opening:
                self._store = await stack.enter_async_context(stores.opened(self.config.database, self.clock))
        except TimeoutError:
            return False
        finally:
            self._opening = None
        return True

    async def _begin(self) -> None:
        try:
            since = await self._store.begun(self.started_at)
        except StoreBusy as error:
            log.warning("beginning_not_noted", why=str(error))
            return
        if since:
            log.warning("last_run_was_cut_off", since=since, what="nothing is lost: what was in the air is asked again")

    async def _end(self) -> None:
        try:
            await self._store.ended()
        except StoreBusy as error:
            log.warning("end_not_noted", why=str(error))

    def _declare(self) -> None:
        """Tells the ledger and dispatch what the sources are, at the start and at each reload."""
        config = self.config
        for name, budget in config.budgets.items():
            self._ledger.share(name, budget.limit)
        for name, spec in config.sources.items():
            self._ledger.declare(
                name,
                identity(spec, config.secrets, self._hash_key),
                spec.limit,
                plain=spec.window == "plain",
                budget=spec.budget,
                per_call=spec.per_call,
                cost=spec.cost,
            )
        self._dispatcher.declare(config.sources, config.secrets)

    def _take_up(self, config: Config) -> None:
        """Another configuration, in one step without an await: nobody sees half of it, and no stop cuts it in two."""
        for gone in self.config.sources.keys() - config.sources.keys():
            self._ledger.retire(gone)
        self.config = config
        self._ledger.resize(config.service.consumers)
        self._declare()
        self._disk.reconfigure(config.service.min_free)
        self._loader.reconfigure(config)
        self._watcher.reconfigure(config)
        self._folder.reconfigure(config.sources)
        self._notifier.reconfigure(config.service.notify, config.secrets)
        self._views.reconfigure(config.sources)

    def _spent(self, batch: BatchId) -> Mapping[Why, float]:
        return self._timekeeper.spent(batch)

    def _flies(self, batch: BatchId) -> bool:
        return self._dispatcher.flies(batch)

    def _opened(self, source: str) -> None:
        self._dispatcher.opened(source)
        self._folder.ended()  # a batch without a single job has ended where it opened

    async def _work(self) -> None:
        """Starts the actors, and at the stop ends them in the order in which their work flows."""
        dispatcher = self._dispatcher
        async with asyncio.TaskGroup() as group:
            recorder = group.create_task(dispatcher.recorder.run())
            disk = group.create_task(self._disk.run())
            folder = group.create_task(self._folder.run())
            timekeeper = group.create_task(self._timekeeper.run())
            controller = group.create_task(self._controller.run())
            views = group.create_task(self._views.run())
            diary = group.create_task(self._diary.run())
            notifier = group.create_task(self._notifier.run())
            drafts = group.create_task(Drafts(self._store, self.config.batches, self.clock).run())
            self._crew.begin(group.create_task)
            taking = [group.create_task(self._reloader.run()), group.create_task(self._watcher.run())]
            self.ready.set()
            herald = group.create_task(self._herald().run(self._watcher.ready))
            log.info("ready", admin=self.admin_url, open_jobs=self.snapshot().jobs.open)
            await self._stopping.wait()
            self._manager.stopping()
            log.info("stopping", calls_in_the_air=dispatcher.calls_in_the_air)
            await end(taking)
            await self._crew.stop_feeding()
            await self._crew.land(self.config.service.grace)
            await self._record_the_last()
            self._notifier.stop()
            await asyncio.wait([notifier], timeout=LAST_NOTICES)
            await end([drafts, controller, folder, recorder, disk, timekeeper, views, diary, herald, notifier])
            await self._diary.close()
            await self._timekeeper.close()
            await self._end()

    def _herald(self) -> Herald:
        waits = watchdog(os.environ, os.getpid())
        return Herald(self._manager, waits, lambda: headline(self.snapshot()), self._dispatcher.pulses, self.clock)

    async def _record_the_last(self) -> None:
        try:
            async with asyncio.timeout(LAST_COMMITS):
                await self._dispatcher.recorder.drained()
        except TimeoutError:
            # Nothing is lost by it: the table still owes them.
            log.error("last_outcomes_not_recorded", why=self._dispatcher.recorder.trouble)

    def _live(self) -> Live:
        dispatcher = self._dispatcher
        return Live(
            state=self._state(),
            stopping=self._stopping.is_set(),
            calls_in_the_air=dispatcher.calls_in_the_air,
            running=dispatcher.running(),
            waiting=self._ledger.waits(),
            budgets=self._ledger.windows(),
            sources=dispatcher.sources(),
            outlook=self._ledger.outlook,
            progress=dispatcher.progress(),
            troubles=(
                *self._disk_trouble(),
                *self._disk.troubles(),
                *self._reloader.troubles(),
                *dispatcher.troubles(),
                *self._watcher.troubles(),
                *self._folder.troubles(),
                *self._notifier.troubles(),
            ),
            time=self._timekeeper.totals(),
            tallies=dispatcher.tallies(),
            space=msgspec.structs.replace(self._disk.space, min_free=self.config.service.min_free),
        )

    def _state(self) -> str:
        if self._stopping.is_set():
            return "draining"
        if self._disk_trouble():
            return "degraded"
        if self._store.pauses.all:
            return "paused"
        return "draining" if self._controller.drains else "running"

    def _disk_trouble(self) -> tuple[Trouble, ...]:
        """Why nothing can be written now, or has room, where that is so."""
        why, short = self._dispatcher.trouble(), self._disk.room.trouble
        unwell = (Trouble("disk", why, str(self.config.root), self.clock.wall()),) if why else ()
        return (*unwell, *((short,) if short else ()))

    def _health(self) -> Health:
        return health(self._store, self._live())


def _leave(workers: Workers) -> None:
    """Threads that did not end when they were asked to end with the process; their IDs are owed."""
    workers.close()
    for source, ids in workers.left().items():
        log.warning("runs_left_behind", source=source, ids=ids[:_MOST_TOLD], more=len(ids[_MOST_TOLD:]))


def _ignore(loop: asyncio.AbstractEventLoop, number: signal.Signals) -> None:
    """A process that is at its end is not to be killed by one more signal, but to end with its exit code."""
    loop.remove_signal_handler(number)
    signal.signal(number, signal.SIG_IGN)


def _first(group: BaseExceptionGroup[CollectorError]) -> CollectorError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, CollectorError)
    return error
