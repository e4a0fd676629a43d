from collections import Counter
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from collector.dispatch.packing import Kind, Shelf
from collector.model import ABSENT, BatchId, Call, Job


def shelf(most: int, room: int = 8000) -> Shelf:
    return Shelf("posts", most, room, lambda key: len(key) + 3, lambda key: "," in key)


def job(batch: int, key: str, pack_max: int | None = None, reason: str | None = None, *, delayed: bool = False) -> Job:
    return Job(BatchId(batch), key, 0, pack_max, reason, delayed)


def always(_: Kind) -> bool:
    return True


def never(_: Kind) -> bool:
    return False


def next_call(shelf: Shelf, partial: Callable[[Kind], bool]) -> Call | None:
    kind = shelf.ready(partial)
    return shelf.pack(kind) if kind else None


def all_calls(shelf: Shelf) -> list[Call]:
    calls = []
    while call := next_call(shelf, always):
        calls.append(call)
    return calls


def test_a_call_is_filled_from_several_batches() -> None:
    """Small batches share a call instead of sending one each."""
    packed = shelf(100)
    packed.add([job(1, f"a{i}") for i in range(60)])
    packed.add([job(2, f"b{i}") for i in range(40)])
    call = next_call(packed, never)
    assert call is not None
    assert len(call.keys) == 100
    assert len(packed) == 0


def test_an_unfilled_pack_waits_until_it_may_go() -> None:
    """What can still be filled is not sent half empty."""
    packed = shelf(100)
    packed.add([job(1, "a")])
    assert next_call(packed, never) is None
    assert next_call(packed, always) == Call("posts", (job(1, "a"),), ("a",))


def test_a_small_batch_is_not_behind_a_large_one() -> None:
    """A batch that comes while a large one is being asked has its share of the very next calls."""
    packed = shelf(1)
    packed.add([job(1, f"a{i:04}") for i in range(1000)])
    for _ in range(500):
        next_call(packed, never)
    packed.add([job(2, f"b{i}") for i in range(10)])
    next_calls = [next_call(packed, never) for _ in range(20)]
    assert Counter(call.jobs[0].batch for call in next_calls if call) == {1: 10, 2: 10}


def test_split_jobs_go_only_with_jobs_of_the_same_limit() -> None:
    """After a split no call is larger than the limit of any of its jobs."""
    packed = shelf(100)
    packed.add([job(1, f"a{i}", 50) for i in range(60)] + [job(1, f"b{i}") for i in range(60)])
    for call in all_calls(packed):
        assert len(call.keys) <= min(job.pack_max or 100 for job in call.jobs)
        assert len({job.pack_max for job in call.jobs}) == 1


def test_absent_ids_are_asked_among_their_like() -> None:
    """A second asking shows whether the first answer was cut short, so it holds absent IDs only."""
    packed = shelf(10)
    packed.add([job(1, f"a{i}", 5, ABSENT) for i in range(5)] + [job(1, f"b{i}", 5, "http-500") for i in range(5)])
    assert [len({job.reason for job in call.jobs}) for call in all_calls(packed)] == [1, 1]


def test_an_absent_id_is_asked_again_before_others_are_asked_first() -> None:
    """Where each call carries one ID too: a small batch would else wait for its last IDs until a large one is done."""
    packed = shelf(1)
    packed.add([job(1, f"a{i}") for i in range(9)] + [job(2, "b", 1, ABSENT)])
    call = next_call(packed, never)
    assert call is not None
    assert call.keys == ("b",)


def test_one_key_of_two_batches_is_asked_once() -> None:
    """A call never carries a key twice, and both jobs get its outcome."""
    packed = shelf(10)
    packed.add([job(1, key) for key in "abc"])
    packed.add([job(2, key) for key in "abc"])
    [call] = all_calls(packed)
    assert call.keys == ("a", "b", "c")
    assert len(call.jobs) == 6


def test_an_id_that_holds_the_joiner_goes_alone() -> None:
    """Beside others it would be read as two."""
    packed = shelf(10)
    packed.add([job(1, key) for key in ("a", "b,c", "d")])
    assert sorted(call.keys for call in all_calls(packed)) == [("a",), ("b,c",), ("d",)]


def test_a_call_keeps_within_the_room_of_its_url() -> None:
    """Long IDs make smaller packs; one that is too long by itself goes alone."""
    packed = shelf(100, room=100)
    packed.add([job(1, "x" * 40 + str(i)) for i in range(5)] + [job(1, "y" * 500)])
    assert sorted(len(call.keys) for call in all_calls(packed)) == [1, 1, 2, 2]


def test_jobs_of_batches_that_are_no_longer_open_are_dropped() -> None:
    """A paused or cancelled batch leaves the shelf, and only it."""
    packed = shelf(10)
    packed.add([job(1, "a"), job(2, "b"), job(3, "c", 5)])
    assert {job.key for job in packed.drop_others({BatchId(2)})} == {"a", "c"}
    assert [call.keys for call in all_calls(packed)] == [("b",)]


JOBS = st.lists(
    st.builds(
        job,
        st.integers(1, 4),
        st.text("ab,", min_size=1, max_size=4),
        st.sampled_from([None, 1, 2, 5]),
        st.sampled_from([None, ABSENT, "http-500"]),
        delayed=st.booleans(),
    ),
    unique_by=lambda job: (job.batch, job.key),
    max_size=60,
)


@given(JOBS, st.integers(1, 12), st.integers(5, 40))
def test_every_job_goes_exactly_once(jobs: list[Job], most: int, room: int) -> None:
    """Whatever was shelved comes out in calls, none twice, none lost, none over its limits."""
    packed = shelf(most, room)
    packed.add(jobs)
    calls = all_calls(packed)
    assert Counter(job for call in calls for job in call.jobs) == Counter(jobs)
    assert len(packed) == 0
    for call in calls:
        assert len(call.keys) == len(set(call.keys)) <= min(min(job.pack_max or most, most) for job in call.jobs)
        assert len(call.keys) == 1 or sum(len(key) + 3 for key in call.keys) <= room
        assert len(call.keys) == 1 or not any("," in key for key in call.keys)
