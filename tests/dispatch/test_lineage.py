"""From the items of one source to the IDs of the next."""

from pathlib import Path

import pytest

from collector.clock import Clock
from collector.dispatch.lineage import Lineage
from collector.model import Found, Gone, Heir, Item, Job, MorePages, Offspring
from collector.sources.spec import Spec
from collector.store import store as stores
from collector.store.batches import Batch
from collector.store.store import Store

FOLLOWERS = Spec.model_validate({"url": "http://api/users/{id}/followers"})


def posts(path: str, **values: object) -> Spec:
    table = {"url": "http://api/users/{id}/posts", "from": f"followers.{path}", "id": "(?:u-)?([0-9]{1,19})"}
    return Spec.model_validate(table | values)


async def seeded(store: Store) -> Batch:
    batch = await store.batches.begin("followers", "seeds", "file")
    batch, _ = await store.batches.load_chunk(batch, ["7"], 1)
    heirs = (Heir("posts", ()),)
    return await store.batches.open(batch, lines=1, refused=0, digest="", layout="", warnings=[], heirs=heirs)


async def made(tmp_path: Path, path: str, *bodies: str) -> Offspring:
    """What items with these bodies make."""
    async with stores.opened(tmp_path / "collector.db", Clock()) as store:
        batch = await seeded(store)
        lineage = Lineage(store.batches)
        lineage.declare({"followers": FOLLOWERS, "posts": posts(path)})
        [born] = lineage.offspring(batch.id, [Item(str(n), body) for n, body in enumerate(bodies)])
        return born


@pytest.mark.parametrize(
    ("path", "body", "keys", "malformed"),
    [
        ("id", '{"id": "12"}', ("12",), ()),
        ("id", '{"id": 9007199254740993}', ("9007199254740993",), ()),
        ("id", '{"id": 5.26e+17}', (), ("5.26e17",)),
        ("id", '{"id": "u-12"}', ("12",), ()),
        ("id", '{"id": "Anna\\n=1+1"}', (), ("Anna\n=1+1",)),
        ("id", '{"id": null}', (), ()),
        ("id", '{"name": "Anna"}', (), ()),
        ("id", '"no object"', (), ()),
        ("members[].id", '{"members": [{"id": "1"}, {"id": "2"}, {"id": "1"}]}', ("1", "2"), ()),
        ("id", '{"id": {"deep": true}}', (), ('{"deep":true}',)),
        ("id", '{"id": true}', (), ("true",)),
    ],
)
async def test_ids_are_text_that_the_next_source_takes(
    tmp_path: Path, path: str, body: str, keys: tuple[str, ...], malformed: tuple[str, ...]
) -> None:
    """What its `id` matches is an ID, what stands there else is told as malformed, and nothing is no ID."""
    born = await made(tmp_path, path, body)
    assert (born.keys, born.malformed) == (keys, malformed)


@pytest.mark.parametrize(
    ("body", "malformed"),
    [
        ('{"id": 5.26e+17}', "5.26e17"),
        ('{"id": true}', "true"),
        ('{"id": {"deep": 1}}', '{"deep":1}'),
        ('{"id": [["1"]]}', '["1"]'),
        ('{"id": "1\\u00002"}', "1\ufffd2"),
    ],
)
async def test_what_is_no_id_stays_so_where_the_next_source_takes_any_text(
    tmp_path: Path, body: str, malformed: str
) -> None:
    """A source without a pattern is asked for texts and whole numbers only: no float, nothing that is kept in part."""
    async with stores.opened(tmp_path / "collector.db", Clock()) as store:
        batch = await seeded(store)
        lineage = Lineage(store.batches)
        lineage.declare({"followers": FOLLOWERS, "posts": posts("id", id=".+")})
        [born] = lineage.offspring(batch.id, [Item("1", body)])
        assert (born.keys, born.malformed) == ((), (malformed,))


async def test_an_answer_that_comes_after_the_chain_was_declared_otherwise_has_its_children(tmp_path: Path) -> None:
    """A call leaves, a reload lets the next source follow another one, then the answer comes: its IDs are not lost."""
    async with stores.opened(tmp_path / "collector.db", Clock()) as store:
        batch = await seeded(store)
        lineage = Lineage(store.batches)
        lineage.declare({"followers": FOLLOWERS, "posts": posts("id")})
        lineage.declare({"followers": FOLLOWERS, "others": FOLLOWERS, "posts": posts("id", **{"from": "others.id"})})
        assert not lineage.whole(batch)
        [born] = lineage.offspring(batch.id, [Item("1", '{"id": "1"}')])
        assert born.keys == ("1",)


async def test_a_page_and_a_last_page_make_children_and_others_do_not(tmp_path: Path) -> None:
    """Whatever an outcome has no items of has no children."""
    async with stores.opened(tmp_path / "collector.db", Clock()) as store:
        batch = await seeded(store)
        lineage = Lineage(store.batches)
        lineage.declare({"followers": FOLLOWERS, "posts": posts("id")})
        one, job = Item("1", '{"id": "1"}'), Job(batch.id, "7")
        assert [born.keys for born in lineage.of_outcomes([(job, Found((one,)))])] == [("1",)]
        assert lineage.of_outcomes([(job, Gone("deleted"))]) == ()
        page = MorePages((one,), cursor=None)  # type: ignore[arg-type] # where it goes on is of no interest here
        assert [born.keys for born in lineage.of_outcomes([(job, page)])] == [("1",)]


async def test_a_batch_waits_where_its_chain_is_not_declared_whole(tmp_path: Path) -> None:
    """A reload that takes the next source away, or lets it follow another one, loses no child: nothing is asked."""
    async with stores.opened(tmp_path / "collector.db", Clock()) as store:
        batch = await seeded(store)
        lineage = Lineage(store.batches)
        for specs, whole in (
            ({"followers": FOLLOWERS, "posts": posts("id")}, True),
            ({"followers": FOLLOWERS}, False),
            ({"followers": FOLLOWERS, "posts": Spec.model_validate({"url": "http://api/{id}"})}, False),
            ({"followers": FOLLOWERS, "posts": posts("name")}, True),
        ):
            lineage.declare(specs)
            assert lineage.whole(batch) is whole
            assert [trouble.where for trouble in lineage.troubles()] == ([] if whole else ["0001-seeds"])
