"""One pass over a batch's file, in steps that a worker thread runs."""

import csv
import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from collector.errors import UnreadableFile
from collector.host.files import Part
from collector.intake import files
from collector.intake.idfile import Chunk, Reader, Refused
from collector.output.table import guarded

SHOWN = 5  # refused lines that the receipt shows
_SAMPLED, _SAMPLED_AT_ONCE = 2_000, 50  # IDs by which the length of all is judged, and of one chunk


class Reading:
    """The file of a batch while it is read; what is refused streams into refused.csv beside it, with `keep`.

    UnreadableFile or files.Left at once where it cannot be read; nothing here is for two threads at a time.
    """

    def __init__(
        self, path: Path, match: Callable[[str], str | None], column: str | int | None, *, keep: bool = True
    ) -> None:
        self._path, self._keep = path, keep
        self._stream = files.opened(path)
        try:
            self._found = os.fstat(self._stream.fileno())
            self.reader = Reader(self._stream, match, column)
        except BaseException:
            self._stream.close()
            raise
        self._chunks = iter(self.reader)
        self._table: Part | None = None
        self._broken: str | None = None
        self.refused = 0
        self.first: list[Refused] = []
        self.sample: list[str] = []  # IDs of all parts of the file
        self.digest = ""

    @property
    def identity(self) -> files.Identity:
        """Which file it is, as it was when it was opened."""
        return files.identity(self._found)

    def step(self) -> Chunk | None:
        """The next chunk; None at the end."""
        try:
            chunk = next(self._chunks, None)
        except UnreadableFile as error:
            self._broken = f"it could be read up to line {self.reader.lines:,} only: {error}"
            return None
        if chunk is not None:
            self.sample += chunk.keys[: min(_SAMPLED_AT_ONCE, _SAMPLED - len(self.sample))]
        if chunk is not None and chunk.refused:
            self._refuse(chunk.refused)
        return chunk

    def _refuse(self, refused: list[Refused]) -> None:
        self.refused += len(refused)
        self.first += refused[: SHOWN - len(self.first)]
        if not self._keep:
            return
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        if self._table is None:
            self._table = Part(self._path.with_name("refused.csv"))
            self._table.begin()
            rows.writerow(("line", "text", "why"))
        rows.writerows((one.line, guarded(one.text), one.why) for one in refused)
        self._table.add(text.getvalue().encode(errors="backslashreplace"))

    def end(self) -> None:
        """After the last step: refused.csv gets its name, and the bytes their digest."""
        if self._table is not None:
            self._table.settle()
        else:  # an earlier pass, cut off, may have left one
            self._path.with_name("refused.csv").unlink(missing_ok=True)
        self.digest = _digest(self._stream)

    def warnings(self, size: int | None) -> list[str]:
        """What somebody should know of the file; `size` is what it had when it was found complete."""
        told = list(self.reader.warnings)
        if self._broken:
            told.append(self._broken)
        now = os.fstat(self._stream.fileno())
        before, after = (self._found.st_size, self._found.st_mtime_ns), (now.st_size, now.st_mtime_ns)
        if before != after or (size is not None and size != now.st_size):
            sizes = f"from {size or before[0]:,} to {now.st_size:,} bytes"
            told.append(
                f"THE FILE CHANGED WHILE IT WAS TAKEN IN ({sizes}): somebody was still writing it, and IDs may be "
                "missing. Drop it again when it is complete."
            )
        return told

    def close(self) -> None:
        """Closes what is open; what was not ended is begun anew by the next reading."""
        self._stream.close()
        if self._table is not None:
            self._table.discard()


def _digest(stream: BinaryIO) -> str:
    stream.seek(0)
    digest = hashlib.sha256()
    while block := stream.read(1 << 18):
        digest.update(block)
    return digest.hexdigest()
