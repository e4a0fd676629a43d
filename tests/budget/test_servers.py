"""Whole runs against simulated limiters: never a 429, and no window left unused."""

import asyncio
from pathlib import Path

import pytest

from collector.budget.ledger import Ledger
from collector.budget.limit import Limit
from tests.budget.servers import Server, collect
from tests.budget.virtual import VirtualClock, run

NINE = (Limit(90, 9.0),)


def ledger_at(path: Path, clock: VirtualClock, limits: tuple[Limit, ...] = NINE) -> Ledger:
    ledger = Ledger.open(path, clock, 16)
    ledger.declare("x", "id", limits)
    return ledger


@pytest.mark.parametrize("skew", [-7.0, 0.0, 0.35, 7.0])
@pytest.mark.parametrize(("limit", "seconds", "style"), [
    (90, 9.0, "x"), (90, 9.0, "floor"), (90, 9.0, "left"), (900, 900.0, "x"), (30, 1.0, "x"), (5, 60.0, "x"),
])  # fmt: skip
def test_a_fixed_window_is_spent_whole_and_never_beyond(
    path: Path, limit: int, seconds: float, style: str, skew: float
) -> None:
    """Its headers are in whole seconds of a clock that is seconds off ours; a round trip a window is the price."""

    async def main() -> Server:
        clock = VirtualClock()
        ledger = ledger_at(path, clock, (Limit(limit, seconds),))
        server = Server(clock, limit, seconds, style=style, skew=skew)
        await collect(ledger, server, 4 * limit)
        return server

    server = run(main())
    assert server.refused == 0
    assert server.steady() >= min(0.99, 1 - 0.1 / seconds)


@pytest.mark.parametrize("skew", [-7.0, 0.0, 0.35, 7.0])
@pytest.mark.parametrize("kind", ["clock", "moving", "swc"])
@pytest.mark.parametrize("style", ["x", "silent"])
def test_other_windows_are_used_to_98_percent(path: Path, kind: str, style: str, skew: float) -> None:
    """Windows of the server's clock and sliding ones, with headers and without."""

    async def main() -> Server:
        clock = VirtualClock()
        server = Server(clock, kind=kind, style=style, skew=skew)
        await collect(ledger_at(path, clock), server, 360)
        return server

    server = run(main())
    assert server.refused == 0
    assert server.steady() >= 0.98


@pytest.mark.parametrize(
    ("limit", "seconds", "least"), [(2, 1.0, 0.92), (3, 1.0, 0.93), (10, 2.0, 0.96), (20, 5.0, 0.98)]
)
@pytest.mark.parametrize("kind", ["fixed", "clock", "moving", "swc"])
def test_a_small_limit_without_headers_loses_a_round_trip_a_window_and_little_more(
    path: Path, limit: int, seconds: float, least: float, kind: str
) -> None:
    """What the own log takes, and a share for timers; at whatever moment of the server's window it begins."""
    for tenth in range(0, 10, 3):

        async def main(tenth: int = tenth) -> Server:
            clock = VirtualClock()
            await asyncio.sleep(tenth * seconds / 10)
            server = Server(clock, limit, seconds, kind=kind, style="silent")
            ledger = Ledger.open(path.with_name(f"{tenth}"), clock, 16)
            ledger.declare("x", "id", (Limit(limit, seconds),))
            await collect(ledger, server, 12 * limit)
            return server

        server = run(main())
        assert server.refused == 0
        assert server.steady() >= least


@pytest.mark.parametrize("at", [0.2, 3.0, 8.8])
@pytest.mark.parametrize("calls", [40, 90])
@pytest.mark.parametrize("kind", ["fixed", "clock", "moving", "swc"])
def test_a_kill_in_a_window_or_at_its_end_brings_no_429(path: Path, kind: str, calls: int, at: float) -> None:
    """What is left is asked anew, by one call alone, and not before a slot of the own log is free."""

    async def main() -> Server:
        clock = VirtualClock()
        server = Server(clock, kind=kind)
        await asyncio.sleep(9.0 - server.now % 9.0 + at)
        await collect(ledger_at(path, clock), server, calls)
        await asyncio.sleep(1.0)
        await collect(ledger_at(path, clock), server, 200)
        return server

    server = run(main())
    assert server.refused == 0
    assert len(server.granted) == calls + 200


def test_a_source_without_a_limit_learns_it(path: Path) -> None:
    """Count and length come from the headers, and are shown."""

    async def main() -> Server:
        clock = VirtualClock()
        ledger = ledger_at(path, clock, ())
        server = Server(clock)
        await collect(ledger, server, 360)
        window = ledger.windows()["x"][0]
        assert window.limit == 90
        assert 9.0 <= window.window_s <= 11.0
        return server

    server = run(main())
    assert server.refused == 0
    assert server.granted[-1] - server.granted[0] < 34


def test_a_spent_window_of_a_learnt_limit_holds_over_a_kill(path: Path) -> None:
    """The calls of such a source are not written down, but the end of its wait is."""

    async def main() -> Server:
        clock = VirtualClock()
        server = Server(clock)
        for _ in range(3):
            await collect(ledger_at(path, clock, ()), server, 90)
        return server

    assert run(main()).refused == 0


@pytest.mark.parametrize(("remaining", "left"), [(700, 90), (40, 90)])
def test_headers_that_name_no_limit_never_give_more_than_ours(path: Path, remaining: int, left: int) -> None:
    """What remains of who knows what only holds back."""

    async def main() -> None:
        clock = VirtualClock()
        ledger = ledger_at(path, clock)
        times = []
        for _ in range(200):
            with await ledger.draw("x", 1) as permit:
                permit.spend()
                await asyncio.sleep(0.03)
                permit.answered(200, {"x-ratelimit-remaining": str(remaining), "x-ratelimit-reset": "5"})
                times.append(clock.mono())
        assert all(later - first > 9.0 for first, later in zip(times, times[left:], strict=False))

    run(main())


@pytest.mark.parametrize("policy", [True, False])
def test_a_stricter_limit_of_the_server_holds(path: Path, policy: bool) -> None:
    """The declaration is the most that is sent, and the headers may say less."""

    async def main() -> Server:
        clock = VirtualClock()
        server = Server(clock, limit=60, policy=policy)
        ledger = ledger_at(path, clock)
        await collect(ledger, server, 240)
        assert ledger.windows()["x"][0].limit == 60
        return server

    server = run(main())
    assert server.refused == 0
    assert server.steady() >= 0.99


def test_a_laxer_limit_of_the_server_changes_nothing(path: Path) -> None:
    """Who declares half of it gets half of it in any window."""

    async def main() -> Server:
        clock = VirtualClock()
        server = Server(clock, limit=180)
        await collect(ledger_at(path, clock), server, 360)
        return server

    times = run(main()).granted
    assert all(later - first > 9.0 for first, later in zip(times, times[90:], strict=False))


def test_headers_that_cease_leave_the_own_log(path: Path) -> None:
    """After twenty answers without, the calls are spread; when they come again, they are believed again."""

    async def main() -> Server:
        clock = VirtualClock()
        ledger, server = ledger_at(path, clock), Server(clock)
        for style, calls in (("x", 120), ("silent", 200), ("x", 200)):
            server.style = style
            await collect(ledger, server, calls)
        return server

    assert run(main()).refused == 0


@pytest.mark.parametrize("every", [0.25, 1.0])
@pytest.mark.parametrize("kind", ["fixed", "clock", "moving"])
def test_another_user_of_the_key_is_left_a_reserve(path: Path, kind: str, every: float) -> None:
    """Now and then a call of theirs, and still next to no 429."""

    async def main() -> Server:
        clock = VirtualClock()
        server = Server(clock, kind=kind)

        async def other() -> None:
            while True:
                server.count()
                await asyncio.sleep(every)

        async with asyncio.TaskGroup() as tasks:
            user = tasks.create_task(other())
            await collect(ledger_at(path, clock), server, 360)
            user.cancel()
        return server

    server = run(main())
    assert server.refused <= 2
    assert server.granted[-1] - server.granted[0] < 9.0 * 360 / (90 - 9.0 / every) + 12


@pytest.mark.parametrize(("limit", "seconds", "least"), [(40, 5.0, 0.98), (600, 60.0, 0.99), (900, 900.0, 0.99)])
@pytest.mark.parametrize("style", ["x", "left"])
def test_a_window_that_slides_over_each_call_is_followed_by_our_own_log(
    path: Path, limit: int, seconds: float, least: float, style: str
) -> None:
    """Its resets are those of single calls, and what is left at the turn is little: it is no counter that slides."""

    async def main() -> Server:
        clock = VirtualClock()
        ledger = ledger_at(path, clock, (Limit(limit, seconds),))
        server = Server(clock, limit, seconds, kind="moving", style=style)
        await collect(ledger, server, 3 * limit)
        return server

    server = run(main())
    assert server.refused == 0
    assert server.granted[-1] - server.granted[0] <= 2 * seconds / least + 2


@pytest.mark.parametrize("before", [0.02, 0.04, 0.06, 0.1, 8.9, 8.95])
@pytest.mark.parametrize("style", ["x", "left"])
def test_a_burst_across_the_turn_of_a_counter_that_slides_brings_no_429(path: Path, before: float, style: str) -> None:
    """It fills two of the server's windows at once, and our own log lets go of it long before the server does."""

    async def main() -> Server:
        clock = VirtualClock()
        server = Server(clock, kind="swc", style=style)
        await asyncio.sleep(9.0 - server.now % 9.0 + 9.0 - before)
        await collect(ledger_at(path, clock), server, 270)
        return server

    assert run(main()).refused == 0


@pytest.mark.parametrize(("kind", "most"), [("fixed", 29.0), ("clock", 29.0), ("moving", 30.0), ("swc", 36.0)])
def test_a_server_that_answers_in_turn_is_no_other_client(path: Path, kind: str, most: float) -> None:
    """A burst that takes a second comes back as one, and is neither spread for good nor taken for somebody else's."""

    async def main() -> Server:
        clock = VirtualClock()
        server = Server(clock, kind=kind, one_at_a_time=0.01)
        await asyncio.sleep(4.0)
        await collect(ledger_at(path, clock), server, 360)
        return server

    server = run(main())
    assert server.refused == 0
    assert server.granted[-1] - server.granted[0] <= most


@pytest.mark.parametrize("lost", [0.5, 0.95])
@pytest.mark.parametrize("kind", ["fixed", "clock", "moving"])
@pytest.mark.parametrize(("limit", "seconds"), [(90, 9.0), (32, 413.0), (780, 88.0)])
def test_answers_that_lost_their_headers_are_not_taken_for_room(
    path: Path, limit: int, seconds: float, kind: str, lost: float
) -> None:
    """What they counted is subtracted from what the next header says, and at the turn they let nobody out."""

    async def main() -> Server:
        clock = VirtualClock()
        server = Server(clock, limit, seconds, kind=kind, lost=lost)
        await asyncio.sleep(seconds / 3)
        await collect(ledger_at(path, clock, (Limit(limit, seconds),)), server, 3 * limit)
        return server

    assert run(main()).refused == 0


def test_an_answer_that_took_seconds_is_no_new_window(path: Path) -> None:
    """Its seconds to the reset were true when they were written."""

    async def main() -> Server:
        clock = VirtualClock()
        server = Server(clock, 40, 60.0, style="left", one_at_a_time=0.4)
        await collect(ledger_at(path, clock, (Limit(40, 60.0),)), server, 100)
        return server

    assert run(main()).refused == 0
