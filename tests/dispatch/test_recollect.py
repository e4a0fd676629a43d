"""What an earlier batch has collected, where it is a list."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from collector.clock import Clock
from collector.model import BatchState, Cursor, Found, Heir, Item, Job, MorePages, Result
from collector.sources.spec import Spec
from collector.store import store as stores
from collector.store.batches import Batch
from collector.store.store import Store

from .running import dispatching


def listed(url: str) -> Spec:
    table = {"url": f"{url}/{{id}}", "items": "data", "next": {"from": "next", "to": "cursor"}}
    return Spec.model_validate(table)


def item(key: str) -> Item:
    return Item(key, f'{{"id": "{key}"}}')


async def pages(request: web.Request) -> web.Response:
    """Two pages of one item each."""
    if "cursor" in request.query:
        return web.json_response({"data": [{"id": "b"}]})
    return web.json_response({"data": [{"id": "a"}], "next": "2"})


async def added(store: Store, name: str, *heirs: Heir, keys: Sequence[str] = ("7",)) -> Batch:
    batch = await store.batches.begin("lists", name, "file")
    batch, _ = await store.batches.load_chunk(batch, list(keys), len(keys))
    return await store.batches.open(batch, lines=1, refused=0, digest="", layout="", warnings=[], heirs=heirs)


async def came(store: Store, batch: Batch, outcome: Found | MorePages) -> None:
    job = Job(batch.id, "7")
    await store.jobs.record([Result("lists", (job,), ((job, outcome),), at=1_700_000_000.0)])


async def test_a_list_that_was_begun_goes_on_though_another_batch_has_it_meanwhile(tmp_path: Path) -> None:
    """Its own items stay its own and come to be all; a third batch is told of one that has the whole list."""
    async with stores.opened(tmp_path / "collector.db", Clock()) as store:
        first, second = await added(store, "first"), await added(store, "second")
        await came(store, first, MorePages((item("a"),), Cursor("2", 1)))
        await came(store, second, Found((item("a"), item("b"))))
    app = web.Application()
    app.add_routes([web.get("/{id}", pages)])
    async with (
        TestServer(app) as api,
        dispatching(tmp_path, {"lists": listed(str(api.make_url("")).rstrip("/"))}) as on,
    ):
        await on.finished(first)
        third = await on.add(["7"], "lists", "third")
        await on.finished(third)
        with closing(sqlite3.connect(tmp_path / "collector.db")) as db:
            own = db.execute("SELECT key FROM items WHERE batch = ? ORDER BY key", (first.id,)).fetchall()
            named = db.execute("SELECT same_as FROM jobs ORDER BY batch").fetchall()
    assert own == [("a",), ("b",)]
    assert named == [(None,), (None,), (first.id,)]


async def test_a_chain_over_what_was_collected_takes_its_ids_in_together_and_says_when_it_is_held(
    tmp_path: Path,
) -> None:
    """Not an ID a commit: the disk would set the pace, and the source's other batches wait. The yes is asked for in the
    log as for IDs that have just come."""
    keys = [str(number) for number in range(400)]
    async with stores.opened(tmp_path / "collector.db", Clock()) as store:
        before = await added(store, "before", keys=keys)
        jobs = [Job(before.id, key) for key in keys]
        outcomes = tuple((job, Found((item(job.key),))) for job in jobs)
        await store.jobs.record([Result("lists", tuple(jobs), outcomes, at=1_700_000_000.0)])
        again = await added(store, "again", Heir("kids", ()), keys=keys)
        [below] = store.batches.children(again.id)
    nobody = {"url": "http://127.0.0.1:9/{id}"}
    kids = Spec.model_validate(nobody | {"from": "lists.id", "max_children": 300})
    with capture_logs() as logs:
        async with dispatching(tmp_path, {"lists": Spec.model_validate(nobody), "kids": kids}) as on:
            await on.finished(again)
            assert on.store.books.of(below.id).total == len(keys)
            assert on.store.batches.get(below.id).state is BatchState.HELD
    assert [(log["batch"], log["ids"]) for log in logs if log["event"] == "chain_held"] == [(below.id, len(keys))]
