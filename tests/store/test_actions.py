"""The actions table, and how a database of the version before comes to have it."""

import sqlite3
from contextlib import closing
from importlib import resources
from pathlib import Path

import pytest

from collector.clock import Clock
from collector.model import BatchId, BatchState
from collector.store import store as stores
from collector.store.store import Store
from tests.store.conftest import open_batch


def told(path: Path) -> list[tuple[str, ...]]:
    """What the table says, but for the times."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT what, of, who, options, outcome FROM actions ORDER BY id").fetchall()


async def test_each_order_stands_in_the_table_with_what_came_of_it(store: Store) -> None:
    """One that changed nothing too."""
    batch = await open_batch(store, ["1"])
    await store.control.pause(batch.id)
    await store.control.pause(batch.id)
    await store.control.resume(batch.id, "http")
    await store.control.cancel(batch.id)
    assert told(store.path) == [
        ("pause", "batch 1", "cli", "{}", "changed 1 batch"),
        ("pause", "batch 1", "cli", "{}", "changed nothing"),
        ("resume", "batch 1", "http", "{}", "changed 1 batch"),
        ("cancel", "batch 1", "cli", "{}", "changed 1 batch"),
    ]


async def test_an_order_that_cannot_be_noted_is_not_carried_out(store: Store) -> None:
    """Change and note are one transaction."""
    batch = await open_batch(store, ["1"])
    with pytest.raises(sqlite3.IntegrityError, match="action_who"):
        await store.control.pause(batch.id, "nobody")
    assert (store.batches.get(batch.id).state, told(store.path)) == (BatchState.OPEN, [])
    async with stores.opened(store.path, Clock()) as again:
        assert again.batches.get(batch.id).state is BatchState.OPEN


async def test_a_database_of_version_3_is_upgraded_with_what_it_holds(tmp_path: Path) -> None:
    """Its batches stay, and orders can be noted."""
    path = tmp_path / "collector.db"
    schema = resources.files("collector.store") / "schema"
    names = ("001_create_tables.sql", "002_create_hours.sql", "003_add_chains.sql")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for number, name in enumerate(names, 1):
            sql = (schema / name).read_text(encoding="utf-8")
            db.executescript(f"BEGIN;\n{sql}\nPRAGMA user_version = {number};\nCOMMIT;")
        db.execute(
            "INSERT INTO batches (source, name, origin, state, created_at)"
            " VALUES ('posts', 'ids', 'file', 'open', '2026-11-22T08:07:21.123Z')"
        )
    async with stores.opened(path, Clock()) as store:
        assert [batch.state for batch in await store.control.pause(BatchId(1))] == [BatchState.PAUSED]
    assert [row[0] for row in told(path)] == ["pause"]
