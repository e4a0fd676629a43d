import asyncio

from collector.dispatch.breaker import PROBE_EVERY, TRIPS_AT, Breaker


async def test_it_opens_after_some_failures_in_a_row_and_a_good_answer_closes_it() -> None:
    """Only an unbroken row of failures opens it; one good answer closes it at once."""
    breaker = Breaker("http://api")
    for _ in range(TRIPS_AT - 1):
        assert not breaker.fault()
    breaker.good()
    assert [breaker.fault() for _ in range(TRIPS_AT)] == [False] * (TRIPS_AT - 1) + [True]
    assert not breaker.claim()
    breaker.good()
    assert breaker.claim()


async def test_an_open_breaker_lets_one_probe_through_each_five_seconds() -> None:
    """While it is open, however many ask, only one may go at its time."""
    loop = asyncio.get_running_loop()
    breaker = Breaker("http://api")
    for _ in range(TRIPS_AT):
        breaker.fault()
    now = loop.time()
    clock = iter([now + 0.1, now + PROBE_EVERY + 0.1, now + PROBE_EVERY + 0.2, now + 2 * PROBE_EVERY + 0.2])
    assert [breaker.claim(at) for at in clock] == [False, True, False, True]


async def test_who_waits_for_an_open_breaker_goes_on_when_it_closes() -> None:
    """A good probe wakes everybody at once."""
    breaker = Breaker("http://api")
    for _ in range(TRIPS_AT):
        breaker.fault()
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(breaker.passable()) for _ in range(5)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        breaker.good()
