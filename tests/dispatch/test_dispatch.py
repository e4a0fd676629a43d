import asyncio
from collections import Counter
from pathlib import Path

import pytest

from collector.clock import Clock
from collector.dispatch.recorder import COMMIT_EVERY
from collector.model import State
from collector.rehearsal.api import Settings, StandIn
from collector.rehearsal.posts import NO_FAULTS, Fate, Faults

from .running import dispatching, packed, single

DAY = 86_400.0
SOON = 0.25  # seconds from one probe to the next
IDS = [str(1_500_000_000_000_000_000 + 7919 * n) for n in range(1000)]


def fast(faults: Faults = Faults()) -> Settings:  # noqa: B008 - frozen
    """No limit in the way, and hardly any latency."""
    return Settings(limit=None, latency=(0.0, 0.001), faults=faults)


class Ahead(Clock):
    """The machine's clock, set ahead."""

    ahead = 0.0

    def wall(self) -> float:
        return super().wall() + self.ahead


EXPECTED = {
    Fate.FOUND: State.FOUND,
    Fate.DELETED: State.GONE,
    Fate.PROTECTED: State.GONE,
    Fate.SUSPENDED: State.GONE,
    Fate.ABSENT: State.GONE,
    Fate.POISON: State.FAILED,
    Fate.BAD: State.INVALID,
}


def expected(api: StandIn, ids: list[str]) -> Counter[State]:
    return Counter(EXPECTED[api.fate(key)] for key in ids)


async def test_a_packed_batch_ends_with_every_id_where_it_belongs(tmp_path: Path) -> None:
    """Found, deleted, protected, suspended and absent posts all end as the API says, and the books balance."""
    async with StandIn(fast()) as api, dispatching(tmp_path, {"posts": packed(api.url)}) as running:
        batch = await running.add(IDS)
        await running.finished(batch)
        account = running.store.books.of(batch.id)
        assert Counter({s: n for s, n in account.states.items() if n}) == expected(api, IDS)
        assert account.total == len(IDS)
        assert running.store.batches.get(batch.id).items == account.count(State.FOUND)


async def test_single_lookups_end_alike(tmp_path: Path) -> None:
    """One ID a call gives the same books as packs."""
    ids = IDS[:200]
    async with StandIn(fast()) as api, dispatching(tmp_path, {"posts": single(api.url)}) as running:
        batch = await running.add(ids)
        await running.finished(batch)
        states = running.store.books.of(batch.id).states
        assert Counter({s: n for s, n in states.items() if n}) == expected(api, ids)


@pytest.mark.parametrize("culprits", [1, 3])
async def test_one_or_three_culprits_leave_the_innocent_with_no_attempt_spent(tmp_path: Path, culprits: int) -> None:
    """A pack with bad IDs is split down to them; nobody else pays."""
    bad = frozenset(IDS[:100:40][:culprits])
    faults = Faults(deleted=0, protected=0, suspended=0, absent=0, other=0, bad=bad)
    async with (
        StandIn(fast(faults)) as api,
        dispatching(tmp_path, {"posts": packed(api.url)}) as running,
    ):
        batch = await running.add(IDS[:100])
        await running.finished(batch)
        account = running.store.books.of(batch.id)
        assert (account.count(State.INVALID), account.count(State.FOUND)) == (culprits, 100 - culprits)
        pages = [page async for page in running.store.items.not_found(batch.id, State.INVALID)]
        assert {row.key for page in pages for row in page} == bad


async def test_poison_ids_fail_after_their_tries_and_the_batch_ends(tmp_path: Path) -> None:
    """IDs that answer 500 for ever end as failed, also when nothing else is left to ask."""
    poison = frozenset(IDS[:20:4])
    faults = Faults(deleted=0, protected=0, suspended=0, absent=0, other=0, poison=poison)
    async with (
        StandIn(fast(faults)) as api,
        dispatching(tmp_path, {"posts": single(api.url, tries=2)}, probe_every=SOON) as running,
    ):
        batch = await running.add(IDS[:60])
        await running.finished(batch)
        account = running.store.books.of(batch.id)
        assert account.reasons == {(State.FAILED, "http-500"): len(poison)}


async def test_faults_of_the_wire_lose_nothing(tmp_path: Path) -> None:
    """5xx, dropped connections, lost answers, cut and garbled bodies: every ID still ends where it belongs."""
    faults = Faults(errors=0.05, dropped=0.03, lost=0.03, truncated=0.03, garbled=0.03)
    async with (
        StandIn(fast(faults)) as api,
        dispatching(tmp_path, {"posts": packed(api.url, pack=20, timeout="2s", tries=20)}) as running,
    ):
        batch = await running.add(IDS)
        await running.finished(batch)
        states = running.store.books.of(batch.id).states
        assert Counter({s: n for s, n in states.items() if n}) == expected(api, IDS)


async def test_a_small_batch_ends_long_before_a_large_one(tmp_path: Path) -> None:
    """Fair share: what comes later and is small does not wait for what came first and is large."""
    settings = fast(NO_FAULTS)
    async with StandIn(settings) as api, dispatching(tmp_path, {"posts": single(api.url)}) as running:
        large = await running.add(IDS)
        small = await running.add([str(int(key) + 1) for key in IDS[:20]])
        await running.finished(small)
        assert running.store.books.of(large.id).open > 700


async def test_outcomes_that_come_fast_share_their_commits(tmp_path: Path) -> None:
    """However many calls are answered a second, there are at most so many commits."""
    async with StandIn(fast(NO_FAULTS)) as api, dispatching(tmp_path, {"posts": single(api.url)}) as running:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await running.finished(await running.add(IDS))
        assert 1 <= running.dispatcher.recorder.commits <= (loop.time() - began) / COMMIT_EVERY + 1


async def test_what_is_collected_is_not_asked_for_again(tmp_path: Path) -> None:
    """The same IDs in a later batch are found without a call, and say which batch holds their items."""
    async with StandIn(fast(NO_FAULTS)) as api:
        async with dispatching(tmp_path, {"posts": packed(api.url)}) as running:
            await running.finished(await running.add(IDS))
            before = api.verdicts.total
            again = await running.add([*IDS[:500], "77"])
            await running.finished(again)
            assert api.verdicts.total == before + 1
            assert running.store.books.of(again.id).count(State.FOUND) == 501
            assert running.store.batches.get(again.id).items == 1
        async with dispatching(tmp_path, {"posts": packed(api.url, recollect="always")}) as running:
            anew = await running.add(IDS[:100])
            await running.finished(anew)
            assert running.store.batches.get(anew.id).items == 100


async def test_what_is_older_than_declared_is_asked_for_again(tmp_path: Path) -> None:
    """Decided when a job is fed: what is younger comes from a batch before, else the new batch has items of its own."""
    clock = Ahead()
    async with StandIn(fast(NO_FAULTS)) as api:
        specs = {"posts": packed(api.url, recollect="older than 7d")}
        async with dispatching(tmp_path, specs, clock=clock) as running:
            items = running.store.batches.get
            await running.finished(first := await running.add(IDS[:300]))
            clock.ahead = 6 * DAY
            await running.finished(second := await running.add(IDS[:300]))
            assert (api.verdicts.total, items(second.id).items) == (3, 0)
            clock.ahead = 7 * DAY + 60
            await running.finished(third := await running.add(IDS[:300]))
            assert (api.verdicts.total, items(third.id).items) == (6, 300)
            clock.ahead = 8 * DAY
            await running.finished(fourth := await running.add(IDS[:300]))
            assert (api.verdicts.total, items(fourth.id).items) == (6, 0)
            pages = [page async for page in running.store.items.found_before(fourth.id)]
            fetched = {item.fetched_at[:10] for page in pages for item in page}
            [own] = {item.fetched_at[:10] async for page in running.store.items.found(third.id) for item in page}
            assert fetched == {own}
            assert items(first.id).items == 300


async def test_an_outage_costs_no_attempt_and_ends_by_itself(tmp_path: Path) -> None:
    """While the API is away a few probes go; when it is back everything is found."""
    settings = fast(NO_FAULTS)
    async with StandIn(settings) as api, dispatching(tmp_path, {"posts": single(api.url, tries=1)}) as running:
        api.down = True
        batch = await running.add(IDS[:50])
        await api.verdicts.reached(8)
        assert api.verdicts.total <= 8 + 8
        api.down = False
        await running.finished(batch)
        assert running.store.books.of(batch.id).count(State.FOUND) == 50


async def test_an_outage_after_good_answers_makes_nobody_fail(tmp_path: Path) -> None:
    """Calls in the air when the API goes away, with one try each, are found when it is back."""
    async with (
        StandIn(fast(NO_FAULTS)) as api,
        dispatching(tmp_path, {"posts": single(api.url, tries=1)}, probe_every=SOON) as running,
    ):
        batch = await running.add(IDS[:400])
        await api.verdicts.reached(100)
        api.down = True
        await api.verdicts.reached(api.verdicts.total + 12)
        api.down = False
        await running.finished(batch)
        assert running.store.books.of(batch.id).count(State.FOUND) == 400


async def test_bad_ids_that_are_asked_last_end_too(tmp_path: Path) -> None:
    """With nothing else left to ask, an ID that is known to be found tells that the API is there."""
    poison = frozenset(IDS[40:48])
    faults = Faults(deleted=0, protected=0, suspended=0, absent=0, other=0, poison=poison)
    async with (
        StandIn(fast(faults)) as api,
        dispatching(tmp_path, {"posts": single(api.url, tries=2, parallel=1)}, probe_every=SOON) as running,
    ):
        batch = await running.add(IDS[:48])
        await running.finished(batch)
        assert running.store.books.of(batch.id).reasons == {(State.FAILED, "http-500"): len(poison)}


@pytest.mark.timeout(30)  # its waits are drawn by chance, and a few of them in a row take a while
async def test_a_bad_id_in_every_pack_keeps_nobody_from_being_found(tmp_path: Path) -> None:
    """One ID in ten spoils its pack of a hundred, and nothing was ever found before."""
    poison = frozenset(IDS[:200:10])
    faults = Faults(deleted=0, protected=0, suspended=0, absent=0, other=0, poison=poison)
    async with (
        StandIn(fast(faults)) as api,
        dispatching(tmp_path, {"posts": packed(api.url, tries=2)}, probe_every=SOON) as running,
    ):
        batch = await running.add(IDS[:200])
        await running.finished(batch)
        account = running.store.books.of(batch.id)
        assert (account.count(State.FOUND), account.count(State.FAILED)) == (180, 20)


async def test_a_dead_endpoint_does_not_stop_another_of_its_host(tmp_path: Path) -> None:
    """Each source has a breaker of its own."""
    faults = Faults(deleted=0, protected=0, suspended=0, absent=0, other=0, poison=frozenset(IDS[:100]))
    async with StandIn(fast(faults)) as api:
        specs = {"dead": single(api.url, parallel=64), "healthy": single(api.url, parallel=1)}
        async with dispatching(tmp_path, specs) as running:
            await running.add(IDS[:100], source="dead")
            await api.verdicts.reached(10)
            await running.finished(await running.add(IDS[100:160], source="healthy"))


async def test_a_source_without_credit_stops_and_owes_its_ids(tmp_path: Path) -> None:
    """402 stops the source in plain words; every ID stays open, and a start after mending goes on."""
    async with StandIn(fast(NO_FAULTS)) as api:
        api.credits_depleted = True
        async with dispatching(tmp_path, {"posts": packed(api.url)}) as running:
            batch = await running.add(IDS)
            await api.verdicts.reached(2)
            await running.dispatcher.recorder.drained()
        async with dispatching(tmp_path, {"posts": packed(api.url)}) as running:
            assert running.store.books.of(batch.id).open == len(IDS)
            api.credits_depleted = False
            await running.finished(batch)


async def test_what_was_in_the_air_at_a_kill_is_asked_again_and_recorded_once(tmp_path: Path) -> None:
    """Ended without any farewell while calls are in the air, the next start finds every ID exactly once."""
    async with StandIn(fast(NO_FAULTS)) as api:
        async with dispatching(tmp_path, {"posts": packed(api.url, pack=10)}) as running:
            batch = await running.add(IDS)
            await api.verdicts.reached(30)
            api.answering.clear()
            await api.verdicts.reached(31)
        api.answering.set()
        async with dispatching(tmp_path, {"posts": packed(api.url, pack=10)}) as running:
            await running.finished(batch)
            assert running.store.books.of(batch.id).count(State.FOUND) == len(IDS)
            assert running.store.batches.get(batch.id).items == len(IDS)
