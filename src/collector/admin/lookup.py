"""IDs of a batch, and one of them, as the pages show them."""

from collections.abc import Mapping
from itertools import takewhile
from urllib.parse import urlencode

import msgspec

from collector.model import BatchId, State
from collector.store.lists import AttemptRow, JobRow
from collector.store.store import Store

_MOST_JOBS, _MOST_ITEMS = 50, 5  # on a page
_LONGEST = 20_000  # characters of an object
_STATES = frozenset(State)


class Wanted(msgspec.Struct, frozen=True):
    """Which IDs somebody wants to see; empty is any."""

    state: str = ""
    reason: str = ""
    id: str = ""  # or its beginning
    after: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Wanted":
        """What a query asks for; a state that there is none of is any."""
        state, reason, key, after = (query.get(name, "") for name in ("state", "reason", "id", "after"))
        return cls(state if state in _STATES else "", reason, key.strip(), after)

    @property
    def passes_over(self) -> bool:
        """Whether rows are looked at that are not wanted."""
        return bool(self.state or self.reason)

    @property
    def any(self) -> bool:
        """Whether it is the beginning of all."""
        return self == Wanted()


class Tried(msgspec.Struct, frozen=True):
    """A call that came to nothing, with its headers one by one."""

    row: AttemptRow
    headers: dict[str, str]


class Object(msgspec.Struct, frozen=True):
    """A stored object, indented, in its own digits."""

    key: str
    fetched_at: str
    body: str


async def some(store: Store, batch: BatchId, wanted: Wanted) -> tuple[list[JobRow], str | None]:
    """The next IDs that are wanted, and the query of the page behind them; a page may be short of what is to come."""
    state = State(wanted.state) if wanted.state else None
    among = store.books.count(batch, state) if state else store.books.of(batch).total
    begin = max(wanted.after, wanted.id)
    jobs, more = await store.lists.jobs(batch, state, wanted.reason or None, begin, _MOST_JOBS, among)
    if wanted.id:
        inside = list(takewhile(lambda job: job.key.startswith(wanted.id), jobs))
        more = more if len(inside) == len(jobs) and more and more.startswith(wanted.id) else None
        jobs = [*await _itself(store, batch, wanted), *inside]
    query = {name: text for name, text in msgspec.structs.asdict(wanted).items() if text}
    return jobs, urlencode(query | {"after": more}) if more else None


async def _itself(store: Store, batch: BatchId, wanted: Wanted) -> list[JobRow]:
    """The ID of which all of it was given; those behind it only begin with it."""
    job = None if wanted.after else await store.lists.job(batch, wanted.id)
    fits = job and wanted.state in ("", job.state) and wanted.reason in ("", job.reason)
    return [job] if job and fits else []


async def attempts(store: Store, batch: BatchId, key: str) -> list[Tried]:
    """The latest calls for an ID that came to nothing, in order."""
    rows = await store.lists.attempts(batch, key)
    return [Tried(row, {name: str(value) for name, value in msgspec.json.decode(row.headers).items()}) for row in rows]


async def objects(store: Store, batch: BatchId, key: str) -> tuple[list[Object], bool]:
    """The first objects that are stored of an ID, and whether there are more."""
    rows = await store.lists.items(batch, key, "", _MOST_ITEMS + 1)
    return [Object(row.key, row.fetched_at, _indented(row.body)) for row in rows[:_MOST_ITEMS]], len(rows) > _MOST_ITEMS


def _indented(body: str) -> str:
    """Formatted as text: a decoder would change its numbers."""
    text = msgspec.json.format(body, indent=2) if len(body) <= 10 * _LONGEST else body
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\n… and {len(text) - _LONGEST:,} characters more"
