"""The hard cases that only work shows: what is cut short, several limits at once, long lists, lost answers."""

from collections.abc import Callable, Iterable
from pathlib import Path

from collector.budget.limit import Limit
from collector.model import State
from collector.rehearsal.api import Settings, StandIn
from collector.rehearsal.posts import NO_FAULTS, Faults
from collector.rehearsal.users import Count, People
from collector.rehearsal.verdicts import Verdict
from collector.sources.spec import Spec

from .running import dispatching, packed, single

IDS = [str(1_500_000_000_000_000_000 + 7919 * n) for n in range(400)]
SEED = "700000007"


def quiet(**settings: object) -> Settings:
    return Settings(**({"limit": None, "latency": (0.0, 0.001), "faults": NO_FAULTS} | settings))  # type: ignore[arg-type] # a test's shorthand


def followers(url: str, **values: object) -> Spec:
    table = {
        "url": f"{url}/2/users/{{id}}/followers",
        "params": {"max_results": 50},
        "items": "data",
        "next": {"from": "meta.next_token", "to": "pagination_token"},
    }
    return Spec.model_validate(table | values)


def most(verdicts: Iterable[Verdict], seconds: float, count: Callable[[Verdict], int]) -> int:
    """The most of something that any such stretch of time saw."""
    kept = [(verdict.mono, count(verdict)) for verdict in verdicts]
    return max(sum(n for at, n in kept if began <= at < began + seconds) for began, _ in kept)


async def test_hard_case_2_what_a_default_page_size_cuts_off_is_not_taken_for_gone(tmp_path: Path) -> None:
    """A look-up of 100 that gives 25 back without a word: the rest is asked again in smaller packs, and found."""
    ids = [f"t3_{number:06}" for number in range(400)]
    async with StandIn(quiet()) as api:
        spec = Spec.model_validate(
            {
                "url": f"{api.url}/api/info?id={{ids}}",
                "pack": 100,
                "items": "data.children",
                "key": "data.name",
            }
        )
        async with dispatching(tmp_path, {"posts": spec}) as running:
            batch = await running.add(ids)
            await running.finished(batch)
            assert running.store.books.of(batch.id).count(State.FOUND) == len(ids)


async def test_hard_case_5_several_limits_hold_at_once_over_endpoints(tmp_path: Path) -> None:
    """Calls of each endpoint in half a second, and objects that both may cost together: no window sees more than either
    says, by the API's own log, and everything is found."""
    async with StandIn(quiet(log=tmp_path / "api.jsonl")) as api:
        specs = {"posts": packed(api.url, limit=["8/500ms"]), "one": single(api.url, limit=["20/500ms"])}
        async with dispatching(tmp_path, {}) as running:
            running.ledger.share("money", [Limit.parse("150 items/1s")])
            for name, spec in specs.items():
                running.ledger.declare(name, name, spec.limit, budget="money")
            running.dispatcher.declare(specs, {})
            batches = [await running.add(IDS), await running.add(IDS[:40], "one", "few")]
            await running.finished(*batches)
            verdicts = list(api.verdicts)
    assert most(verdicts, 1.0, lambda verdict: verdict.items) <= 150
    for path, limit in (("/2/tweets", 8), ("/2/tweets/{id}", 20)):
        assert most([v for v in verdicts if v.route == path], 0.5, lambda _: 1) <= limit


async def test_hard_case_7_a_long_list_goes_on_after_a_restart_and_after_its_cursor_expired(tmp_path: Path) -> None:
    """Ended in its middle as by a kill, it goes on at the page where it was; with every cursor forgotten by the API it
    begins anew, and stores no follower twice."""
    people = People(followers=Count(of={SEED: 1_500}), short=0.0, empty=0.0)
    async with StandIn(quiet(people=people)) as api:
        spec = followers(api.url)
        async with dispatching(tmp_path, {"followers": spec}) as running:
            batch = await running.add([SEED], "followers")
            await api.verdicts.reached(10)
        asked = len(list(api.verdicts))
        async with dispatching(tmp_path, {"followers": spec}) as running:
            await api.verdicts.reached(asked + 10)
        again = [verdict.cursor for verdict in list(api.verdicts)[asked:]]
        assert again[0], "it began anew"
        api.cursors.expire()
        async with dispatching(tmp_path, {"followers": spec}) as running:
            await running.finished(batch)
            stored = [item.key async for page in running.store.items.of_job(batch.id, SEED) for item in page]
            assert sorted(stored) == sorted(api.world.users.followers(SEED))
            assert running.store.batches.get(batch.id).items == len(stored) == 1_500
        assert "" in [verdict.cursor for verdict in list(api.verdicts)[asked:]]


async def test_hard_case_9_an_answer_that_is_lost_was_counted(tmp_path: Path) -> None:
    """A third of the answers is lost after the server counted the call: the limit holds all the same, without a single
    refusal, and everything is found."""
    faults = Faults(deleted=0, protected=0, suspended=0, absent=0, other=0, lost=0.3)
    settings = quiet(limit=30, window=1.0, policy="sliding", headers=False, faults=faults)
    async with StandIn(settings) as api, dispatching(tmp_path, {"posts": single(api.url, limit=["30/1s"])}) as running:
        batch = await running.add(IDS[:80])
        await running.finished(batch)
        assert running.store.books.of(batch.id).count(State.FOUND) == 80
        assert api.verdicts.statuses[429] == 0
        assert len(list(api.verdicts)) > 80
