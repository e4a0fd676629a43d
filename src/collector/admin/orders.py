"""What the command line orders through the control socket; nobody else may in this version."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import msgspec
from aiohttp import web

from collector.admin import reply
from collector.admin.care import Care
from collector.dispatch.controller import Controller, Ordered
from collector.errors import StoreBusy
from collector.model import BatchId, SourceLive
from collector.reload import Reloaded

MOST_NAMED = 20  # batches that there are, where somebody names another one


class Resumed(msgspec.Struct, frozen=True):
    """Whose stop was ended, and how those stand that were not stopped."""

    resumed: tuple[str, ...]
    not_stopped: dict[str, SourceLive]


class Standing(msgspec.Struct, frozen=True):
    """A batch after an order, and whether the order changed it."""

    id: int
    folder: str
    source: str
    parent: int | None
    state: str
    pause_wanted: bool  # it is loading, and paused from then on
    changed: bool
    total: int
    open: int  # jobs that were open at the order


class Stood(msgspec.Struct, frozen=True):
    """The batch that an order was for, and all below it, each before its children."""

    batches: tuple[Standing, ...]


@dataclass(frozen=True, slots=True)
class Orders:
    """The handlers over what carries the orders out."""

    sources: Callable[[], Mapping[str, SourceLive]]
    resume: Callable[[str], bool]
    reload: Callable[[], "asyncio.Future[Reloaded | None]"]
    batches: Controller
    care: Care

    def routes(self) -> list[web.RouteDef]:
        """Their paths."""
        return [
            web.post("/resume", self.resume_all),
            web.post("/sources/{source:[^/]*}/resume", self.resume_one),  # one without a name is an unknown one
            web.post("/reload", self.read_again),
            web.post("/batches/{batch:[^/]*}/pause", self.pause_batch),
            web.post("/batches/{batch:[^/]*}/resume", self.resume_batch),
            web.post("/batches/{batch:[^/]*}/cancel", self.cancel_batch),
            *self.care.routes(),
        ]

    async def resume_all(self, _: web.Request) -> web.Response:
        """Ends the stop of every source that is stopped."""
        return self._resumed(self.sources())

    async def resume_one(self, request: web.Request) -> web.Response:
        """Ends the stop of one source."""
        sources, name = self.sources(), request.match_info["source"]
        if name not in sources:
            why = f"no source {name!r}; declared: {', '.join(sources)}"
            return reply.json({"error": why, "sources": list(sources)}, 404)
        return self._resumed({name: sources[name]})

    def _resumed(self, sources: Mapping[str, SourceLive]) -> web.Response:
        resumed = tuple(name for name in sources if self.resume(name))
        return reply.json(Resumed(resumed, {name: live for name, live in sources.items() if name not in resumed}))

    async def read_again(self, _: web.Request) -> web.Response:
        """Reads the configuration again; 422 where it is refused."""
        told = await asyncio.shield(self.reload())  # others may wait for the same answer
        if told is None:
            return reply.refusal(503, "the service stops; the next start reads the configuration")
        return reply.json(told, 422 if told.problems else 200)

    async def pause_batch(self, request: web.Request) -> web.Response:
        """No more of its jobs are asked, nor of those below it."""
        return await self._ordered(request, self.batches.pause)

    async def resume_batch(self, request: web.Request) -> web.Response:
        """They are asked again; where it was held that is the yes."""
        return await self._ordered(request, self.batches.resume)

    async def cancel_batch(self, request: web.Request) -> web.Response:
        """It has ended, and so have those below it."""
        return await self._ordered(request, self.batches.cancel)

    async def _ordered(
        self, request: web.Request, order: Callable[[BatchId], Awaitable[list[Ordered]]]
    ) -> web.Response:
        named = request.match_info["batch"]
        batch = self.batches.find(named)
        if batch is None:
            there = [known.folder for known in self.batches.known(MOST_NAMED)]
            why = f"no batch {named!r}; the latest there are: {', '.join(there) or 'none'}"
            return reply.json({"error": why, "batches": there}, 404)
        try:
            return reply.json(Stood(tuple(map(_standing, await order(batch.id)))))
        except StoreBusy as error:
            return reply.refusal(503, f"nothing was done, since it cannot be written down now: {error}")


def _standing(told: Ordered) -> Standing:
    batch = told.batch
    return Standing(
        id=batch.id,
        folder=batch.folder,
        source=batch.source,
        parent=batch.parent,
        state=batch.state.value,
        pause_wanted=batch.pause_wanted,
        changed=told.changed,
        total=told.total,
        open=told.open,
    )
