"""What an API says, in its own words: short codes to group by and texts for people."""

import re
from typing import Any

import msgspec

from collector.sources.spec import Spec

BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)  # what a body that is no JSON raises

_CONTROL = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+")
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_NO_SLUG = re.compile(r"[^a-z0-9._-]+")
_LONGEST_TEXT = 300
_LONGEST_REASON = 40
# Where APIs put the words that are meant for people.
_TOLD = ("title", "detail", "message", "error_description", "error", "errors")


def reason_for(spec: Spec, word: str, default: str) -> str:
    """A short code for the API's word; the operator's own name for it where there is one."""
    last = word.rstrip("/").rpartition("/")[2]
    for known in (word, last):
        if known in spec.reasons:
            return spec.reasons[known]
    return code(last, default)


def code(text: str, default: str) -> str:
    """A reason made of a text, at most 40 characters long; the default where nothing is left of it."""
    return slug(text)[:_LONGEST_REASON].strip("-") or default


def slug(text: str) -> str:
    """A text in the few characters that a reason is made of."""
    return _NO_SLUG.sub("-", text.lower()).strip("-")


def word_of(value: Any) -> str:
    """A text or a number as the API's word; else nothing."""
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def words_of(body: bytes) -> str:
    """What a body says, in at most 300 characters of its own words."""
    start = body[:4_000].decode(errors="replace")
    if start.lstrip().startswith("<"):
        title = _TITLE.search(start)
        return clean(title[1]) if title else "an HTML page" if "<html" in start.lower() else clean(start)
    try:
        told = joined(texts_of(msgspec.json.decode(body)))
    except BROKEN:
        told = ""
    return told or clean(start)


def texts_of(node: Any, depth: int = 3) -> list[str]:
    """The texts that an error object says for people, without repeats."""
    match node:
        case str():
            return [node]
        case list() if node and depth:
            return texts_of(node[0], depth - 1)
        case dict() if depth:
            told = [word for name in _TOLD if name in node for word in texts_of(node[name], depth - 1)]
            return list(dict.fromkeys(told))
    return []


def joined(words: list[str]) -> str:
    """Texts as one line."""
    return clean(": ".join(word for word in words if word.strip()))


def clean(text: str) -> str:
    """At most 300 characters on one line, none of them a control character."""
    return _CONTROL.sub(" ", text).strip()[:_LONGEST_TEXT]
