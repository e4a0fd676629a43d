"""What is told, and how often: pure."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from collector.output.notice import AGAIN, MOST_ALONE, STALE, TOGETHER, Pace, Told, looked
from collector.output.snapshot import TroubleStatus

DOWN = TroubleStatus("down", "https://api.example.org does not answer", "posts", None)
STOPPED = TroubleStatus("stopped", "the key is refused", "posts", None)


def sent(told: dict[str, Told]) -> dict[str, Told]:
    """All that was owed has gone."""
    return {key: msgspec.structs.replace(one, owed=None) for key, one in told.items()}


def owed(told: dict[str, Told]) -> list[str]:
    return [one.owed.text for one in told.values() if one.owed]


def test_a_trouble_is_told_once_while_it_lasts() -> None:
    """However long that is, and whatever its words become."""
    told = looked({}, [STOPPED], 0.0)
    assert [text[:47] for text in owed(told)] == ["Source posts has stopped: the key is refused. I"]
    told = sent(told)
    for day in range(100):
        told = looked(told, [msgspec.structs.replace(STOPPED, what=f"day {day}")], day * 86_400.0)
        assert not owed(told)


def test_an_origin_that_flaps_each_minute_is_told_once_an_hour() -> None:
    """A day of it is 24 messages, and what is known does not grow."""
    told, messages = dict[str, Told](), 0
    for minute in range(24 * 60):
        told = looked(told, [DOWN] if minute % 2 else [], minute * 60.0)
        messages += len(owed(told))
        told = sent(told)
        assert len(told) <= 1
    assert messages == 24


def test_all_of_a_kind_are_one_message_and_each_stop_is_its_own() -> None:
    """A network that is gone takes every source with it; each stopped one wants a hand."""
    names = [f"source{n}" for n in range(50)]
    down = looked({}, [msgspec.structs.replace(DOWN, where=name) for name in names], 0.0)
    assert len(owed(down)) == 1
    assert "And 49 others of this kind" in owed(down)[0]
    assert len(owed(looked({}, [msgspec.structs.replace(STOPPED, where=name) for name in names], 0.0))) == 50


def test_a_trouble_of_a_kind_that_nobody_has_thought_of_is_told() -> None:
    """But not that of telling, nor the warnings of a batch, which come with it."""
    odd = [TroubleStatus(kind, "it is odd\x1b[2J", "there", None) for kind in ("new", "notify", "warning")]
    assert owed(looked({}, odd, 0.0)) == ["Trouble (new) with there: it is odd?[2J."]


def test_a_trouble_that_could_not_be_told_for_a_day_is_no_news() -> None:
    """Until then it is owed, over or not."""
    told = looked(looked({}, [DOWN], 0.0), [], STALE - 1)
    assert owed(told)
    assert looked(told, [], STALE) == {}


@given(st.lists(st.tuples(st.booleans(), st.floats(-5_000, 5_000)), max_size=60))
def test_a_clock_that_jumps_mutes_nothing(looks: list[tuple[bool, float]]) -> None:
    """Whatever the wall clock does, a trouble that lasts was told, and is known as lasting."""
    told, now = dict[str, Told](), 0.0
    for there, jump in looks:
        now += jump
        told = looked(sent(told), [DOWN] if there else [], now)
        lately = "down" in told and 0 <= now - told["down"].at < AGAIN
        assert not there or told["down"].lasts or lately


def test_ten_thousand_batches_in_an_hour_are_a_few_messages() -> None:
    """The first ones come one by one, then several in one each quarter of an hour; none is left out."""
    pace, waiting, told, messages = Pace(), 0, 0, 0
    for second in range(3_600 + int(TOGETHER) + 1):
        waiting += 3 if second < 3_600 else 0
        while number := pace.take(waiting, float(second)):
            pace.told(number, float(second))
            waiting, told, messages = waiting - number, told + number, messages + 1
    assert (waiting, told) == (0, 3 * 3_600)
    assert messages <= MOST_ALONE + 6
