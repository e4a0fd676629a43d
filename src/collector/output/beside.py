"""Files that are there in one piece or not at all: written beside their name, made durable, renamed."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from io import BufferedWriter
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


async def in_thread(step: Callable[[], T]) -> T:
    """Runs a blocking step in a thread; a cancel waits for its end, so that nothing goes on behind the caller."""
    work = asyncio.get_running_loop().run_in_executor(None, step)
    try:
        return await asyncio.shield(work)
    finally:
        if not work.done():
            await asyncio.wait([work])


class Part:
    """The file that is being written; its methods block."""

    def __init__(self, path: Path) -> None:
        self._path, self._part = path, path.with_name(f".{path.name}.part")
        self._file: BufferedWriter | None = None

    def begin(self) -> None:
        """Opens it, empty even when an earlier process left something."""
        self._file = self._part.open("wb")

    def add(self, data: bytes) -> None:
        """Writes behind what is there."""
        assert self._file is not None
        self._file.write(data)

    def settle(self, *, durable: bool = True) -> None:
        """Gives it its name; with `durable` only once its bytes are on the disk."""
        assert self._file is not None
        self._file.flush()
        if durable:
            os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self._path)
        if durable:
            _sync_folder(self._path.parent)

    def discard(self) -> None:
        """Gives its space back."""
        with suppress(OSError):
            if self._file is not None:
                self._file.close()
        with suppress(OSError):
            self._part.unlink(missing_ok=True)


@asynccontextmanager
async def beside(path: Path) -> AsyncIterator[Part]:
    """A part whose `add` is to be called in a thread; on leaving the file is there, or nothing of it."""
    part = Part(path)
    try:
        await in_thread(part.begin)
        yield part
        await in_thread(part.settle)
    except BaseException:
        await in_thread(part.discard)
        raise


def put(path: Path, text: str, *, durable: bool = True) -> None:
    """Writes a whole small file; blocks."""
    part = Part(path)
    try:
        part.begin()
        part.add(text.encode())
        part.settle(durable=durable)
    except BaseException:
        part.discard()
        raise


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
