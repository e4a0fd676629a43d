"""Files for a source that takes its IDs from the items of another: batches of the root, with what follows."""

import json
from pathlib import Path
from typing import Any

import pytest

from collector.intake import files
from collector.model import BatchState
from tests.intake.house import HandClock, House, house, lines, numbers
from tests.intake.test_reconfigure import reconfigure

CHAIN = """
root = "state"
default_source = "posts"
[source.users]
url = "http://127.0.0.1/users/{id}"
id = "@?([a-z]+)"
column = "user"
[source.followers]
from = "users.id"
url = "http://127.0.0.1/users/{id}/followers"
[source.posts]
from = "followers.id"
url = "http://127.0.0.1/users/{id}/posts"
id = "[0-9]+"
"""


async def look_twice(home: House, clock: HandClock) -> None:
    """A scan that sees a file, and one that finds it complete."""
    await home.watcher.look()
    clock.pass_by(3)
    await home.watcher.look()


@pytest.mark.parametrize("folder", ["posts", ""])
async def test_a_file_for_a_chain_is_a_batch_of_its_root(tmp_path: Path, folder: str) -> None:
    """Its IDs are read as the root's, by its pattern and its column; the default source may be such a one."""
    clock = HandClock()
    async with house(tmp_path, clock, CHAIN) as home:
        home.drop("seeds.csv", "name,user\nx,@ada\ny,grace\nz,12\n", folder)
        await look_twice(home, clock)
        batch, *below = home.store.batches.all()
        assert [(child.source, child.parent) for child in below] == [("followers", 1), ("posts", 2)]
        assert (batch.source, batch.chain, batch.state) == ("users", ("followers", "posts"), BatchState.OPEN)
        assert await home.keys(batch) == ["ada", "grace"]
        receipt = (home.folder(batch) / "receipt.txt").read_text()
        assert "source         users\nthen           followers, posts\n" in receipt
        assert "for users alone: how many IDs its items bring nobody knows before" in receipt


async def test_the_options_of_a_file_name_what_follows(tmp_path: Path) -> None:
    """As `add --then` leaves them; those of a plain file name nothing."""
    clock = HandClock()
    async with house(tmp_path, clock, CHAIN) as home:
        seeds, plain = home.drop("a.csv", "user\nada\n", "users"), home.drop("b.csv", "user\nada\n", "users")
        files.options_of(seeds).write_text(json.dumps({"then": ["followers"]}))
        await look_twice(home, clock)
        dropped = [batch for batch in home.store.batches.all() if batch.parent is None]
        assert [(batch.name, batch.chain) for batch in dropped] == [("a", ("followers",)), ("b", ())]
        assert not files.options_of(seeds).exists()
        assert not plain.exists()


async def test_what_can_no_longer_follow_is_told_and_the_file_stays(tmp_path: Path) -> None:
    """A reload may have taken the source away; nobody guesses that less was meant."""
    clock = HandClock()
    async with house(tmp_path, clock, CHAIN) as home:
        seeds = home.drop("a.csv", "user\nada\n", "users")
        files.options_of(seeds).write_text(json.dumps({"then": ["likes"]}))
        await look_twice(home, clock)
        assert home.store.batches.all() == []
        assert "no source 'likes'; what follows users: followers" in home.said()
        assert seeds.exists()
        assert "`collector reload`" in seeds.with_name("a.csv.why.txt").read_text()


async def test_a_file_for_a_chain_is_found_again_after_a_kill(tmp_path: Path) -> None:
    """The batch was begun and the file not yet moved: it lies in the folder of the source that it was dropped for."""
    async with house(tmp_path, text=CHAIN) as home:
        path = home.drop("seeds.csv", "user\nada\n", "posts")
        await home.store.batches.begin(
            *("users", "seeds", "file"),
            file="seeds.csv",
            identity=files.identity(path.stat()),
            chain=("followers", "posts"),
        )
    async with house(tmp_path, text=CHAIN) as home:
        await home.loader.go_on()
        batch, *_ = home.store.batches.all()
        assert (batch.state, await home.keys(batch)) == (BatchState.OPEN, ["ada"])
        assert not path.exists()


async def test_a_batch_whose_chain_went_while_it_was_taken_in_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reload takes the last source away in the middle of the file: opened without it, it would never follow."""
    async with house(tmp_path, text=CHAIN) as home:
        load = home.store.batches.load_chunk

        async def and_reloaded(*given: Any) -> Any:
            reconfigure(home, CHAIN[: CHAIN.index("[source.posts]")].replace("posts", "users"))
            return await load(*given)

        monkeypatch.setattr(home.store.batches, "load_chunk", and_reloaded)
        seeds = home.drop("seeds.csv", "user\nada\n", "posts")
        assert await home.loader.take(seeds, "users", follow=("followers", "posts")) is None
        [batch] = home.store.batches.all()
        assert batch.state is BatchState.LOADING
        assert "posts cannot follow users any more: declare it so again, then `collector reload`" in home.said()
        reconfigure(home, CHAIN)
        await home.loader.go_on()
        assert [batch.source for batch in home.store.batches.all()] == ["users", "followers", "posts"]
        assert (await home.keys(batch), home.said()) == (["ada"], "")


async def test_a_batch_cancelled_while_it_is_taken_in_stops_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The taking in ends quietly with what was read until then, and the next file is taken in."""
    async with house(tmp_path) as home:
        load = home.store.batches.load_chunk
        before: list[Any] = []

        async def cancelled_before(*given: Any) -> Any:
            if not before:
                before.append(await home.store.control.cancel(home.store.batches.all()[0].id))
            return await load(*given)

        monkeypatch.setattr(home.store.batches, "load_chunk", cancelled_before)
        assert await home.loader.take(home.drop("a.txt", lines(numbers(10))), "posts") is None
        [batch] = home.store.batches.all()
        assert (batch.state, home.ids(batch)) == (BatchState.CANCELLED, 0)
        other = await home.loader.take(home.drop("b.txt", lines(numbers(10))), "posts")
        assert other
        assert other.state is BatchState.OPEN
        assert not home.loader.unfinished()


async def test_a_stuck_batch_that_is_cancelled_is_no_trouble_any_more(tmp_path: Path) -> None:
    """Its source is gone from the configuration, so cancelling is the way out."""
    async with house(tmp_path) as home:
        path = home.drop("a.txt", "1\n", "users")
        batch = await home.store.batches.begin("gone", "a", "file", file="a.txt", identity=files.identity(path.stat()))
        await home.loader.go_on()
        assert "no longer in the configuration" in home.said()
        await home.store.control.cancel(batch.id)
        assert home.said() == ""
