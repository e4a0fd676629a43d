"""The pace, its margin and its limiter."""

import asyncio

import pytest

from collector.budget.limit import Limit
from collector.budget.pace import Pace, interval
from tests.budget.virtual import VirtualClock, run


@pytest.mark.parametrize(
    ("limit", "round_trip", "expected"),
    [
        (Limit(90, 9.0), 0.035, 9.0 / (90 - 0.65)),
        (Limit(90, 9.0), 0.0, 9.0 / (90 - 0.3)),
        (Limit(3, 1.0), 0.035, 1.0 / (3 - 0.105 - 0.045)),
        (Limit(90, 9.0), 5.0, 9.0 / 89),
        (Limit(2, 1.0), 9.0, 1.0),
        (Limit(1, 1.0), 0.03, 0.0),
        (Limit(10_000, 86_400.0), 0.03, 0.0),
    ],
)
def test_calls_are_spread_over_the_window(limit: Limit, round_trip: float, expected: float) -> None:
    """A little slower than W/L; never for a window of one call, nor for one of more than an hour."""
    assert interval(limit, round_trip) == pytest.approx(expected, rel=1e-9)


def test_the_slowest_window_sets_the_pace() -> None:
    """A source may have several limits."""
    pace = Pace(VirtualClock())
    pace.fit((Limit(10, 1.0), Limit(60, 60.0)))
    assert pace.every == interval(Limit(60, 60.0), 0.0)


def test_eleven_tokens_come_at_the_pace() -> None:
    """The first at once, then one an interval."""

    async def main() -> None:
        clock = VirtualClock()
        pace = Pace(clock)
        pace.fit((Limit(10, 10.0),))
        began, times = clock.mono(), []
        for _ in range(11):
            await pace.token()
            times.append((clock.mono() - began) / pace.every)
        assert times == pytest.approx([0, *range(1, 11)], abs=1e-3)

    run(main())


def test_a_fast_pace_is_kept_by_late_timers() -> None:
    """A thousand a second, though the loop looks only each 10 ms."""

    async def main() -> None:
        pace = Pace(VirtualClock())
        pace.fit((Limit(1_000, 1.0),))
        await pace.token()
        tokens = 0
        for _ in range(100):
            await asyncio.sleep(0.01)
            while pace.at_once():
                await pace.token()
                tokens += 1
        assert 970 <= tokens <= 1_000

    run(main())


def test_another_pace_never_gives_two_tokens_for_one() -> None:
    """A new limiter begins as empty as the old one was."""

    async def main() -> None:
        clock = VirtualClock()
        pace = Pace(clock)
        pace.fit((Limit(10, 10.0),))
        await pace.token()
        began = clock.mono()
        pace.refused()
        await pace.token()
        assert clock.mono() - began >= 0.99 * pace.every

    run(main())


def test_who_waits_for_a_token_hears_of_other_limits() -> None:
    """A reload applies at once, however long the pace was."""

    async def main() -> None:
        clock = VirtualClock()
        pace = Pace(clock)
        pace.fit((Limit(2, 3600.0),))
        await pace.token()
        pace.spent()
        began = clock.mono()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(pace.token())
            await asyncio.sleep(1)
            pace.fit(())
        assert clock.mono() - began < 2
        assert pace.fresh()

    run(main())


def test_a_refusal_widens_the_margin_and_clean_answers_narrow_it() -> None:
    """By 3 % up to threefold, and by 2 % for each two windows of clean answers, never below the pace proper."""
    pace = Pace(VirtualClock())
    pace.fit((Limit(10, 10.0),))
    pace.refused()
    assert pace.margin == pytest.approx(1.03)
    for _ in range(20):
        pace.clean()
    assert pace.margin == pytest.approx(1.03 * 0.98)
    for _ in range(200):
        pace.refused()
    assert pace.margin == 3.0
    for _ in range(20 * 80):
        pace.clean()
    assert pace.margin == 1.0
