"""Batches in families: a batch, and those whose IDs come from its items."""

from pathlib import Path

from collector.clock import Clock
from collector.model import BatchId, Failed, Gone, Job, Outcome, Result, State
from collector.store import store as stores
from collector.store.database import opened
from collector.store.store import Store
from tests.store.conftest import open_batch


async def begin_child(path: Path, parent: int, source: str) -> None:
    """A child batch as a row, as the opening of its parent makes it."""
    async with opened(path) as database, database.write() as write:
        await write.change(
            "INSERT INTO batches (source, name, origin, state, parent, created_at)"
            " VALUES (?, ?, 'chain', 'open', ?, '2026-11-22T08:07:21.123Z')",
            (source, f"ids-{source}", parent),
        )


async def test_a_batch_keeps_what_is_to_follow_it(tmp_path: Path) -> None:
    """The chain that a batch was begun with is there at once, and after a start."""
    path = tmp_path / "collector.db"
    async with stores.opened(path, Clock()) as store:
        begun = await store.batches.begin("users", "ids", "file", chain=("followers", "posts"))
    assert (begun.chain, begun.parent, begun.granted) == (("followers", "posts"), None, False)
    async with stores.opened(path, Clock()) as store:
        assert store.batches.get(begun.id) == begun


async def test_a_family_is_a_batch_and_all_below_it_each_before_its_children(tmp_path: Path) -> None:
    """Children come in the order of their numbers; a batch that is nobody's child is in no other family."""
    path = tmp_path / "collector.db"
    async with stores.opened(path, Clock()) as store:
        await open_batch(store, ["1"])
        await open_batch(store, ["2"])
    for parent, source in ((1, "followers"), (3, "posts"), (1, "likes")):
        await begin_child(path, parent, source)
    async with stores.opened(path, Clock()) as store:
        batches = store.batches
        assert [batch.id for batch in batches.children(BatchId(1))] == [3, 5]
        assert [batch.id for batch in batches.family(BatchId(1))] == [1, 3, 4, 5]
        assert [batch.id for batch in batches.family(BatchId(3))] == [3, 4]
        assert (batches.children(BatchId(2)), len(batches.family(BatchId(2)))) == ([], 1)
        assert batches.get(BatchId(4)).parent == 3


async def test_jobs_are_summed_by_source_over_a_start_and_a_prune(store: Store) -> None:
    """What is told of all batches is never summed anew."""
    outcomes: dict[str, Outcome] = {"1": Gone("deleted"), "2": Failed("http-500")}
    for _ in range(3):
        batch = await open_batch(store, ["1", "2"])
        pairs = tuple((Job(batch.id, key), outcome) for key, outcome in outcomes.items())
        await store.jobs.record([Result("posts", tuple(job for job, _ in pairs), pairs, at=1e9)])
    failed = ("posts", State.FAILED, "http-500")
    expected = {("posts", State.QUEUED, ""): 0, ("posts", State.GONE, "deleted"): 3, failed: 3}
    assert store.books.by_source() == expected
    async with stores.opened(store.path, Clock()) as again:
        assert again.books.by_source() == expected
    await store.prune.forget(store.prune.old(2e9 * 2, unwritten=True)[0], 2e9 * 2)
    assert {entry: jobs for entry, jobs in store.books.by_source().items() if jobs} == {
        ("posts", State.GONE, "deleted"): 2,
        failed: 2,
    }
