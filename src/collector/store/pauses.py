"""Sources that somebody paused, each or all at once; kept in `meta`, and mirrored in memory."""

from collections.abc import Sequence

from collector.clock import Clock, stamp
from collector.store.database import Database, Write

_ALL, _ONE = "paused.all", "paused.source."


class Pauses:
    """Which sources nothing is asked of until somebody resumes them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._marks: set[str] = set()

    async def load(self) -> None:
        """Reads them into memory; once, at the start."""
        rows = await self._database.read("SELECT key FROM meta WHERE key >= 'paused.' AND key < 'paused/'")
        self._marks = {key for (key,) in rows}

    @property
    def all(self) -> bool:
        """Whether the whole service is paused, sources that are declared later too."""
        return _ALL in self._marks

    def holds(self, source: str) -> bool:
        """Whether a source is paused, by itself or with all."""
        return bool(self._marks) and (self.all or _ONE + source in self._marks)

    def why(self, source: str) -> str | None:
        """What lets it go on, in words; None where it is not paused."""
        if self.all:
            return "somebody paused the whole service: `collector resume --all` lets it go on"
        if self.holds(source):
            return f"somebody paused it: `collector resume --source {source}` lets it go on"
        return None

    async def add(self, write: Write, source: str | None) -> bool:
        """A source is paused, None: all; False where that was so before."""
        mark = _ALL if source is None else _ONE + source
        sql = "INSERT OR IGNORE INTO meta VALUES (?, ?)"
        new = await write.change(sql, (mark, stamp(self._clock.wall())))
        write.after_commit(lambda: self._marks.add(mark))
        return bool(new)

    async def lift(self, write: Write, source: str | None) -> Sequence[str]:
        """A source is no longer paused by itself, None: nothing is, in whatever way; the marks that were taken away."""
        marks = sorted(self._marks if source is None else self._marks & {_ONE + source})
        await write.change_many("DELETE FROM meta WHERE key = ?", [(mark,) for mark in marks])
        write.after_commit(lambda: self._marks.difference_update(marks))
        return marks
