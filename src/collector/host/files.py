"""Files that are there in one piece or not at all: written beside their name, made durable, renamed; and read whole."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedWriter
from pathlib import Path


class Part:
    """The file that is being written, `.NAME.part`."""

    def __init__(self, path: Path) -> None:
        self.path, self._beside = path, path.with_name(f".{path.name}.part")
        self._file: BufferedWriter | None = None

    def begin(self, mode: int | None = None) -> None:
        """Opens it, empty even when an earlier process left something; with a `mode`, nobody else ever read it."""
        if mode is None:
            self._file = self._beside.open("wb")
            return
        self._beside.unlink(missing_ok=True)
        handle = os.open(self._beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(handle, "wb")
        os.fchmod(handle, mode)  # whatever the umask says

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
        os.rename(self._beside, self.path)
        if durable:
            sync(self.path.parent)

    def discard(self) -> None:
        """Gives its space back."""
        with suppress(OSError):
            if self._file is not None:
                self._file.close()
        with suppress(OSError):
            self._beside.unlink(missing_ok=True)


@contextmanager
def whole(path: Path, *, durable: bool = True, mode: int | None = None) -> Iterator[Part]:
    """A part to add to; on leaving the file is there, or nothing of it."""
    part = Part(path)
    try:
        part.begin(mode)
        yield part
        part.settle(durable=durable)
    except BaseException:
        part.discard()
        raise


def write(path: Path, text: str, *, durable: bool = True) -> None:
    """Writes a whole small file; what UTF-8 cannot hold is escaped."""
    with whole(path, durable=durable) as part:
        part.add(text.encode(errors="backslashreplace"))


def regular(path: Path, most: int) -> bytes:
    """The bytes of a small regular file, without waiting for anybody; OSError where it is none or has more than `most`.

    A FIFO, a terminal or another end of a pipe would hold the reading thread, and with it a stop, for ever.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        with open(handle, "rb", closefd=False) as file:
            data = file.read(most + 1)
    finally:
        os.close(handle)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most:,} bytes", str(path))
    return data


def sync(folder: Path) -> None:
    """Makes the names in a folder durable, where its file system can."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(handle)
