"""Databases of very many rows, written at once by SQL into the tables that the service makes."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from collector.cli.serve import in_loop
from collector.clock import stamp
from collector.store import database

FIRST = 10**18
STEP = 104_729  # from one ID to the next
SOURCE = "posts"
NUMBERS = "WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < :ids - 1)"
KEY = f"CAST({FIRST} + n * {STEP} AS TEXT)"


def jobs(folder: Path, ids: int, found: int) -> None:
    """One open batch in the state folder below, whose first IDs are found; no batch where there are no IDs."""
    with _writing(folder) as db:
        if ids:
            _batch(db, ids, found)


def items(folder: Path, count: int, rest: str) -> Path:
    """The database of an open batch whose items are {"id": KEY, …} with that rest of a JSON object."""
    with _writing(folder) as db:
        _batch(db, count, count - 1)  # the last one is queued, so that no start would finish it
        db.execute(
            f"{NUMBERS} INSERT INTO items (batch, job, source, key, fetched_at, body)"
            f""" SELECT 1, {KEY}, :source, {KEY}, :now, '{{"id":"' || {KEY} || '",' || :rest || '}}' FROM n""",
            {"ids": count - 1, "source": SOURCE, "now": stamp(time.time()), "rest": rest},
        )
    return folder / "state" / "collector.db"


@contextmanager
def _writing(folder: Path) -> Iterator[sqlite3.Connection]:
    """Fast and in one transaction: nothing else uses the file, and a file that is cut off is thrown away."""
    path = folder / "state" / "collector.db"
    path.parent.mkdir(parents=True)

    async def make() -> None:
        async with database.opened(path):
            pass

    in_loop(make())
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; BEGIN")
        yield db
        db.execute("COMMIT")
        db.execute("PRAGMA journal_mode = WAL")


def _batch(db: sqlite3.Connection, ids: int, done: int) -> None:
    now = stamp(time.time())
    db.execute(
        "INSERT INTO batches (id, source, name, origin, file, state, lines, line, created_at, opened_at)"
        " VALUES (1, ?, 'ids', 'file', 'ids.txt', 'open', ?, ?, ?, ?)",
        (SOURCE, ids, ids, now, now),
    )
    db.execute(
        f"{NUMBERS} INSERT INTO jobs (batch, key, state, finished_at)"
        f" SELECT 1, {KEY}, iif(n < :done, 'found', 'queued'), iif(n < :done, :now, NULL) FROM n",
        {"ids": ids, "done": done, "now": now},
    )
    db.execute("INSERT INTO counts VALUES (1, 'queued', '', ?), (1, 'found', '', ?)", (ids - done, done))
