"""From IDs to a request; whatever an ID holds, it stays inside its place."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias
from urllib.parse import quote, unquote

import msgspec
from multidict import CIMultiDict
from yarl import URL

from collector import __version__
from collector.errors import RequestError
from collector.host.secret import Secret
from collector.sources.spec import Spec
from collector.sources.values import PLACE
from collector.sources.words import slug

LONGEST_URL = 8_000
# Keys of a source that change neither what is asked nor how it is read.
HOW_OFTEN = {"use", "limit", "window", "budget", "per_call", "cost", "price", "parallel"} | {
    *("recollect", "columns", "column", "feed", "max_children"),
}
_KNOWN_BY = 8  # characters
_SHORTEST_MASKED = 6  # a shorter secret is found in any text


_AUTHORITY = re.compile(r"[A-Za-z]+://[^/?#]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_encode = partial(quote, safe="")
# What the operator wrote in the url stays as it is; only what no URL can hold is encoded.
_encode_literal = partial(quote, safe="%/?:@!$&'()*+,;=[]~")

Pieces: TypeAlias = tuple[str, ...]  # a text cut at the places of IDs: `value.join(pieces)` fills it


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it goes on the wire; its repr shows no more than where it goes."""

    method: str
    url: URL
    headers: Mapping[str, str]
    body: bytes | None

    def __repr__(self) -> str:
        return f"Request({self.method} {self.url.origin()}/…)"


class Endpoint:
    """A source made ready to ask: its secrets filled in, its texts cut at the places of IDs."""

    def __init__(self, spec: Spec, secrets: Mapping[str, Secret]) -> None:
        self.spec = spec
        self._values = {name: secrets[name].reveal() for name in spec.secrets}
        path, _, query = _AUTHORITY.sub("", spec.url, count=1).partition("?")
        self._path = self._cut(path or "/", _encode_literal, _encode)
        self._dots = _dots("x".join(self._path))
        self._query = self._cut(query, _encode_literal, _encode)
        self._params = self._pairs(spec.params)
        self._form = self._pairs(spec.form)
        self._headers = [(name, self._cut(text)) for name, text in self._all_headers().items()]
        self._repeat = spec.join == "repeat"
        self._joiner = "," if self._repeat else spec.join
        self._weigh()

    def asks_like(self, other: "Endpoint") -> bool:
        """True where both ask and read in the same way, with the same secrets; how often may differ."""
        ours, theirs = (endpoint.spec.model_dump(exclude=HOW_OFTEN) for endpoint in (self, other))
        return ours == theirs and self._values == other._values

    def build(self, keys: tuple[str, ...]) -> Request:
        """The request for these IDs.

        RequestError `malformed` when one of them cannot be asked for: it is empty, is no Unicode text, would
        be a `.` or `..` of the path, or holds control characters and belongs in a header.
        """
        try:
            texts = [self._written(key) for key in keys]
            url = self._url(texts)
            return Request(self.spec.method, url, self._filled_headers(texts), self._body(texts))
        except UnicodeEncodeError as error:
            raise RequestError("malformed", f"an ID that is no Unicode text: {error.reason}") from error

    def weight(self, key: str) -> int:
        """How many characters an ID adds to the URL, what joins it to the next included."""
        text = self.spec.each.replace("{id}", key) if self.spec.packed else key
        try:
            length = len(text) if text.isascii() and text.isalnum() else len(_encode(text))
        except UnicodeEncodeError:
            return self.room  # goes alone, and `build` refuses it
        return self._places * length + self._overhead

    def alone(self, key: str) -> bool:
        """True for an ID that holds the joiner: beside others it would be read as two."""
        return self.spec.packed and not self._repeat and self._joiner in key

    def masked(self, body: bytes) -> bytes:
        """A body without the source's secrets, for answers whose words are kept as a detail: some echo the URL."""
        for value in self._values.values():
            for form in {value.encode(), _encode(value).encode()} if len(value) >= _SHORTEST_MASKED else ():
                body = body.replace(form, b"***")
        return body

    def masked_words(self, reason: str, detail: str) -> dict[str, str]:
        """A reason and a detail without the source's secrets."""
        values = [value for value in self._values.values() if len(value) >= _SHORTEST_MASKED]
        # A reason is cut short, so the beginning of a secret is enough to know it by.
        told = any(slug(value)[:_KNOWN_BY] in reason for value in values if slug(value))
        return {"reason": "masked" if told else reason, "detail": self.masked(detail.encode()).decode()}

    def _weigh(self) -> None:
        """`room`: the characters a URL has for IDs. A call may hold the IDs whose weights fit, and always one."""
        self.room = max(0, LONGEST_URL - len(str(self._url([]))))
        repeated = [pair for pair in self._params if self._repeats(pair[1])]
        joined = [pieces for pair in self._params if pair not in repeated for pieces in pair]
        joined_places = sum(len(pieces) - 1 for pieces in (self._path, self._query, *joined))
        self._places = joined_places + sum(len(value) - 1 for _, value in repeated)
        self._overhead = joined_places * len(_encode(self._joiner))
        self._overhead += sum(len("".join(name + value)) + len("&=") for name, value in repeated)

    def _cut(self, text: str, literal: Callable[[str], str] = str, encode: Callable[[str], str] = str) -> Pieces:
        pieces, done = [""], 0
        for found in PLACE.finditer(text):
            pieces[-1] += literal(text[done : found.start()])
            done = found.end()
            if found[2]:
                pieces[-1] += encode(self._values[found[2]])
            else:
                pieces.append("")
        pieces[-1] += literal(text[done:])
        return tuple(pieces)

    def _pairs(self, table: Mapping[str, str | int]) -> list[tuple[Pieces, Pieces]]:
        return [(self._cut(name, _encode, _encode), self._cut(str(v), _encode, _encode)) for name, v in table.items()]

    def _all_headers(self) -> CIMultiDict[str]:
        headers = CIMultiDict(
            {
                "User-Agent": f"collector/{__version__}",
                "Accept": "application/json",
                "Accept-Encoding": "gzip, deflate",
            }
        )
        if self.spec.form:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif self.spec.body is not None:
            headers["Content-Type"] = "application/json"
        for name, text in self.spec.headers.items():
            headers[name] = text
        return headers

    def _written(self, key: str) -> str:
        if not key:
            raise RequestError("malformed", "an empty ID")
        return self.spec.each.replace("{id}", key) if self.spec.packed else key

    def _url(self, texts: list[str]) -> URL:
        value = _encode(self._joiner.join(texts))
        path = value.join(self._path)
        # Encoding does not help here: servers and proxies resolve %2E%2E as they do two dots.
        if texts and len(self._path) > 1 and _dots(path) != self._dots:
            raise RequestError("malformed", "an ID that would be a `.` or `..` of the path")
        query = "&".join(filter(None, (value.join(self._query), self._encoded(self._params, texts))))
        return URL(f"{self.spec.origin}{path}{query and '?'}{query}", encoded=True)

    def _encoded(self, pairs: list[tuple[Pieces, Pieces]], texts: list[str]) -> str:
        encoded = [_encode(text) for text in texts]
        joined = _encode(self._joiner).join(encoded)
        parts: list[str] = []
        for name, value in pairs:
            fillings = encoded if self._repeats(value) else [joined]
            parts += [f"{joined.join(name)}={filling.join(value)}" for filling in fillings]
        return "&".join(parts)

    def _repeats(self, value: Pieces) -> bool:
        return self._repeat and len(value) > 1

    def _filled_headers(self, texts: list[str]) -> dict[str, str]:
        value = self._joiner.join(texts)
        headers = {name: value.join(pieces) for name, pieces in self._headers}
        for name, text in headers.items():
            if _CONTROL.search(text):
                raise RequestError("malformed", f"a control character in the header {name}")
            text.encode()
        return headers

    def _body(self, texts: list[str]) -> bytes | None:
        if self.spec.form:
            return self._encoded(self._form, texts).encode()
        return None if self.spec.body is None else msgspec.json.encode(self._filled(self.spec.body, texts))

    def _filled(self, node: Any, texts: list[str]) -> Any:
        match node:
            case "{ids}":
                return texts
            case str():
                return self._joiner.join(texts).join(self._cut(node))
            case dict():
                return {self._joiner.join(texts).join(self._cut(k)): self._filled(v, texts) for k, v in node.items()}
            case list():
                return [self._filled(member, texts) for member in node]
        return node


def redirected(request: Request, status: int, location: str) -> Request:
    """The request that a redirect asks for; RequestError `redirect` when it leads to another origin."""
    plain = location.isascii() and " " not in location
    try:
        url = request.url.join(URL(location, encoded=plain)).with_user(None).with_fragment(None)
        origin = url.origin()
    except ValueError as error:
        raise RequestError("redirect", "to an address that cannot be read") from error
    if _where(url) != _where(request.url):
        raise RequestError("redirect", f"to another origin, {origin}: nothing is sent there")
    if status == 303 or (status in (301, 302) and request.method == "POST"):
        headers = {name: text for name, text in request.headers.items() if name.lower() != "content-type"}
        return Request("GET", url, headers, None)
    return Request(request.method, url, request.headers, request.body)


def _dots(path: str) -> int:
    return sum(unquote(segment) in (".", "..") for segment in path.split("/"))


def _where(url: URL) -> tuple[str, str, int | None]:
    return url.scheme.lower(), (url.raw_host or "").lower(), url.port
