"""What the calls of a source came to, counted for forecasts."""

from pathlib import Path

import pytest

from collector.clock import Clock
from collector.dispatch.retry import LONGEST
from collector.model import Job, PutOff, Result
from collector.rehearsal.api import Settings, StandIn
from collector.rehearsal.posts import NO_FAULTS, Faults

from .running import dispatching, packed, single

IDS = [str(1_500_000_000_000_000_000 + 7919 * n) for n in range(1000)]


def fast(faults: Faults = NO_FAULTS) -> Settings:
    """No limit in the way, and hardly any latency."""
    return Settings(limit=None, latency=(0.0, 0.001), faults=faults)


async def test_full_calls_are_counted_with_what_they_brought(tmp_path: Path) -> None:
    """All but the last ones, which nothing is left to share with."""
    async with StandIn(fast()) as api, dispatching(tmp_path, {"posts": packed(api.url, pack=20)}) as running:
        await running.finished(await running.add(IDS))
        progress = running.dispatcher.progress()["posts"]
    assert 40 <= progress.calls < 50
    assert progress.jobs == progress.settled == progress.items == 20 * progress.calls
    assert progress.due == 0


async def test_a_small_batch_says_nothing_of_how_full_calls_are(tmp_path: Path) -> None:
    """Three IDs in a call for a hundred are all there were."""
    async with StandIn(fast()) as api, dispatching(tmp_path, {"posts": packed(api.url)}) as running:
        await running.finished(await running.add(IDS[:3]))
        assert running.dispatcher.progress()["posts"].calls == 0


async def test_ids_that_are_asked_again_are_sent_more_often_than_settled(tmp_path: Path) -> None:
    """Absent at the first asking: each is carried twice, and nothing of it comes back."""
    absent = Faults(deleted=0, protected=0, suspended=0, absent=1.0, other=0)
    async with StandIn(fast(absent)) as api, dispatching(tmp_path, {"posts": single(api.url)}) as running:
        await running.finished(await running.add(IDS[:300]))
        progress = running.dispatcher.progress()["posts"]
    assert progress.jobs == pytest.approx(2 * progress.settled, rel=0.1)
    assert progress.items == 0


async def test_it_is_known_until_when_a_failed_try_waits(tmp_path: Path) -> None:
    """The due time of what is put off lies within the first waits."""
    broken = Faults(deleted=0, protected=0, suspended=0, absent=0, other=0, errors=0.2)
    async with StandIn(fast(broken)) as api, dispatching(tmp_path, {"posts": single(api.url)}) as running:
        batch = await running.add(IDS[:100])
        await running.finished(batch)
        ended = running.store.batches.get(batch.id).finished_at
        due = running.dispatcher.progress()["posts"].due
    assert ended
    assert 0 < due <= ended


async def test_what_an_earlier_process_put_off_may_be_due_as_late_as_anything(tmp_path: Path) -> None:
    """A start does not know when, so it supposes the longest wait."""
    async with dispatching(tmp_path, {}) as before:
        batch = await before.add(IDS[:2])
        put_off = tuple((Job(batch.id, key), PutOff(1.0, "http-500")) for key in IDS[:2])
        await before.store.jobs.record([Result("posts", tuple(job for job, _ in put_off), put_off, at=1.0)])
    async with StandIn(fast()) as api:
        api.answering.clear()
        async with dispatching(tmp_path, {"posts": single(api.url)}) as running:
            due = running.dispatcher.progress()["posts"].due
        api.answering.set()
    assert due == pytest.approx(Clock().wall() + LONGEST, abs=10)
