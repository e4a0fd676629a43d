"""Large answers on their way from the wire to the table."""

import asyncio
from pathlib import Path
from random import Random

from aiohttp import web
from aiohttp.test_utils import TestServer

from collector.clock import Clock
from collector.dispatch.recorder import MOST_BYTES, MOST_WAITING, Recorder
from collector.dispatch.taken import Taken
from collector.model import Found, Item, Job, Result, State
from collector.sources.load import LARGE, Load
from collector.sources.spec import Spec
from collector.store import store as stores

from .running import dispatching

MB = 1_000_000


class Watched(Load):
    """Keeps the most that was in memory at once."""

    peak = 0

    async def fits(self, size: int) -> None:
        await super().fits(size)
        self.peak = max(self.peak, self.held)

    def hold(self, size: int) -> None:
        super().hold(size)
        self.peak = max(self.peak, self.held)


async def answer(request: web.Request) -> web.Response:
    return web.json_response({"id": request.match_info["key"], "text": MB * "x"})


async def test_of_many_large_answers_a_few_are_in_memory_at_once(tmp_path: Path) -> None:
    """Sixteen calls in the air bring 1 MB each, and no more than 3 MB are there; in the end nothing is."""
    app = web.Application()
    app.router.add_get("/{key}", answer)
    load = Watched(3 * MB)
    async with TestServer(app) as server:
        spec = Spec.model_validate({"url": str(server.make_url("/")) + "{id}", "parallel": 16})
        async with dispatching(tmp_path, {"posts": spec}, load=load) as running:
            batch = await running.add([str(number) for number in range(32)])
            await running.finished(batch)
            await running.dispatcher.recorder.drained()
            assert running.store.books.count(batch.id, State.FOUND) == 32
    assert 2 * MB < load.peak <= 4.1 * MB
    assert load.held == 0


async def test_answers_that_are_not_large_wait_for_the_store_in_so_many_bytes_only(tmp_path: Path) -> None:
    """However many are answered while nothing is recorded, what is handed over has a bound; it is recorded in turn."""
    load = Load()
    async with stores.opened(tmp_path / "collector.db", Clock()) as store:
        batch = await store.batches.begin("posts", "ids", "file")
        keys = [f"{number:03}" for number in range(2 * MOST_WAITING // LARGE)]
        batch, _ = await store.batches.load_chunk(batch, keys, len(keys))
        await store.batches.open(batch, lines=len(keys), refused=0, digest="", layout="", warnings=[])
        recorder = Recorder(store, {"posts": Taken()}, lambda: None, Random(1), load)
        body = "x" * LARGE
        async with asyncio.TaskGroup() as group:
            for job in [Job(batch.id, key) for key in keys]:
                found = ((job, Found((Item(job.key, body),))),)
                group.create_task(recorder.put(Result("posts", (job,), found, at=0.0)))
            await asyncio.sleep(0)
            assert MOST_BYTES // LARGE < recorder.waiting <= MOST_WAITING // LARGE + 1
            running = group.create_task(recorder.run())
            while store.books.count(batch.id, State.FOUND) < len(keys):
                await recorder.drained()
                await asyncio.sleep(0)
            await recorder.drained()
            running.cancel()
        assert load.held == 0
