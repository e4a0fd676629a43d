from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from collector.clock import Clock
from collector.store import store as stores
from collector.store.batches import Batch
from collector.store.store import Store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with stores.opened(tmp_path / "collector.db", Clock()) as store:
        yield store


async def open_batch(store: Store, keys: list[str], source: str = "posts", name: str = "ids") -> Batch:
    batch = await store.batches.begin(source, name, "file")
    batch, _ = await store.batches.load_chunk(batch, keys, len(keys))
    return await store.batches.open(batch, lines=len(keys), refused=0, digest="", layout="", warnings=[])
