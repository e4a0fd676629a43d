"""`plan`."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from collector.clock import Clock
from collector.model import Found, Item, Result
from collector.store import store as stores
from tests.cli.conftest import Run

CONFIG = """
default_source = "posts"

[secret]
token = { env = "NOT_SET_ANYWHERE" }

[source.posts]
url = "https://api.example.org/posts"
headers = { Authorization = "Bearer {secret.token}" }
params = { ids = "{ids}" }
pack = 100
id = "[0-9]{1,19}"
limit = ["900/15m"]
budget = "money"
price = { item = 0.005, also = { "includes.users" = 0.01 } }

[source.works]
url = "https://api.example.org/works/{id}"
column = "doi"

[budget.money]
limit = ["2000 items/30d"]
"""

IDS = [str(1511524316483141633 + 7919 * number) for number in range(2_500)]


@pytest.fixture
def home(folder: Path) -> Path:
    """A folder with a configuration whose secret is nowhere, and a file of 2,500 IDs."""
    (folder / "collector.toml").write_text(CONFIG)
    (folder / "ids.txt").write_text("".join(f"{key}\n" for key in [*IDS, *IDS[:3], "n/a"]))
    return folder


def everything(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_it_tells_what_a_file_would_take_and_does_nothing(home: Path, run: Run) -> None:
    """What was recognised, requests, windows, time, price, where a limit ends it; no secret is needed."""
    before = everything(home)
    told = run("plan", "ids.txt")
    assert told.exit_code == 0
    for said in (
        "recognised as  one ID a line, no header\nlines          2,504\nIDs            2,500\nrepeats        3\n",
        "requests       25, of up to 100 IDs each;",
        "limits         1 window of 900 calls in 15 min\n",
        "               2 windows of 2,000 items in 30 d (budget money), if all are found\n",
        "time           about 30 d, between 1 s and 30 d,",
        "it pauses      after 2,000 IDs, if all are found,",
        "price          at most 12.50 USD: 0.005 for each object returned\n",
        "25.00 if each ID brings one\n",
        "  line 2,504: n/a: it does not match the id pattern of the source\n",
        "What would change it, where the API allows it:\n",
        "  2,500 items in 30 d  25 ",
    ):
        assert said in told.output
    assert everything(home) == before


def test_a_file_that_breaks_off_is_told_in_plain_words(home: Path, run: Run) -> None:
    """A disk that fails, or a file of the kernel's."""
    told = run("plan", "/proc/self/mem", "--source", "posts")
    assert told.exit_code == 1
    assert re.fullmatch(r"cannot read /proc/[0-9]+/mem: Input/output error\n", told.output)


def test_a_database_that_was_never_begun_is_none(home: Path, run: Run) -> None:
    """An empty file in its place is no other program's."""
    (home / "collector.db").touch()
    facts = json.loads(run("plan", "ids.txt", "--json").output)
    assert (facts["trouble"], facts["collected"], facts["open_already"]) == (None, 0, 0)


def test_as_json_it_tells_the_same(home: Path, run: Run) -> None:
    """Numbers for programs, times as stamps."""
    facts = json.loads(run("plan", "ids.txt", "--source", "posts", "--json").output)
    assert (facts["lines"], facts["ids"], facts["repeats"], facts["refused"]) == (2_504, 2_500, 3, 1)
    assert (facts["requests"], facts["items_at_most"], facts["to_ask"]) == (25, 2_500, 2_500)
    assert facts["price"] == {"least": 0, "most": 12.5, "currency": "USD"}
    assert [limit["windows"] for limit in facts["limits"]] == [1, 2]
    assert facts["seconds"]["earliest"] < 60 < 30 * 86_400 < facts["seconds"]["latest"]
    assert facts["finish"]["earliest"] < facts["finish"]["latest"]
    assert [change["limit"] for change in facts["changes"] if change["limit"]] == ["2500 items in 30 d"]


def test_the_receipt_will_say_the_same(home: Path, run: Run) -> None:
    """One source of words for both."""
    from collector import config
    from collector.output import estimate
    from collector.sources.plan import plan

    terms = estimate.terms(config.load(home / "collector.toml", secrets=False), "posts", IDS)
    lines = estimate.estimate(plan(2_500, terms), terms)
    told = run("plan", "ids.txt").output
    assert len(lines) == 3
    assert lines[0].partition("; ")[0] == "25 requests of up to 100 IDs"
    assert all(part in told for part in (*lines[0].partition("; ")[2].split(", 2 "), *lines[1:2]))


async def collected(path: Path, keys: list[str]) -> None:
    """A service found these before, and owes one more."""
    async with stores.opened(path, Clock()) as store:
        batch = await store.batches.begin("posts", "before", "file")
        batch, _ = await store.batches.load_chunk(batch, [*keys, "9"], 1)
        await store.batches.open(batch, lines=1, refused=0, digest="", layout="", warnings=[])
        jobs = [job for job in await store.jobs.queued(batch.id, "", 10_000) if job.key != "9"]
        outcomes = tuple((job, Found((Item(job.key, "{}"),))) for job in jobs)
        await store.jobs.record([Result("posts", tuple(jobs), outcomes, at=1_700_000_000.0)])


async def test_what_was_found_before_is_not_counted(home: Path, run: Run) -> None:
    """It is read from the database, service or not, and the IDs that are still owed are told."""
    await collected(home / "collector.db", IDS[:700])
    before = everything(home)
    told = run("plan", "ids.txt")
    assert "collected      700 of the IDs, which are not asked for again; 1,800 are\n" in told.output
    assert "requests       18, of up to 100" in told.output
    assert "it pauses" not in told.output
    assert "open already   1 ID of posts, from the same limits: with it about" in told.output
    assert everything(home) == before
    config = home / "collector.toml"
    config.write_text(CONFIG.replace("pack = 100", 'pack = 100\nrecollect = "always"'))
    assert "requests       25, of" in run("plan", "ids.txt").output
    for recollect, requests in (("older than 7d", 25), ("older than 99999d", 18)):
        config.write_text(CONFIG.replace("pack = 100", f'pack = 100\nrecollect = "{recollect}"'))
        assert f"requests       {requests}, of" in run("plan", "ids.txt").output


def test_a_database_that_cannot_be_read_is_told_and_the_plan_made(home: Path, run: Run) -> None:
    """The rest is worth knowing all the same."""
    (home / "collector.db").write_bytes(b"no database" * 100)
    told = run("plan", "ids.txt")
    assert told.exit_code == 0
    assert f"collected      not known: {home}/collector.db cannot be read: " in told.output
    assert json.loads(run("plan", "ids.txt", "--json").output)["collected"] is None


def test_a_stricter_limit_of_another_source_on_the_same_budget_is_told(home: Path, run: Run) -> None:
    """The API counts both as one."""
    more = '[source.again]\nurl = "https://api.example.org/posts"\nparams = { full = 1, ids = "{ids}" }\n'
    more += 'headers = { Authorization = "Bearer {secret.token}" }\nlimit = ["5/15m"]\n'
    (home / "collector.toml").write_text(CONFIG + more)
    told = run("plan", "ids.txt").output
    assert "limits         5 windows of 5 calls in 15 min\n" in told
    assert "               shared with again: the strictest limits hold\n" in told
    assert json.loads(run("plan", "ids.txt", "--json").output)["shares_with"] == ["again"]


def test_a_warning_comes_first(home: Path, run: Run) -> None:
    """Rounded IDs cost money and bring other objects."""
    (home / "rounded.txt").write_text("".join(f"{int(float(key))}\n" for key in IDS))
    assert run("plan", "rounded.txt").output.startswith("!! WARNING: ALL ")


def test_without_limit_and_price_it_says_so(home: Path, run: Run) -> None:
    """A source that declares nothing; its column is the declared one, unless another is named."""
    (home / "works.csv").write_text("doi,name\n10.1/a,x\n10.1/b,y\n")
    told = run("plan", "works.csv", "--source", "works")
    assert 'column 1 "doi"' in told.output
    assert "limits         none is declared\n" in told.output
    assert "or more: the API's own limit decides\n" in told.output
    assert "price          not declared\n" in told.output
    assert "What would change it" not in told.output
    assert 'column 2 "name"' in run("plan", "works.csv", "--source", "works", "--column", "2").output


def test_a_plan_beyond_the_calendar_is_told(home: Path, run: Run) -> None:
    """No date has five digits in its year."""
    (home / "collector.toml").write_text('[source.a]\nurl = "https://a.org/{id}"\nlimit = ["1/3000d"]\n')
    assert "finish         about after the year 9998 if it began now" in run("plan", "ids.txt").output
    assert json.loads(run("plan", "ids.txt", "--json").output)["finish"]["likely"] is None


def test_a_name_of_any_bytes_harms_no_terminal(home: Path, run: Run) -> None:
    """Nor does it break the JSON."""
    name = os.fsdecode(b"ids\xff\x1b[31m.txt")
    (home / name).write_bytes((home / "ids.txt").read_bytes())
    assert run("plan", name).output.startswith("file           ids??[31m.txt\n")
    assert json.loads(run("plan", name, "--json").output)["file"] == f"{home}/ids\\xff\x1b[31m.txt"
    (home / name).write_bytes(b"")
    assert run("plan", name).output.startswith("ids??[31m.txt would be rejected: 0 bytes")


def test_a_link_is_followed_as_by_add(home: Path, run: Run) -> None:
    """What is planned is what would be added."""
    (home / "link").symlink_to("ids.txt")
    assert "IDs            2,500\n" in run("plan", "link").output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.txt"], "cannot read nowhere.txt: No such file or directory"),
        (["."], "cannot plan .: it is no regular file"),
        (["x" * 300], "File name too long"),
        (["ids.txt/x"], "Not a directory"),
        (["-"], "save it as a file first"),
        (["ids.txt", "--source", "nope"], "no source 'nope' in "),
        (["ids.txt", "--column", "0"], "--column '0': expected"),
        ([], "Missing argument 'FILE'"),
    ],
)
def test_what_cannot_be_planned_is_wrong_usage(home: Path, run: Run, words: list[str], said: str) -> None:
    """Exit 2 and the cause in plain words."""
    told = run("plan", *words)
    assert (told.exit_code, said in told.output) == (2, True), told.output


@pytest.mark.parametrize(
    ("content", "words", "said"),
    [
        (b"", [], "0 bytes: no IDs in it"),
        (b"%PDF-1.7", [], "this is a PDF"),
        (b"no\nid\n", [], "no ID in it: all 2 lines were refused"),
        (b"id,x\n1,2\n", ["--column", "zz"], "no column 'zz' in it"),
    ],
)
def test_what_intake_would_reject_fails(home: Path, run: Run, content: bytes, words: list[str], said: str) -> None:
    """Exit 1, with the reason that stood in NAME.why.txt."""
    (home / "bad").write_bytes(content)
    told = run("plan", "bad", *words)
    assert told.exit_code == 1
    assert told.output.startswith("bad would be rejected: ")
    assert said in told.output


def test_a_process_of_its_own_says_the_same(home: Path) -> None:
    """`python -m collector plan`: the plan on standard output, an error on standard error."""
    command = [sys.executable, "-m", "collector", "plan"]
    told = subprocess.run([*command, "ids.txt"], cwd=home, capture_output=True, text=True, check=True)
    assert "requests       25, of up to 100 IDs each;" in told.stdout
    assert told.stderr == ""
    failed = subprocess.run([*command, "nowhere"], cwd=home, capture_output=True, text=True, check=False)
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr == "cannot read nowhere: No such file or directory\n"
