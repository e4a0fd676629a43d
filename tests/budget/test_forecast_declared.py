"""How many calls and how long, from declared limits alone."""

from hypothesis import given
from hypothesis import strategies as st

from collector.budget import forecast
from collector.budget.limit import Limit

limits = st.builds(Limit, st.integers(1, 5_000), st.floats(0.1, 3e6))


def test_the_last_pack_may_be_partial() -> None:
    """2,115 IDs in packs of 100 are 22 calls, and none are none."""
    assert forecast.calls(2_115, 100) == 22
    assert forecast.calls(0, 100) == 0


def test_a_window_is_paced() -> None:
    """900 calls a quarter of an hour are about one a second, from the first call to the last."""
    assert 890 < forecast.seconds(900, (Limit.parse("900/15m"),), 8, 0.2) < 905


def test_a_long_window_is_spent_at_once_and_then_waited_for() -> None:
    """A day's count goes as fast as the answers come; one more call waits a day."""
    day = (Limit.parse("1000/1d"),)
    assert forecast.seconds(1_000, day, 10, 0.5) == 50
    assert forecast.seconds(1_001, day, 10, 0.5) == 86_400.5


def test_the_slowest_limit_counts() -> None:
    """Of several windows the one that takes longest says how long it takes."""
    slow, fast = Limit.parse("1/2s"), Limit.parse("900/15m")
    assert forecast.seconds(60, (slow, fast), 8, 0.2) == forecast.seconds(60, (slow,), 8, 0.2)


def test_without_a_limit_the_answers_take_their_time() -> None:
    """Eight in the air at half a second each are sixteen a second."""
    assert forecast.seconds(160, (), 8, 0.5) == 10
    assert forecast.seconds(0, (), 8, 0.5) == 0


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.lists(limits, max_size=3), st.integers(1, 100))
def test_more_calls_never_take_less_time(some: int, more: int, given_limits: list[Limit], parallel: int) -> None:
    """The forecast grows with the calls."""
    few, many = sorted((some, more))
    declared = tuple(given_limits)
    assert forecast.seconds(few, declared, parallel, 0.5) <= forecast.seconds(many, declared, parallel, 0.5)


@given(st.integers(1, 10**6), limits, limits)
def test_another_limit_never_makes_it_faster(calls: int, one: Limit, other: Limit) -> None:
    """The forecast with two limits is no shorter than with either."""
    assert forecast.seconds(calls, (one, other), 8, 0.5) >= forecast.seconds(calls, (one,), 8, 0.5)
