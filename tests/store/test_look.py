"""A look into the database from another process than the service's."""

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from collector.clock import Clock, stamp
from collector.errors import StoreError
from collector.model import BatchId, Found, Gone, Item, Result
from collector.store import store as stores
from collector.store.look import found, looking
from collector.store.store import Store

from .conftest import open_batch


async def collect(store: Store) -> None:
    """Of three jobs one is found, one gone, one still owed."""
    batch = await open_batch(store, ["1", "2", "3"])
    one, two, _ = await store.jobs.queued(batch.id, "", 10)
    outcomes = ((one, Found((Item("1", "{}"),))), (two, Gone("deleted")))
    await store.jobs.record([Result("posts", (one, two), outcomes, at=1_700_000_000.0)])


def seen(path: Path) -> tuple[int, bool, list[str]]:
    with looking(path) as look:
        assert look is not None
        return look.open_jobs("posts"), look.has_items("posts"), list(look.collected("posts", ["3", "2", "1", "1"]))


async def test_while_the_service_works_its_last_commit_is_seen(store: Store) -> None:
    """Jobs that are owed, and IDs whose items are there: found ones alone."""
    await collect(store)
    assert seen(store.path) == (1, True, ["1"])
    await open_batch(store, ["7", "8"])
    assert seen(store.path) == (3, True, ["1"])
    with looking(store.path) as look:
        assert look
        assert (look.open_jobs("users"), look.has_items("users")) == (0, False)


async def test_what_a_prune_is_removing_is_not_collected(store: Store) -> None:
    """Its rows go after its batch, at the next prune where a kill came between; the service asks for it anew, and so
    `plan` counts it."""
    await collect(store)
    async with store._database.write() as write:
        await write.change("DELETE FROM batches")
    with looking(store.path) as look:
        assert look
        assert list(look.collected("posts", ["1"])) == []
    assert await store.jobs.collected("posts", ["1"]) == {}


async def test_an_empty_file_is_no_database(tmp_path: Path) -> None:
    """A disk that was full, or a `touch`: the next start begins it, and until then nothing is known."""
    path = tmp_path / "collector.db"
    path.touch()
    with looking(path) as look:
        assert look is None
    async with stores.opened(path, Clock()) as store:
        await collect(store)
        assert seen(path)[0] == 1


async def test_when_no_service_runs_no_file_is_left_behind(tmp_path: Path) -> None:
    """A file of another user's beside the database could keep the service from starting."""
    path = tmp_path / "collector.db"
    async with stores.opened(path, Clock()) as store:
        await collect(store)
    assert list(tmp_path.iterdir()) == [path]
    with looking(path) as look:
        assert look
        assert list(look.collected("posts", ["1", "2"])) == ["1"]
        assert list(tmp_path.iterdir()) == [path]
    assert list(tmp_path.iterdir()) == [path]


async def test_after_a_kill_the_last_commits_are_seen(store: Store, tmp_path: Path) -> None:
    """They stand in the WAL, which a look neither empties nor takes away; without its index nothing is touched."""
    await collect(store)
    killed = tmp_path / "killed"
    killed.mkdir()
    for name in ("collector.db", "collector.db-wal", "collector.db-shm"):
        shutil.copy(tmp_path / name, killed / name)
    wal = (killed / "collector.db-wal").read_bytes()
    assert wal
    assert seen(killed / "collector.db") == (1, True, ["1"])
    assert (killed / "collector.db-wal").read_bytes() == wal
    (killed / "collector.db-shm").unlink()
    with pytest.raises(StoreError, match="start the service once"), looking(killed / "collector.db"):
        pass
    assert sorted(path.name for path in killed.iterdir()) == ["collector.db", "collector.db-wal"]


async def test_it_cannot_write(store: Store) -> None:
    """There is one writer, and that is the service."""
    with pytest.raises(StoreError, match="readonly"), looking(store.path) as look:
        look._connection.execute("DELETE FROM batches")  # type: ignore[union-attr] # the store is there


async def test_a_service_that_starts_meanwhile_is_told(tmp_path: Path) -> None:
    """What was read then may be of two minds."""
    path = tmp_path / "collector.db"
    async with stores.opened(path, Clock()):
        pass
    async with AsyncExitStack() as stack:
        with pytest.raises(StoreError, match="try again"), looking(path):
            await stack.enter_async_context(stores.opened(path, Clock()))


def test_without_a_database_there_is_nothing_to_see(tmp_path: Path) -> None:
    """And none is made."""
    with looking(tmp_path / "collector.db") as look:
        assert look is None
    assert not list(tmp_path.iterdir())


def test_what_is_no_database_of_ours_is_told(tmp_path: Path) -> None:
    """A file of any bytes, and a database of another program."""
    path = tmp_path / "collector.db"
    path.write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match="cannot be read"), looking(path):
        pass
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE theirs (a)")
    db.close()
    with pytest.raises(StoreError, match="another program"), looking(path):
        pass


async def gather(store: Store, items: dict[str, list[str]], same: Sequence[str] = ()) -> BatchId:
    """A batch with these items by the ID asked for, and those that are the same as in batch 1."""
    batch = await open_batch(store, [*items, *same])
    jobs = {job.key: job for job in await store.jobs.queued(batch.id, "", 100_000)}
    made = {key: Found(tuple(Item(own, f'{{"id":"{own}","n":1.10}}') for own in owns)) for key, owns in items.items()}
    made |= {key: Found(same_as=BatchId(1)) for key in same}
    outcomes = [(jobs[key], outcome) for key, outcome in made.items()]
    await store.jobs.record([Result("posts", tuple(jobs.values()), tuple(outcomes), at=1_700_000_000.0)])
    return batch.id


def told(path: Path, batch: BatchId) -> list[tuple[str, str]]:
    return [(item.job, item.key) for page in found(path, batch) for item in page]


async def test_the_items_of_a_batch_come_as_in_its_found_jsonl(store: Store) -> None:
    """Its own first, then those of the batch before, each by the ID asked for; all of them, and none twice."""
    lists = {f"{n:04d}": [f"{n}-{m:04d}" for m in range(n % 7)] for n in range(300)} | {
        "long": [f"{m:05d}" for m in range(2_500)]
    }
    await gather(store, lists)
    second = await gather(store, {"0900": ["x"], "0000": ["y"]}, same=[*list(lists)[1:200:3], "long"])
    for batch in (BatchId(1), second):
        pages = [page async for page in store.items.found(batch)] + [
            page async for page in store.items.found_before(batch)
        ]
        assert told(store.path, batch) == [(item.job, item.key) for page in pages for item in page]
    assert len(told(store.path, second)) == 2 + 2_500 + sum(n % 7 for n in range(1, 200, 3))


async def test_jobs_without_items_are_passed_over_in_steps(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """No read takes long, and where a step ends nothing is lost."""
    keys = [f"{n:03d}" for n in range(100)]
    await gather(store, {key: ["a", "b"] for key in keys})
    second = await gather(store, {f"{key}x": ["c"] for key in keys}, same=keys[::9])
    for step in (1, 7, 10, 1000):
        monkeypatch.setattr("collector.store.look._JOBS", step)
        assert told(store.path, second)[100:] == [(key, item) for key in keys[::9] for item in "ab"]


async def test_what_stands_at_paths_comes_with_the_items(store: Store) -> None:
    """As text, in its own digits."""
    batch = await gather(store, {"1": ["7"]})
    [[item]] = found(store.path, batch, ["n", "id", "none"])
    assert item.cells == ("1.10", "7", None)


async def test_a_service_that_starts_and_stops_between_two_pages_loses_none(tmp_path: Path) -> None:
    """Each page is looked for anew, with the WAL or without."""
    path = tmp_path / "collector.db"
    async with stores.opened(path, Clock()) as store:
        batch = await gather(store, {f"{n:03d}": ["a"] for n in range(600)})
    pages = found(path, batch)
    got = [next(pages)]
    async with stores.opened(path, Clock()) as store:
        got.append(next(pages))
        await gather(store, {"999": ["a"]})
    got += pages
    assert [item.job for page in got for item in page] == [f"{n:03d}" for n in range(600)]
    assert list(tmp_path.iterdir()) == [path]


async def test_a_batch_is_seen_with_its_books(store: Store) -> None:
    """As they are committed; None for a number that nobody has."""
    await collect(store)
    with looking(store.path) as view:
        assert view
        batch = view.batch(1)
        assert batch
        assert (batch.folder, batch.source, batch.state) == ("0001-ids", "posts", "open")
        assert batch.jobs == {"found": 1, "gone": 1, "queued": 1}
        assert view.batch(2) is None
        assert view.batches(5) == ["0001-ids"]


async def test_only_what_was_fetched_since_is_collected(store: Store) -> None:
    """What `recollect = "older than …"` leaves out."""
    await collect(store)
    with looking(store.path) as view:
        assert view
        assert list(view.collected("posts", ["1"], stamp(1_700_000_000.0))) == ["1"]
        assert list(view.collected("posts", ["1"], stamp(1_700_000_000.001))) == []


def test_without_a_database_nothing_was_collected(tmp_path: Path) -> None:
    """And that is said at once."""
    with pytest.raises(StoreError, match="nothing was collected yet"):
        list(found(tmp_path / "collector.db", BatchId(1)))
