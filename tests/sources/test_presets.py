"""The presets as such: their texts, and a source's table on top of one."""

import re
from pathlib import Path

import pytest

from collector import config
from collector.errors import ConfigError
from collector.sources.presets import near, shipped
from tests.sources import shipped as preset

NAMES = list(shipped())
README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def loaded(folder: Path, text: str) -> config.Config:
    path = folder / "collector.toml"
    path.write_text(text, encoding="utf-8")
    return config.load(path, secrets=False)


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as told:
        loaded(folder, text)
    return [str(problem) for problem in told.value.problems]


def with_secrets(name: str) -> str:
    secrets = "".join(f'{secret} = {{ env = "X" }}\n' for secret in shipped()[name].secrets)
    followed = '[source.x_followers]\nuse = "x/followers"\n' if "from" in shipped()[name].table else ""
    return f"[secret]\n{secrets}{followed}"


def test_the_presets_are_those_that_are_promised() -> None:
    """One file an API, one table a preset."""
    assert set(NAMES) == {
        *(f"x/{name}" for name in ("posts", "post", "users", "usernames", "followers", "following")),
        *("x/user_posts", "x/replies", "x/follower_posts"),
        *("bluesky/posts", "bluesky/profiles", "bluesky/followers", "bluesky/author_feed"),
        *("mastodon/statuses", "mastodon/followers", "reddit/info", "github/repos", "github/users", "youtube/videos"),
        *("openalex/works", "crossref/works", "semantic_scholar/papers", "wikidata/entities", "pubmed/summaries"),
        "hackernews/items",
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_is_used_with_one_line(tmp_path: Path, name: str) -> None:
    """`use` alone makes a source without problems, once its secrets are declared."""
    source = loaded(tmp_path, f'{with_secrets(name)}[source.it]\nuse = "{name}"\n').sources["it"]
    assert (source.use, source.url) == (name, shipped()[name].table["url"])


@pytest.mark.parametrize("name", NAMES)
def test_the_text_of_a_preset_declares_the_same_source(tmp_path: Path, name: str) -> None:
    """Copied into a configuration it is what `use` would have been."""
    text = shipped()[name].toml
    copied = loaded(tmp_path, with_secrets(name) + text)
    used = loaded(tmp_path, f'{with_secrets(name)}[source.{shipped()[name].source}]\nuse = "{name}"\n')
    ours, theirs = (each.sources[shipped()[name].source].model_dump(exclude={"use"}) for each in (copied, used))
    assert ours == theirs


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_says_where_its_facts_are_from_and_which_secrets_it_needs(name: str) -> None:
    """A date, that they may have moved, and each secret by its name."""
    comments = "".join(line for line in shipped()[name].toml.splitlines() if line.startswith("#"))
    assert re.search(r"20\d\d-\d\d-\d\d", comments)
    assert "may have moved" in re.sub(r"\s*#\s*", " ", comments)
    assert all(secret in comments for secret in shipped()[name].secrets)
    assert "secret" in comments


@pytest.mark.parametrize("name", NAMES)
def test_the_columns_of_a_preset_fit_a_view(name: str) -> None:
    """Names with dots and positions, none of a column that each view has, no two alike."""
    columns = preset.spec(name).columns
    assert columns
    assert all(re.fullmatch(r"[A-Za-z_]\w*(\[\d+\]|\.[A-Za-z_]\w*)*", path) for path in columns.values())
    assert not {column.lower() for column in columns} & {"job", "key", "batch", "fetched_at"}


@pytest.mark.parametrize("name", NAMES)
def test_an_id_of_a_preset_is_still_one_when_it_is_read_again(name: str) -> None:
    """What a line holds is found in the answer in the same form; an empty line and a word with a blank are none."""
    lines = {
        "bluesky/posts": "at://did:plc:z72i7hdynmk6r22z27h6tvur/app.bsky.feed.post/3l6oveex3ii2l",
        "bluesky/profiles": "https://bsky.app/profile/did:plc:z72i7hdynmk6r22z27h6tvur",
        "bluesky/followers": "@bsky.app",
        "bluesky/author_feed": "bsky.app/profile/bsky.app",
        "crossref/works": "https://doi.org/10.1000/ABC(1)",
        "github/repos": "https://github.com/Octocat/Hello-World.git",
        "github/users": "@Octocat",
        "openalex/works": "https://openalex.org/W2741809807",
        "reddit/info": "t3_abc123",
        "semantic_scholar/papers": "DOI:10.1000/ABC",
        "wikidata/entities": "http://www.wikidata.org/entity/Q42",
        "x/usernames": "https://x.com/XDevelopers",
        "youtube/videos": "https://youtu.be/dQw4w9WgXcQ",
    }
    found = preset.key(name, lines.get(name, "12"))
    assert found is not None
    assert preset.key(name, found) == found
    assert preset.key(name, "") is None
    assert preset.key(name, "two words") is None


def test_each_key_of_a_source_replaces_the_presets_as_a_whole(tmp_path: Path) -> None:
    """`params` of one's own are all the params; what is not named stays."""
    text = 'use = "x/posts"\nlimit = ["900/15m"]\nparams = { ids = "{ids}" }\n'
    source = loaded(tmp_path, f"{with_secrets('x/posts')}[source.mine]\n{text}").sources["mine"]
    assert (source.params, [str(limit) for limit in source.limit]) == ({"ids": "{ids}"}, ["900 calls in 15 min"])
    assert (source.pack, source.items, source.use) == (100, "data", "x/posts")


def test_the_merged_table_is_what_is_checked(tmp_path: Path) -> None:
    """Secrets, chains and contradictions see what the preset brings, and say whose it is."""
    assert problems(tmp_path, '[source.mine]\nuse = "x/posts"\n') == [
        'source.mine = {secret.x_bearer}: expected a declared secret: [secret] x_bearer = { env = "…" }'
        " (it comes from the preset x/posts)"
    ]
    [told] = problems(tmp_path, f'{with_secrets("x/posts")}[source.mine]\nuse = "x/follower_posts"\n')
    assert told.startswith("source.mine.from = 'x_followers.id': expected a declared source before the dot (mine)")
    assert told.endswith("(it comes from the preset x/follower_posts)")
    [told] = problems(tmp_path, '[source.mine]\nuse = "hackernews/items"\npack = 5\n')
    assert told == "source.mine.pack = 5: expected 1, or `{ids}` in place of `{id}`"
    told = problems(
        tmp_path, f'{with_secrets("x/posts")}[source.mine]\nuse = "x/posts"\nurl = "https://a.org/{{id}}"\n'
    )[0]
    assert told == "source.mine.url = 'https://a.org/{id}': expected one of `{id}`, `{ids}` and `{id/}` only"


def test_a_problem_of_ones_own_key_is_not_blamed_on_the_preset(tmp_path: Path) -> None:
    """The key is named as it was written, and so is the limit of a budget that a preset's key meets."""
    [told] = problems(tmp_path, f'{with_secrets("x/posts")}[source.mine]\nuse = "x/posts"\npack = "many"\n')
    assert told == "source.mine.pack = 'many': expected a whole number"
    budget = '[budget.small]\nlimit = ["50 items/1d"]\n'
    [told] = problems(tmp_path, f'{with_secrets("x/posts")}[source.mine]\nuse = "x/posts"\nbudget = "small"\n{budget}')
    assert told.startswith("source.mine.pack = 100: expected at most 50")
    assert told.endswith("(it comes from the preset x/posts)")


def test_an_unknown_preset_is_one_problem_that_names_those_like_it(tmp_path: Path) -> None:
    """And where to see all of them."""
    assert problems(tmp_path, '[source.a]\nuse = "x/pots"\npack = -5\n[source.b]\nuse = "nothing"\n') == [
        "source.a.use = 'x/pots': expected a preset, as x/posts or x/post or x/user_posts;"
        " `collector sources` shows all",
        "source.b.use = 'nothing': expected a preset; `collector sources` shows all",
    ]
    assert problems(tmp_path, '[source.a]\nuse = 5\nurl = "https://a.org/{id}"\n') == [
        "source.a.use = 5: expected a text"
    ]


def test_near_names_are_found_however_a_preset_is_written() -> None:
    """With an underline, in capitals, or by the API alone."""
    assert near("x_posts")[0] == "x/posts"
    assert near("OpenAlex/Work")[0] == "openalex/works"
    assert near("bluesky") == ["bluesky/posts", "bluesky/profiles", "bluesky/followers", "bluesky/author_feed"]


def test_a_table_that_was_handed_out_may_be_changed() -> None:
    """Nobody changes a preset for others."""
    shipped()["x/posts"].table["params"].clear()
    assert "ids" in shipped()["x/posts"].table["params"]


def test_the_readme_lists_every_preset() -> None:
    """Name, most IDs in a call, and limits, as they are."""
    section = README.split("\n## An API that ships\n", 1)[1].split("\n## ", 1)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    documented = {row[0].strip("`"): row[2:4] for row in rows[2:]}
    specs = {name: preset.spec(name) for name in NAMES}
    assert documented == {
        name: [
            str(spec.pack),
            ", ".join(f"`{text}`" for text in shipped()[name].table.get("limit", [])) or "none stated",
        ]
        for name, spec in specs.items()
    }
