"""The watch folders under another configuration."""

from pathlib import Path

from collector import config
from collector.store.batches import Batch
from tests.intake.house import CONFIG, HandClock, House, house, lines, numbers

NO_DEFAULT = CONFIG.replace('default_source = "posts"', "")
NO_USERS = CONFIG[: CONFIG.index("[source.users]")]


def reconfigure(home: House, text: str) -> None:
    """What a reload does."""
    home.config.path.write_text(text)
    settings = config.load(home.config.path)
    home.loader.reconfigure(settings)
    home.watcher.reconfigure(settings)


async def looked(home: House, clock: HandClock, seconds: float = 2) -> None:
    """Two scans, with the time between them that makes a file complete."""
    await home.watcher.look()
    clock.pass_by(seconds)
    await home.watcher.look()


async def test_a_file_that_had_no_source_is_taken_when_there_is_a_default_one(tmp_path: Path) -> None:
    """It was left with an explanation; both are gone, though nobody touched the file."""
    clock = HandClock()
    async with house(tmp_path, clock, NO_DEFAULT) as home:
        path = home.drop("ids.txt", lines(numbers(3)))
        await looked(home, clock)
        assert "watch/ itself has no source" in home.said()
        assert path.with_name("ids.txt.why.txt").exists()
        reconfigure(home, CONFIG)
        await looked(home, clock)
        assert home.ids(home.store.batches.all()[0]) == 3
        assert (home.said(), list(home.config.watch.glob("*.txt"))) == ("", [])


async def test_the_folder_of_a_new_source_is_made_and_watched(tmp_path: Path) -> None:
    """And that of one that is gone is told, with what lies in it left alone."""
    clock = HandClock()
    async with house(tmp_path, clock, NO_USERS) as home:
        await home.watcher.look()
        assert not (home.config.watch / "users").exists()
        reconfigure(home, CONFIG)
        await home.watcher.look()
        (home.config.watch / "users" / "a.txt").write_text("1\n")
        await looked(home, clock)
        assert [batch.source for batch in home.store.batches.all()] == ["users"]
        reconfigure(home, NO_USERS)
        late = home.drop("b.txt", "2\n", "users")
        await looked(home, clock)
        assert late.exists()
        assert "watch/users/ is no source; the sources are posts" in home.said()


async def test_the_empty_folder_of_a_source_that_is_gone_is_taken_away(tmp_path: Path) -> None:
    """It was made for it; nobody drops a file where nobody looks, and it comes back with its source."""
    clock = HandClock()
    async with house(tmp_path, clock) as home:
        await home.watcher.look()
        users = home.config.watch / "users"
        assert users.is_dir()
        reconfigure(home, NO_USERS)
        await home.watcher.look()
        assert not users.exists()
        assert home.said() == ""
        users.mkdir()
        await home.watcher.look()
        assert users.is_dir()
        assert "watch/users/ is no source" in home.said()
        reconfigure(home, CONFIG)
        home.drop("a.txt", "1\n", "users")
        await looked(home, clock)
        assert [batch.source for batch in home.store.batches.all()] == ["users"]


async def test_another_settle_time_holds_for_files_that_are_there(tmp_path: Path) -> None:
    """A file that rests is taken as soon as it has rested for the new time."""
    clock = HandClock()
    async with house(tmp_path, clock, CONFIG + '[service]\nsettle = "1h"\n') as home:
        path = home.drop("ids.txt", lines(numbers(3)))
        await looked(home, clock)
        assert path.exists()
        reconfigure(home, CONFIG)
        await home.watcher.look()
        assert not path.exists()


async def test_a_source_that_goes_while_its_file_is_loaded_costs_its_estimate_alone(tmp_path: Path) -> None:
    """The IDs are taken in, and the receipt says why nobody can tell what they would take."""
    async with house(tmp_path) as home:
        load = home.store.batches.load_chunk

        async def reloaded(batch: Batch, keys: list[str], line: int) -> tuple[Batch, int]:
            reconfigure(home, NO_USERS)
            return await load(batch, keys, line)

        home.store.batches.load_chunk = reloaded  # type: ignore[method-assign] # where a reload meets the loading
        batch = await home.loader.take(home.drop("ids.txt", lines(numbers(3)), "users"), "users")
        assert batch
        assert home.ids(batch) == 3
        said = (home.folder(batch) / "receipt.txt").read_text()
        assert "estimate       none: the source users is no longer in the configuration\n" in said


async def test_a_loading_that_waited_for_its_source_goes_on_when_it_is_back(tmp_path: Path) -> None:
    """What an earlier run began is finished at the next look, not a minute later."""
    clock = HandClock()
    async with house(tmp_path, clock) as home:
        place = home.drop("ids.txt", lines(numbers(3)), "users")
        status = place.stat()
        identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        batch = await home.store.batches.begin("users", "ids", "file", file="ids.txt", identity=identity)
        reconfigure(home, NO_USERS)
        await home.watcher.look()
        assert "the source users is no longer in the configuration" in home.said()
        reconfigure(home, CONFIG)
        await home.watcher.look()
        assert home.ids(batch) == 3
        assert home.said() == ""
