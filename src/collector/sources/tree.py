"""The body of an answer as a tree: decoded, walked along paths, cut into its own bytes."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec
from jmespath.parser import ParsedResult
from msgspec import Raw

from collector.sources.values import compiled, is_plain
from collector.sources.words import BROKEN, clean, words_of

LOST = rb"\ufffd"  # what stands where a text was cut within a character

_SHAPES: dict[type, str] = {dict: "an object", list: "a list"}
_TABLE = msgspec.json.Decoder(dict[str, Raw])
_LIST = msgspec.json.Decoder(list[Raw])
_HEX = rb"[0-9a-fA-F]{2}"
# Every escape in turn, so that an escaped backslash begins none: a whole pair, half of one, or any other.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB]" + _HEX + rb"\\u[dD][c-fC-F]" + _HEX + rb"|(?P<half>u[dD][89a-fA-F]" + _HEX + rb")|.)",
    re.DOTALL,
)


class CannotTell(Exception):
    """An answer that must not be taken for one."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail


def decoded(body: bytes) -> tuple[Any, bytes]:
    """What a body holds, and the bytes it was read from. CannotTell where it is no JSON.

    Half a surrogate pair, as from a text that was cut within an emoji, is JSON and yet no text: it is marked as lost,
    and the rest of the body is kept.
    """
    try:
        return msgspec.json.decode(body), body
    except BROKEN:
        mended = _ESCAPE.sub(_whole, body)
    try:
        return msgspec.json.decode(mended), mended
    except BROKEN as error:
        raise CannotTell("not-json", words_of(body)) from error


def shape_of(value: Any) -> str:
    """What kind of value stands somewhere, in words."""
    return _SHAPES.get(type(value), "a bare value")


def id_text(value: Any) -> str | None:
    """An ID as text, or None where there is none; an ID that went through a float is lost."""
    if isinstance(value, float):
        raise CannotTell("float-key", f"{value!r} where an ID should be: it lost its last digits")
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    return None


def as_text(value: Any) -> str:
    """A text as it is, and anything else in JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def is_error(tree: Any) -> bool:
    """True where the body as a whole says that something is wrong."""
    return isinstance(tree, dict) and bool(tree.get("error") or tree.get("errors"))


@lru_cache(maxsize=1_000)
def finder(path: str) -> Callable[[Any], Any]:
    """What a path leads to, or None. Walking a plain path ourselves is ten times as fast as JMESPath."""
    if path and not is_plain(path):
        expression = compiled(path)
        return lambda tree: _searched(expression, tree)
    names = path.split(".") if path else []
    if len(names) == 1:
        [only] = names
        return lambda tree: tree.get(only) if isinstance(tree, dict) else None

    def walk(tree: Any) -> Any:
        for name in names:
            tree = tree.get(name) if isinstance(tree, dict) else None
        return tree

    return walk


def slice_at(body: bytes, path: str) -> Raw | None:
    """The answer's own bytes at a plain path; None where it does not lead to anything."""
    raw = Raw(body)
    try:
        for name in path.split(".") if path else []:
            raw = _TABLE.decode(raw)[name]
    except (msgspec.ValidationError, KeyError):
        return None
    return raw


def pieces(raw: Raw | None, count: int) -> list[Raw] | list[None]:
    """The bytes of each member of a list, where its own bytes are known."""
    return _LIST.decode(raw) if raw is not None else [None] * count


def slices(raw: Raw | None) -> dict[str, Raw]:
    """The bytes of each value of an object, where its own bytes are known."""
    return _TABLE.decode(raw) if raw is not None else {}


def _searched(expression: ParsedResult, tree: Any) -> Any:
    try:
        return expression.search(tree)
    except Exception as error:  # whatever jmespath meets in an answer, as a TypeError where types are mixed
        raise CannotTell("path", f"a path does not fit the answer: {clean(str(error))}") from error


def _whole(escape: re.Match[bytes]) -> bytes:
    return LOST if escape["half"] else escape[0]
