"""The actor of the time account: over a real database, in virtual time; and the service as a process, killed."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector.budget.ledger import Ledger
from collector.clock import unstamp
from collector.dispatch.crew import Crew
from collector.dispatch.dispatcher import Dispatcher
from collector.dispatch.timekeeper import WRITE_EVERY, WRITE_IDLE_EVERY, Timekeeper
from collector.model import Why
from collector.rehearsal.api import Settings, StandIn
from collector.rehearsal.posts import NO_FAULTS
from collector.sources.http import Client
from collector.sources.spec import Spec
from collector.store import store as stores
from collector.store.store import Store
from tests.output.given import Standing, taken_in
from tests.service import Service, service

from .running import packed

SPECS = {"posts": packed("http://127.0.0.1:9")}


@asynccontextmanager
async def keeping(root: Path, clock: Standing, specs: dict[str, Spec]) -> AsyncIterator[tuple[Timekeeper, Store]]:
    """A timekeeper over what an earlier one left, whose clock the test turns; it ends as by a kill."""
    ledger = Ledger.open(root / "ledger", clock, 16)
    for name, spec in specs.items():
        ledger.declare(name, name, spec.limit)
    async with stores.opened(root / "collector.db", clock) as store, Client() as client:
        dispatcher = Dispatcher(store, ledger, client, clock, lambda: None, Crew())
        dispatcher.declare(specs, {})
        yield Timekeeper(await store.hours.load(), store, dispatcher, ledger, clock), store
    ledger.close()


class Set(Standing):
    """A clock whose wall time somebody sets."""

    ahead = 0.0

    def wall(self) -> float:
        return super().wall() + self.ahead


def booked(root: Path) -> tuple[float, dict[str, str]]:
    """The sum of a source's hours, and its ends."""
    with closing(sqlite3.connect(root / "collector.db")) as db:
        [(seconds,)] = db.execute("SELECT sum(seconds) FROM hours WHERE source = 'posts'")
        [(ends,)] = db.execute("SELECT value FROM meta WHERE key = 'hours.source.posts'")
    return round(seconds, 3), msgspec.json.decode(ends)


def lasted(ends: dict[str, str]) -> float:
    return round(unstamp(ends["until"]) - unstamp(ends["since"]), 3)


async def test_two_lives_sum_to_the_time_between_their_ends(tmp_path: Path) -> None:
    """With a kill in between, of which what was not written is off."""
    clock = Set()
    async with keeping(tmp_path, clock, SPECS) as (timekeeper, store):
        await timekeeper.write()
        clock.now = 1_000.25
        batch = await store.batches.begin("posts", "ids", "file")
        await store.batches.load_chunk(batch, ["1"], 1)
        timekeeper.look()
        await timekeeper.write()
        clock.now = 1_003.5  # never written
        timekeeper.look()
    clock.now = 5_000.125
    async with keeping(tmp_path, clock, SPECS) as (timekeeper, _):
        assert timekeeper.totals() == {"posts": {Why.BUSY: 1_000.25, Why.OFF: 3_999.875}}
        clock.now = 7_777.777
        await timekeeper.close()
    assert booked(tmp_path)[0] == lasted(booked(tmp_path)[1]) == 7_777.777
    assert booked(tmp_path)[1]["since"] == "2027-01-15T08:00:00.000Z"


async def test_a_wall_clock_that_is_set_breaks_no_sum(tmp_path: Path) -> None:
    """Lengths go by the monotonic clock, hours by the wall clock; a step moves the beginning along."""
    clock = Set()
    async with keeping(tmp_path, clock, SPECS) as (timekeeper, _):
        for step, ahead in ((10.5, 0.0), (20.25, 86_400.0), (40.0, -3_600.0), (5.0, 0.4)):
            clock.now += step
            clock.ahead += ahead
            timekeeper.look()
        await timekeeper.write()
        assert timekeeper.totals() == {"posts": {Why.IDLE: 75.75}}
    seconds, ends = booked(tmp_path)
    assert seconds == lasted(ends) == 75.75
    assert ends["since"] == "2027-01-16T07:00:00.000Z"  # what the clock that holds now says that it was


async def test_a_source_begins_when_it_is_first_seen(tmp_path: Path) -> None:
    """And the time in which the configuration had it not is off."""
    clock, both = Set(), SPECS | {"users": packed("http://127.0.0.1:9")}
    for specs in (SPECS, both, SPECS, both):
        async with keeping(tmp_path, clock, specs) as (timekeeper, _):
            clock.now += 60
            await timekeeper.close()
            totals = timekeeper.totals()
            clock.now += 40
    assert totals == {"posts": {Why.IDLE: 240.0, Why.OFF: 120.0}, "users": {Why.IDLE: 120.0, Why.OFF: 140.0}}


async def test_while_the_disk_is_unwell_the_account_is_kept(tmp_path: Path) -> None:
    """It is written when the trouble is over, each part once."""
    clock = Set()
    async with keeping(tmp_path, clock, SPECS) as (timekeeper, _):
        clock.now = 30
        moved = (tmp_path / "collector.db").rename(tmp_path / "elsewhere.db")
        await timekeeper.close()
        moved.rename(tmp_path / "collector.db")
        clock.now = 40
        await timekeeper.close()
        await timekeeper.close()
    assert booked(tmp_path)[0] == lasted(booked(tmp_path)[1]) == 40


async def test_a_look_asks_the_database_nothing(tmp_path: Path) -> None:
    """It reads memory alone, so that a database that is locked or gone does not stop the account."""
    clock = Set()
    async with keeping(tmp_path, clock, SPECS) as (timekeeper, store):
        for number in range(5):
            await store.batches.begin("posts", f"ids{number}", "file")
        await store._database._reader.close()
        clock.now = 3
        timekeeper.look()
        assert timekeeper.totals() == {"posts": {Why.BUSY: 3.0}}
        clock.now = 4
        assert timekeeper.totals() == {"posts": {Why.BUSY: 3.0}}


@pytest.mark.parametrize(("owed", "every"), [(["1"], WRITE_EVERY), ([], WRITE_IDLE_EVERY)])
async def test_the_actor_looks_on_and_writes_now_and_then(tmp_path: Path, owed: list[str], every: float) -> None:
    """A kill costs no more than that; not every look is a commit, and an idle service leaves the disk alone."""
    clock = Set()
    async with keeping(tmp_path, clock, SPECS) as (timekeeper, store):
        await taken_in(store, owed)
        task = asyncio.get_running_loop().create_task(timekeeper.run())

        async def until() -> float | None:
            rows = await store._database.read("SELECT value ->> 'until' FROM meta WHERE key = 'hours.source.posts'")
            return unstamp(rows[0][0]) - Standing.wall(clock) + clock.now if rows else None

        while await until() is None:
            pass
        clock.now = every - 0.5
        while sum(timekeeper.totals()["posts"].values()) != clock.now:
            assert await until() == 0
        clock.now = every
        while await until() == 0:
            pass
        assert await until() == every
        task.cancel()
        await asyncio.wait([task])


async def test_a_killed_service_accounts_for_every_millisecond_of_two_lives(tmp_path: Path) -> None:
    """The sums equal the time from the first moment to the last; the gap after the kill is off, and /status shows
    the same account as the table."""
    async with StandIn(Settings(limit=None, latency=(0.0, 0.0), faults=NO_FAULTS)) as api:
        with service(tmp_path, api.url, more="pack = 5") as run:
            began = time.time()
            api.answering.clear()
            await _started(run)
            ready = time.time()
            run.drop("ids.txt", [str(1_500_000_000_000_000_000 + n) for n in range(10)])
            await api.verdicts.reached(2)
            while "network" not in (await asyncio.to_thread(run.status))["time"]["posts"]:
                pass
            since = _ends(run)["since"]
            assert began <= unstamp(since) + 0.001
            assert unstamp(since) <= ready + 0.001
            run.kill()
            killed = time.time()
            written = _ends(run)["until"]
            await asyncio.to_thread(run.start)
            await asyncio.to_thread(run.until, "ready")
            again = time.time()
            status = (await asyncio.to_thread(run.status))["time"]["posts"]
            assert killed - unstamp(written) <= status["off"] + 0.001
            assert status["off"] <= again - unstamp(written) + 0.001
            api.answering.set()
            await asyncio.to_thread(run.until, "results_written")
            run.terminate()
            assert await asyncio.to_thread(run.ended) == 0
            ended = time.time()
            ends = _ends(run)
            assert ends["since"] == since
            assert unstamp(ends["until"]) <= ended + 0.001
            rows = run.rows("SELECT why, sum(seconds) FROM hours WHERE source = 'posts' GROUP BY why")
            assert round(sum(seconds for _, seconds in rows), 3) == lasted(ends)
            assert dict(rows)["off"] == status["off"]
            report = (run.root / "batches" / "0001-ids" / "report.md").read_text()
            assert "## Where the time went" in report
            assert "| service off |" in report
            [(taken_in, finished)] = run.rows("SELECT created_at, finished_at FROM batches")
            assert f"| sum | {unstamp(finished) - unstamp(taken_in):,.1f} | 100.0% |" in report
            assert run.rows("SELECT count(*) FROM meta WHERE key LIKE 'hours.batch.%'") == [(0,)]


async def _started(run: Service) -> None:
    run.start()
    await asyncio.to_thread(run.until, "ready")


def _ends(run: Service) -> dict[str, Any]:
    [(text,)] = run.rows("SELECT value FROM meta WHERE key = 'hours.source.posts'")
    ends: dict[str, Any] = msgspec.json.decode(text)
    return ends
