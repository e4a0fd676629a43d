"""The results of a batch as they are now, streamed in short reads: of one that goes on, what there is so far."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import partial
from urllib.parse import quote

import structlog
from aiohttp import hdrs, web

from collector.admin.orders import no_batch
from collector.dispatch.controller import Controller
from collector.errors import CollectorError
from collector.host import thread
from collector.model import State
from collector.output import export
from collector.output.table import Table
from collector.sources.spec import Spec
from collector.store import look
from collector.store.batches import Batch
from collector.store.look import ItemSeen
from collector.store.store import Store

SILENCE = 60.0  # seconds in which whoever reads takes nothing; then it is cut off

_KINDS = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl", "md": "text/markdown; charset=utf-8"}

log = structlog.get_logger()


class Downloads:
    """The handlers over the store."""

    def __init__(
        self,
        store: Store,
        controller: Controller,
        specs: Callable[[], Mapping[str, Spec]],
        report: Callable[[Batch], str],
    ) -> None:
        self._store, self._controller, self._specs, self._report = store, controller, specs, report

    def routes(self) -> list[web.RouteDef]:
        """Their paths."""
        made = {
            "found.jsonl": self._found_jsonl,
            "found.csv": self._found_csv,
            "gone.csv": self._gone_csv,
            "failed.csv": self._failed_csv,
            "report.md": self._report_md,
        }
        return [
            web.get(f"/batches/{{batch}}/{name}", partial(self._sent, name, pieces)) for name, pieces in made.items()
        ]

    async def _sent(
        self, name: str, pieces: Callable[[Batch], AsyncIterator[bytes]], request: web.Request
    ) -> web.StreamResponse:
        batch = self._controller.find(request.match_info["batch"])
        if batch is None:
            return no_batch(self._controller, request)
        stream = pieces(batch)
        first = await anext(stream, b"")  # what cannot be read at all has a proper answer
        answer = web.StreamResponse(headers=_headers(f"{batch.folder}-{name}", name))
        await answer.prepare(request)
        if request.method == hdrs.METH_HEAD:
            return answer
        try:
            await _write(answer, first)
            async for piece in stream:
                await _write(answer, piece)
            await answer.write_eof()
        except ConnectionError:
            pass  # whoever asked has gone away
        except (CollectorError, TimeoutError) as error:
            log.warning("download_broken_off", batch=batch.id, file=name, why=str(error) or "nobody took it")
            if request.transport is not None:
                request.transport.abort()  # a proper end would make a whole file of it
        return answer

    async def _found_jsonl(self, batch: Batch) -> AsyncIterator[bytes]:
        async for piece in _threaded(look.found(self._store.path, batch.id), export.found_lines):
            yield piece

    async def _found_csv(self, batch: Batch) -> AsyncIterator[bytes]:
        spec = self._specs().get(batch.source)
        table = Table(spec.columns if spec else {}, spec.key if spec else "")
        yield table.head()
        async for piece in _threaded(look.found(self._store.path, batch.id, table.paths), table.lines):
            yield piece

    async def _gone_csv(self, batch: Batch) -> AsyncIterator[bytes]:
        yield export.GONE.encode()
        async for jobs in self._store.items.not_found(batch.id, State.GONE):
            yield export.gone_lines(jobs)

    async def _failed_csv(self, batch: Batch) -> AsyncIterator[bytes]:
        yield export.FAILED.encode()
        async for jobs in export.failed(self._store, batch.id):
            yield export.failed_lines(jobs)

    async def _report_md(self, batch: Batch) -> AsyncIterator[bytes]:
        yield self._report(batch).encode(errors="backslashreplace")


async def _threaded(
    pages: Iterator[list[ItemSeen]], render: Callable[[Sequence[ItemSeen]], bytes]
) -> AsyncIterator[bytes]:
    """Pages that a thread reads and renders, one after the other."""

    def step() -> bytes | None:
        page = next(pages, None)
        return None if page is None else render(page)

    while (piece := await thread.run(step)) is not None:
        yield piece


async def _write(answer: web.StreamResponse, piece: bytes) -> None:
    async with asyncio.timeout(SILENCE):
        await answer.write(piece)


def _headers(wanted: str, name: str) -> dict[str, str]:
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", wanted)
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(wanted, safe='')}"
    return {hdrs.CONTENT_TYPE: _KINDS[name.rpartition(".")[2]], hdrs.CONTENT_DISPOSITION: disposition}
