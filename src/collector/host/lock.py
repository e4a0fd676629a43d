"""One process a state folder: a lock that the kernel lets go of when its holder dies, however it dies."""

import fcntl
import os
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from collector.clock import stamp
from collector.errors import NOT_YOURS, CollectorError, Held

_TRIES, _PAUSE = 3, 0.05  # `holder` takes the lock for a moment too; a start must not lose to a look


@contextmanager
def hold(root: Path) -> Iterator[None]:
    """The state folder is this process's own, and is made when it is not there; Held names who has it."""
    fd = _open(root)
    try:
        _take(fd, root)
        os.ftruncate(fd, 0)
        os.pwrite(fd, _words().encode(errors="backslashreplace"), 0)
        try:
            yield
        finally:
            os.ftruncate(fd, 0)
    finally:
        os.close(fd)


def holder(root: Path) -> str | None:
    """Who holds the state folder, as `process 4711 since 2026-11-22T08:07:21.123Z (collector run)`; None: nobody."""
    try:
        fd = os.open(root / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise CollectorError(f"{root} is not open to this user: {NOT_YOURS}") from error
    except OSError as error:
        raise CollectorError(f"cannot look at the lock {root / 'lock'}: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(fd)
    finally:
        os.close(fd)
    return None


def _open(root: Path) -> int:
    try:
        root.mkdir(parents=True, exist_ok=True)
        # The file is never removed: a second one beside it would be a second lock.
        return os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise CollectorError(
            f"cannot use the state folder {root}: {error.strerror} ({error.filename});"
            f" {NOT_YOURS}, or name another folder as `root` in the configuration"
        ) from error


def _take(fd: int, root: Path) -> None:
    for tries_left in reversed(range(_TRIES)):
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if not tries_left:
                raise Held(
                    f"{root} is held by {_read(fd)};"
                    " stop that one first, or give this one a state folder of its own (`root` in the configuration)"
                ) from error
        time.sleep(_PAUSE)
    return None


def _read(fd: int) -> str:
    return os.pread(fd, 4096, 0).decode(errors="replace").strip() or "another process"


def _words() -> str:
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])[:500]
    return f"process {os.getpid()} since {stamp(time.time())} ({command})\n"
