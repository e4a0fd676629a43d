"""Whole runs against simulated limiters in virtual time: the end comes when it was told to come."""

import asyncio
from pathlib import Path

import pytest

from collector.budget import forecast
from collector.budget.forecast import Need, Span
from collector.budget.ledger import Ledger
from collector.budget.limit import Alignment, Limit
from tests.budget.servers import Server, collect
from tests.budget.virtual import VirtualClock, run


async def told_and_come(
    path: Path, server: Server, calls: int, declared: tuple[Limit, ...], plain: bool
) -> tuple[Span, float]:
    """What is told at a tenth of the calls, and when the last one was back, in seconds from then."""
    ledger = Ledger.open(path, server.clock, 16)
    ledger.declare("x", "id", declared, plain=plain)
    await collect(ledger, server, calls // 10)
    span = forecast.span(ledger.outlook("x"), Need(calls - calls // 10), 16)
    began = server.clock.mono()
    await collect(ledger, server, calls - calls // 10)
    ledger.close()
    return span, server.clock.mono() - began


@pytest.mark.parametrize(("limit", "seconds", "calls"), [
    (40, 5.0, 3.4), (40, 5.0, 12.5), (90, 9.0, 7.0), (900, 900.0, 3.4), (5, 60.0, 7.0), (15, 900.0, 12.5),
])  # fmt: skip
@pytest.mark.parametrize(("kind", "style", "plain"), [
    ("fixed", "x", False), ("fixed", "left", False), ("clock", "x", False), ("moving", "x", False),
    ("fixed", "silent", False), ("moving", "silent", False), ("fixed", "silent", True),
])  # fmt: skip
def test_the_end_comes_within_five_percent_and_a_window(
    tmp_path: Path, limit: int, seconds: float, calls: float, kind: str, style: str, plain: bool
) -> None:
    """Of what was told at a tenth of so many windows of calls, with headers or none, spent at once or evenly."""

    async def main() -> tuple[Span, float]:
        server = Server(VirtualClock(), limit, seconds, kind, style)
        return await told_and_come(tmp_path / "ledger", server, int(calls * limit), (Limit(limit, seconds),), plain)

    span, came = run(main())
    assert abs(came - span.likely) <= 0.05 * span.likely + seconds


def test_two_windows_at_once_come_true(tmp_path: Path) -> None:
    """One call a second and 40 a minute: the longer window binds, the shorter one says how its calls are spread."""
    limits = (Limit(1, 1.0), Limit(40, 60.0))

    async def main() -> tuple[Span, float]:
        server = Server(VirtualClock(), 1_000, 60.0, style="silent")
        return await told_and_come(tmp_path / "ledger", server, 300, limits, plain=True)

    span, came = run(main())
    assert came == pytest.approx(span.likely, rel=0.05)


@pytest.mark.parametrize("calls", [90, 150, 280])
def test_a_window_by_a_clock_is_whole_again_when_the_clock_says_so(tmp_path: Path, calls: int) -> None:
    """A hundred a day from midnight, begun an hour and three quarters before it: what is left at night is spent, and
    the next hundred goes at midnight, not a day after the first."""
    limit = Limit(100, 86_400.0, at=Alignment(0, 0, "UTC"))

    async def main() -> tuple[Span, float]:
        server = Server(VirtualClock(), 10_000, 60.0, style="silent")
        return await told_and_come(tmp_path / "ledger", server, calls, (limit,), plain=True)

    span, came = run(main())
    assert came == pytest.approx(span.likely, rel=0.02, abs=1.0)


def test_a_freeze_is_waited_for(tmp_path: Path) -> None:
    """A 429 with Retry-After puts the end off by as much."""

    async def main() -> tuple[float, float]:
        clock = VirtualClock()
        ledger = Ledger.open(tmp_path / "ledger", clock, 16)
        ledger.declare("x", "id", (Limit(40, 5.0),), plain=True)
        await collect(ledger, Server(clock, 40, 5.0, style="silent"), 5)
        before = forecast.span(ledger.outlook("x"), Need(10), 8).likely
        with await ledger.draw("x", 1) as permit:
            permit.spend()
            await asyncio.sleep(0.05)
            permit.answered(429, {"Retry-After": "600"})
        return before, forecast.span(ledger.outlook("x"), Need(10), 8).likely

    before, after = run(main())
    assert after == pytest.approx(before + 600, abs=5)
