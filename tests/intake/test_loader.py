"""Taking files in: the four steps, and kills between any two of them."""

import asyncio
import errno
import gzip
import hashlib
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from collector.errors import StoreBusy
from collector.intake import files
from collector.model import BatchState
from tests.intake.house import House, house, lines, numbers

SHM = Path("/dev/shm")


class Killed(Exception):
    """The process ends here."""


async def test_a_file_becomes_an_open_batch_with_its_file_and_receipt_in_its_folder(tmp_path: Path) -> None:
    """Every ID is in the table once, the file lies in the batch's folder, and the source is told."""
    ids = numbers(25_000)
    async with house(tmp_path) as home:
        path = home.drop("ids.txt", lines(ids))
        batch = await home.loader.take(path, "posts")
        assert batch is not None
        assert batch.state is BatchState.OPEN
        assert await home.keys(batch) == ids
        assert not path.exists()
        assert sorted(os.listdir(home.folder(batch))) == ["ids.txt", "receipt.txt"]
        assert batch.digest == hashlib.sha256(lines(ids).encode()).hexdigest()
        assert home.opened == ["posts"]


async def test_lines_are_ids_repeats_and_refused_lines(tmp_path: Path) -> None:
    """The books of the file balance, and refused.csv names each refused line."""
    ids = numbers(100)
    async with house(tmp_path) as home:
        path = home.drop("ids.csv", lines([*ids, ids[3], "1.77465E+18", "", "what, this?"]))
        batch = await home.loader.take(path, "posts")
        assert batch is not None
        assert (batch.lines, home.ids(batch), batch.refused) == (103, 100, 2)
        refused = (home.folder(batch) / "refused.csv").read_text().splitlines()
        assert refused[0] == "line,text,why"
        assert refused[1].startswith("102,1.77465E+18,")
        assert refused[2].startswith('104,"what, this?",')
        assert "repeats        1\n" in (home.folder(batch) / "receipt.txt").read_text()


async def test_a_file_without_an_id_is_rejected_with_the_reason_beside_it(tmp_path: Path) -> None:
    """It is moved to rejected/ under a free name, and no batch remains."""
    async with house(tmp_path) as home:
        for _ in range(2):
            assert await home.loader.take(home.drop("ids.txt", ""), "posts") is None
        rejected = sorted(os.listdir(home.config.rejected))
        assert rejected == ["ids-2.txt", "ids-2.txt.why.txt", "ids.txt", "ids.txt.why.txt"]
        assert "no IDs in it" in (home.config.rejected / "ids-2.txt.why.txt").read_text()
        assert home.store.batches.all() == []
        assert "rejected/ids.txt" in home.said()


async def test_a_rejected_file_that_is_taken_away_is_no_trouble_any_more(tmp_path: Path) -> None:
    """Troubles say what is, not what was."""
    async with house(tmp_path) as home:
        await home.loader.take(home.drop("ids.txt", ""), "posts")
        (home.config.rejected / "ids.txt").unlink()
        assert home.loader.troubles() == ()


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("/etc/hostname"), os.mkfifo, os.mkdir])
async def test_what_is_no_regular_file_is_left_alone(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A link, a FIFO and a folder are neither followed nor waited for nor moved."""
    async with house(tmp_path) as home:
        path = home.drop("other.txt", "1\n").with_name("ids.txt")
        make(path)
        with pytest.raises(files.Left):
            await home.loader.take(path, "posts")
        assert os.path.lexists(path)


async def test_a_file_that_cannot_be_moved_is_not_taken_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch is forgotten, the file stays, and the reason is told."""

    def refuse(source: str, target: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    async with house(tmp_path) as home:
        path = home.drop("ids.txt", lines(numbers(3)))
        with monkeypatch.context() as patch:
            patch.setattr(os, "rename", refuse)
            with pytest.raises(files.Left, match="cannot be moved"):
                await home.loader.take(path, "posts")
        assert path.exists()
        assert home.store.batches.all() == []
        assert os.listdir(home.config.batches) == []


async def test_a_folder_left_by_another_database_is_not_written_over(tmp_path: Path) -> None:
    """When the database was removed and the batches were not, the old results are set aside."""
    async with house(tmp_path) as home:
        old = home.config.batches / "0001-ids"
        old.mkdir(parents=True)
        (old / "ids.txt").write_text("old")
        batch = await home.loader.take(home.drop("ids.txt", "1\n"), "posts")
        assert batch is not None
        assert (home.config.batches / "0001-ids.before-1" / "ids.txt").read_text() == "old"
        assert (home.folder(batch) / "ids.txt").read_text() == "1\n"


@pytest.mark.parametrize("name", ["receipt.txt", "found.jsonl", "gone.csv", "REPORT.md"])
async def test_a_file_with_a_name_of_ours_is_kept_under_another(tmp_path: Path, name: str) -> None:
    """What is dropped is never written over by what is written beside it."""
    async with house(tmp_path) as home:
        batch = await home.loader.take(home.drop(name, "12\n"), "posts")
        assert batch is not None
        assert (home.folder(batch) / f"ids-{name}").read_text() == "12\n"


async def test_a_name_that_is_no_text_is_taken_all_the_same(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 and control characters in a name cost nothing but themselves."""
    async with house(tmp_path) as home:
        path = home.drop(os.fsdecode(b"caf\xe9\nids.txt.gz"), gzip.compress(b"12\n", mtime=0))
        batch = await home.loader.take(path, "posts")
        assert batch is not None
        assert batch.name == "caf__ids"
        assert (home.folder(batch) / "caf__ids.txt.gz").exists()


async def test_a_rounded_file_is_warned_of_before_its_batch_is_open(tmp_path: Path) -> None:
    """The float warning stands in the log, in the receipt's first line and in the batch."""
    rounded = [str(int(float(key))) for key in numbers(60, 1_500_000_000_000_000_000)]
    async with house(tmp_path) as home:
        with capture_logs() as logs:
            batch = await home.loader.take(home.drop("ids.txt", lines(rounded)), "posts")
        assert batch is not None
        assert "ROUNDED" in batch.warnings[0]
        assert (home.folder(batch) / "receipt.txt").read_text().startswith("!! WARNING: ")
        events = [entry["event"] for entry in logs]
        assert events.index("file_has_a_warning") < events.index("batch_opened")


async def test_a_file_that_grows_while_it_is_read_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that was not done is noticed, and the receipt says that IDs may be missing."""
    async with house(tmp_path) as home:
        path = home.drop("ids.txt", lines(numbers(10)))
        load = home.store.batches.load_chunk

        async def growing(*args: Any) -> Any:
            with (home.config.batches / "0001-ids" / "ids.txt").open("a") as file:
                file.write("99\n")
            return await load(*args)

        monkeypatch.setattr(home.store.batches, "load_chunk", growing)
        batch = await home.loader.take(path, "posts")
        assert batch is not None
        assert "CHANGED WHILE" in batch.warnings[0]


async def test_a_column_that_was_asked_for_is_read(tmp_path: Path) -> None:
    """The column given with the file wins, and is kept with the batch."""
    table = "a,b\n" + "".join(f"{i},{i + 50}\n" for i in range(100_000_000, 100_000_020))
    async with house(tmp_path) as home:
        batch = await home.loader.take(home.drop("ids.csv", table), "posts", "b")
        assert batch is not None
        assert batch.column == "b"
        assert (await home.keys(batch))[0] == "100000050"


def watched(home: House, patch: pytest.MonkeyPatch, failure: type[Exception] | None = None) -> asyncio.Event:
    """Set when a chunk is in the table, or when writing one fails so."""
    real, seen = home.store.batches.load_chunk, asyncio.Event()

    async def call(*args: Any) -> Any:
        try:
            result = await real(*args)
        except Exception as error:
            if failure and isinstance(error, failure):
                seen.set()
            raise
        if failure is None:
            seen.set()
        return result

    patch.setattr(home.store.batches, "load_chunk", call)
    return seen


async def test_a_full_disk_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading goes on when the store can be written to again, with nothing lost and one line in the log."""
    ids = numbers(40_000)
    async with house(tmp_path) as home:
        writer = home.store._database._writer
        await writer.execute("PRAGMA max_page_count = 150")
        path = home.drop("ids.txt", lines(ids))
        full = watched(home, monkeypatch, StoreBusy)
        with capture_logs() as logs:
            async with asyncio.TaskGroup() as group:
                taking = group.create_task(home.loader.take(path, "posts"))
                await full.wait()
                assert home.loader.troubles()[0].kind == "store"
                await writer.execute("PRAGMA max_page_count = 1000000")
        batch = taking.result()
        assert batch is not None
        assert home.ids(batch) == 40_000
        assert [entry["event"] for entry in logs].count("loading_waits_for_the_store") == 1
        assert home.loader.troubles() == ()


Hook = Callable[[House, pytest.MonkeyPatch], None]


def dying(what: str, after: int = 0, *, done: bool = True) -> Hook:
    """The process ends in the call of a store method, after or before it took effect."""

    def hook(home: House, patch: pytest.MonkeyPatch) -> None:
        real: Callable[..., Awaitable[Any]] = getattr(home.store.batches, what)
        left = iter(range(after, -1, -1))

        async def call(*args: Any, **named: Any) -> Any:
            last = next(left) == 0
            if last and not done:
                raise Killed
            result = await real(*args, **named)
            if last:
                raise Killed
            return result

        patch.setattr(home.store.batches, what, call)

    return hook


def dying_in(what: str, after: int = 0, *, done: bool = True) -> Hook:
    """The process ends in a call of the system."""

    def hook(home: House, patch: pytest.MonkeyPatch) -> None:
        real = getattr(os, what)
        left = iter(range(after, -1, -1))

        def call(*args: Any, **named: Any) -> Any:
            last = next(left, 1) == 0
            if last and not done:
                raise Killed
            result = real(*args, **named)
            if last:
                raise Killed
            return result

        patch.setattr(os, what, call)

    return hook


KILLS = {
    "before step one": dying("begin", done=False),
    "after step one": dying("begin"),
    "after the folder was made": dying_in("rename", done=False),
    "after the file was moved": dying_in("rename"),
    "before the first chunk": dying("load_chunk", done=False),
    "after the first chunk": dying("load_chunk"),
    "after the second chunk": dying("load_chunk", 1),
    "after the last chunk": dying("load_chunk", 3),
    "before refused.csv got its name": dying_in("rename", 1, done=False),
    "after refused.csv got its name": dying_in("rename", 1),
    "before receipt.txt got its name": dying_in("rename", 2, done=False),
    "after receipt.txt got its name": dying_in("rename", 2),
    "before step four": dying("open", done=False),
    "after step four": dying("open"),
}


@pytest.fixture
def across(tmp_path: Path) -> Iterator[Path]:
    """A watch folder on another file system."""
    if not os.access(SHM, os.W_OK) or SHM.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system to write to")
    folder = SHM / f"collector-test-{os.getpid()}-{tmp_path.name}"
    folder.mkdir()
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "watch").symlink_to(folder)
    yield folder
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


async def killed_and_started_again(root: Path, kill: Hook) -> None:
    """A file is taken in, killed at a place, taken in by the next start: nothing lost, nothing twice."""
    ids = numbers(35_000)
    content = lines([*ids[:20_000], "nonsense", *ids[20_000:], ids[0]])
    async with house(root) as home:
        path = home.drop("ids.txt", content)
        with pytest.MonkeyPatch.context() as patch:
            kill(home, patch)
            with pytest.raises(Killed):
                await home.loader.take(path, "posts")
    async with house(root) as home:
        await home.loader.go_on()
        if path.exists():
            assert home.store.batches.all() == []
            await home.loader.take(path, "posts")
        [batch] = home.store.batches.all()
        assert batch.state is BatchState.OPEN
        assert (batch.lines, home.ids(batch), batch.refused) == (35_002, 35_000, 1)
        assert await home.keys(batch) == ids
        folder = home.folder(batch)
        assert sorted(os.listdir(folder)) == ["ids.txt", "receipt.txt", "refused.csv"]
        assert (folder / "ids.txt").read_text() == content
        assert len((folder / "refused.csv").read_text().splitlines()) == 2
        assert not path.exists()


@pytest.mark.parametrize("place", KILLS)
async def test_a_kill_at_any_step_loses_nothing_and_takes_nothing_in_twice(tmp_path: Path, place: str) -> None:
    """The next start goes on with the first unfinished step of the one batch."""
    await killed_and_started_again(tmp_path, KILLS[place])


ACROSS = {
    "before the copy got its name": dying_in("rename", 1, done=False),
    "after the copy got its name": dying_in("rename", 1),
    "before the file was removed": dying_in("unlink", done=False),
    "after the file was removed": dying_in("unlink"),
}


@pytest.mark.parametrize("place", ACROSS)
async def test_a_kill_while_a_file_is_copied_over_file_systems_loses_nothing(
    tmp_path: Path, across: Path, place: str
) -> None:
    """A copy that is not whole is made again; of a whole one the original is removed, and there is one batch."""
    await killed_and_started_again(tmp_path, ACROSS[place])


async def test_a_cancelled_loading_goes_on_at_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop in the middle leaves a batch in state loading, which the next start finishes."""
    ids = numbers(60_000)
    async with house(tmp_path) as home:
        path = home.drop("ids.txt", lines(ids))
        written = watched(home, monkeypatch)
        async with asyncio.TaskGroup() as group:
            taking = group.create_task(home.loader.take(path, "posts"))
            await written.wait()
            taking.cancel()
    async with house(tmp_path) as home:
        assert home.loader.unfinished()
        await home.loader.go_on()
        [batch] = home.store.batches.all()
        assert await home.keys(batch) == ids
        assert not home.loader.unfinished()


async def test_a_batch_whose_file_changed_before_it_was_moved_is_forgotten(tmp_path: Path) -> None:
    """After a kill between the first steps the file that is there now is taken in as what it is now."""
    async with house(tmp_path) as home:
        path = home.drop("ids.txt", lines(numbers(5)))
        with pytest.MonkeyPatch.context() as patch:
            dying("begin")(home, patch)
            with pytest.raises(Killed):
                await home.loader.take(path, "posts")
        path.write_text(lines(numbers(8)))
    async with house(tmp_path) as home:
        await home.loader.go_on()
        assert home.store.batches.all() == []
        batch = await home.loader.take(path, "posts")
        assert batch is not None
        assert home.ids(batch) == 8


async def test_a_batch_whose_file_is_gone_keeps_what_was_taken_in_and_says_so(tmp_path: Path) -> None:
    """What stands in the table is owed; the rest is named in a warning."""
    async with house(tmp_path) as home:
        path = home.drop("ids.txt", lines(numbers(30_000)))
        with pytest.MonkeyPatch.context() as patch:
            dying("load_chunk")(home, patch)
            with pytest.raises(Killed):
                await home.loader.take(path, "posts")
        (home.config.batches / "0001-ids" / "ids.txt").unlink()
    async with house(tmp_path) as home:
        await home.loader.go_on()
        [batch] = home.store.batches.all()
        assert batch.state is BatchState.OPEN
        assert (home.ids(batch), batch.lines) == (10_000, 10_000)
        assert "ONLY PART OF THE FILE" in batch.warnings[0]


async def test_a_batch_of_a_source_that_is_no_longer_declared_waits_for_it(tmp_path: Path) -> None:
    """Nothing is thrown away; a trouble says what is missing."""
    async with house(tmp_path) as home:
        path = home.drop("ids.txt", lines(numbers(3)), "users")
        with pytest.MonkeyPatch.context() as patch:
            dying("load_chunk", done=False)(home, patch)
            with pytest.raises(Killed):
                await home.loader.take(path, "users")
    without = '[source.posts]\nurl = "http://127.0.0.1/{id}"\n'
    async with house(tmp_path, text=f'root = "state"\n{without}') as home:
        await home.loader.go_on()
        assert "users is no longer in the configuration" in home.said()
    async with house(tmp_path) as home:
        await home.loader.go_on()
        assert home.ids(home.store.batches.all()[0]) == 3
        assert home.loader.troubles() == ()
