"""The results of a batch as files: found.jsonl, gone.csv, failed.csv, also.jsonl."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar

import msgspec

from collector.host import thread
from collector.host.files import Part
from collector.model import BatchId, State
from collector.output.table import csv_lines, guarded, guarded_id
from collector.store.items import FoundItem, NotFound
from collector.store.store import Store

T = TypeVar("T")
Pulse: TypeAlias = Callable[[], Awaitable[None]]  # awaited after each page

GONE = "id,reason,detail,finished_at\n"
FAILED = "id,state,reason,detail,attempts,finished_at\n"


async def found_jsonl(store: Store, batch: BatchId, path: Path, pulse: Pulse) -> int:
    """One line an item, with the ID that was asked for as text and the object's own bytes; the number of lines."""
    items = _chain(store.items.found(batch), store.items.found_before(batch))
    return await _write(path, b"", items, found_lines, pulse)


async def gone_csv(store: Store, batch: BatchId, path: Path, pulse: Pulse) -> int:
    """One line for each ID that the API says is not there; the number of them."""
    return await _write(path, GONE.encode(), store.items.not_found(batch, State.GONE), gone_lines, pulse)


async def failed_csv(store: Store, batch: BatchId, path: Path, pulse: Pulse) -> int:
    """One line for each ID that ended otherwise without being found; their number. No file when there is none."""
    return await _write(path, FAILED.encode(), failed(store, batch), failed_lines, pulse, empty=False)


def failed(store: Store, batch: BatchId) -> AsyncIterator[Sequence[NotFound]]:
    """The jobs of failed.csv, a page at a time."""
    return _chain(*(store.items.not_found(batch, state) for state in (State.INVALID, State.FAILED, State.CANCELLED)))


async def also_jsonl(store: Store, batch: BatchId, path: Path, pulse: Pulse) -> int:
    """What came beside the items, one line an answer; an item's `answer` says which is its. No file when there is
    none."""
    return await _write(path, b"", store.items.answers(batch), _also_lines, pulse, empty=False)


async def _write(
    path: Path,
    head: bytes,
    pages: AsyncIterator[Sequence[T]],
    render: Callable[[Sequence[T]], bytes],
    pulse: Pulse,
    *,
    empty: bool = True,
) -> int:
    """The number of lines below the head; without any the file is there only where it may be `empty`."""
    page = await anext(pages, None)
    if page is None and not empty:
        await thread.run(partial(path.unlink, missing_ok=True))
        return 0
    part, lines = Part(path), 0
    try:
        await thread.run(part.begin)
        await thread.run(partial(part.add, head))
        while page is not None:
            await thread.run(lambda page=page: part.add(render(page)))  # type: ignore[misc] # mypy cannot infer a default
            lines += len(page)
            await pulse()
            page = await anext(pages, None)
        await thread.run(part.settle)
    except BaseException:
        await thread.run(part.discard)
        raise
    return lines


async def _chain(*streams: AsyncIterator[T]) -> AsyncIterator[T]:
    for stream in streams:
        async for page in stream:
            yield page


def found_lines(items: Sequence[FoundItem]) -> bytes:
    """As they stand in found.jsonl."""
    return b"".join(_found_line(item) for item in items)


def _found_line(item: FoundItem) -> bytes:
    head: dict[str, object] = {"id": item.job, "fetched_at": item.fetched_at}
    if item.key != item.job:
        head["item_id"] = item.key
    if item.answer is not None:
        head["answer"] = item.answer
    return _joined(head, "item", item.body)


def _also_lines(answers: Sequence[tuple[int, str, str]]) -> bytes:
    return b"".join(
        _joined({"answer": number, "fetched_at": fetched_at}, "also", body) for number, fetched_at, body in answers
    )


def _joined(head: dict[str, object], key: str, body: str) -> bytes:
    # In JSON a raw line break stands only between values, never in a text: a space there changes nothing.
    one_line = body.replace("\n", " ").replace("\r", " ")
    return b'%s,"%s":%s}\n' % (msgspec.json.encode(head)[:-1], key.encode(), one_line.encode())


def gone_lines(jobs: Sequence[NotFound]) -> bytes:
    """As they stand in gone.csv."""
    return csv_lines(((guarded_id(job.key), job.reason, guarded(job.detail), job.finished_at) for job in jobs), "\n")


def failed_lines(jobs: Sequence[NotFound]) -> bytes:
    """As they stand in failed.csv."""
    rows = (
        (guarded_id(job.key), job.state, job.reason, guarded(job.detail), job.attempts, job.finished_at) for job in jobs
    )
    return csv_lines(rows, "\n")
