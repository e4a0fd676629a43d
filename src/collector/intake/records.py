"""Records of tables and of JSON, each with the texts in it that should be IDs."""

from collections.abc import Iterator
from typing import NamedTuple

from collector.intake import jsonids
from collector.intake.entry import Sieve, looks, tidy
from collector.intake.layout import DOCUMENT, Layout
from collector.intake.lines import RECORD, Lines, Rows, text_of


class Entry(NamedTuple):
    """A text to be judged; or, with `why`, one that is refused already."""

    text: str
    why: str = ""


class Record(NamedTuple):
    """The line at which it ends, its bytes, and its entries: none in a blank record."""

    line: int
    size: int
    entries: list[Entry]


def of_table(lines: Lines, layout: Layout, sieve: Sieve) -> Iterator[Record]:
    """One record a row, with the cell of the layout's column."""
    column = layout.column

    def a_row(cells: list[str]) -> bool:
        if len(cells) != layout.width:
            return False
        return looks(tidy(cells[column])) if sieve.loose else sieve.holds(cells[column])

    rows = Rows(iter(lines), layout.separator, a_row)
    for cells in rows:
        if column < len(cells) and rows.size <= RECORD:
            # The cell first: most rows have an ID, and the other cells are then of no interest.
            entries = [Entry(cells[column])] if cells[column].strip() or _holds_text(cells) else []
        elif rows.size > RECORD:
            entries = [Entry(layout.separator.join(cells)[:1000], "a row of over 4 MB")]
        elif _holds_text(cells):
            why = f"the row has {len(cells)} of the columns, the IDs are in column {column + 1}"
            entries = [Entry(layout.separator.join(cells), why)]
        else:
            entries = []
        yield Record(rows.number, rows.size, entries)


def _holds_text(cells: list[str]) -> bool:
    return any(cell.strip() for cell in cells)


def of_json_lines(lines: Lines, path: jsonids.Path) -> Iterator[Record]:
    """One record a line, whatever number of IDs its value holds."""
    number = lines.number
    for number, line in enumerate(lines, 1):
        entries = _of_json_line(line, path) if line and not line.isspace() else []
        yield Record(number, len(line) + 1, entries)


def _of_json_line(line: bytes, path: jsonids.Path) -> list[Entry]:
    begin = text_of(line[:1000])
    if len(line) > DOCUMENT:
        return [Entry(begin, "a line of over 64 MB")]
    try:
        return list(_judged(jsonids.document(line), path, begin))
    except jsonids.NotJson as error:
        return [Entry(begin, f"it is not JSON: {error}")]


def of_json(document: bytes, path: jsonids.Path) -> Iterator[Record]:
    """One record an entry of the document."""
    for number, entry in enumerate(_judged(document, path, "(an entry)"), 1):
        yield Record(number, len(entry.text), [entry])


def _judged(value: bytes, path: jsonids.Path, begin: str) -> Iterator[Entry]:
    missing = Entry(begin, f"no `{'.'.join(path)}` in it" if path else "it is neither a string nor a number")
    for text in jsonids.texts(value, path):
        yield missing if text is None else Entry(text)
