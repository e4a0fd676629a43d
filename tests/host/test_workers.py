"""Threads for functions: how many there are, what they take in one go, and what they leave to others."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from queue import SimpleQueue

import pytest

from collector.errors import NoThread
from collector.host.workers import Workers


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    yield (made := Workers())
    made.close()


class Held:
    """Threads that the machine has not begun yet."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self._start = threading.Thread.start

    def begin(self) -> threading.Thread:
        """It begins the next of them."""
        self._start(thread := self.threads.pop(0))
        return thread


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    """No thread begins by itself."""
    made = Held()
    monkeypatch.setattr(threading.Thread, "start", lambda thread: made.threads.append(thread))
    yield made
    while made.threads:
        made.begin()


async def done(workers: Workers, work: Callable[[], object], times: int) -> list[object]:
    """What work came to that was begun so often at once."""
    with ExitStack() as seats:
        futures = []
        for number in range(times):
            seat = seats.enter_context(await workers.seat("made", times))
            futures.append(seat.begin(str(number), work))
        return [await future for future in futures]


async def test_one_thread_does_what_is_ready(workers: Workers, held: Held) -> None:
    """A change of threads for each would cost more than quick work itself; one more at most is called meanwhile."""
    with ExitStack() as seats:
        futures = []
        for number in range(16):
            seat = seats.enter_context(await workers.seat("made", 16))
            futures.append(seat.begin(str(number), threading.get_ident))
        [_] = held.threads
        thread = held.begin()
        assert {await future for future in futures} == {thread.ident}
        assert len(held.threads) == 1


async def test_slow_work_holds_up_nobody(workers: Workers) -> None:
    """What is ready behind it is taken by other threads, all of it at once where there are seats."""
    together = threading.Barrier(8)
    for _ in range(20):
        assert sorted(map(str, await done(workers, together.wait, 8))) == [*"01234567"]


async def test_work_that_no_thread_has_begun_is_taken_back(workers: Workers, held: Held) -> None:
    """It is never done, and its seat is free."""
    begun: list[str] = []
    with await workers.seat("made", 1) as seat:
        seat.begin("a", lambda: begun.append("a"))
        assert seat.withdraw()
        assert not seat.withdraw()
        assert workers.left() == {}
    with await workers.seat("made", 1) as seat:
        future = seat.begin("b", lambda: begun.append("b"))
        held.begin()
        await future
    assert begun == ["b"]


async def test_work_that_was_begun_is_not(workers: Workers) -> None:
    """Its seat stays taken until its thread has ended."""
    came, go = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def wait() -> None:
        loop.call_soon_threadsafe(came.set)
        go.wait()

    with await workers.seat("made", 1) as seat:
        seat.begin("a", wait)
        await came.wait()
        assert not seat.withdraw()
    assert workers.kept_for("made", "a")
    assert workers.kept() == workers.left() == {"made": ["a"]}
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await workers.seat("made", 1)
    go.set()
    with await workers.seat("made", 1):
        assert workers.kept() == workers.left() == {}
        assert not workers.kept_for("made", "a")


async def test_where_no_further_thread_can_begin_those_there_are_do_it(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine may have none left."""
    begin = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    for _ in range(20):
        assert len(await done(workers, threading.get_ident, 8)) == 8


async def test_where_no_thread_can_begin_nothing_is_left_of_the_work(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not done later, for nobody; and its seat is free."""

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    begun: list[str] = []
    with monkeypatch.context() as patch, await workers.seat("made", 1) as seat:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(NoThread):
            seat.begin("a", lambda: begun.append("a"))
        assert workers.left() == {}
    with await workers.seat("made", 1) as seat:
        await seat.begin("b", lambda: begun.append("b"))
    assert begun == ["b"]


async def test_a_thread_that_ends_its_work_after_the_close_ends_too(workers: Workers) -> None:
    """None waits for work that will never come."""
    threads: SimpleQueue[threading.Thread] = SimpleQueue()
    go = threading.Event()

    def wait() -> None:
        threads.put(threading.current_thread())
        go.wait()

    with await workers.seat("made", 1) as seat:
        ended = seat.begin("a", wait)
        thread = await asyncio.to_thread(threads.get)
        workers.close()
        go.set()
        await ended
    await asyncio.to_thread(thread.join, 5.0)
    assert not thread.is_alive()
