"""Somebody's command: no shell, little of our environment, a process group of its own that never outlives it."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress

_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ")  # others may hold secrets of the service
_MOST = 2_000  # bytes of what it says
_LAST = 1.0  # seconds for what was killed to be gone


async def run(command: Sequence[str], said: bytes, more: Mapping[str, str], timeout: float) -> tuple[int, str]:
    """Runs it with `said` on its standard input and `more` in its environment; its exit code and how its output began.

    OSError where it cannot be started, TimeoutError where it, or what it left behind with its output open, has not
    ended after so many seconds.
    """
    pipe = asyncio.subprocess.PIPE
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | dict(more)
    process = await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT, env=environment, start_new_session=True
    )
    assert process.stdin
    assert process.stdout
    try:
        async with asyncio.timeout(timeout):
            process.stdin.write(said)  # a pipe holds more than that: nobody waits for a reader
            process.stdin.close()
            told = await _beginning(process.stdout)
            return await process.wait(), told
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST):
                await process.wait()
        raise


async def _beginning(stream: asyncio.StreamReader) -> str:
    """All of it is read, lest the command waits for a reader."""
    kept = b""
    while some := await stream.read(65_536):
        kept += some[: _MOST - len(kept)]
    return kept.decode(errors="replace").strip()
