"""How fast a dropped file of IDs is taken in, against sqlite3's own executemany of the same rows.

    python -m bench.intake [--rows 1000000] [--rounds 3] [--shuffled] [--reference bare.py]

All sides commit durably (WAL, synchronous=FULL) and run in turns; the medians count. Ours is the whole service in a
process of its own: the clock runs from the rename into the watch folder to the open batch with its receipt, and
`/status` is asked over HTTP all the while.
"""

import argparse
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple

from bench.bare import row_ids
from bench.cost import Cost, cpu, rss
from bench.loops import HALF, HEADS, Costs, agreement, bare, faster, medians, reference, rows
from bench.results import Figure, Section, Wanted

ASK_EVERY = 0.02  # seconds
SMALL = Wanted(most=50)  # bytes for an ID of 19 digits
LIGHT = Wanted(most=150)  # MB
PACE = Wanted(least=150_000)  # IDs a second, in order
HOW = """\
{rows:,} IDs of 19 digits, {order}. The bare loop inserts them into a table of four columns, one executemany and one \
commit for each 10,000 rows; `same table` is the service's own with its checks. The service reads a \
dropped file: the clock runs from the rename to the open batch with its receipt, and `/status` is asked all the while. \
An ID's bytes are those of the database's pages while all IDs are queued."""
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


class Taken(NamedTuple):
    """One file that the service took in."""

    cost: Cost
    wal: int  # bytes, at most
    status: float  # seconds, at most
    size: int  # bytes of the database
    folder: int  # bytes of all that lies in the state folder


def taken_in(file: Path, ids: int, folder: Path) -> Taken:
    """The service takes the file in and is ended before it asks for anything."""
    (folder / "collector.toml").write_text(CONFIG)
    state = folder / "state"
    command = [sys.executable, "-m", "collector", "run", "--json", "--config", str(folder / "collector.toml")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            address = told(process.stderr, "ready")["admin"].removeprefix("http://")
            part = state / "watch" / ".ids.txt.part"
            part.write_bytes(file.read_bytes())
            with asking(address, state / "collector.db-wal") as worst:
                began, used = time.perf_counter(), cpu(process.pid)
                part.rename(part.with_name("ids.txt"))
                assert int(told(process.stderr, "batch_opened")["ids"]) == ids
                seconds, used = time.perf_counter() - began, cpu(process.pid) - used
            cost = Cost(ids / seconds, used / ids, rss(process.pid))
        finally:
            process.kill()
    lies = sum(path.stat().st_size for path in state.rglob("*") if path.is_file())
    return Taken(cost, int(worst["wal"]), worst["status"], pages(state / "collector.db"), lies)


def pages(database: Path) -> int:
    """Bytes of a database, what is still in its WAL with them."""
    with closing(sqlite3.connect(database)) as connection:
        [(size,)] = connection.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
    return int(size)


def told(log: Iterator[str], event: str) -> dict[str, str]:
    """The first line of the log that tells of an event."""
    return next(line for text in log if (line := json.loads(text))["event"] == event)


@contextmanager
def asking(address: str, wal: Path) -> Iterator[dict[str, float]]:
    """Asks for `/status` all the while, and yields the longest time it took and the largest WAL seen."""
    worst = {"status": 0.0, "wal": 0.0}
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


def compare(ids: int, rounds: int, order: str, program: str | None) -> Section:
    """All sides in turns; the order is `asc` or `random`."""
    costs: Costs = {}
    ours: list[Taken] = []
    with tempfile.TemporaryDirectory() as top:
        file = Path(top) / "ids.txt"
        with file.open("w") as lines:
            lines.writelines(f"{number}\n" for number in row_ids(ids, order))
        for _ in range(rounds):
            costs.setdefault("bare", []).append(bare("insert", str(ids), order))
            costs.setdefault("same table", []).append(bare("same", str(ids), order))
            if program:
                costs.setdefault("reference", []).append(reference(program, "insert", str(ids), order))
            with tempfile.TemporaryDirectory(dir=top) as folder:
                ours.append(taken_in(file, ids, Path(folder)))
            costs.setdefault("collector", []).append(ours[-1].cost)
    how = HOW.format(rows=ids, order="in no order" if order == "random" else "ascending")
    return Section(
        f"intake-{order}", how, HEADS, rows(costs), [*quick(costs, order), *small(ours, ids)], [beside(ours, ids)]
    )


def quick(costs: Costs, order: str) -> list[Figure]:
    """Speed, beside a loop that writes into the service's own table too."""
    speed = Figure("speed against the same table", faster(costs["collector"], costs["same table"]), HALF)
    pace = Figure("IDs/s", medians(costs["collector"]).speed, PACE, "{:,.0f}")
    return [*agreement(costs), speed, *([pace] if order == "asc" else [])]


def small(ours: list[Taken], ids: int) -> list[Figure]:
    """Room on the disk and in memory, at most."""
    return [
        Figure("bytes for a queued ID", max(run.size for run in ours) / ids, SMALL, "{:.1f}"),
        Figure("peak memory", max(run.cost.rss for run in ours) / 1e6, LIGHT, "{:.0f} MB"),
    ]


def beside(ours: list[Taken], ids: int) -> str:
    """What else was seen, and nothing is wanted of."""
    wal, folder = max(run.wal for run in ours) / 1e6, max(run.folder for run in ours) / ids
    status = max(run.status for run in ours) * 1000
    text = f"Longest `GET /status` meanwhile {status:.0f} ms; largest WAL {wal:.1f} MB; "
    return text + f"all that lay in the state folder, WAL and file with it, {folder:.1f} bytes an ID."


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shuffled", action="store_true", help="IDs in no order")
    parser.add_argument("--reference", help="a program with the same bare loop, to be told beside ours")
    given = parser.parse_args()
    print(compare(given.rows, given.rounds, "random" if given.shuffled else "asc", given.reference).text())


if __name__ == "__main__":
    main()
