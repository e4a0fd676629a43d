"""Orders for batches while calls are in the air."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from collector.clock import Clock
from collector.dispatch.controller import Controller
from collector.model import BatchId, BatchState, State
from collector.sources.spec import Spec
from collector.store import store as stores
from collector.store.batches import Batch
from collector.store.store import Store

from .running import Running, dispatching

IDS = [f"{number:02}" for number in range(20)]


class Server:
    """Answers for one ID, when it is let."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answering = asyncio.Event()
        self._arrived = asyncio.Event()

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.match_info["id"])
        self._arrived.set()
        await self.answering.wait()
        return web.json_response({"id": request.match_info["id"]})

    async def has(self, calls: int) -> None:
        """Returns when so many calls have come."""
        while len(self.asked) < calls:
            self._arrived.clear()
            await self._arrived.wait()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Spec]:
        """A source of it, with two calls in the air."""
        app = web.Application()
        app.add_routes([web.get("/{id}", self.answer)])
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0]
            yield Spec(url=f"http://{host}:{port}/{{id}}", parallel=2)
        finally:
            self.answering.set()
            await runner.cleanup()


@asynccontextmanager
async def controlling(running: Running) -> AsyncIterator[Controller]:
    """The controller at work over a running dispatch."""
    dispatcher = running.dispatcher
    controller = Controller(running.store, dispatcher.opened, dispatcher.recall, running.ended.set, Clock())
    async with asyncio.TaskGroup() as group:
        task = group.create_task(controller.run())
        yield controller
        task.cancel()


async def settled(store: Store, batch: Batch, ended: asyncio.Event) -> None:
    """Returns when no job of a cancelled batch is open."""
    while store.books.open_in(batch.id):
        ended.clear()
        await ended.wait()


async def test_a_paused_batch_sends_nothing_more_and_others_of_its_source_go_on(tmp_path: Path) -> None:
    """What is in the air is recorded; calls that waited go back, and are asked after the resume."""
    server = Server()
    async with (
        server.serving() as spec,
        dispatching(tmp_path, {"posts": spec}) as running,
        controlling(running) as controller,
    ):
        paused = await running.add(IDS)
        await server.has(2)
        [told] = await controller.pause(paused.id)
        assert (told.changed, told.total, told.open, told.batch.state) == (True, 20, 20, BatchState.PAUSED)
        other = await running.add(["other"])
        server.answering.set()
        await running.finished(other)
        assert sorted(server.asked) == [*sorted(server.asked[:2]), "other"]
        assert running.store.books.of(paused.id).count(State.FOUND) == 2
        await controller.resume(paused.id)
        await running.finished(paused)
        assert sorted(server.asked) == [*IDS, "other"]


async def test_a_cancelled_batch_ends_at_once_and_late_answers_are_kept(tmp_path: Path) -> None:
    """Two calls are in the air at the cancel: their rows end with the others, and become found when they come."""
    server = Server()
    async with (
        server.serving() as spec,
        dispatching(tmp_path, {"posts": spec}) as running,
        controlling(running) as controller,
    ):
        batch = await running.add(IDS)
        await server.has(2)
        [told] = await controller.cancel(batch.id)
        assert (told.changed, told.open) == (True, 20)
        await settled(running.store, batch, running.ended)
        assert running.store.books.of(batch.id).count(State.CANCELLED) == 20
        assert running.dispatcher.flies(batch.id)
        server.answering.set()
        other = await running.add(["other"])
        await running.finished(other)
        await running.dispatcher.recorder.drained()
        account = running.store.books.of(batch.id)
        assert (account.count(State.CANCELLED), account.count(State.FOUND), account.open) == (18, 2, 0)
        assert not running.dispatcher.flies(batch.id)
        assert len(server.asked) == 3
        assert running.store.batches.get(batch.id).state is BatchState.CANCELLED


async def test_a_cancel_that_was_cut_off_goes_on_at_the_next_start(tmp_path: Path) -> None:
    """The batch is cancelled in the table and its jobs are open: the start ends them."""
    async with dispatching(tmp_path, {}) as running:
        batch = await running.add(IDS)
        await running.store.control.cancel(batch.id)
        await running.store.control.end_jobs(batch.id, "", 7)
    async with dispatching(tmp_path, {}) as running:
        assert running.store.books.open_in(batch.id) == 13
        async with controlling(running):
            await settled(running.store, batch, running.ended)
        assert running.store.books.of(batch.id).count(State.CANCELLED) == 20


async def test_a_batch_is_found_by_its_number_and_by_its_folder(tmp_path: Path) -> None:
    """Nothing else means it, a number beyond all numbers neither."""
    async with stores.opened(tmp_path / "collector.db", Clock()) as store:
        begun = await store.batches.begin("posts", "my-ids", "file")
        controller = Controller(store, print, print, print, Clock())
        for named in ("1", "0001", "0001-my-ids"):
            assert controller.find(named) == begun
        for named in ("", "2", "0001-ids", "1-my-ids", "-1", "x", "²", "9" * 5000, "0002-my-ids"):
            assert controller.find(named) is None
        assert controller.known(1) == [begun]
        assert store.batches.find(BatchId(2)) is None


async def test_a_paused_source_sends_nothing_before_its_resume(tmp_path: Path) -> None:
    """Nor after a start; what was in the air is recorded."""
    server = Server()
    async with server.serving() as spec:
        async with dispatching(tmp_path, {"posts": spec}) as running, controlling(running) as controller:
            batch = await running.add(IDS)
            await server.has(2)
            assert await controller.pause_sources("posts", ["posts"]) == ["posts"]
            server.answering.set()
            while running.dispatcher.calls_in_the_air or running.store.books.open_in(batch.id) > 18:
                await running.dispatcher.lanes["posts"].taken.woken(None)
            assert running.dispatcher.sources()["posts"].state == "paused"
        async with (
            dispatching(tmp_path, {"posts": spec, "others": spec}) as running,
            controlling(running) as controller,
        ):
            other = await running.add(["other"], source="others")
            await running.finished(other)
            assert (len(server.asked), running.dispatcher.sources()["posts"].state) == (3, "paused")
            assert await controller.resume_sources("posts", ["posts", "others"], []) == ["posts"]
            await running.finished(batch)
            assert sorted(server.asked) == [*IDS, "other"]


async def test_a_batch_of_a_higher_priority_goes_before_one_that_came_first(tmp_path: Path) -> None:
    """From the next call on that is packed: what waits in the queue is ahead of it."""
    server = Server()
    async with (
        server.serving() as spec,
        dispatching(tmp_path, {"posts": spec}) as running,
        controlling(running) as controller,
    ):
        first = await running.add(IDS)
        await server.has(2)
        urgent = await running.add([f"u{number}" for number in range(5)])
        [told] = await controller.prioritise(urgent.id, 1)
        assert (told.changed, told.batch.priority) == (True, 1)
        server.answering.set()
        await running.finished(first, urgent)
        ahead = 2 + 2 + 2 + 1  # in the air, taken by consumers, in the queue, in the feeder's hand
        assert {key for key in server.asked[: ahead + 5] if key[0] == "u"} == {f"u{number}" for number in range(5)}
