"""How much room the disk has: looked at often enough that the service pauses before the disk is full."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import structlog

from collector import quantity
from collector.clock import Clock
from collector.errors import StoreBusy
from collector.host import thread
from collector.model import Space, Trouble

EVERY = 1.0  # seconds between two looks
SOONEST = 0.05  # and as many where the floor is near
FASTEST = 200_000_000  # bytes a second that functions without a limit may bring, each of them written twice
MORE = 1.1  # times the floor is what has to be free before it goes on

MOST_WAL = 64_000_000  # bytes; the service itself stays below
_LOOKS = 10  # in a row, after which somebody else is to blame
_PARTS = 3  # room inside the database counts up to so many times what is free: its WAL and the ledger want real room

log = structlog.get_logger()


class Room:
    """Whether what fills the disk may go on; shared by all who do."""

    def __init__(self) -> None:
        self.trouble: Trouble | None = None  # why not
        self._enough = asyncio.Event()
        self._enough.set()

    async def enough(self) -> None:
        """Returns when there is room."""
        await self._enough.wait()

    def tell(self, trouble: Trouble | None) -> None:
        """There is none, and why; None: there is."""
        self.trouble = trouble
        if trouble:
            self._enough.clear()
        else:
            self._enough.set()


class Disk:
    """The actor that looks how much is free where the database is, and tells the room."""

    def __init__(self, database: Path, floor: int, spare: Callable[[], Awaitable[int]], clock: Clock) -> None:
        self._database, self._floor, self._spare, self._clock = database, floor, spare, clock
        self.room = Room()
        self.space = Space(str(database.parent))
        self._large = 0  # looks in a row at a large WAL

    def reconfigure(self, floor: int) -> None:
        """Takes up another floor; 0 is none."""
        self._floor = floor
        self._decide()

    async def run(self) -> None:
        """Looks until it is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self.pause())

    def pause(self) -> float:
        """Seconds to the next look: the sooner the less there is above the floor."""
        above = room_of(self.space) - self._floor
        return EVERY if self.room.trouble or not self._floor else min(max(above / FASTEST, SOONEST), EVERY)

    async def look(self) -> None:
        """One look. What cannot be looked at is as it was: whoever writes there will say what is wrong."""
        try:
            free, size, wal = await thread.run(partial(_measured, self._database))
            # What a prune has left is asked for only where it matters.
            spare = await self._spare() if free < MORE * self._floor else 0
        except (OSError, StoreBusy):
            return
        self.space = Space(str(self._database.parent), free, spare, size, wal=wal)
        self._large = self._large + 1 if wal > MOST_WAL else 0
        self._decide()

    def troubles(self) -> tuple[Trouble, ...]:
        """Who keeps the WAL from being written back into the database."""
        if self._large < _LOOKS:
            return ()
        what = (
            f"collector.db-wal has {quantity.sized(self.space.wal)}: another program reads collector.db in one"
            " transaction that does not end, so nothing can be written back; end it (`fuser -v collector.db` names it)"
        )
        return (Trouble("wal", what, self.space.path, self._clock.wall() - self._large * EVERY),)

    def _decide(self) -> None:
        before, space, floor = self.room.trouble, self.space, self._floor
        if space.free is None or not is_short(room_of(space), floor, was=before is not None):
            self.room.tell(None)
            if before:
                log.warning("disk_has_room", free=space.free, min_free=floor, where=space.path)
            return
        what, since = _told(space, floor), before.since if before else self._clock.wall()
        self.room.tell(Trouble("disk", what, space.path, since))
        if before is None:
            log.warning("disk_low", free=space.free, min_free=floor, where=space.path, what=what)


def is_short(room: int, floor: int, *, was: bool) -> bool:
    """Whether there is too little room, in bytes; where that was so, for somewhat longer, lest it comes and goes."""
    return room < (MORE * floor if was else floor)


def room_of(space: Space) -> int:
    """Bytes that may still be written: what is free on the disk, and inside the database."""
    return (space.free or 0) + min(space.spare, _PARTS * (space.free or 0))


def _told(space: Space, floor: int) -> str:
    inside = f", and {quantity.sized(space.spare)} inside collector.db" if space.spare else ""
    return (
        f"{quantity.sized(space.free or 0)} are free in {space.path}{inside}, and min_free is {quantity.sized(floor)}:"
        f" nothing is asked or taken in until {quantity.sized(round(MORE * floor))} are free; make room, as by"
        " `collector prune`, or lower min_free"
    )


def _measured(database: Path) -> tuple[int, int, int]:
    """Bytes that are free to this user there, and those of the database and of its WAL."""
    # Of the file and of its folder: the file may be a link into another file system, and the ledger is not.
    free = min(there.f_bavail * there.f_frsize for there in map(os.statvfs, (database, database.parent)))
    return free, os.stat(database).st_size, _size(f"{os.path.realpath(database)}-wal")  # SQLite follows a link too


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
