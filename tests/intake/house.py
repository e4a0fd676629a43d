"""A state folder with a real store, a loader and a watcher over it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from collector import config
from collector.clock import Clock
from collector.intake.loader import Loader
from collector.intake.watcher import Watcher
from collector.model import State
from collector.store import store as stores
from collector.store.batches import Batch
from collector.store.store import Store

CONFIG = """
root = "state"
default_source = "posts"
[source.posts]
url = "http://127.0.0.1/posts/{id}"
id = "[0-9]{1,19}"
limit = ["900/15m"]
[source.users]
url = "http://127.0.0.1/users"
params = { ids = "{ids}" }
pack = 100
"""


class HandClock(Clock):
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def wall(self) -> float:
        return self.now

    def mono(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


class House:
    """What is needed to take files in."""

    def __init__(self, settings: config.Config, store: Store, clock: Clock) -> None:
        self.config, self.store, self.clock = settings, store, clock
        self.opened: list[str] = []
        self.batch_came = asyncio.Event()
        self.loader = Loader(settings, store, clock, self._opened)
        self.watcher = Watcher(settings, self.loader, clock)

    def _opened(self, source: str) -> None:
        self.opened.append(source)
        self.batch_came.set()

    async def next_batch(self) -> Batch:
        """The batch that is opened next, while the watcher runs."""
        await self.batch_came.wait()
        self.batch_came.clear()
        return self.store.batches.all()[-1]

    def drop(self, name: str, content: bytes | str, folder: str = "") -> Path:
        """Puts a file into watch/ at once and whole."""
        place = self.config.watch / folder
        place.mkdir(parents=True, exist_ok=True)
        path = place / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def folder(self, batch: Batch) -> Path:
        return self.config.batches / batch.folder

    async def keys(self, batch: Batch) -> list[str]:
        """The IDs of a batch that are in the table."""
        return [job.key for job in await self.store.jobs.queued(batch.id, "", 1_000_000)]

    def ids(self, batch: Batch) -> int:
        """The IDs of a batch by the books."""
        return self.store.books.count(batch.id, State.QUEUED)

    def said(self) -> str:
        """All troubles as one text."""
        return "\n".join(f"{trouble.where}: {trouble.what}" for trouble in self.watcher.troubles())


@asynccontextmanager
async def house(root: Path, clock: Clock | None = None, text: str = CONFIG) -> AsyncIterator[House]:
    """The state folder in `root`, its store opened anew; leaving it says farewell to nobody."""
    file = root / "collector.toml"
    file.write_text(text)
    settings = config.load(file)
    settings.root.mkdir(exist_ok=True)
    async with stores.opened(settings.root / "collector.db", clock or Clock()) as store:
        yield House(settings, store, clock or Clock())


def numbers(count: int, first: int = 1_000_000_000_000_000_001) -> list[str]:
    """IDs as long as those of X."""
    return [str(first + 7 * i) for i in range(count)]


def lines(ids: list[str]) -> str:
    return "".join(f"{key}\n" for key in ids)
