"""What the charts show, in memory and over a start."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from importlib import resources
from pathlib import Path

import pytest

from collector.dispatch.course import DAY, Course
from collector.errors import StoreBusy
from collector.model import Tally
from collector.store import store as stores
from collector.store.minutes import KEPT, Minute
from collector.store.store import Store
from tests.output.given import Standing

FIRST = 1_800_000_000  # begins a minute


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with stores.opened(tmp_path / "collector.db", Standing()) as one:
        yield one


async def test_what_was_done_belongs_to_its_minute_over_a_start(tmp_path: Path) -> None:
    """Sources are summed, the running minute is there at once, and the next process reads on."""
    clock, did = Standing(), dict[str, Tally]()
    async with stores.opened(tmp_path / "collector.db", clock) as store:
        course = Course(store.minutes, lambda: did, clock)
        did |= {"a": Tally(answered=2, found=5), "b": Tally(waited=1)}
        clock.now = 30.0
        assert course.recent() == {FIRST: Tally(answered=2, waited=1, found=5)}
        clock.now = 60.01
        await course.note()
        did["a"] = Tally(answered=3, found=5, items=9)
        clock.now = 90.0
        both = {FIRST: Tally(answered=2, waited=1, found=5), FIRST + 60: Tally(answered=1, items=9)}
        assert course.recent() == both
        clock.now = 120.01
        await course.note()
    async with stores.opened(tmp_path / "collector.db", clock) as store:
        course = Course(store.minutes, dict, clock)
        await course.load()
        clock.now = 125.0
        both[FIRST + 60] = Tally(answered=1)
        assert course.recent() == both | {FIRST + 120: Tally()}


async def test_a_day_is_in_memory_and_a_week_in_the_table(store: Store) -> None:
    """Both are bounded however long the service runs."""
    clock, did = Standing(), {"a": Tally()}
    course = Course(store.minutes, lambda: did, clock)
    for at in (0, DAY, KEPT + 120):
        did["a"] += Tally(answered=1)
        clock.now = at + 60.01
        await course.note()
    assert list(course.recent()) == [FIRST + KEPT + 120]
    assert [at for at, *_ in await store.minutes.since(0)] == [FIRST + DAY, FIRST + KEPT + 120]


async def test_minutes_that_cannot_be_written_are_written_later(store: Store) -> None:
    """A full disk loses no minute of the chart."""
    clock, did = Standing(), {"a": Tally()}
    course = Course(store.minutes, lambda: did, clock)
    hidden = store.path.rename(store.path.with_suffix(".away"))
    did["a"] = Tally(found=1)
    clock.now = 60.01
    await course.note()
    hidden.rename(store.path)
    did["a"] = Tally(found=3)
    clock.now = 120.01
    await course.note()
    assert await store.minutes.since(0) == [(FIRST, "found", 1), (FIRST + 60, "found", 2)]


async def test_an_idle_minute_costs_no_commit(store: Store) -> None:
    """Writing would fail here."""
    clock = Standing()
    course = Course(store.minutes, lambda: {"a": Tally()}, clock)
    store.path.rename(store.path.with_suffix(".away"))
    await course.note()
    with pytest.raises(StoreBusy):
        await store.minutes.add([], clock.wall())


async def test_a_database_of_version_6_is_upgraded_with_what_it_holds(tmp_path: Path) -> None:
    """Its batches stay, and minutes can be written."""
    path = tmp_path / "collector.db"
    files = sorted((resources.files("collector.store") / "schema").iterdir(), key=lambda file: file.name)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for number, file in enumerate(files[:6], 1):
            db.executescript(f"BEGIN;\n{file.read_text()}\nPRAGMA user_version = {number};\nCOMMIT;")
        db.execute(
            "INSERT INTO batches (source, name, origin, state, created_at)"
            " VALUES ('posts', 'ids', 'file', 'open', '2026-11-22T08:07:21.123Z')"
        )
    async with stores.opened(path, Standing()) as store:
        await store.minutes.add([Minute(FIRST, "posts", Tally(found=1))], FIRST)
        assert await store.minutes.since(0) == [(FIRST, "found", 1)]
        assert [batch.name for batch in store.batches.all()] == ["ids"]
