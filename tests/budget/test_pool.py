"""Limits in items and units, limits by a clock and budgets that several sources share, in virtual time."""

import asyncio
import math
import shutil
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.budget.freeze import Signal
from collector.budget.ledger import Ledger
from collector.budget.limit import Limit
from collector.errors import NoPermit
from tests.budget.scene import play
from tests.budget.servers import Server
from tests.budget.setting import set_clock, settings_of_the_clock, while_running
from tests.budget.virtual import EPOCH, VirtualClock, run

MONEY = (Limit.parse("3000000 items/30d"),)
HUNDRED = (Limit.parse("100 items/1h"),)


async def ask(ledger: Ledger, source: str, keys: int = 1, items: int | None = None, status: int = 200) -> Signal:
    """One call with a round trip of 30 ms that brings so many objects."""
    with await ledger.draw(source, keys, keys) as permit:
        permit.spend()
        await asyncio.sleep(0.03)
        signal = permit.answered(status, {})
        permit.returned(keys if items is None else items)
        return signal


def test_a_money_budget_is_never_paced(path: Path) -> None:
    """350,000 IDs in packs of 100 go in the first window of the calls, beside a budget of three million a month."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.share("money", MONEY)
        ledger.declare("x", "id", (Limit(3500, 900.0),), budget="money")
        server = Server(clock, 3500, 900.0)
        began, left = clock.mono(), iter(range(3500))

        async def caller() -> None:
            for _ in left:
                with await ledger.draw("x", 100, 100) as permit:
                    permit.spend()
                    status, headers = await server.visit()
                    assert permit.answered(status, headers) is Signal.GO
                    permit.returned(95)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(16):
                tasks.create_task(caller())
        assert server.refused == 0
        assert clock.mono() - began < 15
        [money] = ledger.windows()["money"]
        assert (money.used, money.left, money.unit) == (332_500, 2_667_500, "items")

    play(path, scene)


def test_one_source_waits_an_hour_and_another_of_the_same_budget_runs_at_full_rate(path: Path) -> None:
    """A call that waits for windows of its own holds nothing of the shared one."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.share("both", (Limit.parse("1000000 items/1d"),))
        ledger.declare("slow", "1", (Limit(1, 3600.0),), budget="both")
        ledger.declare("fast", "2", (), budget="both")
        await ask(ledger, "slow", 100)
        waiting = asyncio.create_task(ask(ledger, "slow", 100))
        await asyncio.sleep(0)
        began = clock.mono()
        for _ in range(1000):
            await ask(ledger, "fast", 100)
        assert clock.mono() - began < 1000 * 0.031
        [wait] = ledger.waits()
        assert (wait.budget, wait.sources, wait.window) == ("slow", ("slow",), "1 call in 1 h")
        await waiting
        assert clock.mono() - began > 3599

    play(path, scene)


def test_a_call_draws_from_all_windows_or_from_none(path: Path) -> None:
    """Where the shared budget has no room the call's own window stays whole."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.share("money", HUNDRED)
        ledger.declare("x", "1", (Limit(90, 9.0),), budget="money", plain=True)
        await ask(ledger, "x", 60)
        waiting = asyncio.create_task(ask(ledger, "x", 60))
        await asyncio.sleep(20)
        assert ledger.windows()["x"][0].used == 0
        [wait] = ledger.waits()
        assert (wait.budget, wait.jobs, wait.why, wait.window) == ("money", 60, "window spent", "100 items in 1 h")
        await waiting
        assert clock.mono() > 1000 + 3600

    play(path, scene)


def test_what_did_not_come_back_is_free_at_once(path: Path) -> None:
    """A call reserves the most that it can bring and settles what it brought; a refusal brings nothing."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "1", HUNDRED, per_call=50)
        with await ledger.draw("x", 1) as permit:
            permit.spend()
            assert ledger.windows()["x"][0].used == 50
            permit.answered(200, {})
            assert ledger.windows()["x"][0].used == 50
            permit.returned(7)
        assert ledger.windows()["x"][0].used == 7
        await ask(ledger, "x", status=500)
        assert ledger.windows()["x"][0].used == 7
        with await ledger.draw("x", 1):
            pass
        assert ledger.windows()["x"][0].used == 7

    play(path, scene)


def test_what_nobody_can_tell_counts_in_full(path: Path) -> None:
    """A broken connection and an answer that cannot be read may have been charged for; what came in excess was."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "1", HUNDRED)
        with await ledger.draw("x", 10, 10) as permit:
            permit.spend()
        with await ledger.draw("x", 10, 10) as permit:
            permit.spend()
            permit.answered(200, {})
        assert ledger.windows()["x"][0].used == 20
        await ask(ledger, "x", 10, items=30)
        assert ledger.windows()["x"][0].used == 50

    play(path, scene)


def test_what_never_left_costs_nothing(path: Path) -> None:
    """Where no connection comes about, nobody can have counted a call or charged for it; a kill changes nothing."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "1", (Limit(2, 60.0), Limit.parse("30 items/1h"), Limit.parse("9 units/1h")), cost=3)
        for _ in range(5):
            with await ledger.draw("x", 30, 30) as permit:
                permit.spend()
                permit.unsent()
        assert [window.used for window in ledger.windows()["x"]] == [0, 0, 0]
        assert ledger.calls_in_the_air == 0
        later = Ledger.open(path, clock, 4)
        later.declare("x", "1", (Limit(2, 60.0), Limit.parse("30 items/1h"), Limit.parse("9 units/1h")), cost=3)
        assert [window.used for window in later.windows()["x"]] == [0, 0, 0]

    play(path, scene)


def test_an_answer_that_brings_more_than_was_reserved_is_learnt_from(path: Path) -> None:
    """The next calls reserve as much, but no more than a part of what there is, and less when it was a single one."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "1", HUNDRED, plain=True)
        await ask(ledger, "x", items=20)
        with await ledger.draw("x", 1) as permit:
            permit.spend()
            assert ledger.windows()["x"][0].used == 40
            permit.answered(200, {})
            permit.returned(150)
        await asyncio.sleep(3700)
        began = clock.mono()
        for _ in range(75):
            await ask(ledger, "x", items=1)
        assert clock.mono() - began < 60

    play(path, scene)


def test_a_call_costs_its_units_whatever_is_answered(path: Path) -> None:
    """Quotas in units charge for refused requests too."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "1", (Limit.parse("20 units/1h"),), cost=5)
        for status in (200, 500, 404):
            await ask(ledger, "x", status=status)
        assert ledger.windows()["x"][0].used == 15

    play(path, scene)


def test_a_resend_is_charged_for_again(path: Path) -> None:
    """A redirect or a silent resend is one more call, and without room for it the call is broken off."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "1", (Limit.parse("25 items/1h"), Limit.parse("9 units/1h")), cost=3)
        with await ledger.draw("x", 10, 10) as permit:
            permit.spend()
            permit.spend()
            with pytest.raises(NoPermit):
                permit.spend()
        used = {window.unit: window.used for window in ledger.windows()["x"]}
        assert used == {"items": 20, "units": 6}

    play(path, scene)


def test_a_large_call_is_not_overtaken_for_ever_by_small_ones(path: Path) -> None:
    """Who waits for the shared budget is served in the order of coming."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.share("money", HUNDRED)
        ledger.declare("large", "1", (), budget="money")
        ledger.declare("small", "2", (), budget="money")
        for _ in range(100):
            await ask(ledger, "small", 1)
            await asyncio.sleep(10)
        order = []

        async def timed(source: str, keys: int) -> None:
            await ask(ledger, source, keys)
            order.append(source)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(timed("large", 40))
            await asyncio.sleep(0)
            for _ in range(5):
                tasks.create_task(timed("small", 1))
        assert order[0] == "large"

    play(path, scene)


def test_who_gives_up_waiting_stands_in_nobodys_way(path: Path) -> None:
    """A cancelled caller leaves the queue of the shared budget."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.share("money", HUNDRED)
        ledger.declare("large", "1", (), budget="money")
        ledger.declare("small", "2", (), budget="money")
        await ask(ledger, "small", 50)
        first = asyncio.create_task(ask(ledger, "large", 80))
        await asyncio.sleep(1)
        second = asyncio.create_task(ask(ledger, "small", 10))
        await asyncio.sleep(1)
        assert not second.done()
        first.cancel()
        await second
        assert clock.mono() < 1010

    play(path, scene)


def test_a_limit_that_headers_name_freezes_the_shared_budget_once_for_all(path: Path) -> None:
    """A 429 that speaks of the window of a `[budget]` stops every source of it; then one call alone tries."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.share("app", (Limit(500, 900.0),))
        ledger.declare("x", "1", (Limit(90, 900.0),), budget="app", plain=True)
        ledger.declare("y", "2", (), budget="app")
        spent = {"x-ratelimit-limit": "500", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "30"}
        with await ledger.draw("x", 1) as permit:
            permit.spend()
            assert permit.answered(429, spent) is Signal.WAIT
        began, landed = clock.mono(), list[float]()

        async def one(source: str) -> None:
            await ask(ledger, source)
            landed.append(clock.mono() - began)

        async with asyncio.TaskGroup() as tasks:
            for source in ("x", "y", "y"):
                tasks.create_task(one(source))
            await asyncio.sleep(1)
            [wait] = ledger.waits()
            assert (wait.budget, set(wait.sources), wait.jobs) == ("app", {"x", "y"}, 3)
        scout, *others = sorted(landed)
        assert scout > 30
        assert min(others) > scout

    play(path, scene)


def test_a_freeze_of_a_shared_budget_holds_over_a_kill(path: Path) -> None:
    """Until the reset that was told, whoever asks."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        spent = {"x-ratelimit-limit": "500", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "30"}
        for number in range(2):
            kept = Ledger.open(path.with_name("kept"), clock, 4)
            kept.share("app", (Limit(500, 900.0),))
            kept.declare("x", "1", (), budget="app")
            began = clock.mono()
            with await kept.draw("x", 1) as permit:
                permit.spend()
                permit.answered(429 if number == 0 else 200, spent if number == 0 else {})
        assert clock.mono() - began > 29

    play(path, scene)


def test_a_window_by_a_clock_opens_when_its_clock_says_so(path: Path) -> None:
    """A spent day is a wait with a known end, and no error; the server's clock may be seconds off."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "1", (Limit.parse("2/1d at 00:00 America/Los_Angeles"),))
        for _ in range(2):
            await ask(ledger, "x")
        waiting = asyncio.create_task(ask(ledger, "x"))
        await asyncio.sleep(1)
        [wait] = ledger.waits()
        await waiting
        midnight = datetime(2023, 11, 15, 8, tzinfo=UTC).timestamp()
        assert wait.until is not None
        assert 7 < wait.until - midnight < 60
        assert 7 < clock.wall() - midnight < 60

    play(path, scene)


def test_a_call_around_midnight_counts_in_both_days(path: Path) -> None:
    """Nobody can tell on which side of it the server's clock was."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        midnight = datetime(2023, 11, 15, tzinfo=UTC).timestamp()
        ledger.declare("x", "1", (Limit.parse("2/1d at 00:00 UTC"),))
        await asyncio.sleep(midnight - clock.wall() - 5)
        await ask(ledger, "x")
        await asyncio.sleep(100)
        assert ledger.windows()["x"][0].used == 1
        await asyncio.sleep(86_400)
        assert ledger.windows()["x"][0].used == 0

    play(path, scene)


def test_a_plain_window_without_headers_is_spent_at_once(path: Path) -> None:
    """Who declares that the server's windows are plain is not paced, and still never above the limit."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "1", (Limit(90, 9.0),), plain=True)
        server = Server(clock, style="silent")
        left = iter(range(180))

        async def caller() -> None:
            for _ in left:
                with await ledger.draw("x", 1) as permit:
                    permit.spend()
                    permit.answered(*await server.visit())

        async with asyncio.TaskGroup() as tasks:
            for _ in range(16):
                tasks.create_task(caller())
        assert server.refused == 0
        assert server.granted[89] - server.granted[0] < 1
        assert server.granted[179] - server.granted[0] < 10

    play(path, scene)


def test_other_limits_lose_no_item(path: Path) -> None:
    """Declared again, a budget counts what it counted, and what is in the air is settled once."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.share("money", HUNDRED)
        ledger.declare("x", "1", (), budget="money")
        await ask(ledger, "x", 30)
        with await ledger.draw("x", 20, 20) as permit:
            permit.spend()
            ledger.share("money", (Limit.parse("60 items/2h"), Limit.parse("5 units/1h")))
            ledger.share("money", ())
            ledger.share("money", (Limit.parse("60 items/1h"),))
            permit.answered(200, {})
            permit.returned(5)
        [window] = ledger.windows()["money"]
        assert (window.limit, window.used) == (60, 35)

    play(path, scene)


def test_a_limit_that_comes_after_a_start_without_one_knows_of_the_time_before_it(path: Path) -> None:
    """Taken out, started, and brought back by a reload: what an earlier process sent counts still."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        limit = (Limit(20, 900.0),)
        for limits in (limit, ()):
            ledger.close()
            ledger = Ledger.open(path, clock, 4)
            ledger.declare("x", "1", limits, plain=True)
            for _ in range(20 if limits else 3):
                await ask(ledger, "x")
        ledger.declare("x", "1", limit, plain=True)
        assert ledger.windows()["x"][0].used >= 20

    play(path, scene)


@pytest.mark.parametrize(("text", "used"), [("50 items/1h", 7), ("50 units/1h", 5), ("50/1h", 1)])
def test_a_limit_that_comes_while_a_call_is_in_the_air_counts_it(path: Path, text: str, used: int) -> None:
    """Whatever it is of, and however many objects the answer brings."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "1", (Limit.parse("1000 items/1d"), Limit.parse("9/1s")), cost=5)
        with await ledger.draw("x", 10, 10) as permit:
            permit.spend()
            ledger.declare("x", "1", (Limit.parse("1000 items/1d"), Limit.parse(text)), cost=5)
            permit.answered(200, {})
            permit.returned(7)
        assert {window.used for window in ledger.windows()["x"] if window.limit == 50} == {used}

    play(path, scene)


def test_items_are_counted_while_their_limit_is_taken_out(path: Path) -> None:
    """It knows of them when it is back."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        for limits in (HUNDRED, (), HUNDRED):
            ledger.declare("x", "1", limits, plain=True)
            await ask(ledger, "x", 20)
        assert ledger.windows()["x"][0].used == 60

    play(path, scene)


KINDS = ["10/20s", "10/20s at 00:00 UTC", "10 items/20s", "10 units/20s", "1/20s", "1 items/20s"]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("other", KINDS[1:])
@pytest.mark.parametrize("first", ["10/20s", "10 items/20s"])
def test_another_kind_of_limit_for_a_while_grants_nothing_twice(
    path: Path, first: str, other: str, *, restarted: bool
) -> None:
    """What went before, and what goes meanwhile, counts when the limit is back; by a reload or a restart."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        began, sent = clock.mono(), list[float]()
        for text in (first, other, first):
            if restarted:
                ledger.close()
                ledger = Ledger.open(path, clock, 64)
            ledger.share("both", (Limit.parse("1000/1d"),))
            ledger.declare("x", "1", (Limit.parse(text),), plain=True, budget="both")
            with suppress(TimeoutError):
                async with asyncio.timeout(2):
                    while True:
                        await ask(ledger, "x")
                        sent.append(clock.mono() - began)
        one, two = Limit.parse(first), Limit.parse(other)
        assert len(sent) <= one.count + (two.count if one.unit is not two.unit else 0)
        assert ledger.windows()["both"][0].used == len(sent)

    play(path, scene)


def test_who_waits_while_its_source_gets_a_budget_draws_from_it_too(path: Path) -> None:
    """The call that was waiting is not let through beside it."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.share("money", HUNDRED)
        ledger.declare("x", "1", (Limit(1, 60.0),))
        await ask(ledger, "x", 30)
        waiting = asyncio.create_task(ask(ledger, "x", 30))
        await asyncio.sleep(1)
        ledger.declare("x", "1", (Limit(1, 60.0),), budget="money")
        await waiting
        assert ledger.windows()["money"][0].used == 30
        ledger.retire("x")
        assert ledger.windows() == {}

    play(path, scene)


@dataclass(frozen=True, slots=True)
class Trip:
    """One call: a pause before it, its round trip, where in it the server counts, and what it brings."""

    pause: float
    seconds: float
    share: float
    keys: int
    brought: float
    known: bool


trips = st.builds(
    Trip,
    pause=st.sampled_from([0.0, 0.0, 0.01]) | st.floats(0, 2),
    seconds=st.floats(0.01, 0.1) | st.floats(0.01, 3),
    share=st.floats(0, 1),
    keys=st.integers(1, 20),
    brought=st.sampled_from([0.0, 0.9, 1.0]) | st.floats(0, 1),
    known=st.booleans(),
)


async def _calls(
    ledger: Ledger, source: str, clock: VirtualClock, schedule: Iterator[Trip], charged: list[tuple[list[float], int]]
) -> None:
    """Calls without end; what they bring stands at the time of their send until the server has charged it."""
    for trip in schedule:
        await asyncio.sleep(trip.pause)
        with await ledger.draw(source, trip.keys, trip.keys) as permit:
            permit.spend()
            at, items = [clock.mono(), clock.mono() + trip.seconds * trip.share], math.ceil(trip.keys * trip.brought)
            charged.append((at, items))
            await asyncio.sleep(trip.seconds)
            if trip.known:
                permit.answered(200, {})
                permit.returned(items)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    limit=st.sampled_from(["20 items/1s", "50 items/20s", "2500 items/30s", "20 items/1m at 00:00 UTC"]),
    schedule=st.lists(trips, min_size=1, max_size=10),
    lives=st.lists(st.floats(0.001, 8), min_size=1, max_size=4),
    pauses=st.lists(st.floats(0, 1.5), min_size=1, max_size=3),
    set_by=settings_of_the_clock,
)
@pytest.mark.timeout(60)
def test_no_window_ever_holds_more_items_than_its_limit(
    limit: str, schedule: list[Trip], lives: list[float], pauses: list[float], set_by: list[float | None]
) -> None:
    """Two sources on one budget, killed and started again at once, time after time, with a clock that somebody sets
    and a machine that is started anew."""
    declared = Limit.parse(limit)

    async def main(folder: Path) -> list[tuple[float, int]]:
        clock, endless, pause, ahead = VirtualClock(), cycle(schedule), cycle(pauses), cycle(set_by)
        counted: list[tuple[float, int]] = []
        journal = folder / "0"
        for number, life in enumerate(lives, 1):
            ledger = Ledger.open(journal, clock, 8)
            ledger.share("money", (declared,))
            for source in ("x", "y"):
                ledger.declare(source, source, (), budget="money")
            charged: list[tuple[list[float], int]] = []
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(_calls(ledger, source, clock, endless, charged)) for source in ("x", "y", "x")
                ]
                running_set, stopped_set = (next(ahead), next(ahead)) if declared.at is None else (0.0, 0.0)
                await asyncio.sleep(life / 2)
                clock.ahead += while_running(running_set, stopped_set)
                await asyncio.sleep(life / 2)
                killed = clock.mono()
                journal = Path(shutil.copy(journal, folder / str(number)))
                for task in running:
                    task.cancel()
            ledger.close()
            counted += [(min(at, killed), items) for (_, at), items in charged]
            await asyncio.sleep(next(pause))
            set_clock(clock, stopped_set)
        return sorted(counted)

    with tempfile.TemporaryDirectory() as folder:
        counted = run(main(Path(folder)))
    _assert_within(declared, counted)


def _assert_within(limit: Limit, counted: list[tuple[float, int]]) -> None:
    if limit.at:
        windows: dict[int, int] = {}
        for at, items in counted:
            window = int((EPOCH + at) // limit.seconds)
            windows[window] = windows.get(window, 0) + items
        assert all(items <= limit.count for items in windows.values())
        return
    inside: deque[tuple[float, int]] = deque()
    held = 0
    for at, items in counted:
        inside.append((at, items))
        held += items
        while at - inside[0][0] > limit.seconds:
            held -= inside.popleft()[1]
        assert held <= limit.count
