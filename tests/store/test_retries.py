"""Jobs that have ended without being found, asked again."""

from pathlib import Path

from collector.clock import Clock
from collector.model import (
    BatchId,
    BatchState,
    Cursor,
    Failed,
    Found,
    Gone,
    Invalid,
    Item,
    MorePages,
    Outcome,
    PutOff,
    State,
)
from collector.store import store as stores
from collector.store.actions import Order
from collector.store.children import NO_ID
from collector.store.database import opened
from collector.store.retries import RETRIED, Choice, Tally
from collector.store.store import Store
from tests.store.conftest import open_batch
from tests.store.test_actions import told
from tests.store.test_batches import begin_child
from tests.store.test_control import record, rows


async def again(store: Store, batch: int, choice: Choice, most: int = 10) -> Tally:
    """A retry to its end, in parts."""
    tally = Tally(Order("retry", BatchId(batch)))
    for state in choice.states:
        tally = Tally(tally.order, tally.action, tally.jobs)
        while tally.after is not None:
            tally = await store.retries.some(BatchId(batch), state, choice, tally, most)
    await store.retries.end(tally)
    return tally


async def test_a_retried_job_is_as_if_it_was_never_asked(store: Store) -> None:
    """Due at once, without tries spent, limits of its packs, cursor or reason; its batch is open, and unwritten."""
    batch = await open_batch(store, ["1", "2"])
    await record(store, batch, {"1": PutOff(9, "http-500", attempt=True, pack_max=7)})
    await record(store, batch, {"1": MorePages((), Cursor("c", 1)), "2": Gone("deleted", "by its author")})
    await record(store, batch, {"1": Failed("http-500", "boom")})
    await store.batches.written(store.batches.get(batch.id))
    assert (await again(store, 1, Choice())).jobs == 1
    [job] = await store.jobs.due(batch.id, 9)
    assert (job.key, job.attempts, job.pack_max, job.cursor, job.reason) == ("1", 0, None, None, None)
    reopened = store.batches.get(batch.id)
    assert (reopened.state, reopened.finished_at, reopened.written_at) == (BatchState.OPEN, None, None)
    async with stores.opened(store.path, Clock()) as fresh:
        assert fresh.batches.get(batch.id) == reopened
    await record(store, batch, {"1": Found((Item("1", "{}"),))})
    assert [known.id for known in store.batches.to_write()] == [batch.id]
    assert told(store.path) == [("retry", "batch 1", "cli", "{}", "1 ID is asked again")]


async def test_only_what_is_chosen_is_asked_again(store: Store) -> None:
    """By state, by reason, and what is no ID never is."""
    batch = await open_batch(store, ["1", "2", "3", "4", "5", "6"])
    ends: dict[str, Outcome] = {
        "1": Failed("http-500"),
        "2": Failed("timeout"),
        "3": Gone("absent"),
        "4": Gone("deleted"),
    }
    await record(store, batch, ends | {"5": Invalid("http-400"), "6": Invalid("malformed", NO_ID)})
    for choice, asked in (
        (Choice(reason="timeout"), {"2"}),
        (Choice((State.GONE,), "absent"), {"2", "3"}),
        (Choice(RETRIED, "deleted"), {"2", "3", "4"}),
        (Choice((State.FAILED, State.INVALID)), {"1", "2", "3", "4", "5"}),
        (Choice(RETRIED), {"1", "2", "3", "4", "5"}),
    ):
        await again(store, 1, choice, most=1)
        assert {job.key for job in await store.jobs.due(batch.id, 9)} == asked
    account = store.books.of(batch.id)
    assert (account.total, account.open, account.count(State.INVALID)) == (6, 5, 1)
    assert told(store.path)[-1][-1] == "0 IDs are asked again"


async def test_a_kill_in_the_middle_leaves_whole_parts_and_says_how_many(tmp_path: Path) -> None:
    """The books and the rows agree after each commit, and the same order goes on with the rest."""
    path, keys = tmp_path / "collector.db", [f"{number:02}" for number in range(25)]
    async with stores.opened(path, Clock()) as store:
        batch = await open_batch(store, keys)
        await record(store, batch, dict.fromkeys(keys, Failed("http-500")))
        tally = Tally(Order("retry", batch.id))
        for parts in (1, 2):
            tally = await store.retries.some(batch.id, State.FAILED, Choice(), tally, 10)
            account = store.books.of(batch.id)
            assert (account.open, account.count(State.FAILED)) == (10 * parts, 25 - 10 * parts)
    assert await rows(path) == {("delayed", ""): 20, ("failed", "http-500"): 5}
    assert [row[-1] for row in told(path)] == ["20 IDs are asked again"]
    async with stores.opened(path, Clock()) as store:
        assert (store.books.of(batch.id).open, store.batches.get(batch.id).state) == (20, BatchState.OPEN)
        assert (await again(store, batch.id, Choice())).jobs == 5
        assert store.books.of(batch.id).open == 25


async def test_a_cancelled_batch_is_not_asked_again(store: Store) -> None:
    """Not even what had failed before."""
    batch = await open_batch(store, ["1", "2"])
    await record(store, batch, {"1": Failed("http-500")})
    await store.control.cancel(batch.id)
    assert (await again(store, 1, Choice())).jobs == 0
    assert store.books.of(batch.id).count(State.FAILED) == 1


async def test_those_below_an_opened_batch_end_after_it_again(tmp_path: Path) -> None:
    """They are open with it, though none of theirs is asked again; a paused or cancelled one stays as it is."""
    path = tmp_path / "collector.db"
    async with stores.opened(path, Clock()) as store:
        await open_batch(store, ["1"])
    await begin_child(path, 1, "followers")
    await begin_child(path, 1, "likes")
    async with stores.opened(path, Clock()) as store:
        await store.control.cancel(BatchId(3))
        await record(store, store.batches.get(BatchId(1)), {"1": Failed("http-500")})
        states = [batch.state for batch in store.batches.all()]
        assert states == [BatchState.FINISHED, BatchState.FINISHED, BatchState.CANCELLED]
        await again(store, 1, Choice())
        assert [batch.state for batch in store.batches.all()] == [BatchState.OPEN, BatchState.OPEN, states[2]]
        await record(store, store.batches.get(BatchId(1)), {"1": Gone("deleted")})
        assert [batch.state for batch in store.batches.all()] == states


async def test_files_of_an_end_that_is_over_do_not_stand_for_the_next(store: Store) -> None:
    """Written while somebody opened the batch again, they are to be written once more."""
    batch = await open_batch(store, ["1"])
    await record(store, batch, {"1": Failed("http-500")})
    ended = store.batches.get(batch.id)
    await again(store, 1, Choice())
    await store.batches.written(ended)
    assert store.batches.get(batch.id).written_at is None


async def test_a_large_retry_looks_at_each_row_once(store: Store) -> None:
    """Twenty thousand rows, of which the reason chosen has one."""
    keys = [f"{number:05}" for number in range(20_000)]
    batch = await open_batch(store, keys)
    async with opened(store.path) as database, database.write() as write:
        await write.change(
            "UPDATE jobs SET state = 'gone', reason = iif(key = '19999', 'rare', 'deleted'), "
            "finished_at = '2026-11-22T08:07:21.123Z'"
        )
        await write.change("UPDATE counts SET state = 'gone', reason = 'deleted', jobs = jobs - 1")
        await write.change("INSERT INTO counts VALUES (1, 'gone', 'rare', 1)")
    async with stores.opened(store.path, Clock()) as fresh:
        assert (await again(fresh, batch.id, Choice((State.GONE,), "rare"), 10_000)).jobs == 1
        assert (await again(fresh, batch.id, Choice((State.GONE,)), 10_000)).jobs == 19_999


async def test_a_batch_that_was_pruned_meanwhile_is_left_alone(store: Store) -> None:
    """A retry that has begun finds nothing there any more."""
    batch = await open_batch(store, ["1"])
    await record(store, batch, {"1": Failed("http-500", "boom")})
    await open_batch(store, ["2"])
    [old] = store.prune.old(4_000_000_000.0, unwritten=True)
    assert await store.prune.forget(old, 4_000_000_000.0)
    assert (await again(store, 1, Choice())).jobs == 0
