"""One SQL view for each source that declares `columns`: one row an item, an ID as text and never through a number."""

import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing

import msgspec

from collector.store.database import Database

FIXED = ("job", "key", "batch", "fetched_at")  # the columns that every view begins with
MOST_COLUMNS = 500  # a statement has at most a million characters
_LONGEST_PATH = 200

# Up to 3.44 SQLite compares names with the bytes of the JSON, where what is not here may be written as an escape.
_NAME = r'(?:[A-Za-z_][A-Za-z0-9_]*|"[ !#-.0-\[\]-~]+")'
_PLAIN = re.compile(rf"(?:{_NAME}|\[[0-9]{{1,9}}\])(?:\.{_NAME}|\[[0-9]{{1,9}}\])*")
_STEP = re.compile(rf"({_NAME})|\[([0-9]+)\]")
_ID_NAME = re.compile(r"(?:.*_)?ids?|.*I[dD]s?", re.DOTALL)
_EXACT = 2**53  # up to here a float holds every whole number


class View(msgspec.Struct, frozen=True):
    """The columns that a source declares, name to path, and where its items have their own ID."""

    source: str
    key: str
    columns: Mapping[str, str]


class Views:
    """The views in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def declare(self, views: Iterable[View]) -> tuple[list[str], list[str]]:
        """From now on there are these and no others; the names of those made and of those dropped."""
        wanted = {_view_name(view.source): sql(view) for view in views if view.columns}
        listed = "SELECT name, sql FROM sqlite_schema WHERE type = 'view' AND name GLOB 'v_*'"
        if dict(await self._database.read(listed)) == wanted:
            return [], []
        async with self._database.write() as write:
            there: dict[str, str] = dict(await write.rows(listed))
            dropped = [name for name, text in there.items() if wanted.get(name) != text]
            made = [name for name, text in wanted.items() if there.get(name) != text]
            for name in dropped:
                await write.change(f"DROP VIEW {_quoted(name)}")
            for name in made:
                await write.change(wanted[name])
        return made, [name for name in dropped if name not in wanted]


def can_follow(path: str) -> bool:
    """True for what SQLite can follow: names with dots between them and places in lists, `a.b[0]."c-d"`."""
    return len(path) <= _LONGEST_PATH and _PLAIN.fullmatch(path) is not None


def is_id(name: str, path: str, key: str) -> bool:
    """True for a column that holds an ID, by its name, by the last name of its path, or since it is the item's own."""
    last = [found[1].strip('"') for found in _STEP.finditer(path) if found[1]][-1:] if can_follow(path) else []
    return path == key or any(_ID_NAME.fullmatch(word) for word in (name, *last))


def sql(view: View) -> str:
    """The statement that makes a view. Columns whose path is no plain one are for exports only."""
    columns = [_quoted(name) for name in FIXED]
    for name, path in view.columns.items():
        if can_follow(path):
            value = own_text(path) if is_id(name, path, view.key) else _value(path)
            columns.append(f"{value} AS {_quoted(name)}")
    where = f"source = {_literal(view.source)}"
    return f"CREATE VIEW {_quoted(_view_name(view.source))} AS SELECT {', '.join(columns)} FROM items WHERE {where}"


def own_text(path: str) -> str:
    """The expression for what stands at a plain path of `body`, as text: a number in its own digits."""
    at = _json_path(path)
    return f"CASE json_type(body, {at}) WHEN 'text' THEN body ->> {at} WHEN 'null' THEN NULL ELSE body -> {at} END"


def cells(paths: Sequence[str], body: str) -> tuple[str | None, ...]:
    """What stands at plain paths of one item, as text."""
    if not paths:
        return ()
    with closing(sqlite3.connect(":memory:")) as connection:
        [row] = connection.execute(f"SELECT {', '.join(map(own_text, paths))} FROM (SELECT ? AS body)", (body,))
    return tuple(row)


def _value(path: str) -> str:
    """The expression for what stands there as SQLite has it; a number that no float holds exactly in its own digits."""
    at = _json_path(path)
    # `->>` reads a whole number above 2^63 as a float, which is then beyond 2^53 all the same.
    exact = f"CASE WHEN body ->> {at} BETWEEN -{_EXACT} AND {_EXACT} THEN body ->> {at} ELSE body -> {at} END"
    return f"CASE WHEN json_type(body, {at}) IN ('integer', 'real') THEN {exact} ELSE body ->> {at} END"


def _json_path(path: str) -> str:
    steps = "".join(
        f'."{found[1].strip(chr(34))}"' if found[1] else f"[{int(found[2])}]" for found in _STEP.finditer(path)
    )
    return _literal(f"${steps}")


def _view_name(source: str) -> str:
    return f"v_{source}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
