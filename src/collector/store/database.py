"""The database file: opened, migrated, written to by one connection and read by another."""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite
import msgspec
import structlog

from collector.errors import StoreBusy, StoreError
from collector.host import thread

Row = tuple[Any, ...]
T = TypeVar("T")

OURS = 0x636F6C6C  # application_id, "coll"
OLDEST_SQLITE = (3, 38, 0)  # STRICT tables, UPDATE … FROM and the ->> operator
PASSING = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_NOMEM,
)
_MIGRATION = re.compile(r"([0-9]{3})_[a-z_]+\.sql")

log = structlog.get_logger()


class Write:
    """One open write transaction."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._after: list[Callable[[], object]] = []

    async def rows(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """All rows of a query that sees this transaction's own changes."""
        return _tuples(await self._connection.execute_fetchall(sql, values))

    async def change(self, sql: str, values: Sequence[object] = ()) -> int:
        """Runs one statement; the number of rows it changed."""
        return await self.visit(lambda cursor: cursor.execute(sql, values).rowcount)

    async def insert(self, sql: str, values: Sequence[object] = ()) -> int:
        """Runs one INSERT of one row; its rowid."""
        return await self.visit(lambda cursor: cursor.execute(sql, values).lastrowid or 0)

    async def change_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Runs one statement for each of a few rows."""
        await self.visit(lambda cursor: cursor.executemany(sql, rows))

    async def visit(self, work: Callable[[sqlite3.Cursor], T]) -> T:
        """Work with a cursor in one visit to the connection's thread: aiosqlite's own takes another one to close it,
        and a commit that a few hundred calls wait for is made of visits rather than of rows."""
        return await _visit(self._connection, work)

    def after_commit(self, step: Callable[[], object]) -> None:
        """`step` runs if and only if this transaction is committed, before anybody else writes."""
        self._after.append(step)

    def committed(self) -> None:
        """Runs what was to follow the commit."""
        for step in self._after:
            step()


class Database:
    """One writer and one reader on a WAL file. Only the writer checkpoints: two that do can corrupt the file
    (sqlite.org/wal.html, "WAL-reset bug", up to 3.51.2)."""

    def __init__(self, writer: aiosqlite.Connection, reader: aiosqlite.Connection, path: Path) -> None:
        self._writer, self._reader, self.path = writer, reader, path
        self._lock = asyncio.Lock()
        opened = path.stat()
        self._identity = (opened.st_dev, opened.st_ino)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Write]:
        """One transaction, alone on the writer; durable on leaving, rolled back on any exception."""
        async with self._lock:
            self._still_there()
            with our_errors(self.path):
                transaction = Write(self._writer)
                try:
                    await _whole(self._writer.execute("BEGIN IMMEDIATE"))
                    yield transaction
                    await _whole(self._commit(transaction))
                except BaseException:
                    if self._writer.in_transaction:
                        await _whole(self._writer.rollback())
                    raise

    async def at_once(self, work: Callable[[sqlite3.Cursor], T], then: Callable[[T], object]) -> None:
        """A transaction like that of `write`, which is one visit to the writer's thread from its begin to its commit.
        `then` gets what the work came to, if and only if it is committed, before anybody else writes."""

        def whole(cursor: sqlite3.Cursor) -> T:
            try:
                cursor.execute("BEGIN IMMEDIATE")
                done = work(cursor)
                cursor.execute("COMMIT")
            except BaseException:
                cursor.connection.rollback()
                raise
            return done

        async def visit() -> None:
            then(await _visit(self._writer, whole))

        async with self._lock:
            self._still_there()
            with our_errors(self.path):
                await _whole(visit())

    def _still_there(self) -> None:
        """Writing into a file that somebody removed would look well and keep nothing."""
        try:
            there = self.path.stat()
        except OSError:
            there = None
        if there is None or (there.st_dev, there.st_ino) != self._identity:
            raise StoreBusy(
                f"{self.path} was removed or replaced while in use: stop the service, put the file back, start"
            )

    def lent(self) -> sqlite3.Connection:
        """The writer itself, for a backup: on another connection that would begin anew at each commit, and aiosqlite's
        own keeps the writer's thread to itself from the first page to the last."""
        return self._writer._conn

    async def _commit(self, transaction: Write) -> None:
        await self._writer.commit()
        transaction.committed()

    async def read(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """All rows of a short query on the reader; what is committed, never what is being written."""
        with our_errors(self.path):
            return _tuples(await self._reader.execute_fetchall(sql, values))


def json_text(value: object) -> str:
    """A value as JSON, which is how a statement takes a list."""
    return msgspec.json.encode(value).decode()


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Database]:
    """The database at `path`, made or migrated to this version's schema; both connections are closed on leaving."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreError(
            f"SQLite {sqlite3.sqlite_version} is too old: collector needs {'.'.join(map(str, OLDEST_SQLITE))}"
        )
    async with AsyncExitStack() as stack:
        try:
            with our_errors(path):
                writer = await stack.enter_async_context(
                    # A backup steps through the writer's connection beside its own thread.
                    aiosqlite.connect(path, isolation_level=None, check_same_thread=False)
                )
                await _prepare(writer, path)
                read_only = f"{path.as_uri()}?mode=ro"
                reader = await stack.enter_async_context(aiosqlite.connect(read_only, uri=True, isolation_level=None))
                await reader.execute("PRAGMA wal_autocheckpoint = 0")
        except StoreBusy as error:
            what = (
                "make the file and its folder writable for this user, with free space, and let no other program lock it"
            )
            raise StoreError(f"cannot open the database {error}; {what}") from error
        yield Database(writer, reader, path)


async def _prepare(writer: aiosqlite.Connection, path: Path) -> None:
    # Waiting for a lock would block every other statement: nobody else should write, so say so soon.
    await writer.execute("PRAGMA busy_timeout = 2000")
    await writer.execute("PRAGMA journal_mode = WAL")
    # NORMAL loses committed results in a power cut.
    await writer.execute("PRAGMA synchronous = FULL")
    await writer.execute("PRAGMA journal_size_limit = 8388608")
    await writer.execute("PRAGMA cache_size = -16384")
    [(version,)] = await writer.execute_fetchall("PRAGMA user_version")
    [(application,)] = await writer.execute_fetchall("PRAGMA application_id")
    [(tables,)] = await writer.execute_fetchall("SELECT count(*) FROM sqlite_schema")
    if (version or tables) and application != OURS:
        raise StoreError(f"{path} is a database of another program: move it away, or name another `root`")
    known(path, version)
    if to_come := _migrations()[version:]:
        await _migrate(writer, path, version, to_come)


async def _migrate(writer: aiosqlite.Connection, path: Path, version: int, migrations: list[tuple[int, str]]) -> None:
    """All steps in one transaction: the file is of the new version, or as it was for the old one."""
    to = migrations[-1][0]
    if version:
        log.info("migrating", database=str(path), **{"from": version, "to": to})
    steps = "\n".join(f"{sql}\nPRAGMA user_version = {number};" for number, sql in migrations)
    try:
        await writer.executescript(f"BEGIN IMMEDIATE;\n{steps}\nCOMMIT;")
    except sqlite3.Error as error:
        await writer.rollback()
        if not version:
            raise
        raise StoreError(
            f"{path} cannot be brought from schema {version} to {to}: {error}; it is as it was. Make room for as much"
            " again as it has, here and in the folder for temporary files, and start again, or go on with the version"
            " before"
        ) from error
    except BaseException:
        await writer.interrupt()  # whoever stops does not wait for it
        await writer.rollback()
        raise
    if version:
        log.info("migrated", database=str(path), **{"from": version, "to": to})


def newest() -> int:
    """The schema that this version makes."""
    return len(_migrations())


def known(path: Path, version: int) -> None:
    """StoreError where a schema is none that this version knows."""
    if version > newest():
        raise StoreError(
            f"{path} was written by a newer collector (schema {version}; this one knows {newest()}): "
            "install that version again, or restore a backup"
        )


def _migrations() -> list[tuple[int, str]]:
    folder = resources.files("collector.store") / "schema"
    found = sorted((entry.name, entry) for entry in folder.iterdir() if _MIGRATION.fullmatch(entry.name))
    return [(int(name[:3]), entry.read_text(encoding="utf-8")) for name, entry in found]


async def _visit(connection: aiosqlite.Connection, work: Callable[[sqlite3.Cursor], T]) -> T:
    def visit() -> T:
        with closing(connection._conn.cursor()) as cursor:
            return work(cursor)

    done: T = await connection._execute(visit)  # type: ignore[no-untyped-call] # it has no types
    return done


def _tuples(rows: Iterable[sqlite3.Row]) -> list[Row]:
    return list(rows)  # type: ignore[arg-type] # without a row_factory they are plain tuples, whatever the stubs say


async def _whole(work: Awaitable[T]) -> T:
    """Runs to its end even when the caller is cancelled meanwhile, and only then lets the cancel through: a statement
    handed to the connection's thread runs anyway, and whoever asked must know how it ended."""

    async def run() -> T:
        return await work

    return await thread.ended(asyncio.get_running_loop().create_task(run()))


@contextmanager
def our_errors(path: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        match getattr(error, "sqlite_errorcode", 0) & 0xFF:
            case code if code in PASSING:
                raise StoreBusy(f"{path}: {error}") from error
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                raise StoreError(f"{path}: {error}; restore a backup, or move the file away to begin anew") from error
        raise  # a fault of ours
