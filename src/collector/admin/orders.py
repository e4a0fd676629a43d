"""What the command line orders through the control socket; nobody else may in this version."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
from aiohttp import web

from collector.admin import reply
from collector.model import SourceLive
from collector.reload import Reloaded


class Resumed(msgspec.Struct, frozen=True):
    """Whose stop was ended, and how those stand that were not stopped."""

    resumed: tuple[str, ...]
    not_stopped: dict[str, SourceLive]


@dataclass(frozen=True, slots=True)
class Orders:
    """The handlers over what carries the orders out."""

    sources: Callable[[], Mapping[str, SourceLive]]
    resume: Callable[[str], bool]
    reload: Callable[[], "asyncio.Future[Reloaded | None]"]

    def routes(self) -> list[web.RouteDef]:
        """Their paths."""
        return [
            web.post("/resume", self.resume_all),
            web.post("/sources/{source:[^/]*}/resume", self.resume_one),  # one without a name is an unknown one
            web.post("/reload", self.read_again),
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
