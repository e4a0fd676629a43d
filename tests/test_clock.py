"""Times as they are stored and shown."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.clock import BEYOND, LAST, stamp, told, unstamp


@given(st.floats(0, LAST, exclude_max=True))
def test_a_time_that_a_calendar_has_is_told_as_it_is_stored(wall: float) -> None:
    """To the millisecond, and back."""
    shown = told(wall)
    assert shown == stamp(wall)
    assert shown is not None
    assert abs(unstamp(shown) - wall) <= 0.001


@pytest.mark.parametrize("wall", [None, LAST, LAST * 10, 1e300, math.inf, math.nan])
def test_a_time_that_nobody_can_tell_is_none(wall: float | None) -> None:
    """Not known, never, or so late that some zone has no date for it: nothing fails over it."""
    assert told(wall) is None


def test_the_words_name_the_last_year_that_can_be_told() -> None:
    """What is shown in place of a time and where times end are one thing."""
    assert stamp(LAST - 1).startswith(BEYOND.rpartition(" ")[2])
