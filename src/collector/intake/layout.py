"""What kind of file it is, told from its first lines."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice
from typing import BinaryIO, Literal

import msgspec

from collector.errors import UnreadableFile
from collector.intake import jsonids
from collector.intake.columns import called_column, choose, fold, is_header, is_known, setting
from collector.intake.encoding import BLOCK, Text
from collector.intake.entry import Sieve, looks, shown, tidy
from collector.intake.lines import RECORD, Lines, Rows, text_of

DOCUMENT = 64_000_000  # bytes in one JSON document, or in one line of JSON
_LOOKED_AT = 200  # lines
_SAMPLE = 8_000_000  # bytes
_SEPARATORS = ("\t", ",", ";", "|")

Cells = list[str]


class Layout(msgspec.Struct, frozen=True):
    """What was recognised; `text` says it to people."""

    kind: Literal["lines", "table", "json lines", "json"]
    text: str
    header: bool = False
    separator: str = ""
    column: int = 0
    width: int = 1
    lists: bool = False  # a cell may hold a list of IDs
    path: jsonids.Path = ()


def recognise(stream: BinaryIO, sieve: Sieve, column: str | int | None) -> Layout:
    """The layout of a seekable file; UnreadableFile where it has none that is sure."""
    text = Text(stream)
    sample = _sample(text)
    if not sample:
        layout = Layout("lines", "one ID a line")
    elif sample[0].lstrip()[:1] in (b"{", b"["):
        layout = _json(stream, sieve, column)
    else:
        layout = _columns(sample, sieve, column)
    return msgspec.structs.replace(layout, text=", ".join([*text.said, layout.text]))


def _sample(text: Text) -> list[bytes]:
    blocks = iter(text)
    lines = Lines(_first(blocks, _SAMPLE), RECORD, torn=lambda: text.torn or next(blocks, None) is not None)
    full = (line for line in lines if line.strip())
    sample = list(islice(full, _LOOKED_AT))
    return sample or ([lines.rest] if lines.rest else [])


def _columns(sample: list[bytes], sieve: Sieve, asked: str | int | None) -> Layout:
    separator = _separator(sample)
    first = tidy(text_of(sample[0]))
    if separator == "\t" and not any(mark in first for mark in _SEPARATORS) and _names_all(first, asked):
        separator = None  # the one column holds lists
    if separator is None:
        return _one_column([[text_of(line)] for line in sample], sieve, asked)
    rows = list(_rows(sample, separator))
    rows[0] = _header_cells(sample[0], rows)
    return _table(rows, separator, sieve, asked) or _one_column([[text_of(line)] for line in sample], sieve, asked)


def _names_all(first: str, asked: str | int | None) -> bool:
    return is_known(first) or (isinstance(asked, str) and fold(first) == fold(asked))


def _rows(sample: list[bytes], separator: str) -> Iterator[Cells]:
    return iter(Rows(iter(sample), separator, lambda _: False, sample=True))


def _separator(sample: list[bytes]) -> str | None:
    """The separator of the rows; a header may have another one, so it counts only where it stands alone."""
    best, best_score = None, (0.0, 0)
    for separator in _SEPARATORS:
        rows = list(_rows(sample, separator))
        widths = [len(row) for row in rows[1:] or rows]
        wide = [width for width in widths if width > 1]
        if not wide or len(wide) < 0.7 * len(widths):
            continue
        mode = max(set(wide), key=wide.count)
        score = (wide.count(mode) / len(widths), mode)
        if score > best_score:
            best, best_score = separator, score
    return best


def _header_cells(line: bytes, rows: list[Cells]) -> Cells:
    """The first row, split by whichever separator gives it as many cells as the rows below have."""
    width = max(map(len, rows[1:]), default=0)
    if len(rows[0]) > 1 or width < 2:
        return rows[0]
    split = (next(_rows([line], separator)) for separator in _SEPARATORS)
    return next((cells for cells in split if len(cells) == width), rows[0])


def _table(rows: list[Cells], separator: str, sieve: Sieve, asked: str | int | None) -> Layout | None:
    """None where no cell of any column is an ID, nor a name tells."""
    names = None if any(looks(tidy(cell)) for cell in rows[0]) else rows[0]
    below = rows[1:] or rows
    column = choose(names, below, sieve) if asked is None else _asked(asked, rows)
    if column is None:
        known = [i for i, name in enumerate(rows[0]) if is_known(name)]
        if len(known) != 1:
            return None
        column = known[0]
    named = isinstance(asked, str) and column < len(rows[0]) and fold(rows[0][column]) == fold(asked)
    header = named or is_header(rows[0], rows[1:], column, sieve)
    kind = {",": "CSV", "\t": "TSV"}.get(separator, f"table separated by `{separator}`")
    text = f"{kind}, {called_column(column, rows[0] if header else None)}, {'header' if header else 'no header'}"
    lists = header or asked is not None
    width = max((len(row) for row in below), key=[len(row) for row in below].count)
    return Layout("table", text, header, separator, column, width, lists)


def _asked(asked: str | int, rows: list[Cells]) -> int:
    names = [fold(cell) for cell in rows[0]]
    if isinstance(asked, str) and fold(asked) in names:
        return names.index(fold(asked))
    width = max(map(len, rows))
    number = int(asked) if isinstance(asked, int) or asked.isdigit() else 0
    if 1 <= number <= width:
        return number - 1
    there = ", ".join(shown(cell) for cell in rows[0][:12])
    raise UnreadableFile(
        f"no column {asked!r} in it: its {width} columns begin with {there}; {setting(tidy(rows[0][0])[:60] or '1')}"
    )


def _one_column(rows: list[Cells], sieve: Sieve, asked: str | int | None) -> Layout:
    first = tidy(rows[0][0])
    named = isinstance(asked, str) and fold(first) == fold(asked)
    header = named or is_header(rows[0], rows[1:], 0, sieve)
    # One column leaves no choice: a source's `column` for its tables does not forbid a plain list.
    if asked is not None and str(asked) != "1" and not named and (header or not _holds_ids(rows, sieve)):
        raise UnreadableFile(f"no column {asked!r} in it: it has one column, which begins with {shown(first)!r}")
    lists = header and _names_all(first, asked)
    return Layout(
        "lines", f"one ID a line, {f'header `{shown(first)}`' if header else 'no header'}", header, lists=lists
    )


def _holds_ids(rows: list[Cells], sieve: Sieve) -> bool:
    texts = [tidy(row[0]) for row in rows]
    return any(map(looks if sieve.loose else sieve.key, texts))


def _json(stream: BinaryIO, sieve: Sieve, asked: str | int | None) -> Layout:
    if isinstance(asked, int):
        raise UnreadableFile(f"this is JSON, which has no column {asked}; {setting('data.id')}")
    kind, values = _json_values(stream)
    path = jsonids.path_of(asked) if asked else _path(values, sieve)
    where = f"`{'.'.join(path)}`" if path else "a list of IDs"
    return Layout(kind, f"{'JSON lines' if kind == 'json lines' else 'one JSON document'}, {where}", path=path)


def _json_values(stream: BinaryIO) -> tuple[Literal["json lines", "json"], Iterator[bytes]]:
    """The first values of JSON lines, or the whole of one document; what a first line alone says decides."""
    head = _first(Text(stream), DOCUMENT + BLOCK)
    lines = (line for line in Lines(head, DOCUMENT) if line.strip())
    line = next(lines)
    if len(line) > DOCUMENT:
        raise _too_large()
    first = list(_valid(iter([line])))
    if first:
        return "json lines", chain(first, _valid(islice(lines, _LOOKED_AT)))
    del line
    try:
        return "json", iter([whole(stream)])
    except UnreadableFile:
        # Lines of which the first is broken. The lines of a large document are no values: they end in commas.
        head = _first(Text(stream), DOCUMENT)
        second = next(_valid(islice(Lines(head, DOCUMENT), 1, _LOOKED_AT)), None)
        if second is None:
            raise
        return "json lines", iter([second])


def _valid(lines: Iterator[bytes]) -> Iterator[bytes]:
    for line in lines:
        with suppress(jsonids.NotJson):
            yield jsonids.document(line)


def _first(blocks: Iterable[bytes], most: int) -> Iterator[bytes]:
    """Blocks until that many bytes have come."""
    read = 0
    for block in blocks:
        yield block
        read += len(block)
        if read >= most:
            return


def _path(values: Iterator[bytes], sieve: Sieve) -> jsonids.Path:
    found = (jsonids.find(value, sieve) for value in values)
    path = next((path for path in found if path is not None), None)
    if path is None:
        raise UnreadableFile(f"this is JSON without `id`, `data` or another known place of IDs; {setting('data.id')}")
    return path


def _too_large() -> UnreadableFile:
    return UnreadableFile("one JSON document of over 64 MB: write JSON lines, one object a line, as `jq -c '.[]'` does")


def whole(stream: BinaryIO) -> bytes:
    """The one JSON document of a file, checked; UnreadableFile where it is too large, cut short or no JSON."""
    text, read = Text(stream), bytearray()
    for block in text:
        read += block
        if len(read) > DOCUMENT:
            raise _too_large()
    try:
        return jsonids.document(bytes(read))
    except jsonids.NotJson as error:
        told = f"{text.trouble}; " if text.trouble else ""
        raise UnreadableFile(f"neither one JSON document nor JSON lines: {told}{error}") from error
