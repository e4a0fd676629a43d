"""Where an answer leads to: by a redirect, or by its Link header; never to another origin."""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from yarl import URL

from collector.errors import RequestError

_PLAIN = re.compile(r"[!-~]*")  # what a URL may be made of; anything else is encoded first
_SKIP = re.compile(r"[\s,]*")
_TARGET = re.compile(r"<([^<>]*)>")
_PARAMETER = re.compile(r"\s*;\s*(?:([^\s=;,<>\"]+)\s*(?:=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;,\"]*)))?)?", re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)


def resolved(base: URL, target: str) -> URL:
    """Where a target leads from an address; RequestError `redirect` when it is another origin, or cannot be read."""
    target = target.strip()
    try:
        url = base.join(URL(target, encoded=bool(_PLAIN.fullmatch(target)))).with_user(None).with_fragment(None)
        origin = url.origin()
    except ValueError as error:
        raise RequestError("redirect", "to an address that cannot be read") from error
    if _where(url) != _where(base):
        raise RequestError("redirect", f"to another origin, {origin}: nothing is sent there")
    return url


def following(base: URL, headers: Iterable[str]) -> URL | None:
    """The target of the first link with `rel="next"` in the Link headers of an answer (RFC 8288), None without one.

    RequestError `redirect` when it leads elsewhere.
    """
    for target, about in chain.from_iterable(map(_links, headers)):
        # A link with an anchor speaks of another page than this one.
        if "next" in about.get("rel", "").lower().split() and "anchor" not in about:
            return resolved(base, target)
    return None


def _links(text: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Each link with its parameters, of which the first of a name counts; what cannot be read is passed over."""
    at = 0
    while (at := _end(_SKIP.match(text, at), at)) < len(text):
        target = _TARGET.match(text, at)
        at = _end(target, at)
        about: dict[str, str] = {}
        while target and (parameter := _PARAMETER.match(text, at)):
            at = parameter.end()
            name, quoted, bare = parameter.groups()
            if name:
                value = _QUOTED_PAIR.sub(r"\1", quoted) if quoted is not None else bare or ""
                about.setdefault(name.lower(), value)
        if target:
            yield target[1], about
        comma = text.find(",", at)
        at = len(text) if comma < 0 else comma


def _end(found: re.Match[str] | None, otherwise: int) -> int:
    return found.end() if found else otherwise


def _where(url: URL) -> tuple[str, str, int | None]:
    return url.scheme.lower(), (url.raw_host or "").lower(), url.port
