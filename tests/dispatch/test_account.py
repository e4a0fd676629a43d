"""The time account, and that no millisecond of it is lost or counted twice."""

from collections import Counter

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.dispatch.account import HOUR, MOST_HOURS, Account, split
from collector.model import BatchId, BatchState, Why
from collector.store.batches import Batch
from collector.store.hours import Entries, Kept, Share, Span

NOTHING = Kept({}, {}, {})
BEGAN = 500_000 * HOUR + 1_234


class Disk:
    """What the account would have written."""

    def __init__(self) -> None:
        self.rows: Counter[tuple[str, int, Why]] = Counter()
        self.spans: dict[str, Span] = {}
        self.shares: dict[BatchId, Share] = {}

    def write(self, account: Account) -> None:
        entries = account.entries()
        self.rows.update(entries.spent)
        self.spans |= entries.spans
        for batch, share in entries.shares.items():
            if share is None:
                self.shares.pop(batch, None)
            else:
                self.shares[batch] = share
        account.written(entries)

    def kept(self) -> Kept:
        totals: dict[str, Counter[Why]] = {}
        for (source, _, why), milli in self.rows.items():
            totals.setdefault(source, Counter())[why] += milli
        return Kept(dict(self.spans), totals, dict(self.shares))

    def sum(self, source: str) -> int:
        return sum(milli for (name, _, _), milli in self.rows.items() if name == source)


def taken_in(at: int, number: int = 1, source: str = "posts") -> Batch:
    return Batch(
        id=BatchId(number),
        source=source,
        name="ids",
        origin="file",
        file=None,
        column=None,
        identity=None,
        digest=None,
        layout=None,
        warnings=(),
        state=BatchState.OPEN,
        line=0,
        lines=0,
        refused=0,
        items=0,
        created_at=at / 1000,
        opened_at=None,
        finished_at=None,
        written_at=None,
    )


def ended(batch: Batch, at: int) -> Batch:
    return msgspec.structs.replace(batch, state=BatchState.FINISHED, finished_at=at / 1000)


STEPS = st.lists(
    st.tuples(
        st.integers(0, 3 * HOUR),  # how long it takes
        st.sampled_from([why for why in Why if why is not Why.OFF]),
        st.sets(st.sampled_from(["posts", "users"])),  # what is declared
        st.sampled_from(["", "", "", "write", "kill", "set"]),
        st.integers(-2 * HOUR, 2 * HOUR),  # by which the clock is set
    ),
    max_size=40,
)


@settings(deadline=None)
@given(STEPS)
def test_the_hours_sum_to_the_time_that_went_by(steps: list[tuple[int, Why, set[str], str, int]]) -> None:
    """Over kills, sources that come and go, and clocks that are set while it runs: always, and on the disk too."""
    disk, account, now = Disk(), Account(NOTHING), BEGAN
    for milli, why, declared, event, by in steps:
        now += milli
        account.look(now, dict.fromkeys(declared, why))
        if event == "write":
            disk.write(account)
        elif event == "kill":
            account = Account(disk.kept())
        elif event == "set":
            now += by
            account.set_clock(by)
        for source, spent in account.totals().items():
            assert sum(spent.values()) == account.spans[source].until - account.spans[source].since
        for source, span in disk.spans.items():
            assert disk.sum(source) == span.until - span.since


@settings(deadline=None)
@given(STEPS)
def test_a_clock_that_is_set_neither_gives_nor_takes_time(steps: list[tuple[int, Why, set[str], str, int]]) -> None:
    """However often it is set, as much is booked as went by on the monotonic clock, each part for what was so."""
    account, now, went_by = Account(NOTHING), BEGAN, Counter[Why]()
    account.look(now, {"posts": Why.IDLE})
    for milli, why, _, event, by in steps:
        now += milli
        went_by[why] += milli
        if event:
            now += by
            account.set_clock(by)
        account.look(now, {"posts": why})
    assert account.totals() == {"posts": +went_by}
    assert account.spans["posts"].until == now


@settings(deadline=None)
@given(STEPS)
def test_over_kills_all_the_time_since_the_first_moment_is_there(
    steps: list[tuple[int, Why, set[str], str, int]],
) -> None:
    """The beginning that was written first never moves, and everything since is booked."""
    disk, account, now = Disk(), Account(NOTHING), BEGAN
    account.look(now, {"posts": Why.IDLE})
    disk.write(account)
    for milli, why, _, event, _ in steps:
        now += milli
        account.look(now, {"posts": why})
        if event == "write":
            disk.write(account)
        elif event == "kill":
            account = Account(disk.kept())
    account.look(now, {"posts": Why.IDLE})
    disk.write(account)
    assert disk.spans == {"posts": Span(BEGAN, now)}
    assert disk.sum("posts") == now - BEGAN


def test_a_kill_turns_what_was_not_written_into_off() -> None:
    """The next life counts from the last written moment, and the first moment stays the first."""
    disk, account = Disk(), Account(NOTHING)
    account.look(BEGAN, {"posts": Why.IDLE})
    account.look(BEGAN + 5_000, {"posts": Why.NETWORK})
    disk.write(account)
    account.look(BEGAN + 9_000, {"posts": Why.NETWORK})
    account = Account(disk.kept())
    account.look(BEGAN + 60_000, {"posts": Why.WINDOW})
    account.look(BEGAN + 61_000, {"posts": Why.WINDOW})
    assert account.totals() == {"posts": {Why.NETWORK: 5_000, Why.OFF: 55_000, Why.WINDOW: 1_000}}
    assert account.spans["posts"] == Span(BEGAN, BEGAN + 61_000)


def test_a_clock_set_back_between_two_lives_takes_nothing_away() -> None:
    """What was booked stays; the beginning moves with the clock."""
    disk, account = Disk(), Account(NOTHING)
    account.look(BEGAN, {"posts": Why.IDLE})
    account.look(BEGAN + 5_000, {"posts": Why.IDLE})
    disk.write(account)
    account = Account(disk.kept())
    account.look(BEGAN - HOUR, {"posts": Why.IDLE})
    assert account.totals() == {"posts": {Why.IDLE: 5_000}}
    assert account.spans["posts"] == Span(BEGAN - HOUR - 5_000, BEGAN - HOUR)


def test_what_is_booked_during_a_write_is_written_by_the_next() -> None:
    """Neither twice nor never."""
    account, disk = Account(NOTHING), Disk()
    account.look(BEGAN, {"posts": Why.IDLE})
    account.look(BEGAN + 100, {"posts": Why.IDLE})
    entries = account.entries()
    account.look(BEGAN + 250, {"posts": Why.IDLE})
    account.written(entries)
    assert list(account.entries().spent.values()) == [150]
    disk.write(account)
    assert account.entries().spent == {}


@settings(deadline=None)
@given(st.integers(0, 10**13), st.integers(0, 60 * HOUR))
def test_a_time_is_split_at_the_hours(begin: int, length: int) -> None:
    """Each part lies in its hour, and they sum to the whole."""
    parts = list(split(begin, begin + length))
    assert sum(milli for _, milli in parts) == length
    assert all(hour % HOUR == 0 and 0 < milli <= HOUR for hour, milli in parts)
    assert [hour for hour, _ in parts] == sorted({hour for hour, _ in parts})


def test_a_gap_of_decades_is_one_row() -> None:
    """A machine that woke up in 1970 does not fill the table with half a million hours."""
    assert list(split(HOUR // 2, (MOST_HOURS + 2) * HOUR)) == [(0, (MOST_HOURS + 2) * HOUR - HOUR // 2)]


def test_a_batch_has_the_time_between_its_taking_in_and_its_end() -> None:
    """To the millisecond, though both lie between two looks; and what came before and after is not its own."""
    account = Account(NOTHING)
    batch = taken_in(BEGAN + 1_700)
    account.look(BEGAN, {"posts": Why.IDLE})
    account.look(BEGAN + 1_000, {"posts": Why.IDLE})
    account.follow([])
    account.look(BEGAN + 2_000, {"posts": Why.NETWORK})
    account.follow([batch])
    account.look(BEGAN + 5_000, {"posts": Why.WINDOW})
    account.follow([batch])
    account.look(BEGAN + 6_000, {"posts": Why.NETWORK})
    account.follow([ended(batch, BEGAN + 5_250)])
    account.look(BEGAN + 9_000, {"posts": Why.IDLE})
    account.follow([ended(batch, BEGAN + 5_250)])
    assert account.spent(batch.id) == {Why.NETWORK: 300 + 250, Why.WINDOW: 3_000}
    account.follow([])
    assert account.spent(batch.id) == {}


def test_a_commit_that_took_long_takes_nothing_from_a_batch() -> None:
    """Its beginning and its end are stamped before they are committed, and so are told a few looks later."""
    account = Account(NOTHING)
    whys = [Why.IDLE, Why.DISK, Why.NETWORK, Why.NETWORK, Why.WINDOW, Why.DISK, Why.IDLE]
    for number, why in enumerate(whys):
        account.look(BEGAN + 1_000 * number, {"posts": why})
        batch = taken_in(BEGAN + 500)
        account.follow([ended(batch, BEGAN + 3_600)] if number == 6 else [batch] if number >= 2 else [])
    assert account.spent(BatchId(1)) == {Why.DISK: 500, Why.NETWORK: 2_000, Why.WINDOW: 600}


def test_a_batch_that_came_and_went_between_two_looks_has_its_time_too() -> None:
    """Nobody need have seen it open."""
    account = Account(NOTHING)
    account.look(BEGAN, {"posts": Why.IDLE})
    account.look(BEGAN + 300, {"posts": Why.NETWORK})
    account.follow([ended(taken_in(BEGAN + 20), BEGAN + 50)])
    assert account.spent(BatchId(1)) == {Why.NETWORK: 30}


@settings(deadline=None)
@given(st.integers(0, 20_000), st.integers(1, 60_000), st.sampled_from([4_000, 9_000, 15_000]))
def test_a_kill_leaves_the_time_of_a_batch_whole(taken_at: int, length: int, killed_at: int) -> None:
    """Wherever it falls between the writes: the parts sum to the time from the taking in to the end."""
    disk, account, end = Disk(), Account(NOTHING), taken_at + length
    for at in range(0, 120_000, 500):
        batch = taken_in(BEGAN + taken_at)
        known = [ended(batch, BEGAN + end)] if at >= end else [batch] if at >= taken_at else []
        if at == killed_at:
            account = Account(disk.kept())
        account.look(BEGAN + at, {"posts": Why.WINDOW})
        account.follow(known)
        if at % 5_000 == 0:
            disk.write(account)
    assert sum(account.spent(BatchId(1)).values()) == length
    assert disk.shares.keys() == {1}
    account.follow([])
    disk.write(account)
    assert not disk.shares


def test_only_what_changed_is_written_of_the_shares() -> None:
    """A thousand open batches are not written anew every few seconds."""
    account, disk = Account(NOTHING), Disk()
    batches = [taken_in(BEGAN, number) for number in range(1, 1_001)]
    account.look(BEGAN, {"posts": Why.IDLE})
    account.follow(batches)
    assert len(account.entries().shares) == 1_000
    disk.write(account)
    account.look(BEGAN + 250, {"posts": Why.NETWORK})
    account.follow(batches)
    entries: Entries = account.entries()
    assert entries.shares == {}
