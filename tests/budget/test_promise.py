"""The rate is never exceeded, over any schedule of sends, answers and kills."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.budget.ledger import Ledger
from collector.budget.limit import Limit
from tests.budget.setting import set_clock, settings_of_the_clock
from tests.budget.virtual import VirtualClock, run


@dataclass(frozen=True, slots=True)
class Trip:
    """One call: a pause before it, its round trip, where in it the server counts, and the answer, if one comes."""

    pause: float
    seconds: float
    share: float
    status: int | None


trips = st.builds(
    Trip,
    pause=st.sampled_from([0.0, 0.0, 0.01, 0.4]) | st.floats(0, 2),
    seconds=st.floats(0.001, 0.1) | st.floats(0, 3),
    share=st.floats(0, 1),
    status=st.sampled_from([200, 200, 200, 404, 429, 503, None]),
)
limits = st.sampled_from(
    [
        (Limit(1, 1.0),),
        (Limit(2, 1.0),),
        (Limit(3, 2.0), Limit(7, 20.0)),
        (Limit(90, 9.0),),
        (Limit(120, 2.0),),
        (Limit(5, 7200.0), Limit(2, 1.0)),
    ]
)


async def _calls(ledger: Ledger, clock: VirtualClock, schedule: Iterator[Trip], verdicts: list[list[float]]) -> None:
    """Calls without end; a verdict stands at the time of its send until the server has counted."""
    for trip in schedule:
        await asyncio.sleep(trip.pause)
        with await ledger.draw("x", 1) as permit:
            permit.spend()
            verdict = [clock.mono(), clock.mono() + trip.seconds * trip.share]
            verdicts.append(verdict)
            await asyncio.sleep(trip.seconds)
            if trip.status is not None:
                permit.answered(trip.status, {})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    limits=limits,
    schedule=st.lists(trips, min_size=1, max_size=12),
    callers=st.integers(1, 8),
    lives=st.lists(st.floats(0.001, 8), min_size=1, max_size=5),
    pauses=st.lists(st.floats(0, 1.5), min_size=1, max_size=3),
    set_by=settings_of_the_clock,
)
@pytest.mark.timeout(60)
def test_no_window_at_the_server_ever_holds_more_than_its_limit(
    limits: tuple[Limit, ...],
    schedule: list[Trip],
    callers: int,
    lives: list[float],
    pauses: list[float],
    set_by: list[float | None],
) -> None:
    """Wherever in the round trip it counts, with the process killed and started again at once, time after time, and
    whatever the clock of the machine says."""

    async def main(folder: Path) -> list[float]:
        clock, endless, pause, ahead = VirtualClock(), cycle(schedule), cycle(pauses), cycle(set_by)
        counted: list[float] = []
        journal = folder / "0"
        for number, life in enumerate(lives, 1):
            ledger = Ledger.open(journal, clock, 4)
            ledger.declare("x", "id", limits)
            verdicts: list[list[float]] = []
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(_calls(ledger, clock, endless, verdicts)) for _ in range(callers)]
                await asyncio.sleep(life / 2)
                clock.ahead += next(ahead) or 0.0
                await asyncio.sleep(life / 2)
                killed = clock.mono()
                journal = Path(
                    shutil.copy(journal, folder / str(number))
                )  # what comes after the kill was never written
                for task in running:
                    task.cancel()
            ledger.close()
            # A round trip that the kill cuts ends with it.
            counted += [min(at, killed) for _, at in verdicts]
            await asyncio.sleep(next(pause))
            set_clock(clock, next(ahead))
        return sorted(counted)

    with tempfile.TemporaryDirectory() as folder:
        counted = run(main(Path(folder)))
    for limit in limits:
        windows = zip(counted, counted[limit.count :], strict=False)
        assert all(later - first > limit.seconds for first, later in windows)
