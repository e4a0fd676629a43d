"""`add`."""

import json
import os
from pathlib import Path

import pytest

from collector.host import lock
from tests.cli.conftest import Run

IDS = "".join(f"{number}\n" for number in range(1000, 1100))


@pytest.fixture
def ids(folder: Path) -> Path:
    """A file of a hundred IDs."""
    path = folder / "ids.txt"
    path.write_text(IDS)
    return path


def names(folder: Path) -> set[str]:
    """What lies in the watch folder, hidden files too."""
    return {str(path.relative_to(folder / "watch")) for path in (folder / "watch").rglob("*") if path.is_file()}


def test_a_file_arrives_whole_in_the_folder_of_its_source(folder: Path, ids: Path, run: Run) -> None:
    """It is copied, the original stays, no part file is left, and one line says what comes next."""
    done = run("add", "ids.txt", "--source", "users")
    assert done.exit_code == 0
    assert done.output == (
        "added watch/users/ids.txt (500 bytes) for users; no service is running: `collector run` takes it in\n"
    )
    assert names(folder) == {"users/ids.txt"}
    assert (folder / "watch/users/ids.txt").read_text() == IDS == ids.read_text()


def test_it_is_told_that_a_service_is_running(folder: Path, ids: Path, run: Run) -> None:
    """The holder of the folder's lock is the one that takes it in."""
    with lock.hold(folder):
        assert "the running service takes it in" in run("add", "ids.txt", "--source", "users").output
        facts = json.loads(run("add", "ids.txt", "--source", "users", "--json").output)
    assert f"process {os.getpid()} " in facts["service"]
    assert facts["file"] == str(folder / "watch/users/ids-2.txt")


def test_a_name_that_is_taken_gets_a_number(folder: Path, ids: Path, run: Run) -> None:
    """Nothing in the watch folder is ever overwritten, by a copy under way or by options that wait either."""
    (folder / "watch/users").mkdir(parents=True)
    for name in ("ids.txt", ".ids-2.txt.part", ".ids-3.txt.options.json"):
        (folder / "watch/users" / name).write_text("mine")
    assert "watch/users/ids-4.txt" in run("add", "ids.txt", "--source", "users").output
    assert (folder / "watch/users/ids.txt").read_text() == "mine"
    assert names(folder) == {
        f"users/{n}" for n in ("ids.txt", "ids-4.txt", ".ids-2.txt.part", ".ids-3.txt.options.json")
    }


@pytest.mark.parametrize(("given", "kept"), [("tweet_id", "tweet_id"), ("2", 2), ("data.id", "data.id")])
def test_the_column_lies_beside_the_file_as_its_options(
    folder: Path, ids: Path, run: Run, given: str, kept: str | int
) -> None:
    """A number is a position, anything else a name."""
    assert run("add", "ids.txt", "--source", "posts", "--column", given).exit_code == 0
    assert json.loads((folder / "watch/posts/.ids.txt.options.json").read_text()) == {"column": kept}


def test_standard_input_is_a_file_with_a_given_name(folder: Path, run: Run) -> None:
    """Any bytes come through; without a name it is refused."""
    raw = b"\xff\xfe1\x00\n\x00"
    assert run("add", "-", "--name", "piped.csv", "--source", "posts", stdin=raw).exit_code == 0
    assert (folder / "watch/posts/piped.csv").read_bytes() == raw
    told = run("add", "-", "--source", "posts", stdin=raw)
    assert told.exit_code == 2
    assert "--name" in told.output


def test_the_source_may_be_left_out_where_one_is_meant(folder: Path, ids: Path, run: Run) -> None:
    """The default source, or the only one; else the choice is told."""
    told = run("add", "ids.txt")
    assert told.exit_code == 2
    assert "posts, users" in told.output
    config = folder / "collector.toml"
    config.write_text('default_source = "users"\n' + config.read_text())
    assert "watch/users/ids.txt" in run("add", "ids.txt").output
    config.write_text('[source.only]\nurl = "https://a.org/{id}"\n')
    assert "watch/only/ids.txt" in run("add", "ids.txt").output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ids.txt", "--source", "nope"], "no source 'nope'"),
        (["nowhere.txt", "--source", "posts"], "cannot read nowhere.txt: No such file or directory"),
        (["watch", "--source", "posts"], "cannot add watch: it is no regular file"),
        (["ids.txt", "--source", "posts", "--name", ".hidden"], "would be left alone"),
        (["ids.txt", "--source", "posts", "--name", "ids.part"], "would be left alone"),
        (["ids.txt", "--source", "posts", "--name", "a/b"], "plain file name"),
        (["ids.txt", "--source", "posts", "--name", "a\nb"], "plain file name"),
        (["ids.txt", "--source", "posts", "--name", "ä" * 101], "plain file name"),
        (["empty.txt", "--source", "posts"], "0 bytes"),
    ],
)
def test_what_cannot_be_added_is_wrong_usage(folder: Path, ids: Path, run: Run, words: list[str], said: str) -> None:
    """Exit 2, the cause in plain words, and nothing left in the watch folder."""
    (folder / "empty.txt").write_text("")
    (folder / "watch").mkdir()
    told = run("add", *words)
    assert told.exit_code == 2
    assert said in told.output
    assert names(folder) == set()


def test_a_watch_folder_that_cannot_be_written_fails_plainly(folder: Path, ids: Path, run: Run) -> None:
    """Exit 1, and it is said that nothing was added."""
    (folder / "watch").write_text("a file where a folder should be")
    told = run("add", "ids.txt", "--source", "posts")
    assert told.exit_code == 1
    assert "nothing was added" in told.output


CHAIN = """
[source.users]
url = "https://api.example.org/users/{id}"

[source.followers]
from = "users.id"
url = "https://api.example.org/users/{id}/followers"

[source.posts]
from = "followers.id"
url = "https://api.example.org/users/{id}/posts"

[source.likes]
from = "users.id"
url = "https://api.example.org/users/{id}/likes"
"""


def test_what_is_to_follow_travels_with_the_file(folder: Path, ids: Path, run: Run) -> None:
    """The sources between are implied; what was asked for lies beside the file."""
    (folder / "collector.toml").write_text(CHAIN)
    told = run("add", "ids.txt", "--source", "users", "--then", "posts", "--then", "likes")
    assert told.output.startswith(
        "added watch/users/ids.txt (500 bytes) for users, then followers, then posts, then likes; no service"
    )
    assert json.loads((folder / "watch/users/.ids.txt.options.json").read_text()) == {"then": ["posts", "likes"]}
    facts = json.loads(run("add", "ids.txt", "--source", "posts", "--json").output)
    assert (facts["source"], facts["then"]) == ("users", ["followers", "posts"])
    assert facts["file"] == str(folder / "watch/posts/ids.txt")


@pytest.mark.parametrize(
    ("source", "then", "said"),
    [
        (
            "users",
            "users",
            "users does not follow users; what follows users: followers (its IDs are `id` of the items of users),"
            " posts (its IDs are `id` of the items of followers), likes (its IDs are `id` of the items of users)\n",
        ),
        ("followers", "likes", "likes does not follow followers; what follows followers: posts (its IDs are `id` of"),
        ("posts", "nope", "no source 'nope'; nothing follows posts\n"),
    ],
)
def test_what_does_not_follow_is_wrong_usage(
    folder: Path, ids: Path, run: Run, source: str, then: str, said: str
) -> None:
    """Exit 2, naming what follows what, and nothing is added."""
    (folder / "collector.toml").write_text(CHAIN)
    (folder / "watch").mkdir()
    told = run("add", "ids.txt", "--source", source, "--then", then)
    assert told.exit_code == 2
    assert said in told.output
    assert names(folder) == set()


def test_a_plan_of_a_chain_is_that_of_its_root(folder: Path, ids: Path, run: Run) -> None:
    """And says that more is to come."""
    (folder / "collector.toml").write_text(CHAIN)
    told = run("plan", "ids.txt", "--source", "posts").output
    assert "source         users\nthen           followers, posts; what is told here is for users alone\n" in told
    assert "               at least: how many IDs users brings for followers nobody knows before\n" in told
    facts = json.loads(run("plan", "ids.txt", "--source", "users", "--then", "likes", "--json").output)
    assert (facts["source"], facts["then"], facts["at_least"]) == ("users", ["likes"], True)
    assert json.loads(run("plan", "ids.txt", "--source", "users", "--json").output)["at_least"] is False


def test_check_tells_where_the_ids_of_a_chain_come_from(folder: Path, run: Run) -> None:
    """And where its seeds are dropped; a root says nothing of the kind."""
    (folder / "collector.toml").write_text(CHAIN)
    told = run("check").output
    assert "    its IDs are `id` of the items of followers; drop seeds, the IDs of users, into watch/posts/\n" in told
    assert told.count("its IDs are") == 3
    sources = json.loads(run("check", "--json").output)["sources"]
    assert (sources["users"]["from"], sources["posts"]["from"]) == (None, "followers.id")
