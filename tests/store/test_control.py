"""Pause, resume and cancel in the table."""

from collections import Counter
from pathlib import Path

import pytest

from collector.clock import Clock
from collector.errors import NotLoading
from collector.model import BatchId, BatchState, Found, Gone, Item, Job, Outcome, PutOff, Result, State
from collector.store import store as stores
from collector.store.batches import Batch
from collector.store.database import opened
from collector.store.store import Store
from tests.store.conftest import open_batch
from tests.store.test_batches import begin_child

PAUSED, OPEN, HELD, LOADING, CANCELLED = (
    *(BatchState.PAUSED, BatchState.OPEN, BatchState.HELD, BatchState.LOADING, BatchState.CANCELLED),
)


async def family(path: Path) -> None:
    """Batch 1 with child 2, whose child is 3; batch 3 is held."""
    async with stores.opened(path, Clock()) as store:
        await open_batch(store, ["1", "2"])
    await begin_child(path, 1, "followers")
    await begin_child(path, 2, "posts")
    async with opened(path) as database, database.write() as write:
        await write.change("UPDATE batches SET state = 'held' WHERE id = 3")


def states(store: Store) -> list[BatchState]:
    return [batch.state for batch in store.batches.all()]


async def record(store: Store, batch: Batch, outcomes: dict[str, Outcome]) -> None:
    pairs = tuple((Job(batch.id, key), outcome) for key, outcome in outcomes.items())
    await store.jobs.record([Result("posts", tuple(job for job, _ in pairs), pairs, at=1_800_000_000.0)])


async def rows(path: Path) -> Counter[tuple[str, str]]:
    """The rows themselves, counted."""
    async with opened(path) as database:
        sql = "SELECT state, coalesce(reason, ''), count(*) FROM jobs GROUP BY 1, 2"
        return Counter({(state, reason): jobs for state, reason, jobs in await database.read(sql)})


async def test_a_pause_and_a_resume_hold_for_the_whole_family(tmp_path: Path) -> None:
    """What is held stays so at a pause; the resume of its parent is its yes. Both are there after a start."""
    path = tmp_path / "collector.db"
    await family(path)
    async with stores.opened(path, Clock()) as store:
        assert [batch.id for batch in await store.control.pause(BatchId(1))] == [1, 2]
        assert await store.control.pause(BatchId(1)) == []
        assert not store.batches.is_open(BatchId(1))
    async with stores.opened(path, Clock()) as store:
        assert states(store) == [PAUSED, PAUSED, HELD]
        changed = await store.control.resume(BatchId(1))
        assert [(batch.id, batch.granted) for batch in changed] == [(1, False), (2, False), (3, True)]
        assert await store.control.resume(BatchId(1)) == []
        mirrored = store.batches.all()
    async with stores.opened(path, Clock()) as store:
        assert states(store) == [OPEN, OPEN, OPEN]
        assert store.batches.all() == mirrored


async def test_a_child_alone_can_be_paused_and_cancelled(tmp_path: Path) -> None:
    """What is above it goes on."""
    path = tmp_path / "collector.db"
    await family(path)
    async with stores.opened(path, Clock()) as store:
        await store.control.pause(BatchId(2))
        assert states(store) == [OPEN, PAUSED, HELD]
        assert [batch.id for batch in await store.control.cancel(BatchId(2))] == [2, 3]
        assert states(store) == [OPEN, CANCELLED, CANCELLED]


async def test_a_pause_while_loading_applies_when_loading_ends(store: Store) -> None:
    """The batch is taken in whole and then asks nothing; a resume before that takes the pause back."""
    for resumed, then in ((False, PAUSED), (True, OPEN)):
        batch = await store.batches.begin("posts", "ids", "file")
        [waiting] = await store.control.pause(batch.id)
        assert (waiting.state, waiting.pause_wanted) == (LOADING, True)
        assert await store.control.pause(batch.id) == []
        if resumed:
            assert [known.state for known in await store.control.resume(batch.id)] == [LOADING]
        batch, _ = await store.batches.load_chunk(waiting, ["1"], 1)
        batch = await store.batches.open(batch, lines=1, refused=0, digest="", layout="", warnings=[])
        assert (batch.state, batch.pause_wanted) == (then, False)


async def test_what_has_ended_is_left_as_it_is(store: Store) -> None:
    """Neither a finished batch nor a cancelled one can be paused, resumed or cancelled."""
    done, ended = await open_batch(store, ["1"]), await open_batch(store, ["1"])
    await record(store, done, {"1": Gone("deleted")})
    await store.control.cancel(ended.id)
    before = store.batches.all()
    for order in (store.control.pause, store.control.resume, store.control.cancel):
        assert await order(done.id) == []
        assert await order(ended.id) == []
    assert store.batches.all() == before


async def test_the_books_balance_in_every_commit_of_a_cancel(tmp_path: Path) -> None:
    """Queued and put-off jobs end for the reason `cancelled`, part by part; what was answered stays."""
    path, keys = tmp_path / "collector.db", [f"{number:03}" for number in range(100)]
    async with stores.opened(path, Clock()) as store:
        batch = await open_batch(store, keys)
        await record(store, batch, {"001": Found((Item("001", "{}"),)), "005": PutOff(100, "http-500", attempt=True)})
        assert await store.control.end_jobs(batch.id, "", 10) is None  # it is not cancelled
        await store.control.cancel(batch.id)
        after: str | None = ""
        parts = 0
        while (after := await store.control.end_jobs(batch.id, after or "", 10)) is not None:
            parts += 1
            account = store.books.of(batch.id)
            assert (account.total, account.open) == (100, max(99 - 10 * parts, 0))
            assert [known.id for known in store.control.unsettled()] == ([batch.id] if account.open else [])
        assert parts == 10
        ended = store.books.of(batch.id)
        assert (ended.count(State.CANCELLED), ended.count(State.FOUND)) == (99, 1)
    assert await rows(path) == {("cancelled", "cancelled"): 99, ("found", ""): 1}
    async with stores.opened(path, Clock()) as store:
        assert store.books.of(batch.id).states == {State.CANCELLED: 99, State.FOUND: 1} | dict.fromkeys(
            set(store.books.of(batch.id).states) - {State.CANCELLED, State.FOUND}, 0
        )


async def test_a_late_answer_moves_a_cancelled_job_to_its_outcome(store: Store) -> None:
    """Only one for good does; and it may come before its row was ended."""
    batch = await open_batch(store, ["1", "2", "3"])
    await store.control.cancel(batch.id)
    await record(store, batch, {"1": Found((Item("1", "{}"),))})
    await store.control.end_jobs(batch.id, "", 10)
    await record(store, batch, {"2": Gone("deleted"), "3": PutOff(1, "http-500")})
    account = store.books.of(batch.id)
    assert [account.count(state) for state in (State.FOUND, State.GONE, State.CANCELLED)] == [1, 1, 1]
    assert (account.open, store.batches.get(batch.id).state) == (0, CANCELLED)


async def test_a_batch_cancelled_while_it_is_loaded_takes_nothing_more_in(store: Store) -> None:
    """The next chunk, and the opening, say so and leave nothing behind."""
    batch = await store.batches.begin("posts", "ids", "file")
    batch, _ = await store.batches.load_chunk(batch, ["1", "2"], 2)
    await store.control.cancel(batch.id)
    with pytest.raises(NotLoading):
        await store.batches.load_chunk(batch, ["3"], 3)
    with pytest.raises(NotLoading):
        await store.batches.open(batch, lines=2, refused=0, digest="", layout="", warnings=[])
    assert (store.books.of(batch.id).total, store.batches.get(batch.id).state) == (2, CANCELLED)


async def test_a_large_part_ends_in_one_look_at_each_of_its_rows(store: Store) -> None:
    """Twenty thousand rows in two commits; a plan that reads the batch once for each key would take minutes."""
    keys = [f"{number:019}" for number in range(20_000)]
    batch = await open_batch(store, keys)
    await store.control.cancel(batch.id)
    assert await store.control.end_jobs(batch.id, "", 10_000) == keys[9_999]
    assert await store.control.end_jobs(batch.id, keys[9_999], 10_000) == keys[-1]
    assert store.books.open_in(batch.id) == 0


async def test_a_paused_source_stays_so_over_a_start(tmp_path: Path) -> None:
    """Its batches keep their state, and none is asked; others go on, until all are paused. One resume ends it all."""
    path = tmp_path / "collector.db"
    async with stores.opened(path, Clock()) as store:
        mine, other = await open_batch(store, ["1"]), await open_batch(store, ["1"], source="users")
        assert await store.control.pause_source("posts")
        assert not await store.control.pause_source("posts")
    async with stores.opened(path, Clock()) as store:
        assert [store.batches.is_open(batch.id) for batch in (mine, other)] == [False, True]
        assert (states(store), store.batches.open_of("posts")) == ([OPEN, OPEN], [])
        assert await store.control.pause_source(None)
    async with stores.opened(path, Clock()) as store:
        await store.control.resume_source("posts")
        assert [store.batches.is_open(batch.id) for batch in (mine, other)] == [False, False]
        assert "`collector resume --all`" in (store.pauses.why("posts") or "")
        await store.control.pause_source("users")
        await store.control.resume_source(None)
    async with stores.opened(path, Clock()) as store:
        assert [store.batches.is_open(batch.id) for batch in (mine, other)] == [True, True]


async def test_a_cancel_of_a_source_ends_its_batches_and_what_follows_them(tmp_path: Path) -> None:
    """Those of other sources go on, and a cancel of all ends these."""
    path = tmp_path / "collector.db"
    await family(path)
    async with stores.opened(path, Clock()) as store:
        other = await open_batch(store, ["1"], source="users")
        assert [batch.id for batch in await store.control.cancel("followers")] == [2, 3]
        assert await store.control.cancel("nobody") == []
        assert [batch.id for batch in await store.control.cancel(None)] == [1, other.id]


async def test_a_priority_holds_for_the_family_and_is_there_after_a_start(tmp_path: Path) -> None:
    """One that it has is no change, and what has ended gets none."""
    path = tmp_path / "collector.db"
    await family(path)
    async with stores.opened(path, Clock()) as store:
        assert [batch.id for batch in await store.control.prioritise(BatchId(1), 5)] == [1, 2, 3]
        assert await store.control.prioritise(BatchId(1), 5) == []
        await store.control.cancel(BatchId(2))
        assert [batch.id for batch in await store.control.prioritise(None, -1)] == [1]
    async with stores.opened(path, Clock()) as store:
        assert [batch.priority for batch in store.batches.all()] == [-1, 5, 5]
