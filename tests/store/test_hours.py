"""The hours table, and how a database of the version before comes to have it."""

import sqlite3
from collections import Counter
from contextlib import closing
from importlib import resources
from pathlib import Path

import pytest

from collector.clock import Clock
from collector.model import BatchId, Why
from collector.store import store as stores
from collector.store.hours import Entries, Kept, Share, Span
from collector.store.store import Store

HOUR = 3_600_000
EIGHT = 1_795_334_400_000  # 2026-11-22T08:00Z


def entries(spent: dict[tuple[str, int, Why], int], shares: dict[BatchId, Share | None] | None = None) -> Entries:
    return Entries(spent, {"posts": Span(EIGHT + 1, EIGHT + HOUR + 2)}, shares or {})


async def add(store: Store, what: Entries) -> bool:
    done: list[None] = []
    await store.hours.add(what, lambda: done.append(None))
    return len(done) == 1


async def test_what_is_written_is_read_again(store: Store) -> None:
    """Totals by source, to the millisecond, with where they begin and end and what the batches have of them."""
    share = Share({Why.IDLE: 7}, {Why.NETWORK: 3})
    spent = {("posts", EIGHT, Why.WINDOW): 1_001, ("posts", EIGHT + HOUR, Why.WINDOW): 2, ("users", EIGHT, Why.OFF): 9}
    assert await add(store, entries(spent, {BatchId(3): share, BatchId(4): Share({})}))
    assert await add(store, entries({}, {BatchId(4): None}))
    assert await store.hours.load() == Kept(
        {"posts": Span(EIGHT + 1, EIGHT + HOUR + 2)},
        {"posts": Counter({Why.WINDOW: 1_003}), "users": Counter({Why.OFF: 9})},
        {BatchId(3): share},
    )


async def test_the_columns_are_those_that_scripts_rely_on(store: Store, tmp_path: Path) -> None:
    """Source, beginning of the hour, why and seconds."""
    await add(store, entries({("posts", EIGHT, Why.WINDOW): 1_500}))
    with closing(sqlite3.connect(tmp_path / "collector.db")) as db:
        rows = db.execute("SELECT source, hour, why, seconds FROM hours").fetchall()
    assert rows == [("posts", "2026-11-22T08:00:00.000Z", "window", 1.5)]


async def test_many_small_additions_do_not_drift(store: Store) -> None:
    """A tenth of a second has no exact form in a REAL; its sums are whole milliseconds all the same."""
    for _ in range(300):
        await add(store, entries({("posts", EIGHT, Why.IDLE): 100}))
    [(seconds,)] = await store._database.read("SELECT seconds FROM hours")
    assert seconds == 30.0


async def test_every_why_may_be_written_and_nothing_else(store: Store) -> None:
    """The table knows the words that the service knows."""
    await add(store, entries({("posts", EIGHT, why): 1 for why in Why}))
    totals = (await store.hours.load()).totals
    assert totals == {"posts": Counter(dict.fromkeys(Why, 1))}
    for hour, why, seconds in (
        ("2026-11-22T08:00:00.000Z", "lunch", 1.0),
        ("2026-11-22T08:30:00.000Z", "idle", 1.0),
        ("2026-11-22T09:00:00.000Z", "idle", 0.0),
    ):
        with pytest.raises(sqlite3.IntegrityError, match="hour_"):
            async with store._database.write() as write:
                await write.change("INSERT INTO hours VALUES ('posts', ?, ?, ?)", (hour, why, seconds))


async def test_a_database_of_version_1_is_upgraded_with_what_it_holds(tmp_path: Path) -> None:
    """Its batches and jobs stay, and its account begins."""
    path = tmp_path / "collector.db"
    first = (resources.files("collector.store") / "schema" / "001_create_tables.sql").read_text(encoding="utf-8")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(f"BEGIN;\n{first}\nPRAGMA user_version = 1;\nCOMMIT;")
        db.execute(
            "INSERT INTO batches (source, name, origin, state, created_at)"
            " VALUES ('posts', 'ids', 'file', 'open', '2026-11-22T08:07:21.123Z')"
        )
        db.execute("INSERT INTO jobs (batch, key) VALUES (1, '17')")
        db.execute("INSERT INTO counts VALUES (1, 'queued', '', 1)")
    async with stores.opened(path, Clock()) as store:
        assert await store.hours.load() == Kept({}, {}, {})
        assert [batch.name for batch in store.batches.ongoing()] == ["ids"]
        assert [job.key for job in await store.jobs.queued(BatchId(1), "", 9)] == ["17"]
        assert await add(store, entries({("posts", EIGHT, Why.IDLE): 1}))
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() > (1,)
