"""A file read as if it were taken in, with nothing moved, written or asked."""

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from collector.intake.distinct import Distinct
from collector.intake.idfile import Refused
from collector.intake.reading import Reading


class Preview(msgspec.Struct, frozen=True):
    """What would become of a file: lines = IDs + repeats + refused."""

    layout: str
    lines: int
    headers: int
    blank: int
    ids: int
    refused: int
    first: tuple[Refused, ...]  # of the refused lines
    warnings: tuple[str, ...]
    collected: int  # of the IDs
    sample: tuple[str, ...]  # a few of the IDs

    @property
    def repeats(self) -> int:
        """IDs that stood in the file before."""
        return self.lines - self.ids - self.refused


def preview(
    path: Path,
    match: Callable[[str], str | None],
    column: str | int | None,
    collected: Callable[[list[str]], Iterable[str]],
    progress: Callable[[int], None],
) -> Preview:
    """Reads the whole file; UnreadableFile or files.Left where it would not be taken in.

    `collected` picks those IDs that need not be asked for; `progress` is told now and then how many lines are read.
    """
    reading = Reading(path, match, column, keep=False)
    try:
        with Distinct() as keys, Distinct() as known:
            while (chunk := reading.step()) is not None:
                keys.add(chunk.keys)
                known.add(collected(chunk.keys))
                progress(reading.reader.lines)
            ids, collected_ids = keys.count(), known.count()
        reader = reading.reader
        return Preview(
            layout=reader.layout.text,
            lines=reader.lines,
            headers=reader.headers,
            blank=reader.blank,
            ids=ids,
            refused=reading.refused,
            first=tuple(reading.first),
            warnings=tuple(reading.warnings(None)),
            collected=collected_ids,
            sample=tuple(reading.sample),
        )
    finally:
        reading.close()
