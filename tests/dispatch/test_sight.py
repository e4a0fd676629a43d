"""What the time of a source goes into."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from collector.budget.ledger import Ledger
from collector.clock import Clock
from collector.dispatch.crew import Crew
from collector.dispatch.dispatcher import Dispatcher
from collector.dispatch.sight import Sight, sights, why
from collector.model import BatchId, BatchState, Call, Job, PutOff, Result, Why
from collector.sources.http import Client
from collector.sources.spec import Spec
from collector.store import store as stores
from collector.store.store import Store

from .running import packed

ASKED = Sight(asked=True)


@pytest.mark.parametrize(
    ("sight", "expected"),
    [
        (Sight(), Why.IDLE),
        (Sight(state="stopped", disk=True), Why.IDLE),
        (Sight(resting=True), Why.PAUSED),
        (Sight(resting=True, state="stopped"), Why.PAUSED),
        (Sight(resting=True, calls=True), Why.NETWORK),
        (Sight(resting=True, asked=True), Why.BUSY),
        (Sight(loading=True), Why.BUSY),
        (Sight(loading=True, resting=True), Why.BUSY),
        (Sight(loading=True, put_off=True), Why.BUSY),
        (ASKED, Why.BUSY),
        (Sight(asked=True, put_off=True), Why.BACKOFF),
        (Sight(asked=True, put_off=True, calls=True), Why.NETWORK),
        (Sight(asked=True, calls=True), Why.NETWORK),
        (Sight(asked=True, waits=True), Why.WINDOW),
        (Sight(asked=True, waits=True, calls=True), Why.WINDOW),
        (Sight(asked=True, state="down", calls=True), Why.DOWN),
        (Sight(asked=True, state="stopped", waits=True), Why.STOPPED),
        (Sight(asked=True, state="stopped", disk=True), Why.DISK),
    ],
)
def test_at_each_moment_the_time_goes_into_one_thing(sight: Sight, expected: Why) -> None:
    """The table of what is known and what that means."""
    assert why(sight) is expected


class Scene:
    """Dispatch without its actors, so that every step is the test's own."""

    def __init__(self, store: Store, dispatcher: Dispatcher, ledger: Ledger) -> None:
        self.store, self.dispatcher, self.ledger = store, dispatcher, ledger
        self.lane = dispatcher.lanes["posts"]

    def seen(self) -> Why:
        return why(sights(self.store, self.dispatcher, self.ledger)["posts"])


@asynccontextmanager
async def staged(root: Path, specs: dict[str, Spec], clock: Clock) -> AsyncIterator[tuple[Store, Dispatcher, Ledger]]:
    """Dispatch in which nobody is at work, over sources that share a budget."""
    ledger = Ledger.open(root / "ledger", clock, 16)
    for name, spec in specs.items():
        ledger.declare(name, "shared", spec.limit)
    async with stores.opened(root / "c.db", clock) as store, Client() as client:
        dispatcher = Dispatcher(store, ledger, client, clock, lambda: None, Crew())
        dispatcher.declare(specs, {})
        yield store, dispatcher, ledger
    ledger.close()


async def test_what_is_in_memory_says_where_the_time_goes(tmp_path: Path) -> None:
    """A source from nothing owed over loading, reading, the air, backoff, a broken disk and a stop to a pause."""
    specs = {"posts": packed("http://127.0.0.1:9"), "others": packed("http://127.0.0.1:9")}
    clock = Clock()
    async with staged(tmp_path, specs, clock) as (store, dispatcher, ledger):
        scene, lane = Scene(store, dispatcher, ledger), dispatcher.lanes["posts"]
        assert scene.seen() is Why.IDLE
        batch = await store.batches.begin("posts", "ids", "file")
        batch, _ = await store.batches.load_chunk(batch, ["1", "2"], 2)
        assert scene.seen() is Why.BUSY
        batch = await store.batches.open(batch, lines=2, refused=0, digest="", layout="", warnings=[])
        assert scene.seen() is Why.BUSY
        jobs = tuple(lane.taken.take(await store.jobs.queued(batch.id, "", 9)))
        assert [job.key for job in jobs] == ["1", "2"]
        lane.taken.sent(Call("posts", jobs, ("1", "2")))
        assert scene.seen() is Why.NETWORK
        lane.taken.landed()
        assert scene.seen() is Why.BUSY
        put_off = tuple((job, PutOff(60, "http-500")) for job in jobs)
        await store.jobs.record([Result("posts", jobs, put_off, at=clock.wall())])
        lane.taken.settle([Result("posts", jobs, put_off, at=clock.wall())])
        assert scene.seen() is Why.BACKOFF
        lane.trouble = "the disk is full"
        assert scene.seen() is Why.DISK
        lane.trouble, dispatcher.recorder.trouble = None, "the disk is full"
        assert scene.seen() is Why.DISK
        dispatcher.recorder.trouble = None
        for _ in range(5):
            lane.breaker.fault()
        assert scene.seen() is Why.DOWN
        lane.stop("the key is refused")
        assert scene.seen() is Why.STOPPED
        store.batches.keep(msgspec.structs.replace(batch, state=BatchState.PAUSED))
        assert scene.seen() is Why.PAUSED
        assert sights(store, dispatcher, ledger)["others"] == Sight(put_off=True)


async def test_who_shares_a_budget_waits_only_with_something_to_send(tmp_path: Path) -> None:
    """One source waits for its window; another with the same budget, whose IDs are put off, does not."""
    specs = {name: packed("http://127.0.0.1:9", limit=["1/1h"]) for name in ("posts", "others")}
    clock = Clock()
    async with staged(tmp_path, specs, clock) as (store, dispatcher, ledger):
        for name in specs:
            batch = await store.batches.begin(name, "ids", "file")
            batch, _ = await store.batches.load_chunk(batch, ["1"], 1)
            await store.batches.open(batch, lines=1, refused=0, digest="", layout="", warnings=[])
        [job] = dispatcher.lanes["posts"].taken.take([Job(BatchId(1), "1")])
        other = Job(BatchId(2), "1")
        result = Result("others", (other,), ((other, PutOff(60, "http-500")),), at=clock.wall())
        await store.jobs.record([result])
        with await ledger.draw("posts", 1) as permit:
            permit.spend()
        waiting = asyncio.get_running_loop().create_task(_drawn(ledger, len([job])))
        await asyncio.sleep(0)
        seen = {name: why(sight) for name, sight in sights(store, dispatcher, ledger).items()}
        assert seen == {"posts": Why.WINDOW, "others": Why.BACKOFF}
        waiting.cancel()
        await asyncio.wait([waiting])


async def _drawn(ledger: Ledger, jobs: int) -> None:
    with await ledger.draw("posts", jobs):
        pass
