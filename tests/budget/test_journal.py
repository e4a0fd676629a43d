"""What is kept over kills."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.budget import journal
from collector.budget.journal import Began, Calls, Frozen, Journal, compact, fold
from collector.clock import Clock
from collector.errors import StoreBusy, StoreError

KEEP = 900.2
HERE = Began("", 0.0)


class At(Clock):
    """A clock that stands."""

    def __init__(self, now: float, ahead: float = 0.0, boot: str = "") -> None:
        self.now, self.ahead, self._boot = now, ahead, boot

    def wall(self) -> float:
        return self.now + self.ahead

    def mono(self) -> float:
        return self.now

    def boot(self) -> str:
        return self._boot


def test_what_was_never_answered_counts_as_answered_at_the_start(path: Path) -> None:
    """A send without an answer is as busy as a call of this moment."""
    first = Journal(path, At(100.0))
    first.write(Calls("x", 101.0, 1, 0, KEEP))
    first.write(Calls("x", 102.0, 1, 0, KEEP))
    first.write(Calls("x", 103.0, 0, 1, KEEP))
    first.close()
    assert Journal(path, At(110.0)).past["x"].answers == [(103.0, 1), (110.0, 1)]
    assert Journal(path, At(200.0)).past["x"].answers == [(103.0, 1), (110.0, 1)]
    assert "x" not in Journal(path, At(110.0 + KEEP + 200)).past or not Journal(path, At(5_000.0)).past


@pytest.mark.parametrize(
    "garbage", [b'["calls","x",10', b"\x00\xff\x00", b"{}", b'["calls","x",1e999,1,0,9]', b"[" * 9_000, b'["odd",1]']
)
def test_a_torn_or_strange_line_hides_no_other(path: Path, garbage: bytes) -> None:
    """A kill in the middle of a write, or a sick disk."""
    good = b'["calls","x",101.0,0,1,900.2]\n'
    path.write_bytes(good + garbage + b"\n" + good + garbage)
    again = Journal(path, At(110.0))
    again.write(Calls("x", 111.0, 0, 1, KEEP))
    again.close()
    assert sum(count for _, count in Journal(path, At(120.0)).past["x"].answers) == 3


def test_a_stamp_in_the_future_counts_as_now(path: Path) -> None:
    """Somebody set the clock back."""
    lines = [b'["calls","x",9000.0,0,1,900.2]', b'["frozen","x",9000.0,9030.0,2]']
    story = fold(lines, 100.0, HERE)["x"]
    assert story.answers == [(100.0, 1)]
    assert story.frozen == Frozen("x", 100.0, 130.0, 2)


@pytest.mark.parametrize("ahead", [-1e6, 0.0, 1e6])
def test_a_clock_that_was_set_makes_no_call_older(path: Path, ahead: float) -> None:
    """In the same boot the monotonic clock tells how old a call is, whenever the wall clock was set."""
    clock = At(100.0, boot="b")
    first = Journal(path, clock)
    first.write(Calls("x", first.stamp(100.0), 0, 1, KEEP))
    clock.ahead, clock.now = ahead, 110.0
    first.note(Frozen("x", first.stamp(110.0), first.stamp(150.0), 1))
    first.close()
    later = Journal(path, At(120.0, ahead=ahead + 5e5, boot="b"))
    assert [(at - later.ahead, count) for at, count in later.past["x"].answers] == [(100.0, 1)]
    frozen = later.past["x"].frozen
    assert frozen is not None
    assert frozen.until - later.ahead == 150.0


def test_a_clock_that_was_set_before_the_machine_was_started_anew_makes_no_call_older(path: Path) -> None:
    """What was stamped by the wrong clock is moved to the right one, which alone is there after the boot."""
    clock = At(100.0, boot="b")
    first = Journal(path, clock)
    first.write(Calls("x", first.stamp(100.0), 0, 1, KEEP))
    clock.ahead = 1e9
    first.write(Calls("x", first.stamp(100.0), 0, 1, KEEP))
    first.close()
    assert Journal(path, At(20.0, ahead=1e9 + 100, boot="c")).past["x"].answers == [(1e9 + 100, 1), (1e9 + 100, 1)]


def test_an_answer_without_its_send_hides_no_other_send() -> None:
    """The send was on a torn line."""
    lines = [b'["calls","x",1,0,1,900]', b'["calls","x",2,1,0,900]']
    assert fold(lines, 3.0, HERE)["x"].unanswered == 1


def test_the_file_is_written_anew_when_it_has_grown(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays small however many calls are made, and what is in the air stays so."""
    monkeypatch.setattr(journal, "_BOUND", 10_000)
    clock = At(0.0)
    kept = Journal(path, clock)
    kept.write(Calls("x", 0.0, 1, 0, KEEP))
    for second in range(5_000):
        clock.now = float(second)
        kept.write(Calls("x", float(second), 1, 0, KEEP))
        kept.write(Calls("x", float(second), 0, 1, KEEP))
        assert path.stat().st_size < 60_000
    answers = Journal(path, At(5_000.0)).past["x"].answers
    assert sum(count for at, count in answers if at > 5_000 - KEEP) - 1 in (900, 901, 902, 903, 904)
    assert answers[-1] == (5_000.0, 1)


@settings(deadline=None)
@given(
    ages=st.lists(st.floats(0, 3e6), max_size=60),
    waits=st.lists(st.floats(0, 1e5), min_size=1, max_size=4),
    unanswered=st.integers(0, 3),
)
def test_writing_anew_loses_no_slot(ages: list[float], waits: list[float], unanswered: int) -> None:
    """No answer is forgotten before its time or dated earlier, however often the file is written anew."""
    now, keep = 1e9, 4e6
    lines: list[journal.Line] = [Calls("x", now - age, 0, 1, keep) for age in ages]
    lines.append(Calls("x", now, unanswered, 0, keep))
    for wait in waits:
        now += wait
        lines = compact(fold([journal._encoded([line]).strip() for line in lines], now, HERE), now)
    stories = fold([journal._encoded([line]).strip() for line in lines], now, HERE)
    answers = stories["x"].answers if "x" in stories else []
    stamps = sorted(at for at, count in answers for _ in range(count))
    true = sorted(1e9 - age for age in ages)
    assert len(stamps) == len(true)
    assert all(stamp >= at and stamp - at <= 0.01 * (now - at) + 0.001 for stamp, at in zip(stamps, true, strict=True))
    assert sum(story.unanswered for story in stories.values()) == unanswered


def test_a_full_disk_refuses_the_line_and_nothing_is_half_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be written is told before the next line, once."""
    kept = Journal(path, At(100.0))
    kept.write(Calls("x", 100.0, 2, 0, KEEP))
    before = path.read_bytes()
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))
    kept.note(Calls("x", 101.0, 0, 1, KEEP))
    with pytest.raises(StoreBusy, match="free some space"):
        kept.write(Calls("x", 102.0, 1, 0, KEEP))
    with pytest.raises(StoreBusy):
        kept.heal()
    assert path.read_bytes() == before
    monkeypatch.setattr(os, "write", write)
    kept.heal()
    kept.close()
    assert Journal(path, At(110.0)).past["x"].answers == [(101.0, 1), (110.0, 1)]


def test_a_start_on_a_full_disk_goes_on_with_the_file_as_it_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing anew is a convenience; the lines are the truth."""
    path.write_bytes(b'["calls","x",101.0,0,1,900.2]\n["calls","x"')

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    kept = Journal(path, At(110.0))
    kept.write(Calls("x", 111.0, 0, 1, KEEP))
    assert kept.past["x"].answers == [(101.0, 1)]
    assert Journal(path, At(120.0)).past["x"].answers == [(101.0, 1), (111.0, 1)]


def test_a_file_that_cannot_be_opened_is_an_operators_error(tmp_path: Path) -> None:
    """It names the file and what to do."""
    with pytest.raises(StoreError, match="cannot be opened"):
        Journal(tmp_path, At(0.0))
