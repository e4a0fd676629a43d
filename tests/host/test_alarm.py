"""A timer that is set again and again."""

import asyncio

from collector.host.alarm import Alarm

NEVER = 1_000.0  # seconds


class Bell:
    """An alarm, and when it rang in loop time."""

    def __init__(self) -> None:
        self.rang: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.alarm = Alarm(lambda: self.rang.set_result(asyncio.get_running_loop().time()))


async def test_it_rings_at_the_moment_that_it_was_set_to_last() -> None:
    """Whether that is later than the first or sooner."""
    now = asyncio.get_running_loop().time()
    for moments in ([0.02], [0.01, 0.05], [NEVER, 0.02], [0.01, None, 0.03]):
        bell = Bell()
        for moment in moments:
            bell.alarm.set(moment and now + moment)
        assert await bell.rang >= now + (moments[-1] or 0) - 0.002


async def test_what_was_dropped_does_not_ring() -> None:
    """Nor what was closed."""
    now = asyncio.get_running_loop().time()
    dropped, closed, other = Bell(), Bell(), Bell()
    dropped.alarm.set(now + 0.01)
    dropped.alarm.set(None)
    closed.alarm.set(now + 0.01)
    closed.alarm.close()
    other.alarm.set(now + 0.03)
    await other.rang
    assert not dropped.rang.done()
    assert not closed.rang.done()
