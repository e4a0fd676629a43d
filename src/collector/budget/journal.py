"""What a ledger keeps over kills: one line of JSON for each step, written before the step is taken."""

import contextlib
import errno
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import msgspec
import structlog

from collector.clock import Clock
from collector.errors import StoreBusy, StoreError

log = structlog.get_logger()

_BOUND = 1_000_000  # bytes of new lines after which the file is written anew
_SCOUT_KEPT = 3600.0  # how long after its end a freeze still asks for a scout
_SET = 1.0  # seconds by which the wall clock must move against the monotonic one to have been set
_FINE = 2**-8  # stamps are rounded up by at most this share of their age


class Calls(msgspec.Struct, frozen=True, array_like=True, tag="calls"):
    """At `at` so many calls had been answered since the line before, and so many more were about to leave.

    `sent` may name calls in advance, and is below zero where they were given back. What of it was never answered counts
    as sent when the process ended.
    """

    identity: str
    at: float  # in the time of the process that wrote it, as all stamps here
    sent: int
    answered: int
    keep: float  # seconds for which a window of this identity remembers an answer


class Frozen(msgspec.Struct, frozen=True, array_like=True, tag="frozen"):
    """Nobody sends until then; after that, where anything was refused, one call alone. The last such line holds."""

    identity: str
    at: float
    until: float
    in_a_row: int


class Began(msgspec.Struct, frozen=True, array_like=True, tag="began"):
    """From here on stamps are the monotonic clock of that `boot` and `ahead`, which made them wall time at that moment.

    Where the boot is that of the line before, only the wall clock was set: then it moves the stamps before it as well.
    So nobody who sets the clock makes a call older than it is.
    """

    boot: str  # empty where nobody can tell
    ahead: float


Line: TypeAlias = Calls | Frozen | Began
_decoder = msgspec.json.Decoder[Line](Line)


@dataclass(slots=True)
class Story:
    """What the lines of one identity come to."""

    answers: list[tuple[float, int]] = field(default_factory=list)  # (stamp, count)
    unanswered: int = 0
    keep: float = 0.0
    frozen: Frozen | None = None


def fold(lines: Iterable[bytes], now: float, here: Began) -> dict[str, Story]:
    """The stories that the lines tell, in the time of `here`. A torn or strange line is skipped; a stamp in the future
    counts as now."""
    stories: dict[str, Story] = {}
    began = Began("", 0.0)
    for text in lines:
        try:
            line = _decoder.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        match line:
            case Began():
                _move(stories, began, line)
                began = line
            case Frozen():
                stories.setdefault(line.identity, Story()).frozen = line
            case Calls():
                _tell(stories.setdefault(line.identity, Story()), line)
    _move(stories, began, here)
    return {identity: _fresh(story, now) for identity, story in stories.items()}


def latest(lines: Iterable[bytes]) -> float | None:
    """The latest stamp in the lines, as the process that wrote it had it; None where there is none."""
    found: float | None = None
    for text in lines:
        try:
            line = _decoder.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if not isinstance(line, Began):
            found = max(found if found is not None else line.at, line.at)
    return found


def _tell(story: Story, line: Calls) -> None:
    story.keep = max(story.keep, line.keep)
    # Never below zero: an answer whose send was on a torn line must not hide the send of another.
    story.unanswered = max(0, max(0, story.unanswered - line.answered) + line.sent)
    if line.answered > 0:
        story.answers.append((line.at, line.answered))


def _move(stories: dict[str, Story], before: Began, after: Began) -> None:
    by = after.ahead - before.ahead
    if not by or not after.boot or after.boot != before.boot:
        return
    for story in stories.values():
        story.answers = [(at + by, count) for at, count in story.answers]
        if frozen := story.frozen:
            story.frozen = Frozen(frozen.identity, frozen.at + by, frozen.until + by, frozen.in_a_row)


def _fresh(story: Story, now: float) -> Story:
    answers = [(min(at, now), count) for at, count in story.answers if at + story.keep > now]
    frozen = story.frozen
    if frozen:
        at = min(frozen.at, now)
        frozen = Frozen(frozen.identity, at, at + frozen.until - frozen.at, frozen.in_a_row)
    if frozen and max(frozen.until, frozen.until + _SCOUT_KEPT * (frozen.in_a_row > 0)) <= now:
        frozen = None
    return Story(answers, story.unanswered, story.keep, frozen)


def compact(stories: dict[str, Story], now: float) -> list[Line]:
    """Few lines that tell the same; an answer's stamp may move later by a small share of its age, never earlier."""
    lines: list[Line] = []
    for identity, story in stories.items():
        cells: dict[tuple[float, int], list[float]] = {}
        for at, count in story.answers:
            # Powers of two, so that the cells of a younger stamp lie within those of an older and no stamp moves twice.
            width = 2.0 ** math.floor(math.log2(max(now - at, 0.001) * _FINE))
            cell = cells.setdefault((width, math.floor(at / width)), [at, 0])
            cell[0], cell[1] = max(cell[0], at), cell[1] + count
        for at, total in sorted(cells.values()):
            lines.append(Calls(identity, at, 0, int(total), story.keep))
        if story.unanswered:
            lines.append(Calls(identity, now, story.unanswered, 0, story.keep))
        if story.frozen:
            lines.append(story.frozen)
    return lines


class Journal:
    """The file: appended to without a buffer, written anew at the start and when it has grown."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """Reads what was kept into `past`, where what was never answered counts as answered now. StoreError."""
        now = clock.wall()
        self.ahead = now - clock.mono()  # of the stamps in `past`
        self._began = Began(clock.boot(), self.ahead)
        self._path, self._clock = path, clock
        self._owed: list[Line] = []  # lines that could not be written; they go before the next
        self._bound = _BOUND
        try:
            data = path.read_bytes() if _is_file(path) else b""
            self._fd: int | None = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"{path}: cannot be opened ({error.strerror}); make it a file that is ours") from error
        self._grown = 0
        self._torn = not data.endswith(b"\n")
        self.past = fold(data.split(b"\n"), now, self._began)
        for story in self.past.values():
            if story.unanswered:
                story.answers.append((now, story.unanswered))
                story.unanswered = 0
        if not self._rewrite(self.past, now):
            self._owed.append(self._began)

    def stamp(self, mono: float) -> float:
        """A time of the monotonic clock as the next lines have it."""
        ahead = self._clock.wall() - self._clock.mono()
        if abs(ahead - self._began.ahead) > _SET:
            self._began = Began(self._began.boot, ahead)
            self._owed.append(self._began)
        return mono + self._began.ahead

    def write(self, *lines: Line) -> None:
        """Writes the lines, and what is owed before them; StoreBusy when the disk does not take them."""
        wanted = [*self._owed, *lines]
        if self._fd is None or not wanted:
            return
        data = b"\n" * self._torn + _encoded(wanted)
        before = os.fstat(self._fd).st_size
        try:
            if os.write(self._fd, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self._torn = True
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, before)  # or the part that was written would be told twice
            raise StoreBusy(f"{self._path}: cannot be written ({error.strerror}); free some space") from error
        self._torn = False
        self._owed.clear()
        self._grown += len(data)
        if self._grown > self._bound:
            self._compact()

    def note(self, *lines: Line) -> None:
        """Writes the lines now, or else before the next that `write` is given."""
        try:
            self.write(*lines)
        except StoreBusy:
            self._owed += lines

    def heal(self) -> None:
        """Writes what is owed; StoreBusy when that still fails."""
        self.write()

    def close(self) -> None:
        """Closes the file; what is written later is dropped."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _compact(self) -> None:
        try:
            data = self._path.read_bytes()
        except OSError as error:
            log.warning("ledger_not_compacted", path=str(self._path), error=error.strerror)
            self._bound *= 2
            return
        now = self.stamp(self._clock.mono())
        self._rewrite(fold(data.split(b"\n"), now, self._began), now)

    def _rewrite(self, stories: dict[str, Story], now: float) -> bool:
        """Writes the stories beside and renames; False, and the old file as good as it was, when that fails."""
        beside = self._path.with_name(self._path.name + ".new")
        data = _encoded([self._began, *compact(stories, now)])
        fd = None
        try:
            fd = os.open(beside, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            if os.write(fd, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(fd)
            os.replace(beside, self._path)
        except OSError as error:
            if fd is not None:
                os.close(fd)
            self._bound *= 2
            log.warning("ledger_not_compacted", path=str(self._path), error=error.strerror)
            return False
        old, self._fd = self._fd, fd
        if old is not None:
            os.close(old)
        self._grown, self._torn, self._bound = 0, False, max(_BOUND, len(data))
        return True


def _is_file(path: Path) -> bool:
    """False where nothing is there yet; OSError for what is no file, of which a pipe would never let go."""
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, "it is no file", str(path))
    return path.exists()


def _encoded(lines: Sequence[Line]) -> bytes:
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
