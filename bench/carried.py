"""The service as it is run: IDs are taken in while it is paused, and the clock runs from the resume to the last ID."""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from bench.bare import FIRST
from bench.cost import Cost, cpu, rss
from collector import config
from collector.cli import control

PATIENCE = 300.0  # seconds for one run
LOOK_EVERY = 0.02  # seconds
HEAD = """\
root = "state"
[service]
consumers = {at_once}
settle = "100ms"
[admin]
listen = "off"
[source.asked]
parallel = {at_once}
"""
MODULE = """\
async def waits(work):
    return None

def plain(work):
    return None
"""


class Run(NamedTuple):
    """What a source is, and how much of it is asked."""

    source: str  # the rest of its table
    jobs: int
    at_once: int


def carried(folder: Path, run: Run, profile: Path | None = None) -> Cost:
    """What all of it cost from the resume on; the profile of the service's loop goes to a file, where one is named."""
    written(folder, run)
    with started(folder, profile) as process:
        assert process.stderr is not None
        until(process.stderr, "ready")
        known = config.load(folder / "collector.toml")
        control.order(known, "/pause")
        part = known.watch / "asked" / ".ids.txt.part"
        part.write_text("".join(f"{FIRST + number}\n" for number in range(run.jobs)))
        part.rename(part.with_name("ids.txt"))
        until(process.stderr, "batch_opened")
        used, began = cpu(process.pid), time.time()
        control.order(known, "/resume")
        seconds = finished(known.database) - began
        return Cost(run.jobs / seconds, (cpu(process.pid) - used) / run.jobs, rss(process.pid))


def written(folder: Path, run: Run) -> None:
    """A configuration, and the functions that it may name."""
    (folder / "doing.py").write_text(MODULE)
    (folder / "collector.toml").write_text(HEAD.format(at_once=run.at_once) + run.source)
    (folder / "state").mkdir()


@contextmanager
def started(folder: Path, profile: Path | None = None) -> Iterator["subprocess.Popen[str]"]:
    """The service, for as long as it is wanted."""
    profiled = ["-m", "cProfile", "-o", str(profile)] if profile else []
    command = [sys.executable, *profiled, "-m", "collector", "run", "--json"]
    with subprocess.Popen(
        [*command, "--config", str(folder / "collector.toml")], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            assert process.stderr is not None
            for _ in process.stderr:  # lest it waits for somebody to read
                pass
            process.wait()


def until(log: Iterator[str], event: str) -> None:
    """Returns when the log tells of an event."""
    before: list[str] = []
    for line in log:
        before.append(line)
        if line.startswith("{") and json.loads(line)["event"] == event:
            return
    raise RuntimeError(f"the service ended before {event}: {''.join(before[-20:])}")


def finished(database: Path) -> float:
    """Waits for the end of batch 1; when it was, in wall time."""
    deadline = time.monotonic() + PATIENCE
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        while True:
            [(at,)] = connection.execute("SELECT finished_at FROM batches WHERE id = 1").fetchall()
            if at is not None:
                lost = connection.execute("SELECT state, jobs FROM counts WHERE state <> 'found' AND jobs > 0")
                assert not (others := lost.fetchall()), f"not everything was found: {others}"
                return datetime.fromisoformat(at).timestamp()
            if time.monotonic() > deadline:
                books = connection.execute("SELECT state, reason, jobs FROM counts").fetchall()
                raise RuntimeError(f"not at its end after {PATIENCE:g} s: {books}")
            time.sleep(LOOK_EVERY)
