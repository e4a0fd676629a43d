"""The finish times are remembered for a moment, and never longer than what they are about."""

import pytest

from collector.clock import Clock
from collector.model import BatchState, Live, SourceLive
from collector.output.finish import Finish, Work
from collector.output.recent import Finishes
from collector.store.store import Store
from tests.output.given import SPECS, live, taken_in


class Ticking(Clock):
    """A clock that goes on by a hundredth of a second at each look."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def wall(self) -> float:
        return 1_800_000_000.0 + self.now

    def mono(self) -> float:
        self.now += 0.01
        return self.now


class Asking:
    """Asks for the finish times of what a store owes, and counts how often that was looked up."""

    def __init__(self, store: Store) -> None:
        self.store, self.clock, self.looked = store, Ticking(), 0
        self.finishes = Finishes(self.clock)

    def ask(self, state: Live | None = None) -> Finish:
        return self.finishes.now(self.store.batches.ongoing(), self._works, state or live(), SPECS)

    def _works(self) -> list[Work]:
        self.looked += 1
        return [
            Work(batch.id, batch.source, self.store.books.open_in(batch.id), 0)
            for batch in self.store.batches.ongoing()
        ]


@pytest.fixture
async def asking(store: Store) -> Asking:
    await taken_in(store, ["1", "2"])
    return Asking(store)


async def test_a_forecast_takes_a_fiftieth_of_the_time(asking: Asking) -> None:
    """One that took a hundredth of a second is told again for half a second, to whoever asks."""
    for _ in range(40):
        asking.ask()
    assert asking.looked == 1
    asking.clock.now += 0.5
    asking.ask()
    assert asking.looked == 2


async def test_a_forecast_that_took_very_long_is_not_told_for_minutes(asking: Asking) -> None:
    """A machine that stood still for a minute does not keep its finish times for an hour."""
    works = asking._works

    def slow() -> list[Work]:
        asking.clock.now += 60
        return works()

    asking.finishes.now(asking.store.batches.ongoing(), slow, live(), SPECS)
    asking.clock.now += 6
    asking.ask()
    assert asking.looked == 2


async def test_a_source_that_stops_has_no_finish_time_at_once(asking: Asking) -> None:
    """What was told before is not told again."""
    assert asking.ask().whole
    assert asking.ask(live(sources={"posts": SourceLive("stopped", "the key is refused")})).whole is None
    assert asking.ask().whole


async def test_another_batch_has_its_finish_time_at_once(asking: Asking) -> None:
    """And so has everything with it."""
    before = asking.ask()
    batch = await taken_in(asking.store, ["3"])
    assert batch.state is BatchState.OPEN
    assert batch.id not in before.batches
    assert batch.id in asking.ask().batches
