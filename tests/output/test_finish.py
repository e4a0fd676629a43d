"""When everything is done, from hand-made outlooks and progress."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model import BatchId, Live, Outlook, Progress, SourceLive, WindowAhead
from collector.output.effort import needs
from collector.output.finish import Finish, Work, finish
from collector.sources.spec import Spec
from tests.output.given import LIVE, SPECS, live

PACKED = SPECS["posts"]  # 100 IDs a call
SINGLE = Spec(url="https://api.example.org/posts/{id}", parallel=8)
QUARTER = Outlook((WindowAhead("posts", "calls", 100, 900.0, 100, ()),), round_trip=0.2)
KNOWN = Progress(calls=1_000, jobs=100_000, settled=100_000, items=100_000)
ALONE = Progress(calls=100_000, jobs=100_000, settled=100_000, items=100_000)


def told(works: list[Work], **changes: object) -> Finish:
    """The forecast at moment 0, of a source with many clean calls behind it."""
    state = live(**({"outlook": lambda _: QUARTER, "progress": {"posts": KNOWN}} | changes))
    return finish(works, state, SPECS, 0.0)


def owing(jobs: int, delayed: int = 0, air: int = 0) -> list[Work]:
    return [Work(BatchId(1), "posts", jobs, delayed, air)]


def test_a_burst_window_is_not_spread() -> None:
    """290 full calls at 100 a quarter of an hour are done soon after the second reset, not after the third."""
    whole = told(owing(29_000)).whole
    assert whole
    assert 1_750 < whole.earliest <= whole.likely < 1_830


def test_what_is_in_the_air_needs_no_window() -> None:
    """The last calls come back, though the window is spent."""
    spent = Outlook((WindowAhead("posts", "calls", 100, 900.0, 0, ((600.0, 100),)),), round_trip=0.2)
    whole = told(owing(800, air=800), outlook={"posts": spent}.get).whole
    assert whole
    assert whole.likely == pytest.approx(0.2, abs=0.01)


def test_what_is_delayed_may_come_last() -> None:
    """The latest end waits for everything that was put off."""
    state = {"progress": {"posts": msgspec.structs.replace(KNOWN, due=250.0)}}
    assert told(owing(100)).whole != told(owing(100, delayed=5), **state).whole
    late = told(owing(100, delayed=5), **state).whole
    assert late
    assert late.latest > 250
    assert late.likely < 5


@pytest.mark.parametrize("state", ["stopped", "down", "paused"])
def test_nobody_can_tell_of_a_source_that_does_not_run(state: str) -> None:
    """Then the whole has no time either; a source without work keeps none of the others waiting."""
    sources = {"posts": SourceLive("running", None), "other": SourceLive(state, None)}
    specs = {"posts": PACKED, "other": PACKED}
    both = [*owing(100), Work(BatchId(2), "other", 100, 0)]
    got = finish(both, live(sources=sources), specs, 0.0)
    assert got.whole is None
    assert list(got.batches) == [1]
    assert finish(owing(100), live(sources=sources), specs, 0.0).whole


@pytest.mark.parametrize("changes", [
    {"state": "paused"}, {"state": "draining", "stopping": True}, {"state": "degraded"}, {"sources": {}},
    {"outlook": lambda _: Outlook((), wait=math.inf)},
])  # fmt: skip
def test_nobody_can_tell_while_nobody_asks(changes: dict[str, object]) -> None:
    """Neither of everything nor of a batch."""
    assert told(owing(100), **changes) == Finish(None, {})


def test_without_work_there_is_no_time() -> None:
    """Nothing is open."""
    assert told([]) == Finish(None, {})


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=8))
def test_batches_that_share_a_source_finish_in_the_order_of_their_sizes(sizes: list[int]) -> None:
    """Equal shares: the smallest is done first, and the last one when everything is."""
    works = [Work(BatchId(number), "posts", size, 0) for number, size in enumerate(sizes)]
    ends = told(works)
    times = [ends.batches[work.batch].likely for work in sorted(works, key=lambda work: work.open)]
    assert times == sorted(times)
    assert ends.whole
    assert times[-1] == ends.whole.likely


def pool(name: str, more: tuple[WindowAhead, ...] = (), every: float = 0.0) -> Outlook:
    return Outlook((*more, WindowAhead(name, "items", 1_000, 3_600.0, 1_000, ())), round_trip=0.2, every=every)


def two(one: Outlook, other: Outlook, sizes: tuple[int, int] = (900, 900)) -> Finish:
    """Two sources that owe IDs, one a call."""
    state = live(
        sources={name: SourceLive("running", None) for name in ("a", "b")},
        outlook={"a": one, "b": other}.get,
        progress=dict.fromkeys("ab", ALONE),
    )
    works = [Work(BatchId(1), "a", sizes[0], 0), Work(BatchId(2), "b", sizes[1], 0)]
    return finish(works, state, {"a": SINGLE, "b": SINGLE}, 0.0)


def test_sources_that_share_a_budget_add_up() -> None:
    """A thousand objects an hour: two sources that want 900 each share them, and alone each would be done at once."""
    shared = two(pool("money"), pool("money"))
    apart = two(pool("money"), pool("other"))
    assert apart.batches[BatchId(1)].likely < 60
    assert shared.batches[BatchId(1)].likely > 3_600
    assert shared.batches[BatchId(1)].earliest < 60  # nobody knows how much the other takes


def test_a_small_need_has_its_share_of_a_budget_first() -> None:
    """What the other still draws after it is done does not count."""
    shared = two(pool("money"), pool("money"), (100, 10_000))
    assert shared.batches[BatchId(1)].likely < 60
    assert shared.batches[BatchId(2)].likely > 9 * 3_600


def test_sources_of_one_identity_share_their_pace() -> None:
    """A call each second between the two of them."""
    window = (WindowAhead("a", "calls", 900, 900.0, 900, ()),)
    alike = two(Outlook(window, every=1.0, round_trip=0.2), Outlook(window, every=1.0, round_trip=0.2), (300, 300))
    assert alike.batches[BatchId(1)].likely == pytest.approx(600, rel=0.02)


@given(
    st.integers(1, 10**6), st.floats(0, 1), st.integers(0, 10**4), st.floats(0.2, 1), st.floats(0.1, 1), st.booleans()
)
def test_the_effort_is_in_order_and_never_less_than_full_calls(
    jobs: int, flying: float, calls: int, full: float, settled: float, packed: bool
) -> None:
    """The least is at most the likely, that at most the most, and none promises fuller calls than there can be."""
    spec = PACKED if packed else SINGLE
    sent = int(calls * spec.pack * full) if packed else calls
    progress = Progress(calls, sent, int(sent * settled), int(sent * settled / 2))
    air = int(jobs * flying)
    least, likely, most = needs(jobs, air, progress, spec)
    assert least.calls <= likely.calls <= most.calls
    assert least.items <= likely.items <= most.items
    assert least.calls >= -(-(jobs - air) // spec.pack)


def test_what_was_measured_is_believed() -> None:
    """Calls that carried 40 of 100 IDs, every fifth of them in vain, say what the rest takes."""
    _, likely, _ = needs(80_000, 0, Progress(1_000, 40_000, 32_000, 16_000), PACKED)
    assert likely.calls == pytest.approx(2_500, rel=0.02)
    assert likely.items == pytest.approx(40_000, rel=0.02)


def test_little_is_believed_of_few_calls() -> None:
    """One failed call does not say that every call fails; and while little is known the range is wide."""
    least, likely, most = needs(10_000, 0, Progress(1, 100, 0, 0), PACKED)
    assert 100 <= least.calls < likely.calls < 200
    assert most.calls > 1.2 * likely.calls
    few, _, many = needs(10_000, 0, KNOWN, PACKED)
    assert many.calls - few.calls < 25


def test_the_live_state_of_an_older_kind_has_a_forecast_too() -> None:
    """Without an outlook the declared limits say what may go."""
    assert finish(owing(100), LIVE, SPECS, 0.0).whole
    assert isinstance(LIVE, Live)
