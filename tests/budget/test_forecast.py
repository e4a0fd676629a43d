"""When so many calls are back: held against a simulation that sends one call after the other."""

import itertools
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.budget import forecast
from collector.budget.forecast import Need, Shares
from collector.budget.limit import Limit
from collector.budget.window import slack
from collector.model import Outlook, WindowAhead

MOST = 40  # calls that are simulated
NEAR = 1e-6
NOBODY: Shares = {}


@st.composite
def windows(draw: st.DrawFn, server: bool = False) -> WindowAhead:
    """A window somewhere in its life; a server's has all free at its reset, else each slot comes free by itself."""
    limit, seconds = draw(st.integers(1, 12)), draw(st.sampled_from((1.0, 2.0, 5.0, 10.0, 30.0)))
    left = draw(st.integers(0, limit))
    moments = st.floats(0.0, seconds)
    if server:
        return WindowAhead("x", "calls", limit, seconds, left, ((draw(moments), limit),))
    used = limit - left
    times = sorted(draw(st.lists(moments, min_size=used, max_size=used)))
    return WindowAhead("x", "calls", limit, seconds, left, tuple((time, 1) for time in times))


@st.composite
def outlooks(draw: st.DrawFn, least: int = 0, most: int = 3, servers: bool = True) -> Outlook:
    count = draw(st.integers(least, most))
    return Outlook(
        windows=tuple(draw(windows(server=servers and draw(st.booleans()))) for _ in range(count)),
        wait=draw(st.sampled_from((0.0, 3.0))),
        every=draw(st.sampled_from((0.0, 0.3, 1.0))),
        round_trip=draw(st.sampled_from((0.0, 0.05, 0.5))),
    )


def simulated(outlook: Outlook, parallel: int) -> list[float]:
    """When each call leaves, found by sending them."""
    granted = []
    for window in outlook.windows:
        period = window.seconds + slack(window.seconds) + outlook.round_trip
        first = [0.0] * window.left + [time for time, count in window.frees for _ in range(count)]
        granted.append((window.limit, period, first + [period] * (window.limit - len(first))))
    left: list[float] = []
    for call in range(MOST):
        time = max([outlook.wait, *left[-1:]])
        for limit, period, first in granted:
            time = max(time, first[call] if call < len(first) else left[call - limit] + period)
        if call >= parallel:
            time = max(time, left[call - parallel] + outlook.round_trip)
        left.append(max(time, left[-1] + outlook.every) if left else time)
    return left


def told(outlook: Outlook, parallel: int) -> list[float]:
    """The forecast of the same."""
    curve = forecast.curve(outlook, Need(MOST), parallel)
    return [curve.back(calls) - outlook.round_trip for calls in range(1, MOST + 1)]


def back(outlook: Outlook, need: Need, parallel: int, others: Shares = NOBODY) -> float:
    """When the last call of the need is back."""
    return forecast.curve(outlook, need, parallel, others).back(need.calls)


def margin(outlook: Outlook) -> float:
    """By less than this a forecast is too early: the second longest of all periods."""
    periods = [window.seconds + slack(window.seconds) + outlook.round_trip for window in outlook.windows]
    return sorted([0.0, outlook.every, outlook.round_trip, *periods])[-2]


@given(outlooks(), st.integers(1, 10))
def test_each_call_leaves_as_it_is_told_or_a_little_later(outlook: Outlook, parallel: int) -> None:
    """Never before it is told; and after it by less than the pace or a round trip with one window, by less than the
    second longest of them with several."""
    for one, other in zip(told(outlook, parallel), simulated(outlook, parallel), strict=True):
        assert other - margin(outlook) - NEAR <= one <= other + NEAR


@given(outlooks(least=1, most=1), st.integers(1, 10))
def test_a_window_alone_is_told_to_the_moment(outlook: Outlook, parallel: int) -> None:
    """Without a pace, and answered at once, the forecast is what a simulation finds."""
    quick = msgspec.structs.replace(outlook, every=0.0, round_trip=0.0)
    assert told(quick, parallel) == pytest.approx(simulated(quick, parallel), abs=NEAR)


@given(outlooks(), st.integers(1, 10))
def test_more_calls_never_take_less_time(outlook: Outlook, parallel: int) -> None:
    """The forecast grows with the calls."""
    times = told(outlook, parallel)
    assert all(later >= sooner - NEAR for sooner, later in itertools.pairwise(times))


@given(outlooks(least=1), st.integers(1, 10), st.integers(1, 10**7))
def test_no_window_alone_would_make_it_slower(outlook: Outlook, parallel: int, calls: int) -> None:
    """With all its windows it takes as long as with any one of them, or longer."""
    whole = back(outlook, Need(calls), parallel)
    for window in outlook.windows:
        alone = msgspec.structs.replace(outlook, windows=(window,))
        assert whole >= back(alone, Need(calls), parallel) * (1 - NEAR)


@given(outlooks(least=1, servers=False), st.integers(1, 10))
def test_no_window_of_the_forecast_holds_more_than_its_limit(outlook: Outlook, parallel: int) -> None:
    """Between a call and the one a whole limit after it lies more than the window, within the margin."""
    times = told(outlook, parallel)
    for window in outlook.windows:
        pairs = zip(times, times[window.limit :], strict=False)
        assert all(later - sooner > window.seconds - margin(outlook) - NEAR for sooner, later in pairs)


def test_what_is_free_is_spent_at_once_and_then_waited_for() -> None:
    """A day's count goes as fast as the answers come; one more call waits for the first slot."""
    day = Outlook((WindowAhead("x", "calls", 1_000, 86_400.0, 1_000, ()),), round_trip=0.5)
    assert back(day, Need(1_000), 10) == pytest.approx(50)
    assert 86_400 < back(day, Need(1_001), 10) < 86_420


def test_a_server_frees_the_whole_window_at_its_reset() -> None:
    """Ten are left, and three seconds later forty: the fifty-first waits for the window after that."""
    ahead = Outlook((WindowAhead("x", "calls", 40, 5.0, 10, ((3.0, 40),)),))
    times = [back(ahead, Need(calls), 100) for calls in (10, 11, 50, 51, 90, 91)]
    assert times == pytest.approx([0, 3, 3, 8.011, 8.011, 13.022])


def test_items_and_units_are_drawn_by_what_a_call_takes() -> None:
    """Of 1,000 items a month, 90 a call leave room for eleven calls; of 100 units, 25 a call for four."""
    month, day = (
        WindowAhead("x", "items", 1_000, 2_592_000.0, 1_000, ()),
        WindowAhead("x", "units", 100, 86_400.0, 100, ()),
    )
    assert back(Outlook((month,)), Need(11, items=11 * 90), 8) < 1
    assert back(Outlook((month,)), Need(12, items=12 * 90), 8) > 2_592_000
    assert back(Outlook((day,)), Need(4, units=100), 8) < 1
    assert back(Outlook((day,)), Need(5, units=125), 8) > 86_400


def test_sources_of_one_window_add_up() -> None:
    """What others draw from the same window meanwhile is not there for this one."""
    ahead = Outlook((WindowAhead("shared", "items", 100, 60.0, 100, ()),))
    key = ("shared", "items", 60.0)
    alone = back(ahead, Need(100, items=100), 8)
    assert alone < 1
    assert 60 < back(ahead, Need(100, items=100), 8, {key: 1.0}) < 61
    assert back(ahead, Need(100, items=100), 8, {("other", "items", 60.0): 1.0}) == alone


def test_nobody_sends_before_the_wait_is_over() -> None:
    """A freeze comes before everything; where only an answer can tell, there is no time."""
    frozen = Outlook((WindowAhead("x", "calls", 40, 5.0, 40, ()),), wait=20.0, round_trip=0.1)
    assert back(frozen, Need(41), 50) == pytest.approx(20 + 5.011 + 0.1 + 0.1)
    assert back(msgspec.structs.replace(frozen, wait=math.inf), Need(1), 8) == math.inf


def test_nothing_takes_no_time() -> None:
    """Without a call there is nothing to wait for."""
    assert forecast.span(Outlook((), wait=20.0), Need(0), 8) == forecast.Span(0, 0, 0)


def test_until_an_answer_came_a_window_may_be_spent_at_once_or_evenly() -> None:
    """Headers let 900 calls go at once, without them they take a quarter of an hour: the range holds both."""
    got = forecast.span(forecast.fresh((Limit.parse("900/15m"),), plain=False), Need(900), 8)
    assert got.earliest < 30
    assert 890 < got.likely <= got.latest < 1_010


def test_a_source_with_plain_windows_is_never_paced() -> None:
    """Its range is that of its answers alone."""
    got = forecast.span(forecast.fresh((Limit.parse("900/15m"),), plain=True), Need(900), 8)
    assert got.latest < 120


def test_shared_and_longer_windows_are_never_paced() -> None:
    """Money is spent as it is needed."""
    shared = (Limit.parse("1000/15m"), Limit.parse("3000 items/30d"))
    outlook = forecast.fresh((Limit.parse("5000/1d"),), shared, plain=False)
    assert outlook.every == 0
    assert [window.unit for window in outlook.windows] == ["calls", "calls", "items"]
    assert forecast.span(outlook, Need(1_000, items=3_000), 100).latest < 60


declared = st.lists(st.builds(Limit, st.integers(1, 5_000), st.floats(0.1, 3e6)), max_size=3).map(tuple)


@given(declared, declared, st.booleans(), st.floats(0, 1e7), st.integers(1, 100))
def test_a_range_is_in_order(
    own: tuple[Limit, ...], shared: tuple[Limit, ...], plain: bool, calls: float, parallel: int
) -> None:
    """The earliest end is never after the likely one, nor that after the latest."""
    got = forecast.span(forecast.fresh(own, shared, plain=plain), Need(calls), parallel)
    assert 0 <= got.earliest <= got.likely <= got.latest < math.inf


def test_a_long_log_is_told_as_it_comes_free() -> None:
    """Two thousand slots that come free one by one: each call is told with its slot."""
    frees = tuple((at / 10, 1) for at in range(2_000))
    ahead = Outlook((WindowAhead("x", "calls", 2_000, 900.0, 0, frees),))
    for calls in (1, 63, 64, 999, 2_000):
        got = back(ahead, Need(calls), 10_000)
        assert got == pytest.approx(frees[calls - 1][0])
