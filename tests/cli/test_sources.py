"""`sources`."""

import json
import tomllib
from pathlib import Path

import pytest

from collector.sources.presets import shipped
from tests.cli.conftest import Run


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without a configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLLECTOR_CONFIG", raising=False)
    monkeypatch.setattr("collector.cli.option.PLACES", ("collector.toml",))  # not that of this machine
    return tmp_path


def test_presets_are_listed_with_a_line_each(nowhere: Path, run: Run) -> None:
    """Name, what it is for, limit; no configuration is needed, and none is no error."""
    told = run("sources")
    assert told.exit_code == 0
    lines = told.output.splitlines()
    assert len(lines) == 1 + len(shipped())
    assert "  x/posts                  Posts by their IDs or URLs, with their authors (3500 calls in 15 min)" in lines
    assert (
        "  openalex/works           Works by their OpenAlex IDs or URLs (100 calls in 1 s and 10000 calls in 1 d)"
        in lines
    )
    assert [line.split()[0] for line in lines[1:]] == list(shipped())


def test_the_sources_of_the_configuration_follow(folder: Path, run: Run) -> None:
    """Each with where it asks, the preset that it is from, and its limits; no secret is fetched for it."""
    secret = '[secret]\nx_bearer = { file = "not-there.txt" }\n'
    own = '[source.own]\nurl = "https://a.org/{id}"\nlimit = ["9/1m", "100/1d"]\n'
    (folder / "collector.toml").write_text(f'{secret}{own}[source.posts_of_x]\nuse = "x/posts"\n')
    told = run("sources")
    assert told.exit_code == 0
    assert told.output.endswith(
        "\n\nSources in collector.toml:\n"
        "  own         https://a.org/{id} (9 calls in 1 min and 100 calls in 1 d)\n"
        "  posts_of_x  https://api.x.com/2/tweets, from x/posts (3500 calls in 15 min)\n"
    )
    facts = json.loads(run("sources", "--json").output)
    assert [preset["name"] for preset in facts["presets"]] == list(shipped())
    assert (facts["config"], facts["problem"]) == (str(folder / "collector.toml"), None)
    assert facts["sources"][1] == {
        "name": "posts_of_x",
        "use": "x/posts",
        "asks": "https://api.x.com/2/tweets",
        "limit": ["3500 calls in 15 min"],
    }


def test_a_configuration_with_problems_hides_no_preset(folder: Path, run: Run) -> None:
    """It is said and left to `check`; asked for by name it is an error."""
    (folder / "collector.toml").write_text("rot = 1\n")
    told = run("sources")
    assert (told.exit_code, "x/posts" in told.output) == (0, True)
    assert told.output.endswith("\n\ncollector.toml has problems: `collector check` tells them\n")
    assert json.loads(run("sources", "--json").output)["problem"].startswith("collector.toml has problems")
    assert run("sources", "--config", "collector.toml").exit_code == 2
    assert run("sources", "--config", "not-there.toml").exit_code == 2


@pytest.mark.parametrize("name", list(shipped()))
def test_the_text_of_a_preset_can_be_appended_to_a_configuration(nowhere: Path, run: Run, name: str) -> None:
    """It is TOML as it is printed, and names the secrets and the source that it needs; with them `check` is content."""
    told = run("sources", name)
    assert told.exit_code == 0
    table = tomllib.loads(told.output)["source"][name.replace("/", "_")]
    assert table == shipped()[name].table
    needed = told.output.replace("# [secret]\n", "[secret]\n").splitlines()
    lines = [line[2:] if line.startswith("# ") and line.endswith('.txt" }') else line for line in needed]
    for secret in shipped()[name].secrets:
        (nowhere / f"{secret}.txt").write_text("a value\n")
    if "from" in table:
        assert "from a source x_followers, which has to be declared too" in told.output
        lines = ["[source.x_followers]", 'use = "x/followers"', *lines]
    (nowhere / "collector.toml").write_text("\n".join(lines))
    assert run("check").output.startswith("ok: collector.toml, ")


def test_a_preset_as_json_says_what_it_needs(nowhere: Path, run: Run) -> None:
    """The text is one of its facts."""
    facts = json.loads(run("sources", "reddit/info", "--json").output)
    assert facts.pop("toml") == shipped()["reddit/info"].toml
    assert facts == {
        "name": "reddit/info",
        "about": "Posts, comments and subreddits by their full names, t3_…, t1_… and t5_….",
        "pack": 100,
        "limit": ["1000 calls in 10 min"],
        "secrets": ["reddit_id", "reddit_secret", "reddit_user"],
    }


def test_an_unknown_preset_names_those_like_it(nowhere: Path, run: Run) -> None:
    """Exit 2, and the way to all of them."""
    told = run("sources", "x_post")
    assert told.exit_code == 2
    assert told.output.startswith("no preset 'x_post'; is it x/post or x/posts or x/user_posts? (`collector sources`")
    assert run("sources", "nothing at all").output == "no preset 'nothing at all' (`collector sources` shows all)\n"
