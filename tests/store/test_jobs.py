import sqlite3
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.clock import Clock, stamp
from collector.model import (
    Attempt,
    BatchId,
    BatchState,
    Cursor,
    Extra,
    Failed,
    Found,
    Gone,
    Invalid,
    Item,
    Job,
    MorePages,
    Outcome,
    PutOff,
    Result,
    State,
)
from collector.store import store as stores
from collector.store.books import MOST_REASONS
from collector.store.store import Store

from .conftest import open_batch


def result(*outcomes: tuple[Job, Outcome], source: str = "posts", attempt: Attempt | None = None) -> Result:
    return Result(source, tuple(job for job, _ in outcomes), outcomes, at=1_700_000_000.0, attempt=attempt)


def item(key: str) -> Item:
    return Item(key, f'{{"id": "{key}"}}')


def counted(path: Path) -> dict[tuple[int, str, str], int]:
    """The books as the rows themselves say."""
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT batch, state, coalesce(reason, ''), count(*) FROM jobs GROUP BY 1, 2, 3").fetchall()
    db.close()
    return {(batch, state, reason): jobs for batch, state, reason, jobs in rows}


def kept(path: Path) -> dict[tuple[int, str, str], int]:
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT batch, state, reason, jobs FROM counts WHERE jobs > 0").fetchall()
    db.close()
    return {(batch, state, reason): jobs for batch, state, reason, jobs in rows}


async def test_each_outcome_moves_its_job_and_the_counts(store: Store) -> None:
    """Rows, counts on disk and counts in memory agree after every kind of outcome."""
    batch = await open_batch(store, ["1", "2", "3", "4", "5", "6"])
    jobs = {job.key: job for job in await store.jobs.queued(batch.id, "", 100)}
    await store.jobs.record(
        [
            result((jobs["1"], Found((item("1"),))), (jobs["2"], Gone("deleted", "Could not find"))),
            result((jobs["3"], Invalid("malformed")), (jobs["4"], Failed("http-500", "oh no"))),
            result((jobs["5"], PutOff(0, "http-500", attempt=True, pack_max=50))),
        ]
    )
    assert counted(store.path) == kept(store.path)
    account = store.books.of(batch.id)
    assert dict(account.states) == {
        State.QUEUED: 1,
        State.FOUND: 1,
        State.GONE: 1,
        State.INVALID: 1,
        State.FAILED: 1,
        State.DELAYED: 1,
    }
    assert account.reasons[State.GONE, "deleted"] == 1
    [again] = await store.jobs.due(batch.id, 100)
    assert (again.key, again.attempts, again.pack_max, again.delayed) == ("5", 1, 50, True)


async def test_the_last_outcome_finishes_the_batch(store: Store) -> None:
    """A batch is finished in the transaction that ends its last open job."""
    batch = await open_batch(store, ["1", "2"])
    one, two = await store.jobs.queued(batch.id, "", 100)
    await store.jobs.record([result((one, Found()))])
    assert store.batches.get(batch.id).state is BatchState.OPEN
    await store.jobs.record([result((two, Gone("deleted")))])
    assert store.batches.get(batch.id).state is BatchState.FINISHED
    assert [b.id for b in store.batches.to_write()] == [batch.id]


async def test_an_outcome_recorded_twice_counts_once(store: Store) -> None:
    """A terminal row is left as it is, and nothing is stored a second time."""
    batch = await open_batch(store, ["1", "2"])
    one, _ = await store.jobs.queued(batch.id, "", 100)
    for outcome in (Found((item("1"),)), Found((item("1"),)), Gone("deleted"), PutOff(0, "absent")):
        await store.jobs.record([result((one, outcome))])
    assert counted(store.path) == kept(store.path) == {(1, "found", ""): 1, (1, "queued", ""): 1}
    assert store.batches.get(batch.id).items == 1


async def test_one_group_with_the_same_job_twice_keeps_the_books(store: Store) -> None:
    """Even a fault of the caller's cannot unbalance the counts."""
    batch = await open_batch(store, ["1", "2"])
    one, _ = await store.jobs.queued(batch.id, "", 100)
    await store.jobs.record([result((one, Found((item("1"),)))), result((one, Gone("deleted")))])
    assert counted(store.path) == kept(store.path)


async def test_of_two_outcomes_of_one_job_in_one_answer_the_last_holds(store: Store) -> None:
    """Also where the job was cancelled meanwhile and may not move to the last one: then it stays as it is."""
    batch = await open_batch(store, ["1", "2"])
    one, two = await store.jobs.queued(batch.id, "", 100)
    await store.jobs.record([result((two, Gone("deleted")), (two, Found((item("2"),))))])
    await store.control.cancel(batch.id)
    await store.control.end_jobs(batch.id, "", 100)
    await store.jobs.record([result((one, Found((item("1"),))), (one, PutOff(0, "http-500")))])
    assert counted(store.path) == kept(store.path) == {(1, "cancelled", "cancelled"): 1, (1, "found", ""): 1}
    assert store.batches.get(batch.id).items == 1


async def test_an_answer_that_comes_after_a_cancel_is_recorded(store: Store) -> None:
    """From cancelled a job moves to the outcome of a call that was in the air, and to nothing else."""
    batch = await open_batch(store, ["1", "2"])
    one, two = await store.jobs.queued(batch.id, "", 100)
    with sqlite3.connect(store.path) as db:
        db.execute("UPDATE jobs SET state = 'cancelled', reason = 'operator', finished_at = 'x'")
        db.execute("UPDATE counts SET state = 'cancelled', reason = 'operator'")
    db.close()
    async with stores.opened(store.path, Clock()) as again:
        await again.jobs.record([result((one, Found((item("1"),)))), result((two, PutOff(0, "http-500")))])
        assert counted(store.path) == kept(store.path) == {(1, "found", ""): 1, (1, "cancelled", "operator"): 1}


async def test_reasons_of_a_source_are_bounded(store: Store) -> None:
    """A hostile API cannot fill the counts with reasons: after the bound they are `other`."""
    keys = [f"{i:03d}" for i in range(MOST_REASONS + 10)]
    batch = await open_batch(store, keys)
    jobs = await store.jobs.queued(batch.id, "", 1000)
    await store.jobs.record([result(*((job, Gone(f"why-{job.key}", "said so")) for job in jobs))])
    reasons = store.books.of(batch.id).reasons
    assert len(reasons) == MOST_REASONS + 1
    assert reasons[State.GONE, "other"] == 10


async def test_a_job_that_comes_back_keeps_its_reason_past_the_bound(store: Store) -> None:
    """`absent` and the like say how a job is to be judged when it comes back, so they never become `other`."""
    batch = await open_batch(store, [f"{i:03d}" for i in range(MOST_REASONS + 10)])
    *others, last = await store.jobs.queued(batch.id, "", 1000)
    await store.jobs.record([result(*((job, Gone(f"why-{job.key}")) for job in others), (last, PutOff(0, "absent")))])
    [again] = await store.jobs.due(batch.id, 10)
    assert again.reason == "absent"


async def test_a_job_due_far_ahead_by_a_wrong_clock_is_due(store: Store) -> None:
    """No backoff sets a time further ahead than its longest delay, so such a row is fed at once."""
    batch = await open_batch(store, ["1"])
    with sqlite3.connect(store.path) as db:
        db.execute("UPDATE jobs SET state = 'delayed', due_at = '2099-01-01T00:00:00.000Z'")
    db.close()
    assert [job.key for job in await store.jobs.due(batch.id, 10)] == ["1"]


async def test_attempts_of_a_job_are_bounded(store: Store) -> None:
    """The latest attempts are kept, however often a job was told to wait."""
    batch = await open_batch(store, ["1", "2"])
    one, _ = await store.jobs.queued(batch.id, "", 100)
    for second in range(50):
        attempt = Attempt(1_700_000_000.0 + second, 429, "http-429", "{}", 0.1)
        await store.jobs.record([Result("posts", (one,), (), at=0.0, attempt=attempt)])
    with sqlite3.connect(store.path) as db:
        count, first = db.execute("SELECT count(*), min(at) FROM attempts").fetchone()
    db.close()
    assert (count, first) == (20, "2023-11-14T22:13:50.000Z")


async def test_what_stands_beside_the_items_is_kept_once(store: Store) -> None:
    """`also` of an answer is one row, named by each of its items."""
    batch = await open_batch(store, ["1", "2"])
    one, two = await store.jobs.queued(batch.id, "", 100)
    both = result((one, Found((item("1"),))), (two, Found((item("2"),))))
    await store.jobs.record([Result(both.source, both.jobs, both.outcomes, both.at, extra=Extra('{"includes": 1}'))])
    assert [page async for page in store.items.answers(batch.id)] == [
        [(1, "2023-11-14T22:13:20.000Z", '{"includes": 1}')]
    ]
    [[first, second]] = [page async for page in store.items.found(batch.id)]
    assert (first.answer, second.answer) == (1, 1)


async def test_collected_ids_are_known_by_the_id_asked_for(store: Store) -> None:
    """Only keys of found jobs of the same source with items count as collected."""
    old = await open_batch(store, ["1", "2", "3"])
    one, two, three = await store.jobs.queued(old.id, "", 100)
    await store.jobs.record(
        [result((one, Found((item("other"),))), (two, Found()), (three, Gone("deleted")))],
    )
    assert await store.jobs.collected("posts", ["1", "2", "3", "4", "other"]) == {"1": old.id}
    assert await store.jobs.collected("users", ["1"]) == {}
    assert await store.jobs.collected("posts", ["1"], stamp(1_700_000_000.0)) == {"1": old.id}
    assert await store.jobs.collected("posts", ["1"], stamp(1_700_000_000.001)) == {}


async def test_a_chunk_loaded_again_counts_its_repeats_once(store: Store) -> None:
    """Keys that are there already are not new."""
    batch = await store.batches.begin("posts", "ids", "file")
    batch, new = await store.batches.load_chunk(batch, ["1", "2", "2"], 3)
    assert new == 2
    batch, new = await store.batches.load_chunk(batch, ["2", "3"], 5)
    assert (new, batch.line) == (1, 5)
    assert counted(store.path) == kept(store.path) == {(1, "queued", ""): 3}


async def test_a_batch_without_ids_is_finished_when_it_opens(store: Store) -> None:
    """Nothing waits for jobs that do not exist."""
    batch = await open_batch(store, [])
    assert batch.state is BatchState.FINISHED


async def test_a_start_finds_everything_as_it_was(store: Store) -> None:
    """The mirror in memory, read at a start, is what it was before."""
    batch = await open_batch(store, ["1", "2", "3"])
    one, two, _ = await store.jobs.queued(batch.id, "", 100)
    await store.jobs.record([result((one, Found((item("1"),))), (two, PutOff(5, "http-500")))])
    async with stores.opened(store.path, Clock()) as again:
        assert again.books.of(batch.id) == store.books.of(batch.id)
        assert again.books.total() == store.books.total()
        # Times are kept to the millisecond.
        ours, theirs = store.batches.get(batch.id), again.batches.get(batch.id)
        assert theirs.created_at == pytest.approx(ours.created_at, abs=0.001)
        assert (theirs.items, theirs.state, theirs.name) == (ours.items, ours.state, ours.name)


OUTCOMES = st.one_of(
    st.just(Found()),
    st.just(Found((item("x"),))),
    st.builds(Found, same_as=st.sampled_from([BatchId(1), BatchId(99)])),  # there, and pruned
    st.builds(MorePages, st.just((item("x"), item("y"))), st.builds(Cursor, st.just("next"), st.integers(1, 3))),
    st.builds(Gone, st.sampled_from(["deleted", "absent"])),
    st.builds(Invalid, st.just("malformed")),
    st.builds(Failed, st.just("http-500")),
    st.builds(PutOff, st.floats(0, 400), st.sampled_from(["absent", "http-500"]), attempt=st.booleans()),
)

ROWS = ("jobs", "items", "answers", "attempts", "counts WHERE jobs > 0", "batches")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.tuples(st.integers(0, 9), OUTCOMES), min_size=1, max_size=8), max_size=6))
async def test_the_counts_always_equal_the_rows(
    tmp_path_factory: pytest.TempPathFactory, groups: list[list[tuple[int, Outcome]]]
) -> None:
    """For any sequence of outcomes, repeated and late ones too, the books balance."""
    path = tmp_path_factory.mktemp("books") / "collector.db"
    async with stores.opened(path, Clock()) as store:
        batch = await open_batch(store, [str(number) for number in range(10)])
        for group in groups:
            await store.jobs.record([result((Job(BatchId(1), str(key)), outcome)) for key, outcome in group])
        assert counted(path) == kept(path)
        account = store.books.of(batch.id)
        assert account.total == 10
        assert Counter(account.states) == sum(
            (Counter({State(state): jobs}) for (_, state, _), jobs in kept(path).items()), Counter()
        )


class Still(Clock):
    """A clock that stands, so that two stores write the same."""

    def wall(self) -> float:
        """Always the same moment."""
        return 1_700_000_000.0


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 9), OUTCOMES, st.booleans()), min_size=1, max_size=8), max_size=6),
    st.sets(st.integers(0, 9), max_size=3),
    st.sets(st.integers(1, 5)),
)
async def test_a_group_writes_the_same_whether_its_jobs_are_looked_at_first_or_not(
    tmp_path_factory: pytest.TempPathFactory,
    groups: list[list[tuple[int, Outcome, bool]]],
    moved: set[int],
    stale: set[int],
) -> None:
    """Jobs that stand as they were read are not looked at; rows, items, answers, counts and mirrors are the same. A
    `stale` group has jobs as they were read for the group before."""
    dumps = []
    for looks in (False, True):
        path = tmp_path_factory.mktemp("groups") / "collector.db"
        async with stores.opened(path, Still()) as store:
            batch = await open_batch(store, [str(number) for number in range(10)])
            await store.jobs.record([result((Job(batch.id, str(key)), Gone("before"))) for key in moved])
            for number, group in enumerate(groups):
                if number not in stale:
                    read = await store.jobs.queued(batch.id, "", 100) + await store.jobs.due(batch.id, 100)
                    jobs = {job.key: job for job in read}
                results = [
                    msgspec.structs.replace(
                        result((jobs.get(str(key), Job(batch.id, str(key))), outcome)),
                        extra=Extra('{"a": 1}') if extra else None,
                    )
                    for key, outcome, extra in group
                ]
                write = store.jobs._look_and_write(results, Still().wall()) if looks else store.jobs.record(results)
                await write
            tables = [await store.jobs._database.read(f"SELECT * FROM {name}") for name in ROWS]
            dumps.append((tables, store.books.of(batch.id), store.batches.get(batch.id)))
            assert counted(path) == kept(path)
    assert dumps[0] == dumps[1]


async def test_a_job_that_was_put_off_meanwhile_for_another_reason_keeps_the_books(store: Store) -> None:
    """It is counted where it stands, not where it stood when it was read."""
    batch = await open_batch(store, ["1", "2", "3"])
    jobs = await store.jobs.queued(batch.id, "", 100)
    await store.jobs.record([result(*((job, PutOff(0, "http-500")) for job in jobs))])
    outcomes: list[Outcome] = [Found(), Gone("deleted")]
    for job, outcome in zip(jobs, outcomes, strict=False):
        stale = msgspec.structs.replace(job, delayed=True, reason="http-503")
        await store.jobs.record([result((stale, outcome))])
    rows = {(1, "found", ""): 1, (1, "gone", "deleted"): 1, (1, "delayed", "http-500"): 1}
    assert counted(store.path) == kept(store.path) == rows


async def test_items_of_several_answers_in_a_group_name_each_its_own(store: Store) -> None:
    """Also beside answers without anything to keep, and where batches are mixed."""
    batches = [await open_batch(store, ["1", "2", "3", "4"], name=name) for name in ("one", "two")]
    jobs = [job for batch in batches for job in await store.jobs.queued(batch.id, "", 3)]
    extras = {"1": Extra('{"n": 1}'), "2": None, "3": Extra('{"n": 3}')}
    found = [result((job, Found((item("x"), item("y"))))) for job in jobs]
    await store.jobs.record([msgspec.structs.replace(one, extra=extras[one.jobs[0].key]) for one in found])
    rows = await store.jobs._database.read(
        "SELECT i.batch, i.job, a.batch, a.body FROM items AS i LEFT JOIN answers AS a ON a.id = i.answer"
    )
    assert len(rows) == 2 * len(jobs)
    for batch, key, of, body in rows:
        extra = extras[key]
        assert (of, body) == ((batch, extra.body) if extra else (None, None))


async def test_a_job_that_its_function_wants_later_is_due_then(store: Store) -> None:
    """Up to 30 days ahead it is no row of a wrong clock; further ahead it is, and so are others beside it."""
    batch = await open_batch(store, ["days", "wrong", "year"])
    jobs = await store.jobs.queued(batch.id, "", 100)
    outcomes = [(job, PutOff(20 * 86_400.0, "retry-later")) for job in jobs if job.key != "wrong"]
    outcomes += [(job, PutOff(20 * 86_400.0, "http-503")) for job in jobs if job.key == "wrong"]
    await store.jobs.record([result(*outcomes)])
    with sqlite3.connect(store.path) as db:
        due = dict(db.execute("SELECT key, round(julianday(due_at) - julianday('now'), 2) FROM jobs"))
        db.execute("UPDATE jobs SET due_at = '2099-01-01T00:00:00.000Z' WHERE key != 'days'")
    db.close()
    assert due == {"days": 20.0, "wrong": 0.0, "year": 20.0}
    assert sorted(job.key for job in await store.jobs.due(batch.id, 10)) == ["wrong", "year"]
