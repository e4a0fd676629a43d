"""How much of answers is in memory: large ones wait with their reading until others are recorded."""

import asyncio
from types import TracebackType

LARGE = 1 << 18  # bytes of an answer up to which it never waits
MOST = 64_000_000  # bytes; one answer alone may be larger


class Load:
    """The bytes of all answers that are being read, or wait to be recorded; shared by all sources."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self.held = 0
        self._turn = asyncio.Lock()
        self._less = asyncio.Event()

    def reading(self) -> "Share":
        """A context for as long as an answer is read: what it takes meanwhile."""
        return Share(self)

    async def fits(self, size: int) -> None:
        """Waits its turn, and until so many bytes have room beside the others, or there are no others; takes them."""
        async with self._turn:
            while self.held and self.held + size > self._most:
                self._less.clear()
                await self._less.wait()
            self.held += size

    def hold(self, size: int) -> None:
        """So many bytes are there, with room or without."""
        self.held += size

    def release(self, size: int) -> None:
        """So many bytes are gone."""
        self.held -= size
        self._less.set()


class Share:
    """What one answer has taken; given back where the context ends."""

    __slots__ = ("_load", "size")

    def __init__(self, load: Load) -> None:
        self._load, self.size = load, 0

    def __enter__(self) -> "Share":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.size:
            self._load.release(self.size)

    async def take(self, size: int) -> None:
        """Takes so many bytes, once; it may wait."""
        await self._load.fits(size)
        self.size = size
