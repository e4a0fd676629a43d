"""What keeps the state folder in order while the service runs: a copy of it, and the removal of what is old."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import structlog
from aiohttp import web

from collector.admin import reply
from collector.errors import CollectorError
from collector.host import thread
from collector.store.prune import Old, Removed
from collector.store.store import Store

ASIDE = ".collector.db.copy"  # in the state folder while a backup is made
LEDGER = "budgets.log"
_BLOCK = 1 << 18
_TOLD_EVERY = 0.25  # seconds; above them a client that hears nothing takes the service for dead

log = structlog.get_logger()


class Care:
    """The handlers over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._copying = False
        with suppress(OSError):  # what a kill left
            (store.path.parent / ASIDE).unlink()

    def routes(self) -> list[web.RouteDef]:
        """Their paths."""
        return [web.post("/backup", self.backup), web.post("/prune", self.prune)]

    async def backup(self, request: web.Request) -> web.StreamResponse:
        """Lines of JSON that tell how far the copy is, and behind each that names a file so many bytes of it.

        The ledger is read after the database is copied: it may know of more calls than the database, never of fewer.
        """
        root = self._store.path.parent
        size, free = self._store.path.stat().st_size, shutil.disk_usage(root).free
        if self._copying:
            return reply.refusal(409, "a backup is being made already: wait for its end")
        if free < size:
            why = f"a copy of {size:,} bytes has to lie in {root} for a while, and {free:,} are free: make room there"
            return reply.refusal(507, why)
        self._copying = True
        aside = root / ASIDE
        try:
            answer = web.StreamResponse()
            await answer.prepare(request)
            try:
                async with self._copied(answer, aside):
                    await _send(answer, "collector.db", aside)
                await _send(answer, LEDGER, root / LEDGER)
                await _line(answer, {"end": True})
            except (CollectorError, OSError) as error:
                await _line(answer, {"error": str(error)})
            return answer
        finally:
            self._copying = False

    async def prune(self, request: web.Request) -> web.StreamResponse:
        """Lines of JSON: what ended before the time `before`, and with `yes` what of it is removed, as it is.

        Whoever goes away ends it after the commit that is under way; the next prune goes on.
        """
        try:
            before = float(request.query["before"])
        except (KeyError, ValueError):
            return reply.refusal(400, "before is a time in seconds since the epoch")
        old = self._store.prune.old(before, unwritten=False)
        answer = web.StreamResponse()
        await answer.prepare(request)
        await _line(answer, {"old": old})
        try:
            if request.query.get("yes") == "1":
                async for removed in pruned(self._store, old, before):
                    await _line(answer, {"removed": removed})
            await _line(answer, {"end": True})
        except CollectorError as error:
            await _line(answer, {"error": str(error)})
        return answer

    @asynccontextmanager
    async def _copied(self, answer: web.StreamResponse, aside: Path) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        steps: asyncio.Queue[tuple[int, int] | None] = asyncio.Queue()

        def told(done: int, of: int) -> None:
            loop.call_soon_threadsafe(steps.put_nowait, (done, of))

        copy = self._store.copied(aside, told)
        work = thread.begin(copy.run)
        work.add_done_callback(lambda _: steps.put_nowait(None))
        try:
            told_at = 0.0
            while step := await steps.get():
                if loop.time() - told_at >= _TOLD_EVERY:
                    told_at = loop.time()
                    await _line(answer, {"done": step[0], "of": step[1]})
            await work
            yield
        finally:
            copy.halt()
            try:
                await thread.ended(work)
            finally:
                await thread.run(lambda: aside.unlink(missing_ok=True))


async def pruned(store: Store, old: Sequence[Old], before: float) -> AsyncIterator[Removed]:
    """Removes what does not stay, and what an earlier prune has left; what each commit removed."""
    going = [family for family in old if family.stays is None]
    for family in going:
        if await store.prune.forget(family, before):
            log.info("batch_pruned", batches=family.batches, jobs=family.jobs, items=family.items)
        else:
            log.info("batch_not_pruned", batches=family.batches, why="it was opened again meanwhile")
    async for removed in store.prune.sweep():
        yield removed


async def _send(answer: web.StreamResponse, name: str, path: Path) -> None:
    """One file as it is now; what is written behind its end meanwhile is left out."""
    with path.open("rb") as file:
        left = os.fstat(file.fileno()).st_size
        await _line(answer, {"file": name, "size": left})
        while left:
            data = await thread.run(lambda: file.read(min(left, _BLOCK)))  # noqa: B023 # awaited at once
            if not data:
                raise OSError(f"{path} became shorter while it was read")
            await answer.write(data)
            left -= len(data)


async def _line(answer: web.StreamResponse, fact: dict[str, object]) -> None:
    await answer.write(msgspec.json.encode(fact) + b"\n")
