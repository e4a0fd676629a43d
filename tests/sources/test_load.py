"""How much of answers is in memory at once."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from collector.sources.load import LARGE, Load
from collector.store.items import page_size
from tests.sources.wire import ask, wire

BIG = b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"%s"' % (2 * LARGE + 2, b"x" * 2 * LARGE)


async def test_what_does_not_fit_waits_for_its_turn_until_others_are_gone() -> None:
    """In order; nothing overtakes one that waits, so that none waits for ever."""
    load, came = Load(10), list[str]()

    async def fit(name: str, size: int) -> None:
        await load.fits(size)
        came.append(name)

    async with asyncio.TaskGroup() as group:
        for name, size in (("a", 6), ("b", 5), ("c", 1)):
            group.create_task(fit(name, size))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert came == ["a"]
        load.release(6)
    assert came == ["a", "b", "c"]


async def test_one_that_is_too_large_goes_alone() -> None:
    """It is within `max_bytes`, so it is wanted."""
    load = Load(10)
    await load.fits(99)
    load.release(99)
    await load.fits(10)


async def test_a_large_answer_waits_for_room_and_its_time_out_stands_still_meanwhile() -> None:
    """The wait is ours: it must not read as an API that does not answer."""
    async with wire(BIG) as server:
        client = server.client(timeout="300ms")
        client.load = Load(3 * LARGE)
        client.load.hold(3 * LARGE)
        loop = asyncio.get_running_loop()
        began = loop.time()
        loop.call_later(0.6, client.load.release, 3 * LARGE)
        got = await ask(client)
        assert loop.time() - began > 0.5
        assert len(got.body) == 2 * LARGE + 2
        assert client.load.held == 0


@given(st.lists(st.integers(0, 32_000_000), max_size=500))
def test_a_page_of_stored_objects_grows_slowly_and_goes_by_the_largest(lengths: list[int]) -> None:
    """Twenty objects of 20 MB in a first page would be 400 MB."""
    most = page_size(lengths)
    assert 1 <= most <= max(2, min(500, 4 * len(lengths)))
    assert not lengths or most == 1 or most * max(lengths) <= 4_000_000
