"""Blocking work in a worker thread, always to its end."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def begin(work: Callable[[], T]) -> "asyncio.Future[T]":
    """Starts the work in a thread; `ended` gives its result."""
    return asyncio.get_running_loop().run_in_executor(None, work)


async def ended(work: "asyncio.Future[T]") -> T:
    """Waits to the end even when cancelled meanwhile: a thread cannot be cancelled, and its file must stay open."""
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        if not work.cancelled():
            work.exception()  # looked at, lest the loop complains that nobody did
        raise


async def run(work: Callable[[], T]) -> T:
    """The result of blocking work."""
    return await ended(begin(work))
