"""When a file is complete, in time that passes by hand."""

from hypothesis import given
from hypothesis import strategies as st

from collector.intake.arrivals import STALLED, UNFINISHED, Arrivals, Sighting
from tests.intake.house import HandClock

SETTLE = 2.0


class Folder:
    """One file, looked at now and then."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.arrivals = Arrivals(SETTLE, self.clock)

    def look(self, size: int, *, whole: bool = True, mtime: int = 0, inode: int = 1) -> bool:
        """Whether the file is complete, as a scan now would tell."""
        if self.arrivals.needs_look("ids.txt", Sighting(inode, size, mtime)):
            self.arrivals.ends("ids.txt", whole=whole)
        return self.arrivals.complete("ids.txt")


def test_a_file_is_complete_when_it_rested_for_the_settle_time() -> None:
    """Its size and mtime do not change for two seconds, and its last line has its newline."""
    folder = Folder()
    assert not folder.look(100)
    folder.clock.pass_by(1.9)
    assert not folder.look(100)
    folder.clock.pass_by(0.1)
    assert folder.look(100)


def test_every_change_begins_the_wait_anew() -> None:
    """A file that grows, is touched or is replaced is not complete."""
    folder = Folder()
    for size, mtime, inode in ((100, 0, 1), (200, 0, 1), (200, 1, 1), (200, 1, 2)):
        assert not folder.look(size, mtime=mtime, inode=inode)
        folder.clock.pass_by(1.9)
    assert not folder.look(200, mtime=1, inode=2)
    folder.clock.pass_by(0.2)
    assert folder.look(200, mtime=1, inode=2)


def test_a_last_line_without_a_newline_is_waited_for_ten_times_as_long() -> None:
    """A sender that stalled inside a line does not get an ID cut in two."""
    folder = Folder()
    folder.look(100, whole=False)
    folder.clock.pass_by(SETTLE)
    assert not folder.look(100, whole=False)
    folder.clock.pass_by(SETTLE * UNFINISHED - SETTLE - 0.1)
    assert not folder.look(100, whole=False)
    folder.clock.pass_by(0.1)
    assert folder.look(100, whole=False)


def test_a_file_that_was_closed_or_renamed_is_complete_at_once() -> None:
    """Linux tells, and nobody waits."""
    folder = Folder()
    folder.arrivals.closed("ids.txt")
    assert folder.look(100, whole=False)


def test_a_file_that_a_process_is_writing_is_not_complete_however_long_it_rests() -> None:
    """A stalled writer of this machine is waited for, but not for ever."""
    folder = Folder()
    folder.arrivals.written("ids.txt")
    folder.look(100)
    folder.clock.pass_by(STALLED - 1)
    assert not folder.look(100)
    folder.clock.pass_by(1)
    assert folder.look(100)


def test_writing_again_after_a_close_is_writing() -> None:
    """The last word counts."""
    folder = Folder()
    folder.arrivals.closed("ids.txt")
    folder.arrivals.written("ids.txt")
    folder.look(100)
    folder.clock.pass_by(SETTLE * 2)
    assert not folder.look(100)
    folder.arrivals.closed("ids.txt")
    assert folder.look(100)


def test_when_events_were_lost_the_settle_time_decides() -> None:
    """A close that nobody was told of does not hold a file back for minutes."""
    folder = Folder()
    folder.arrivals.written("ids.txt")
    folder.look(100)
    folder.arrivals.lost()
    folder.clock.pass_by(SETTLE)
    assert folder.look(100)


def test_an_empty_file_is_given_time_to_be_written() -> None:
    """A shell makes the file before the command behind it has said a word."""
    folder = Folder()
    folder.arrivals.made("ids.txt")
    folder.look(0)
    folder.clock.pass_by(SETTLE * UNFINISHED)
    assert not folder.look(0)
    folder.arrivals.closed("ids.txt")
    assert folder.look(0)


def test_an_empty_file_that_was_closed_may_still_be_opened_again() -> None:
    """`touch` and then a writer: the empty file is not rejected in between."""
    folder = Folder()
    folder.arrivals.closed("ids.txt")
    assert not folder.look(0)
    folder.clock.pass_by(SETTLE * UNFINISHED - 0.1)
    assert not folder.look(0)
    assert folder.look(100)


def test_what_was_known_of_a_file_that_is_gone_means_nothing_for_the_next_of_its_name() -> None:
    """A name that comes again is a new file."""
    folder = Folder()
    folder.arrivals.closed("ids.txt")
    folder.look(100)
    folder.arrivals.forget({"ids.txt"})
    assert folder.arrivals.paths() == set()
    assert not folder.look(100)


@given(st.lists(st.tuples(st.sampled_from(["look", "write", "grow"]), st.floats(0, 10)), max_size=40))
def test_without_a_close_no_file_is_complete_sooner_than_the_settle_time_after_a_change(
    steps: list[tuple[str, float]],
) -> None:
    """Whatever happens in between, a complete file has rested."""
    folder, size, changed = Folder(), 100, 0.0
    begin = changed = folder.clock.mono()
    for step, seconds in steps:
        folder.clock.pass_by(seconds)
        if step == "grow":
            size, changed = size + 1, folder.clock.mono()
        if step == "write":
            folder.arrivals.written("ids.txt")
            changed = folder.clock.mono()
        if folder.look(size):
            assert folder.clock.mono() - max(begin, changed) >= SETTLE
