"""Pages of lists and the batches of a chain, as the tables keep them."""

from random import Random

import msgspec
import pytest

from collector.dispatch import paging
from collector.model import (
    BatchState,
    Cursor,
    Found,
    Gone,
    Heir,
    Item,
    Job,
    MorePages,
    Offspring,
    Outcome,
    PutOff,
    Result,
    State,
)
from collector.store.batches import Batch
from collector.store.store import Store

from .test_jobs import counted, item, kept

CHAIN = (Heir("posts", ("likes",), (Heir("likes", ()),)),)


async def opened(store: Store, keys: list[str], heirs: tuple[Heir, ...] = CHAIN) -> Batch:
    batch = await store.batches.begin("followers", "seeds", "file", chain=("posts", "likes"))
    batch, _ = await store.batches.load_chunk(batch, keys, len(keys))
    return await store.batches.open(batch, lines=len(keys), refused=0, digest="", layout="", warnings=[], heirs=heirs)


def came(job: Job, outcome: Outcome, *offspring: Offspring) -> Result:
    return Result("followers", (job,), ((job, outcome),), at=1_700_000_000.0, offspring=offspring)


async def only(store: Store, batch: Batch) -> Job:
    [job] = [*await store.jobs.queued(batch.id, "", 9), *await store.jobs.due(batch.id, 9)]
    return job


def page(*keys: str, after: str = "", pages: int = 1) -> MorePages:
    return MorePages(tuple(item(key) for key in keys), Cursor(after, pages))


async def test_a_page_its_cursor_and_its_children_are_one_commit(store: Store) -> None:
    """The items are there, the job goes on at the next page, and the children are due."""
    batch = await opened(store, ["7"])
    child = store.batches.children(batch.id)[0]
    born = Offspring(child.id, "posts", ("a", "b"), ("no id",))
    await store.jobs.record([came(await only(store, batch), page("a", "b", after="next"), born)])
    again = await only(store, batch)
    assert again.cursor == Cursor("next", 1)
    assert again.attempts == 0
    assert store.batches.get(batch.id).items == 2
    assert sorted(job.key for job in await store.jobs.due(child.id, 9)) == ["a", "b"]
    assert store.books.of(child.id).reasons[State.INVALID, "malformed"] == 1
    assert counted(store.path) == kept(store.path)


async def test_a_page_that_comes_twice_stores_nothing_twice(store: Store) -> None:
    """As after a kill between the answer and its commit, or a list that was begun anew."""
    batch = await opened(store, ["7"])
    child = store.batches.children(batch.id)[0]
    job = await only(store, batch)
    for _ in range(2):
        await store.jobs.record([came(job, page("a", "b", after="next"), Offspring(child.id, "posts", ("a", "b")))])
    assert store.batches.get(batch.id).items == 2
    assert store.books.of(child.id).total == 2
    assert counted(store.path) == kept(store.path)


async def test_the_same_id_from_two_parents_is_one_job(store: Store) -> None:
    """Two seeds with a common follower ask for that follower's posts once."""
    batch = await opened(store, ["7", "8"])
    child = store.batches.children(batch.id)[0]
    jobs = await store.jobs.queued(batch.id, "", 9)
    await store.jobs.record([came(job, Found((item("a"),)), Offspring(child.id, "posts", ("a",))) for job in jobs])
    assert store.books.of(child.id).total == 1


async def test_a_begun_list_is_read_before_those_that_wait_to_be(store: Store) -> None:
    """Its cursor does not keep for ever, and a chain may have a million that wait."""
    batch = await opened(store, ["7"])
    child = store.batches.children(batch.id)[0]
    keys = tuple(f"{number:05}" for number in range(3_000))
    await store.jobs.record([came(await only(store, batch), Found((item("a"),)), Offspring(child.id, "posts", keys))])
    last = (await store.jobs.due(child.id, 3_000))[-1]
    await store.jobs.record([came(last, page("x", after="next"))])
    assert [job.key for job in await store.jobs.due(child.id, 1)] == [last.key]


async def test_a_batch_of_a_chain_ends_after_the_one_above_it(store: Store) -> None:
    """It may owe nothing for a while, and more comes; when all above have ended it does so in the same commit."""
    batch = await opened(store, ["7"])
    child, grandchild = store.batches.family(batch.id)[1:]
    assert (child.source, grandchild.source, grandchild.parent) == ("posts", "likes", child.id)
    await store.jobs.record(
        [came(await only(store, batch), page("a", after="b"), Offspring(child.id, "posts", ("a",)))]
    )
    await store.jobs.record([came(await only(store, child), Gone("deleted"))])
    assert store.batches.get(child.id).state is BatchState.OPEN
    await store.jobs.record([came(await only(store, batch), Found((item("z"),)))])
    assert {member.state for member in store.batches.family(batch.id)} == {BatchState.FINISHED}


async def test_a_batch_without_a_job_bears_nothing(store: Store) -> None:
    """Its file held no ID, so there is nothing to follow."""
    batch = await opened(store, [])
    assert batch.state is BatchState.FINISHED
    assert store.batches.children(batch.id) == []


async def test_more_children_than_may_be_are_held_for_a_yes(store: Store) -> None:
    """Rows still come in, and none is asked."""
    batch = await opened(store, ["7"])
    child = store.batches.children(batch.id)[0]
    for number, keys in enumerate((("a", "b"), ("c",), ("d",))):
        outcome = page(*keys, after=f"{number}")
        await store.jobs.record([came(await only(store, batch), outcome, Offspring(child.id, "posts", keys, most=2))])
    assert store.batches.get(child.id).state is BatchState.HELD
    assert store.books.of(child.id).total == 4
    assert counted(store.path) == kept(store.path)


async def test_a_list_whose_pages_bring_nothing_new_ends(store: Store) -> None:
    """An API that gives the same cursor for each page may remember where we are, or go round for ever."""
    batch = await opened(store, ["7"], heirs=())
    await store.jobs.record([came(await only(store, batch), page("a", after="scroll"))])
    await store.jobs.record([came(await only(store, batch), page("b", after="scroll", pages=2))])
    assert store.batches.get(batch.id).state is BatchState.OPEN
    await store.jobs.record([came(await only(store, batch), page("b", after="scroll", pages=3))])
    assert store.batches.get(batch.id).state is BatchState.FINISHED
    assert store.books.of(batch.id).count(State.FOUND) == 1


async def test_a_list_begun_anew_has_its_tries_again(store: Store) -> None:
    """What its middle cost says nothing of its beginning; and once ended it has no cursor."""
    batch = await opened(store, ["7"], heirs=())
    await store.jobs.record([came(await only(store, batch), PutOff(0, "timeout", attempt=True))])
    await store.jobs.record(
        [came(await only(store, batch), PutOff(0, "cursor-expired", cursor=Cursor("", restarts=1)))]
    )
    again = await only(store, batch)
    assert (again.attempts, again.cursor) == (0, Cursor("", restarts=1))
    await store.jobs.record([came(again, Found((item("a"),), detail="cut"))])
    [row] = await store._database.read("SELECT state, cursor, detail FROM jobs")
    assert row == ("found", None, "cut")


async def test_a_cancelled_batch_takes_in_nothing_more(store: Store) -> None:
    """What comes for it afterwards is left out, and the books stay balanced."""
    batch = await opened(store, ["7"])
    child = store.batches.children(batch.id)[0]
    async with store._database.write() as write:
        sql = "UPDATE batches SET state = 'cancelled', finished_at = '2026-11-22T08:00:00.000Z' WHERE id = ?"
        await write.change(sql, (child.id,))
    await store.batches.load()
    await store.jobs.record(
        [came(await only(store, batch), page("a", after="b"), Offspring(child.id, "posts", ("a",)))]
    )
    assert store.books.of(child.id).total == 0
    assert counted(store.path) == kept(store.path)


@pytest.mark.parametrize("name", ["seeds", "ü" * 200])
async def test_a_batch_of_a_chain_is_named_for_its_file_and_its_source(store: Store, name: str) -> None:
    """And the name still makes a folder."""
    batch = await store.batches.begin("followers", name, "file")
    batch, _ = await store.batches.load_chunk(batch, ["7"], 1)
    batch = await store.batches.open(batch, lines=1, refused=0, digest="", layout="", warnings=[], heirs=CHAIN)
    child, grandchild = store.batches.family(batch.id)[1:]
    assert child.name == f"{name[:60]}-posts"
    assert grandchild.name == f"{name[:60]}-likes"


async def test_items_of_a_job_come_in_pages(store: Store) -> None:
    """All of them, each once, in order."""
    batch = await opened(store, ["7"], heirs=())
    keys = [f"{number:05}" for number in range(1_200)]
    await store.jobs.record([came(await only(store, batch), Found(tuple(Item(key, "{}") for key in keys)))])
    read = [one.key async for part in store.items.of_job(batch.id, "7") for one in part]
    assert read == keys


async def test_a_list_whose_items_hold_a_nul_ends_where_it_gives_nothing_new(store: Store) -> None:
    """A scroll's cursor stays the same, and so do the items of its last page: that is its end, NULs or not."""
    batch = await opened(store, ["7"])
    for pages in (1, 2):
        job = await only(store, batch)
        await store.jobs.record([came(job, page("a\0b", "a\0c", after="scroll", pages=pages))])
    assert store.books.of(batch.id).states[State.FOUND] == 1


async def test_an_id_that_stood_there_as_none_is_asked_when_it_comes_as_one(store: Store) -> None:
    """Where "@ada" gives the ID "ada" and "ada" alone is none, the order in which they come loses nobody."""
    batch = await opened(store, ["7"])
    child = store.batches.children(batch.id)[0]
    await store.jobs.adopt([Offspring(child.id, "posts", (), ("ada", "12"))])
    await store.jobs.adopt([Offspring(child.id, "posts", ("ada",), ("ada",))])
    assert [job.key for job in await store.jobs.due(child.id, 9)] == ["ada"]
    assert store.books.of(child.id).states == {State.DELAYED: 1, State.INVALID: 1}
    assert counted(store.path) == kept(store.path)


async def test_a_scroll_that_was_begun_anew_passes_its_known_pages_and_goes_on(store: Store) -> None:
    """All its pages have the same cursor. The pages of the first time bring nothing new, and are not its end."""
    batch = await opened(store, ["7"])
    for pages in (1, 2):
        await store.jobs.record(
            [came(await only(store, batch), page(f"a{pages}", f"b{pages}", after="scroll", pages=pages))]
        )
    expired = paging.begun_anew(await only(store, batch), "", 5, Random(1))
    assert isinstance(expired, PutOff)
    await store.jobs.record([came(await only(store, batch), msgspec.structs.replace(expired, delay=0))])
    for pages in (1, 2, 3):
        job = await only(store, batch)
        came_now = paging.turned(job, Found((item(f"a{pages}"), item(f"b{pages}"))), "scroll", None)
        await store.jobs.record([came(job, came_now)])
    assert (await only(store, batch)).cursor == Cursor("scroll", 3, 1, "scroll", 2)
    job = await only(store, batch)
    await store.jobs.record([came(job, paging.turned(job, Found((item("a3"),)), "scroll", None))])
    assert store.books.of(batch.id).states[State.FOUND] == 1
    assert store.batches.get(batch.id).items == 6
