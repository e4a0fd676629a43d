"""The watch folders with real files and real events; time passes by hand where it matters."""

import asyncio
import errno
import gzip
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from collector.intake import events as told
from collector.intake.arrivals import Arrivals
from tests.intake.house import CONFIG, HandClock, House, house, lines, numbers

needs_events = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of files")
NO_DEFAULT = CONFIG.replace('default_source = "posts"', "")
FAR = CONFIG + '[service]\nsettle = "1h"\n'  # nothing is taken because it rests


@asynccontextmanager
async def watching(root: Path, text: str = FAR) -> AsyncIterator[House]:
    """A watcher at work."""
    async with house(root, text=text) as home, asyncio.TaskGroup() as group:
        running = group.create_task(home.watcher.run())
        await home.watcher.ready.wait()
        yield home
        running.cancel()


async def test_a_file_dropped_before_the_start_is_taken_when_it_rests(tmp_path: Path) -> None:
    """The scan at the start sees it, and after the settle time it is complete."""
    clock = HandClock()
    async with house(tmp_path, clock) as home:
        path = home.drop("ids.txt", lines(numbers(3)))
        await home.watcher.look()
        assert path.exists()
        clock.pass_by(2)
        await home.watcher.look()
        assert not path.exists()
        assert home.ids(home.store.batches.all()[0]) == 3


async def test_files_in_a_folder_of_a_source_are_for_that_source(tmp_path: Path) -> None:
    """watch/ itself is for the default source, watch/users/ for users."""
    clock = HandClock()
    async with house(tmp_path, clock) as home:
        home.drop("a.txt", "1\n")
        home.drop("b.txt", "2\n", "users")
        await home.watcher.look()
        clock.pass_by(2)
        await home.watcher.look()
        assert [(batch.name, batch.source) for batch in home.store.batches.all()] == [("a", "posts"), ("b", "users")]


@pytest.mark.parametrize("name", ["ids.part", "ids.txt.PART", "ids.tmp", "ids.txt~", ".ids.txt", "ids.filepart"])
async def test_a_file_that_is_named_unfinished_is_left_alone(tmp_path: Path, name: str) -> None:
    """Who uploads under such a name renames the file when it is whole."""
    clock = HandClock()
    async with house(tmp_path, clock) as home:
        path = home.drop(name, "1\n")
        for _ in range(3):
            await home.watcher.look()
            clock.pass_by(1_000)
        assert path.exists()
        assert home.watcher.troubles() == ()


@pytest.mark.parametrize(
    ("content", "rests"),
    [
        (b"1\n2\n", 2),
        (b"1\n2", 20),
        (gzip.compress(b"1\n2\n", mtime=0), 20),
        ("1\n2\n".encode("utf-16"), 2),
        ("1\n2".encode("utf-16"), 20),
    ],
    ids=["newline", "no newline", "gzip", "UTF-16 newline", "UTF-16 no newline"],
)
async def test_how_long_a_file_must_rest_depends_on_its_end(tmp_path: Path, content: bytes, rests: float) -> None:
    """Ten times as long where the last line may be half a line: no newline, or compressed."""
    clock = HandClock()
    async with house(tmp_path, clock) as home:
        path = home.drop("ids.txt", content)
        await home.watcher.look()
        clock.pass_by(rests - 0.1)
        await home.watcher.look()
        assert path.exists()
        clock.pass_by(0.1)
        await home.watcher.look()
        assert not path.exists()


async def test_a_folder_that_is_no_source_is_told_once(tmp_path: Path) -> None:
    """Nothing in it is taken or lost, and the trouble ends when the folder is gone."""
    async with house(tmp_path, HandClock()) as home:
        home.drop("ids.txt", "1\n", "foo")
        with capture_logs() as logs:
            await home.watcher.look()
            await home.watcher.look()
        assert [entry["event"] for entry in logs] == ["folder_is_no_source"]
        assert "watch/foo/ is no source; the sources are posts, users" in home.said()
        shutil.rmtree(home.config.watch / "foo")
        await home.watcher.look()
        assert home.watcher.troubles() == ()


async def test_a_link_is_told_of_and_left(tmp_path: Path) -> None:
    """Not regular: reported, not followed."""
    async with house(tmp_path, HandClock()) as home:
        home.drop("real", "1\n", "foo")
        (home.config.watch / "ids.txt").symlink_to(home.config.watch / "foo" / "real")
        await home.watcher.look()
        assert "watch/ids.txt is no regular file" in home.said()


async def test_without_a_default_source_a_file_in_watch_stays_and_a_text_says_what_to_do(tmp_path: Path) -> None:
    """NAME.why.txt names the folders, is never taken itself, and goes when its file does."""
    clock = HandClock()
    async with house(tmp_path, clock, NO_DEFAULT) as home:
        path = home.drop("ids.txt", "1\n")
        why = path.with_name("ids.txt.why.txt")
        for _ in range(3):
            await home.watcher.look()
            clock.pass_by(100)
        assert "watch/posts/ or watch/users/" in why.read_text()
        assert path.exists()
        path.rename(home.config.watch / "users" / "ids.txt")
        await home.watcher.look()
        assert not why.exists()
        clock.pass_by(2)
        await home.watcher.look()
        assert [batch.source for batch in home.store.batches.all()] == ["users"]
        assert home.watcher.troubles() == ()


async def test_a_text_of_somebody_else_is_never_removed(tmp_path: Path) -> None:
    """Only what begins with our words is ours."""
    async with house(tmp_path, HandClock()) as home:
        path = home.drop("notes.why.txt", "mine\n")
        await home.watcher.look()
        assert path.read_text() == "mine\n"


async def test_an_unreadable_file_stays_and_is_tried_again_when_its_mode_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NAME.why.txt names the chmod; nobody has to drop the file again."""
    clock = HandClock()
    real = os.open

    def strict(path: Any, flags: int, *args: Any, **named: Any) -> int:
        """As for a user who is not root."""
        if str(path).endswith("ids.txt") and not os.stat(path).st_mode & 0o040:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, flags, *args, **named)

    monkeypatch.setattr(os, "open", strict)
    async with house(tmp_path, clock) as home:
        path = home.drop("ids.txt", "1\n")
        path.chmod(0o200)
        with capture_logs() as logs:
            for _ in range(4):
                await home.watcher.look()
                clock.pass_by(20)
        assert [entry["event"] for entry in logs] == ["file_is_unreadable"]
        assert f"chmod g+r {path}" in path.with_name("ids.txt.why.txt").read_text()
        path.chmod(0o640)
        await home.watcher.look()
        assert not path.exists()
        assert home.watcher.troubles() == ()


async def test_a_file_that_cannot_be_moved_is_told_once_and_tried_again_in_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder's mode is no fault of the file, so the file need not change."""
    clock = HandClock()
    async with house(tmp_path, clock) as home:
        path = home.drop("ids.txt", "1\n")
        await home.watcher.look()
        clock.pass_by(2)
        real = os.rename

        def refuse(source: Any, target: Any) -> None:
            if Path(source) == path:
                raise PermissionError(errno.EACCES, "Permission denied")
            real(source, target)

        with monkeypatch.context() as patch, capture_logs() as logs:
            patch.setattr(os, "rename", refuse)
            for _ in range(3):
                await home.watcher.look()
                clock.pass_by(61)
        assert [entry["event"] for entry in logs] == ["file_cannot_be_moved"]
        assert home.store.batches.all() == []
        await home.watcher.look()
        assert not path.exists()
        assert home.watcher.troubles() == ()


async def test_a_fault_of_ours_with_one_file_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told, with its traceback in the log, and the next file is taken."""
    clock = HandClock()
    async with house(tmp_path, clock) as home:
        take = home.loader.take

        async def faulty(path: Path, source: str, *options: Any) -> Any:
            if path.name == "a.txt":
                raise ValueError("no idea")
            return await take(path, source, *options)

        monkeypatch.setattr(home.loader, "take", faulty)
        home.drop("a.txt", "1\n")
        home.drop("b.txt", "2\n")
        await home.watcher.look()
        clock.pass_by(2)
        with capture_logs():
            await home.watcher.look()
        assert [batch.name for batch in home.store.batches.all()] == ["b"]
        assert "ValueError: no idea" in home.said()


async def test_the_options_beside_a_file_choose_its_column_and_go_with_it(tmp_path: Path) -> None:
    """What `collector add --column` asked for holds for that file alone."""
    clock = HandClock()
    async with house(tmp_path, clock) as home:
        options = home.drop(".ids.csv.options.json", '{"column": 2}')
        home.drop("ids.csv", "a,b\n" + "".join(f"{i},{i + 50}\n" for i in range(100_000_000, 100_000_020)))
        await home.watcher.look()
        clock.pass_by(2)
        await home.watcher.look()
        [batch] = home.store.batches.all()
        assert batch.column == 2
        assert (await home.keys(batch))[0] == "100000050"
        assert not options.exists()


async def test_the_file_of_a_batch_that_is_stuck_is_not_taken_in_a_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file is one batch, also when a kill came before it was moved and it cannot be moved now."""
    clock = HandClock()
    async with house(tmp_path, clock) as home:
        path = home.drop("ids.txt", "1\n")
        identity = (await asyncio.to_thread(os.stat, path)).st_ino
        status = os.stat(path)
        await home.store.batches.begin(
            "posts", "ids", "file", file="ids.txt", identity=(status.st_dev, identity, 2, status.st_mtime_ns)
        )
        with monkeypatch.context() as patch:
            patch.setattr(os, "rename", _refuse)
            for _ in range(4):
                await home.watcher.look()
                clock.pass_by(2)
            assert len(home.store.batches.all()) == 1
            assert path.exists()
        clock.pass_by(61)
        await home.watcher.look()
        assert [home.ids(batch) for batch in home.store.batches.all()] == [1]
        assert home.watcher.troubles() == ()


def _refuse(source: Any, target: Any) -> None:
    raise PermissionError(errno.EACCES, "Permission denied")


async def test_a_watch_folder_that_was_removed_is_made_again(tmp_path: Path) -> None:
    """With the mode of the folder it is in, so that whoever could drop files still can."""
    async with house(tmp_path, HandClock()) as home:
        await home.watcher.look()
        home.config.watch.chmod(0o2770)
        (home.config.watch / "users").rmdir()
        await home.watcher.look()
        assert (home.config.watch / "users").stat().st_mode & 0o7777 == 0o2770


@needs_events
async def test_a_copied_file_is_taken_when_it_is_closed(tmp_path: Path) -> None:
    """`cp` ends, and the batch begins without a settle time."""
    other = tmp_path / "ids.txt"
    other.write_text(lines(numbers(20_000)).rstrip())
    async with watching(tmp_path) as home:
        copy = await asyncio.create_subprocess_exec("cp", other, home.config.watch / "users")
        await copy.wait()
        batch = await home.next_batch()
        assert (batch.source, home.ids(batch)) == ("users", 20_000)


@needs_events
async def test_a_renamed_file_is_taken_at_once(tmp_path: Path) -> None:
    """Who writes beside and renames says that the file is whole."""
    async with watching(tmp_path) as home:
        home.drop(".ids.txt.part", "77").rename(home.config.watch / "ids.txt")
        batch = await home.next_batch()
        assert batch.name == "ids"
        assert await home.keys(batch) == ["77"]


@needs_events
async def test_a_file_that_is_written_slowly_is_taken_when_its_writer_is_done(tmp_path: Path) -> None:
    """Files closed later are taken before it, and every line of it is there."""
    async with watching(tmp_path) as home:
        with (home.config.watch / "slow.txt").open("w", buffering=1) as file:
            for number in range(5):
                file.write(f"{number + 100}\n")
                home.drop(f"other-{number}.txt", "1\n")
                assert (await home.next_batch()).name == f"other-{number}"
        batch = await home.next_batch()
        assert (batch.name, home.ids(batch)) == ("slow", 5)


@needs_events
async def test_a_stalled_writer_is_waited_for_however_long_its_file_rests(tmp_path: Path) -> None:
    """No ID is cut in two: with events a file at rest is no finished file while somebody has it open."""
    async with house(tmp_path, HandClock()) as home:
        assert isinstance(home.clock, HandClock)
        await home.watcher.look()
        with home.watcher._events:
            await home.watcher.look()
            with (home.config.watch / "ids.txt").open("w") as file:
                file.write("12\n34\n")
                file.flush()
                await told_of(home)
                for _ in range(5):
                    await home.watcher.look()
                    home.clock.pass_by(100)
                assert home.store.batches.all() == []
                file.write("56\n")
            await told_of(home)
            await home.watcher.look()
            assert [home.ids(batch) for batch in home.store.batches.all()] == [3]


async def told_of(home: House) -> None:
    """Returns when the loop has seen what lies in the queue of events."""
    home.watcher._wake.clear()
    (home.config.watch / ".told").write_text("now")
    await home.watcher._wake.wait()


@needs_events
async def test_a_folder_that_was_removed_is_followed_again(tmp_path: Path) -> None:
    """Events go on in the folder that is made in its place."""
    async with watching(tmp_path) as home:
        (home.config.watch / "users").rmdir()
        for number in (1, 2):  # the look that takes the first one may have begun before the folder went
            home.drop(f"{number}.txt", f"{number}\n")
            await home.next_batch()
        assert (home.config.watch / "users").is_dir()
        home.drop("3.txt", "3\n", "users")
        assert (await home.next_batch()).source == "users"


@needs_events
async def test_a_folder_that_went_before_it_could_be_watched_is_watched_when_it_is_back(tmp_path: Path) -> None:
    """Somebody may remove it in the moment in which it was looked at."""
    woken = asyncio.Event()
    with told.Events(Arrivals(3600.0, HandClock()), woken.set) as events:
        events.follow(tmp_path / "users", 1)
        (tmp_path / "users").mkdir()
        events.follow(tmp_path / "users", 2)
        (tmp_path / "users" / "ids.txt").write_text("1\n")
        await woken.wait()


@needs_events
async def test_when_the_queue_of_events_overflows_every_file_is_taken_all_the_same(tmp_path: Path) -> None:
    """Events are a hint; the scan is the truth."""
    clock = HandClock()
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    async with house(tmp_path, clock) as home:
        await home.watcher.look()
        with home.watcher._events, capture_logs() as logs:
            await home.watcher.look()
            one, other = home.config.watch / ".one", home.config.watch / ".other"
            one.touch()
            for _ in range(limit // 2 + 1):  # no await in between: nobody reads the queue
                one.rename(other)
                other.rename(one)
            home.drop("ids.txt", "1\n")
            await home.watcher._wake.wait()
            while not any(entry["event"] == "events_were_lost" for entry in logs):
                home.watcher._wake.clear()
                await home.watcher._wake.wait()
            await home.watcher.look()
            clock.pass_by(2)
            await home.watcher.look()
        assert [batch.name for batch in home.store.batches.all()] == ["ids"]


async def test_without_events_files_are_taken_when_they_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system tells nothing, the watcher runs all the same."""
    monkeypatch.setattr(told, "asyncinotify", None)
    async with watching(tmp_path, CONFIG + '[service]\nsettle = "50ms"\n') as home:
        home.drop("ids.txt", "1\n")
        assert (await home.next_batch()).name == "ids"
