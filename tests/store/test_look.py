"""A look into the database from another process than the service's."""

import shutil
import sqlite3
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from collector.clock import Clock
from collector.errors import StoreError
from collector.model import Found, Gone, Item, Result
from collector.store import store as stores
from collector.store.look import looking
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
