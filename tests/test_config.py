import os
from pathlib import Path

import pytest

from collector import config
from collector.errors import ConfigError

URL = "https://api/{id}"
GOOD = f'[source.posts]\nurl = "{URL}"\n'


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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("price = 5\n", "source.posts.price = 5: expected a table, as in { key = … }"),
        ("params = 5\n", "source.posts.params = 5: expected a table, as in { key = … }"),
        ("params = { x = [1] }\n", "source.posts.params.x = [1]: expected a text or a whole number"),
        ("form = { x = true }\n", "source.posts.form.x = True: expected a text or a whole number"),
        ("limit = 5\n", 'source.posts.limit = 5: expected a list, as in ["…"]'),
        ("[budget.b]\nlimit = []\n", "budget.b.limit = []: expected a list that is not empty"),
        ('id = ""\n', "source.posts.id = '': expected a text that is not empty"),
        ("url = 5\n", "source.posts.url = 5: expected a text"),
        (
            'next = "links"\n',
            "1 problem\n  source.posts.next = 'links': expected \"link\", or a table, as in { from = …",
        ),
        ('next = { from = "a" }\n', "1 problem\n  source.posts.next.to = (not there): expected a value"),
        (f'pack = "{"5" * 999}"\n', f"source.posts.pack = '{'5' * 299}…: expected a whole number"),
        ('pack = "5"\n', "source.posts.pack = '5': expected a whole number"),
        ("pack = 1.5\n", "source.posts.pack = 1.5: expected a whole number"),
        ("tries = 0\n", "source.posts.tries = 0: expected at least 1"),
        ("cost = 10000000000\n", "source.posts.cost = 10000000000: expected at most 1000000000"),
        ("column = 0\n", "source.posts.column = 0: expected the header of a column, or its number from 1"),
        ("column = true\n", "source.posts.column = True: expected the header of a column, or its number from 1"),
        ('headers = { "a b" = "x" }\n', "source.posts.headers.a b = 'a b': expected the name of a header"),
        ('price = { item = "0.005" }\n', "source.posts.price.item = '0.005': expected a number"),
        ("price = { item = true }\n", "source.posts.price.item = True: expected a number"),
        ("price = { item = 1e308 }\n", "source.posts.price.item = 1e+308: expected at most 1000000000"),
        ("price = { call = inf }\n", "source.posts.price.call = inf: expected a finite number"),
        ("price = { also = { a = -1 } }\n", "source.posts.price.also.a = -1: expected at least 0"),
        ('price = { currency = "usd" }\n', 'expected three capital letters, as in "USD"'),
        ('[secret]\nk = { env = "9" }\n', "secret.k.env = ***: expected the name of an environment variable"),
        ('window = "x"\n', "source.posts.window = 'x': expected 'auto' or 'plain'"),
    ],
)
def test_what_is_expected_is_said_in_words_of_the_file(tmp_path: Path, text: str, said: str) -> None:
    """Nobody who writes a configuration has to know in which language it is read, or with what."""
    given = GOOD.replace("url", "# url") if text.startswith("url") else GOOD
    told = problems(tmp_path, given + text)
    assert said in told
    for word in ("dictionary", "String", "Tuple", "instance", "Input", "integer", "constrained", "[key]", "[table]"):
        assert word not in told


@pytest.mark.parametrize(
    "text",
    [
        'url = ""',
        "url = 5",
        'url = "nowhere"',
        f'url = "{URL}"\njson = {{}}\nform = 5',
        f'url = "{URL}"\nmax_pages = 0',
        f'url = "{URL}"\nnext = "x"',
        f'url = "{URL}"\nnext = 5',
        f'url = "{URL}"\ncolumns = {{ job = "a[" }}',
        'call = "annotate:one"\npack = "x"',
    ],
)
def test_a_key_that_is_wrong_by_itself_is_told_once(tmp_path: Path, text: str) -> None:
    """Whatever else it contradicts: that may be over once it is mended."""
    assert ": 1 problem\n" in problems(tmp_path, f"[source.posts]\n{text}\n")


def test_a_whole_number_is_a_price_too(tmp_path: Path) -> None:
    """And the largest there may be."""
    path = tmp_path / "collector.toml"
    path.write_text(f"{GOOD}price = {{ item = 1000000000, call = 2 }}\n")
    price = config.load(path).sources["posts"].price
    assert price
    assert (price.item, price.call) == (1e9, 2.0)


@pytest.mark.parametrize("table", ["source", "budget"])
def test_control_characters_of_a_name_are_shown_escaped(tmp_path: Path, table: str) -> None:
    """No name moves the cursor of whoever reads the problems."""
    told = problems(tmp_path, f'{GOOD}[{table}."\\u001b[2J\\u202e\\n"]\nlimit = [5]\n')
    assert f"{table}.\\x1b[2J\\u202e\\n.limit.0 = 5: expected a text" in told
    assert "\x1b" not in told


@pytest.mark.parametrize("key", ["allow_remote"])
def test_a_key_of_a_later_version_is_called_so(tmp_path: Path, key: str) -> None:
    """Nobody looks for a spelling mistake where there is none."""
    assert "no such key in this version" in problems(tmp_path, f'{GOOD}[service]\n{key} = "x"\n')


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


def test_a_file_that_would_be_waited_for_is_refused_at_once(tmp_path: Path) -> None:
    """A FIFO as the configuration or as a secret keeps nobody from a reload, or from a stop."""
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ConfigError, match=r"expected a readable file \(it is no regular file\)"):
        config.load(tmp_path / "fifo")
    said = problems(tmp_path, f'{GOOD}[secret]\nkey = {{ file = "fifo" }}\n')
    assert f"expected a readable text file {tmp_path}/fifo (it is no regular file)" in said


def test_a_file_of_any_size_is_no_configuration(tmp_path: Path) -> None:
    """A slip in `--config` does not read a disk."""
    assert "it is larger than 10,000,000 bytes" in problems(tmp_path, "#" * 10_000_001)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = " + "[" * 50_000 + "]" * 50_000, "expected tables and lists that are not nested so deeply"),
        ("x = 5 5", "expected TOML: "),
        ("x = " + "9" * 5_000, "expected TOML: "),
    ],
)
def test_what_cannot_be_parsed_is_told_in_words(tmp_path: Path, text: str, said: str) -> None:
    """No name of an exception, and nothing called a fault of collector."""
    told = problems(tmp_path, text)
    assert said in told
    assert "Error" not in told


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    """Some editors write one before a configuration, and before a key."""
    (tmp_path / "key").write_text("s3cret\n", encoding="utf-8-sig")
    path = tmp_path / "collector.toml"
    path.write_text(f'{GOOD}[secret]\nkey = {{ file = "key" }}\n', encoding="utf-8-sig")
    assert config.load(path).secrets["key"].reveal() == "s3cret"


def test_a_secret_that_is_no_single_line_is_a_problem(tmp_path: Path) -> None:
    """It could not be sent, and every ID would look malformed."""
    (tmp_path / "key").write_text("two\nlines")
    assert "one line" in problems(tmp_path, f'{GOOD}[secret]\nkey = {{ file = "key" }}\n')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('columns = { Job = "x" }', "source.posts.columns.Job = 'x': expected another name: job is what every view"),
        (
            'columns = { lang = "x", Lang = "y" }',
            "columns.Lang = 'y': expected another name: 'lang' is the same to SQL",
        ),
        ("columns = { " + ", ".join(f'c{n} = "x"' for n in range(501)) + " }", "501 columns: expected at most 500"),
        ('columns = { a = "[" }', "source.posts.columns.a = '[': expected a JMESPath expression"),
    ],
)
def test_columns_that_no_view_can_have_are_a_problem(tmp_path: Path, text: str, said: str) -> None:
    """Two that SQL takes for one, those that every view has, and too many."""
    assert said in problems(tmp_path, f"{GOOD}{text}\n")


def test_two_sources_whose_views_would_be_one_are_a_problem(tmp_path: Path) -> None:
    """Where both have columns; else their names may differ in the case of letters alone."""
    other = '[source.Posts]\nurl = "https://api/{id}"\n'
    columns = 'columns = { a = "a" }\n'
    said = problems(tmp_path, f"{GOOD}{columns}{other}{columns}")
    assert "source.Posts = 'Posts': expected another name: the view of 'posts' would be the same" in said
    (tmp_path / "collector.toml").write_text(f"{GOOD}{columns}{other}")
    assert config.load(tmp_path / "collector.toml").sources.keys() == {"posts", "Posts"}


@pytest.mark.parametrize("loaded", [False, True])
def test_a_credential_that_is_not_loaded_is_told_with_the_line_that_loads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loaded: bool
) -> None:
    """Whether the unit loads others or none."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    if loaded:
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    said = problems(tmp_path, f'{GOOD}\n[secret]\nkey = {{ credential = "key" }}')
    assert "LoadCredential=key:/etc/collector/key under [Service] in `systemctl edit collector`" in said


@pytest.mark.parametrize(
    ("notify", "said"),
    [
        ("{}", 'service.notify = {}: expected one of { url = "https://…" } or { command = ["…"] }'),
        ('{ url = "https://h.example.org/{id}" }', "expected no place for an ID"),
        ('{ url = "https://h.example.org/{secret.no}" }', "service.notify = {secret.no}: expected a declared secret"),
        ('{ command = ["true"], on = ["fire"] }', "service.notify.on.0 = 'fire': expected 'taken_in', 'trouble'"),
        ('{ command = ["true"], headers = { A = "b" } }', "expected no headers beside a command"),
        ('{ command = "true" }', "service.notify.command = 'true': expected a list"),
    ],
)
def test_where_notices_go_is_checked(tmp_path: Path, notify: str, said: str) -> None:
    """One place, known kinds, declared secrets."""
    assert said in problems(tmp_path, f"{GOOD}[service]\nnotify = {notify}\n")
