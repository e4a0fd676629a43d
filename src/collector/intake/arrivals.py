"""Which of the files in a watch folder are complete."""

import msgspec

from collector.clock import Clock

UNFINISHED = 10  # times the settle time where the content looks as if more were to come
STALLED = 600.0  # seconds without a word from whoever has the file open for writing


class Sighting(msgspec.Struct, frozen=True):
    """A file as a scan saw it."""

    inode: int
    size: int
    mtime: int  # nanoseconds


class _Known(msgspec.Struct):
    seen: Sighting
    since: float  # loop time at which it was first seen so
    ended: bool | None = None  # its last line has its newline; None: not looked at yet
    complete: bool = False


class Arrivals:
    """A file is complete when its writer closed it or it came by rename, or when it rests for the settle time.

    One that a process of this machine is writing is not complete however long it rests, up to `STALLED`. An empty one
    is most often one that is about to be written: it is complete only long after it was made.
    """

    def __init__(self, settle: float, clock: Clock) -> None:
        self.settle, self._clock = settle, clock
        self._known: dict[str, _Known] = {}
        self._written: dict[str, float] = {}  # loop time of the last write by a process that has not closed it
        self._closed: set[str] = set()

    def made(self, path: str) -> None:
        """Somebody made the file; a hard link is made too, and never closed."""
        self._closed.discard(path)

    def written(self, path: str) -> None:
        """Somebody wrote to the file and has it open."""
        self._closed.discard(path)
        self._written[path] = self._clock.mono()

    def closed(self, path: str) -> None:
        """Its writer closed it, or it got its name when it was whole."""
        self._written.pop(path, None)
        self._closed.add(path)

    def lost(self) -> None:
        """Events were lost: nothing is known of who writes."""
        self._written.clear()

    def paths(self) -> set[str]:
        """Every file of which something is known."""
        return {*self._known, *self._written, *self._closed}

    def forget(self, paths: set[str]) -> None:
        """The files are gone."""
        for path in paths:
            self._known.pop(path, None)
            self._written.pop(path, None)
        self._closed -= paths

    def needs_look(self, path: str, seen: Sighting) -> bool:
        """Takes note of a sighting; True where it must be told, with `ends`, how the file's content ends."""
        known = self._known.get(path)
        if known is None or known.seen != seen:
            self._known[path] = _Known(seen, self._clock.mono())
            return False
        rested = self._clock.mono() - known.since
        return known.ended is None and seen.size > 0 and self.settle <= rested < self.settle * UNFINISHED

    def ends(self, path: str, *, whole: bool) -> None:
        """How the content ends: with a newline, or in a way that leaves open whether more comes."""
        self._known[path].ended = whole

    def complete(self, path: str) -> bool:
        """True where a file that was sighted may be taken; and again for as long as it is sighted unchanged."""
        known = self._known[path]
        known.complete = self._is_complete(path, known)
        if known.complete:
            self._closed.discard(path)  # what is told from now on is told of the next file of this name
        return known.complete

    def _is_complete(self, path: str, known: _Known) -> bool:
        now = self._clock.mono()
        rested = now - known.since
        if path in self._written:
            return now - self._written[path] >= STALLED and rested >= STALLED
        if known.complete:
            return True
        if path in self._closed:
            return known.seen.size > 0 or rested >= self.settle * UNFINISHED
        if known.seen.size == 0:
            return rested >= STALLED
        return rested >= self.settle * (1 if known.ended else UNFINISHED)
