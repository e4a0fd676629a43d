"""Batches of a chain in the status and in their folders."""

from pathlib import Path

import pytest

from collector.model import BatchId, BatchState, Gone
from collector.output.folder import Folder
from collector.output.report import report, with_chain
from collector.output.snapshot import Snapshot
from collector.output.status import snapshot
from collector.output.text import batch_text, text
from collector.sources.spec import Spec
from collector.store.database import opened as database
from collector.store.store import Store, opened
from tests.output.given import LIVE, SPECS, Standing, found, recorded, taken_in
from tests.store.test_batches import begin_child

FOLLOWED = "| 2 | followers | {} | batches/0002-ids-followers | {} |"
NONE_YET = "0 = 0 found + 0 gone + 0 invalid + 0 failed + 0 cancelled + 0 open"


def taken(store: Store, clock: Standing) -> Snapshot:
    return snapshot(store, LIVE, SPECS, clock.wall(), clock)


def folder_of(store: Store, tmp_path: Path, clock: Standing, flying: tuple[BatchId, ...] = ()) -> Folder:
    return Folder(
        tmp_path / "batches",
        store,
        SPECS,
        lambda: taken(store, clock),
        clock,
        free=lambda _: 10**12,
        flies=lambda batch: batch in flying,
    )


async def given(path: Path, clock: Standing, state: str = "open") -> None:
    """Batch 1 with two IDs, its child 2 with one that waits, and batch 3 on its own."""
    async with opened(path, clock) as store:
        await taken_in(store, ["1", "2"])
    await begin_child(path, 1, "followers")
    async with database(path) as db, db.write() as write:
        await write.change("UPDATE batches SET state = ? WHERE id = 2", (state,))
        await write.change("UPDATE batches SET chain = '[\"followers\"]' WHERE id = 1")
        due = "INSERT INTO jobs (batch, key, state, due_at) VALUES (2, 'x', 'delayed', '2026-11-22T08:07:21.123Z')"
        await write.change(due)
        await write.change("INSERT INTO counts VALUES (2, 'delayed', '', 1)")
    async with opened(path, clock) as store:
        await taken_in(store, ["1"], name="other")


async def test_the_status_tells_who_follows_whom(tmp_path: Path, clock: Standing) -> None:
    """In JSON by numbers; in the text a child stands indented below its parent."""
    await given(tmp_path / "c.db", clock)
    async with opened(tmp_path / "c.db", clock) as store:
        said = taken(store, clock)
        assert [(batch.id, batch.parent, batch.chain) for batch in said.batches] == [
            *((1, None, (2,)), (2, 1, ()), (3, None, ())),
        ]
        assert said.at_least is True
        lines = [line for line in text(said).splitlines() if line.lstrip().startswith("000")]
        assert [line[:20] for line in lines] == ["0001-ids (posts)    ", "  0002-ids-followers", "0003-other (posts)  "]


async def test_a_child_stands_below_its_parent_though_that_has_ended(tmp_path: Path, clock: Standing) -> None:
    """What has ended is listed last, but a family stays together."""
    await given(tmp_path / "c.db", clock)
    async with opened(tmp_path / "c.db", clock) as store:
        await recorded(store, BatchId(1), {"1": found("1"), "2": found("2")})
        said = taken(store, clock)
        assert [batch.id for batch in said.batches] == [2, 3, 1]
        lines = [line.split()[0] for line in text(said).splitlines() if line.lstrip().startswith("000")]
        assert lines == ["0001-ids", "0002-ids-followers", "0003-other"]


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (
            "held",
            "held, since it has more IDs than its source's `max_children`: `collector resume 2` says yes, `collector"
            " cancel 2` says no",
        ),
        ("paused", "paused: `collector resume 2` lets it go on"),
    ],
)
async def test_what_waits_for_a_person_says_how_to_go_on(
    tmp_path: Path, clock: Standing, state: str, said: str
) -> None:
    """In the status, in its own status.txt and in that of its parent; and more is to come than is forecast."""
    await given(tmp_path / "c.db", clock, state)
    async with opened(tmp_path / "c.db", clock) as store:
        now = taken(store, clock)
        parent, child, _ = now.batches
        for told in (text(now), batch_text(child, now, now.now), batch_text(parent, now, now.now, below=[child])):
            assert said in " ".join(told.split())
        assert now.at_least is True


async def test_pages_that_nobody_has_counted_make_a_forecast_a_least_one(store: Store, clock: Standing) -> None:
    """A source whose lists have pages may take any number of calls for an ID."""
    paged = Spec.model_validate({"url": "https://a.org/{id}", "next": {"from": "next", "to": "cursor"}})
    batch = await taken_in(store, ["1"])
    assert snapshot(store, LIVE, {"posts": paged}, clock.wall(), clock).at_least is True
    await recorded(store, batch.id, {"1": found("1")})
    assert snapshot(store, LIVE, {"posts": paged}, clock.wall(), clock).at_least is False


async def test_the_folder_of_a_child_is_made_though_it_has_no_file(tmp_path: Path, clock: Standing) -> None:
    """Its status says whose items its IDs are, that of its parent how the child stands."""
    await given(tmp_path / "c.db", clock)
    (tmp_path / "batches/0001-ids").mkdir(parents=True)
    async with opened(tmp_path / "c.db", clock) as store:
        await folder_of(store, tmp_path, clock).refresh()
        child = (tmp_path / "batches/0002-ids-followers/status.txt").read_text()
        assert "its IDs are taken from the items of batch 1\n" in child
        parent = " ".join((tmp_path / "batches/0001-ids/status.txt").read_text().split())
        assert f"then 0002-ids-followers (followers): open; {NONE_YET[:-6].replace('0 =', '1 IDs =')}1 open" in parent


async def test_the_files_of_a_parent_follow_its_chain_to_the_end(tmp_path: Path, clock: Standing) -> None:
    """Its report is written when it has ended, and tells in the end how the last of its chain has ended too; the rest
    of it stays as it was."""
    await given(tmp_path / "c.db", clock)
    place = tmp_path / "batches/0001-ids"
    place.mkdir(parents=True)
    async with opened(tmp_path / "c.db", clock) as store:
        folder = folder_of(store, tmp_path, clock)
        await recorded(store, BatchId(1), {"1": found("1"), "2": found("2")})
        await folder.write_ended()
        before = (place / "report.md").read_text()
        assert FOLLOWED.format("open", NONE_YET.replace("0 =", "1 =").replace("0 open", "1 open")) in before
        assert "then 0002-ids-followers (followers): open;" in (place / "status.txt").read_text()
        await recorded(store, BatchId(2), {"x": Gone("deleted")}, source="followers")
        await folder.refresh()
        await folder.write_ended()
        after = (place / "report.md").read_text()
        line = FOLLOWED.format("finished", NONE_YET.replace("0 =", "1 =").replace("0 gone", "1 gone"))
        assert line in after
        assert [a for a in after.splitlines() if a not in before] == [line]
        assert len(after.splitlines()) == len(before.splitlines())
        assert "then 0002-ids-followers (followers): finished;" in (place / "status.txt").read_text()
        child = (tmp_path / "batches/0002-ids-followers/report.md").read_text()
        assert "IDs taken from the items of batch 1: 1. No file came with them." in child
        assert "1 ID from the items of batch 1 was requested from the source followers" in child


async def test_the_status_of_a_parent_goes_on_while_its_chain_does(tmp_path: Path, clock: Standing) -> None:
    """Though it has ended itself and its files are written."""
    await given(tmp_path / "c.db", clock)
    async with opened(tmp_path / "c.db", clock) as store:
        folder = folder_of(store, tmp_path, clock)
        await recorded(store, BatchId(1), {"1": found("1"), "2": found("2")})
        await folder.write_ended()
        await store.control.pause(BatchId(2))
        await folder.refresh()
        said = (tmp_path / "batches/0001-ids/status.txt").read_text()
        assert "0001-ids (source posts): finished\n" in said
        assert "then 0002-ids-followers (followers): paused;" in said


async def test_a_report_is_rewritten_whatever_stands_in_it(store: Store) -> None:
    """A name with a backslash, or a report without a chain, does no harm."""
    batch = await taken_in(store, ["1"], name=r"\1 \g<0>")
    account = store.books.of(batch.id)
    alone = report(batch, account, None, 1_800_000_000.0)
    assert with_chain(alone, [(batch, account)]) == alone
    chained = report(batch, account, None, 1_800_000_000.0, below=[(batch, account)])
    assert with_chain(chained, [(batch, account)]) == chained


async def test_a_cancelled_batch_is_written_when_all_its_jobs_have_ended(tmp_path: Path, clock: Standing) -> None:
    """Not while rows are open, nor while an answer may still come: each file is written once, and is right."""
    async with opened(tmp_path / "c.db", clock) as store:
        batch = await taken_in(store, ["1", "2"])
        await store.control.cancel(batch.id)
        report_at = tmp_path / "batches/0001-ids/report.md"
        await folder_of(store, tmp_path, clock).write_ended()
        assert not report_at.exists()
        await store.control.end_jobs(batch.id, "", 10)
        await folder_of(store, tmp_path, clock, flying=(batch.id,)).write_ended()
        assert not report_at.exists()
        await recorded(store, batch.id, {"2": found("2")})
        await folder_of(store, tmp_path, clock).write_ended()
        assert "2 = 1 + 0 + 0 + 0 + 1 + 0\n" in report_at.read_text()
        assert store.batches.to_write() == []


async def test_the_report_of_a_batch_cancelled_while_it_was_read_says_how_far(store: Store) -> None:
    """IDs behind that line are nowhere in the books."""
    batch = await store.batches.begin("posts", "ids", "file", file="ids.txt")
    batch, _ = await store.batches.load_chunk(batch, ["1", "2"], 1234)
    [batch] = await store.control.cancel(batch.id)
    assert batch.state is BatchState.CANCELLED
    said = report(batch, store.books.of(batch.id), None, 1_800_000_000.0)
    assert "- It was cancelled while its file was read: only IDs up to line 1,234 were taken in.\n" in said
