"""How fast a dropped file of IDs is taken in, against sqlite3's own executemany of the same rows into the same table.

    python -m bench.intake [--rows 1000000] [--rounds 3] [--shuffled] [--folder DIR]

Both sides commit durably (WAL, synchronous=FULL) and run in turns; the medians count. Ours is the whole service in a
process of its own: the clock runs from the rename into the watch folder to the open batch with its receipt, and
`/status` is asked over HTTP all the while.
"""

import argparse
import json
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from importlib import resources
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event, Thread

from bench.cost import cpu, own_rss, rss

ROWS_A_COMMIT = 10_000
FIRST = 1_500_000_000_000_000_001
ASK_EVERY = 0.02  # seconds
CONFIG = """
root = "state"
default_source = "posts"
[service]
settle = "100ms"
[admin]
listen = "127.0.0.1:0"
[source.posts]
url = "http://127.0.0.1:9/posts"
params = { ids = "{ids}" }
pack = 100
id = '(?:(?:https?://)?(?:www\\.|mobile\\.)?(?:twitter|x)\\.com/\\w+/status(?:es)?/)?([0-9]{1,19})(?:[/?#].*)?'
limit = ["900/15m"]
"""
Figures = dict[str, float]


def bare(file: Path, folder: Path) -> Figures:
    """The rows are in memory before the clock starts."""
    keys = file.read_text().split()
    database = folder / "bare.db"
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -16384")
    schema = resources.files("collector.store") / "schema" / "001_create_tables.sql"
    connection.executescript(schema.read_text())
    began, cpu_before = time.perf_counter(), time.process_time()
    for start in range(0, len(keys), ROWS_A_COMMIT):
        connection.execute("BEGIN IMMEDIATE")
        rows = [(1, key) for key in keys[start : start + ROWS_A_COMMIT]]
        connection.executemany("INSERT OR IGNORE INTO jobs (batch, key) VALUES (?, ?)", rows)
        connection.execute("COMMIT")
    seconds = time.perf_counter() - began
    used = time.process_time() - cpu_before
    wal = (folder / "bare.db-wal").stat().st_size
    connection.close()
    return {"seconds": seconds, "cpu": used, "wal": wal, "rss": own_rss()}


def alone(file: Path, folder: Path, answer: "Connection[Figures, None]") -> None:
    """The bare side, in a process of its own."""
    answer.send(bare(file, folder))


def taken_in(file: Path, folder: Path) -> Figures:
    """The service takes the file in and is ended before it asks for anything."""
    (folder / "collector.toml").write_text(CONFIG)
    command = [sys.executable, "-m", "collector", "run", "--json", "--config", str(folder / "collector.toml")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            address = told(process.stderr, "ready")["admin"].removeprefix("http://")
            part = folder / "state" / "watch" / ".ids.txt.part"
            part.write_bytes(file.read_bytes())
            with asking(address, folder / "state" / "collector.db-wal") as worst:
                began, used = time.perf_counter(), cpu(process.pid)
                part.rename(part.with_name("ids.txt"))
                ids = float(told(process.stderr, "batch_opened")["ids"])
                seconds, used = time.perf_counter() - began, cpu(process.pid) - used
            return {"seconds": seconds, "cpu": used, "ids": ids, "rss": rss(process.pid), **worst}
        finally:
            process.kill()


def told(log: Iterator[str], event: str) -> dict[str, str]:
    """The first line of the log that tells of an event."""
    return next(line for text in log if (line := json.loads(text))["event"] == event)


@contextmanager
def asking(address: str, wal: Path) -> Iterator[Figures]:
    """Asks for `/status` all the while, and yields the longest time it took and the largest WAL seen."""
    worst: Figures = {"status": 0.0, "wal": 0.0}
    done = Event()

    def ask() -> None:
        connection = HTTPConnection(address)
        while not done.wait(ASK_EVERY):
            began = time.perf_counter()
            connection.request("GET", "/status")
            connection.getresponse().read()
            worst["status"] = max(worst["status"], time.perf_counter() - began)
            with suppress(FileNotFoundError):
                worst["wal"] = max(worst["wal"], wal.stat().st_size)
        connection.close()

    thread = Thread(target=ask)
    thread.start()
    try:
        yield worst
    finally:
        done.set()
        thread.join()


def measured(rows: int, rounds: int, shuffled: bool, where: str | None) -> list[tuple[str, list[Figures]]]:
    """Both sides in turns."""
    ours: list[Figures] = []
    theirs: list[Figures] = []
    with tempfile.TemporaryDirectory(dir=where) as top:
        file = Path(top) / "ids.txt"
        ids = [FIRST + 7_919 * i for i in range(rows)]
        if shuffled:
            random.Random(1).shuffle(ids)
        file.write_text("".join(f"{number}\n" for number in ids))
        del ids
        for _ in range(rounds):
            with tempfile.TemporaryDirectory(dir=top) as folder:
                receiver, sender = Pipe(duplex=False)
                process = Process(target=alone, args=(file, Path(folder), sender))
                process.start()
                theirs.append(receiver.recv())
                process.join()
            with tempfile.TemporaryDirectory(dir=top) as folder:
                ours.append(taken_in(file, Path(folder)))
    assert all(run["ids"] == rows for run in ours)
    return [("bare", theirs), ("collector", ours)]


def report(rows: int, sides: list[tuple[str, list[Figures]]]) -> None:
    """The table of medians and maxima."""
    speeds = []
    ours = sides[-1][1]
    print(f"{rows:,} IDs, median of {len(ours)} rounds\n\n{'':<10} {'IDs/s':>9} {'peak RSS':>9} {'peak WAL':>9}")
    for name, runs in sides:
        speeds.append(rows / statistics.median(run["seconds"] for run in runs))
        rss, wal = (max(run[key] for run in runs) / 1e6 for key in ("rss", "wal"))
        print(f"{name:<10} {speeds[-1]:>9,.0f} {rss:>6.0f} MB {wal:>6.1f} MB")
    print(f"\nratio {speeds[1] / speeds[0]:.2f}")
    print(f"longest GET /status meanwhile {max(run['status'] for run in ours) * 1000:.0f} ms")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shuffled", action="store_true", help="IDs in no order")
    parser.add_argument("--folder", help="where to work; the disk counts")
    given = parser.parse_args()
    report(given.rows, measured(given.rows, given.rounds, given.shuffled, given.folder))


if __name__ == "__main__":
    main()
