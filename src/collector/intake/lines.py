"""Lines and table records, in memory that is bounded whatever the file holds."""

import csv
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator
from itertools import accumulate

PLAIN = 64_000  # bytes in one line of a plain list
RECORD = 4_000_000  # bytes in one record of a table: a cell may hold a list of IDs
_AT_ONCE = 4_000_000  # bytes handed out at once


class Lines:
    """Bytes between `\\n`s, without them and without a `\\r` before them; `number` counts those handed out.

    A line of more than `limit` bytes comes as its first `limit + 1` bytes; the rest is passed over.
    When `torn` tells so at the end, the last line is not handed out but kept in `rest`: its end is missing.
    """

    def __init__(self, blocks: Iterator[bytes], limit: int, torn: Callable[[], bool] = lambda: False) -> None:
        self._blocks, self._limit, self._torn = blocks, limit, torn
        self._ready: list[bytes] = []
        self._weight = 0
        self._tail = bytearray()
        self._done = False
        self.number = 0
        self.rest: bytes | None = None

    def take(self, most: int) -> list[bytes]:
        """The next lines, fewer than `most` only where they are long or at the end; empty at the end.

        Where it cuts depends on nothing but the content, so that a second reading cuts at the same lines.
        """
        while not self._done and len(self._ready) < most and self._weight < _AT_ONCE:
            self._fill()
        taken = self._ready[:most]
        weight = _weight(taken)
        if weight > _AT_ONCE:
            cut = bisect_left(list(accumulate(len(line) + 1 for line in taken)), _AT_ONCE) + 1
            taken = taken[:cut]
            weight = _weight(taken)
        del self._ready[: len(taken)]
        self._weight -= weight
        self.number += len(taken)
        return taken

    def __iter__(self) -> Iterator[bytes]:
        while batch := self.take(1000):
            yield from batch

    def _fill(self) -> None:
        block = next(self._blocks, None)
        if block is None:
            self._finish()
            return
        first, *others = block.split(b"\n")
        self._tail += first[: self._limit + 1 - len(self._tail)]
        if others:
            lines = [bytes(self._tail), *others[:-1]]
            self._tail = bytearray(others[-1][: self._limit + 1])
            self._add(lines)

    def _finish(self) -> None:
        self._done = True
        if self._tail and self._torn():
            self.rest = bytes(self._tail)
        elif self._tail:
            self._add([bytes(self._tail)])

    def _add(self, lines: list[bytes]) -> None:
        if b"\r" in lines[0] or b"\r" in lines[-1] or any(line.endswith(b"\r") for line in lines):
            lines = [line.removesuffix(b"\r") for line in lines]
        if max(map(len, lines)) > self._limit:
            lines = [line[: self._limit + 1] for line in lines]
        self._weight += _weight(lines)
        self._ready += lines


def _weight(lines: list[bytes]) -> int:
    return sum(map(len, lines)) + len(lines)


def text_of(line: bytes) -> str:
    """The line as text; bytes that are no UTF-8 stand in it as lone surrogates."""
    return line.decode("utf-8", "surrogateescape")


class Rows:
    """Records of a table: the cells of each, after quotes and the line breaks inside them are read.

    `number` is the line at which the record ends, `size` its length. A quote that no other closes within `RECORD`
    bytes, or that would swallow lines that are `a_row` on their own, is a letter like others: tweets hold such quotes,
    and no ID is lost to one. In a `sample`, the cell that is open at the end ends there, if it has the lines of a text.
    """

    def __init__(
        self, lines: Iterator[bytes], separator: str, a_row: Callable[[list[str]], bool], sample: bool = False
    ) -> None:
        # The module's bound for a cell is one for the process; ours is held by `_quoted`.
        csv.field_size_limit(max(csv.field_size_limit(), 2 * RECORD))
        self._lines, self._separator, self._a_row, self._sample = lines, separator, a_row, sample
        self._again: deque[str] = deque()
        self.number = 0
        self.size = 0

    def __iter__(self) -> Iterator[list[str]]:
        while (line := self._next()) is not None:
            self.size = len(line) + 1
            if '"' in line:
                yield self._quoted(line)
            else:
                yield line.split(self._separator)

    def _next(self) -> str | None:
        if self._again:
            line: str | None = self._again.popleft()
        else:
            raw = next(self._lines, None)
            line = None if raw is None else text_of(raw)
        if line is not None:
            self.number += 1
        return line

    def _quoted(self, first: str) -> list[str]:
        held = [first]
        closed = True

        def more() -> Iterator[str]:
            nonlocal closed
            yield first.replace("\r", " ") + "\n"
            size = len(first)
            while size <= RECORD and (line := self._next()) is not None:
                held.append(line)
                size += len(line)
                yield line.replace("\r", " ") + "\n"
            closed = False

        cells = next(csv.reader(more(), delimiter=self._separator))
        if not closed and self._sample:
            closed = sum(self._separator in line for line in held[1:]) * 2 < len(held)
        if closed and not any(self._a_row(line.split(self._separator)) for line in held[1:]):
            self.size = sum(map(len, held)) + len(held)
            return cells
        self._again.extendleft(reversed(held[1:]))
        self.number -= len(held) - 1
        return first.split(self._separator)
