"""`export`."""

import csv
import io
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from collector.clock import Clock
from collector.model import BatchId, Found, Gone, Item, Result
from collector.output import export
from collector.store import store as stores
from collector.store.store import Store
from tests.cli.conftest import Run

CONFIG = """
[source.posts]
url = "https://api.example.org/posts/{id}"
columns = { text = "text", author = "author_id", tags = "tags[*]" }

[source.users]
url = "https://api.example.org/users/{id}"
"""
KEYS = [str(1_500_000_000_000_000_000 + n) for n in range(1_200)]


def body(key: str) -> str:
    return f'{{"id": "{key}", "text": "=1+{key[-3:]}", "author_id": {key}, "tags": ["a", "b"]}}'


async def collect(store: Store, source: str, keys: list[str], same: list[str]) -> BatchId:
    batch = await store.batches.begin(source, f"of {source}", "file")
    batch, _ = await store.batches.load_chunk(batch, [*keys, *same, "9"], 1)
    batch = await store.batches.open(batch, lines=1, refused=0, digest="", layout="", warnings=[])
    jobs = await store.jobs.queued(batch.id, "", 10_000)
    outcomes = {"9": Gone("deleted")} | {key: Found((Item(f"{key}-own", body(key)),)) for key in keys}
    outcomes |= {key: Found(same_as=BatchId(1)) for key in same}
    made = tuple((job, outcomes[job.key]) for job in jobs)
    await store.jobs.record([Result(source, tuple(jobs), made, at=1_700_000_000.0)])
    return batch.id


@pytest.fixture
async def home(folder: Path) -> Path:
    """A folder with two batches of posts, the second of which shares IDs with the first, and one of users."""
    (folder / "collector.toml").write_text(CONFIG)
    async with stores.opened(folder / "collector.db", Clock()) as store:
        await collect(store, "posts", KEYS[:1_000], [])
        await collect(store, "posts", KEYS[1_000:], KEYS[:1_000:3])
        await collect(store, "users", KEYS[:2], [])
        for batch in (1, 2):
            await export.found_jsonl(store, BatchId(batch), folder / f"found-{batch}.jsonl", pulse)
    return folder


async def pulse() -> None:
    """Nobody waits."""


def rows(text: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.decode(), newline=""), strict=True))


@pytest.mark.parametrize("batch", ["1", "2"])
def test_jsonl_is_the_found_jsonl_of_the_batch(home: Path, run: Run, batch: str) -> None:
    """Byte for byte, with what an earlier batch had found; what was done is said beside it."""
    told = run("export", batch)
    assert told.exit_code == 0
    assert told.stdout_bytes == (home / f"found-{batch}.jsonl").read_bytes()
    items = {"1": 1_000, "2": 534}[batch]
    assert told.stderr == (
        f"wrote {items:,} items of 000{batch}-of posts to standard output"
        f" ({items:,} of {items + 1:,} IDs found, the batch is finished)\n"
    )


def test_csv_has_the_declared_columns(home: Path, run: Run) -> None:
    """IDs as text in their own digits, formulas guarded, lists as JSON."""
    told = run("export", "0001-of posts", "--format", "csv", "--output", "out.csv")
    assert told.exit_code == 0
    assert (
        told.output
        == "wrote 1,000 items of 0001-of posts to out.csv (1,000 of 1,001 IDs found, the batch is finished)\n"
    )
    [head, *lines] = rows((home / "out.csv").read_bytes())
    assert head == ["job", "key", "fetched_at", "text", "author", "tags"]
    at = "2023-11-14T22:13:20.000Z"
    assert lines == [[key, f"{key}-own", at, f"'=1+{key[-3:]}", key, '["a","b"]'] for key in KEYS[:1_000]]


def test_a_source_without_columns_has_its_items_whole(home: Path, run: Run) -> None:
    """So has one that is no longer declared."""
    expected = [[key, f"{key}-own", "2023-11-14T22:13:20.000Z", body(key)] for key in KEYS[:2]]
    for config in (CONFIG, CONFIG.replace("source.users", "source.others")):
        (home / "collector.toml").write_text(config)
        assert rows(run("export", "3", "--format", "csv").stdout_bytes) == [
            ["job", "key", "fetched_at", "item"],
            *expected,
        ]


def test_for_a_program_it_is_one_document(home: Path, run: Run) -> None:
    """On standard output, or beside the items."""
    facts = json.loads(run("export", "2", "--output", "x.jsonl", "--json").stdout)
    assert facts == {
        "batch": 2,
        "folder": "0002-of posts",
        "source": "posts",
        "state": "finished",
        "format": "jsonl",
        "file": str(home / "x.jsonl"),
        "items": 534,
        "jobs": {"found": 534, "gone": 1},
        "columns": None,
        "unfit": 0,
    }
    beside = run("export", "2", "--json", "--format", "csv")
    assert json.loads(beside.stderr) | {"format": "jsonl", "file": facts["file"], "columns": None} == facts


def test_it_reads_and_leaves_nothing(home: Path, run: Run) -> None:
    """No file beside the database, none beside the output."""
    before = {path: path.stat().st_mtime_ns for path in home.iterdir()}
    run("export", "1")
    run("export", "1", "--output", "out.jsonl")
    after = {path: path.stat().st_mtime_ns for path in home.iterdir()}
    assert after.pop(home / "out.jsonl")
    assert after == before


async def test_while_the_service_works_what_is_committed_is_exported(home: Path) -> None:
    """And the database goes on being written to meanwhile."""
    async with stores.opened(home / "collector.db", Clock()) as store:
        command = [sys.executable, "-m", "collector", "export", "2", "--format", "jsonl"]
        with subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE) as process:
            await collect(store, "posts", ["a", "b"], [])
            said, _ = process.communicate()
        assert said == (home / "found-2.jsonl").read_bytes()
        assert process.returncode == 0


def test_an_older_file_stays_until_the_new_one_is_whole(home: Path, run: Run) -> None:
    """A database that breaks in the middle leaves what was there."""
    (home / "out.csv").write_text("before")
    with sqlite3.connect(home / "collector.db") as db:
        db.execute("UPDATE items SET body = 'no json' WHERE job = ?", (KEYS[700],))
    db.close()
    told = run("export", "1", "--format", "csv", "--output", "out.csv")
    assert told.exit_code == 1
    assert "cannot be read: malformed JSON" in told.output
    assert (home / "out.csv").read_text() == "before"
    assert not list(home.glob(".*"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["7"], "no batch '7'; give its number or the name of its folder (the latest: 0003-of users, 0002-of posts"),
        (["0001-ids"], "no batch '0001-ids'"),
        (["ids"], "no batch 'ids'"),
        (["99999999999999999999"], "no batch"),
        (["1", "--format", "parquet"], "'parquet' is not one of"),
        (["1", "--output", "."], "cannot write .: it is no regular file"),
        (["1", "--output", "/dev/null"], "cannot write /dev/null: it is no regular file"),
        ([], "Missing argument 'BATCH'"),
    ],
)
def test_what_cannot_be_exported_is_wrong_usage(home: Path, run: Run, words: list[str], said: str) -> None:
    """Exit 2, the cause and what there is."""
    told = run("export", *words)
    assert (told.exit_code, said in told.output) == (2, True), told.output


def test_a_place_that_cannot_be_written_is_told(home: Path, run: Run) -> None:
    """In plain words; exit 1."""
    told = run("export", "1", "--output", "nowhere/x.csv")
    assert (told.exit_code, told.output.count("\n")) == (1, 1)
    assert told.output.startswith(f"cannot write {home}/nowhere/x.csv: No such file or directory")


def test_an_error_in_the_middle_is_no_line_among_the_items(home: Path) -> None:
    """A program that reads them line by line would take it for one."""
    command = f"{sys.executable} -m collector export 1 --json > /dev/full"
    done = subprocess.run(["bash", "-c", command], cwd=home, capture_output=True, text=True, check=False)
    why = "cannot write standard output: No space left on device; nothing else was changed"
    assert (done.returncode, json.loads(done.stderr)) == (1, {"error": why})


def test_an_answer_that_nobody_can_be_given_is_told_beside(home: Path) -> None:
    """Without a traceback, and what was done is done."""
    command = f"{sys.executable} -m collector check --json > /dev/full"
    done = subprocess.run(["bash", "-c", command], cwd=home, capture_output=True, text=True, check=False)
    why = "it was done, but standard output cannot be written: No space left on device"
    assert (done.returncode, json.loads(done.stderr)) == (1, {"error": why})


def test_long_names_are_told_by_their_beginnings(home: Path, run: Run) -> None:
    """The number that each begins with is enough."""
    told = run("export", "n" * 190)
    assert told.output.startswith(f"no batch '{'n' * 60}…'; give its number")


def test_a_folder_as_the_shell_completes_it_names_the_batch(home: Path, run: Run) -> None:
    """With what leads to it and a slash behind it."""
    assert run("export", "batches/0003-of users/", "--output", "x").exit_code == 0


def test_before_the_first_start_there_is_nothing(folder: Path, run: Run) -> None:
    """Which is no fault of ours."""
    told = run("export", "1")
    assert (told.exit_code, "nothing was collected yet" in told.output) == (1, True)


def test_a_reader_that_goes_away_ends_it_quietly(home: Path) -> None:
    """As `| head` does."""
    command = f"{sys.executable} -m collector export 1 | head -n 1"
    done = subprocess.run(["bash", "-c", command], cwd=home, capture_output=True, text=True, check=False)
    assert (done.stdout.count("\n"), done.stderr) == (1, "")


@pytest.fixture
async def weeks(folder: Path) -> Path:
    """The same file three times: asked anew the second, and the third told that it was known."""
    (folder / "collector.toml").write_text(CONFIG)
    database = folder / "collector.db"
    async with stores.opened(database, Clock()) as store:
        for week, likes in enumerate((5, 8, None), 1):
            batch = await store.batches.begin("posts", f"panel-{week}", "file")
            batch, _ = await store.batches.load_chunk(batch, ["7"], 1)
            batch = await store.batches.open(batch, lines=1, refused=0, digest="", layout="", warnings=[])
            seen = (Item("7", f'{{"id": "7", "likes": {likes}}}'),) if likes else ()
            found = Found(seen, same_as=None if seen else BatchId(2))
            [job] = await store.jobs.queued(batch.id, "", 1)
            await store.jobs.record([Result("posts", (job,), ((job, found),), at=1_700_000_000.0 + week * 604_800)])
            await store.batches.written(store.batches.get(batch.id))
    return database


def test_each_version_of_an_object_is_kept_and_exported_with_its_batch(weeks: Path, run: Run) -> None:
    """A prune takes those that no later batch names."""

    def versions() -> list[tuple[int, int]]:
        with closing(sqlite3.connect(weeks)) as db:
            return db.execute(
                "SELECT batch, json_extract(body, '$.likes') FROM items"
                " WHERE source = 'posts' AND key = '7' ORDER BY fetched_at"
            ).fetchall()

    def exported(batch: int) -> list[int]:
        return [json.loads(line)["item"]["likes"] for line in run("export", str(batch)).stdout.splitlines()]

    assert versions() == [(1, 5), (2, 8)]
    assert [exported(batch) for batch in (1, 2, 3)] == [[5], [8], [8]]
    with closing(sqlite3.connect(weeks)) as db, db:
        db.execute("UPDATE batches SET finished_at = '2001-01-01T00:00:00.000Z' WHERE id < 3")
    assert run("prune", "--older-than", "90d", "--yes").exit_code == 0
    assert versions() == [(2, 8)]
    assert exported(3) == [8]
