"""Where the HTTP interface is reached: an address of this machine, a socket file, and the command line's socket."""

import errno
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiohttp import web

from collector.admin.wire import Runner
from collector.config import Admin
from collector.errors import CollectorError
from collector.host.address import short

_MODE = 0o660
_WHAT_TO_DO = 'choose another `listen` under [admin] in the configuration, or "off"'


@asynccontextmanager
async def listening(application: web.Application, admin: Admin) -> AsyncIterator[str | None]:
    """Serves at `[admin] listen`; yields the address, with the port that it got, or None when it is off."""
    if admin.listen == "off":
        yield None
    elif admin.address is None:
        path = Path(admin.listen.removeprefix("unix:"))
        _refuse_living(path)
        async with controlled(application, path):
            yield admin.listen
    else:
        async with _serving(application) as runner:
            yield await _start(runner, *admin.address)


@asynccontextmanager
async def controlled(application: web.Application, path: Path) -> AsyncIterator[Path]:
    """Serves at a socket file for its owner and group; what lies there from a process before is replaced."""
    bound, inode = _bind(path)
    try:
        async with _serving(application) as runner:
            await web.SockSite(runner, bound).start()
            yield path
    finally:
        bound.close()
        _remove(path, inode)


@asynccontextmanager
async def _serving(application: web.Application) -> AsyncIterator[Runner]:
    runner = Runner(application)
    await runner.setup()
    try:
        yield runner
    finally:
        await runner.cleanup()


async def _start(runner: Runner, host: str, port: int) -> str:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        match error.errno:
            case errno.EADDRINUSE:
                why = "another program listens there, perhaps another collector: stop it"
            case errno.EACCES:
                why = "ports below 1024 are for root: take a higher one"
            case _:
                why = error.strerror or str(error)
        raise CollectorError(f"cannot listen on {host}:{port}: {why}; or {_WHAT_TO_DO}") from error
    address = runner.addresses[0]
    shown = f"[{address[0]}]" if ":" in address[0] else address[0]
    return f"http://{shown}:{address[1]}"


def _bind(path: Path) -> tuple[socket.socket, int]:
    """A bound socket and the inode of its file."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short(path) as name:
            _clear(path)
            made.bind(name)
            # Nobody can connect before `listen`, so nobody can before the mode is right.
            path.chmod(_MODE)
        return made, path.stat().st_ino
    except OSError as error:
        made.close()
        raise CollectorError(f"cannot make the socket {path}: {error.strerror or error}") from error
    except BaseException:
        made.close()
        raise


def _clear(path: Path) -> None:
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise CollectorError(f"{path} is in the way: it is no socket; move it away")
        path.unlink()


def _remove(path: Path, inode: int) -> None:
    with suppress(OSError):
        if path.lstat().st_ino == inode:
            path.unlink()


def _refuse_living(path: Path) -> None:
    """Outside the state folder no lock says that a socket is stale; an answer says that it is not."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, short(path) as name:
        try:
            probe.settimeout(1)
            probe.connect(name)
        except OSError:
            return
    raise CollectorError(f"cannot listen on {path}: another program listens there: stop it; or {_WHAT_TO_DO}")
