"""Durations and sizes as people write and read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector import quantity


@pytest.mark.parametrize(("text", "seconds"), [
    ("500ms", 0.5), ("30s", 30.0), ("15m", 900.0), ("1.5h", 5_400.0), ("30d", 2_592_000.0), (" 2 w ", 1_209_600.0),
])  # fmt: skip
def test_a_duration_reads_as_people_write_it(text: str, seconds: float) -> None:
    """A number and a unit in lower case."""
    assert quantity.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "s", "-1s", "0s", "1 min", "5S", "2H", "1e3s", "1" * 400 + "d", "٣s"])
def test_what_is_no_duration_is_told(text: str) -> None:
    """The words say what is expected."""
    with pytest.raises(ValueError, match=r'^a duration above zero, as in "30s"'):
        quantity.seconds(text)


@pytest.mark.parametrize("text", ["15M", "1.5 M"])
def test_a_month_is_never_taken_for_a_minute(text: str) -> None:
    """Whoever wrote M meant one of the two, and is told how to write each."""
    number = text.rstrip(" M")
    with pytest.raises(ValueError, match=f'^"{number}m" for minutes; months are not known: use days, as in "30d"'):
        quantity.seconds(text)


@pytest.mark.parametrize("text", ["0B", "5", "5XB", "1" * 400 + "MB"])
def test_what_is_no_size_is_told(text: str) -> None:
    """A number that no machine has room for is none either."""
    with pytest.raises(ValueError, match=r"^a size above zero"):
        quantity.size(text)


@pytest.mark.parametrize(("seconds", "said"), [
    (0.0, "0 s"), (0.001, "1 ms"), (0.5, "500 ms"), (0.9999, "1 s"), (1.0, "1 s"), (1.5, "1.5 s"), (2.25, "2.25 s"),
    (40.0, "40 s"), (59.9999, "1 min"), (60.0, "1 min"), (7_530.0, "2 h 5 min"), (2_592_000.0, "30 d"),
])  # fmt: skip
def test_a_length_of_time_is_spoken_as_it_is(seconds: float, said: str) -> None:
    """Two units at most, and no half second is nothing."""
    assert quantity.spoken(seconds) == said


@given(st.floats(0.001, 1e9))
def test_what_lasts_is_never_spoken_as_nothing(seconds: float) -> None:
    """However short it is."""
    assert not quantity.spoken(seconds).startswith("0")


@pytest.mark.parametrize(("number", "said"), [(0, "0 calls"), (1, "1 call"), (2_000, "2,000 calls")])
def test_things_are_one_or_several(number: int, said: str) -> None:
    """With separators, as people read numbers."""
    assert quantity.things(number, "call") == said


@pytest.mark.parametrize(("number", "told"), [
    (0, "0 B"), (999, "999 B"), (64_000, "64 kB"), (912_345_678, "912 MB"), (999_600_000, "1 GB"),
    (1_100_000_000, "1.1 GB"), (12_340_000_000, "12.3 GB"), (1_100_000 * 10**12, "1,100,000 TB"),
])  # fmt: skip
def test_bytes_are_told_in_three_digits(number: int, told: str) -> None:
    """Short, and never as a power of ten."""
    assert quantity.sized(number) == told


def test_a_size_may_be_none_where_that_is_asked() -> None:
    """Zero in two ways; all else as any size."""
    assert [quantity.size_or_none(text) for text in ("0", " 0B ", "1GB")] == [0, 0, 10**9]
    with pytest.raises(ValueError, match=r'or "0" for none'):
        quantity.size_or_none("-1GB")
