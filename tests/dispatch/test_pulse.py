"""The marks of the actors: who has nothing to do, or waits for somebody else, is never taken for stuck."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from collector.rehearsal.api import Settings, StandIn
from collector.rehearsal.posts import NO_FAULTS

from .running import Running, dispatching, packed

IDS = [str(1_500_000_000_000_000_000 + n) for n in range(400)]
QUICK = Settings(limit=None, latency=(0.0, 0.0), faults=NO_FAULTS)


def busy(running: Running) -> list[str]:
    return [name for name, pulse in running.dispatcher.pulses().items() if pulse.busy]


async def so(fact: Callable[[], object]) -> None:
    """Returns when it is so, at any turn of the loop."""
    async with asyncio.timeout(8):
        while not fact():  # noqa: ASYNC110 - no event tells of a mark
            await asyncio.sleep(0)


async def test_all_rest_while_calls_wait_for_their_answers_and_when_all_is_done(tmp_path: Path) -> None:
    """However long an API takes, and however long nothing comes; in between both passed their marks."""
    async with (
        StandIn(QUICK) as api,
        dispatching(tmp_path, {"posts": packed(api.url, pack=5)}) as running,
    ):
        assert set(running.dispatcher.pulses()) == {"recorder", "feeder of posts"}
        api.answering.clear()
        batch = await running.add(IDS)
        await api.verdicts.reached(8)
        await so(lambda: not busy(running))
        before = {name: pulse.passed for name, pulse in running.dispatcher.pulses().items()}
        api.answering.set()
        await running.finished(batch)
        await so(lambda: not busy(running))
        assert all(pulse.passed > before[name] for name, pulse in running.dispatcher.pulses().items())


async def test_an_actor_that_works_is_seen_to_do_so_and_one_that_waits_for_the_disk_rests(tmp_path: Path) -> None:
    """While the database is locked the recorder is busy until that is told as a trouble; then it waits it out, well."""
    async with (
        StandIn(QUICK) as api,
        dispatching(tmp_path, {"posts": packed(api.url)}) as running,
    ):
        api.answering.clear()
        await running.add(IDS)
        await api.verdicts.reached(1)
        with closing(sqlite3.connect(tmp_path / "collector.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            api.answering.set()
            await so(lambda: "recorder" in busy(running))
            await so(lambda: running.dispatcher.recorder.trouble)
            assert "recorder" not in busy(running)
            other.execute("ROLLBACK")
