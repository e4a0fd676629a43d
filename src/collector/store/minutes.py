"""What came of each minute, by source, for the charts: a week of it."""

from collections.abc import Iterable

import msgspec

from collector.clock import stamp, unstamp
from collector.model import Tally
from collector.store.database import Database

KEPT = 7 * 86_400  # seconds
OUTCOMES = ("answered", "waited", "failed", "found", "gone", "lost")  # of a tally: calls, and then IDs


class Minute(msgspec.Struct, frozen=True):
    """What a source did in one minute."""

    at: int  # its beginning, seconds since the epoch
    source: str
    did: Tally


class Minutes:
    """The minutes table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def since(self, at: float) -> list[tuple[int, str, int]]:
        """Each minute from a time on, its outcomes and how many, of all sources together; in order."""
        rows = await self._database.read(
            "SELECT minute, outcome, sum(number) FROM minutes WHERE minute >= ? GROUP BY minute, outcome", (stamp(at),)
        )
        return [(int(unstamp(minute)), outcome, number) for minute, outcome, number in rows]

    async def add(self, minutes: Iterable[Minute], now: float) -> None:
        """Adds to the minutes, and lets those go that nobody looks at any more."""
        rows = [
            (stamp(minute.at), minute.source, outcome, number)
            for minute in minutes
            for outcome in OUTCOMES
            if (number := getattr(minute.did, outcome))
        ]
        async with self._database.write() as write:
            await write.change_many(
                "INSERT INTO minutes VALUES (?, ?, ?, ?)"
                " ON CONFLICT (minute, source, outcome) DO UPDATE SET number = number + excluded.number",
                rows,
            )
            await write.change("DELETE FROM minutes WHERE minute < ?", (stamp(now - KEPT),))
