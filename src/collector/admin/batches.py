"""Batches and their jobs, as somebody looks through them: by number and by key, a page at a time."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import overload
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from collector.admin import reply
from collector.admin.orders import no_batch
from collector.clock import told
from collector.dispatch.controller import Controller
from collector.host import thread
from collector.host.files import regular
from collector.model import OPEN, BatchId, BatchState, State
from collector.output.snapshot import BatchStatus, Snapshot, Waiting
from collector.output.status import batch_status
from collector.store.batches import Batch
from collector.store.lists import AttemptRow, JobRow
from collector.store.store import Store

PAGE, MOST = 100, 1_000  # rows
_NUMBER = 2**63 - 1  # the largest that a batch can have
_RECEIPT = 100_000  # bytes


class Receipt(msgspec.Struct, frozen=True):
    """What became of the lines of a file: lines = IDs + repeats + refused. Until it is `complete` they are those so
    far; `text` is receipt.txt, with an estimate and the first lines that were refused."""

    complete: bool
    lines: int
    ids: int
    repeats: int
    refused: int
    text: str | None


class BatchDetail(BatchStatus, frozen=True, kw_only=True):
    """All that is known of one batch."""

    origin: str
    file: str | None
    layout: str | None
    digest: str | None
    opened_at: str | None
    priority: int
    pause_wanted: bool
    receipt: Receipt | None  # of a batch that came as a file


class BatchPage(msgspec.Struct, frozen=True):
    """Some batches, the latest first; `next` is the path of the page behind them, null where there is none."""

    batches: tuple[BatchStatus, ...]
    next: str | None


class JobPage(msgspec.Struct, frozen=True):
    """Some jobs in the order of their keys. While `next` is not null there may be more, however few are here."""

    jobs: tuple[JobRow, ...]
    next: str | None


class ItemShown(msgspec.Struct, frozen=True):
    """One stored object, in the API's own bytes."""

    id: str
    fetched_at: str
    item: msgspec.Raw


class JobDetail(JobRow, frozen=True, kw_only=True):
    """One job: the calls for it that came to nothing, what calls of its source wait for now, and its objects, of which
    `next` has more."""

    batch: int
    source: str
    tries: tuple[AttemptRow, ...]
    waiting: tuple[Waiting, ...]
    items: tuple[ItemShown, ...]
    next: str | None


class Batches:
    """The handlers over the store."""

    def __init__(self, store: Store, controller: Controller, status: Callable[[], Snapshot], folders: Path) -> None:
        self._store, self._controller, self._status, self._folders = store, controller, status, folders

    def routes(self) -> list[web.RouteDef]:
        """Their paths."""
        return [
            web.get("/batches", self.all),
            web.get("/batches/{batch}", self.one),
            web.get("/batches/{batch}/jobs", self.jobs),
            web.get("/batches/{batch}/jobs/{key}", self.job),
        ]

    async def all(self, request: web.Request) -> web.Response:
        """The latest ones, or those before a number."""
        before, most = _whole(request, "before", None, _NUMBER), _whole(request, "limit", PAGE, MOST)
        shown = {batch.id: batch for batch in self._status().batches}
        found = self._store.batches.page(before, most + 1)
        batches = tuple(shown.get(batch.id) or batch_status(self._store, batch) for batch in found[:most])
        more = _with(request, before=batches[-1].id) if len(found) > most else None
        return reply.json(BatchPage(batches, more))

    async def one(self, request: web.Request) -> web.Response:
        """All of one batch."""
        batch = self._controller.find(request.match_info["batch"])
        return no_batch(self._controller, request) if batch is None else reply.json(await self.detail(batch))

    def find(self, batch: BatchId) -> Batch | None:
        """One of that number, if there is one still."""
        return self._store.batches.find(batch)

    async def detail(self, batch: Batch) -> BatchDetail:
        """As it is told."""
        shown = [one for one in self._status().batches if one.id == batch.id]
        known = shown[0] if shown else batch_status(self._store, batch)
        return BatchDetail(
            **{name: getattr(known, name) for name in known.__struct_fields__},
            origin=batch.origin,
            file=batch.file,
            layout=batch.layout,
            digest=batch.digest,
            opened_at=told(batch.opened_at),
            priority=batch.priority,
            pause_wanted=batch.pause_wanted,
            receipt=await self._receipt(batch) if batch.file is not None else None,
        )

    async def _receipt(self, batch: Batch) -> Receipt:
        complete = batch.state is not BatchState.LOADING and batch.opened_at is not None
        lines, ids = batch.lines if complete else batch.line, self._store.books.of(batch.id).total
        text = await thread.run(lambda: _read(self._folders / batch.folder / "receipt.txt"))
        repeats = max(lines - ids - batch.refused, 0) if complete else 0
        return Receipt(complete, lines, ids, repeats, batch.refused, text)

    async def jobs(self, request: web.Request) -> web.Response:
        """Those of a batch in a state, for a reason, behind a key."""
        batch = self._controller.find(request.match_info["batch"])
        if batch is None:
            return no_batch(self._controller, request)
        query, most = request.query, _whole(request, "limit", PAGE, MOST)
        state = _state(query)
        count = self._store.books.count(batch.id, state) if state else 0
        rows, behind = await self._store.lists.jobs(
            batch.id, state, query.get("reason"), query.get("after", ""), most, count
        )
        return reply.json(JobPage(tuple(rows), None if behind is None else _with(request, after=behind)))

    async def job(self, request: web.Request) -> web.Response:
        """One job with its tries and its objects."""
        batch, key = self._controller.find(request.match_info["batch"]), request.match_info["key"]
        if batch is None:
            return no_batch(self._controller, request)
        row = await self._store.lists.job(batch.id, key)
        if row is None:
            return reply.refusal(404, f"batch {batch.id} has no ID {key[:200]!r}; a / in it is written as %2F")
        most, after = _whole(request, "limit", PAGE, MOST), request.query.get("after", "")
        items = await self._store.lists.items(BatchId(row.same_as or batch.id), key, after, most + 1)
        shown = items[:most]
        detail = JobDetail(
            **{name: getattr(row, name) for name in row.__struct_fields__},
            batch=batch.id,
            source=batch.source,
            tries=tuple(await self._store.lists.attempts(batch.id, key)),
            waiting=self._waits(batch.source) if row.state in OPEN else (),
            items=tuple(ItemShown(item.key, item.fetched_at, msgspec.Raw(item.body.encode())) for item in shown),
            next=_with(request, after=shown[-1].key) if len(items) > len(shown) else None,
        )
        return reply.json(detail)

    def _waits(self, source: str) -> tuple[Waiting, ...]:
        return tuple(wait for wait in self._status().waiting if source in wait.sources)


def _state(query: Mapping[str, str]) -> State | None:
    if "state" not in query:
        return None
    try:
        return State(query["state"])
    except ValueError as error:
        raise web.HTTPBadRequest(reason=f"`state` is one of {', '.join(State)}") from error


@overload
def _whole(request: web.Request, name: str, default: int, most: int) -> int: ...
@overload
def _whole(request: web.Request, name: str, default: None, most: int) -> int | None: ...
def _whole(request: web.Request, name: str, default: int | None, most: int) -> int | None:
    """A whole number of the query, from 1."""
    if name not in request.query:
        return default
    text = request.query[name]
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and 1 <= int(text) <= most):
        raise web.HTTPBadRequest(reason=f"`{name}` is a whole number from 1 to {most}")
    return int(text)


def _with(request: web.Request, **changed: object) -> str:
    """The path that was asked for, with some of its query changed."""
    return f"{request.rel_url.raw_path}?{urlencode(dict(request.query) | changed)}"


def _read(path: Path) -> str | None:
    with suppress(OSError):
        return regular(path, _RECEIPT).decode(errors="replace")
    return None
