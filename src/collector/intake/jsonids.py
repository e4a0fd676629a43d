"""IDs out of JSON, as their own digits: no ID goes through a number."""

import re
from collections.abc import Iterator

import msgspec
from msgspec import Raw

from collector.intake.columns import choose, fold, is_known
from collector.intake.entry import Sieve

_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_ARRAY = msgspec.json.Decoder(list[Raw])
_STRING = msgspec.json.Decoder(str)
_ANY = msgspec.json.Decoder(Raw)
# Half of a surrogate pair, as software writes it that cuts texts in the middle of an emoji.
_LONE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
_WRAPPERS = ("data", "ids", "items", "results", "statuses", "posts", "tweets", "users", "works")
_DEEPEST = 8
_NUMBER = tuple(b"%c" % letter for letter in b"-0123456789")
_SEEN = 20  # elements of an array that are looked at to find where the IDs are

Path = tuple[str, ...]


class NotJson(Exception):
    """The bytes are no JSON value."""


def document(text: bytes) -> bytes:
    """The JSON value in the bytes, checked; NotJson otherwise."""
    text = text.strip()
    try:
        _ANY.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        text = _LONE.sub(rb"\\ufffd", text)
        try:
            _ANY.decode(text)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise NotJson(str(error)) from error
    return text


def path_of(column: str) -> Path:
    """The path that `data.id` or `data[].id` says; lists on the way need no word."""
    return tuple(part for part in column.replace("[]", "").split(".") if part)


def texts(value: bytes | Raw, path: Path, deep: int = 0) -> Iterator[str | None]:
    """What stands at the path, strings and numbers as text, through all lists on the way; None where nothing does."""
    kind = _begin(value)
    try:
        if kind == b"[" and deep < _DEEPEST:
            for element in _ARRAY.decode(value):
                yield from texts(element, path, deep + 1)
        elif kind == b"{" and path:
            yield from _inside(_OBJECT.decode(value), path, deep)
        else:
            yield None if path else _scalar(value)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        yield None


def _inside(members: dict[str, Raw], path: Path, deep: int) -> Iterator[str | None]:
    name = _member(members, path[0])
    if name is None:
        yield None
        return
    value = members[name]
    twin = members.get(f"{name}_str")
    if len(path) == 1 and twin is not None and _begin(twin) == b'"' and _is_unsafe(value):
        value = twin
    yield from texts(value, path[1:], deep + 1)


def _member(members: dict[str, Raw], name: str) -> str | None:
    if name in members:
        return name
    return next((other for other in members if fold(other) == fold(name)), None)


def _begin(value: bytes | Raw) -> bytes:
    """The first letter, which tells what it is; without a copy of what may be 64 MB."""
    return bytes(memoryview(value)[:1])


def _is_unsafe(value: Raw) -> bool:
    """True for a number that software may have rounded: a float, or beyond 2^53."""
    if _begin(value) not in _NUMBER:
        return False
    digits = bytes(value)
    return not digits.isdigit() or len(digits) > 16 or int(digits) > 2**53


def _scalar(value: bytes | Raw) -> str | None:
    begin = _begin(value)
    if begin == b'"':
        return _STRING.decode(value)
    return bytes(value).decode() if begin in _NUMBER else None


def find(value: bytes | Raw, sieve: Sieve, deep: int = 0) -> Path | None:
    """Where the IDs are in a value; None where no place is known. UnreadableFile where there are two."""
    kind = _begin(value)
    if kind == b"[" and deep < _DEEPEST:
        found = (find(element, sieve, deep + 1) for element in _ARRAY.decode(value)[:_SEEN])
        return next((path for path in found if path is not None), None)
    if kind == b"{" and deep < _DEEPEST:
        return _find_inside(_OBJECT.decode(value), sieve, deep)
    text = _scalar(value)
    return () if text is not None and deep and sieve.holds(text) else None


def _find_inside(members: dict[str, Raw], sieve: Sieve, deep: int) -> Path | None:
    plain = {name: text for name, raw in members.items() if (text := _scalar(raw)) is not None}
    own = next((name for name in ("id", "id_str") if name in plain), None)
    if own and any(sieve.holds(text) for text in _inside(members, (own,), deep) if text):
        return (own,)
    for name in (*_WRAPPERS, *filter(is_known, members)):
        if name in members and _begin(members[name]) in (b"[", b"{"):
            path = find(members[name], sieve, deep + 1)
            if path is not None:
                return (name, *path)
    names = [name for name in plain if is_known(name)]
    column = choose(names, [[plain[name] for name in names]], sieve) if names else None
    return (own,) if own and column is None else (names[column],) if column is not None else None
