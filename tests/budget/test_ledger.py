"""Who may send, and when, in virtual time."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from collector.budget.freeze import Signal
from collector.budget.ledger import Ledger
from collector.budget.limit import Limit
from collector.budget.permit import Permit
from collector.errors import NoPermit, StoreBusy
from tests.budget.scene import play
from tests.budget.virtual import EPOCH, VirtualClock, run

NINE = (Limit(90, 9.0),)
MINUTE = (Limit(1, 60.0),)


async def ask(ledger: Ledger, source: str, status: int = 200, headers: Mapping[str, str] = {}) -> Signal:
    """One call with a round trip of 30 ms."""
    with await ledger.draw(source, 1) as permit:
        permit.spend()
        await asyncio.sleep(0.03)
        return permit.answered(status, headers)


def test_a_window_is_used_to_98_percent_and_never_beyond(path: Path) -> None:
    """Ninety calls in nine seconds, sixteen callers."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "id", NINE)
        began, times = clock.mono(), list[float]()

        async def caller() -> None:
            while clock.mono() < began + 90:
                await ask(ledger, "x")
                times.append(clock.mono())

        async with asyncio.TaskGroup() as tasks:
            for _ in range(16):
                tasks.create_task(caller())
        assert all(later - first > 9.0 for first, later in zip(times, times[90:], strict=False))
        assert len(times) >= 0.98 * 900

    play(path, scene)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_small_limit_works(path: Path, count: int) -> None:
    """One, two or three calls a second are neither stuck nor too fast."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "id", (Limit(count, 1.0),))
        began = clock.mono()
        for _ in range(10 * count + 1):
            await ask(ledger, "x")
        assert 10 < clock.mono() - began < 13.5

    play(path, scene)


def test_all_windows_are_drawn_from_or_none(path: Path) -> None:
    """A call that waits for the hour has taken nothing from the second."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "id", (Limit(2, 3600.0), Limit(1, 1.0)))
        began = clock.mono()
        await ask(ledger, "x")
        await ask(ledger, "x")
        assert clock.mono() - began < 3600
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ask(ledger, "x"))
            await asyncio.sleep(5)
            second, hour = ledger.windows()["x"]
            assert (second.window_s, second.used, second.resets_at) == (1.0, 0, None)
            assert (hour.used, hour.left) == (2, 0)
            wait = ledger.waits()[0]
            assert (wait.budget, wait.jobs, wait.why) == ("x", 1, "window spent")
            assert wait.until == pytest.approx(EPOCH + began + 3600, abs=3)

    play(path, scene)


def test_a_window_of_more_than_an_hour_is_never_paced(path: Path) -> None:
    """A day's calls may go at once."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "id", (Limit(100, 86_400.0),))
        began = clock.mono()
        for _ in range(100):
            await ask(ledger, "x")
        assert clock.mono() - began < 4

    play(path, scene)


def test_callers_of_one_source_are_served_in_order(path: Path) -> None:
    """First come, first served, and a caller that leaves holds nobody up."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "id", (Limit(10, 10.0),))
        order: list[int] = []

        async def caller(number: int) -> None:
            await ask(ledger, "x")
            order.append(number)

        async with asyncio.TaskGroup() as tasks:
            callers = [tasks.create_task(caller(number)) for number in range(12)]
            await asyncio.sleep(1.5)
            for number in (2, 5, 6):
                callers[number].cancel()
        assert order == [0, 1, 3, 4, 7, 8, 9, 10, 11]
        assert ledger.waits() == ()
        assert ledger.calls_in_the_air == 0

    play(path, scene)


def test_a_newcomer_never_overtakes_one_who_waits(path: Path) -> None:
    """Not even in the moment between a place that comes free and the one who waited for it looking again."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "id", ())
        served = list[str]()

        async def caller(name: str) -> None:
            with await ledger.draw("x", 1):
                served.append(name)

        async with asyncio.TaskGroup() as tasks:
            with await ledger.draw("x", 1):
                tasks.create_task(caller("waiting"))
                await asyncio.sleep(0.1)
            await caller("newcomer")
        assert served == ["waiting", "newcomer"]

    play(path, scene, consumers=1)


def test_a_spent_source_stands_in_nobodys_way(path: Path) -> None:
    """One waits an hour, the other runs at full rate with the same consumers."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("slow", "a", (Limit(1, 3600.0),))
        ledger.declare("fast", "b", ())
        began = clock.mono()
        await ask(ledger, "slow")
        async with asyncio.TaskGroup() as tasks:
            waiting = [tasks.create_task(ask(ledger, "slow")) for _ in range(20)]
            for _ in range(100):
                await ask(ledger, "fast")
            assert clock.mono() - began < 4
            for task in waiting:
                task.cancel()

    play(path, scene, consumers=2)


def test_no_more_calls_than_consumers_are_in_the_air_and_sources_take_turns(path: Path) -> None:
    """The cap is over all sources, and a busy one does not starve another."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("a", "a", ())
        ledger.declare("b", "b", (Limit(1000, 10.0),))
        served = {"a": 0, "b": 0}
        most = 0

        async def caller(source: str, until: float) -> None:
            nonlocal most
            while clock.mono() < until:
                with await ledger.draw(source, 1) as permit:
                    permit.spend()
                    most = max(most, ledger.calls_in_the_air)
                    await asyncio.sleep(0.1)
                    permit.answered(200, {})
                    served[source] += 1

        async with asyncio.TaskGroup() as tasks:
            for _ in range(2):
                tasks.create_task(caller("a", clock.mono() + 5))
            tasks.create_task(caller("b", clock.mono() + 5))
        assert most == 2
        assert served["b"] >= 20
        assert served["a"] + served["b"] >= 98

    play(path, scene, consumers=2)


def test_a_429_freezes_once_and_then_one_scout_goes(path: Path) -> None:
    """Four refusals of four calls in the air are one; the rest goes when the scout is back."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "id", ())
        sent: list[float] = []
        statuses = iter([429, 429, 429, 429, 429, 200])
        began = clock.mono()

        async def caller() -> None:
            signal = Signal.WAIT
            while signal is Signal.WAIT:
                with await ledger.draw("x", 1) as permit:
                    permit.spend()
                    sent.append(round(clock.mono() - began))
                    await asyncio.sleep(0.1 + 0.1 * len(sent))
                    signal = permit.answered(next(statuses, 200), {})

        async with asyncio.TaskGroup() as tasks:
            for _ in range(4):
                tasks.create_task(caller())
        assert sent == [0, 0, 0, 0, 60, 181, 182, 182, 182]

    play(path, scene)


def test_retry_after_holds_everybody(path: Path) -> None:
    """Until it has passed, nobody sends."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "id", NINE)
        assert await ask(ledger, "x", 503, {"retry-after": "20"}) is Signal.WAIT
        froze = clock.mono()
        assert ledger.waits() == ()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ask(ledger, "x"))
            await asyncio.sleep(1)
            assert ledger.waits()[0].why == "told to wait"
        assert clock.mono() - froze == pytest.approx(20.03, abs=0.01)

    play(path, scene)


def test_retry_after_on_a_200_is_ignored(path: Path) -> None:
    """Some servers send it with every answer."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "id", ())
        began = clock.mono()
        for _ in range(5):
            assert await ask(ledger, "x", 200, {"Retry-After": "60"}) is Signal.GO
        assert clock.mono() - began < 1

    play(path, scene)


def test_a_scout_that_is_lost_is_followed_by_another(path: Path) -> None:
    """A time-out is no news, and still one call alone goes."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "id", ())
        await ask(ledger, "x", 429, {"retry-after": "5"})
        async with asyncio.TaskGroup() as tasks:
            with await ledger.draw("x", 1) as scout:
                scout.spend()
                follower = tasks.create_task(ask(ledger, "x"))
                await asyncio.sleep(30)
                assert not follower.done()
        assert ledger.calls_in_the_air == 0

    play(path, scene)


def test_a_learnt_limit_holds_a_source_without_one(path: Path) -> None:
    """Nothing remaining on a 200 is a wait until the reset."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "id", ())
        began = clock.mono()
        await ask(ledger, "x", 200, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "40"})
        await ask(ledger, "x")
        assert clock.mono() - began == pytest.approx(41, abs=0.1)

    play(path, scene)


def test_another_client_on_the_key_only_makes_us_slower(path: Path) -> None:
    """When less remains than our own calls explain, what remains is all there is."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "id", (Limit(1000, 10.0),))
        began = clock.mono()

        def headers(remaining: int) -> dict[str, str]:
            return {"x-rate-limit-limit": "1000", "x-rate-limit-remaining": str(remaining), "x-rate-limit-reset": "8.5"}

        await ask(ledger, "x", 200, headers(999))
        for remaining in (42, 900, 12):  # the second is out of order; the last leaves nothing above the reserve
            await ask(ledger, "x", 200, headers(remaining))
        assert clock.mono() - began < 1
        await ask(ledger, "x", 200, headers(999))
        assert 8.5 < clock.mono() - began < 9.5

    play(path, scene)


def test_headers_that_agree_with_our_own_log_change_nothing(path: Path) -> None:
    """A straggler whose answer comes late is no other client."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "id", (Limit(5, 5.0),))

        def headers(remaining: int) -> dict[str, str]:
            return {"ratelimit-limit": "5", "ratelimit-remaining": str(remaining), "ratelimit-reset": "4"}

        await ask(ledger, "x", 200, headers(4))
        with await ledger.draw("x", 1) as straggler:
            straggler.spend()
            for left in (3, 2, 1):
                await ask(ledger, "x", 200, headers(left))
            await asyncio.sleep(20)
            straggler.answered(200, headers(0))
        began = clock.mono()
        await ask(ledger, "x")
        assert clock.mono() - began < 0.1

    play(path, scene)


def test_a_hostile_reset_costs_an_hour_at_most(path: Path) -> None:
    """In the year 9999 nobody is here to send."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "id", NINE)
        began = clock.mono()
        await ask(ledger, "x", 429, {"x-rate-limit-remaining": "0", "x-rate-limit-reset": "253370764800"})
        await ask(ledger, "x")
        assert clock.mono() - began == pytest.approx(3600, abs=1)

    play(path, scene)


def test_a_permit_that_is_not_spent_is_given_back_whole(path: Path) -> None:
    """A call that was never sent costs nothing."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "id", MINUTE)
        with await ledger.draw("x", 1):
            assert ledger.windows()["x"][0].used == 1
        assert ledger.windows()["x"][0].used == 0
        assert ledger.calls_in_the_air == 0

    play(path, scene)


def test_a_second_wire_request_draws_anew_or_is_broken_off(path: Path) -> None:
    """A redirect or a silent resend counts at the server too, and such a draw never waits."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "id", (Limit(2, 3600.0),))
        with await ledger.draw("x", 1) as permit:
            permit.spend()
            permit.spend()
            assert ledger.windows()["x"][0].used == 2
            with pytest.raises(NoPermit):
                permit.spend()
            assert permit.answered(200, {}) is Signal.GO
            with pytest.raises(NoPermit):
                permit.spend()
        assert ledger.windows()["x"][0].used == 2
        assert ledger.calls_in_the_air == 0

    play(path, scene)


def test_a_scout_may_be_redirected(path: Path) -> None:
    """Its own first request does not stand in its way."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "id", ())
        await ask(ledger, "x", 429)
        with await ledger.draw("x", 1) as scout:
            scout.spend()
            scout.spend()
            scout.answered(200, {})
        with await ledger.draw("x", 1), await ledger.draw("x", 1):
            assert ledger.calls_in_the_air == 2

    play(path, scene)


def test_a_permit_drawn_before_a_freeze_is_not_spent_in_it(path: Path) -> None:
    """Nobody sends while frozen, not even who had drawn."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "id", ())
        with await ledger.draw("x", 1) as early:
            await ask(ledger, "x", 429)
            with pytest.raises(NoPermit):
                early.spend()

    play(path, scene)


def test_sources_of_one_identity_share_it_and_the_strictest_limit_wins(path: Path) -> None:
    """A second name for the same key and endpoint grants nothing."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("one", "id", (Limit(5, 60.0), Limit(9, 7200.0)))
        ledger.declare("two", "id", (Limit(3, 60.0),))
        for source in ("one", "two", "one"):
            await ask(ledger, source)
        assert list(ledger.windows()) == ["one"]
        assert [(window.limit, window.used) for window in ledger.windows()["one"]] == [(3, 3), (9, 3)]

    play(path, scene)


def test_other_limits_lose_no_slot_and_reach_who_waits(path: Path) -> None:
    """A reload grants no call that was made, and applies at once."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "id", (Limit(2, 3600.0),))
        with await ledger.draw("x", 1) as in_the_air:
            in_the_air.spend()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(ask(ledger, "x"))
                await asyncio.sleep(1)
                began = clock.mono()
                ledger.declare("x", "id", (Limit(4, 3600.0 * 2),))
                assert ledger.windows()["x"][0].used == 1
            assert clock.mono() - began < 1
            in_the_air.answered(200, {})
        ledger.declare("x", "id", (Limit(3, 3600.0),))
        assert ledger.windows()["x"][0].used == 2

    play(path, scene)


def test_a_kill_grants_nothing(path: Path) -> None:
    """Slots, sends without an answer and freezes hold over a kill and a restart at once."""

    async def main() -> None:
        clock = VirtualClock()
        for source in range(3):
            killed = Ledger.open(path, clock, 16)
            killed.declare("x", "a", (Limit(3, 7200.0),))
            killed.declare("y", "b", ())
            await ask(killed, "x") if source else (await killed.draw("x", 1)).spend()
        await ask(killed, "y", 429, {"retry-after": "500"})
        froze = clock.mono()
        again = Ledger.open(path, clock, 16)
        again.declare("x", "a", (Limit(3, 7200.0),))
        again.declare("y", "b", ())
        assert again.windows()["x"][0].used == 3
        await ask(again, "y")
        assert clock.mono() - froze > 499

    run(main())


def test_a_block_that_is_lost_in_a_kill_counts_as_sent_and_a_stop_gives_it_back(path: Path) -> None:
    """At a high rate one line names many sends."""

    async def main() -> None:
        clock = VirtualClock()
        fast = (Limit(1000, 1.0),)
        used = []
        for stopped in (True, False, False):
            ledger = Ledger.open(path, clock, 16)
            ledger.declare("x", "id", fast)
            used.append(ledger.windows()["x"][0].used)
            await ask(ledger, "x")
            if stopped:
                ledger.close()
        assert used == [0, 1, 21]

    run(main())


def test_a_source_without_a_limit_writes_nothing_for_a_call(path: Path) -> None:
    """There is nothing to keep."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "id", ())
        await ask(ledger, "x")
        assert b"calls" not in path.read_bytes()

    play(path, scene)


def test_a_clock_that_was_set_back_costs_one_window_at_most(path: Path) -> None:
    """Stamps in the future count as now."""

    async def main() -> None:
        clock = VirtualClock()
        ledger = Ledger.open(path, clock, 16)
        ledger.declare("x", "id", MINUTE)
        await ask(ledger, "x")
        ledger.close()
        clock.ahead = -86_400.0
        again = Ledger.open(path, clock, 16)
        again.declare("x", "id", MINUTE)
        began = clock.mono()
        await ask(again, "x")
        assert clock.mono() - began == pytest.approx(60.05, abs=0.1)

    run(main())


def test_a_full_disk_lets_no_call_leave_and_holds_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A send that is not written down is not made; after healing it goes on."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "id", (Limit(2, 7200.0),))
        write = os.write

        def full(fd: int, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        with await ledger.draw("x", 1) as answered_late:
            answered_late.spend()
            with await ledger.draw("x", 1) as permit:
                monkeypatch.setattr(os, "write", full)
                with pytest.raises(StoreBusy):
                    permit.spend()
            assert ledger.windows()["x"][0].used == 1
            answered_late.answered(200, {})
        with pytest.raises(StoreBusy):
            await ledger.draw("x", 1)
        assert ledger.calls_in_the_air == 0
        monkeypatch.setattr(os, "write", write)
        await ask(ledger, "x")
        assert ledger.windows()["x"][0].used == 2

    play(path, scene)


def test_a_caller_cancelled_at_any_moment_loses_nothing(path: Path) -> None:
    """In the queue, at its head, at the pace, or with a permit in hand."""

    async def scene(ledger: Ledger, clock: VirtualClock) -> None:
        ledger.declare("x", "id", (Limit(3, 30.0),))
        ledger.declare("y", "other", ())
        held: list[Permit] = []
        for step in range(60):
            async with asyncio.TaskGroup() as tasks:
                callers = [tasks.create_task(ask(ledger, source)) for source in ("x", "y", "x", "y")]
                await asyncio.sleep(0.7 * step % 5)
                for task in callers:
                    task.cancel()
            assert (ledger.calls_in_the_air, ledger.waits(), held) == (0, (), [])
        before = clock.mono()
        await ask(ledger, "x")
        assert clock.mono() - before < 31

    play(path, scene, consumers=1)
