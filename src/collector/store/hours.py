"""The time account: seconds of each source by hour and why, and what it needs to go on after a kill.

All times and lengths are whole milliseconds in memory, since only whole numbers sum exactly.
"""

from collections import Counter
from collections.abc import Callable, Mapping

import msgspec

from collector.clock import stamp, unstamp
from collector.model import BatchId, Why
from collector.store.database import Database, Write, json_text

_SOURCE, _BATCH = "hours.source.", "hours.batch."  # keys in meta


class Span(msgspec.Struct, frozen=True):
    """From when to when the account of a source goes, wall time; its rows sum to the distance."""

    since: int
    until: int


class Share(msgspec.Struct, frozen=True):
    """What the account of its source said when a batch was taken in; and, once it has ended, what was added since."""

    began: dict[Why, int]
    spent: dict[Why, int] | None = None


class Kept(msgspec.Struct, frozen=True):
    """The account as the last write left it."""

    spans: dict[str, Span]
    totals: dict[str, Counter[Why]]
    shares: dict[BatchId, Share]


class Entries(msgspec.Struct, frozen=True):
    """What is to be written in one transaction; a share of None is removed."""

    spent: Mapping[tuple[str, int, Why], int]  # by source, beginning of the hour and why
    spans: Mapping[str, Span]
    shares: Mapping[BatchId, Share | None]


class Hours:
    """The hours table, with its ends and the batches' shares in meta."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> Kept:
        """Reads the totals and where they end; once, at the start."""
        sums = await self._database.read("SELECT source, why, sum(seconds) FROM hours GROUP BY source, why")
        totals: dict[str, Counter[Why]] = {}
        for source, why, seconds in sums:
            totals.setdefault(source, Counter())[Why(why)] = _milli(seconds)
        return Kept(
            {source: _span(text) for source, text in await self._meta(_SOURCE)},
            totals,
            {BatchId(int(batch)): msgspec.json.decode(text, type=Share) for batch, text in await self._meta(_BATCH)},
        )

    async def add(self, entries: Entries, committed: Callable[[], None]) -> None:
        """Adds to the account; `committed` runs if and only if it is durable."""
        async with self._database.write() as write:
            await write.change_many(
                # Rounded, so that no sum of many drifts from whole milliseconds.
                "INSERT INTO hours (source, hour, why, seconds) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (source, hour, why) DO UPDATE SET seconds = round(seconds + excluded.seconds, 3)",
                [
                    (source, stamp(hour / 1000), why.value, milli / 1000)
                    for (source, hour, why), milli in entries.spent.items()
                ],
            )
            await self._keep(write, entries)
            write.after_commit(committed)

    async def _keep(self, write: Write, entries: Entries) -> None:
        rows = [(_SOURCE + source, _words(span)) for source, span in entries.spans.items()]
        rows += [(f"{_BATCH}{batch}", json_text(share)) for batch, share in entries.shares.items() if share]
        await write.change_many("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", rows)
        over = [(f"{_BATCH}{batch}",) for batch, share in entries.shares.items() if share is None]
        await write.change_many("DELETE FROM meta WHERE key = ?", over)

    async def _meta(self, prefix: str) -> list[tuple[str, str]]:
        rows = await self._database.read("SELECT key, value FROM meta WHERE key GLOB ?", (f"{prefix}*",))
        return [(key.removeprefix(prefix), text) for key, text in rows]


def _words(span: Span) -> str:
    return json_text({"since": stamp(span.since / 1000), "until": stamp(span.until / 1000)})


def _span(text: str) -> Span:
    ends = msgspec.json.decode(text, type=dict[str, str])
    return Span(_milli(unstamp(ends["since"])), _milli(unstamp(ends["until"])))


def _milli(seconds: float) -> int:
    return round(seconds * 1000)
