"""Items as rows of CSV (RFC 4180, UTF-8): the ID asked for, the item's own, its time, and the declared columns."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from collector.sources.tree import as_text
from collector.sources.values import compiled
from collector.store.look import ItemSeen
from collector.store.views import can_follow, cells, is_id

_HEAD = ("job", "key", "fetched_at")  # as in the view
# What a spreadsheet may take for a formula; the last four are the wide forms of the first.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_HARMLESS_ID = re.compile(r"[+@-]?[\w.:@-]*")  # a formula that does anything has brackets, a bar or quotes


class Table:
    """The columns of a source, and what they hold of its items; without any the whole item is one."""

    def __init__(self, columns: Mapping[str, str], key: str) -> None:
        self.columns = tuple(columns)
        self.paths = tuple(path for path in columns.values() if can_follow(path))  # what a row must have as `cells`
        self.unfit = 0  # cells left empty, since their path did not fit the item
        self._paths = tuple(columns.values())
        self._ids = tuple(is_id(name, path, key) for name, path in columns.items())

    def head(self) -> bytes:
        """The first line."""
        return csv_lines([[*_HEAD, *(guarded(name) for name in self.columns or ("item",))]])

    def lines(self, items: Sequence[ItemSeen]) -> bytes:
        """One line an item."""
        return csv_lines(map(self._row, items))

    def values_of(self, body: str) -> dict[str, str | None]:
        """What the columns hold of one item."""
        return dict(zip(self.columns, self._values(body, cells(self.paths, body)), strict=True))

    def _row(self, item: ItemSeen) -> list[str]:
        head = [guarded_id(item.job), guarded_id(item.key), item.fetched_at]
        if not self.columns:
            return [*head, item.body]
        values = zip(self._values(item.body, item.cells), self._ids, strict=True)
        return head + [(guarded_id if is_one else guarded)(value or "") for value, is_one in values]

    def _values(self, body: str, plain: Sequence[str | None]) -> list[str | None]:
        if len(plain) == len(self._paths):
            return list(plain)
        tree, rest = msgspec.json.decode(body), iter(plain)
        return [next(rest) if can_follow(path) else self._searched(path, tree) for path in self._paths]

    def _searched(self, path: str, tree: Any) -> str | None:
        try:
            value = compiled(path).search(tree)
            return None if value is None else as_text(value)
        except Exception:  # whatever jmespath meets in an item, as a TypeError where types are mixed
            self.unfit += 1
            return None


def guarded(cell: str) -> str:
    """A text such that no spreadsheet takes it for a formula; a number stays one."""
    return f"'{cell}" if cell.startswith(FORMULA) and not _NUMBER.fullmatch(cell) else cell


def guarded_id(cell: str) -> str:
    """The same of an ID, which is what others look it up by: it is left alone where it can do no harm."""
    return cell if _HARMLESS_ID.fullmatch(cell) else guarded(cell)


def csv_lines(rows: Iterable[Sequence[object]], end: str = "\r\n") -> bytes:
    """Rows of cells as lines of CSV."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end).writerows(rows)
    return text.getvalue().encode()
