"""Files on their way: opened without surprises, named, and moved so that a power cut leaves one whole file."""

import errno
import os
import shlex
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec
import structlog

from collector.errors import CollectorError
from collector.host.files import sync, whole, write

Identity = tuple[int, int, int, int]  # device, inode, size, mtime in ns, each as SQLite can keep it

WHY = ".why.txt"  # behind the name of a file that was not taken in
_FIRST_WORDS = "collector has not taken in this file"
_ENDINGS = (".gz", ".txt", ".csv", ".tsv", ".tab", ".json", ".jsonl", ".ndjson", ".dat", ".list", ".ids")
# Names that a batch's folder needs for itself.
_OURS = ("receipt.txt", "refused.csv", "status.txt", "report.md", "also.jsonl")
_OUR_TABLES = ("found", "gone", "failed")

log = structlog.get_logger()


class Left(CollectorError):
    """A file that stays where it is: `event` for the log, the text with what to do about it."""

    def __init__(self, event: str, text: str) -> None:
        self.event = event
        super().__init__(text)


def is_unfinished(name: str) -> bool:
    """True for names that senders give to files that are still on their way, and for hidden ones."""
    return name.startswith(".") or name.lower().endswith((".part", ".filepart", ".tmp", "~"))


def opened(path: Path) -> BinaryIO:
    """A regular file for reading; Left for anything else, without waiting for it and without following a link."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _left(path, error) from error
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise Left("file_is_not_regular", f"{path.name} is no regular file: drop the file itself")
    return os.fdopen(number, "rb")


def _left(path: Path, error: OSError) -> Left:
    match error.errno:
        case errno.ENOENT:
            return Left("file_vanished", f"{path.name} was there and is gone")
        case errno.ELOOP | errno.ENXIO:
            return Left(
                "file_is_not_regular", f"{path.name} is no regular file: drop the file itself, not a link to it"
            )
        case errno.EACCES | errno.EPERM:
            return Left("file_is_unreadable", f"its mode keeps collector from reading it: {_chmod(path)}")
    return Left("file_is_unreadable", f"it cannot be read: {error.strerror}")


def _chmod(path: Path) -> str:
    with suppress(OSError):
        if os.lstat(path).st_gid in (os.getegid(), *os.getgroups()):
            return f"chmod g+r {shlex.quote(plain(str(path)))}"
    return f"chmod a+r {shlex.quote(plain(str(path)))}"


def identity(status: os.stat_result) -> Identity:
    """Which file it is and whether it changed; inodes beyond 63 bits are folded."""
    return _signed(status.st_dev), _signed(status.st_ino), status.st_size, status.st_mtime_ns


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number


def find(wanted: Identity, folders: list[Path]) -> Path | None:
    """The file in one of the folders that is the wanted one and did not change."""
    for folder in folders:
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                with suppress(OSError):
                    if identity(entry.stat(follow_symlinks=False)) == wanted:
                        return Path(entry.path)
    return None


def plain(name: str) -> str:
    """A file's name as text that a database, a terminal and a file system can hold."""
    text = os.fsencode(name).decode("utf-8", "replace").replace("\ufffd", "_")
    return "".join(letter if letter.isprintable() else "_" for letter in text)


def stem(name: str) -> str:
    """What a file is called without the endings that say its kind; short enough for a folder's name."""
    short = plain(name)
    while short.lower().endswith(_ENDINGS) and (cut := short.rpartition(".")[0]):
        short = cut
    return short.encode()[:120].decode("utf-8", "ignore").rstrip() or "ids"


def kept_as(name: str) -> str:
    """The name of the file in its batch's folder, where some names are ours."""
    short = plain(name)
    taken = short.lower() in _OURS or short.lower().startswith(tuple(f"{table}." for table in _OUR_TABLES))
    return f"ids-{short}" if taken else short


def move(source: Path, target: Path) -> None:
    """Moves a file durably; over file systems by a copy that gets its name when it is whole.

    OSError leaves it at `source` and nothing at `target`.
    """
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        try:
            with opened(source) as taken, whole(target) as copy:
                while block := taken.read(1 << 20):
                    copy.add(block)
            os.unlink(source)
        except OSError:
            with suppress(FileNotFoundError):
                os.unlink(target)
            raise
    for folder in (target.parent, source.parent):
        with suppress(OSError):
            sync(folder)


def set_aside(folder: Path) -> Path:
    """Gives a folder that is not empty another name, so that what somebody left in it is not written over."""
    for number in range(1, 10_000):
        other = folder.with_name(f"{folder.name}.before-{number}")
        if not other.exists():
            os.rename(folder, other)
            return other
    raise FileExistsError(errno.EEXIST, "too many folders were set aside", str(folder))


def reject(path: Path, folder: Path, why: str) -> Path:
    """Moves a file into `rejected/` under a free name, after NAME.why.txt was written there; where it is now."""
    folder.mkdir(parents=True, exist_ok=True)
    target = _free(folder, plain(path.name))
    write(target.with_name(target.name + WHY), f"{_FIRST_WORDS}, since\n{why}\n")
    move(path, target)
    drop_options(path)
    return target


def _free(folder: Path, name: str) -> Path:
    first, ending = os.path.splitext(name)
    target, number = folder / name, 1
    while os.path.lexists(target):
        number += 1
        target = folder / f"{first}-{number}{ending}"
    return target


def explain(path: Path, why: str) -> None:
    """Writes NAME.why.txt beside a file that stays; does without it where the folder cannot be written to."""
    beside = path.with_name(path.name + WHY)
    with suppress(OSError):
        if beside.is_symlink() or (beside.exists() and not _is_explanation(beside)):
            return
        write(beside, f"{_FIRST_WORDS}, since\n{why}\n")


def unexplain(beside: Path) -> None:
    """Removes a NAME.why.txt of ours whose file is no longer there."""
    with suppress(OSError):
        if not beside.is_symlink() and _is_explanation(beside):
            os.unlink(beside)


def _is_explanation(path: Path) -> bool:
    with suppress(Left), opened(path) as file:
        return file.read(len(_FIRST_WORDS)) == _FIRST_WORDS.encode()
    return False


class Options(msgspec.Struct, frozen=True):
    """What `collector add` asks for a file, in `.NAME.options.json` beside it."""

    column: str | int | None = None
    then: tuple[str, ...] = ()  # the sources that are to follow


def options(path: Path) -> Options:
    """The options that came with a file; none where there are none."""
    beside = options_of(path)
    try:
        with opened(beside) as file:
            return msgspec.json.decode(file.read(65_536), type=Options)
    except (Left, msgspec.MsgspecError) as error:
        if not (isinstance(error, Left) and error.event == "file_vanished"):
            log.warning("options_are_unreadable", file=beside.name, why=str(error))
    return Options()


def drop_options(path: Path) -> None:
    """Removes the options of a file that was taken, lest they meet another file of its name."""
    with suppress(OSError):
        os.unlink(options_of(path))


def options_of(path: Path) -> Path:
    """Where the options of a file lie."""
    return path.with_name(f".{path.name}.options.json")


def make_like_parent(folder: Path) -> None:
    """Makes a folder with the mode of the one it is in, so that whoever may drop files there may drop them here."""
    try:
        folder.mkdir()
    except FileExistsError:
        return
    mode = stat.S_IMODE(os.stat(folder.parent).st_mode)
    with suppress(OSError):
        os.chmod(folder, mode)
