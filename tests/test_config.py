from pathlib import Path

import pytest

from collector import config
from collector.errors import ConfigError

GOOD = '[source.posts]\nurl = "https://api/{id}"\n'


def problems(tmp_path: Path, text: str) -> str:
    """What is said of a configuration."""
    path = tmp_path / "collector.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    return str(caught.value)


def test_every_problem_is_told_at_once_with_key_value_and_what_is_expected(tmp_path: Path) -> None:
    """Faults of every table stand in one error, and none hides another."""
    said = problems(
        tmp_path,
        """
        root = 5
        default_source = ["posts"]
        colour = "red"
        [service]
        consumers = 0
        grace = 20
        [admin]
        listen = "0.0.0.0:80"
        [source.posts]
        url = "ftp://{id}"
        pack = 5
        limit = ["900/15x"]
        id = "("
        """,
    )
    assert "10 problems" in said
    for line in (
        "root = 5: expected a folder",
        "default_source = ['posts']: expected a declared source (posts)",
        "colour = 'red': expected one of",
        "service.consumers = 0: expected",
        "service.grace = 20: expected a duration",
        "admin.listen = '0.0.0.0:80': expected",
        "source.posts.url = 'ftp://{id}': expected an http or https address",
        "source.posts.pack = 5: expected 1, or `{ids}`",
        "source.posts.limit.0 = '900/15x': expected a duration",
        "source.posts.id = '(': expected a regular expression",
    ):
        assert line in said


@pytest.mark.parametrize(
    "text",
    [
        'secret = "hunter22"',
        '[secret]\nx = "hunter22"',
        '[secret]\nx = { env = "hunter22-it is" }',
        '[secret]\nx = { enw = "hunter22" }',
        '[source.posts]\nurl = "https://user:hunter22@api/{id}"',
    ],
)
def test_a_secret_in_the_wrong_place_is_not_shown(tmp_path: Path, text: str) -> None:
    """Somebody who wrote the secret where its place belongs finds it in no message."""
    said = problems(tmp_path, text if "[source" in text else f"{text}\n{GOOD}")
    assert "hunter22" not in said


@pytest.mark.parametrize("key", ["use", "next", "auth", "on"])
def test_a_key_of_a_later_version_is_called_so(tmp_path: Path, key: str) -> None:
    """Nobody looks for a spelling mistake where there is none."""
    assert "no such key in this version" in problems(tmp_path, f'{GOOD}{key} = "x"\n')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('budget = "money"\n', "source.posts.budget = 'money': expected a declared budget (none is declared)"),
        ('budget = "money"\n[budget.money]\nlimit = []\n', "budget.money.limit"),
        ('[budget.posts]\nlimit = ["5/1s"]\n', "budget.posts = 'posts': expected another name: a source has this one"),
        ('limit = ["5 items/1d"]\nper_call = 6\n', "source.posts.per_call = 6: expected at most 5, or no call would"),
        (
            'budget = "day"\ncost = 6\n[budget.day]\nlimit = ["5 units/1d"]\n',
            "source.posts.cost = 6: expected at most 5",
        ),
        ("[budget]\nday = 5\n", "budget.day = 5: expected a table, [budget.day]"),
    ],
)
def test_a_budget_from_which_no_call_could_draw_is_a_problem(tmp_path: Path, text: str, said: str) -> None:
    """A name that is not declared, a limit smaller than one call: nothing would ever be asked."""
    assert said in problems(tmp_path, GOOD + text)


def test_a_stricter_limit_of_a_source_with_the_same_budget_counts(tmp_path: Path) -> None:
    """Both draw on it, so a pack that is larger than that would never go."""
    url = 'url = "https://api/x"\nparams = { ids = "{ids}" }\n'
    text = f'[source.a]\n{url}pack = 100\n[source.b]\n{url}pack = 10\nlimit = ["50 items/1h"]\n'
    assert "source.a.pack = 100: expected at most 50, or no call would ever fit" in problems(tmp_path, text)


def test_who_only_looks_needs_no_secret(tmp_path: Path) -> None:
    """The status can be asked from a shell that does not have the key."""
    path = tmp_path / "collector.toml"
    path.write_text(f'{GOOD}headers = {{ A = "{{secret.key}}" }}\n[secret]\nkey = {{ file = "not-there" }}\n')
    assert config.load(path, secrets=False).sources
    with pytest.raises(ConfigError, match="not-there"):
        config.load(path)


@pytest.mark.parametrize("place", ["{idd}", "{secrets.k}", "{secret.a b}"])
def test_an_unknown_word_in_braces_is_a_problem(tmp_path: Path, place: str) -> None:
    """It would go out as it stands."""
    assert place in problems(tmp_path, f'[source.posts]\nurl = "https://api/{{id}}?k={place}"\n')


def test_a_secret_that_is_no_single_line_is_a_problem(tmp_path: Path) -> None:
    """It could not be sent, and every ID would look malformed."""
    (tmp_path / "key").write_text("two\nlines")
    assert "one line" in problems(tmp_path, f'{GOOD}[secret]\nkey = {{ file = "key" }}\n')
