"""An upstream that is away for ten minutes: the real dispatch against the stand-in, in virtual time."""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from collector.model import State
from collector.rehearsal.api import Settings, StandIn
from collector.rehearsal.posts import NO_FAULTS
from tests.budget import virtual

from .running import dispatching, single

IDS = [str(1_500_000_000_000_000_000 + 7919 * n) for n in range(220)]
AWAY = 600.0  # seconds
FULL = 4.0  # calls a second
TRAVEL = 0.05  # seconds, at most


@pytest.mark.timeout(30)  # of real time, a little of which goes with each of some hundred calls
def test_ten_minutes_without_the_upstream_cost_no_id(tmp_path: Path) -> None:
    """With one try an ID nobody fails; at most one probe goes each 5 s; 10 s after its return the full rate is back."""

    async def main() -> None:
        clock, loop = virtual.VirtualClock(), asyncio.get_running_loop()
        settings = Settings(limit=None, latency=(0.0, 0.0), faults=NO_FAULTS)
        async with StandIn(settings, clock=clock) as api:
            spec = single(api.url, tries=1, parallel=2, limit=[f"{FULL * 5:.0f}/5s"])
            async with dispatching(tmp_path, {"posts": spec}, clock=clock) as running:
                batch = await running.add(IDS)
                await api.verdicts.reached(50)
                api.down, away = True, loop.time()
                await asyncio.sleep(AWAY)
                api.down, back = False, loop.time()
                await running.finished(batch)
                account = running.store.books.of(batch.id)
                assert account.count(State.FOUND) == len(IDS)
        times = [verdict.mono for verdict in api.verdicts]
        probes = [at for at in times if away + 2 < at <= back]
        assert AWAY / 5 * 0.9 <= len(probes) <= AWAY / 5
        assert all(after - before >= 5 - TRAVEL for before, after in pairwise(probes))
        before, after = rate(times, away - 10), rate(times, back + 10)
        assert 0.95 * FULL <= before <= FULL
        assert after >= 0.95 * FULL

    virtual.run(main(), patience=0.002)


def rate(times: list[float], begin: float) -> float:
    """Calls a second in the 10 s from `begin` on."""
    return sum(begin <= at < begin + 10 for at in times) / 10
