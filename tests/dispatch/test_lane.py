"""The queue of a lane: who is woken for a call, and who has to wait."""

import asyncio

import pytest

from collector.dispatch.lane import Calls
from collector.model import Call


def call(key: str) -> Call:
    return Call("posts", (), (key,))


class Takers:
    """Consumers of a queue: what they took, and how often one had its turn."""

    def __init__(self, calls: Calls, most: int, *, quick: bool) -> None:
        self.took: list[tuple[int, str]] = []
        self._calls, self._quick = calls, quick
        self.tasks = [asyncio.get_running_loop().create_task(self._take(number)) for number in range(most)]

    async def _take(self, number: int) -> None:
        while True:
            self.took.append((number, (await self._calls.get()).keys[0]))
            if not self._quick:
                await asyncio.Event().wait()

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)


async def turns(most: int = 20) -> None:
    for _ in range(most):
        await asyncio.sleep(0)


async def test_a_quick_consumer_takes_all_there_are() -> None:
    """In order; the others stay asleep, but for the one that was sent for."""
    takers = Takers(calls := Calls(8), 4, quick=True)
    await turns()
    for number in range(8):
        await calls.put(call(str(number)))
    await turns()
    assert takers.took == [(0, str(number)) for number in range(8)]
    await takers.end()


async def test_slow_consumers_take_one_each() -> None:
    """As many as there are work at once."""
    takers = Takers(calls := Calls(8), 4, quick=False)
    await turns()
    for number in range(6):
        await calls.put(call(str(number)))
    await turns()
    assert takers.took == [(number, str(number)) for number in range(4)]
    assert not calls.empty()
    await takers.end()


async def test_the_feeder_waits_while_it_is_full() -> None:
    """Until one is taken."""
    calls = Calls(1)
    await calls.put(call("1"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await calls.put(call("2"))
    waiting = asyncio.get_running_loop().create_task(calls.put(call("3")))
    await turns()
    assert (await calls.get()).keys == ("1",)
    await waiting
    assert calls.get_nowait().keys == ("3",)
    assert calls.empty()


@pytest.mark.parametrize("is_on_its_way", [False, True])
async def test_a_consumer_that_is_cancelled_takes_nothing_with_it(is_on_its_way: bool) -> None:
    """Whether it only waits or was sent for: the next one comes."""
    takers = Takers(calls := Calls(8), 2, quick=False)
    await turns()
    if is_on_its_way:
        await calls.put(call("1"))
        takers.tasks[0].cancel()
    else:
        takers.tasks[0].cancel()
        await calls.put(call("1"))
    await turns()
    assert takers.took == [(1, "1")]
    await takers.end()
