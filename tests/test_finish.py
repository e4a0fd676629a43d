"""The finish time of the whole service, held against the end."""

import asyncio
from datetime import datetime
from pathlib import Path

import pytest

from collector.rehearsal.api import Settings, StandIn
from collector.rehearsal.posts import Faults

from .service import service

IDS = [str(1_500_000_000_000_000_000 + 104_729 * n) for n in range(1_600)]
WINDOW = 2.0  # seconds


def moment(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()


@pytest.mark.parametrize("how", ["", 'window = "plain"'], ids=["evenly", "at once"])
async def test_the_end_comes_when_it_was_said_to_come(tmp_path: Path, how: str) -> None:
    """At a tenth of the IDs, with gone, absent and spoilt ones: within 5 % and a window, and within the range."""
    settings = Settings(limit=40, window=WINDOW, headers=False, faults=Faults(errors=0.03))
    more = f'pack = 20\nlimit = ["40/{WINDOW:g}s"]\n{how}'
    async with StandIn(settings) as api:
        with service(tmp_path, api.url, more) as run:
            run.start()
            await asyncio.to_thread(run.until, "ready")
            run.drop("ids.txt", IDS)
            await api.verdicts.reached(10)
            said = await asyncio.to_thread(run.status)
            await asyncio.to_thread(run.until, "results_written")
            [done] = (await asyncio.to_thread(run.status))["batches"]
    came, likely = moment(done["finished_at"]), moment(said["finish_at"])
    assert moment(said["finish_from"]) <= came <= moment(said["finish_to"])
    assert abs(came - likely) <= 0.05 * (likely - moment(said["now"])) + WINDOW
    assert said["batches"][0]["finish_at"] == said["finish_at"]
