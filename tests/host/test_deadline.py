"""Time-outs that share a timer."""

import asyncio

import pytest

from collector.host.deadline import Deadlines

SHORT = 0.05


async def test_what_takes_too_long_is_broken_off_and_its_task_lives_on() -> None:
    """As with asyncio.timeout, whoever is in it gets a TimeoutError and is not cancelled any more."""
    deadlines = Deadlines()
    for _ in range(2):  # the second one needs a new timer
        with pytest.raises(TimeoutError), deadlines.within(SHORT):
            await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_those_behind_one_that_ended_run_out_at_their_own_time() -> None:
    """A timer that was set for one that ended long ago goes on to the next."""
    deadlines, clock = Deadlines(), asyncio.get_running_loop().time

    async def one(pause: float) -> float:
        await asyncio.sleep(pause)
        began = clock()
        with pytest.raises(TimeoutError), deadlines.within(4 * SHORT):
            await asyncio.Event().wait()
        return clock() - began

    with deadlines.within(4 * SHORT):
        pass
    assert min(await asyncio.gather(*(one(place * SHORT) for place in range(4)))) >= 4 * SHORT - 0.002


async def test_one_that_stands_still_has_all_its_time_left() -> None:
    """Even where it stood still for longer than it has; and twice at once."""
    deadlines, clock = Deadlines(), asyncio.get_running_loop().time

    async def stands_still() -> None:
        with deadlines.within(SHORT) as deadline:
            with deadline.stopped(), deadline.stopped():
                await asyncio.sleep(3 * SHORT)
            began.append(clock())
            await asyncio.Event().wait()

    began: list[float] = []
    with pytest.raises(TimeoutError):
        await stands_still()
    assert clock() - began[0] >= SHORT - 0.01


async def test_waits_that_overlap_are_one() -> None:
    """Whoever begins to wait while it stands still takes nothing of its time."""
    deadlines, clock = Deadlines(), asyncio.get_running_loop().time
    with deadlines.within(60.0) as deadline:
        began = clock()
        first, second = deadline.stopped(), deadline.stopped()
        first.__enter__()
        await asyncio.sleep(2 * SHORT)
        second.__enter__()
        first.__exit__(None, None, None)
        await asyncio.sleep(2 * SHORT)
        second.__exit__(None, None, None)
        assert deadline.end - began >= 60.0 + 4 * SHORT - 0.01


async def test_who_waits_behind_it_is_not_broken_off_after_its_end() -> None:
    """A wait that outlives the context sets no timer for a task that has gone on."""
    deadlines = Deadlines()
    with deadlines.within(SHORT) as deadline:
        standing = deadline.stopped()
        standing.__enter__()
    standing.__exit__(None, None, None)
    await asyncio.sleep(2 * SHORT)


async def test_a_cancel_from_outside_stays_one() -> None:
    """Also where its time runs out in the same moment."""
    deadlines, inside = Deadlines(), asyncio.Event()

    async def waits() -> None:
        with deadlines.within(60.0) as deadline:
            inside.set()
            try:
                await asyncio.Event().wait()
            finally:
                deadline.run_out()

    task = asyncio.create_task(waits())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_within_is_not_replaced() -> None:
    """A TimeoutError says that the time is over, and nothing else."""
    with pytest.raises(ValueError, match="own"), Deadlines().within(60.0):
        raise ValueError("own")
