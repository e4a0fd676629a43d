"""What can be asked over HTTP."""

import asyncio
from collections.abc import Callable

import msgspec
from aiohttp import hdrs, web

from collector.admin import reply
from collector.output.health import Health
from collector.output.snapshot import Snapshot
from collector.output.text import text

_SHARE = 0.1  # of the time, at most, that goes into making snapshots
_OLDEST = 0.1  # seconds that one is told again, however long it took

_MAKES: dict[str, Callable[[Snapshot], bytes]] = {
    "json": lambda snapshot: msgspec.json.encode(snapshot) + b"\n",
    "text": lambda snapshot: text(snapshot).encode(),
}


class Api:
    """The handlers over what they are told."""

    def __init__(self, status: Callable[[], Snapshot], health: Callable[[], Health]) -> None:
        self._status, self._health = status, health
        self._told: dict[str, tuple[bytes, float]] = {}  # by form, and until when (loop time) it is told again

    async def status(self, request: web.Request) -> web.Response:
        """The snapshot, in JSON or for people."""
        form = request.query.get("format") or _accepted(request)
        if form not in _MAKES:
            return reply.refusal(400, "format is json or text")
        return reply.made(self._recent(form), "application/json" if form == "json" else "text/plain")

    def _recent(self, form: str) -> bytes:
        """A snapshot as it is now, or as it was made when the last one has not yet paid for itself: thousands who ask
        in a second cost the work no more than a few."""
        began = asyncio.get_running_loop().time()
        body, until = self._told.get(form, (b"", 0.0))
        if began >= until:
            body = _MAKES[form](self._status())
            took = asyncio.get_running_loop().time() - began
            self._told[form] = body, began + min(took / _SHARE, _OLDEST)
        return body

    async def forget(self, request: web.Request, _: web.StreamResponse) -> None:
        """Whoever gave an order sees at once what came of it."""
        if request.method == hdrs.METH_POST:
            self._told.clear()

    async def healthz(self, _: web.Request) -> web.Response:
        """200, or 503 with the reason."""
        health = self._health()
        return reply.json(health, 200 if health.ok else 503)


def _accepted(request: web.Request) -> str:
    """`text` only where that alone is asked for: a browser and curl accept anything, and scripts rely on JSON."""
    kinds = {kind.partition(";")[0].strip().lower() for kind in request.headers.get(hdrs.ACCEPT, "").split(",")}
    return "text" if "text/plain" in kinds and "application/json" not in kinds else "json"
