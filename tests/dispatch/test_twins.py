"""The same ID in two batches of one source at once."""

from pathlib import Path

import pytest

from collector.model import State
from collector.rehearsal.api import StandIn
from collector.rehearsal.users import Count, People
from collector.sources.spec import Spec

from .running import Running, dispatching, single
from .test_hard_cases import IDS, SEED, followers, quiet


def posts(url: str, **values: object) -> Spec:
    table = {
        "url": f"{url}/2/users/{{id}}/tweets",
        "from": "followers.id",
        "items": "data",
        "next": {"from": "meta.next_token", "to": "pagination_token"},
    }
    return Spec.model_validate(table | values)


async def chained(running: Running, seed: str, specs: dict[str, Spec], name: str) -> None:
    from collector.sources import chain

    batch = await running.store.batches.begin("followers", name, "file", chain=("posts",))
    batch, _ = await running.store.batches.load_chunk(batch, [seed], 1)
    heirs = chain.heirs(specs, "followers", ("posts",))
    await running.store.batches.open(batch, lines=1, refused=0, digest="", layout="", warnings=[], heirs=heirs)
    running.dispatcher.opened("followers")


async def test_an_id_of_two_batches_is_asked_once(tmp_path: Path) -> None:
    """The second waits for the answer to the first, and is found as the same."""
    async with StandIn(quiet()) as api, dispatching(tmp_path, {"posts": single(api.url)}) as running:
        batches = [await running.add(IDS), await running.add(IDS[::-1], name="again")]
        await running.finished(*batches)
        assert set(api.verdicts.asked.values()) == {1}
        assert all(running.store.books.of(batch.id).count(State.FOUND) == len(IDS) for batch in batches)
        assert [running.store.batches.get(batch.id).items for batch in batches].count(0) <= 1


async def test_an_id_that_is_to_be_collected_always_waits_for_nobody(tmp_path: Path) -> None:
    """Each batch has its own answer."""
    async with (
        StandIn(quiet()) as api,
        dispatching(tmp_path, {"posts": single(api.url, recollect="always")}) as running,
    ):
        batches = [await running.add(IDS[:50]), await running.add(IDS[:50], name="again")]
        await running.finished(*batches)
        assert set(api.verdicts.asked.values()) == {2}


@pytest.mark.parametrize("seeds", [(SEED, SEED), (SEED, "700000014")])
async def test_the_same_follower_of_two_chains_has_its_posts_asked_once(tmp_path: Path, seeds: tuple[str, str]) -> None:
    """Two chains at once, over the same seed or over two whose followers are partly the same: no page is asked twice,
    and both have all posts."""
    people = People(followers=Count(60, 60), posts=Count(0, 45), shared=1.0, pool=90)
    async with StandIn(quiet(people=people)) as api:
        specs = {"followers": followers(api.url), "posts": posts(api.url)}
        async with dispatching(tmp_path, specs) as running:
            for number, seed in enumerate(seeds):
                await chained(running, seed, specs, f"seeds-{number}")
            await running.finished(*running.store.batches.all())
            pages = [verdict.uri for verdict in api.verdicts if verdict.route.endswith("/tweets")]
            users = {key for seed in seeds for key in api.world.users.followers(seed)}
            with_posts = {user for user in users if api.world.users.posts(user)}
            asked = [uri for uri in pages if uri.split("/")[3] in with_posts]
            assert len(asked) == len(set(asked))
            rows = await running.store._database.read("SELECT job, key FROM items WHERE source = 'posts'")
            assert sorted(rows) == sorted((user, post) for user in users for post in api.world.users.posts(user))
            children = [batch for batch in running.store.batches.all() if batch.source == "posts"]
            assert [running.store.books.of(child.id).count(State.FOUND) for child in children] == [60, 60]
