"""What the event loop itself complains of, a line a second at most."""

import asyncio
from typing import Any

import structlog

EVERY = 1.0  # seconds

log = structlog.get_logger()


class Complaints:
    """The loop's exception handler. At the limit of open files asyncio alone would log a megabyte a second."""

    def __init__(self) -> None:
        self._quiet_until = float("-inf")  # loop time
        self._left_out = 0

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Logs what happened, or counts it."""
        if loop.time() < self._quiet_until:
            self._left_out += 1
            return
        self._quiet_until = loop.time() + EVERY
        error = context.get("exception")
        log.error("loop_trouble", what=context.get("message"), why=repr(error) if error else None, more=self._left_out)
        self._left_out = 0
