"""The files of a batch's folder."""

import asyncio
import csv
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector.model import Failed, Found, Gone, Invalid, Outcome, SourceLive, Why
from collector.output.folder import Folder
from collector.output.snapshot import Snapshot
from collector.output.status import snapshot
from collector.store.store import Store
from tests.output.given import LIVE, SPECS, Standing, found, live, recorded, taken_in


@pytest.fixture
def batches(tmp_path: Path) -> Path:
    place = tmp_path / "batches"
    place.mkdir()
    return place


def folder_of(
    store: Store,
    batches: Path,
    clock: Standing,
    free: Callable[[Path], int] = lambda _: 10**12,
    spent: Mapping[Why, float] | None = None,
) -> Folder:
    def shown() -> Snapshot:
        return snapshot(store, LIVE, SPECS, clock.wall(), clock)

    return Folder(batches, store, SPECS, shown, clock, free=free, spent=lambda _: spent or {})


def lines_of(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    assert data == b"" or data.endswith(b"\n")
    return [msgspec.json.decode(line) for line in data.split(b"\n")[:-1]]


def rows_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


async def test_a_finished_batch_has_all_its_files(store: Store, batches: Path, clock: Standing) -> None:
    """Found, gone and failed IDs stand each in their file, and the batch is marked as written."""
    batch = await taken_in(store, ["1", "2", "3", "4"])
    ends: dict[str, Outcome] = {
        "1": found("1"),
        "2": Gone("deleted", "gone, it says"),
        "3": Failed("http-500"),
        "4": Invalid("malformed"),
    }
    await recorded(store, batch.id, ends, also='{"users":[]}')
    await folder_of(store, batches, clock).write_ended()
    place = batches / "0001-ids"
    assert sorted(path.name for path in place.iterdir()) == [
        "also.jsonl",
        "failed.csv",
        "found.jsonl",
        "gone.csv",
        "report.md",
        "status.txt",
    ]
    at = "2027-01-15T08:00:00.000Z"
    assert lines_of(place / "found.jsonl") == [{"id": "1", "fetched_at": at, "answer": 1, "item": {"id": "1"}}]
    assert lines_of(place / "also.jsonl") == [{"answer": 1, "fetched_at": at, "also": {"users": []}}]
    assert rows_of(place / "gone.csv") == [
        ["id", "reason", "detail", "finished_at"],
        ["2", "deleted", "gone, it says", at],
    ]
    assert rows_of(place / "failed.csv") == [
        ["id", "state", "reason", "detail", "attempts", "finished_at"],
        ["4", "invalid", "malformed", "", "0", at],
        ["3", "failed", "http-500", "", "1", at],
    ]
    assert (
        "4 IDs = 1 found + 1 gone + 1 invalid + 1 failed + 0 cancelled + 0 open" in (place / "status.txt").read_text()
    )
    assert store.batches.to_write() == []


async def test_files_that_would_be_empty_are_not_there(store: Store, batches: Path, clock: Standing) -> None:
    """Without a failed ID there is no failed.csv, without `also` no also.jsonl, even if an old one lies there."""
    batch = await taken_in(store, ["1"])
    await recorded(store, batch.id, {"1": found("1")})
    place = batches / batch.folder
    place.mkdir()
    (place / "failed.csv").write_text("old")
    await folder_of(store, batches, clock).write_ended()
    assert sorted(path.name for path in place.iterdir()) == ["found.jsonl", "gone.csv", "report.md", "status.txt"]


async def test_an_item_keeps_its_own_bytes(store: Store, batches: Path, clock: Standing) -> None:
    """Numbers, spaces and escapes stay as the API sent them; only line breaks between values become spaces."""
    body = '{"id":\n 1.10,\r\n"big": 5.26e+17, "text": "a\\nb \u2028 \\u00e9 é"}'
    batch = await taken_in(store, ["1"])
    await recorded(store, batch.id, {"1": found("1", body)})
    await folder_of(store, batches, clock).write_ended()
    [line] = (batches / batch.folder / "found.jsonl").read_bytes().split(b"\n")[:-1]
    expected = body.replace("\r\n", "  ").replace("\n", " ")
    assert line.endswith(b',"item":' + expected.encode() + b"}")


async def test_an_object_under_another_id_says_both(store: Store, batches: Path, clock: Standing) -> None:
    """The ID asked for is `id`, as text; the object's own is `item_id`."""
    batch = await taken_in(store, ["0012"])
    await recorded(store, batch.id, {"0012": found("W12")})
    await folder_of(store, batches, clock).write_ended()
    [line] = lines_of(batches / batch.folder / "found.jsonl")
    assert (line["id"], line["item_id"]) == ("0012", "W12")


async def test_what_an_earlier_batch_collected_is_in_the_file_too(store: Store, batches: Path, clock: Standing) -> None:
    """An ID that was not asked again brings the items that the batch before it stored."""
    first = await taken_in(store, ["1"])
    await recorded(store, first.id, {"1": found("1")})
    second = await taken_in(store, ["1", "2"], name="again")
    await recorded(store, second.id, {"1": Found(same_as=first.id), "2": found("2")})
    await folder_of(store, batches, clock).write_ended()
    assert sorted(line["id"] for line in lines_of(batches / second.folder / "found.jsonl")) == ["1", "2"]


async def test_a_long_list_that_an_earlier_batch_collected_is_whole_in_the_file(
    store: Store, batches: Path, clock: Standing
) -> None:
    """However many objects an ID has, they come a page at a time, each once, beside IDs with one."""
    long = Found(tuple(found(f"o{n}").items[0] for n in range(1_203)))
    first = await taken_in(store, ["1", "2", "3"])
    await recorded(store, first.id, {"1": found("1"), "2": long, "3": found("3")})
    second = await taken_in(store, ["1", "2", "3"], name="again")
    await recorded(store, second.id, {key: Found(same_as=first.id) for key in ("1", "2", "3")})
    assert max([len(page) async for page in store.items.found_before(second.id)]) <= 500
    await folder_of(store, batches, clock).write_ended()
    lines = [(line["id"], line["item"]["id"]) for line in lines_of(batches / second.folder / "found.jsonl")]
    assert sorted(lines) == sorted([("1", "1"), ("3", "3"), *(("2", f"o{n}") for n in range(1_203))])


async def test_nothing_is_a_formula_and_a_harmless_id_stays(store: Store, batches: Path, clock: Standing) -> None:
    """A spreadsheet runs nothing that an API says, or that somebody sent as an ID."""
    batch = await taken_in(store, ["-1", "=2(3)"])
    await recorded(store, batch.id, {"-1": Gone("deleted", "=HYPERLINK(1)"), "=2(3)": Gone("deleted", "fine\nso")})
    await folder_of(store, batches, clock).write_ended()
    path = batches / batch.folder / "gone.csv"
    assert [row[::2] for row in rows_of(path)[1:]] == [["-1", "'=HYPERLINK(1)"], ["'=2(3)", "fine\nso"]]
    assert b"\r" not in path.read_bytes()


async def test_many_pages_lose_and_repeat_nothing(store: Store, batches: Path, clock: Standing) -> None:
    """Each of 1,203 IDs has its one line."""
    keys = [str(number) for number in range(1_203)]
    batch = await taken_in(store, keys)
    await recorded(store, batch.id, {key: found(key) for key in keys})
    await folder_of(store, batches, clock).write_ended()
    assert sorted(line["id"] for line in lines_of(batches / batch.folder / "found.jsonl")) == sorted(keys)


async def test_without_twice_the_space_found_jsonl_comes_when_there_is_room(
    store: Store, batches: Path, clock: Standing
) -> None:
    """Everything else is written at once and says so; found.jsonl is tried again."""
    batch = await taken_in(store, ["1"])
    await recorded(store, batch.id, {"1": found("1")})
    free = [100]
    folder = folder_of(store, batches, clock, free=lambda _: free[0])
    await folder.write_ended()
    place = batches / batch.folder
    assert not (place / "found.jsonl").exists()
    assert "found.jsonl was not written" in (place / "report.md").read_text()
    assert "free space" in folder.troubles()[0].what
    free[0] = 10**9
    clock.now += 60
    await folder.write_ended()
    assert (place / "found.jsonl").exists()
    assert "found.jsonl was not written" not in (place / "report.md").read_text()
    assert store.batches.to_write() == []


async def test_a_broken_disk_is_a_trouble_and_tried_again_later(store: Store, batches: Path, clock: Standing) -> None:
    """A folder that cannot be made keeps nobody else waiting; when it can, the trouble is over."""
    bad, good = await taken_in(store, ["1"], name="bad"), await taken_in(store, ["1"], name="good")
    await recorded(store, bad.id, {"1": found("1")})
    await recorded(store, good.id, {"1": found("1")})
    folder = folder_of(store, batches, clock)
    blocker = batches / bad.folder
    blocker.write_text("in the way")
    await folder.write_ended()
    assert [trouble.where for trouble in folder.troubles()] == ["batch 1"]
    assert [batch.id for batch in store.batches.to_write()] == [bad.id]
    blocker.unlink()
    await folder.write_ended()
    assert store.batches.to_write() != [], "it is not yet due again"
    clock.now += 1
    await folder.write_ended()
    assert store.batches.to_write() == []
    assert folder.troubles() == ()


async def test_a_kill_in_the_middle_leaves_no_half_file(store: Store, batches: Path, clock: Standing) -> None:
    """A cancelled write leaves nothing under the name, and the next one begins anew and is whole."""
    keys = [str(number) for number in range(1_203)]
    batch = await taken_in(store, keys)
    await recorded(store, batch.id, {key: found(key) for key in keys})
    reached = asyncio.Event()

    def shown() -> Snapshot:
        reached.set()  # the status is looked at between two pages
        return snapshot(store, LIVE, SPECS, clock.wall(), clock)

    folder = Folder(batches, store, SPECS, shown, clock, free=lambda _: 10**12)
    async with running(folder.write_ended()) as task:
        await reached.wait()
    assert task.cancelled()
    place = batches / batch.folder
    assert not list(place.iterdir())
    (place / ".found.jsonl.part").write_text("left by a kill")
    await folder.write_ended()
    assert len(lines_of(place / "found.jsonl")) == 1_203
    assert not list(place.glob(".*"))


async def test_the_status_of_an_open_batch_is_rewritten_when_its_numbers_change(
    store: Store, batches: Path, clock: Standing
) -> None:
    """It is left alone while nothing changes, and never made before the folder is."""
    batch = await taken_in(store, ["1", "2"])
    folder = folder_of(store, batches, clock)
    await folder.refresh()
    assert not list(batches.iterdir())
    path = batches / batch.folder / "status.txt"
    path.parent.mkdir()
    await folder.refresh()
    first = path.stat().st_ino
    assert "2 open" in path.read_text()
    clock.now += 5
    await folder.refresh()
    assert path.stat().st_ino == first
    await recorded(store, batch.id, {"1": found("1")})
    await folder.refresh()
    assert "1 found" in path.read_text()


async def test_the_status_of_a_batch_names_the_stop_of_its_source(store: Store, batches: Path, clock: Standing) -> None:
    """Though no number has changed, the next look writes the cause and what to do, and the one after its end the
    end."""
    batch = await taken_in(store, ["1"])
    (batches / batch.folder).mkdir()
    sources = {"posts": SourceLive("running", None)}

    def shown() -> Snapshot:
        return snapshot(store, live(sources=dict(sources)), SPECS, clock.wall(), clock)

    folder = Folder(batches, store, SPECS, shown, clock)
    path = batches / batch.folder / "status.txt"
    await folder.refresh()
    assert "stopped" not in path.read_text()
    sources["posts"] = SourceLive("stopped", "no credit left: top it up, then `collector resume --source posts`")
    await folder.refresh()
    said = " ".join(path.read_text().split())
    assert "source posts is stopped: no credit left: top it up, then `collector resume --source posts`" in said
    sources["posts"] = SourceLive("running", None)
    await folder.refresh()
    assert "stopped" not in path.read_text()


async def test_a_status_that_cannot_be_written_is_a_trouble(store: Store, batches: Path, clock: Standing) -> None:
    """What stands in its way is told, and once it is gone the numbers are written."""
    batch = await taken_in(store, ["1"])
    in_the_way = batches / batch.folder / "status.txt"
    in_the_way.mkdir(parents=True)
    folder = folder_of(store, batches, clock)
    await folder.refresh()
    assert [trouble.where for trouble in folder.troubles()] == ["batch 1"]
    assert [path.name for path in in_the_way.parent.iterdir()] == ["status.txt"]
    in_the_way.rmdir()
    await folder.refresh()
    assert in_the_way.is_file()
    assert folder.troubles() == ()


async def test_the_actor_writes_what_was_left_at_the_start_and_what_ends_later(
    store: Store, batches: Path, clock: Standing
) -> None:
    """A batch that ended before a kill is written at once, a later one as soon as its end is told."""
    first, second = await taken_in(store, ["1"]), await taken_in(store, ["2"])
    await recorded(store, first.id, {"1": found("1")})
    looked = asyncio.Queue[None]()

    def shown() -> Snapshot:
        looked.put_nowait(None)
        return snapshot(store, LIVE, SPECS, clock.wall(), clock)

    folder = Folder(batches, store, SPECS, shown, Leaping(), every=3600)
    async with running(folder.run()):
        while store.batches.to_write():
            await looked.get()
        assert (batches / first.folder / "report.md").exists()
        await recorded(store, second.id, {"2": found("2")})
        folder.ended()
        while store.batches.to_write():
            await looked.get()
        assert (batches / second.folder / "report.md").exists()


async def test_the_report_balances(store: Store, batches: Path, clock: Standing) -> None:
    """IDs taken in are the sum of what became of them, and the words of an API cannot break the table."""
    batch = await taken_in(store, ["1", "2", "3"], warnings=["cut short"])
    await recorded(store, batch.id, {"1": found("1"), "2": Gone("a|b"), "3": Failed("http-500")})
    await folder_of(store, batches, clock).write_ended()
    page = (batches / batch.folder / "report.md").read_text()
    assert "3 = 1 + 1 + 0 + 1 + 0 + 0" in page
    assert "| gone | a\\|b | 1 |" in page
    assert "- cut short" in page
    assert "ab" * 32 in page
    assert re.search(r"An object was returned for 1 \(33\.3%\)\.", page)
    assert "1 ID without any usable answer in all tries (failed). See failed.csv." in page


async def test_the_report_says_where_the_time_went(store: Store, batches: Path, clock: Standing) -> None:
    """Between the taking in and the end, the largest share first; a difference to these two times is told."""
    for elapsed, name in ((400.0, "exact"), (500.0, "longer")):
        batch = await taken_in(store, ["1"], name=name)
        clock.now += elapsed
        await recorded(store, batch.id, {"1": found("1")})
        await folder_of(store, batches, clock, spent={Why.NETWORK: 40.5, Why.WINDOW: 359.5}).write_ended()
        page = (batches / batch.folder / "report.md").read_text()
        assert (
            "| waiting for the window | 359.5 | 89.9% |\n| network | 40.5 | 10.1% |\n| sum | 400.0 | 100.0% |" in page
        )
        assert ("lie 500.0 s" in page) is (name == "longer")
        assert "a share of a few seconds is rough" in page


async def test_a_report_without_an_account_has_no_table_of_it(store: Store, batches: Path, clock: Standing) -> None:
    """A batch that ended before there was an account."""
    batch = await taken_in(store, [])
    await folder_of(store, batches, clock).write_ended()
    assert "Where the time went" not in (batches / batch.folder / "report.md").read_text()


class Leaping(Standing):
    """Each look at the clock is a day later, so that the numbers are looked at whenever they may be."""

    def mono(self) -> float:
        self.now += 86_400
        return super().mono()


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator["asyncio.Task[None]"]:
    """A task that is cancelled and over when the block is."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()
