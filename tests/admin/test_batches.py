"""Batches and jobs as somebody looks through them over HTTP."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from collector.model import Attempt, BatchId, Failed, Found, Gone, Item, Job, Result, State
from collector.store import lists
from collector.store.store import Store
from tests.admin.house import looking
from tests.output.given import recorded, taken_in

ODD = ["https://doi.org/10.1/a?b=c#d", "ü ñ", "100%", "a+b", "%2F"]


async def asked(session: aiohttp.ClientSession, path: str) -> Any:
    async with session.get(URL(path, encoded=True)) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def every(session: aiohttp.ClientSession, path: str, what: str) -> list[Any]:
    """What all pages hold, by their `next`."""
    found, pages = [], 0
    while path:
        page = await asked(session, path)
        found += page[what]
        path, pages = page["next"], pages + 1
        assert pages < 100
    return found


async def test_batches_are_paged_by_number_the_latest_first(tmp_path: Path) -> None:
    """Each is there once, however small the pages are."""
    async with looking(tmp_path) as (store, session):
        for n in range(5):
            await taken_in(store, ["1"], name=f"n{n}")
        assert [one["id"] for one in await every(session, "/batches", "batches")] == [5, 4, 3, 2, 1]
        assert [one["id"] for one in await every(session, "/batches?limit=2", "batches")] == [5, 4, 3, 2, 1]
        assert (await asked(session, "/batches?before=3&limit=1"))["batches"][0]["jobs"]["queued"] == 1


async def test_a_batch_tells_what_became_of_its_lines(tmp_path: Path) -> None:
    """By its number or the name of its folder; one that is not there is told with those that are."""
    async with looking(tmp_path) as (store, session):
        await taken_in(store, ["1", "2"])
        folder = tmp_path / "0001-ids"
        folder.mkdir()
        (folder / "receipt.txt").write_text("lines  2\n")
        told = await asked(session, "/batches/0001-ids")
        receipt = {"complete": True, "lines": 2, "ids": 2, "repeats": 0, "refused": 0, "text": "lines  2\n"}
        assert (told["id"], told["file"], told["origin"], told["receipt"]) == (1, "ids.txt", "file", receipt)
        async with session.get("/batches/2") as answer:
            assert (answer.status, (await answer.json())["batches"]) == (404, ["0001-ids"])


async def mixed(store: Store) -> BatchId:
    batch = (await taken_in(store, [f"{n:03d}" for n in range(60)])).id
    gone: dict[str, Any] = {f"{n:03d}": Gone("rare" if n == 45 else "deleted", "it is") for n in range(0, 50, 5)}
    await recorded(store, batch, gone | {"003": Found((Item("003", "{}"),)), "059": Failed("http-500", "")})
    return batch


@pytest.mark.parametrize("passed_over", [1, 3, 20_000])
async def test_jobs_are_paged_by_key_in_each_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passed_over: int
) -> None:
    """Pages never leave one out, also where most of what is read is passed over."""
    monkeypatch.setattr(lists, "PASSED_OVER", passed_over)
    async with looking(tmp_path) as (store, session):
        batch = await mixed(store)
        keys = [key for (key,) in await store._database.read("SELECT key FROM jobs WHERE batch = ?", (batch,))]
        assert [job["key"] for job in await every(session, "/batches/1/jobs?limit=7", "jobs")] == keys
        for state in State:
            rows = await store._database.read("SELECT key FROM jobs WHERE state = ? ORDER BY key", (state.value,))
            told = await every(session, f"/batches/1/jobs?limit=4&state={state}", "jobs")
            assert [job["key"] for job in told] == [key for (key,) in rows]
        [rare] = await every(session, "/batches/1/jobs?reason=rare&limit=1", "jobs")
        assert (rare["key"], rare["state"], rare["detail"]) == ("045", "gone", "it is")


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "state=lost", "limit=", "limit=%C2%B2"])
async def test_a_wrong_word_of_a_list_is_told(tmp_path: Path, query: str) -> None:
    """It says what is right."""
    async with looking(tmp_path) as (store, session):
        await taken_in(store, ["1"])
        async with session.get(URL(f"/batches/1/jobs?{query}", encoded=True)) as answer:
            assert answer.status == 400
            assert query.split("=")[0] in (await answer.json())["error"]


@pytest.mark.parametrize("key", ODD)
async def test_a_job_is_found_by_its_key_whatever_is_in_it(tmp_path: Path, key: str) -> None:
    """Percent-encoded; with the calls that failed and the objects in their own bytes, a page at a time."""
    async with looking(tmp_path) as (store, session):
        batch = (await taken_in(store, [key])).id
        items = tuple(Item(f"{n}", f'{{"n": {n}.10}}') for n in range(3))
        one, attempt = Job(batch, key), Attempt(1_700_000_000.0, 429, "http-429", '{"x-rate-limit": "0"}', 0.5)
        await store.jobs.record([Result("posts", (one,), (), at=0.0, attempt=attempt)])
        await recorded(store, batch, {key: Found(items)})
        path = f"/batches/1/jobs/{quote(key, safe='')}"
        told = await asked(session, path)
        assert (told["key"], told["state"], told["waiting"]) == (key, "found", [])
        [tried] = told["tries"]
        assert (tried["status"], tried["headers"], tried["reason"]) == (429, {"x-rate-limit": "0"}, "http-429")
        assert [item["item"]["n"] for item in await every(session, f"{path}?limit=1", "items")] == [0.1, 1.1, 2.1]
        async with session.get(URL(f"/batches/1/jobs/{quote(key, safe='')}x", encoded=True)) as answer:
            assert answer.status == 404
