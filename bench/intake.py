"""How fast a file of IDs is taken in, against sqlite3's own executemany of the same rows into the same table.

    python bench/intake.py [--rows 1000000] [--rounds 3] [--shuffled] [--folder DIR]

Both sides commit durably (WAL, synchronous=FULL) and run in turns, each in a process of its own; the medians count.
"""

import argparse
import asyncio
import json
import random
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from importlib import resources
from pathlib import Path

ROWS_A_COMMIT = 10_000
FIRST = 1_500_000_000_000_000_001
CONFIG = """
root = "state"
[source.posts]
url = "http://127.0.0.1/posts"
params = { ids = "{ids}" }
pack = 100
id = '(?:(?:https?://)?(?:www\\.|mobile\\.)?(?:twitter|x)\\.com/\\w+/status(?:es)?/)?([0-9]{1,19})(?:[/?#].*)?'
limit = ["900/15m"]
"""


def bare(file: Path, folder: Path) -> dict[str, float]:
    """The rows are in memory before the clock starts."""
    keys = file.read_text().split()
    database = folder / "bare.db"
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -16384")
    schema = resources.files("collector.store") / "schema" / "001_create_tables.sql"
    connection.executescript(schema.read_text())
    began = time.perf_counter()
    for start in range(0, len(keys), ROWS_A_COMMIT):
        connection.execute("BEGIN IMMEDIATE")
        rows = [(1, key) for key in keys[start : start + ROWS_A_COMMIT]]
        connection.executemany("INSERT OR IGNORE INTO jobs (batch, key) VALUES (?, ?)", rows)
        connection.execute("COMMIT")
    seconds = time.perf_counter() - began
    connection.close()
    return {"seconds": seconds}


async def _lag(worst: list[float]) -> None:
    """How late the event loop comes back, at worst."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + 0.002
        await asyncio.sleep(0.002)
        worst[0] = max(worst[0], loop.time() - due)


async def taken_in(file: Path, folder: Path) -> dict[str, float]:
    """The clock runs from the file in the watch folder to the open batch with its receipt."""
    from collector import config
    from collector.clock import Clock
    from collector.intake.loader import Loader
    from collector.store import store

    (folder / "collector.toml").write_text(CONFIG)
    settings = config.load(folder / "collector.toml")
    settings.watch.mkdir(parents=True)
    path = settings.watch / "ids.txt"
    path.write_bytes(file.read_bytes())
    database, clock, worst = settings.root / "collector.db", Clock(), [0.0]
    async with store.opened(database, clock) as opened:
        loader = Loader(settings, opened, clock, lambda _: None)
        snapshots: list[float] = []
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_lag(worst)), group.create_task(_status(settings, opened, clock, snapshots))]
            began = time.perf_counter()
            batch = await loader.take(path, "posts")
            seconds = time.perf_counter() - began
            for task in tasks:
                task.cancel()
        assert batch is not None
        ids = opened.books.of(batch.id).total
    return {"seconds": seconds, "lag": worst[0], "ids": ids, "status": max(snapshots, default=0.0)}


async def _status(settings: object, opened: object, clock: object, took: list[float]) -> None:
    """The time of a snapshot taken meanwhile."""
    from collector.model import Live
    from collector.output import status

    live = Live("running", 0, {}, (), {}, {}, ())
    while True:
        began = time.perf_counter()
        status.snapshot(opened, live, settings.sources, clock.wall(), clock)  # type: ignore[attr-defined,arg-type]
        took.append(time.perf_counter() - began)
        await asyncio.sleep(0.05)


def side(name: str, file: Path, folder: Path) -> None:
    """One run in this process; prints what was measured as JSON."""
    measured = bare(file, folder) if name == "bare" else asyncio.run(taken_in(file, folder))
    measured["rss"] = peak_rss()
    print(json.dumps(measured))


def peak_rss() -> int:
    """Bytes. getrusage also tells what the parent had when it started this process, hence the system's own count."""
    for line in Path("/proc/self/status").read_text().splitlines() if Path("/proc/self/status").exists() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run(name: str, file: Path, folder: Path) -> dict[str, float]:
    """One side in a process of its own, with the largest size that its write-ahead log had."""
    command = [sys.executable, __file__, "--side", name, "--file", str(file), "--folder", str(folder)]
    wal = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            for found in folder.rglob("*-wal"):
                with suppress(FileNotFoundError):
                    wal = max(wal, found.stat().st_size)
            time.sleep(0.02)
        assert process.stdout is not None
        said = process.stdout.read()
    measured: dict[str, float] = json.loads(said.splitlines()[-1])
    return measured | {"wal": wal}


def compare(rows: int, rounds: int, shuffled: bool, where: str | None) -> None:
    """Both sides in turns; prints the table."""
    runs: dict[str, list[dict[str, float]]] = {"bare": [], "collector": []}
    with tempfile.TemporaryDirectory(dir=where) as top:
        file = Path(top) / "ids.txt"
        ids = [FIRST + 7_919 * i for i in range(rows)]
        if shuffled:
            random.Random(1).shuffle(ids)
        file.write_text("".join(f"{number}\n" for number in ids))
        del ids
        for _ in range(rounds):
            for name, measured in runs.items():
                with tempfile.TemporaryDirectory(dir=top) as folder:
                    measured.append(run(name, file, Path(folder)))
    _print(rows, runs)


def _print(rows: int, runs: dict[str, list[dict[str, float]]]) -> None:
    speeds = {name: rows / statistics.median(run["seconds"] for run in measured) for name, measured in runs.items()}
    print(f"{rows:,} IDs, median of {len(runs['bare'])} rounds\n")
    print(f"{'':<10} {'IDs/s':>9} {'peak RSS':>9} {'peak WAL':>9}")
    for name, measured in runs.items():
        rss, wal = (max(run[key] for run in measured) / 1e6 for key in ("rss", "wal"))
        print(f"{name:<10} {speeds[name]:>9,.0f} {rss:>6.0f} MB {wal:>6.1f} MB")
    ours = runs["collector"]
    assert all(run["ids"] == rows for run in ours)
    print(f"\nratio {speeds['collector'] / speeds['bare']:.2f}")
    print(f"worst event-loop lag {max(run['lag'] for run in ours) * 1000:.0f} ms")
    print(f"worst status snapshot meanwhile {max(run['status'] for run in ours) * 1000:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shuffled", action="store_true", help="IDs in no order")
    parser.add_argument("--side", choices=["bare", "collector"], help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help="where to work; the disk counts")
    given = parser.parse_args()
    if given.side:
        side(given.side, given.file, Path(given.folder))
    else:
        compare(given.rows, given.rounds, given.shuffled, given.folder)


if __name__ == "__main__":
    main()
