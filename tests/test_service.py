"""The service as a process: how it stops, waits and goes on."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from collector.model import Why
from collector.rehearsal.api import Settings, StandIn
from collector.rehearsal.posts import NO_FAULTS

from .service import Service, service

IDS = [str(1_500_000_000_000_000_000 + n) for n in range(40)]


def quick() -> Settings:
    """Nothing in the way."""
    return Settings(limit=None, latency=(0.0, 0.0), faults=NO_FAULTS)


async def with_calls_in_the_air(run: Service, api: StandIn) -> None:
    """Started, with a batch whose calls the API does not answer."""
    api.answering.clear()
    run.start()
    await asyncio.to_thread(run.until, "ready")
    run.drop("ids.txt", IDS)
    await api.verdicts.reached(8)


async def test_sigterm_ends_with_0_within_the_grace_and_spends_no_attempt(tmp_path: Path) -> None:
    """Calls that are not answered within the grace are broken off; their IDs are owed, and a start goes on."""
    async with StandIn(quick()) as api:
        with service(tmp_path, api.url, more="pack = 5", grace="1s") as run:
            await with_calls_in_the_air(run, api)
            began = time.monotonic()
            run.terminate()
            assert await asyncio.to_thread(run.ended) == 0
            assert time.monotonic() - began < 3
            assert run.rows("SELECT state, sum(attempts), count(*) FROM jobs GROUP BY state") == [("queued", 0, 40)]
            assert run.rows("SELECT count(*) FROM attempts") == [(0,)]
            api.answering.set()
            run.start()
            await asyncio.to_thread(run.until, "results_written")
            assert run.books() == {"found": 40}


async def test_calls_in_the_air_may_finish_within_the_grace(tmp_path: Path) -> None:
    """What is answered after SIGTERM and within the grace is recorded before the end."""
    async with StandIn(quick()) as api:
        with service(tmp_path, api.url, more="pack = 5", grace="60s") as run:
            await with_calls_in_the_air(run, api)
            run.terminate()
            await asyncio.to_thread(run.until, "stopping")
            api.answering.set()
            assert await asyncio.to_thread(run.ended) == 0
            assert run.books() == {"found": 40}


async def test_a_second_sigterm_hurries(tmp_path: Path) -> None:
    """It does not wait for the grace, and still ends in order."""
    async with StandIn(quick()) as api:
        with service(tmp_path, api.url, more="pack = 5", grace="60s") as run:
            await with_calls_in_the_air(run, api)
            run.terminate()
            await asyncio.to_thread(run.until, "stopping")
            run.terminate()
            assert await asyncio.to_thread(run.ended) == 0
            assert run.books() == {"queued": 40}


async def test_a_wait_for_a_budget_never_reads_as_a_time_out(tmp_path: Path) -> None:
    """Calls that wait for their window longer than the call's own timeout are neither failed nor tried twice."""
    async with StandIn(Settings(limit=2, window=2.0, latency=(0.0, 0.0), faults=NO_FAULTS)) as api:
        more = 'pack = 10\nlimit = ["2/2s"]\ntimeout = "300ms"'
        with service(tmp_path, api.url, more=more) as run:
            run.start()
            await asyncio.to_thread(run.until, "ready")
            run.drop("ids.txt", IDS)
            await asyncio.to_thread(run.until, "results_written")
            assert run.books() == {"found": 40}
            assert run.rows("SELECT count(*) FROM attempts") == [(0,)]
            assert api.verdicts.statuses == {200: 4}


async def test_a_database_that_cannot_be_written_is_waited_for(tmp_path: Path) -> None:
    """The service stays up, says so in status, and goes on by itself when the trouble is over."""
    async with StandIn(quick()) as api:
        with service(tmp_path, api.url, more="pack = 5") as run:
            await with_calls_in_the_air(run, api)
            with closing(sqlite3.connect(run.root / "collector.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                api.answering.set()
                await asyncio.to_thread(run.until, "recording_failed")
                status = await asyncio.to_thread(run.status)
                assert status["state"] == "degraded"
                assert "locked" in status["troubles"][0]["what"]
                assert status["jobs"]["running"] == 40
                other.execute("ROLLBACK")
            await asyncio.to_thread(run.until, "results_written")
            assert run.books() == {"found": 40}


async def test_status_keeps_the_form_that_scripts_rely_on(tmp_path: Path) -> None:
    """Every pinned key of `/status` is there, and the jobs add up."""
    async with StandIn(quick()) as api:
        with service(tmp_path, api.url, more='pack = 5\nlimit = ["90000/2h"]') as run:
            await with_calls_in_the_air(run, api)
            status = await asyncio.to_thread(run.status)
            pinned = {"state", "version", "started_at", "now", "finish_from", "finish_at", "at_least", "jobs"}
            pinned |= {"calls_in_the_air", "waiting", "batches", "budgets", "sources", "troubles", "time", "disk"}
            assert pinned <= set(status)
            states = {"total", "queued", "running", "delayed", "found", "gone", "invalid", "failed", "cancelled"}
            assert set(status["jobs"]) == set(status["batches"][0]["jobs"]) == states
            assert status["jobs"]["total"] == sum(status["jobs"].values()) - status["jobs"]["total"] == 40
            assert (status["jobs"]["running"], status["calls_in_the_air"]) == (40, 8)
            assert {"id", "name", "source", "state", "jobs", "items", "finish_at"} <= set(status["batches"][0])
            [window] = status["budgets"]["posts"]
            assert {"limit", "window_s", "used", "left", "resets_at"} <= set(window)
            assert (window["limit"], window["window_s"], window["used"]) == (90_000, 7_200, 8)
            assert status["sources"] == {"posts": {"state": "running", "why": None}}
            assert set(status["time"]) == {"posts"}
            assert set(status["time"]["posts"]) <= {why.value for why in Why}


async def test_a_start_after_a_kill_says_so_and_one_after_a_stop_does_not(tmp_path: Path) -> None:
    """Where only warnings are read, a restart in the night is among them; the last windows are told at the stop."""
    async with StandIn(quick()) as api:
        with service(tmp_path, api.url, more="pack = 5") as run:
            run.start()
            await asyncio.to_thread(run.until, "ready")
            run.kill()
            run.start()
            cut_off = await asyncio.to_thread(run.until, "last_run_was_cut_off")
            assert cut_off["level"] == "warning"
            run.drop("ids.txt", IDS)
            await asyncio.to_thread(run.until, "results_written")
            run.terminate()
            passed = await asyncio.to_thread(run.until, "window_passed")
            assert (passed["source"], passed["calls"], passed["found"], passed["open"]) == ("posts", 8, 40, 0)
            assert await asyncio.to_thread(run.ended) == 0
            run.start()
            await asyncio.to_thread(run.until, "ready")
            run.terminate()
            assert await asyncio.to_thread(run.ended) == 0
            assert run.log.read_text().count("last_run_was_cut_off") == 1
