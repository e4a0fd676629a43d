"""The whole of dispatch, running against the stand-in API without intake or admin."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from collector.budget.ledger import Ledger
from collector.clock import Clock
from collector.dispatch.breaker import PROBE_EVERY
from collector.dispatch.crew import Crew
from collector.dispatch.dispatcher import Dispatcher
from collector.model import BatchState
from collector.sources.http import Client
from collector.sources.load import Load
from collector.sources.spec import Spec
from collector.store import store as stores
from collector.store.batches import Batch
from collector.store.store import Store


def packed(url: str, **values: Any) -> Spec:
    """A source for the stand-in's packed look-up."""
    table = {
        "url": f"{url}/2/tweets",
        "params": {"ids": "{ids}"},
        "pack": 100,
        "items": "data",
        "gone": {"at": "errors[?parameter=='ids']", "id": "resource_id", "why": "type"},
    }
    return Spec.model_validate(table | values)


def single(url: str, **values: Any) -> Spec:
    """A source for the stand-in's look-up of one post."""
    table = {"url": f"{url}/2/tweets/{{id}}", "items": "data", "gone": {"at": "errors", "id": "value", "why": "type"}}
    return Spec.model_validate(table | values)


class Running:
    """Dispatch at work."""

    def __init__(self, store: Store, dispatcher: Dispatcher, ledger: Ledger) -> None:
        self.store, self.dispatcher, self.ledger = store, dispatcher, ledger
        self.ended = asyncio.Event()

    def declare(self, specs: dict[str, Spec]) -> None:
        """What a start and a reload do."""
        for name, spec in specs.items():
            self.ledger.declare(name, name, spec.limit)
        self.dispatcher.declare(specs, {})

    async def add(self, keys: list[str], source: str = "posts", name: str = "ids") -> Batch:
        """A batch with these IDs, open."""
        batch = await self.store.batches.begin(source, name, "file")
        batch, _ = await self.store.batches.load_chunk(batch, keys, len(keys))
        batch = await self.store.batches.open(batch, lines=len(keys), refused=0, digest="", layout="", warnings=[])
        self.dispatcher.opened(source)
        return batch

    async def finished(self, *batches: Batch) -> None:
        """Returns when all of these batches are."""
        while any(self.store.batches.get(batch.id).state is not BatchState.FINISHED for batch in batches):
            self.ended.clear()
            await self.ended.wait()


@asynccontextmanager
async def dispatching(
    root: Path,
    specs: dict[str, Spec],
    consumers: int = 16,
    clock: Clock | None = None,
    probe_every: float = PROBE_EVERY,
    load: Load | None = None,
) -> AsyncIterator[Running]:
    """Dispatch over a store in `root`, ended on leaving as a kill would end it: without any farewell."""
    clock = clock or Clock()
    ledger = Ledger.open(root / "ledger", clock, consumers)
    async with stores.opened(root / "collector.db", clock) as store, Client(load) as client:
        ended, crew = asyncio.Event(), Crew()
        running = Running(
            store, Dispatcher(store, ledger, client, clock, ended.set, crew, probe_every=probe_every), ledger
        )
        running.ended = ended
        running.declare(specs)
        async with asyncio.TaskGroup() as group:
            tasks: list[asyncio.Task[None]] = []

            def start(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
                tasks.append(group.create_task(work))
                return tasks[-1]

            start(running.dispatcher.recorder.run())
            crew.begin(start)
            yield running
            for task in tasks:
                task.cancel()
    ledger.close()
