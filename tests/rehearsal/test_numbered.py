"""Lists of which only the number and the rule are kept."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.rehearsal.numbered import EMPTY, between, crowd, stream
from collector.rehearsal.pages import Cut, page

COUNTS = st.integers(0, 400)
SHARES = st.floats(0.0, 1.0)


@given(st.text(max_size=5), COUNTS, SHARES, st.integers(0, 500))
def test_a_crowd_holds_each_user_once(name: str, count: int, shared: float, pool: int) -> None:
    """As many users as declared, no two alike, and the declared share of them from the pool."""
    users = list(crowd(name, count, shared, pool))
    assert len(set(users)) == len(users) == count
    common = sum(len(user) < 19 for user in users)
    assert common == min(round(count * shared), pool)


def test_two_crowds_share_the_pool_and_nothing_else() -> None:
    """What two lists have in common is of the pool."""
    one, two = set(crowd("followers 1", 2_000, 0.5, 3_000)), set(crowd("followers 2", 2_000, 0.5, 3_000))
    assert 200 <= len(one & two) <= 500
    assert all(len(user) < 19 for user in one & two)


def test_a_million_is_no_more_than_a_rule() -> None:
    """Any of a million followers is there at once, at both ends and from behind."""
    million = crowd("followers 7", 1_000_000, 0.3, 10_000)
    assert len(million) == 1_000_000
    assert million[-1] == million[999_999] != million[0]
    assert million[10:13] == (million[10], million[11], million[12])
    with pytest.raises(IndexError):
        million[1_000_000]
    with pytest.raises(ValueError, match="at most"):
        crowd("followers 7", 2**22 + 1, 0.0, 1)


@given(st.text(max_size=5), COUNTS, st.integers(1, 10**8))
def test_a_stream_goes_back_in_time_and_repeats_nothing(name: str, count: int, apart: int) -> None:
    """Post IDs fall strictly, and are of the form that X has."""
    ids = [int(key) for key in stream(name, count, apart)]
    assert all(newer > older for newer, older in pairwise(ids))
    assert all(0 < key < 10**19 for key in ids)


@given(COUNTS, st.integers(0, 399), st.integers(0, 399))
def test_a_stream_can_be_bounded_by_ids(count: int, since: int, until: int) -> None:
    """Above `since` and below `until`, both left out, as X has it."""
    ids = stream("tweet 1", 400, 1_000)
    low, high = int(ids[since]), int(ids[until])
    expected = [key for key in ids if low < int(key) < high]
    assert [ids[number] for number in between(ids, low, high)] == expected
    assert between(ids, None, None) == range(400)
    assert not between(EMPTY, low, high)


@given(COUNTS, st.integers(1, 60), SHARES, SHARES)
def test_pages_give_each_item_once_and_end(count: int, size: int, short: float, empty: float) -> None:
    """However many pages are short or empty, all items come in order, no page is too long, no two empty ones meet."""
    span, at, rested, before = range(count), 0, False, 1
    found: list[int] = []
    while True:
        cut = page("followers 1", span, at, size, Cut(short, empty), rested)
        assert len(cut.numbers) <= size
        found += cut.numbers
        if cut.next is None:
            break
        assert cut.numbers or before
        before = len(cut.numbers)
        at, rested = cut.next, cut.rested
    assert found == list(span)


def test_short_and_empty_pages_come_in_the_middle() -> None:
    """With shares of a tenth, a long list has some of both, and pages of the asked size too."""
    sizes, at, rested = [], 0, False
    while at < 9_000:
        cut = page("followers 1", range(10_000), at, 100, Cut(0.1, 0.1), rested)
        assert cut.next is not None
        sizes.append(len(cut.numbers))
        at, rested = cut.next, cut.rested
    assert {0, 100} < set(sizes)
    assert any(0 < size < 100 for size in sizes)
