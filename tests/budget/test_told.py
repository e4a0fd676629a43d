"""What headers tell of one window."""

import math

import pytest

from collector.budget.limit import Limit
from collector.budget.told import Mode, Told
from collector.budget.window import OwnLog


def window(count: int = 100, seconds: float = 100.0, past: int = 0) -> Told:
    limit = Limit(count, seconds)
    return Told(OwnLog(limit, [(0.0, past)] if past else []), limit)


def mode(told: Told) -> Mode:
    return told.mode


def answer(told: Told, remaining: int, sent_at: float, now: float, until: float = 100.0, limit: int = 100) -> bool:
    """One call, alone, sent and answered."""
    assert told.log
    mark = told.mark(sent_at)
    told.log.take()
    news = told.hear(limit, remaining, until, sent_at, now, mark)
    told.log.answered(now)
    return news


def test_the_first_call_goes_alone_and_its_headers_free_the_rest() -> None:
    """What remains is sent less what is in the air."""
    told = window()
    assert mode(told) is Mode.UNKNOWN
    assert told.hold(0.0, 0) is None
    assert told.hold(0.0, 1) is not None
    answer(told, 99, 0.0, 1.0)
    assert mode(told) is Mode.HEADERS
    assert not told.paced
    assert told.hold(1.0, 98) is None
    assert told.hold(1.0, 99) is not None


def test_a_first_call_without_headers_leaves_the_own_log() -> None:
    """Whatever became of it."""
    told = window()
    told.unheard(good=False, now=0.0)
    assert mode(told) is Mode.BLIND
    assert told.paced


def test_answers_out_of_order_leave_the_least() -> None:
    """Sixteen calls in the air are answered in any order."""
    told = window()
    assert told.log
    answer(told, 99, 0.0, 1.0)
    marks = []
    for _ in range(11):
        marks.append(told.mark(1.0))
        told.log.take()
    for remaining in (90, 95, 88, 97):
        told.hear(100, remaining, 100.0, 1.0, 2.0, marks[0])
    assert told.left(2.0, 0) == 88


def test_a_call_without_an_answer_counts() -> None:
    """The server may have counted it; the next answer that was sent later puts it right."""
    told = window()
    answer(told, 99, 0.0, 1.0)
    told.unheard(good=False, now=0.0)
    told.unheard(good=False, now=0.0)
    assert told.left(1.0, 0) == 97
    answer(told, 98, 2.0, 3.0)
    assert told.left(3.0, 0) == 98
    assert not told.smooth


def test_a_straggler_of_an_older_epoch_says_nothing() -> None:
    """Neither while the new one runs nor just after the old one ended."""
    told = window(past=99)
    answer(told, 0, 0.0, 1.0, until=10.0)
    answer(told, 0, 9.0, 11.0, until=10.5)
    assert told.hold(11.0, 0) is None
    answer(told, 99, 11.0, 12.0, until=110.0)
    answer(told, 0, 9.0, 13.0, until=10.5)
    assert told.left(13.0, 0) == 99


def test_the_next_window_is_opened_by_one_call_alone() -> None:
    """When our own slots are free, before the rounded reset; or at the reset."""
    told = window(1, 10.0)
    assert told.log
    answer(told, 0, 0.0, 0.1, until=11.5, limit=1)
    hold = told.hold(1.0, 0)
    assert hold is not None
    assert hold.until == pytest.approx(10.1 + 0.012)
    assert told.hold(10.2, 0) is None
    waits = told.hold(10.2, 1)
    assert waits is not None
    assert waits.until == math.inf


def test_more_than_our_calls_means_others_and_a_reserve() -> None:
    """For two windows only the headers say what may go, and a fiftieth is left."""
    told = window()
    answer(told, 60, 0.0, 1.0)
    assert told.distrusted_until == 201.0
    assert told.left(1.0, 0) == 58
    assert told.left(202.0, 0) == 60
    assert answer(told, 0, 2.0, 3.0)
    hold = told.hold(4.0, 0)
    assert hold is not None
    assert hold.until == 100.0
    assert told.spent_until(4.0) == 100.0


def test_a_new_window_that_is_not_whole_is_spread_until_one_is() -> None:
    """Such a server refills gradually."""
    told = window()
    answer(told, 99, 0.0, 1.0, until=50.0)
    answer(told, 20, 60.0, 61.0, until=70.0)
    assert told.smooth
    assert told.paced
    answer(told, 99, 300.0, 301.0, until=400.0)
    assert not told.smooth


def test_refusals_with_calls_remaining_tell_of_a_hidden_limit() -> None:
    """The second makes it smooth for good."""
    told = window()
    answer(told, 99, 0.0, 1.0, until=50.0)
    told.refused(40, 2.0)
    assert not told.smooth
    told.refused(40, 3.0)
    answer(told, 99, 60.0, 61.0, until=160.0)
    assert told.smooth


def test_twenty_good_answers_without_headers_make_it_blind() -> None:
    """And the first with headers ends that."""
    told = window()
    answer(told, 99, 0.0, 1.0)
    for _ in range(19):
        told.unheard(good=True, now=0.0)
    assert mode(told) is Mode.HEADERS
    told.unheard(good=False, now=0.0)
    assert mode(told) is Mode.HEADERS
    told.unheard(good=True, now=0.0)
    assert mode(told) is Mode.BLIND
    answer(told, 50, 2.0, 3.0)
    assert mode(told) is Mode.HEADERS


def test_a_laxer_limit_than_ours_only_holds_back() -> None:
    """The declared limit is the most that is sent."""
    told = window()
    answer(told, 999, 0.0, 1.0, limit=1000)
    assert mode(told) is Mode.BLIND


def test_a_window_of_more_than_an_hour_is_a_plain_counter() -> None:
    """It has no scout, and headers only hold it back when others use it."""
    told = window(5, 86_400.0)
    assert mode(told) is Mode.BLIND
    answer(told, 4, 0.0, 1.0, until=50_000.0, limit=5)
    assert told.hold(1.0, 3) is None
    answer(told, 0, 2.0, 3.0, until=50_000.0, limit=5)
    hold = told.hold(3.0, 0)
    assert hold is not None
    assert hold.until == 50_000.0
