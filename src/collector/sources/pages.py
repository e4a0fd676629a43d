"""The cursor of the next page: read from an answer, fit to be kept, and made a request of again."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Literal, NamedTuple
from urllib.parse import quote, unquote_plus

from yarl import URL

from collector.errors import RequestError
from collector.sources.mask import maskable
from collector.sources.rules import NextRule
from collector.sources.spec import Spec
from collector.sources.tree import CannotTell, finder, shape_of

LONGEST = 16_384  # characters of a cursor; what is longer is none
_PATH_AND_QUERY = re.compile(r"/[!\"$-~]*")  # printable ASCII without "#"
_WHOLE = re.compile(r"-?[0-9]{1,300}")
_PLACE = re.compile(r"\{secret\.([A-Za-z0-9_-]+)\}")
_BRACES = str.maketrans({"{": "%7B", "}": "%7D"})


class Turn(NamedTuple):
    """The parameter that says which page is asked for, and where it stands."""

    to: str
    where: Literal["query", "form", "json"]
    start: str | int | None
    whole: bool  # a number stands there in `json`

    @classmethod
    def of(cls, spec: Spec) -> "Turn | None":
        """Where it is declared: in `form`, at the top of `json`, else in the query."""
        if not isinstance(spec.next, NextRule):
            return None
        to, start, body = spec.next.to, spec.next.start, spec.body
        if to in spec.form:
            return cls(to, "form", start, whole=False)
        if isinstance(body, dict) and to in body:
            return cls(to, "json", start, whole=isinstance(body[to], int) and not isinstance(body[to], bool))
        return cls(to, "query", start, whole=False)

    def value(self, cursor: str | None) -> str | int | None:
        """What the parameter is for a page; None where it stays as it is declared."""
        if not cursor:
            return self.start
        return int(cursor) if self.whole and _WHOLE.fullmatch(cursor) else cursor


def following(spec: Spec, tree: Any, link: str | None) -> str | None:
    """The cursor that an answer gives for the next page; None at the end of the list."""
    if not isinstance(spec.next, NextRule):
        return link
    value = finder(spec.next.at)(tree)
    if value is None or value is False:
        return None
    if isinstance(value, float):
        raise CannotTell("float-cursor", f"{value!r} where a cursor should be: it lost its last digits")
    if value is True or not isinstance(value, str | int):
        raise CannotTell("cursor", f"{shape_of(value)} where a cursor should be: look at `next`")
    cursor = str(value)
    if len(cursor) > LONGEST:
        raise CannotTell("cursor", f"a cursor of more than {LONGEST} characters")
    return None if cursor in ("", "0") else cursor


def kept(url: URL, secrets: Mapping[str, str], hidden: Iterable[str]) -> str:
    """A link's path and query as a cursor that shows no secret: each becomes its place, `{secret.NAME}`.

    What is `hidden` goes another way than the URL, as a token does: where a parameter repeats it, it is left out.
    """
    if len(url.raw_path_qs) > LONGEST:
        raise RequestError("redirect", f"by a link of more than {LONGEST} characters")
    path, mark, query = url.raw_path_qs.translate(_BRACES).partition("?")
    parts = [part.partition("=") for part in query.split("&")]
    if held := "|".join(map(_written_anyhow, hidden)):
        path = re.sub(held, "***", path)
        parts = [(name, sign, re.sub(held, "***", v)) for name, sign, v in parts if not re.fullmatch(held, v)]
    place = _placing(secrets)
    # A secret lies within a segment or a value: what stands between them stays, whatever a secret holds.
    path = "/".join(map(place, path.split("/")))
    return f"{path}{mark}{'&'.join(f'{place(name)}{sign}{place(value)}' for name, sign, value in parts)}"


def asked(cursor: str, secrets: Mapping[str, str]) -> tuple[str, str]:
    """The path and the query that a kept link stands for, with the secrets in it.

    RequestError `cursor` when it is none: whatever stands there, it stays behind the host.
    """
    try:
        filled = _PLACE.sub(lambda place: quote(secrets[place[1]], safe=""), cursor)
    except KeyError:
        filled = ""
    if not _PATH_AND_QUERY.fullmatch(filled) or "{" in filled or "}" in filled:
        raise RequestError("cursor", "a cursor that is no link of this API")
    path, _, query = filled.partition("?")
    return path, query


def names_of(query: str) -> set[str]:
    """The parameters that a query has."""
    return {_name(part) for part in query.split("&")}


def without(query: str, name: str) -> str:
    """A query without a parameter."""
    return "&".join(part for part in query.split("&") if _name(part) != name)


def _placing(secrets: Mapping[str, str]) -> Callable[[str], str]:
    """Puts places for the secrets in a text, the longest first."""
    names = sorted((name for name, value in secrets.items() if value), key=lambda name: -len(secrets[name]))
    # Other escapes are passed over whole, so that no secret is taken to begin within one.
    patterns = [f"({_written_anyhow(secrets[name])})" for name in names] + ["%[0-9A-Fa-f]{2}"]
    pattern = re.compile("|".join(patterns))

    def place(hit: re.Match[str]) -> str:
        return f"{{secret.{names[hit.lastindex - 1]}}}" if hit.lastindex else hit[0]

    return partial(pattern.sub, place)


def _name(part: str) -> str:
    return unquote_plus(part.partition("=")[0])


def _written_anyhow(text: str) -> str:
    """A pattern for a text in a URL: there any character may be percent-encoded, in either case, or stand plain."""
    pattern = "".join(map(_byte, text.encode()))
    # One that looks percent-encoded by itself may have been repeated without a thought.
    return f"(?:{pattern}|{re.escape(text)})" if "%" in text and maskable(text) else pattern


def _byte(value: int) -> str:
    escape = "%" + "".join(f"[{digit}{digit.lower()}]" for digit in f"{value:02X}")
    if value == ord(" "):
        return rf"(?:{escape}|\+)"
    if value == ord("%"):
        return f"(?:{escape}|%(?![0-9A-Fa-f]{{2}}))"
    return f"(?:{escape}|{re.escape(chr(value))})" if 0x20 < value < 0x7F else escape
