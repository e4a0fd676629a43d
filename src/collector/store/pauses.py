"""Sources that somebody paused, each or all at once, and the taking in; kept in `meta`, and mirrored in memory."""

from collections.abc import Sequence

from collector.clock import Clock, stamp, unstamp
from collector.store.database import Database, Write

_ALL, _ONE = "paused.all", "paused.source."
INTAKE = "paused.intake"


class Pauses:
    """What rests until somebody resumes it: sources, of which nothing is asked, and the taking in."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._marks: dict[str, str] = {}  # with the time of each, as a stamp

    async def load(self) -> None:
        """Reads them into memory; once, at the start."""
        rows = await self._database.read("SELECT key, value FROM meta WHERE key >= 'paused.' AND key < 'paused/'")
        self._marks = dict(rows)

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

    @property
    def draining_since(self) -> float | None:
        """Since when nothing new is taken in, as somebody ordered a drain; None where it is."""
        return unstamp(self._marks[INTAKE]) if INTAKE in self._marks else None

    async def add(self, write: Write, source: str | None) -> bool:
        """A source is paused, None: all; False where that was so before."""
        return await self._mark(write, _ALL if source is None else _ONE + source)

    async def drain(self, write: Write) -> bool:
        """Nothing new is taken in; False where that was so before."""
        return await self._mark(write, INTAKE)

    async def _mark(self, write: Write, mark: str) -> bool:
        now = stamp(self._clock.wall())
        new = await write.change("INSERT OR IGNORE INTO meta VALUES (?, ?)", (mark, now))
        write.after_commit(lambda: self._marks.setdefault(mark, now))
        return bool(new)

    async def lift(self, write: Write, source: str | None) -> Sequence[str]:
        """A source is no longer paused by itself, None: nothing is, in whatever way; the marks that were taken away."""
        marks = sorted(self._marks if source is None else self._marks.keys() & {_ONE + source})
        await write.change_many("DELETE FROM meta WHERE key = ?", [(mark,) for mark in marks])
        write.after_commit(lambda: [self._marks.pop(mark) for mark in marks])
        return marks
