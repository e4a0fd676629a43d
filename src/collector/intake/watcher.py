"""The watch folders: complete files are taken in, and of everything else somebody is told why not."""

import asyncio
import os
import stat
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog

from collector.clock import Clock
from collector.config import Config
from collector.errors import Drained, StoreError, UsageError
from collector.host import thread
from collector.intake import files, lineage
from collector.intake.arrivals import Arrivals, Sighting
from collector.intake.events import Events
from collector.intake.loader import Loader
from collector.model import Trouble

SCAN = 2.0  # seconds
AGAIN = 60.0  # seconds until something that failed for no fault of the file is tried again
MOST_SHOWN = 20  # troubles
_LONGEST = 10_000  # bytes of a text in a log line

log = structlog.get_logger()


class Entry(msgspec.Struct, frozen=True):
    """One name in a watch folder, as a scan saw it."""

    path: str
    source: str | None  # None: in watch/ itself, with no source to take it
    status: os.stat_result

    @property
    def name(self) -> str:
        return os.path.basename(self.path)

    @property
    def version(self) -> tuple[int, ...]:
        """Another one after every change, of the mode too."""
        return (*files.identity(self.status), self.status.st_ctime_ns)


class _Leaving(msgspec.Struct, frozen=True):
    """A file that was left: as which version, and from when on it is tried again all the same."""

    version: tuple[int, ...]
    again: float | None  # loop time


class Watcher:
    """The actor that takes files in, one at a time, in order of name. The scan is the truth; events make it quick."""

    def __init__(self, config: Config, loader: Loader, clock: Clock) -> None:
        self._config, self._loader, self._clock = config, loader, clock
        self._folders = _folders(config)
        self._gone: set[Path] = set()  # folders of sources that are, to be taken away where they are empty
        self.ready = asyncio.Event()  # the folders are there, and what is dropped is noticed at once
        self._wake = asyncio.Event()
        self._arrivals = Arrivals(config.service.settle, clock)
        self._events = Events(self._arrivals, self._wake.set)
        self._every = min(SCAN, config.service.settle)
        self._left: dict[str, _Leaving] = {}
        self._troubles: dict[str, Trouble] = {}
        self._loading_again = clock.mono()

    def reconfigure(self, config: Config) -> None:
        """Takes up another configuration, and tries again what was left under the one before."""
        before, self._config, self._folders = self._folders, config, _folders(config)
        self._gone = (self._gone | before.keys()) - self._folders.keys()
        self._arrivals.settle = config.service.settle
        self._every = min(SCAN, config.service.settle)
        self._left.clear()
        self._loading_again = self._clock.mono()
        self._wake.set()

    def troubles(self) -> tuple[Trouble, ...]:
        """What lies in the watch folders and is not taken in, and what the loader has to say."""
        return (*list(self._troubles.values())[:MOST_SHOWN], *self._loader.troubles())

    async def run(self) -> None:
        """Finishes what was being taken in, then takes in what comes, until it is cancelled."""
        with self._events:
            await self._follow()
            self.ready.set()
            while True:
                self._wake.clear()
                await self.look()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._every):
                        await self._wake.wait()

    def load_now(self) -> None:
        """There is a batch whose loading is to go on."""
        self._loading_again = self._clock.mono()
        self._wake.set()

    async def look(self) -> None:
        """One scan: goes on with what was being taken in, and takes in every file that is complete."""
        await self._go_on()
        await self._take_away()
        await self._follow()
        before = self._arrivals.paths()
        entries = await thread.run(self._scan)
        self._forget(before, {entry.path for entry in entries})
        for entry in sorted(entries, key=lambda entry: entry.name):
            if self._is_strange(entry) or not await self._is_complete(entry) or self._loader.rests():
                continue
            await self._take(entry)

    async def _go_on(self) -> None:
        now = self._clock.mono()
        if now >= self._loading_again and self._loader.unfinished():
            await self._loader.go_on()
            self._loading_again = self._clock.mono() + AGAIN

    async def _take_away(self) -> None:
        gone, self._gone = self._gone, set()
        for folder in gone:
            await thread.run(lambda: _unmade(folder))  # noqa: B023 # awaited at once

    async def _follow(self) -> None:
        """Folders that are missing are made; all are watched."""
        folders = [*self._folders]
        inodes = await thread.run(lambda: [_made(folder) for folder in folders])  # one hop, however many there are
        for folder, inode in zip(folders, inodes, strict=True):
            if isinstance(inode, OSError):
                self._report(str(folder), "folder_cannot_be_made", f"it cannot be made: {inode.strerror}")
            else:
                self._troubles.pop(str(folder), None)
                self._events.follow(folder, inode)

    def _scan(self) -> list[Entry]:
        """Every name in the folders that may be somebody's file; explanations without their file are removed."""
        found = []
        for folder, source in self._folders.items():
            names = _names(folder, source)
            for name, entry in names.items():
                if name.endswith(files.WHY):
                    if name.removesuffix(files.WHY) not in names:
                        files.unexplain(Path(entry.path))
                elif not files.is_unfinished(name):
                    found.append(entry)
        return found

    def _forget(self, before: set[str], there: set[str]) -> None:
        self._arrivals.forget(before - there)
        for path in self._left.keys() - there:
            del self._left[path]
        for path in self._troubles.keys() - there - {str(folder) for folder in self._folders}:
            del self._troubles[path]

    def _is_strange(self, entry: Entry) -> bool:
        """True for what is no file; told once."""
        if stat.S_ISREG(entry.status.st_mode):
            return False
        if not stat.S_ISDIR(entry.status.st_mode):
            event, why = "file_is_not_regular", " is no regular file: drop the file itself, not a link to it"
        elif Path(entry.path).parent != self._config.watch:
            event, why = "folder_is_no_source", f"/ is a folder: drop files right into watch/{entry.source}/"
        elif Path(entry.path) not in self._folders:
            event, why = "folder_is_no_source", f"/ is no source; the sources are {', '.join(self._config.sources)}"
        else:
            return True
        self._report(entry.path, event, f"{self._relative(entry.path)}{why}")
        return True

    async def _is_complete(self, entry: Entry) -> bool:
        left = self._left.get(entry.path)
        if left and left.version == entry.version and (left.again is None or self._clock.mono() < left.again):
            return False
        if self._loader.holds(files.identity(entry.status)):
            return False
        seen = Sighting(entry.status.st_ino, entry.status.st_size, entry.status.st_mtime_ns)
        if self._arrivals.needs_look(entry.path, seen):
            self._arrivals.ends(entry.path, whole=await thread.run(lambda: _ends_whole(Path(entry.path))))
        return self._arrivals.complete(entry.path)

    async def _take(self, entry: Entry) -> None:
        path = Path(entry.path)
        if path.parent not in self._folders:
            return  # since the scan another configuration came; the next scan goes by it
        source = self._folders[path.parent]
        if source is None:
            choices = " or ".join(f"watch/{name}/" for name in self._config.sources)
            ways = f"move it into {choices}, or set `default_source` in {self._config.path}"
            await self._leave(entry, "file_has_no_source", f"watch/ itself has no source: {ways}")
            return
        try:
            options = await thread.run(lambda: files.options(path))
            root, follow = lineage.asked(self._config.sources, source, options.then)
            await self._loader.take(path, root, options.column, follow)
        except UsageError as error:  # since it was added another configuration came
            way = "declare it again, then `collector reload`, or move the file away and add it anew"
            await self._leave(entry, "chain_is_not_declared", f"what is to follow it cannot: {error}: {way}")
        except files.Left as left:
            await self._leave(entry, left.event, str(left))
        except Drained:
            return  # ordered since we looked; the file is taken after the resume
        except StoreError:
            raise
        except OSError as error:
            await self._leave(entry, "taking_in_failed", f"{error.strerror or error}", again=True)
        except Exception as error:  # of one file: others are taken in
            log.exception("taking_in_failed", file=self._relative(entry.path))
            await self._leave(entry, "taking_in_failed", f"{type(error).__name__}: {error}")
        else:
            self._left.pop(entry.path, None)
            self._troubles.pop(entry.path, None)

    async def _leave(self, entry: Entry, event: str, why: str, *, again: bool = False) -> None:
        """The file stays and is tried again when it changes, or in a while where the fault may not be its own."""
        again = again or event in ("file_cannot_be_moved", "file_cannot_be_rejected")
        self._left[entry.path] = _Leaving(entry.version, self._clock.mono() + AGAIN if again else None)
        if event == "file_vanished":
            log.warning(event, file=self._relative(entry.path))
            return
        if self._report(entry.path, event, f"{self._relative(entry.path)}: {why}") and event != "file_is_not_regular":
            await thread.run(lambda: files.explain(Path(entry.path), why))

    def _report(self, path: str, event: str, what: str) -> bool:
        """A trouble, and a log line when it is new."""
        known = self._troubles.get(path)
        if known is not None and known.what == what:
            return False
        where = self._relative(path)
        log.warning(event, where=where, why=what[:_LONGEST])
        self._troubles[path] = Trouble("watch", what, where, self._clock.wall())
        return True

    def _relative(self, path: str) -> str:
        """Where it is in the state folder, for people."""
        return files.plain(os.path.relpath(path, self._config.root))


def _folders(config: Config) -> dict[Path, str | None]:
    """Every watch folder, with the source that takes what is dropped there."""
    return {config.watch: config.default_source} | {config.watch / name: name for name in config.sources}


def _made(folder: Path) -> int | OSError:
    """Makes a watch folder if it is not there; its inode, or why it cannot be made."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        files.make_like_parent(folder)
        return os.stat(folder).st_ino
    except OSError as error:
        return error


def _unmade(folder: Path) -> None:
    """Takes a watch folder away that this user made, if nothing is in it."""
    with suppress(OSError):
        if os.stat(folder).st_uid == os.geteuid():
            folder.rmdir()


def _names(folder: Path, source: str | None) -> dict[str, Entry]:
    names = {}
    with suppress(OSError), os.scandir(folder) as listed:
        for one in listed:
            with suppress(FileNotFoundError):
                names[one.name] = Entry(one.path, source, one.stat(follow_symlinks=False))
    return names


def _ends_whole(path: Path) -> bool:
    """True where the last line has its newline. Compressed data may end anywhere."""
    try:
        with files.opened(path) as file:
            head = file.read(2)
            file.seek(max(os.fstat(file.fileno()).st_size - 2, 0))
            tail = file.read(2)
    except (files.Left, OSError):
        return False
    if head == b"\x1f\x8b":
        return False
    if head in (b"\xff\xfe", b"\xfe\xff"):
        return tail in (b"\n\0", b"\0\n")
    return tail.endswith(b"\n")
