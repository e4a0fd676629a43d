"""Which column of a table holds the IDs: by its name, else by the looks of its cells; never by a guess."""

import re
from collections.abc import Sequence

from collector.errors import UnreadableFile
from collector.intake.entry import Sieve, looks, shown, tidy

_KNOWN = {  # what a name says the ID is of, and the names in the order in which they are preferred
    "post": "tweetidstr tweetid tweetids statusidstr statusid statusids postid postids",
    "own": "idstr id ids",
    "link": "posturl tweeturl statusurl url urls uri uris link links permalink",
    "user": "useridstr userid userids authorid accountid",
    "handle": "username usernames screenname handle login actor",
    "doi": "doi dois",
    "paper": "pmid pubmedid openalexid paperid corpusid workid",
    "video": "videoid videoids",
    "repo": "repo fullname",
    "did": "did",
    "wiki": "qid wikidataid",
}
_NAMES = {name: (thing, rank) for thing, names in _KNOWN.items() for rank, name in enumerate(names.split())}
# Forms of the same ID that may stand side by side; the first one present is taken.
_ONE_THING = (("post", "own", "link"), ("doi", "link"))
_IGNORED = re.compile(r"[\s_\-.]+")
_DIGITS = re.compile(r"[0-9]{5}")
_WORDY = re.compile(r"[^\W\d].{0,99}", re.DOTALL)


def fold(name: str) -> str:
    """A header as it is compared: without case, `_`, `-`, `.` and blanks."""
    return _IGNORED.sub("", tidy(name)).lower()


def is_known(name: str) -> bool:
    """True for a header that people give to a column of IDs."""
    return fold(name) in _NAMES


def setting(example: str) -> str:
    """The words that tell an operator how to name a column."""
    value = example if example.isdigit() else f'"{shown(example)}"'
    where = "under [source.NAME], or `collector add --column`"
    return f"say which with `column = {value}` (a name, or a number from 1) {where}"


def is_header(row: Sequence[str], below: Sequence[Sequence[str]], column: int, sieve: Sieve) -> bool:
    """True where the first row names columns; judged by the cell over the IDs and the IDs below it."""
    if any(looks(tidy(cell)) or len(cell) > 1000 for cell in row):
        return False
    if any(map(is_known, row)):
        return True
    cell = tidy(row[column]) if column < len(row) else ""
    under = [tidy(other[column]) for other in below if column < len(other)]
    like_ids = sum(map(looks, under)) * 2 > len(under)
    if cell == "0" or (
        cell.isdigit() and len(row) > 1 and cell in (str(column), str(column - 1))
    ):  # how pandas names nameless columns
        return like_ids
    if _DIGITS.search(cell) or (cell and not _WORDY.fullmatch(cell)):
        return False
    if sieve.loose:
        return bool(cell) and like_ids
    return sieve.key(cell) is None and any(map(sieve.holds, under)) and bool(cell or any(map(tidy, row)))


def choose(names: Sequence[str] | None, rows: Sequence[Sequence[str]], sieve: Sieve) -> int | None:
    """The column of IDs among `rows`, from 0; None where no cell matches. UnreadableFile where two could be it."""
    width = max(map(len, rows), default=0)
    columns = [[row[i] for row in rows if i < len(row) and row[i].strip()] for i in range(width)]
    holding = [i for i, cells in enumerate(columns) if any(map(sieve.holds, cells))]
    known = _by_name(names, holding) if names else None
    if known is not None:
        return known
    if sieve.loose:
        listed = [i for i in holding if _mostly_ids(columns[i])]
        return _only(listed or holding, names)
    mostly = [i for i in holding if sum(map(sieve.holds, columns[i])) * 2 >= len(columns[i])] or holding
    if len(mostly) > 1:
        mostly = [i for i in mostly if not _small_numbers(columns[i])] or mostly
    return _only(mostly, names)


def _by_name(names: Sequence[str], holding: list[int]) -> int | None:
    known = {i: _NAMES[fold(names[i])] for i in holding if i < len(names) and is_known(names[i])}
    things = {thing for thing, _ in known.values()}
    if not things:
        return None
    for forms in _ONE_THING:
        if things <= set(forms):
            return min(known, key=lambda i: (forms.index(known[i][0]), known[i][1]))
    if len(things) > 1:
        raise _ambiguous(sorted(known), names)
    return min(known, key=lambda i: known[i][1])


def _only(columns: list[int], names: Sequence[str] | None) -> int | None:
    if len(columns) > 1:
        raise _ambiguous(columns, names)
    return columns[0] if columns else None


def _mostly_ids(cells: list[str]) -> bool:
    texts = [tidy(cell) for cell in cells]
    return sum(map(looks, texts)) * 2 > len(texts) and len(set(texts)) * 2 > len(texts)


def _small_numbers(cells: list[str]) -> bool:
    """True for row numbers, labels and counts: numbers of at most seven digits."""
    return all(text.isdigit() and len(text) < 8 for text in map(tidy, cells))


def _ambiguous(columns: Sequence[int], names: Sequence[str] | None) -> UnreadableFile:
    called = [called_column(i, names) for i in columns]
    some = ", ".join(called[:6]) + (", …" if len(called) > 6 else "")
    first = columns[0]
    name = tidy(names[first])[:60] if names and first < len(names) else ""
    example = name or str(first + 1)
    return UnreadableFile(f"more than one column may hold the IDs: {some}; {setting(example)}")


def called_column(column: int, names: Sequence[str] | None) -> str:
    """`column 2 "tweet_id"`, or `column 2` where it has no name."""
    name = shown(tidy(names[column])[:60]) if names and column < len(names) else ""
    return f'column {column + 1} "{name}"' if name else f"column {column + 1}"
