"""The one store: everything that is kept, in one SQLite file."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from collector.clock import Clock, stamp
from collector.store import database
from collector.store.actions import Actions
from collector.store.backup import Copy, Told
from collector.store.batches import Batches
from collector.store.books import Books
from collector.store.control import Control
from collector.store.hours import Hours
from collector.store.items import Items
from collector.store.jobs import Jobs
from collector.store.lists import Lists
from collector.store.minutes import Minutes
from collector.store.notices import Notices
from collector.store.pauses import Pauses
from collector.store.prune import Prune
from collector.store.retries import Retries
from collector.store.views import Views


class Store:
    """Batches, jobs, items, books, hours, minutes, notices and views over one database."""

    def __init__(self, db: database.Database, clock: Clock) -> None:
        self._database = db
        self.books = Books(db)
        self.pauses = Pauses(db, clock)
        self.batches = Batches(db, self.books, self.pauses, clock)
        self.jobs = Jobs(db, self.books, self.batches, clock)
        self.actions = Actions(clock)
        self.control = Control(db, self.books, self.batches, self.pauses, self.actions, clock)
        self.retries = Retries(db, self.books, self.batches, self.actions, clock)
        self.items = Items(db)
        self.lists = Lists(db)
        self.hours = Hours(db)
        self.minutes = Minutes(db)
        self.notices = Notices(db, self.batches)
        self.views = Views(db)
        self.prune = Prune(db, self.books, self.batches)

    @property
    def path(self) -> Path:
        """The database file."""
        return self._database.path

    async def spare(self) -> int:
        """Bytes inside the file that what was removed has left; they are used before the file grows."""
        [(pages, size)] = await self._database.read("SELECT * FROM pragma_freelist_count, pragma_page_size")
        return int(pages * size)

    def copied(self, target: Path, told: Told) -> Copy:
        """A copy that is to be run in a thread, and to its end before the store is closed."""
        return Copy(self._database.lent(), target, told, gently=True)

    async def begun(self, now: float) -> str | None:
        """Notes that a service is at work; since when one was, as a stamp, that did not come to an orderly end."""
        async with self._database.write() as write:
            rows = await write.rows("SELECT value FROM meta WHERE key = 'at_work_since'")
            await write.change("INSERT OR REPLACE INTO meta VALUES ('at_work_since', ?)", (stamp(now),))
        return next((since for (since,) in rows), None)

    async def ended(self) -> None:
        """The service has come to an orderly end."""
        async with self._database.write() as write:
            await write.change("DELETE FROM meta WHERE key = 'at_work_since'")

    async def hash_key(self) -> bytes:
        """A random key of this database's own, under which secrets are hashed to name a budget."""
        async with self._database.write() as write:
            await write.change("INSERT OR IGNORE INTO meta VALUES ('hash_key', ?)", (secrets.token_hex(32),))
            [(text,)] = await write.rows("SELECT value FROM meta WHERE key = 'hash_key'")
        return bytes.fromhex(text)


@asynccontextmanager
async def opened(path: Path, clock: Clock) -> AsyncIterator[Store]:
    """The store in a database file, made or migrated when needed, with its books in memory."""
    async with database.opened(path) as db:
        store = Store(db, clock)
        await store.pauses.load()
        await store.batches.load()
        await store.books.load()
        yield store
