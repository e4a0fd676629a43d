"""What can be asked over HTTP."""

from collections.abc import Callable

from aiohttp import hdrs, web

from collector.admin import reply
from collector.output.health import Health
from collector.output.snapshot import Snapshot
from collector.output.text import text


class Api:
    """The handlers over what they are told."""

    def __init__(self, status: Callable[[], Snapshot], health: Callable[[], Health]) -> None:
        self._status, self._health = status, health

    async def status(self, request: web.Request) -> web.Response:
        """The snapshot, in JSON or for people."""
        form = request.query.get("format") or _accepted(request)
        match form:
            case "json":
                return reply.json(self._status())
            case "text":
                return reply.text(text(self._status()))
            case _:
                return reply.refusal(400, "format is json or text")

    async def healthz(self, _: web.Request) -> web.Response:
        """200, or 503 with the reason."""
        health = self._health()
        return reply.json(health, 200 if health.ok else 503)


def _accepted(request: web.Request) -> str:
    """`text` only where that alone is asked for: a browser and curl accept anything, and scripts rely on JSON."""
    kinds = {kind.partition(";")[0].strip().lower() for kind in request.headers.get(hdrs.ACCEPT, "").split(",")}
    return "text" if "text/plain" in kinds and "application/json" not in kinds else "json"
