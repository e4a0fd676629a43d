"""The own log of one window."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from collector.budget.limit import Limit
from collector.budget.window import OwnLog, slack


def test_a_slot_comes_free_one_window_after_its_answer_not_after_its_send() -> None:
    """The server may have counted a call as late as its answer."""
    own = OwnLog(Limit(1, 10.0))
    own.take()
    assert own.free_at(3.0) == math.inf
    own.answered(4.0)
    assert own.free_at(5.0) == 4.0 + 10.0 + slack(10.0)
    assert own.used(4.0 + 10.0 + slack(10.0)) == 0


def test_a_slot_that_was_given_back_was_never_busy() -> None:
    """A drawn call that is not sent costs nothing."""
    own = OwnLog(Limit(1, 10.0))
    own.take()
    own.give_back()
    assert own.free_at(0.0) == 0.0
    assert own.clear_at(0.0) is None


def test_a_lowered_limit_waits_until_enough_slots_are_free() -> None:
    """Slots taken under the old limit count under the new one."""
    own = OwnLog(Limit(2, 10.0), past=[(1.0, 1), (2.0, 1), (3.0, 1)])
    assert own.used(4.0) == 3
    assert own.free_at(4.0) == 2.0 + 10.0 + slack(10.0)


def test_a_long_log_is_kept_in_at_most_1000_cells() -> None:
    """Memory does not grow with the limit."""
    own = OwnLog(Limit(3_000_000, 1_000.0))
    most = 0
    for tick in range(15_000):
        now = tick * 0.2
        own.used(now)
        own.take()
        own.answered(now)
        most = max(most, len(own.past()))
    assert most <= 1_000
    assert own.used(3_000.0) >= 5_000


@settings(deadline=None)
@given(
    count=st.sampled_from([1, 2, 3, 2_001, 2_500]),
    seconds=st.sampled_from([1.0, 9.0, 900.0]),
    steps=st.lists(st.tuples(st.floats(0, 0.4), st.floats(0, 0.2), st.floats(0, 1), st.integers(1, 900)), max_size=25),
)
def test_no_window_at_the_server_holds_more_than_the_limit(
    count: int, seconds: float, steps: list[tuple[float, float, float, int]]
) -> None:
    """Wherever in the round trips the server counts, and whether the log is exact or in cells."""
    own, now, verdicts = OwnLog(Limit(count, seconds)), 0.0, list[float]()
    for pause, round_trip, share, burst in steps:
        now += pause * seconds
        sent = 0
        while sent < burst and own.free_at(now) <= now:
            own.take()
            sent += 1
        verdicts += [now + share * round_trip * seconds] * sent
        now += round_trip * seconds
        for _ in range(sent):
            own.answered(now)
    verdicts.sort()
    assert all(later - first > seconds for first, later in zip(verdicts, verdicts[count:], strict=False))


@settings(deadline=None)
@given(
    seconds=st.sampled_from([1.0, 900.0, 2_592_000.0]),
    steps=st.lists(st.tuples(st.floats(0, 0.3), st.integers(1, 900)), min_size=1, max_size=40),
    wanted=st.integers(1, 100),
)
def test_a_log_in_cells_does_as_the_exact_one_does(seconds: float, steps: list[tuple[float, int]], wanted: int) -> None:
    """A slot is free no earlier than by the exact log, and later by no more than a thousandth of the window."""
    limit = Limit(3_000, seconds)
    celled, exact = OwnLog(limit), OwnLog(limit)
    exact._width = 0.0
    now = 0.0
    for pause, calls in steps:
        now += pause * seconds
        for own in (celled, exact):
            own.take(calls)
            own.answered(now, calls, calls)
        assert exact.used(now) <= celled.used(now)
        at, true = celled.free_at(now, wanted), exact.free_at(now, wanted)
        assert true <= at <= true + 1.01 * (seconds + slack(seconds)) / 998
    end = now + seconds + slack(seconds) + 1.01 * seconds / 998 + 0.01
    assert celled.used(end) == exact.used(end) == 0
