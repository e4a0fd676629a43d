"""A store in a folder of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from collector.store.store import Store, opened
from tests.output.given import Standing


@pytest.fixture
def clock() -> Standing:
    return Standing()


@pytest.fixture
async def store(tmp_path: Path, clock: Standing) -> AsyncIterator[Store]:
    async with opened(tmp_path / "collector.db", clock) as one:
        yield one
