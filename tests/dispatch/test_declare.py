"""Sources declared anew while their calls flow."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collector.model import State
from collector.rehearsal.api import Settings, StandIn
from collector.rehearsal.posts import NO_FAULTS
from collector.store.batches import Batch

from .running import Running, dispatching, packed, single

IDS = [str(1_500_000_000_000_000_000 + 7919 * n) for n in range(1000)]
QUICK = Settings(limit=None, latency=(0.0, 0.002), faults=NO_FAULTS)


def asked(api: StandIn) -> Counter[str]:
    """How often the API was asked for each ID."""
    return Counter(key for verdict in api.verdicts for key in verdict.ids)


def found(running: Running, batch: Batch) -> int:
    return running.store.books.of(batch.id).count(State.FOUND)


async def until(so: Callable[[], bool]) -> None:
    while not so():  # noqa: ASYNC110 - dispatch tells its state and no changes of it; this is a turn of the loop, no time
        await asyncio.sleep(0)


async def landed(running: Running) -> None:
    """Returns when no call is in the air any more, and what came of them is recorded."""
    await until(lambda: not running.dispatcher.calls_in_the_air)
    await running.dispatcher.recorder.drained()


async def test_more_and_fewer_in_the_air_cost_no_call(tmp_path: Path) -> None:
    """A raised `parallel` sends at once, a lowered one after the calls in the air; no ID is asked for twice."""
    async with StandIn(QUICK) as api, dispatching(tmp_path, {"posts": packed(api.url, pack=5, parallel=2)}) as running:
        api.answering.clear()
        batch = await running.add(IDS)
        await api.verdicts.reached(2)
        running.declare({"posts": packed(api.url, pack=5, parallel=6)})
        await api.verdicts.reached(6)
        running.declare({"posts": packed(api.url, pack=5, parallel=1)})
        running.declare({"posts": packed(api.url, pack=5, parallel=3)})
        for _ in range(100):
            await asyncio.sleep(0)
        assert running.dispatcher.calls_in_the_air == 6
        api.answering.set()
        await running.finished(batch)
        assert found(running, batch) == len(IDS)
        assert set(asked(api).values()) == {1}


async def test_a_call_in_the_air_is_read_as_it_was_sent(tmp_path: Path) -> None:
    """Packs sent before the source asked one by one are read as packs, and nobody asks for their IDs again."""
    async with StandIn(QUICK) as api, dispatching(tmp_path, {"posts": packed(api.url, pack=20)}) as running:
        api.answering.clear()
        batch = await running.add(IDS[:400])
        await api.verdicts.reached(8)
        running.declare({"posts": single(api.url)})
        api.answering.set()
        await running.finished(batch)
        assert found(running, batch) == 400
        assert set(asked(api).values()) == {1}
        assert Counter(len(verdict.ids) for verdict in api.verdicts) == {20: 8, 1: 240}


async def test_a_changed_source_has_no_more_calls_in_the_air_than_it_may(tmp_path: Path) -> None:
    """However often it changes, `parallel` holds for the calls of all its declarations together."""
    async with StandIn(QUICK) as api, dispatching(tmp_path, {"posts": packed(api.url, pack=5)}) as running:
        api.answering.clear()
        first = await running.add(IDS[:20])
        await api.verdicts.reached(4)
        running.declare({"posts": packed(api.url, pack=6)})
        second = await running.add(IDS[20:])
        await api.verdicts.reached(8)
        for pack in range(7, 20):
            running.declare({"posts": packed(api.url, pack=pack)})
            running.declare({"posts": packed(api.url, pack=pack + 20)})
            for _ in range(40):
                await asyncio.sleep(0)
            assert running.dispatcher.calls_in_the_air == 8
        api.answering.set()
        await running.finished(first, second)
        assert set(asked(api).values()) == {1}


async def test_calls_that_hang_keep_nobody_else_from_being_read(tmp_path: Path) -> None:
    """With more jobs in the air than one read brings, the source goes on with those behind them."""
    async with StandIn(QUICK) as api, dispatching(tmp_path, {"posts": packed(api.url, parallel=8)}) as running:
        api.answering.clear()
        batch = await running.add(IDS)
        await api.verdicts.reached(8)
        running.declare({"posts": packed(api.url, parallel=9, timeout="20s")})
        await api.verdicts.reached(9)
        assert set(asked(api).values()) == {1}
        api.answering.set()
        await running.finished(batch)


@pytest.mark.parametrize("limit", [None, 50])
async def test_a_storm_of_changes_loses_nothing_and_asks_for_nothing_twice(tmp_path: Path, limit: int | None) -> None:
    """While calls flow, wait and are told to wait: every ID ends found, and what was answered is not asked again."""
    ways: list[dict[str, Any]] = [{"pack": 7}, {"pack": 10}, {"pack": 10, "parallel": 3}, {"pack": 9, "timeout": "9s"}]
    settings = Settings(limit=limit, window=1.0, headers=False, latency=(0.0, 0.002), faults=NO_FAULTS)
    too_much = {"limit": ["80/500ms"]} if limit else {}
    first = {"pack": 7, **too_much}
    async with StandIn(settings) as api, dispatching(tmp_path, {"posts": packed(api.url, **first)}) as running:
        batch = await running.add(IDS)
        for turn in range(40):
            await api.verdicts.reached(min(2 * turn, 80))
            running.declare({"posts": packed(api.url, **ways[turn % 4], **too_much)})
        await running.finished(batch)
        assert found(running, batch) == len(IDS)
        assert running.store.batches.get(batch.id).items == len(IDS)
        answered = Counter(key for verdict in api.verdicts if verdict.status == 200 for key in verdict.ids)
        assert set(answered.values()) == {1}
        assert bool(api.verdicts.statuses[429]) is bool(limit)


async def test_a_source_that_is_gone_is_asked_no_more(tmp_path: Path) -> None:
    """Its calls in the air finish and are recorded; declared again it goes on with the rest."""
    posts = packed("http://127.0.0.1:1")
    async with StandIn(QUICK) as api, dispatching(tmp_path, {"posts": packed(api.url, pack=10)}) as running:
        api.answering.clear()
        batch = await running.add(IDS)
        await api.verdicts.reached(8)
        running.declare({"others": posts})
        assert list(running.dispatcher.sources()) == ["others"]
        api.answering.set()
        await landed(running)
        assert (found(running, batch), api.verdicts.total) == (80, 8)
        running.declare({"others": posts, "posts": packed(api.url, pack=10)})
        await running.finished(batch)
        assert set(asked(api).values()) == {1}


async def test_a_stop_ends_with_another_declaration_and_not_without(tmp_path: Path) -> None:
    """A reload that leaves the source as it was, or only its limits, leaves it stopped."""
    async with StandIn(QUICK) as api, dispatching(tmp_path, {"posts": packed(api.url)}) as running:
        api.credits_depleted = True
        batch = await running.add(IDS)
        await stopped(running)
        api.credits_depleted = False
        running.declare({"posts": packed(api.url)})
        running.declare({"posts": packed(api.url, limit=["900/15m"], parallel=2)})
        assert running.dispatcher.sources()["posts"].state == "stopped"
        running.declare({"posts": packed(api.url, tries=6)})
        assert running.dispatcher.sources()["posts"].state == "running"
        assert running.store.books.of(batch.id).open == len(IDS)
        await api.verdicts.reached(api.verdicts.total + 1)


async def test_a_resumed_source_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """Resumed too early it takes two more refusals to stop again; in time it collects all."""
    async with StandIn(QUICK) as api, dispatching(tmp_path, {"posts": single(api.url, parallel=1)}) as running:
        assert running.dispatcher.resume("posts") is False
        api.credits_depleted = True
        batch = await running.add(IDS[:20])
        await stopped(running)
        before = api.verdicts.total
        assert running.dispatcher.resume("posts")
        await stopped(running)
        assert api.verdicts.total == before + 2
        api.credits_depleted = False
        assert running.dispatcher.resume("posts")
        await api.verdicts.reached(before + 2 + 16)
        await landed(running)
        assert found(running, batch) == 16  # the others are due in a few seconds


async def stopped(running: Running) -> None:
    """Returns when the source has stopped."""
    await until(lambda: running.dispatcher.sources()["posts"].state == "stopped")
    await landed(running)
