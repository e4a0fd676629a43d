"""Python sources in the real dispatcher: runs, what they say, what they draw, and what becomes of them."""

import asyncio
import json
import re
import sqlite3
import sys
import threading
import tomllib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from collector import Gone, Invalid, RetryLater, StopSource, Work
from collector.dispatch import purse, runs
from collector.model import Found as FoundOutcome
from collector.model import Item, Job, Result, State
from collector.rehearsal.api import Settings, StandIn
from collector.rehearsal.posts import NO_FAULTS
from collector.sources.spec import Spec

from .running import Running, dispatching

QUICK = Settings(limit=None, latency=(0.0, 0.0), faults=NO_FAULTS)


class Stage:
    """What functions and tests say to each other: who came, and what lets them go on."""

    def __init__(self) -> None:
        self.came: SimpleQueue[str] = SimpleQueue()
        self.go = threading.Event()
        self.async_go = asyncio.Event()
        self.lock = threading.Lock()
        self.now = self.most = 0

    async def entered(self) -> str:
        """Waits for the next function that comes."""
        return await asyncio.to_thread(self.came.get)

    def __enter__(self) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.now -= 1


stages: list[Stage] = []  # of the test that runs


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """The stage of one test; nobody is left waiting on it."""
    stages.append(made := Stage())
    yield made
    made.go.set()
    stages.remove(made)


def source(function: str, **keys: Any) -> Spec:
    return Spec.model_validate({"call": f"{__name__}:{function}", **keys})


async def until(condition: Callable[[], bool]) -> None:
    """Returns when it is so."""
    while not condition():  # noqa: ASYNC110 - dispatch tells its state and no changes of it; this is a turn of the loop, no time
        await asyncio.sleep(0)


def spend_at_once(running: Running, spec: Spec) -> None:
    """Its windows are plain: no call is paced."""
    running.ledger.declare("posts", "posts", spec.limit, plain=True)


def rows(running: Running, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{running.store.path}?mode=ro", uri=True)) as db:
        return db.execute(sql).fetchall()


async def found_under(running: Running, name: str, key: str, bodies: list[dict[str, Any]]) -> None:
    """A batch of another source that has found these objects under an ID."""
    batch = await running.store.batches.begin(name, "before", "file")
    batch, _ = await running.store.batches.load_chunk(batch, [key], 1)
    await running.store.batches.open(batch, lines=1, refused=0, digest="", layout="", warnings=[])
    job = Job(batch.id, key)
    outcome = FoundOutcome(tuple(Item(f"{n:07}", json.dumps(body)) for n, body in enumerate(bodies)))
    await running.store.jobs.record([Result(name, (job,), ((job, outcome),), at=1_700_000_000.0)])


def plain(work: Work) -> dict[str, Any]:
    return {"id": work.id, "n": work.config["n"]}


async def awaited(work: Work) -> dict[str, Any]:
    await asyncio.sleep(0)
    return {"id": work.id, "n": work.config["n"]}


async def streamed(work: Work) -> AsyncIterator[dict[str, Any]]:
    for n in range(3):
        yield {"n": n, "of": work.id}


def generated(work: Work) -> Iterator[dict[str, Any]]:
    yield from ({"n": n, "of": work.id} for n in range(3))


@pytest.mark.parametrize("function", ["plain", "awaited"])
async def test_a_function_is_called_once_for_each_id(tmp_path: Path, function: str) -> None:
    """Plain or async, each ID is found with what the function returned, and its options are at hand."""
    specs = {"posts": source(function, options={"n": 5})}
    async with dispatching(tmp_path, specs) as running:
        batch = await running.add([str(n) for n in range(300)])
        await running.finished(batch)
        assert running.store.books.of(batch.id).count(State.FOUND) == 300
        kept = rows(running, "SELECT job, key, body, reencoded FROM items WHERE job = '7'")
        assert kept == [("7", "7", '{"id":"7","n":5}', 1)]
        assert running.store.batches.get(batch.id).items == 300


@pytest.mark.parametrize("function", ["streamed", "generated"])
async def test_items_may_come_one_after_the_other(tmp_path: Path, function: str) -> None:
    """A generator of either kind is read to its end."""
    async with dispatching(tmp_path, {"posts": source(function)}) as running:
        await running.finished(await running.add(["a"]))
        assert rows(running, "SELECT key, body FROM items") == [(str(n), f'{{"n":{n},"of":"a"}}') for n in range(3)]


def by_id(work: Work) -> list[dict[str, Any]] | None:
    match work.id.partition("-")[0]:
        case "gone":
            raise Gone("deleted", "by its owner")
        case "invalid":
            raise Invalid("malformed", "no such form")
        case "later":
            raise RetryLater("2h")
        case "fault":
            raise ValueError("no row of that name")
        case "odd":
            return [{"id": 1.5}]
        case "none":
            return None
    return [{"id": work.id}]


async def by_id_awaited(work: Work) -> list[dict[str, Any]] | None:
    return by_id(work)


@pytest.mark.parametrize("function", ["by_id", "by_id_awaited"])
async def test_what_a_function_raises_decides_what_becomes_of_its_id(tmp_path: Path, function: str) -> None:
    """Each exception moves the job where it says; a fault spends a try and keeps its traceback."""
    specs = {"posts": source(function, tries=1)}
    async with dispatching(tmp_path, specs) as running:
        keys = ["gone", "invalid", "fault", "odd", "none", "found"]
        await running.finished(await running.add(keys))
        said = {key: more for key, *more in rows(running, "SELECT key, state, reason, detail FROM jobs")}
        assert said == {
            "gone": ["gone", "deleted", "by its owner"],
            "invalid": ["invalid", "malformed", "no such form"],
            "fault": ["failed", "valueerror", "ValueError: no row of that name"],
            "odd": ["failed", "float-key", "item 0 has 1.5 at id: an ID is a text or a whole number"],
            "none": ["found", None, None],
            "found": ["found", None, None],
        }
        kept = dict(rows(running, "SELECT key, traceback FROM attempts"))
        assert kept.keys() == {"fault", "odd"}
        assert kept["fault"].startswith("Traceback")
        assert "in by_id" in kept["fault"]
        assert "returned.py" not in kept["fault"]
        assert kept["odd"] is None


async def test_an_id_that_is_to_be_asked_in_hours_waits_so_long(tmp_path: Path) -> None:
    """No try is spent, and it is not fed before its time as what a wrong clock left behind is."""
    async with dispatching(tmp_path, {"posts": source("by_id")}) as running:
        batch = await running.add(["later", "other"])
        await until(
            lambda: (
                running.store.books.count(batch.id, State.DELAYED)
                == running.store.books.count(batch.id, State.FOUND)
                == 1
            )
        )
        [(reason, attempts, hours)] = rows(
            running,
            "SELECT reason, attempts, 24 * (julianday(due_at) - julianday('now')) FROM jobs WHERE state = 'delayed'",
        )
        assert (reason, attempts, round(hours, 1)) == ("retry-later", 0, 2.0)
        assert await running.store.jobs.due(batch.id, 10) == []


def stopping(work: Work) -> None:
    raise StopSource("the database is away")


async def test_a_function_stops_its_source(tmp_path: Path) -> None:
    """Its words and what to do are in the status, and every ID is owed."""
    async with dispatching(tmp_path, {"posts": source("stopping")}) as running:
        batch = await running.add(["1", "2", "3"])
        await until(lambda: running.dispatcher.sources()["posts"].state == "stopped")
        why = running.dispatcher.sources()["posts"].why or ""
        assert why.startswith("the database is away: mend it")
        assert "`collector resume --source posts`" in why
        await running.dispatcher.recorder.drained()
        assert running.store.books.of(batch.id).open == 3


def broken(work: Work) -> None:
    raise KeyError(work.id)


async def test_a_function_that_never_ends_well_stops_its_source(tmp_path: Path) -> None:
    """After 20 faults alike; the function is named, not a url."""
    async with dispatching(tmp_path, {"posts": source("broken", parallel=1)}) as running:
        await running.add([str(n) for n in range(30)])
        await until(lambda: running.dispatcher.sources()["posts"].state == "stopped")
        why = running.dispatcher.sources()["posts"].why or ""
        assert why.startswith("20 runs in a row ended with keyerror and none was good (KeyError: ")
        assert f"mend {__name__}:broken" in why


async def waits_in_all_ways(work: Work) -> dict[str, Any]:
    said = []
    async with asyncio.timeout(None) as timer, asyncio.TaskGroup() as group:
        slept = group.create_task(asyncio.sleep(0, "slept"))
        said.append(await asyncio.to_thread(str, "thread"))
        timer.reschedule(asyncio.get_running_loop().time() + 60)
    try:
        async with asyncio.timeout(0):
            await asyncio.Event().wait()
    except TimeoutError:
        said.append("timed out")
    return {"said": [slept.result(), *said], "task": asyncio.current_task() is not None}


async def test_an_async_function_may_wait_as_in_any_task(tmp_path: Path) -> None:
    """With time-outs of its own that were begun before it waited first, groups, and threads."""
    async with dispatching(tmp_path, {"posts": source("waits_in_all_ways")}) as running:
        await running.finished(await running.add([str(n) for n in range(40)]))
        said = Counter(body for (body,) in rows(running, "SELECT body FROM items"))
        assert said == {'{"said":["slept","thread","timed out"],"task":true}': 40}


async def outlives_a_cancel(work: Work) -> dict[str, Any]:
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task
    loop.call_soon(task.cancel)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        task.uncancel()
    await asyncio.sleep(0)
    return {"id": work.id}


async def test_a_cancel_in_its_first_wait_is_the_function_s_own_affair(tmp_path: Path) -> None:
    """It may go on after it, and wait again."""
    async with dispatching(tmp_path, {"posts": source("outlives_a_cancel")}) as running:
        batch = await running.add(["1", "2"])
        await running.finished(batch)
        assert running.store.books.of(batch.id).count(State.FOUND) == 2


async def fails_after_a_wait(work: Work) -> None:
    await asyncio.sleep(0)
    by_id(work)


@pytest.mark.parametrize("function", ["by_id", "by_id_awaited", "fails_after_a_wait"])
async def test_a_traceback_begins_in_the_function(tmp_path: Path, function: str) -> None:
    """Whoever called it is no matter of its author."""
    async with dispatching(tmp_path, {"posts": source(function, tries=1)}) as running:
        await running.finished(await running.add(["fault"]))
        [(told,)] = rows(running, "SELECT traceback FROM attempts")
        assert told.splitlines()[1].endswith(f"in {function}")


def one_waits(work: Work) -> dict[str, Any]:
    if work.id == "7":
        stages[0].came.put(work.id)
        stages[0].go.wait()
    if work.id == "13":
        raise LookupError("no such row")
    return {"id": work.id}


async def test_a_slow_function_among_quick_ones_holds_up_none(tmp_path: Path, stage: Stage) -> None:
    """Nor does one that fails: what a thread would have done next is done by others."""
    async with dispatching(tmp_path, {"posts": source("one_waits", tries=1)}) as running:
        batch = await running.add([str(n) for n in range(200)])
        assert await stage.entered() == "7"
        await until(lambda: running.store.books.count(batch.id, State.FOUND) == 198)
        assert running.dispatcher.calls_in_the_air == 1
        stage.go.set()
        await running.finished(batch)
        assert running.store.books.of(batch.id).reasons == {(State.FAILED, "lookuperror"): 1}
        assert rows(running, "SELECT count(*), count(DISTINCT key) FROM items") == [(199, 199)]


def three_wait(work: Work) -> dict[str, Any]:
    if int(work.id) % 10 == 3:
        work.cancelled.wait()
        stages[0].came.put(work.id)
    return {"id": work.id}


async def test_each_run_has_its_own_time(tmp_path: Path, stage: Stage) -> None:
    """Those of a thread that ran beside a slow one are not asked to end with it."""
    async with dispatching(tmp_path, {"posts": source("three_wait", timeout="200ms")}) as running:
        batch = await running.add([str(n) for n in range(30)])
        assert {await stage.entered() for _ in range(3)} == {"3", "13", "23"}
        await until(lambda: running.store.books.count(batch.id, State.DELAYED) == 3)
        await until(lambda: running.store.books.count(batch.id, State.FOUND) == 27)
        assert {key for (key,) in rows(running, "SELECT key FROM jobs WHERE reason = 'timeout'")} == {"3", "13", "23"}


@pytest.mark.parametrize("function", ["one_waits", "awaited"])
async def test_two_batches_may_ask_for_the_same_id_at_once(tmp_path: Path, function: str) -> None:
    """Each gets its own answer, and none waits for minutes."""
    async with dispatching(tmp_path, {"posts": source(function, options={"n": 1})}) as running:
        batches = [await running.add([f"{n}0" for n in range(50)], name=name) for name in ("one", "two")]
        await running.finished(*batches)
        assert [running.store.books.of(batch.id).count(State.FOUND) for batch in batches] == [50, 50]


def crowded(work: Work) -> None:
    with stages[0]:
        stages[0].came.put(work.id)
        stages[0].go.wait()


async def crowded_awaited(work: Work) -> None:
    with stages[0]:
        stages[0].came.put(work.id)
        await stages[0].async_go.wait()


@pytest.mark.parametrize("function", ["crowded", "crowded_awaited"])
async def test_no_more_runs_than_parallel(tmp_path: Path, stage: Stage, function: str) -> None:
    """Of either kind; and they are in the air meanwhile."""
    async with dispatching(tmp_path, {"posts": source(function, parallel=3)}) as running:
        batch = await running.add([str(n) for n in range(20)])
        for _ in range(3):
            await stage.entered()
        assert running.dispatcher.calls_in_the_air == 3
        stage.go.set()
        stage.async_go.set()
        await running.finished(batch)
        assert stage.most == 3


async def test_a_long_run_keeps_no_call_in_the_air_from_going(
    tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a moment without a request it leaves its place among the `consumers` to others."""
    monkeypatch.setattr(purse, "LANDS", 0.05)
    async with dispatching(tmp_path, {"posts": source("crowded", parallel=3)}, consumers=1) as running:
        batch = await running.add(["1", "2", "3"])
        assert {await stage.entered() for _ in range(3)} == {"1", "2", "3"}
        assert running.ledger.calls_in_the_air <= 1
        stage.go.set()
        await running.finished(batch)


def patient(work: Work) -> None:
    stages[0].came.put(work.id)
    work.cancelled.wait()
    stages[0].came.put("asked to end")
    stages[0].go.wait()


async def test_a_plain_run_that_takes_too_long_keeps_its_place(tmp_path: Path, stage: Stage) -> None:
    """It is asked to end and put off without a try; no other run begins before its thread has ended, and that is
    told."""
    async with dispatching(tmp_path, {"posts": source("patient", parallel=1, timeout="100ms")}) as running:
        batch = await running.add(["1", "2"])
        assert [await stage.entered(), await stage.entered()] == ["1", "asked to end"]
        await until(lambda: running.store.books.count(batch.id, State.DELAYED) == 1)
        assert rows(running, "SELECT key, attempts, reason FROM jobs WHERE state = 'delayed'") == [("1", 0, "timeout")]
        assert running.dispatcher.calls_in_the_air == 0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await running.finished(batch)
        assert stage.came.empty()
        [trouble] = running.dispatcher.troubles()
        assert "1 of 1 places are kept by threads that do not end after their time-out, for 1:" in trouble.what
        stage.go.set()
        assert await stage.entered() == "2"


def threaded(work: Work) -> dict[str, Any]:
    return {"id": work.id}


async def test_where_no_thread_begins_an_id_is_put_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service goes on, and asks for it when one does."""
    monkeypatch.setattr(runs, "NO_THREAD_DELAY", 0.1)
    begin, refused = threading.Thread.start, iter(range(3))

    def start(thread: threading.Thread) -> None:
        if thread.name == "collector-posts" and next(refused, None) is not None:
            raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    async with dispatching(tmp_path, {"posts": source("threaded", parallel=2)}) as running:
        batch = await running.add(["1", "2", "3"])
        await running.finished(batch)
        assert running.store.books.count(batch.id, State.FOUND) == 3
    assert next(refused, None) is None


async def endless(work: Work) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        stages[0].came.put("cancelled")


async def test_an_async_run_that_takes_too_long_is_cancelled(tmp_path: Path, stage: Stage) -> None:
    """That is a failed try."""
    async with dispatching(tmp_path, {"posts": source("endless", timeout="100ms", tries=1)}) as running:
        await running.finished(await running.add(["1"]))
        assert await stage.entered() == "cancelled"
        assert rows(running, "SELECT state, reason FROM jobs") == [("failed", "timeout")]


async def never_waits(work: Work) -> AsyncIterator[dict[str, Any]]:
    n = 0
    while True:
        yield {"n": n}
        n += 1


async def test_a_stream_that_never_waits_holds_up_nobody(tmp_path: Path) -> None:
    """The loop has its turn between its items, so its time-out comes."""
    async with dispatching(tmp_path, {"posts": source("never_waits", timeout="100ms", tries=1)}) as running:
        await running.finished(await running.add(["1"]))
        assert rows(running, "SELECT state, reason FROM jobs") == [("failed", "timeout")]


def never_ends(work: Work) -> Iterator[dict[str, Any]]:
    try:
        n = 0
        while True:
            yield {"n": n}
            n += 1
    finally:
        stages[0].came.put("closed")


async def test_a_generator_without_an_end_is_left_after_its_time(tmp_path: Path, stage: Stage) -> None:
    """Nobody reads on in its thread, which would fill the memory."""
    async with dispatching(tmp_path, {"posts": source("never_ends", timeout="100ms")}) as running:
        batch = await running.add(["1"])
        assert await stage.entered() == "closed"
        await until(lambda: running.store.books.count(batch.id, State.DELAYED) == 1)
        assert rows(running, "SELECT attempts, reason FROM jobs") == [(0, "timeout")]


async def cancels_itself(work: Work) -> None:
    raise asyncio.CancelledError


async def exits(work: Work) -> None:
    raise SystemExit(3)


def exits_plainly(work: Work) -> None:
    raise SystemExit(3)


class Odd(BaseException):
    """What some libraries end a thread with."""


class Speechless:
    """A reason that cannot be made a text."""

    def __str__(self) -> str:
        raise LookupError("no words")


async def interrupts(work: Work) -> None:
    raise KeyboardInterrupt


async def oddly_ends(work: Work) -> None:
    raise Odd


async def is_closed(work: Work) -> None:
    raise GeneratorExit


async def is_speechless(work: Work) -> None:
    raise Gone(Speechless())  # type: ignore[arg-type] # a function's own mistake


def is_plainly_speechless(work: Work) -> None:
    raise Gone(Speechless())  # type: ignore[arg-type] # a function's own mistake


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("cancels_itself", "cancellederror"),
        ("exits", "systemexit"),
        ("exits_plainly", "systemexit"),
        ("interrupts", "keyboardinterrupt"),
        ("oddly_ends", "odd"),
        ("is_closed", "generatorexit"),
        ("is_speechless", "lookuperror"),
        ("is_plainly_speechless", "lookuperror"),
    ],
)
async def test_no_function_ends_the_service_or_its_own_place(tmp_path: Path, function: str, reason: str) -> None:
    """A cancel or an exit that nobody asked for is a failed try like any other."""
    async with dispatching(tmp_path, {"posts": source(function, parallel=1, tries=1)}) as running:
        batch = await running.add(["1", "2", "3"])
        await running.finished(batch)
        assert running.store.books.of(batch.id).reasons == {(State.FAILED, reason): 3}


def counting(work: Work) -> dict[str, Any]:
    posts = list(work.items("before"))
    return {"count": len(posts), "sum": sum(post["n"] for post in posts), "none": [*work.items("nobody")]}


async def counting_awaited(work: Work) -> dict[str, Any]:
    posts = [post async for post in work.items("before")]
    return {"count": len(posts), "sum": sum(post["n"] for post in posts), "none": []}


@pytest.mark.parametrize("function", ["counting", "counting_awaited"])
async def test_a_function_reads_what_others_have_found(tmp_path: Path, function: str) -> None:
    """All items under its ID of the latest batch that found it, and of that one alone, page after page."""
    async with dispatching(tmp_path, {"posts": source(function)}) as running:
        await found_under(running, "before", "1", [{"n": 1_000_000}])
        await found_under(running, "before", "1", [{"n": n} for n in range(1_700)])
        await found_under(running, "before", "2", [{"n": 1_000_000}])
        await running.finished(await running.add(["1"]))
        [(body,)] = rows(running, "SELECT body FROM items WHERE source = 'posts'")
        assert json.loads(body) == {"count": 1_700, "sum": sum(range(1_700)), "none": []}


async def wrong_loop(work: Work) -> list[dict[str, Any]]:
    return list(work.items("before"))


async def test_items_are_read_in_the_way_of_the_function(tmp_path: Path) -> None:
    """A plain `for` in an async function would stand still for ever, so it is a fault that says so."""
    async with dispatching(tmp_path, {"posts": source("wrong_loop", tries=1)}) as running:
        await running.finished(await running.add(["1"]))
        [(detail,)] = rows(running, "SELECT detail FROM jobs")
        assert detail == "TypeError: in an async function items are read with `async for`"


def telling(work: Work) -> None:
    work.progress(f"read\x1b[2J 3 of 10\nof {work.id} " + "x" * 500)
    stages[0].came.put(work.id)
    stages[0].go.wait()


async def test_what_a_run_says_is_told_while_it_runs(tmp_path: Path, stage: Stage) -> None:
    """One inert line of at most 200 characters each, of at most ten runs."""
    async with dispatching(tmp_path, {"posts": source("telling", parallel=12)}) as running:
        batch = await running.add([f"{n}" * 300 for n in range(12)])
        for _ in range(12):
            await stage.entered()
        doing = running.dispatcher.sources()["posts"].doing
        assert len(doing) == 10
        assert all(one.says.startswith("read [2J 3 of 10 of ") and one.says.isprintable() for one in doing)
        assert all(len(one.says) == 200 and len(one.id) == 200 for one in doing)
        stage.go.set()
        await running.finished(batch)
        assert running.dispatcher.sources()["posts"].doing == ()


def asking(work: Work) -> dict[str, Any]:
    url = work.config["url"]
    answers = [work.http.get(f"{url}/2/tweets/{work.id}", params={"n": n}) for n in range(work.config["times"])]
    return {"statuses": [answer.status for answer in answers], "data": answers[0].json()["data"]["id"]}


async def asking_awaited(work: Work) -> dict[str, Any]:
    url = work.config["url"]
    answers = [await work.http.get(f"{url}/2/tweets/{work.id}", params={"n": n}) for n in range(work.config["times"])]
    return {"statuses": [answer.status for answer in answers], "data": answers[0].json()["data"]["id"]}


async def asking_at_once(work: Work) -> dict[str, Any]:
    url = work.config["url"]
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(work.http.get(f"{url}/2/tweets/{work.id}")) for _ in range(work.config["times"])]
    return {"statuses": [one.result().status for one in asked]}


@pytest.mark.parametrize("function", ["asking", "asking_awaited", "asking_at_once"])
async def test_requests_of_a_run_draw_from_the_budget_of_its_source(tmp_path: Path, function: str) -> None:
    """The first goes with the run's own call, each further one draws for itself; more runs than `consumers` that each
    want several never wait for each other for ever."""
    async with StandIn(QUICK) as api:
        spec = source(function, parallel=8, limit=["1000/1h"], options={"url": api.url, "times": 3})
        async with dispatching(tmp_path, {"posts": spec}, consumers=2) as running:
            spend_at_once(running, spec)
            batch = await running.add([str(1_500_000_000_000_000_000 + n) for n in range(30)])
            await running.finished(batch)
            assert running.store.books.of(batch.id).count(State.FOUND) == 30
            assert api.verdicts.total == 90
            [window] = running.ledger.windows()["posts"]
            assert window.used == 90


async def test_a_429_makes_the_whole_source_wait_and_the_request_go_again(tmp_path: Path) -> None:
    """The limit of the server holds for functions too; none of them ever sees the refusal."""
    settings = Settings(limit=10, window=0.5, policy="fixed", headers=False, latency=(0.0, 0.0), faults=NO_FAULTS)
    async with StandIn(settings) as api:
        spec = source("asking", parallel=8, timeout="1s", limit=["200/1s"], options={"url": api.url, "times": 2})
        async with dispatching(tmp_path, {"posts": spec}, consumers=4) as running:
            await running.finished(await running.add([str(1_500_000_000_000_000_000 + n) for n in range(12)]))
            bodies = [json.loads(body) for (body,) in rows(running, "SELECT body FROM items")]
            assert Counter(status for body in bodies for status in body["statuses"]) == {200: 24}
            assert api.verdicts.statuses[429] > 0


def posting(work: Work) -> dict[str, Any]:
    answer = work.http.post(f"{work.config['url']}/nowhere", json={"id": work.id})
    return {
        "status": answer.status,
        "server": answer.headers["SERVER"] == answer.headers["server"],
        "text": answer.text,
    }


async def test_any_status_is_an_answer_to_the_function(tmp_path: Path) -> None:
    """What a 404 means is for the function to say."""
    async with (
        StandIn(QUICK) as api,
        dispatching(tmp_path, {"posts": source("posting", options={"url": api.url})}) as running,
    ):
        await running.finished(await running.add(["1"]))
        [(body,)] = rows(running, "SELECT body FROM items")
        assert json.loads(body) == {"status": 404, "server": True, "text": ""}


def misdirected(work: Work) -> None:
    work.http.get(work.id)


async def test_a_request_that_cannot_be_sent_is_a_fault_of_the_run(tmp_path: Path) -> None:
    """With the reason that any other request has."""
    keys = ["ftp://example.org/", "http://127.0.0.1:1/"]
    async with dispatching(tmp_path, {"posts": source("misdirected", tries=1)}) as running:
        await running.finished(await running.add(keys))
        assert dict(rows(running, "SELECT key, reason FROM jobs")) == dict(
            zip(keys, ["malformed", "connection"], strict=True)
        )


async def test_runs_keep_the_limit_of_their_source(tmp_path: Path) -> None:
    """Each run without a request is one call of it, and its items count as those of an answer."""
    spec = source("plain", options={"n": 1}, limit=["1000/1h", "1000 items/1h"])
    async with dispatching(tmp_path, {"posts": spec}) as running:
        spend_at_once(running, spec)
        await running.finished(await running.add([str(n) for n in range(25)]))
        assert {window.unit: window.used for window in running.ledger.windows()["posts"]} == {"calls": 25, "items": 25}


def blocks(kind: str) -> list[str]:
    """The blocks of a language in the README's section on Python sources."""
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    section = readme.split("\n## Work that is not one call: Python sources\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(rf"^```{kind}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


@pytest.fixture
def readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The README's modules as it shows them; forgotten afterwards."""
    for name, code in zip(("annotate", "users"), blocks("python"), strict=True):
        (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("annotate", "users"):
        sys.modules.pop(name, None)


async def test_the_example_of_the_readme_does_what_it_says(tmp_path: Path, readme: None) -> None:
    """With the source as it is declared there, over what another one has found."""
    [declared] = blocks("toml")
    spec = Spec.model_validate(tomllib.loads(declared)["source"]["instances"])
    async with dispatching(tmp_path, {"instances": spec}) as running:
        await found_under(running, "posts", "ada", [{"id": "5", "text": "one"}, {"id": "6", "text": "two"}])
        await running.finished(await running.add(["ada", "bob"], source="instances"))
        assert rows(running, "SELECT key, state, reason FROM jobs WHERE batch = 2") == [
            ("ada", "found", None), ("bob", "gone", "no-posts")
        ]  # fmt: skip
        kept = rows(running, "SELECT key, body FROM items WHERE source = 'instances' ORDER BY key")
        assert kept[0] == ("ada-5", '{"id":"ada-5","text":"one","label":"unsure"}')
        assert [key for key, _ in kept] == ["ada-5", "ada-6"]


async def test_the_exceptions_of_the_readme_do_what_it_says(tmp_path: Path, readme: None) -> None:
    """Against a server that knows none of its users."""
    async with StandIn(QUICK) as api:
        spec = Spec.model_validate({"call": "users:user", "options": {"url": api.url}})
        async with dispatching(tmp_path, {"posts": spec}) as running:
            await running.finished(await running.add(["7", "x"]))
            assert rows(running, "SELECT key, state, reason FROM jobs") == [
                ("7", "gone", "no-such-user"), ("x", "invalid", "no-number")
            ]  # fmt: skip
