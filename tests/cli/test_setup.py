"""`init` and `check`."""

import json
import os
import tomllib
from pathlib import Path

import pytest

from tests.cli.conftest import Run


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with nothing in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLLECTOR_CONFIG", raising=False)
    return tmp_path


def test_init_writes_a_configuration_and_the_folders(empty: Path, run: Run) -> None:
    """One line says what was written and what is to be done next."""
    done = run("init")
    assert done.exit_code == 0
    assert done.output.count("\n") == 1
    assert "collector check" in done.output
    assert {path.name for path in empty.iterdir()} == {"collector.toml", "watch", "batches", "rejected"}
    assert (empty / "watch" / "x_posts").is_dir()


def test_after_init_exactly_the_secret_is_missing(empty: Path, run: Run) -> None:
    """`check` names the missing file, and is content when it is there."""
    run("init")
    first = run("check")
    assert first.exit_code == 2
    assert "1 problem\n" in first.output
    assert f'secret.x_bearer = {{ file = "x_bearer.txt" }}: expected a readable text file {empty}' in first.output
    (empty / "x_bearer.txt").write_text("a token\n")
    second = run("check")
    assert (second.exit_code, second.output.split(":")[0]) == (0, "ok")
    assert "a token" not in second.output


def test_every_line_that_init_comments_out_is_a_known_key(empty: Path, run: Run) -> None:
    """With its examples made real the written file still has no problem."""
    run("init")
    (empty / "x_bearer.txt").write_text("t")
    path = empty / "collector.toml"
    lines = path.read_text().splitlines()
    real = [line[2:] if line.startswith("# [") or _is_setting(line) else line for line in lines]
    text = "\n".join(line for line in real if not line.startswith("x_bearer = { env") and "credential" not in line)
    assert "consumers = 16" in text
    assert "source.works" in str(tomllib.loads(text)) or "works" in tomllib.loads(text)["source"]
    path.write_text(text)
    assert run("check").output.startswith("ok: collector.toml, 2 sources")


def _is_setting(line: str) -> bool:
    head, equals, _ = line[2:].partition("=")
    return line.startswith("# ") and bool(equals) and head.strip().isidentifier()


def test_init_never_overwrites(empty: Path, run: Run) -> None:
    """A configuration that is there stays byte for byte, and nothing is made beside it."""
    (empty / "collector.toml").write_text("mine")
    done = run("init")
    assert done.exit_code == 2
    assert "was left as it is" in done.output
    assert os.listdir(empty) == ["collector.toml"]
    assert (empty / "collector.toml").read_text() == "mine"


def test_init_makes_the_folder_it_is_given(empty: Path, run: Run) -> None:
    """The next command is told with the configuration it needs."""
    done = run("init", "new/place", "--json")
    assert json.loads(done.output)["config"] == str(empty / "new/place/collector.toml")
    assert "collector check --config other/collector.toml" in run("init", "other").output


def test_init_in_a_place_that_cannot_be_written_fails_plainly(empty: Path, run: Run) -> None:
    """No traceback, exit 1, the path and the cause."""
    (empty / "file").write_text("")
    done = run("init", "file/below")
    assert (done.exit_code, done.output) == (1, "cannot write file/below/watch/x_posts: Not a directory\n")


def test_check_tells_every_problem_at_once(folder: Path, run: Run) -> None:
    """Three faults, three lines, exit 2; the same as JSON for programs."""
    (folder / "collector.toml").write_text('rot = 1\n[service]\nconsumers = 0\n[source.a]\nurl = "ftp://x/{id}"\n')
    told = run("check")
    assert (told.exit_code, told.output.splitlines()[0]) == (2, f"{folder}/collector.toml: 3 problems")
    facts = run("check", "--json")
    assert facts.exit_code == 2
    assert {problem["key"] for problem in json.loads(facts.output)["problems"]} == {
        "rot",
        "service.consumers",
        "source.a.url",
    }


def test_check_shows_sources_limits_and_folders(folder: Path, run: Run) -> None:
    """What the service would do, before it does it."""
    (folder / "collector.toml").write_text('[source.a]\nurl = "https://a.org/{id}"\nlimit = ["9/1m", "100/1d"]\n')
    told = run("check").output
    assert "a: https://a.org/{id}, one ID a call, 9 calls in 1 min and 100 calls in 1 d" in told
    assert f"{folder}/watch/" in told
    facts = json.loads(run("check", "--json").output)
    assert (facts["ok"], facts["root"], list(facts["sources"])) == (True, str(folder), ["a"])


@pytest.mark.parametrize(
    ("notify", "shown"),
    [
        ('{ url = "https://hooks.example.org/T0/B0" }', "https://hooks.example.org/…"),
        ('{ command = ["tell", "s3cret"], on = ["disk", "finished"] }', "the command tell, only disk, finished"),
    ],
)
def test_check_shows_where_notices_go_without_what_may_be_a_secret(
    folder: Path, run: Run, notify: str, shown: str
) -> None:
    """An address often holds one."""
    config = folder / "collector.toml"
    config.write_text(f"[service]\nnotify = {notify}\n{config.read_text()}")
    assert run("check").output.splitlines()[-1] == f"  notices: {shown}"
    assert json.loads(run("check", "--json").output)["notify"] == shown.partition(",")[0]


SHARED = """
[secret]
one = { env = "PLAN_ONE" }
two = { env = "PLAN_TWO" }
other = { env = "PLAN_OTHER" }
[source.a]
url = "https://a.org/{id}?key={secret.one}"
limit = ["900/15m", "9/1s"]
budget = "money"
price = { item = 0.005, call = 1, also = { "includes.users" = 0.01 }, currency = "EUR" }
[source.b]
url = "https://a.org/{id}?key={secret.two}"
limit = ["300/15m"]
[source.c]
url = "https://a.org/{id}?key={secret.other}"
budget = "money"
[budget.money]
limit = ["2000 items/30d"]
[budget.idle]
limit = ["5/1h"]
"""


def test_check_tells_who_shares_a_budget_and_what_is_charged(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sources with one key and URL are one to the API; a budget that nobody uses keeps nothing; no secret is shown."""
    for name, value in (("ONE", "the same key"), ("TWO", "the same key"), ("OTHER", "another key")):
        monkeypatch.setenv(f"PLAN_{name}", value)
    (folder / "collector.toml").write_text(SHARED)
    told = run("check")
    assert told.exit_code == 0
    for line in (
        "    price: 1 for each call, 0.005 for each object returned, 0.01 for each object at includes.users (EUR)\n",
        ", one ID a call, 900 calls in 15 min and 9 calls in 1 s, and budget money\n",
        "  a and b draw from one budget (same secrets, method and URL);"
        " the strictest of their limits hold: 9 calls in 1 s and 300 calls in 15 min\n",
        "  budget money: 2000 items in 30 d, for a, c\n",
        "  ! budget idle: no source draws from it;",
    ):
        assert line in told.output
    assert "key" not in told.output.replace("?key=", "")
    facts = json.loads(run("check", "--json").output)
    assert [facts["sources"][name]["shares_with"] for name in "abc"] == [["b"], ["a"], []]
    assert facts["budgets"]["money"]["sources"] == ["a", "c"]
    assert facts["sources"]["a"]["price"]["currency"] == "EUR"
    assert len(facts["warnings"]) == 1


def test_columns_that_are_in_exports_only_are_told(folder: Path, run: Run) -> None:
    """A view can follow plain paths alone."""
    columns = 'columns = { text = "text", tags = "tags[*].name", last = "a[-1]", first = "a[0].b" }\n'
    (folder / "collector.toml").write_text(f'[source.a]\nurl = "https://a.org/{{id}}"\n{columns}')
    told = run("check")
    assert told.exit_code == 0
    assert "  ! source a: tags, last in exports only, and not in the view: a path there is plain" in told.output


def test_a_root_that_is_a_file_is_a_problem(folder: Path, run: Run) -> None:
    """`check` looks at the state folder too."""
    (folder / "collector.toml").write_text('root = "file"\n[source.a]\nurl = "https://a.org/{id}"\n')
    (folder / "file").write_text("")
    told = run("check")
    assert told.exit_code == 2
    assert "root = " in told.output


def test_without_a_configuration_the_way_to_one_is_told(empty: Path, run: Run) -> None:
    """Every command that needs one says where it looked."""
    for words in (["check"], ["run"], ["status"], ["add", "x"]):
        told = run(*words)
        assert told.exit_code == 2
        assert told.output == (
            "there is no configuration at collector.toml or /etc/collector/collector.toml: `collector init` writes one,"
            " --config FILE names another\n"
        )
