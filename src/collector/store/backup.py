"""A copy of the database while it is used, and what makes a file one that can be put back."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

from collector.errors import CollectorError, StoreError
from collector.store.database import OURS, newest, our_errors

_STEP = 500  # pages: so long whoever writes may have to wait, a few milliseconds
_BUSY = 0.01  # seconds until the next try while a transaction is open

Told: TypeAlias = Callable[[int, int], None]  # bytes done, and of how many


class Halted(CollectorError):
    """The copy was broken off, and nothing of it is kept."""


class Copy:
    """One copy, made in steps in a thread of its own; what is written on the same connection meanwhile enters it."""

    def __init__(self, source: sqlite3.Connection, target: Path, told: Told, *, gently: bool) -> None:
        """`told` is called in that thread. `gently`: between the steps others have as much time as a step took."""
        self._source, self._target, self._told, self._gently = source, target, told, gently
        self._halted = False
        self._size = 4096
        self._since = 0.0

    def halt(self) -> None:
        """The thread ends at its next step, with Halted."""
        self._halted = True

    def run(self) -> None:
        """Copies to the end. StoreError and StoreBusy where the database or the target do not let it."""
        self._target.unlink(missing_ok=True)
        with our_errors(self._target), closing(sqlite3.connect(self._target, isolation_level=None)) as target:
            # The copy is worth nothing before it is whole: no journal, and whoever keeps it makes it durable.
            target.execute("PRAGMA journal_mode = OFF")
            target.execute("PRAGMA synchronous = OFF")
            [self._size] = self._source.execute("PRAGMA page_size").fetchone()
            self._since = time.monotonic()
            self._source.backup(target, pages=_STEP, progress=self._step, sleep=_BUSY)

    def _step(self, _: int, left: int, pages: int) -> None:
        if self._halted:
            raise Halted("the backup was broken off; nothing of it was kept")
        self._told((pages - left) * self._size, pages * self._size)
        if self._gently and left:
            time.sleep(time.monotonic() - self._since)
        self._since = time.monotonic()


def copy_alone(path: Path, target: Path, told: Told) -> None:
    """Copies a database that no other process has open. It stays as it is: no schema is migrated."""
    with our_errors(path), closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as source:
        Copy(source, target, told, gently=False).run()


def check(path: Path) -> int:
    """The schema version of a database file that collector can work with, page by page; StoreError else."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as db:
            return _checked(db)
    except sqlite3.DatabaseError as error:
        raise _damaged(str(error)) from error


def _checked(db: sqlite3.Connection) -> int:
    [application] = db.execute("PRAGMA application_id").fetchone()
    [version] = db.execute("PRAGMA user_version").fetchone()
    if application != OURS:
        raise StoreError("its collector.db is no database of collector")
    if version > newest():
        raise StoreError(
            f"it was made by a newer collector (schema {version}; this one knows {newest()}): install that version"
        )
    [found] = db.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise _damaged(" ".join(found.split()))
    return int(version)


def _damaged(why: str) -> StoreError:
    return StoreError(f"its collector.db is damaged ({why}): take another backup")


def hash_key(path: Path) -> str | None:
    """The random key under which a database names its budgets; None where it cannot be told."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
            row = db.execute("SELECT value FROM meta WHERE key = 'hash_key'").fetchone()
    except sqlite3.Error:
        return None
    return str(row[0]) if row else None


def settle(path: Path) -> bool:
    """Brings what is in the write-ahead log into the file itself, in a folder that is held; False where it cannot."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error:
        return False
    return not any(beside.exists() for beside in beside_of(path))


def beside_of(path: Path) -> tuple[Path, Path]:
    """What SQLite keeps beside a database; with another database they would damage it."""
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")
