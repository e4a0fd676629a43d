"""From the bytes of a file to blocks of UTF-8: gzip, byte order marks, UTF-16 and lone carriage returns."""

import codecs
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

from collector.errors import UnreadableFile

BLOCK = 1 << 18
_GZIP = b"\x1f\x8b"
_UTF32 = "utf-32"
# The longer mark first: UTF-32 LE begins with the mark of UTF-16 LE.
_MARKS = (
    (codecs.BOM_UTF32_LE, _UTF32),
    (codecs.BOM_UTF32_BE, _UTF32),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_FOREIGN = (
    (b"PK\x03\x04", "a ZIP archive or a spreadsheet (.xlsx, .ods)"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word document"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"PAR1", "a Parquet file"),
    (b"\x89HDF", "an HDF5 file"),
    (_GZIP, "gzip inside gzip"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\x7fELF", "a program"),
    (b"{\\rtf", "an RTF document"),
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<?xml", "an XML document"),
)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


class Text:
    """One pass over a seekable file as blocks of UTF-8, with `\\n` at line ends.

    `said` names what was undone (gzip, UTF-16). At the end, `trouble` says what was wrong with the bytes, and
    `torn` is True when they ended early, so that the last line may be half a line.
    """

    def __init__(self, stream: BinaryIO) -> None:
        stream.seek(0)
        self._stream = stream
        self.said: list[str] = []
        self.trouble: str | None = None
        self.torn = False

    def __iter__(self) -> Iterator[bytes]:
        blocks = self._bytes()
        head = next(blocks, b"")
        encoding, skip = _encoding(head)
        _refuse_foreign(head[skip:], encoding)
        utf8 = encoding == "utf-8"
        text = _chain(head[skip:], blocks) if utf8 else self._decoded(_chain(head[skip:], blocks), encoding)
        first = next(text, b"")
        if b"\r" in first and b"\n" not in first:
            self.said.append("lines that end in CR alone")
            yield from (block.replace(b"\r", b"\n") for block in _chain(first, text))
        else:
            yield from _chain(first, text)

    def _bytes(self) -> Iterator[bytes]:
        head = self._stream.read(BLOCK)
        rest = _chain(head, iter(lambda: self._stream.read(BLOCK), b""))
        if not head.startswith(_GZIP):
            return rest
        self.said.append("gzip")
        return _full(self._inflated(rest))

    def _inflated(self, packed: Iterator[bytes]) -> Iterator[bytes]:
        """The content of all members; an end in the middle, or damage, ends it and is told in `trouble`."""
        member, members = zlib.decompressobj(31), 0
        fresh = True
        for data in packed:
            while data:
                if fresh and not (data := data.lstrip(b"\0")):  # tapes and block devices pad with zeros
                    break
                before = member.copy()
                try:
                    block = member.decompress(data, BLOCK)
                except zlib.error as error:
                    yield from _salvaged(before, data)
                    self._damaged(error, behind=fresh and members > 0)
                    return
                fresh = False
                if block:
                    yield block
                data = member.unconsumed_tail
                if member.eof:
                    data, member, members, fresh = member.unused_data, zlib.decompressobj(31), members + 1, True
        if not fresh:
            yield from _chain(member.flush(), iter(()))
            if not member.eof:
                self.torn = True
                self.trouble = "the gzip data is cut short: the end of the file is missing"

    def _damaged(self, error: zlib.error, behind: bool) -> None:
        if behind:
            self.trouble = "bytes behind the end of the gzip data were passed over"
        else:
            self.torn = True
            self.trouble = f"the gzip data is damaged ({error}): the rest of the file is missing"

    def _decoded(self, blocks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
        self.said.append(encoding.upper())
        # A lone surrogate becomes bytes that are no UTF-8, and so costs its own line only.
        errors = "replace" if encoding == _UTF32 else "surrogatepass"
        decoder = codecs.getincrementaldecoder(encoding)(errors)
        for block in blocks:
            yield decoder.decode(block).encode("utf-8", "surrogatepass")
        try:
            yield decoder.decode(b"", True).encode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            self.torn = True
            self.trouble = self.trouble or "the file ends in the middle of a character"


def _salvaged(member: "zlib._Decompress", data: bytes) -> Iterator[bytes]:
    """What stands before a damaged byte; asked for at once it would be lost with the error."""
    with suppress(zlib.error):
        for i in range(len(data)):
            if block := member.decompress(data[i : i + 1]):
                yield block


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def _full(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes with a first block that is large enough to judge by."""
    head = bytearray()
    for block in blocks:
        head += block
        if len(head) >= BLOCK // 4:
            break
    yield from _chain(bytes(head), blocks)


def _encoding(head: bytes) -> tuple[str, int]:
    """The encoding, and the length of its mark."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name, 0 if name == _UTF32 else len(mark)
    even, odd = head[:4096:2], head[1:4096:2]
    if len(odd) >= 4 and odd.count(0) > 0.9 * len(odd) and even.count(0) < 0.1 * len(even):
        return "utf-16-le", 0
    if len(odd) >= 4 and even.count(0) > 0.9 * len(even) and odd.count(0) < 0.1 * len(odd):
        return "utf-16-be", 0
    return "utf-8", 0


def _refuse_foreign(head: bytes, encoding: str) -> None:
    start = head[:64].lstrip().lower()
    for magic, what in _FOREIGN:
        if head.startswith(magic) or (magic.startswith(b"<") and start.startswith(magic)):
            raise UnreadableFile(f"this is {what}, not a list of IDs: export the IDs as CSV or text, one ID a line")
    if encoding != "utf-8":
        return
    lines = [line for line in head.split(b"\n")[:200] if line.strip()]
    foul = sum(1 for line in lines if _CONTROL.search(line))
    if foul * 2 > len(lines):
        raise UnreadableFile("this is a binary file, not a list of IDs: export the IDs as CSV or text, one ID a line")
