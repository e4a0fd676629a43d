"""Large answers on their way from the wire to the table."""

from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer

from collector.model import State
from collector.sources.load import Load
from collector.sources.spec import Spec

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
