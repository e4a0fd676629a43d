"""Old batches leave the books in one commit, and what later batches name of them stays."""

from pathlib import Path

from collector.clock import Clock
from collector.model import BatchId, BatchState, Failed, Found, Item, Job, Result, State
from collector.store import store as stores
from collector.store.actions import Order
from collector.store.database import opened
from collector.store.retries import Choice, Tally
from collector.store.store import Store

from .conftest import open_batch
from .test_control import record

LATER = 4_000_000_000.0


async def three(store: Store) -> None:
    """Batch 1 found a and b, batch 2 has b from it, batch 3 is open; the results of 1 and 2 are written."""
    for keys, same in ((["a", "b"], None), (["b"], BatchId(1))):
        batch = await open_batch(store, keys)
        jobs = tuple(Job(batch.id, key) for key in keys)
        outcomes = tuple((job, Found(() if same else (Item(job.key, "{}"),), same_as=same)) for job in jobs)
        await store.jobs.record([Result("posts", jobs, outcomes, at=1_700_000_000.0)])
        await store.batches.written(store.batches.get(batch.id))
    await open_batch(store, ["c"])


async def only_first(store: Store, path: Path) -> None:
    """Batch 2 is younger than the others."""
    async with opened(path) as db, db.write() as write:
        await write.change("UPDATE batches SET finished_at = '2001-01-01T00:00:00.000Z' WHERE id = 1")


async def test_items_that_a_later_batch_names_stay_until_it_goes_too(tmp_path: Path) -> None:
    """Books, rows and memory agree, also after a start."""
    path = tmp_path / "collector.db"
    async with stores.opened(path, Clock()) as store:
        await three(store)
        await only_first(store, path)
    async with stores.opened(path, Clock()) as store:
        [old] = store.prune.old(1_000_000_000.0, unwritten=False)
        assert (old.batches, old.jobs, old.items, old.stays) == ((1,), 2, 2, None)
        await store.prune.forget(old, LATER)
        removed = [part async for part in store.prune.sweep()]
        assert [sum(getattr(part, name) for part in removed) for name in ("jobs", "items", "kept")] == [2, 1, 1]
        assert [item.job async for page in store.items.found_before(BatchId(2)) for item in page] == ["b"]
        assert sum(store.books.total().values()) == 2
        [second] = store.prune.old(LATER, unwritten=False)
        await store.prune.forget(second, LATER)
        assert [part.items async for part in store.prune.sweep()][-1] == 1
    async with stores.opened(path, Clock()) as store:
        assert [batch.id for batch in store.batches.all()] == [3]
        assert sum(store.books.total().values()) == 1


async def test_what_a_kill_left_is_removed_by_the_next_prune(tmp_path: Path) -> None:
    """Rows of batches that have left the books."""
    path = tmp_path / "collector.db"
    async with stores.opened(path, Clock()) as store:
        await three(store)
        for old in store.prune.old(LATER, unwritten=False):
            await store.prune.forget(old, LATER)
    async with stores.opened(path, Clock()) as store:
        assert [part async for part in store.prune.sweep()]
        assert [part async for part in store.prune.sweep()] == []


async def test_the_latest_and_those_without_results_stay(store: Store) -> None:
    """Each says why; an open batch is not old at all."""
    batch = await open_batch(store, [])
    [old] = store.prune.old(LATER, unwritten=False)
    assert old.stays == "its results are not in its folder"
    await store.batches.written(store.batches.get(batch.id))
    [old] = store.prune.old(LATER, unwritten=False)
    assert old.stays == "it is the latest, whose number would be given again"
    await open_batch(store, ["1"])
    [old] = store.prune.old(LATER, unwritten=False)
    assert (old.batches, old.stays) == ((1,), None)


async def test_a_batch_that_a_retry_opened_meanwhile_is_not_removed(store: Store) -> None:
    """Between the look and the removal somebody may ask again."""
    batch = await open_batch(store, ["a"])
    await record(store, batch, {"a": Failed("http-500", "boom")})
    await store.batches.written(store.batches.get(batch.id))
    await open_batch(store, ["b"])
    [old] = store.prune.old(LATER, unwritten=False)
    await store.retries.some(batch.id, State.FAILED, Choice(), Tally(Order("retry", batch.id)), 10)
    assert not await store.prune.forget(old, LATER)
    assert store.batches.get(batch.id).state is BatchState.OPEN
    assert store.books.open_in(batch.id) == 1


async def test_items_that_went_before_they_were_named_are_asked_for_again(store: Store) -> None:
    """A prune may come between the look for what is collected and its record; afterwards nobody names what is gone."""
    await three(store)
    batch = await open_batch(store, ["a"])
    assert await store.jobs.collected("posts", ["a"]) == {"a": 1}
    for old in store.prune.old(LATER, unwritten=False):
        await store.prune.forget(old, LATER)
    assert await store.jobs.collected("posts", ["a"]) == {}
    job = Job(batch.id, "a")
    await store.jobs.record([Result("posts", (job,), ((job, Found(same_as=BatchId(1))),), at=LATER, sent=False)])
    [due] = await store.jobs.due(batch.id, 9)
    assert (due.key, due.attempts, store.books.of(batch.id).open) == ("a", 0, 1)
