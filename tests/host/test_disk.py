"""When the disk has too little room, and what is told of it."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.clock import Clock
from collector.host.disk import Disk, is_short, room_of
from collector.model import Space

GB = 10**9
sizes = st.integers(0, 10**13)


async def nothing_inside() -> int:
    return 0


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "collector.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE t (x)")
    return path


@given(sizes, sizes)
def test_where_there_was_too_little_room_somewhat_more_is_wanted(room: int, floor: int) -> None:
    """Nothing between the floor and a tenth above it changes anything; without a floor there is always room."""
    assert is_short(room, floor, was=False) == (room < floor)
    assert is_short(room, floor, was=True) or not is_short(room, floor, was=False)
    if floor <= room < floor + floor // 10:
        assert (is_short(room, floor, was=False), is_short(room, floor, was=True)) == (False, True)
    if room > 1.2 * floor or not floor:
        assert not is_short(room, floor, was=True)


@given(sizes, sizes)
def test_room_inside_the_database_counts_where_the_disk_has_some_too(free: int, spare: int) -> None:
    """What is used again makes no file grow, but the WAL and the ledger do."""
    assert free <= room_of(Space("/", free, spare)) <= min(free + spare, 4 * free)


async def test_below_the_floor_everybody_waits_until_there_is_room(database: Path) -> None:
    """And says what, where and what to do."""
    disk = Disk(database, 10**18, nothing_inside, Clock())
    await disk.room.enough()  # nobody has looked yet
    await disk.look()
    trouble = disk.room.trouble
    assert trouble
    assert (trouble.kind, trouble.where) == ("disk", str(database.parent))
    assert f" are free in {database.parent}, and min_free is 1,000,000 TB: nothing is asked" in trouble.what
    assert "until 1,100,000 TB are free; make room, as by `collector prune`, or lower min_free" in trouble.what
    waiting = asyncio.create_task(disk.room.enough())
    await asyncio.sleep(0)
    assert not waiting.done()
    disk.reconfigure(10**3)
    await waiting
    assert disk.room.trouble is None
    assert disk.space.database == database.stat().st_size


async def test_the_less_there_is_above_the_floor_the_sooner_it_looks_again(database: Path) -> None:
    """A function without a limit brings tens of MB a second; below the floor nothing does."""
    disk = Disk(database, 0, nothing_inside, Clock())
    await disk.look()
    assert disk.pause() == 1.0
    assert disk.space.free
    disk.reconfigure(disk.space.free - 20_000_000)
    assert disk.pause() == pytest.approx(0.1)
    disk.reconfigure(disk.space.free)
    assert disk.pause() == 0.05
    disk.reconfigure(2 * disk.space.free)
    assert disk.pause() == 1.0


async def test_what_a_prune_has_left_inside_the_database_is_room(database: Path) -> None:
    """The file keeps its size, so without this nothing would go on after a prune."""

    async def inside() -> int:
        return spare

    spare = 0
    disk = Disk(database, 0, inside, Clock())
    await disk.look()
    assert disk.space.free
    disk.reconfigure(2 * disk.space.free)
    await disk.look()
    assert disk.room.trouble
    spare = 4 * disk.space.free
    await disk.look()
    assert disk.room.trouble is None


async def test_a_disk_that_cannot_be_looked_at_is_as_it_was(database: Path) -> None:
    """Whoever writes there will say what is wrong."""
    disk = Disk(database, 10**18, nothing_inside, Clock())
    await disk.look()
    before = disk.space
    database.unlink()
    await disk.look()
    assert disk.space == before
    assert disk.room.trouble


async def test_a_reader_that_keeps_the_wal_large_is_told_of(database: Path) -> None:
    """Not at once: a large commit is over soon."""
    disk = Disk(database, 0, nothing_inside, Clock())
    with database.with_name("collector.db-wal").open("wb") as wal:
        wal.truncate(120_000_000)
    for _ in range(9):
        await disk.look()
    assert disk.troubles() == ()
    await disk.look()
    [trouble] = disk.troubles()
    assert trouble.kind == "wal"
    assert trouble.what.startswith("collector.db-wal has 120 MB: another program reads collector.db")
    database.with_name("collector.db-wal").unlink()
    await disk.look()
    assert disk.troubles() == ()
