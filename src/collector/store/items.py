"""Results read back for the files of a batch: in short reads, page by page, so that no read holds the WAL."""

from collections.abc import AsyncIterator, Sequence

import msgspec

from collector.model import BatchId, Item, State
from collector.store.database import Database, Row, json_text

_PAGE = 500  # rows
_FIRST_PAGE, _MORE = 2, 4  # rows, while nobody knows how large they are; times as many in the next page at most
_PAGE_BYTES = 4_000_000
_LINE = 100  # bytes that a line of found.jsonl has beside the object


# Which of some IDs (a JSON list) found jobs of a source have items for, fetched since a time. CROSS JOIN keeps this
# order: the planner would rather read every item of the source. What a prune is removing has no row in `batches` any
# more, and a job that names another batch for its items may have some of them only.
COLLECTED = (
    "FROM json_each(?) AS asked CROSS JOIN items AS i ON i.source = ? AND i.job = asked.value"
    " CROSS JOIN batches AS b ON b.id = i.batch"
    " CROSS JOIN jobs AS j ON j.batch = i.batch AND j.key = i.job AND j.state = 'found' AND j.same_as IS NULL"
    " WHERE i.fetched_at >= ?"
)


class FoundItem(msgspec.Struct, frozen=True):
    """One stored object."""

    job: str  # the key asked for
    key: str  # the object's own ID
    fetched_at: str
    answer: int | None
    body: str


class NotFound(msgspec.Struct, frozen=True):
    """One job that is not found, with its reason."""

    key: str
    state: str
    reason: str
    detail: str
    attempts: int
    finished_at: str


def page_size(lengths: Sequence[int]) -> int:
    """How many items the next page may have, by the lengths of those of the last one. The largest counts: where there
    is one of 20 MB there are others."""
    if not lengths:
        return _FIRST_PAGE
    return max(1, min(_PAGE, _MORE * len(lengths), _PAGE_BYTES // (max(lengths) + 1)))


def of_pairs(cells: str = "") -> tuple[str, str]:
    """The statements for items of IDs in batches: the rest of the first ID's behind a key, and those of the others in
    their order; `cells` are further columns."""
    columns = f"SELECT i.job, i.key, i.fetched_at, NULL, i.body{cells} FROM"
    # The rest of a list is found by the index: passing over what was read would take ever longer.
    rest = f"{columns} items AS i WHERE batch = ? AND job = ? AND key > ? ORDER BY key LIMIT ?"
    # The order is that of the loops, which both hints fix: a sort would read every body first.
    behind = (
        f"{columns} json_each(?) AS asked CROSS JOIN items AS i INDEXED BY items_once"
        " ON i.batch = asked.value ->> 1 AND i.job = asked.value ->> 0 LIMIT ?"
    )
    return rest, behind


class Items:
    """Reads of what was collected."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def found(self, batch: BatchId) -> AsyncIterator[list[FoundItem]]:
        """The items that a batch stored, by key, a page at a time."""
        after, most = ("", ""), page_size([])
        while rows := await self._database.read(
            "SELECT job, key, fetched_at, answer, body FROM items WHERE batch = ? AND (job, key) > (?, ?)"
            " ORDER BY job, key LIMIT ?",
            (batch, *after, most),
        ):
            after = (rows[-1][0], rows[-1][1])
            most = page_size([len(row[4]) for row in rows])
            yield [FoundItem(*row) for row in rows]

    async def found_before(self, batch: BatchId) -> AsyncIterator[list[FoundItem]]:
        """The items of jobs that were not asked again since an earlier batch had them, by key, a page at a time."""
        begin, most = "", page_size([])
        while pairs := await self._database.read(
            "SELECT key, same_as FROM jobs WHERE batch = ? AND key > ? AND same_as IS NOT NULL ORDER BY key LIMIT ?",
            (batch, begin, _PAGE),
        ):
            begin, after = pairs[-1][0], ""
            while pairs and (items := await self._of_pairs(pairs, after, most)):
                yield items
                most = page_size([len(item.body) for item in items])
                after = items[-1].key
                pairs = pairs[[key for key, _ in pairs].index(items[-1].job) :]

    async def _of_pairs(self, pairs: Sequence[Row], after: str, most: int) -> list[FoundItem]:
        """Items of IDs in batches, in the order of the pairs; of the first those behind an item."""
        [(job, batch), *others] = pairs
        rest, behind = of_pairs()
        rows = await self._database.read(rest, (batch, job, after, most))
        rows += await self._database.read(behind, (json_text(others), most - len(rows)))
        return [FoundItem(*row) for row in rows]

    async def of_job(self, batch: BatchId, key: str) -> AsyncIterator[list[Item]]:
        """The items that a job of a batch has, a page at a time."""
        after, most = "", _FIRST_PAGE
        while rows := await self._database.read(
            "SELECT key, body, reencoded FROM items WHERE batch = ? AND job = ? AND key > ? ORDER BY key LIMIT ?",
            (batch, key, after, most),
        ):
            yield [Item(own, body, bool(reencoded)) for own, body, reencoded in rows]
            if len(rows) < most:
                return  # most IDs have one object, and are many
            after = rows[-1][0]
            most = page_size([len(row[1]) for row in rows])

    async def under(self, source: str, job: str) -> AsyncIterator[list[tuple[str, str]]]:
        """Keys and bodies of what the latest batch that found an ID in a source has under it, a page at a time."""
        batches = await self._database.read(
            "SELECT coalesce(j.same_as, j.batch) FROM batches AS b CROSS JOIN jobs AS j ON j.batch = b.id AND j.key = ?"
            " WHERE b.source = ? AND j.state = 'found' ORDER BY b.id DESC LIMIT 1",
            (job, source),
        )
        for (batch,) in batches:
            async for items in self.of_job(batch, job):
                yield [(item.key, item.body) for item in items]

    async def not_found(self, batch: BatchId, state: State) -> AsyncIterator[list[NotFound]]:
        """Jobs of a batch that ended in a state other than found, by key, a page at a time."""
        after = ""
        while rows := await self._database.read(
            "SELECT key, state, reason, coalesce(detail, ''), attempts, finished_at FROM jobs"
            " WHERE batch = ? AND state = ? AND key > ? AND state IN ('gone', 'invalid', 'failed', 'cancelled')"
            " ORDER BY key LIMIT ?",
            (batch, state.value, after, _PAGE),
        ):
            after = rows[-1][0]
            yield [NotFound(*row) for row in rows]

    async def answers(self, batch: BatchId) -> AsyncIterator[list[tuple[int, str, str]]]:
        """What `also` kept beside a batch's items: number, time and JSON object, a page at a time."""
        after, most = 0, page_size([])
        while rows := await self._database.read(
            "SELECT id, fetched_at, body FROM answers WHERE batch = ? AND id > ? ORDER BY id LIMIT ?",
            (batch, after, most),
        ):
            after = rows[-1][0]
            most = page_size([len(row[2]) for row in rows])
            yield [(number, at, body) for number, at, body in rows]

    async def size(self, source: str, items: int) -> int:
        """About how many bytes that many items of a source take, from a sample of them."""
        [(bytes_each,)] = await self._database.read(
            "SELECT coalesce(avg(length(CAST(body AS BLOB))), 0)"
            " FROM (SELECT body FROM items WHERE source = ? ORDER BY job DESC LIMIT 200)",
            (source,),
        )
        return int(items * (bytes_each + _LINE))
