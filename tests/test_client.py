"""The client, against the real service."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector import Client, Refused, Unreachable
from collector.rehearsal.api import Settings, StandIn
from collector.rehearsal.posts import NO_FAULTS
from tests.service import service

IDS = [str(1_500_000_000_000_000_000 + n) for n in range(2_000)]


def broken() -> Iterator[str]:
    yield from IDS
    yield "two\nlines"


async def test_ids_go_in_and_their_objects_come_out(tmp_path: Path) -> None:
    """From a list to what was found of it; what is refused says why, and half of a list is never taken in."""
    async with StandIn(Settings(limit=None, latency=(0.0, 0.0), faults=NO_FAULTS)) as api:
        with service(tmp_path, api.url) as run:
            run.start()
            admin = (await asyncio.to_thread(run.until, "ready"))["admin"]
            client = Client(admin, (run.root / "token").read_text().strip())
            await asyncio.to_thread(used, client, admin)
            assert run.rows("SELECT id, origin FROM batches") == [(1, "http"), (2, "http")]
    with pytest.raises(Unreachable, match="no answer from"):
        client.status(1)


def used(client: Client, admin: str) -> None:
    batch = client.submit("posts", iter(IDS), name="march")
    ended = client.wait(batch, timeout=8)
    assert (ended.state, ended.jobs["total"]) == ("finished", len(IDS))
    found = [line["id"] for line in client.results(batch)]
    assert len(found) == ended.jobs["found"] > 1_000
    assert set(found) <= set(IDS)
    with pytest.raises(ValueError, match="is no ID"):
        client.submit("posts", broken())
    with pytest.raises(Refused, match="posts") as refused:
        client.submit("nobody", IDS * 100)
    assert refused.value.status == 400
    with pytest.raises(Refused, match="not the token"):
        Client(admin, "wrong").status(batch)
    held = client.submit("posts", ["1"], hold=True)
    with pytest.raises(TimeoutError, match="it is held"):
        client.wait(held, timeout=0)
    assert client.order("cancel", held)["batches"][0]["state"] == "cancelled"


def test_the_client_loads_nothing_of_the_service() -> None:
    """A web application has it for the price of a module of Python's own."""
    code = "import sys, collector; collector.Client; print(sorted(m for m in sys.modules if m.startswith('collector')))"
    told = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert told.strip() == "['collector', 'collector.client', 'collector.errors']"
