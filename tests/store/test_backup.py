"""A copy of the database that is made while it is written to."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from collector.errors import StoreError
from collector.host import thread
from collector.model import State
from collector.store import backup
from collector.store.backup import Halted
from collector.store.database import newest
from collector.store.store import Store
from tests.store.conftest import open_batch


async def test_what_is_committed_during_a_copy_delays_nobody_and_the_books_of_the_copy_balance(
    store: Store, tmp_path: Path
) -> None:
    """A batch that is taken in between two steps is in the copy whole or not at all."""
    await open_batch(store, [f"before-{n:06}" for n in range(60_000)])
    first_step, loop = asyncio.Event(), asyncio.get_running_loop()
    told: list[tuple[int, int]] = []

    def tell(done: int, of: int) -> None:
        told.append((done, of))
        loop.call_soon_threadsafe(first_step.set)

    target = tmp_path / "copy.db"
    work = thread.begin(store.copied(target, tell).run)
    await first_step.wait()
    batch = await open_batch(store, [f"during-{n:06}" for n in range(2_000)])
    await thread.ended(work)
    assert len(told) > 1
    assert told[-1][0] == told[-1][1] == target.stat().st_size
    assert backup.check(target) == newest()
    with closing(sqlite3.connect(target)) as copy:
        rows = copy.execute("SELECT batch, state, count(*) FROM jobs GROUP BY 1, 2").fetchall()
        assert rows == copy.execute("SELECT batch, state, jobs FROM counts WHERE jobs").fetchall()
        assert rows[0] == (1, "queued", 60_000)
    assert store.books.of(batch.id).count(State.QUEUED) == 2_000


async def test_an_open_transaction_is_waited_for(store: Store, tmp_path: Path) -> None:
    """No half of it is copied, and the copy goes on at its end."""
    target, first_try, loop = tmp_path / "copy.db", asyncio.Event(), asyncio.get_running_loop()

    def tell(_: int, __: int) -> None:
        loop.call_soon_threadsafe(first_try.set)

    copy = store.copied(target, tell)
    async with store.books._database.write() as write:
        await write.change("INSERT INTO meta VALUES ('one', '1')")
        work = thread.begin(copy.run)
        await first_try.wait()
        await write.change("INSERT INTO meta VALUES ('two', '2')")
    await thread.ended(work)
    with closing(sqlite3.connect(target)) as db:
        assert db.execute("SELECT key FROM meta WHERE key IN ('one', 'two') ORDER BY key").fetchall() == [
            ("one",),
            ("two",),
        ]


async def test_a_halted_copy_ends_at_its_next_step(store: Store, tmp_path: Path) -> None:
    """And the store works on."""
    copy = store.copied(tmp_path / "copy.db", lambda *_: None)
    copy.halt()
    with pytest.raises(Halted):
        await thread.run(copy.run)
    await open_batch(store, ["1"])


def test_what_is_no_whole_database_of_ours_is_told(tmp_path: Path) -> None:
    """Another program's, a newer version's, and one that is damaged."""
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("CREATE TABLE there (a)")
        with pytest.raises(StoreError, match="no database of collector"):
            backup.check(path)
        db.execute("PRAGMA application_id = 0x636F6C6C")
        db.execute("PRAGMA user_version = 999")
        with pytest.raises(StoreError, match="newer collector"):
            backup.check(path)
    path.write_bytes(b"\0" * 8192)
    with pytest.raises(StoreError):
        backup.check(path)
