"""ID files as people have them: bytes to IDs and refused lines, in constant memory."""

from collections.abc import Callable, Iterator
from typing import BinaryIO

import msgspec

from collector.errors import UnreadableFile
from collector.intake.encoding import Text
from collector.intake.entry import Sieve, is_float, shown, tidy
from collector.intake.floats import FloatCheck
from collector.intake.layout import DOCUMENT, Layout, recognise, whole
from collector.intake.lines import PLAIN, RECORD, Lines, text_of
from collector.intake.records import Record, of_json, of_json_lines, of_table

_CHUNK_BYTES = 4_000_000

# A line of these letters alone needs no look of ours: it has no quote and no blank, and is no float (no `e`, no `.`).
_SIMPLE = bytes(code for code in range(33, 127) if chr(code) not in "\"'=,;.eE") + b"\n"


class Refused(msgspec.Struct, frozen=True):
    """An entry that is no ID: the line it ends on (the entry's own number in a JSON document), its text, why."""

    line: int
    text: str
    why: str


class Chunk(msgspec.Struct):
    """IDs in file order, repeats too, and what was refused among them, up to and with the line `line`."""

    keys: list[str]
    refused: list[Refused]
    line: int


class Reader:
    """The IDs of one seekable file; UnreadableFile at once where it holds none or does not say which they are.

    Each iteration reads the file from its start and cuts it at the same lines for the same `chunk`. The counters belong
    to the iteration: `lines` is always the number of keys and refused entries handed out, `headers` and `blank` are not
    in it. `warnings` is complete at the end.
    """

    def __init__(
        self,
        stream: BinaryIO,
        match: Callable[[str], str | None],
        column: str | int | None = None,
        chunk: int = 10_000,
    ) -> None:
        self._stream, self._sieve, self._chunk = stream, Sieve(match), chunk
        self.layout: Layout = recognise(stream, self._sieve, column)
        self._begin()
        self._find_one()
        self._begin()

    def _begin(self) -> None:
        self.lines = self.blank = self.headers = 0
        self._text = Text(self._stream)
        self._floats = FloatCheck()

    @property
    def warnings(self) -> list[str]:
        """What an operator should know of the file as a whole."""
        return [*([self._text.trouble] if self._text.trouble else []), *self._floats.warnings()]

    def __iter__(self) -> Iterator[Chunk]:
        self._begin()
        for chunk in self._chunks():
            self._floats.see(chunk.keys)
            self.lines += len(chunk.keys) + len(chunk.refused)
            yield chunk

    def _chunks(self) -> Iterator[Chunk]:
        layout, sieve, blocks = self.layout, self._sieve, iter(self._text)
        limit = {"lines": PLAIN, "table": RECORD}.get(layout.kind, DOCUMENT)
        lines = Lines(blocks, limit, lambda: self._text.torn)
        match layout.kind:
            case "lines":
                yield from self._plain(lines)
            case "table":
                yield from self._gathered(of_table(lines, layout, sieve))
            case "json lines":
                yield from self._gathered(of_json_lines(lines, layout.path))
            case "json":
                yield from self._gathered(of_json(whole(self._stream), layout.path))
        if lines.rest:
            number, text = lines.number + 1, shown(text_of(lines.rest[:1000]))
            yield Chunk([], [Refused(number, text, "the file is cut short in this line")], number)

    def _find_one(self) -> None:
        refused: list[Refused] = []
        for chunk in self:
            if chunk.keys:
                return
            refused += chunk.refused[: 3 - len(refused)]
        if not refused:
            raise UnreadableFile(self._nothing())
        some = "\n".join(f"  line {one.line}: {one.text}: {one.why}" for one in refused)
        raise UnreadableFile(
            f"no ID in it: all {self.lines:,} lines were refused (read as {self.layout.text}), first:\n{some}\n"
            "The pattern that an ID must match is `id` under [source.NAME]; is it the right file for this source?"
        )

    def _nothing(self) -> str:
        if self.headers:
            return "a header and nothing below it: no IDs in it"
        if self._text.trouble:
            return f"no IDs in it: {self._text.trouble}"
        return f"{self.blank:,} blank lines: no IDs in it" if self.blank else "0 bytes: no IDs in it"

    def _plain(self, lines: Lines) -> Iterator[Chunk]:
        while batch := lines.take(self._chunk):
            keys = None if self._header_is_due() else self._simple(batch)
            if keys is None:
                yield self._careful(batch, lines.number - len(batch) + 1)
            else:
                yield Chunk(keys, [], lines.number)

    def _gathered(self, records: Iterator[Record]) -> Iterator[Chunk]:
        chunk, size, begin = Chunk([], [], 0), 0, 0
        for record in records:
            chunk.line, size = record.line, size + record.size
            if not record.entries:
                self.blank += 1
            elif self._header_is_due():
                self.headers = 1
            else:
                for entry in record.entries:
                    self._add(chunk, record.line, entry.text, entry.why)
            if max(record.line - begin, len(chunk.keys), len(chunk.refused)) >= self._chunk or size >= _CHUNK_BYTES:
                yield chunk
                chunk, size, begin = Chunk([], [], record.line), 0, record.line
        if chunk.line > begin:
            yield chunk

    def _header_is_due(self) -> bool:
        return self.layout.header and not self.headers

    def _simple(self, batch: list[bytes]) -> list[str] | None:
        """All lines matched at once; None where one of them needs a closer look."""
        block = b"\n".join(batch)
        if block.translate(None, _SIMPLE) or len(max(batch, key=len)) > PLAIN:
            return None
        keys = list(map(self._sieve.match, block.decode("ascii").split("\n")))
        return keys if all(keys) else None  # type: ignore[return-value] # all() says that none is None

    def _careful(self, batch: list[bytes], first: int) -> Chunk:
        chunk = Chunk([], [], first + len(batch) - 1)
        if not any(batch):
            self.blank += len(batch)
            return chunk
        for number, line in enumerate(batch, first):
            if not line or line.isspace():
                self.blank += 1
            elif self._header_is_due():
                self.headers = 1
            elif len(line) > PLAIN:
                chunk.refused.append(Refused(number, shown(text_of(line[:1000])), "a line of over 64 kB"))
            else:
                self._add(chunk, number, text_of(line))
        return chunk

    def _add(self, chunk: Chunk, number: int, cell: str, why: str = "") -> None:
        """Take a cell's IDs into the chunk, or refuse them."""
        sieve = self._sieve
        if not why and cell.isascii() and cell.isdigit() and (key := sieve.match(cell)):
            chunk.keys.append(key)  # as below, but at once: nearly all cells are so
            return
        for text in sieve.parts(cell) if self.layout.lists and not why else (tidy(cell),):
            key = None if why else sieve.key(text)
            if key is None:
                self._floats.refused += is_float(text)
                chunk.refused.append(Refused(number, shown(text), why or sieve.why(text)))
            else:
                chunk.keys.append(key)
