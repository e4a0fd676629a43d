import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from collector.errors import StoreBusy, StoreError
from collector.store import database


async def cancelled_at_each_turn(write: Callable[[str], Coroutine[Any, Any, None]]) -> None:
    """Writes under key after key, each cancelled a turn of the loop later than the one before."""
    for turns in range(30):
        task = asyncio.create_task(write(str(turns)))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() or task.exception() is None


async def test_a_failed_transaction_leaves_no_trace(tmp_path: Path) -> None:
    """An exception inside a transaction rolls all of it back."""
    async with database.opened(tmp_path / "c.db") as db:

        async def fail() -> None:
            async with db.write() as write:
                await write.change("INSERT INTO meta VALUES ('a', '1')")
                raise ValueError

        with pytest.raises(ValueError):
            await fail()
        assert await db.read("SELECT * FROM meta") == []


async def test_two_writers_never_share_a_transaction(tmp_path: Path) -> None:
    """What one coroutine rolls back takes nothing of another's with it."""
    async with database.opened(tmp_path / "c.db") as db:
        inside, go_on = asyncio.Event(), asyncio.Event()

        async def first() -> None:
            async with db.write() as write:
                await write.change("INSERT INTO meta VALUES ('first', '')")
                inside.set()
                await go_on.wait()
                raise ValueError

        async def second() -> None:
            await inside.wait()
            go_on.set()
            async with db.write() as write:
                await write.change("INSERT INTO meta VALUES ('second', '')")

        results = await asyncio.gather(first(), second(), return_exceptions=True)
        assert [type(result) for result in results] == [ValueError, type(None)]
        assert await db.read("SELECT key FROM meta") == [("second",)]


async def test_a_cancel_at_the_commit_does_not_cut_it_in_two(tmp_path: Path) -> None:
    """A cancelled writer has either committed, and then what follows a commit ran too, or has not."""
    async with database.opened(tmp_path / "c.db") as db:
        followed = []

        async def write_one(key: str) -> None:
            async with db.write() as write:
                await write.change("INSERT INTO meta VALUES (?, '')", (key,))
                write.after_commit(lambda: followed.append(key))

        await cancelled_at_each_turn(write_one)
        async with db.write() as write:
            await write.change("INSERT INTO meta VALUES ('last', '')")
            write.after_commit(lambda: followed.append("last"))
        assert {key for (key,) in await db.read("SELECT key FROM meta")} == set(followed)


async def test_a_transaction_in_one_visit_is_whole_or_leaves_no_trace(tmp_path: Path) -> None:
    """What fails is rolled back and lets others write; cancelled at any moment it is committed and followed up, or
    neither."""
    async with database.opened(tmp_path / "c.db") as db:
        followed: list[str] = []

        def insert(cursor: sqlite3.Cursor, key: str) -> str:
            cursor.execute("INSERT INTO meta VALUES (?, '')", (key,))
            return key

        def fail(cursor: sqlite3.Cursor) -> str:
            raise ValueError(insert(cursor, "failed"))

        with pytest.raises(ValueError, match="failed"):
            await db.at_once(fail, followed.append)
        await cancelled_at_each_turn(lambda key: db.at_once(partial(insert, key=key), followed.append))
        async with db.write() as write:
            await write.change("INSERT INTO meta VALUES ('last', '')")
        assert {key for (key,) in await db.read("SELECT key FROM meta")} == {*followed, "last"}


async def test_a_newer_database_is_refused_in_plain_words(tmp_path: Path) -> None:
    """A schema that this version does not know is left alone."""
    path = tmp_path / "c.db"
    async with database.opened(path):
        pass
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 999")
    db.close()
    with pytest.raises(StoreError, match="written by a newer collector"):
        async with database.opened(path):
            pass


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    """Something else under the name of the database is an error in plain words, and stays as it is."""
    path = tmp_path / "c.db"
    path.write_text("these are not the bytes of a database, and there are more than a hundred of them; " * 9)
    with pytest.raises(StoreError, match=r"c\.db"):
        async with database.opened(path):
            pass
    assert path.read_text().startswith("these are not")


async def test_a_lock_by_another_process_is_a_passing_trouble(tmp_path: Path) -> None:
    """What may heal by itself is a StoreBusy."""
    path = tmp_path / "c.db"
    async with database.opened(path) as db:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy):
            async with db.write():
                pass
        other.execute("ROLLBACK")
        other.close()
        async with db.write() as write:
            await write.change("INSERT INTO meta VALUES ('healed', '')")


async def test_the_reader_cannot_write(tmp_path: Path) -> None:
    """Exactly one connection writes and checkpoints."""
    async with database.opened(tmp_path / "c.db") as db:
        with pytest.raises(StoreBusy, match="readonly"):
            await db.read("INSERT INTO meta VALUES ('a', '')")


async def test_commits_survive_a_power_cut_by_the_settings(tmp_path: Path) -> None:
    """The writer syncs each commit, and its log is a WAL."""
    async with database.opened(tmp_path / "c.db") as db, db.write() as write:
        assert await write.rows("PRAGMA synchronous") == [(2,)]
        assert await write.rows("PRAGMA journal_mode") == [("wal",)]


async def test_a_database_that_was_removed_is_noticed(tmp_path: Path) -> None:
    """Writing on into a file without a name would look well and keep nothing."""
    path = tmp_path / "c.db"
    async with database.opened(path) as db:
        path.rename(tmp_path / "elsewhere.db")
        with pytest.raises(StoreBusy, match="removed or replaced"):
            async with db.write():
                pass
        (tmp_path / "elsewhere.db").rename(path)
        async with db.write() as write:
            await write.change("INSERT INTO meta VALUES ('back', '')")


async def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    """Tables that are not ours under our file's name are an error in plain words."""
    path = tmp_path / "c.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE theirs (a)")
    db.close()
    with pytest.raises(StoreError, match="another program"):
        async with database.opened(path):
            pass
