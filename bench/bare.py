"""The loops that speed is measured against, each in a process of its own: the least that anybody would have to do.

    python -m bench.bare http PREFIX CALLS CONCURRENCY     GET PREFIX + ID, body read, nothing kept
    python -m bench.bare packed PREFIX CALLS CONCURRENCY   GET PREFIX + 100 IDs, JSON parsed, one executemany a call
    python -m bench.bare update JOBS -                     executemany of 2,000 rows a commit that makes jobs found
    python -m bench.bare insert ROWS asc|random            executemany of 10,000 rows a commit, four columns
    python -m bench.bare same ROWS asc|random              the same into the service's own table
    python -m bench.bare select DATABASE FILE              the body of each item to a file
    python -m bench.bare serve                             an aiohttp server that nobody asks; tells its port

What is written is written durably (WAL, synchronous=FULL). Answers units a second, and the process's cost, as JSON.
"""

import asyncio
import json
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from importlib import resources
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from bench.answering import PACK
from bench.cost import Cost, own_rss
from collector.cli.serve import in_loop

FIRST = 10**17  # both sides ask for the same IDs
FIRST_ROW = 1_500_000_000_000_000_001
STEP = 7_919  # from one row's ID to the next
FOUND_A_COMMIT = 2_000
ROWS_A_COMMIT = 10_000
SCHEMA = resources.files("collector.store") / "schema" / "001_create_tables.sql"
OWN = f"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -16384; {SCHEMA.read_text()}"
TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE jobs (batch INTEGER, key TEXT, state INTEGER, attempts INTEGER, PRIMARY KEY (batch, key)) WITHOUT ROWID;
CREATE TABLE items (id INTEGER PRIMARY KEY, key TEXT, body TEXT);
"""


async def asked(prefix: str, calls: int, at_once: int, pack: int, sink: Callable[[bytes], None]) -> Cost:
    """So many calls, so many at once."""
    numbers = iter(range(calls))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=at_once)) as session:

        async def one() -> None:
            for number in numbers:
                keys = ",".join(str(FIRST + number * pack + place) for place in range(pack))
                async with session.get(prefix + keys) as answer:
                    sink(await answer.read())

        began, cpu = time.perf_counter(), time.process_time()
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(one())
        seconds = time.perf_counter() - began
        return Cost(calls * pack / seconds, (time.process_time() - cpu) / (calls * pack), own_rss())


def database(folder: str, tables: str = TABLES) -> sqlite3.Connection:
    """An empty one."""
    connection = sqlite3.connect(Path(folder) / "bare.db", isolation_level=None)
    connection.executescript(tables)
    return connection


def packed(prefix: str, calls: int, at_once: int) -> Cost:
    """Each answer parsed and kept in a commit of its own."""
    with tempfile.TemporaryDirectory() as folder:
        connection = database(folder)

        def keep(body: bytes) -> None:
            items: list[dict[str, Any]] = json.loads(body)["data"]
            connection.execute("BEGIN")
            rows = [(item["id"], json.dumps(item)) for item in items]
            connection.executemany("INSERT INTO items (key, body) VALUES (?, ?)", rows)
            connection.execute("COMMIT")

        cost: Cost = in_loop(asked(prefix, calls, at_once, PACK, keep))
        return cost


def updated(jobs: int) -> Cost:
    """Jobs that are found, and nothing asked for them."""
    with tempfile.TemporaryDirectory() as folder:
        connection = database(folder)
        keys = [str(FIRST + number) for number in range(jobs)]
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO jobs VALUES (1, ?, 0, 0)", [(key,) for key in keys])
        connection.execute("COMMIT")
        began, cpu = time.perf_counter(), time.process_time()
        for start in range(0, jobs, FOUND_A_COMMIT):
            connection.execute("BEGIN")
            rows = [(1, key) for key in keys[start : start + FOUND_A_COMMIT]]
            connection.executemany("UPDATE jobs SET state = 1 WHERE batch = ? AND key = ?", rows)
            connection.execute("COMMIT")
        seconds = time.perf_counter() - began
        return Cost(jobs / seconds, (time.process_time() - cpu) / jobs, own_rss())


def row_ids(rows: int, order: str) -> Iterable[int]:
    """IDs of 19 digits for so many rows, ascending or in no order; the same at each call."""
    ids = range(FIRST_ROW, FIRST_ROW + rows * STEP, STEP)
    return random.Random(1).sample(ids, rows) if order == "random" else ids


def inserted(rows: int, order: str, tables: str, statement: str) -> Cost:
    """IDs that are written down; as numbers they are in memory before the clock starts."""
    with tempfile.TemporaryDirectory() as folder:
        connection = database(folder, tables)
        ids = list(row_ids(rows, order))
        began, cpu = time.perf_counter(), time.process_time()
        for start in range(0, rows, ROWS_A_COMMIT):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(statement, [(str(number),) for number in ids[start : start + ROWS_A_COMMIT]])
            connection.execute("COMMIT")
        seconds = time.perf_counter() - began
        return Cost(rows / seconds, (time.process_time() - cpu) / rows, own_rss())


def selected(path: str, file: str) -> Cost:
    """Items that are read and written, a line each."""
    began, cpu, items = time.perf_counter(), time.process_time(), 0
    with open(file, "w") as lines:
        for (body,) in sqlite3.connect(path).execute("SELECT body FROM items"):
            lines.write(body + "\n")
            items += 1
    seconds = time.perf_counter() - began
    return Cost(items / seconds, (time.process_time() - cpu) / items, own_rss())


async def serving() -> None:
    """Until it is ended."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({})

    app = web.Application()
    app.router.add_get("/status", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Reads the command line."""
    match sys.argv[1:]:
        case ["http", prefix, calls, at_once]:
            cost = in_loop(asked(prefix, int(calls), int(at_once), 1, lambda body: None))
        case ["packed", prefix, calls, at_once]:
            cost = packed(prefix, int(calls), int(at_once))
        case ["update", jobs, *_]:
            cost = updated(int(jobs))
        case ["insert", rows, "asc" | "random" as order]:
            cost = inserted(int(rows), order, TABLES, "INSERT OR IGNORE INTO jobs VALUES (1, ?, 0, 0)")
        case ["same", rows, "asc" | "random" as order]:
            cost = inserted(int(rows), order, OWN, "INSERT OR IGNORE INTO jobs (batch, key) VALUES (1, ?)")
        case ["select", path, file]:
            cost = selected(path, file)
        case ["serve"]:
            in_loop(serving())
            return
        case _:
            raise SystemExit(__doc__)
    print(json.dumps(cost))


if __name__ == "__main__":
    main()
