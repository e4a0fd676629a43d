"""Python sources in the real service: the stop with functions of every kind, and what the commands say of them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from .service import Service, service

NOBODY = "http://127.0.0.1:1"  # its other source is never asked

FUNCTIONS = '''
import asyncio, pathlib, threading, time

HERE = pathlib.Path(__file__).parent

def said(word):
    with (HERE / "said").open("w") as pipe:
        pipe.write(f"{word}\\n")

def quick(work):
    return {"id": work.id, "who": work.config["who"]}

def counted(work):
    if work.id == "500":
        said("500")
    return {"id": work.id}

async def counted_awaited(work):
    return counted(work)

def slept(work):
    """Deaf to everything, within C."""
    said(work.id)
    time.sleep(1_000)

def spun(work):
    said(work.id)
    while True:
        sum(range(10_000))

def blocked(work):
    said(work.id)
    threading.Lock().acquire() and threading.Event().wait()

def reading(work):
    said(work.id)
    while True:
        list(work.items("posts"))

def telling(work):
    work.progress("3 of 10")
    said(work.id)
    work.cancelled.wait()

def polite(work):
    said(work.id)
    work.cancelled.wait()
    said(f"{work.id} ended")
    return {"id": "half of it"}

async def awaited(work):
    said(work.id)
    try:
        await asyncio.sleep(1_000)
    finally:
        said(f"{work.id} ended")

async def soon(work):
    said(work.id)
    while not (HERE / "go").exists():
        await asyncio.sleep(0.01)
    return {"id": work.id}
'''


def table(function: str, **keys: str) -> str:
    """A source beside the one that every service of the tests has."""
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return f'pack = 1\n[source.made]\ncall = "annotate:{function}"\noptions = {{ who = "us" }}\n{lines}'


@pytest.fixture
def functions(tmp_path: Path) -> Iterator[IO[str]]:
    """The module beside the configuration, and the pipe that its functions speak into."""
    (tmp_path / "annotate.py").write_text(FUNCTIONS)
    os.mkfifo(tmp_path / "said")
    with open(os.open(tmp_path / "said", os.O_RDWR)) as pipe:  # for writing too, so that it never ends
        yield pipe


def heard(pipe: IO[str], words: int) -> list[str]:
    """So many words, whoever said them first."""
    return sorted(pipe.readline().strip() for _ in range(words))


def drop(run: Service, *ids: str) -> None:
    watch = run.root / "watch" / "made"
    part = run.root / "watch" / ".ids.part"
    part.write_text("".join(f"{key}\n" for key in ids))
    part.rename(watch / "ids.txt")


def begun(run: Service, pipe: IO[str], *ids: str) -> None:
    """The service runs, and the function was called for each of these IDs."""
    run.start()
    run.until("ready")
    drop(run, *ids)
    assert heard(pipe, len(ids)) == [*ids]


def stopped(run: Service) -> float:
    """Stopped in good order: the seconds that it took."""
    began = time.monotonic()
    run.terminate()
    run.until("stopped")
    assert run.ended() == 0
    return time.monotonic() - began


def left_behind(run: Service) -> dict[str, Any]:
    """The line of the log that names the runs whose threads did not end."""
    lines = [json.loads(line) for line in run.log.read_text().splitlines() if line.startswith("{")]
    found: dict[str, Any]
    [found] = [line for line in lines if line["event"] == "runs_left_behind"]
    events = [line["event"] for line in lines]
    assert events.index("runs_left_behind") == events.index("stopped") - 1
    assert "loop_trouble" not in events
    return found


@pytest.mark.parametrize("function", ["counted", "counted_awaited"])
def test_a_kill_among_quick_runs_loses_none_and_keeps_none_twice(
    tmp_path: Path, functions: IO[str], function: str
) -> None:
    """What was done and not yet written down is done again."""
    ids = [str(n) for n in range(4_000)]
    with service(tmp_path, NOBODY, table(function)) as run:
        run.start()
        run.until("ready")
        drop(run, *ids)
        assert heard(functions, 1) == ["500"]
        run.kill()
        run.start()
        run.until("results_written")
        assert run.rows("SELECT count(*), count(DISTINCT job) FROM items") == [(4_000, 4_000)]


@pytest.mark.parametrize("function", ["slept", "spun", "blocked"])
def test_threads_that_do_not_end_keep_no_process(tmp_path: Path, functions: IO[str], function: str) -> None:
    """Whether they sleep, compute or wait for a lock: the service says which IDs they were, ends with 0, and owes
    them."""
    with service(tmp_path, NOBODY, table(function, timeout='"1h"', parallel="2"), grace="100ms") as run:
        begun(run, functions, "1", "2")
        assert stopped(run) < 6
        told = left_behind(run)
        assert (told["source"], sorted(told["ids"]), told["more"]) == ("made", ["1", "2"], 0)
        assert run.books() == {"queued": 2}


def test_a_run_that_reads_the_database_at_the_stop_ends_with_it(tmp_path: Path, functions: IO[str]) -> None:
    """Its next read is refused, so its thread ends before the store is closed."""
    with service(tmp_path, NOBODY, table("reading", timeout='"1h"'), grace="100ms") as run:
        begun(run, functions, "1")
        stopped(run)
        assert "runs_left_behind" not in run.log.read_text()
        assert run.books() == {"queued": 1}


def test_what_a_plain_function_returns_once_it_is_asked_to_end_is_not_kept(tmp_path: Path, functions: IO[str]) -> None:
    """Nobody can tell whether it is the whole of it; the ID is owed."""
    with service(tmp_path, NOBODY, table("polite", timeout='"1h"'), grace="100ms") as run:
        begun(run, functions, "1")
        stopped(run)
        assert heard(functions, 1) == ["1 ended"]
        assert "runs_left_behind" not in run.log.read_text()
        assert run.books() == {"queued": 1}
        assert run.rows("SELECT * FROM items") == []


def test_an_async_function_is_cancelled_after_the_grace(tmp_path: Path, functions: IO[str]) -> None:
    """It may tidy up; its ID is owed."""
    with service(tmp_path, NOBODY, table("awaited", timeout='"1h"'), grace="100ms") as run:
        begun(run, functions, "1")
        stopped(run)
        assert heard(functions, 1) == ["1 ended"]
        assert run.books() == {"queued": 1}


def test_an_async_function_that_ends_within_the_grace_is_recorded(tmp_path: Path, functions: IO[str]) -> None:
    """As an answer of a call in the air is."""
    with service(tmp_path, NOBODY, table("soon", timeout='"1h"'), grace="8s") as run:
        begun(run, functions, "1")
        run.terminate()
        run.until("stopping")
        (tmp_path / "go").touch()
        run.until("stopped")
        assert run.ended() == 0
        assert run.books() == {"found": 1}


def test_what_runs_say_is_in_the_status(tmp_path: Path, functions: IO[str]) -> None:
    """For programs and for people; a source whose runs say nothing has no such key."""
    with service(tmp_path, NOBODY, table("telling", timeout='"1h"'), grace="100ms") as run:
        begun(run, functions, "1")
        sources = run.status()["sources"]
        [doing] = sources["made"]["doing"]
        assert (doing["id"], doing["says"], doing["since"][-1]) == ("1", "3 of 10", "Z")
        assert "doing" not in sources["posts"]
        assert "source made: running\n  1: 3 of 10\n" in command(run, "status").stdout


def command(run: Service, *words: str) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, "-m", "collector", *words, "--config", str(run.config)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_the_commands_know_a_function(tmp_path: Path, functions: IO[str]) -> None:
    """`check` shows and imports it, and `plan` counts a call an ID."""
    with service(tmp_path, NOBODY, table("quick", limit='["100/1s"]')) as run:
        assert "  made: annotate:quick, one ID a call, 100 calls in 1 s\n" in command(run, "check").stdout
        assert json.loads(command(run, "check", "--json").stdout)["sources"]["made"]["call"] == "annotate:quick"
        (tmp_path / "some.txt").write_text("1\n2\n3\n")
        planned = command(run, "plan", str(tmp_path / "some.txt"), "--source", "made")
        assert "requests       3, of one ID each" in planned.stdout
        (tmp_path / "annotate.py").write_text("def other(work): ...")
        refused = command(run, "check")
        assert refused.returncode == 2
        assert "which has other" in refused.stderr


def test_the_files_of_a_batch_know_a_function(tmp_path: Path, functions: IO[str]) -> None:
    """The receipt and the report name it, its objects are there, and a changed module wants a restart."""
    with service(tmp_path, NOBODY, table("quick", limit='["100/1s"]')) as run:
        run.start()
        run.until("ready")
        drop(run, "1", "2", "3")
        run.until("results_written")
        [folder] = (run.root / "batches").iterdir()
        assert "3 requests of one ID" in (folder / "receipt.txt").read_text()
        assert "annotate:quick" in (folder / "report.md").read_text()
        items = [json.loads(line)["item"] for line in (folder / "found.jsonl").read_text().splitlines()]
        assert items == [{"id": key, "who": "us"} for key in ("1", "2", "3")]
        (tmp_path / "annotate.py").write_text(FUNCTIONS + "\nmore = 1\n")
        assert "restart" in command(run, "reload").stdout
