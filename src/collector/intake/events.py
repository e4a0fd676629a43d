"""What Linux tells of the watch folders; elsewhere, and on network mounts, nothing, and the scan does it all."""

import asyncio
import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import structlog

from collector.intake.arrivals import Arrivals

try:
    import asyncinotify
except (ImportError, OSError, AttributeError):  # no Linux, or a libc without it
    asyncinotify = None  # type: ignore[assignment] # Linux only; elsewhere the scan alone

_AT_ONCE = 500  # events noted before others on the loop have their turn

log = structlog.get_logger()


class Events:
    """Tells `arrivals` who writes what, and calls `wake` when a file may be complete."""

    def __init__(self, arrivals: Arrivals, wake: Callable[[], None]) -> None:
        self._arrivals, self._wake = arrivals, wake
        self._inotify: Any = None
        self._watches: dict[Path, tuple[int, Any]] = {}  # by folder: its inode, the watch on it
        self._open = ExitStack()

    def __enter__(self) -> "Events":
        if asyncinotify is not None:
            try:
                self._inotify = self._open.enter_context(asyncinotify.Inotify(sync_timeout=0, cache_size=64))
                loop = asyncio.get_running_loop()
                loop.add_reader(self._inotify.fd, self._drain)
                self._open.callback(loop.remove_reader, self._inotify.fd)
            except OSError as error:  # no instance is left: fs.inotify.max_user_instances
                self._unwatched("watch/", error)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        self._inotify = None

    def _unwatched(self, where: str, error: OSError) -> None:
        log.warning("events_are_off", where=where, why=str(error), instead="files are taken when they rest")

    def follow(self, folder: Path, inode: int) -> None:
        """Watches a folder; again where another one stands under its name now."""
        if self._inotify is None:
            return
        known = self._watches.get(folder)
        if known and known[0] == inode:
            return
        if known and known[1] is not None:
            with suppress(OSError):
                self._inotify.rm_watch(known[1])
        try:
            self._watches[folder] = (inode, self._inotify.add_watch(folder, _mask()))
        except OSError as error:
            if known is None or known[1] is not None:
                self._unwatched(str(folder), error)
            self._watches[folder] = (inode, None)

    def _drain(self) -> None:
        # The library's own `get` drops events when it is cancelled between their reading and its waking.
        for _ in range(_AT_ONCE):
            event = self._inotify and self._inotify.sync_get()
            if event is None:
                return
            self._note(event)
        asyncio.get_running_loop().call_soon(self._drain)  # what the library has read already wakes nobody

    def _note(self, event: Any) -> None:
        mask, said = asyncinotify.Mask, event.mask
        if said & mask.Q_OVERFLOW:
            log.warning("events_were_lost")
            self._arrivals.lost()
            self._wake()
        elif said & (mask.IGNORED | mask.DELETE_SELF | mask.MOVE_SELF):
            self._unfollow(event.watch)
            self._wake()
        elif event.path is not None and event.name is not None and not said & mask.ISDIR:
            self._note_file(os.fspath(event.path), said)

    def _unfollow(self, watch: Any) -> None:
        """The folder is gone, or has another name now."""
        for folder in [folder for folder, known in self._watches.items() if known[1] is watch]:
            del self._watches[folder]
            with suppress(OSError):
                self._inotify.rm_watch(watch)

    def _note_file(self, path: str, said: Any) -> None:
        mask = asyncinotify.Mask
        if said & (mask.CLOSE_WRITE | mask.MOVED_TO):
            self._arrivals.closed(path)
            self._wake()
        elif said & mask.MODIFY:
            self._arrivals.written(path)
        elif said & mask.CREATE:
            self._arrivals.made(path)


def _mask() -> Any:
    mask = asyncinotify.Mask
    told = mask.CREATE | mask.MODIFY | mask.CLOSE_WRITE | mask.MOVED_TO
    return told | mask.DELETE_SELF | mask.MOVE_SELF | mask.ONLYDIR
