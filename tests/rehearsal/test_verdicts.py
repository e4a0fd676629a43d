"""Who is let through, and what the log knows of it."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.rehearsal.verdicts import Fixed, Sliding, Verdict, Verdicts

LIMIT, SECONDS = 3, 10.0
GAPS = st.lists(st.floats(0, 12) | st.sampled_from([0.0, 10.0, 5.0]), max_size=60)


def verdict(mono: float, *, status: int = 200, counted: bool = True, fault: str = "", key: str = "a") -> Verdict:
    return Verdict(
        t=mono, mono=mono, key=key, route="/x", uri="/x", ids=("1", "2"), status=status, counted=counted, fault=fault
    )


def arrivals(gaps: list[float]) -> list[float]:
    times = [1000.0]
    for gap in gaps:
        times.append(times[-1] + gap)
    return times


@given(GAPS)
def test_a_fixed_window_lets_no_more_than_its_limit_through(gaps: list[float]) -> None:
    """Windows are anchored at the first request, follow each other without overlap, and none grants more than L."""
    window, ends, granted = Fixed(LIMIT, SECONDS), 0.0, 0
    for at in arrivals(gaps):
        if at >= ends:
            ends, granted = at + SECONDS, 0
        standing = window.take(at, at + 5000)
        granted += standing.granted
        assert granted <= LIMIT
        assert standing.granted is (granted + standing.remaining == LIMIT and (standing.granted or granted < LIMIT))
        assert standing.remaining == LIMIT - granted
        assert standing.resets_at == pytest.approx(ends + 5000)


@given(GAPS)
def test_a_sliding_window_lets_no_more_than_its_limit_through_in_any_stretch(gaps: list[float]) -> None:
    """No interval of W holds more than L grants, and nobody is refused while there is room."""
    window, verdicts, granted = Sliding(LIMIT, SECONDS), Verdicts(), list[float]()
    for at in arrivals(gaps):
        standing = window.take(at, at)
        recent = sum(before > at - SECONDS for before in granted)
        assert standing.granted is (recent < LIMIT)
        if standing.granted:
            granted.append(at)
        verdicts.add(verdict(at, counted=standing.granted, status=200 if standing.granted else 429))
    assert verdicts.most_in_any_window(SECONDS) <= LIMIT


def test_the_reset_of_a_fixed_window_stays_put() -> None:
    """Every answer of one window names the same instant, whatever the wall clock does meanwhile."""
    window = Fixed(LIMIT, SECONDS)
    assert [window.take(at, wall).resets_at for at, wall in ((1, 100.5), (2, 101.6), (3, 90.0))] == [110.5] * 3


def test_the_most_in_a_window_is_counted_for_each_credential() -> None:
    """Two keys do not share a window, refused requests do not count, and an interval is open at its start."""
    verdicts = Verdicts()
    for at in (0.0, 1.0, 10.0, 10.5):
        verdicts.add(verdict(at))
        verdicts.add(verdict(at, key="b"))
        verdicts.add(verdict(at, status=429, counted=False))
    assert verdicts.most_in_any_window(10.0) == 3
    assert Verdicts().most_in_any_window(10.0) == 0


def test_only_whole_good_answers_count_as_asked() -> None:
    """An answer that was lost or spoilt is no answer to an ID."""
    verdicts = Verdicts()
    verdicts.add(verdict(1))
    verdicts.add(verdict(2, fault="truncated"))
    verdicts.add(verdict(3, status=0, fault="lost"))
    verdicts.add(verdict(4, status=429, counted=False))
    assert verdicts.asked == {"1": 1, "2": 1}
    assert verdicts.statuses == {200: 2, 0: 1, 429: 1}


def test_a_log_file_reads_back_while_it_is_written(tmp_path: Path) -> None:
    """All whole lines come back; one that is being written does not matter, and a second server goes on in the file."""
    file = tmp_path / "log.jsonl"
    first = Verdicts(file, {"limit": 3})
    first.add(verdict(1))
    first.close()
    second = Verdicts(file, {"limit": 3})
    second.add(verdict(2))
    second.close()
    with file.open("ab") as handle:
        handle.write(b'{"t":3')
    back = Verdicts.read(file)
    assert list(back) == [verdict(1), verdict(2)]
    assert back.asked == {"1": 2, "2": 2}


async def test_one_can_wait_for_a_number_of_requests() -> None:
    """The wait ends with the verdict that was waited for, and at once when it has been."""
    verdicts = Verdicts()
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(verdicts.reached(2))
        await asyncio.wait([waiting], timeout=0)
        verdicts.add(verdict(1))
        assert not waiting.done()
        verdicts.add(verdict(2))
    await verdicts.reached(2)
