"""A look into the database of a service that may or may not run: it reads, and leaves no file behind."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from collector.errors import StoreError
from collector.store.database import OURS

_AT_ONCE = 250  # keys in a read: none of them holds the WAL for long


class Look:
    """Short reads on a connection that cannot write."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def open_jobs(self, source: str) -> int:
        """Jobs of a source that are still owed, by the books."""
        [(jobs,)] = self._connection.execute(
            "SELECT coalesce(sum(c.jobs), 0) FROM counts AS c JOIN batches AS b ON b.id = c.batch"
            " WHERE b.source = ? AND c.state IN ('queued', 'delayed')",
            (source,),
        )
        return int(jobs)

    def has_items(self, source: str) -> bool:
        """Whether anything of a source was ever found."""
        [(found,)] = self._connection.execute("SELECT EXISTS (SELECT 1 FROM items WHERE source = ?)", (source,))
        return bool(found)

    def collected(self, source: str, keys: list[str]) -> Iterator[str]:
        """Those of the keys for which a found job of the source has items: what `recollect` leaves out."""
        ordered = sorted(set(keys))  # in the order of the index
        for start in range(0, len(ordered), _AT_ONCE):
            rows = self._connection.execute(
                "SELECT DISTINCT i.job FROM json_each(?) AS asked"
                " CROSS JOIN items AS i ON i.source = ? AND i.job = asked.value"
                " CROSS JOIN jobs AS j ON j.batch = i.batch AND j.key = i.job AND j.state = 'found'",
                (msgspec.json.encode(ordered[start : start + _AT_ONCE]).decode(), source),
            ).fetchall()
            yield from (key for (key,) in rows)


@contextmanager
def looking(path: Path) -> Iterator[Look | None]:
    """A look at the database in a file; None without one or with an empty one, StoreError when it cannot be read."""
    wal, shm = path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")
    if not path.exists():
        yield None
        return
    used = wal.exists()
    if used and not shm.exists():
        raise StoreError(f"{shm} is missing: start the service once")
    # Without a WAL nobody uses it. An ordinary reader would make one and leave it behind, as a file of its own user's
    # that the service perhaps may not write to.
    how = "mode=ro" if used else "mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?{how}", uri=True, isolation_level=None)) as connection:
            connection.execute("PRAGMA query_only = ON")
            [(application,)] = connection.execute("PRAGMA application_id")
            [(tables,)] = connection.execute("SELECT count(*) FROM sqlite_schema")
            if tables and application != OURS:
                raise StoreError(f"{path} is a database of another program")
            yield Look(connection) if tables else None
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be read: {error}") from error
    if not used and wal.exists():
        raise StoreError(f"a service has begun to use {path} meanwhile: try again")
