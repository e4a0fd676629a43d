"""What is ordered, by the command line through the control socket or over HTTP."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from aiohttp import web

from collector.admin import reply
from collector.admin.care import Care
from collector.admin.standing import Draining, Paused, Resumed, again, stood
from collector.dispatch.controller import Controller, Ordered
from collector.errors import StoreBusy, shortened
from collector.model import BatchId, SourceLive, State
from collector.reload import Reloaded
from collector.store.actions import Target
from collector.store.retries import RETRIED, Choice

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.Response]]

_PRIORITY = re.compile("-?[0-9]{1,6}")
MOST_NAMED = 20  # batches that there are, where somebody names another one


@dataclass(frozen=True, slots=True)
class Orders:
    """The handlers over what carries the orders out."""

    sources: Callable[[], Mapping[str, SourceLive]]
    resume: Callable[[str], bool]
    reload: Callable[[], "asyncio.Future[Reloaded | None]"]
    batches: Controller
    care: Care | None = None  # where these orders are taken too
    who: str = "cli"  # or http: as whom `actions` names whoever asks here

    def routes(self) -> list[web.RouteDef]:
        """Their paths."""
        return [
            web.post("/pause", self.pause_all),
            web.post("/sources/{source:[^/]*}/pause", self.pause_source),
            web.post("/resume", self.resume_all),
            web.post("/sources/{source:[^/]*}/resume", self.resume_one),  # one without a name is an unknown one
            web.post("/drain", self.drain),
            web.post("/reload", self.read_again),
            web.post("/batches/{batch:[^/]*}/pause", self.pause_batch),
            web.post("/batches/{batch:[^/]*}/resume", self.resume_batch),
            *_everywhere("cancel", self.cancel),
            *_everywhere("retry", self.retry),
            *_everywhere("priority", self.prioritise),
            *(self.care.routes() if self.care else []),
        ]

    async def resume_all(self, _: web.Request) -> web.Response:
        """Ends the pause and the drain of the service, and the stop and the pause of every source."""
        return await self._resumed(None, self.sources())

    async def resume_one(self, request: web.Request) -> web.Response:
        """Ends the stop and the pause of one source."""
        sources, name = self.sources(), request.match_info["source"]
        return await self._resumed(name, {name: sources[name]}) if name in sources else self._no_source(name)

    async def _resumed(self, source: str | None, sources: Mapping[str, SourceLive]) -> web.Response:
        stopped = [name for name, live in sources.items() if live.state == "stopped"]
        drained = source is None and self.batches.drains
        try:
            resumed = {*await self.batches.resume_sources(source, sources, stopped, self.who)}
        except StoreBusy as error:
            return _not_done(error)
        resumed |= {name for name in sources if self.resume(name)}
        others = {name: live for name, live in self.sources().items() if name in sources and name not in resumed}
        return reply.json(Resumed(tuple(name for name in sources if name in resumed), others, drained))

    async def drain(self, _: web.Request) -> web.Response:
        """Nothing new is taken in until a resume of all, and what is open is finished."""
        try:
            changed = await self.batches.drain(self.who)
        except StoreBusy as error:
            return _not_done(error)
        owed = self.batches.owed()
        return reply.json(Draining(changed, len(owed), sum(batch.open for batch in owed)))

    async def pause_all(self, _: web.Request) -> web.Response:
        """Nothing is asked any more, of no source."""
        return await self._paused(None, self.sources())

    async def pause_source(self, request: web.Request) -> web.Response:
        """Nothing of one source is asked any more."""
        name = request.match_info["source"]
        return await self._paused(name, [name]) if name in self.sources() else self._no_source(name)

    async def _paused(self, source: str | None, sources: Iterable[str]) -> web.Response:
        try:
            paused = await self.batches.pause_sources(source, sources, self.who)
        except StoreBusy as error:
            return _not_done(error)
        return reply.json(Paused(tuple(paused), tuple(name for name in sources if name not in paused)))

    async def read_again(self, _: web.Request) -> web.Response:
        """Reads the configuration again; 422 where it is refused."""
        told = await asyncio.shield(self.reload())  # others may wait for the same answer
        if told is None:
            return reply.refusal(503, "the service stops; the next start reads the configuration")
        return reply.json(told, 422 if told.problems else 200)

    async def pause_batch(self, request: web.Request) -> web.Response:
        """No more of its jobs are asked, nor of those below it."""
        batch = self._batch(request)
        return (
            no_batch(self.batches, request)
            if batch is None
            else await _done(self.batches.pause(batch, self.who), stood)
        )

    async def resume_batch(self, request: web.Request) -> web.Response:
        """They are asked again; where it was held that is the yes."""
        batch = self._batch(request)
        return (
            no_batch(self.batches, request)
            if batch is None
            else await _done(self.batches.resume(batch, self.who), stood)
        )

    async def cancel(self, request: web.Request) -> web.Response:
        """They have ended, and so have those below them."""
        return await self._ordered(request, lambda target: self.batches.cancel(target, self.who), stood)

    async def prioritise(self, request: web.Request) -> web.Response:
        """They go before those of their source with a lower priority."""
        to = request.query.get("to", "")
        if not _PRIORITY.fullmatch(to):
            return reply.refusal(400, "`to` is the priority: a whole number of six digits at most; all begin with 0")
        return await self._ordered(request, lambda target: self.batches.prioritise(target, int(to), self.who), stood)

    async def retry(self, request: web.Request) -> web.Response:
        """What has ended without being found is asked again, of them and those below them."""
        choice = _choice(request.query.getall("state", []), request.query.get("reason"))
        if choice is None:
            return reply.refusal(400, f"`state` is one or more of {', '.join(RETRIED)}, with commas between them")
        return await self._ordered(request, lambda target: self.batches.retry(target, choice, self.who), again)

    async def _ordered(
        self,
        request: web.Request,
        order: Callable[[Target], Awaitable[list[Ordered]]],
        told: Callable[[Sequence[Ordered]], object],
    ) -> web.Response:
        """An order for the batch or the source that the path names, or for everything."""
        target: Target = request.match_info.get("source")
        if isinstance(target, str) and target not in self.sources() and not self.batches.has(target):
            return self._no_source(target)
        if "batch" in request.match_info and (target := self._batch(request)) is None:
            return no_batch(self.batches, request)
        return await _done(order(target), told)

    def _batch(self, request: web.Request) -> BatchId | None:
        batch = self.batches.find(request.match_info["batch"])
        return batch.id if batch else None

    def _no_source(self, name: str) -> web.Response:
        sources = self.sources()
        why = f"no source {name!r}; declared: {', '.join(sources)}"
        return reply.json({"error": why, "sources": list(sources)}, 404)


def no_batch(batches: Controller, request: web.Request) -> web.Response:
    """A 404 that names the latest there are."""
    there = [known.folder for known in batches.known(MOST_NAMED)]
    asked, latest = shortened(request.match_info["batch"]), ", ".join(map(shortened, there)) or "none"
    return reply.json({"error": f"no batch {asked!r}; the latest there are: {latest}", "batches": there}, 404)


def _choice(states: Sequence[str], reason: str | None) -> Choice | None:
    """What is asked again: failed ones where nothing is said; for a reason those of every state that has it."""
    named = [state for text in states for state in text.split(",")]
    if not set(named) <= set(RETRIED):
        return None
    default = (State.FAILED,) if reason is None else RETRIED
    return Choice(tuple(State(state) for state in dict.fromkeys(named)) or default, reason)


def _everywhere(verb: str, order: Handler) -> list[web.RouteDef]:
    """An order that is taken for a batch, a source and everything."""
    named = ("/batches/{batch:[^/]*}/", "/sources/{source:[^/]*}/", "/")
    return [web.post(f"{where}{verb}", order) for where in named]


async def _done(order: Awaitable[list[Ordered]], told: Callable[[Sequence[Ordered]], object]) -> web.Response:
    try:
        return reply.json(told(await order))
    except StoreBusy as error:
        return _not_done(error)


def _not_done(error: StoreBusy) -> web.Response:
    return reply.refusal(503, f"what cannot be written down is not done: {error}")
