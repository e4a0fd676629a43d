"""The server below the application: what is not even HTTP gets one line in the log and a plain answer."""

import asyncio
import logging
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from collector.admin.reply import refusal

_LONGEST_LINE = 8_190  # bytes, of the request line and of one header
_GRACE = 2.0  # seconds that a request may still take at the stop
_SILENCE = 20.0  # seconds in which a whole head of a request has to come, also of the next one on a connection
_LINGER = 2.0  # seconds in which the rest of a refused body is read, so that its sender sees why
MOST_OPEN = 100  # connections; with one more another is closed, and files and sockets are left for the work

log = logging.getLogger("collector.admin")


def _on_one_line(record: logging.LogRecord) -> bool:
    """aiohttp logs a traceback for each request that it cannot read; the fault is the sender's, and so is the text."""
    error = record.exc_info[1] if record.exc_info else None
    why = f" ({type(error).__name__}: {ascii(str(error))[:200]})" if error else ""
    record.msg, record.args = "%s%s", (record.getMessage(), why)
    record.exc_info = record.exc_text = None
    if record.levelno > logging.WARNING:
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


log.addFilter(_on_one_line)


class _Handler(RequestHandler):
    """One connection; its answer to what cannot be read is ours, without aiohttp's name and version."""

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        known = self._manager.connections if self._manager is not None else []
        if len(known) > MOST_OPEN:
            next((one for one in known if isinstance(one, _Handler) and one._rests()), self).force_close()
            log.warning("more than %d connections are open: the oldest without a request was closed", MOST_OPEN)

    def _rests(self) -> bool:
        """No request of it is being answered, so that whoever only keeps it open has no place that others want."""
        return not (self._current_request or self._messages or self._force_close)

    def handle_error(self, *args: Any, **kwargs: Any) -> web.StreamResponse:
        theirs = super().handle_error(*args, **kwargs)
        answer = refusal(theirs.status, "this is no HTTP request that collector can read")
        answer.force_close()
        return answer


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        return _Handler(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """Serves an application without an access log, with bounds on what a request may bring."""

    __slots__ = ()

    def __init__(self, application: web.Application) -> None:
        super().__init__(
            application,
            access_log=None,
            logger=log,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
            keepalive_timeout=_SILENCE,
            lingering_time=_LINGER,
            shutdown_timeout=_GRACE,
        )

    async def _make_server(self) -> web.Server:
        # aiohttp has no public place for another request handler.
        made = await super()._make_server()
        return _Server(made.request_handler, request_factory=made.request_factory, loop=made._loop, **made._kwargs)
