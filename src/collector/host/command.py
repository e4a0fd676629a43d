"""Somebody's command: no shell, little of our environment, a process group of its own that never outlives it."""

import asyncio
import os
import signal
from asyncio.subprocess import Process, SubprocessStreamProtocol
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ")  # others may hold secrets of the service
_MOST = 2_000  # bytes of what it says
_BLOCK = 65_536  # bytes that are read at once
_LAST = 1.0  # seconds for what was killed to be gone


async def run(command: Sequence[str], said: bytes, more: Mapping[str, str], timeout: float) -> tuple[int, str]:
    """Runs it with `said` on its standard input and `more` in its environment; its exit code and how its output began.

    OSError where it cannot be started, TimeoutError where it, or what it left behind with its output open, has not
    ended after so many seconds.
    """
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | dict(more)
    async with _started(command, environment) as process, asyncio.timeout(timeout):
        assert process.stdin
        assert process.stdout
        process.stdin.write(said)  # a pipe holds more than that: nobody waits for a reader
        process.stdin.close()
        told = await _beginning(process.stdout)
        return await process.wait(), told


@asynccontextmanager
async def _started(command: Sequence[str], environment: Mapping[str, str]) -> AsyncIterator[Process]:
    """Its group is killed at the end, and our ends of its pipes are closed, though somebody else may hold theirs."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.subprocess_exec(
        lambda: SubprocessStreamProtocol(_BLOCK, loop),
        *command,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )
    process = Process(transport, protocol, loop)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError, PermissionError):  # it has gone, or became another user's
            os.killpg(process.pid, signal.SIGKILL)
        transport.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST):
                await process.wait()


async def _beginning(stream: asyncio.StreamReader) -> str:
    """All of it is read, lest the command waits for a reader."""
    kept = b""
    while some := await stream.read(_BLOCK):
        kept += some[: _MOST - len(kept)]
    return kept.decode(errors="replace").strip()
