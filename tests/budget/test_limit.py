"""What a declared limit may say, and where the windows of one begin that goes by a clock."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.budget.limit import Alignment, Limit, Unit


@pytest.mark.parametrize(("text", "limit"), [
    ("900/15m", Limit(900, 900.0)),
    ("1 / 1s", Limit(1, 1.0)),
    ("40 calls/1m", Limit(40, 60.0)),
    ("3_000_000 items/30d", Limit(3_000_000, 2_592_000.0, Unit.ITEMS)),
    ("10000 units/1d at 00:00 America/Los_Angeles",
     Limit(10_000, 86_400.0, Unit.UNITS, Alignment(0, 0, "America/Los_Angeles"))),
    ("9\t/\t100ms", Limit(9, 0.1)),
    ("60/1h at 00:30 UTC", Limit(60, 3600.0, Unit.CALLS, Alignment(0, 30, "UTC"))),
])  # fmt: skip
def test_a_limit_reads_as_people_write_it(text: str, limit: Limit) -> None:
    """Count, unit, duration and the clock that its windows begin by."""
    assert Limit.parse(text) == limit


@pytest.mark.parametrize(("text", "expected"), [
    ("", "a count and a duration"),
    ("0/15m", "a count and a duration"),
    ("900", "a count and a duration"),
    ("900 items", "a count and a duration"),
    ("/15m", "a count and a duration"),
    ("5posts/1d", "a count and a duration"),
    ("5 posts/1d", r"calls, items or units after the count \('posts' is none of them\)"),
    ("900 item/1d", r"calls, items or units after the count \('item' is none of them\)"),
    ("3,000,000 items", "a count written as 3000000 or 3_000_000"),
    ("3.000.000 items/30d", "a count written as 3000000 or 3_000_000"),
    ("3 000/30d", "a count written as 3000 or 3_000"),
    ("1000000000001/30d", "a count of at most 1000000000000"),
    ("9" * 5_000 + "/30d", "a count of at most"),
    ("5/", "a duration above zero"),
    ("5/1d/2", "a duration above zero"),
    ("10000 items/1M", '"1m" for minutes; months are not known'),
    ("1000/1ms", "a window of at least 100 ms"),
    ("1000/99ms", "a window of at least 100 ms"),
    ("5/1d at", "a time and a zone"),
    ("5/1d at UTC", "a time and a zone"),
    ("5/1d at 00:00 UTC daily", "a time and a zone"),
    ("900/1d at 00:00", 'a zone after the time, as in "10000 units/1d at 00:00 America/Los_Angeles"'),
    ("5/1d at noon UTC", r"a time from 00:00 to 23:59 \('noon' is none\)"),
    ("900/1d at 24:00 UTC", r"a time from 00:00 to 23:59 \('24:00' is none\)"),
    ("900/1d at 24:00", r"a time from 00:00 to 23:59 \('24:00' is none\)"),
    ("900/1d at 00:00 PST", r"a zone by its name, as in America/Los_Angeles or UTC \('PST' is none\)"),
    ("5/1d at 00:00 America/Nowhere", "a zone by its name"),
    ("5/1d at 00:00 ../../etc/passwd", "a zone by its name"),
    ("5/1d at 00:00 \x1b", r"a zone by its name, as in America/Los_Angeles or UTC \('\\x1b' is none\)"),
    ("5/30d at 00:00 UTC", "with `at`, a day or a whole part"),
    ("5/7h at 00:00 UTC", "with `at`, a day or a whole part"),
])  # fmt: skip
def test_what_is_no_limit_is_told(text: str, expected: str) -> None:
    """The words say what is expected, and what is odd."""
    with pytest.raises(ValueError, match=f"^{expected}"):
        Limit.parse(text)


def test_a_limit_speaks_for_itself() -> None:
    """Status and receipts show it in words."""
    assert str(Limit.parse("900/15m")) == "900 calls in 15 min"
    assert str(Limit.parse("3000000 items/30d")) == "3000000 items in 30 d"
    assert str(Limit.parse("9 units/1d at 07:05 Asia/Tokyo")) == "9 units in 1 d at 07:05 Asia/Tokyo"


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 8), 23), ((2026, 11, 1), 25), ((2026, 6, 1), 24)])
def test_a_day_is_as_long_as_its_clocks_say(day: tuple[int, int, int], hours: int) -> None:
    """Where summer time begins or ends a window has an hour less or more."""
    zone = ZoneInfo("America/Los_Angeles")
    alignment = Alignment(0, 0, zone.key)
    began = datetime(*day, tzinfo=zone).timestamp()
    assert alignment.next(began - 1, 86_400) == began
    assert alignment.next(began, 86_400) == began + hours * 3600


def test_parts_of_a_day_are_counted_from_its_time() -> None:
    """Windows of six hours from half past one."""
    alignment = Alignment(1, 30, "UTC")
    noon = datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()
    assert alignment.next(noon, 6 * 3600) == noon + 1.5 * 3600
    assert alignment.next(noon - 11 * 3600, 6 * 3600) == noon - 10.5 * 3600


@given(
    wall=st.floats(0, 4e9),
    hour=st.integers(0, 23),
    zone=st.sampled_from(["UTC", "America/Los_Angeles", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    period=st.sampled_from([3600.0, 21_600.0, 43_200.0, 86_400.0]),
)
def test_the_next_window_begins_later_and_before_long(wall: float, hour: int, zone: str, period: float) -> None:
    """Never now, never further off than its own length and the hour that a clock may be set."""
    ahead = Alignment(hour, 0, zone).next(wall, period) - wall
    assert 0 < ahead <= period + 3600
