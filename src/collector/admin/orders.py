"""What the command line orders through the control socket; nobody else may in this version."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from aiohttp import web

from collector.admin import reply
from collector.dispatch.controller import Controller, Ordered
from collector.errors import StoreBusy
from collector.model import BatchId, SourceLive, State
from collector.reload import Reloaded
from collector.store.actions import Target
from collector.store.retries import RETRIED, Choice

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


class Retried(Standing, frozen=True):
    """A batch after a retry."""

    retried: int  # jobs that are asked again


class Again(msgspec.Struct, frozen=True):
    """What is asked again: the batches with any of it, and a batch that the order named."""

    retried: int
    batches: tuple[Retried, ...]


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

    def routes(self) -> list[web.RouteDef]:
        """Their paths."""
        return [
            web.post("/resume", self.resume_all),
            web.post("/sources/{source:[^/]*}/resume", self.resume_one),  # one without a name is an unknown one
            web.post("/reload", self.read_again),
            web.post("/batches/{batch:[^/]*}/pause", self.pause_batch),
            web.post("/batches/{batch:[^/]*}/resume", self.resume_batch),
            web.post("/batches/{batch:[^/]*}/cancel", self.cancel_batch),
            web.post("/batches/{batch:[^/]*}/retry", self.retry_batch),
            web.post("/sources/{source:[^/]*}/retry", self.retry_source),
            web.post("/retry", self.retry_all),
        ]

    async def resume_all(self, _: web.Request) -> web.Response:
        """Ends the stop of every source that is stopped."""
        return self._resumed(self.sources())

    async def resume_one(self, request: web.Request) -> web.Response:
        """Ends the stop of one source."""
        sources, name = self.sources(), request.match_info["source"]
        if name not in sources:
            return self._no_source(name)
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

    async def retry_batch(self, request: web.Request) -> web.Response:
        """What has ended without being found is asked again, of it and those below it."""
        batch = self.batches.find(request.match_info["batch"])
        return self._no_batch(request) if batch is None else await self._retried(request, batch.id)

    async def retry_source(self, request: web.Request) -> web.Response:
        """The same for every batch of a source."""
        name = request.match_info["source"]
        return await self._retried(request, name) if self._is_known(name) else self._no_source(name)

    async def retry_all(self, request: web.Request) -> web.Response:
        """The same for every batch."""
        return await self._retried(request, None)

    async def _retried(self, request: web.Request, target: Target) -> web.Response:
        choice = _choice(request.query.getall("state", []), request.query.get("reason"))
        if choice is None:
            return reply.refusal(400, f"`state` is one or more of {', '.join(RETRIED)}, with commas between them")
        try:
            told = await self.batches.retry(target, choice)
        except StoreBusy as error:
            return reply.refusal(503, str(error))
        return reply.json(Again(sum(batch.retried for batch in told), tuple(map(_again, told))))

    async def _ordered(
        self, request: web.Request, order: Callable[[BatchId], Awaitable[list[Ordered]]]
    ) -> web.Response:
        batch = self.batches.find(request.match_info["batch"])
        if batch is None:
            return self._no_batch(request)
        try:
            return reply.json(Stood(tuple(map(_standing, await order(batch.id)))))
        except StoreBusy as error:
            return reply.refusal(503, f"nothing was done, since it cannot be written down now: {error}")

    def _is_known(self, source: str) -> bool:
        """Whether it is declared, or was once and has batches."""
        return source in self.sources() or self.batches.has(source)

    def _no_source(self, name: str) -> web.Response:
        sources = self.sources()
        why = f"no source {name!r}; declared: {', '.join(sources)}"
        return reply.json({"error": why, "sources": list(sources)}, 404)

    def _no_batch(self, request: web.Request) -> web.Response:
        there = [known.folder for known in self.batches.known(MOST_NAMED)]
        why = f"no batch {request.match_info['batch']!r}; the latest there are: {', '.join(there) or 'none'}"
        return reply.json({"error": why, "batches": there}, 404)


def _choice(states: Sequence[str], reason: str | None) -> Choice | None:
    """What is asked again: failed ones where nothing is said; for a reason those of every state that has it."""
    named = [state for text in states for state in text.split(",")]
    if not set(named) <= set(RETRIED):
        return None
    default = (State.FAILED,) if reason is None else RETRIED
    return Choice(tuple(State(state) for state in dict.fromkeys(named)) or default, reason)


def _again(told: Ordered) -> Retried:
    return Retried(**msgspec.structs.asdict(_standing(told)), retried=told.retried)


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
