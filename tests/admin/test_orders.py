"""What the control socket takes orders for, over the wire."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from collector.admin.app import application
from collector.admin.care import Care
from collector.admin.listen import controlled, listening
from collector.admin.orders import Orders
from collector.clock import Clock
from collector.dispatch.controller import Controller
from collector.errors import Problem
from collector.host.address import short
from collector.model import SourceLive
from collector.output.health import Health
from collector.reload import Reloaded
from collector.store import store as stores
from tests.admin.test_admin import ANY_PORT, BEARER, SNAPSHOT, guard
from tests.store.conftest import open_batch

Answer = tuple[int, dict[str, Any]]


class Sources:
    """Two sources, of which `a` is stopped until somebody lets it go on."""

    def __init__(self) -> None:
        self.stopped = {"a"}
        self.woken: list[str] = []

    def told(self) -> dict[str, SourceLive]:
        return {name: SourceLive("stopped" if name in self.stopped else "running", None) for name in ("a", "b")}

    def resume(self, name: str) -> bool:
        was = name in self.stopped
        self.stopped.discard(name)
        return was


@asynccontextmanager
async def ordering(tmp_path: Path, reloaded: Reloaded | None = None) -> AsyncIterator[aiohttp.ClientSession]:
    answer: asyncio.Future[Reloaded | None] = asyncio.get_running_loop().create_future()
    answer.set_result(reloaded)
    sources = Sources()
    async with stores.opened(tmp_path / "collector.db", Clock()) as store:
        for name in ("ids", "more"):
            await open_batch(store, ["1", "2"], name=name)
        controller = Controller(store, sources.woken.append, sources.woken.append, lambda: None, Clock())
        orders = Orders(sources.told, sources.resume, lambda: answer, controller, Care(store))
        app = application(lambda: SNAPSHOT, lambda: Health(True), None, orders)
        async with asking(app, tmp_path) as session:
            yield session


@asynccontextmanager
async def asking(app: web.Application, tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    async with controlled(app, tmp_path / "s") as path:
        with short(path) as name:
            async with aiohttp.ClientSession("http://c", connector=aiohttp.UnixConnector(name)) as session:
                yield session


async def posted(session: aiohttp.ClientSession, path: str) -> Answer:
    async with session.post(path) as answer:
        return answer.status, await answer.json()


async def test_a_resume_says_who_goes_on_and_how_the_others_stand(tmp_path: Path) -> None:
    """One source or all of them, and the second time there is nothing to do."""
    running = {"state": "running", "why": None}
    async with ordering(tmp_path) as session:
        assert await posted(session, "/sources/b/resume") == (200, {"resumed": [], "not_stopped": {"b": running}})
        assert await posted(session, "/resume") == (200, {"resumed": ["a"], "not_stopped": {"b": running}})
        assert await posted(session, "/sources/a/resume") == (200, {"resumed": [], "not_stopped": {"a": running}})


async def test_an_unknown_source_is_told_with_those_that_exist(tmp_path: Path) -> None:
    """A spelling mistake is found at once."""
    async with ordering(tmp_path) as session:
        status, said = await posted(session, "/sources/c%20d/resume")
        assert (status, said["error"], said["sources"]) == (404, "no source 'c d'; declared: a, b", ["a", "b"])


@pytest.mark.parametrize(
    ("reloaded", "status"),
    [
        (Reloaded("c.toml", ("source a: url",)), 200),
        (Reloaded("c.toml", problems=(Problem("root", "5", "a folder"),)), 422),
        (None, 503),
    ],
)
async def test_a_reload_answers_with_what_came_of_it(tmp_path: Path, reloaded: Reloaded | None, status: int) -> None:
    """Taken up, refused with its problems, or too late."""
    async with ordering(tmp_path, reloaded) as session:
        got, said = await posted(session, "/reload")
        assert got == status
        assert said.get("changed", []) == list(reloaded.changed if reloaded else ())
        assert [fault["key"] for fault in said.get("problems", [])] == (["root"] if status == 422 else [])


async def test_an_order_is_no_question(tmp_path: Path) -> None:
    """Looking at a path never changes anything."""
    async with ordering(tmp_path) as session, session.get("/reload") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")


async def test_an_order_for_a_batch_answers_with_how_it_stands(tmp_path: Path) -> None:
    """By number or folder; what it was before is told by `changed`, and a second time nothing changes."""
    standing = {
        "id": 2,
        "folder": "0002-more",
        "source": "posts",
        "parent": None,
        "pause_wanted": False,
        "total": 2,
        "priority": 0,
    }
    async with ordering(tmp_path) as session:
        for path, state, changed in (
            ("/batches/2/pause", "paused", True),
            ("/batches/0002-more/pause", "paused", False),
            ("/batches/0002-more/resume", "open", True),
            ("/batches/2/cancel", "cancelled", True),
            ("/batches/2/resume", "cancelled", False),
        ):
            status, said = await posted(session, path)
            assert (status, said) == (200, {"batches": [standing | {"state": state, "changed": changed, "open": 2}]})


async def test_an_unknown_batch_is_told_with_those_that_exist(tmp_path: Path) -> None:
    """A folder that is another batch's is unknown too."""
    async with ordering(tmp_path) as session:
        for named in ("9", "0001-more", "a%2Fb", ""):
            status, said = await posted(session, f"/batches/{named}/cancel")
            assert (status, said["batches"]) == (404, ["0001-ids", "0002-more"])
            assert "the latest there are: 0001-ids, 0002-more" in said["error"]


async def test_a_retry_of_an_unknown_state_is_told_the_known_ones(tmp_path: Path) -> None:
    """And a known one answers with how many are asked again."""
    async with ordering(tmp_path) as session:
        status, said = await posted(session, "/retry?state=found")
        assert (status, said) == (
            400,
            {"error": "`state` is one or more of failed, gone, invalid, with commas between them"},
        )
        assert await posted(session, "/sources/a/retry?state=gone,failed") == (200, {"retried": 0, "batches": []})
        status, said = await posted(session, "/batches/1/retry?reason=deleted")
        assert (status, said["retried"], said["batches"][0]["retried"]) == (200, 0, 0)
        assert (await posted(session, "/batches/9/retry"))[0] == (await posted(session, "/sources/z/retry"))[0] == 404


async def test_sources_are_paused_and_resumed_by_name_and_all_at_once(tmp_path: Path) -> None:
    """A resume of one does not end the pause of all; that of all ends every pause and stop."""
    async with ordering(tmp_path) as session:
        assert await posted(session, "/sources/b/pause") == (200, {"paused": ["b"], "paused_before": []})
        assert await posted(session, "/pause") == (200, {"paused": ["a"], "paused_before": ["b"]})
        assert (await posted(session, "/sources/b/resume"))[1]["resumed"] == []
        assert (await posted(session, "/resume"))[1]["resumed"] == ["a", "b"]
        assert (await posted(session, "/sources/c/pause"))[0] == 404


async def test_a_source_and_everything_can_be_cancelled_and_given_priority(tmp_path: Path) -> None:
    """The batches that changed are told; one that is no longer declared has batches still."""
    async with ordering(tmp_path) as session:
        status, said = await posted(session, "/sources/posts/priority?to=-5")
        assert (status, [batch["priority"] for batch in said["batches"]]) == (200, [-5, -5])
        assert (await posted(session, "/priority?to=-5"))[1] == {"batches": []}
        for wrong in ("", "?to=", "?to=1.5", "?to=9999999"):
            assert (await posted(session, f"/batches/1/priority{wrong}"))[0] == 400
        assert (await posted(session, "/sources/a/cancel"))[1] == {"batches": []}
        assert [batch["state"] for batch in (await posted(session, "/cancel"))[1]["batches"]] == ["cancelled"] * 2


async def test_orders_over_http_want_the_token_and_are_noted_as_such(tmp_path: Path) -> None:
    """They are those of the control socket, but for what only the command line does."""
    answer: asyncio.Future[Reloaded | None] = asyncio.get_running_loop().create_future()
    sources = Sources()
    async with stores.opened(tmp_path / "collector.db", Clock()) as store:
        await open_batch(store, ["1", "2"], name="ids")
        controller = Controller(store, sources.woken.append, sources.woken.append, lambda: None, Clock())
        orders = Orders(sources.told, sources.resume, lambda: answer, controller, who="http")
        app = application(lambda: SNAPSHOT, lambda: Health(True), guard(), orders)
        async with listening(app, ANY_PORT) as address, aiohttp.ClientSession(address) as session:
            assert (await posted(session, "/batches/1/pause"))[0] == 401
            session.headers.update(BEARER)
            for path in ("/batches/1/pause", "/sources/a/pause", "/resume", "/priority?to=3", "/retry", "/cancel"):
                assert (await posted(session, path))[0] == 200
            assert (await posted(session, "/backup"))[0] == 404
        rows = await store._database.read("SELECT DISTINCT who FROM actions")
        assert rows == [("http",)]
